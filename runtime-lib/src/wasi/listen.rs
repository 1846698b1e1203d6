//! Granted sockets: TCP sockets that listen before the guest starts.
//!
//! In: the sealed addresses. Out: descriptors behind those of the granted directories, in the order of the
//! command line; denied directories leave their numbers free, so that a socket has the number that it was
//! built with. An address that can't be had ends the process: a server that nobody can reach must not run.
//!
//! # Safety
//!
//! `bind` reads as many bytes as it is told, from the sealed block; `setsockopt` reads one integer.
#![allow(
    unsafe_code,
    reason = "exports a symbol; an address in the kernel's form"
)]

use crate::arch::syscall5;
use crate::errno::Errno;
use crate::fd_table::{self, New, filetype, rights};
use crate::message::Message;
use crate::{policy, start};
use elfin_abi::policy::{Entry, denied};
use linux_raw_sys::general::__NR_bind;
use rustix::fd::{AsRawFd, OwnedFd};
use rustix::io::Errno as Linux;
use rustix::net::{AddressFamily, SocketFlags, SocketType, sockopt};

/// Connections that wait to be accepted; the kernel has its own limit as well (`somaxconn`).
const BACKLOG: i32 = 4096;

/// Opens the granted sockets.
#[unsafe(no_mangle)]
pub extern "C" fn elfin_setup_sockets() {
    if policy::is_denied(denied::NET) {
        return;
    }
    let mut directories = 0;
    for entry in policy::entries() {
        match entry {
            Entry::Dir { .. } => directories += 1,
            Entry::TcpListen { address, name } => {
                if let Err(reason) = grant_socket(directories, address) {
                    let mut message = Message::new("elfin: error: cannot listen on ");
                    message.escaped(name);
                    message.text(": ");
                    message.text(reason);
                    message.text("\n");
                    message.send();
                    start::exit(start::EXIT_ERROR);
                }
            }
            _ => {}
        }
    }
}

fn grant_socket(directories: u32, address: &[u8]) -> Result<u32, &'static str> {
    let new = New {
        host: listen(address).map_err(reason)?,
        base: rights::SOCKET,
        inheriting: rights::SOCKET,
        filetype: filetype::SOCKET_STREAM,
        grant: 0,
    };
    fd_table::insert_behind(directories, new).map_err(|error| {
        if error == Errno::MFile {
            "too many granted directories and sockets"
        } else {
            "out of descriptors"
        }
    })
}

fn listen(address: &[u8]) -> Result<OwnedFd, Linux> {
    let family = address.first_chunk().ok_or(Linux::INVAL)?;
    let socket = rustix::net::socket_with(
        AddressFamily::from_raw(u16::from_le_bytes(*family)),
        SocketType::STREAM,
        SocketFlags::CLOEXEC,
        None,
    )?;
    // A server that starts again shall not wait for connections of its predecessor to be forgotten.
    sockopt::set_socket_reuseaddr(&socket, true)?;
    // Connections inherit it. A guest has no way to ask for it, and without it an answer in two pieces
    // waits for the client's delayed acknowledgement.
    sockopt::set_tcp_nodelay(&socket, true)?;
    // SAFETY: see the head of the file.
    let result = unsafe {
        syscall5(
            __NR_bind,
            socket.as_raw_fd() as usize,
            address.as_ptr().expose_provenance(),
            address.len(),
            0,
            0,
        )
    };
    if result < 0 {
        return Err(Linux::from_raw_os_error(result.wrapping_neg() as i32));
    }
    rustix::net::listen(&socket, BACKLOG)?;
    Ok(socket)
}

fn reason(error: Linux) -> &'static str {
    match error {
        Linux::ADDRINUSE => "Address already in use",
        Linux::ADDRNOTAVAIL => "Cannot assign requested address",
        Linux::ACCESS => "Permission denied",
        Linux::AFNOSUPPORT => "Address family not supported",
        Linux::NODEV => "No such device",
        Linux::MFILE | Linux::NFILE => "Too many open files",
        _ => "the system refused",
    }
}
