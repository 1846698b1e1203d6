//! WASI preview 1: `sock_*`.
//!
//! In: sockets, which a guest can only have been given (as a standard stream or by `--tcp-listen`) or accept
//! from one that it was given. Out: data, new sockets. Standard streams get the rights of sockets for these functions,
//! because on anything else the kernel refuses them.
//!
//! # Safety
//!
//! A `struct msghdr` that names nothing but spans of guest memory.
#![allow(
    unsafe_code,
    reason = "exports symbols; rustix's message calls parse what we don't ask for"
)]

use super::fd::is_socket;
use crate::arch::syscall5;
use crate::errno::{self, Errno};
use crate::fd_table::{self, New, filetype, rights};
use crate::guest::{Memory, Spans, with_room};
use linux_raw_sys::general::{__NR_recvmsg, __NR_sendmsg};
use linux_raw_sys::net::{MSG_NOSIGNAL, MSG_PEEK, MSG_TRUNC, MSG_WAITALL, msghdr};
use rustix::fd::{AsRawFd, BorrowedFd};
use rustix::net::{Shutdown, SocketFlags};

const FDFLAG_NONBLOCK: u32 = 4;

const RECV_PEEK: u32 = 1;
const RECV_WAITALL: u32 = 2;
const RECV_DATA_TRUNCATED: u16 = 1;

const SHUT_RD: u32 = 1;
const SHUT_WR: u32 = 2;

fn socket(fd: u32, needed: u64) -> Result<(BorrowedFd<'static>, u64), Errno> {
    let descriptor = fd_table::get(fd)?;
    let mut base = descriptor.base;
    if descriptor.filetype == filetype::UNKNOWN {
        // A standard stream with the rights it came with may turn out to be a socket.
        if base == rights::STDIN || base == rights::STDOUT {
            base |= rights::FD_READ | rights::FD_WRITE;
        }
    } else if !is_socket(descriptor.filetype) {
        return Err(Errno::NotSock);
    }
    if base & needed == needed {
        Ok((descriptor.host, descriptor.inheriting))
    } else {
        Err(Errno::NotCapable)
    }
}

/// Takes a connection from a listening socket.
#[unsafe(no_mangle)]
pub extern "C" fn elfin_wasi_sock_accept(
    memory: Memory,
    fd: u32,
    flags: u32,
    accepted: u32,
) -> i32 {
    errno::code((|| {
        let (host, inheriting) = socket(fd, rights::SOCK_ACCEPT)?;
        let nonblock = match flags {
            0 => SocketFlags::empty(),
            FDFLAG_NONBLOCK => SocketFlags::NONBLOCK,
            _ => return Err(Errno::Inval),
        };
        memory.check::<u32>(accepted, 1)?;
        fd_table::check_room()?;
        let connection = rustix::net::accept_with(host, nonblock | SocketFlags::CLOEXEC)?;
        let number = fd_table::insert(New {
            host: connection,
            base: inheriting & rights::SOCKET & !rights::SOCK_ACCEPT,
            inheriting: 0,
            filetype: filetype::SOCKET_STREAM,
            grant: 0,
        })?;
        memory.store(accepted, number)
    })())
}

/// Receives.
#[unsafe(no_mangle)]
pub extern "C" fn elfin_wasi_sock_recv(
    memory: Memory,
    fd: u32,
    iovecs: u32,
    count: u32,
    flags: u32,
    received: u32,
    out_flags: u32,
) -> i32 {
    errno::code((|| {
        let (host, _) = socket(fd, rights::FD_READ)?;
        if flags & !(RECV_PEEK | RECV_WAITALL) != 0 {
            return Err(Errno::Inval);
        }
        let host_flags = if flags & RECV_PEEK != 0 { MSG_PEEK } else { 0 }
            | if flags & RECV_WAITALL != 0 {
                MSG_WAITALL
            } else {
                0
            };
        with_room(count, &mut |room| {
            let spans = memory.gather(iovecs, count, room)?;
            memory.check::<u32>(received, 1)?;
            memory.check::<u16>(out_flags, 1)?;
            let (bytes, returned) = message(__NR_recvmsg, host, spans, host_flags)?;
            memory.store(received, bytes)?;
            memory.store(
                out_flags,
                if returned & MSG_TRUNC != 0 {
                    RECV_DATA_TRUNCATED
                } else {
                    0
                },
            )
        })
    })())
}

/// Sends.
#[unsafe(no_mangle)]
pub extern "C" fn elfin_wasi_sock_send(
    memory: Memory,
    fd: u32,
    iovecs: u32,
    count: u32,
    flags: u32,
    sent: u32,
) -> i32 {
    errno::code((|| {
        let (host, _) = socket(fd, rights::FD_WRITE)?;
        if flags != 0 {
            return Err(Errno::Inval);
        }
        with_room(count, &mut |room| {
            let spans = memory.gather(iovecs, count, room)?;
            memory.check::<u32>(sent, 1)?;
            let (bytes, _) = message(__NR_sendmsg, host, spans, MSG_NOSIGNAL)?;
            memory.store(sent, bytes)
        })
    })())
}

/// One message through `spans`: how many bytes, and the kernel's flags.
fn message(
    number: u32,
    host: BorrowedFd<'_>,
    mut spans: Spans<'_>,
    flags: u32,
) -> Result<(u32, u32), Errno> {
    let (iov, iovlen) = spans.as_raw();
    let mut header = msghdr {
        msg_name: core::ptr::null_mut(),
        msg_namelen: 0,
        msg_iov: iov.cast(),
        msg_iovlen: iovlen as _,
        msg_control: core::ptr::null_mut(),
        msg_controllen: 0,
        msg_flags: 0,
    };
    // SAFETY: the header lives through the call and names spans of guest memory only.
    let result = unsafe {
        syscall5(
            number,
            host.as_raw_fd() as usize,
            (&raw mut header).expose_provenance(),
            flags as usize,
            0,
            0,
        )
    };
    if result < 0 {
        return Err(rustix::io::Errno::from_raw_os_error(result.wrapping_neg() as i32).into());
    }
    Ok((result as u32, header.msg_flags))
}

/// Ends one or both directions.
#[unsafe(no_mangle)]
pub extern "C" fn elfin_wasi_sock_shutdown(_: Memory, fd: u32, how: u32) -> i32 {
    errno::code((|| {
        let (host, _) = socket(fd, rights::SOCK_SHUTDOWN)?;
        let how = match how {
            SHUT_RD => Shutdown::Read,
            SHUT_WR => Shutdown::Write,
            3 => Shutdown::Both,
            _ => return Err(Errno::Inval),
        };
        Ok(rustix::net::shutdown(host, how)?)
    })())
}
