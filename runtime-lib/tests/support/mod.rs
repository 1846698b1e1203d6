//! A guest without code: a linear memory, granted directories, and the host functions called by hand.
//!
//! In: directories of a test. Out: what a guest would see, as `Result<T, i32>` with WASI's error codes. The
//! descriptor table is the process's, so guests of one test binary live one after the other; when one ends,
//! no host descriptor may be left that was not there before.
#![allow(dead_code, reason = "every test binary uses a part of it")]

use elfin_abi::policy::{Entry, encode};
use elfin_abi::state::MemoryDescriptor;
use elfin_runtime::errno::Errno;
use elfin_runtime::fd_table::{self, CAPACITY, New};
use elfin_runtime::guest::Memory;
use elfin_runtime::wasi::{fd, path, setup};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tempfile::TempDir;

pub(crate) use elfin_runtime::fd_table::{filetype, rights};

/// Where results of calls are put.
pub(crate) const RESULT: u32 = 0x100;
/// Where first and second paths are put; each may have 0x2000 bytes.
pub(crate) const PATH: u32 = 0x1000;
pub(crate) const PATH2: u32 = 0x3000;
/// Free for a test's own use, up to [`SIZE`].
pub(crate) const BUFFER: u32 = 0x8000;
/// Bytes of linear memory.
pub(crate) const SIZE: u32 = 0x10_0000;

pub(crate) const CREAT: u32 = 1;
pub(crate) const DIRECTORY: u32 = 2;
pub(crate) const EXCL: u32 = 4;
pub(crate) const TRUNC: u32 = 8;

pub(crate) const FOLLOW: u32 = 1;

static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

thread_local! {
    /// Held from a test's first use until its thread ends, when all that the test made is gone.
    static TURN: MutexGuard<'static, ()> = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
}

/// Waits until no other test of this binary opens or closes anything.
pub(crate) fn alone() {
    TURN.with(|_| ());
}

/// A new directory.
pub(crate) fn tempdir() -> TempDir {
    alone();
    tempfile::tempdir().unwrap()
}

pub(crate) struct Guest {
    memory: Vec<u8>,
    descriptor: Box<MemoryDescriptor>,
    host_descriptors: usize,
}

/// Descriptors that this process has open.
pub(crate) fn host_descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

pub(crate) fn err<T>(error: Errno) -> Result<T, i32> {
    Err(error as i32)
}

/// Success or WASI's error code.
pub(crate) fn outcome(code: i32) -> Result<(), i32> {
    if code == 0 { Ok(()) } else { Err(code) }
}

impl Guest {
    /// A guest with these grants: name on the host, name for the guest, read-only.
    pub(crate) fn with_grants(grants: &[(&Path, &str, bool)]) -> Self {
        Self::with_policy(
            grants
                .iter()
                .map(|(host, guest, read_only)| Entry::Dir {
                    host: host.as_os_str().as_encoded_bytes(),
                    guest: guest.as_bytes(),
                    read_only: *read_only,
                })
                .collect(),
        )
    }

    pub(crate) fn with_policy(entries: Vec<Entry<'_>>) -> Self {
        alone();
        let host_descriptors = host_descriptors();
        let block: &'static [u8] = encode(entries).leak();
        elfin_runtime::policy::set(Box::leak(Box::new(block)));
        setup::elfin_setup_directories();
        let mut memory = vec![0; SIZE as usize];
        let descriptor = Box::new(MemoryDescriptor {
            base: memory.as_mut_ptr().expose_provenance() as u64,
            len: SIZE.into(),
            max: SIZE.into(),
            page_log2: 16,
        });
        Self {
            memory,
            descriptor,
            host_descriptors,
        }
    }

    /// A guest whose descriptor 3 is `directory`, named `/`.
    pub(crate) fn in_directory(directory: &TempDir) -> Self {
        Self::with_grants(&[(directory.path(), "/", false)])
    }

    pub(crate) fn memory(&self) -> Memory {
        // SAFETY: the memory lives as long as the guest; it is accessed by this thread only.
        unsafe { Memory::new(&raw const *self.descriptor) }
    }

    /// Another size of the memory, without touching its bytes.
    pub(crate) fn set_memory(&mut self, bytes: Vec<u8>) {
        self.memory = bytes;
        self.descriptor.base = self.memory.as_mut_ptr().expose_provenance() as u64;
        self.descriptor.len = self.memory.len() as u64;
    }

    pub(crate) fn put(&mut self, at: u32, bytes: &[u8]) -> u32 {
        self.memory[at as usize..][..bytes.len()].copy_from_slice(bytes);
        bytes.len() as u32
    }

    pub(crate) fn bytes(&self, at: u32, len: u32) -> &[u8] {
        &self.memory[at as usize..][..len as usize]
    }

    pub(crate) fn u16(&self, at: u32) -> u16 {
        u16::from_le_bytes(self.bytes(at, 2).try_into().unwrap())
    }

    pub(crate) fn u32(&self, at: u32) -> u32 {
        u32::from_le_bytes(self.bytes(at, 4).try_into().unwrap())
    }

    pub(crate) fn u64(&self, at: u32) -> u64 {
        u64::from_le_bytes(self.bytes(at, 8).try_into().unwrap())
    }

    /// Puts iovecs at `at`.
    pub(crate) fn iovecs(&mut self, at: u32, iovecs: &[(u32, u32)]) {
        for (index, (buf, len)) in iovecs.iter().enumerate() {
            self.put(at + index as u32 * 8, &buf.to_le_bytes());
            self.put(at + index as u32 * 8 + 4, &len.to_le_bytes());
        }
    }

    /// Gives the guest a descriptor that it did not open.
    pub(crate) fn adopt(&mut self, host: impl Into<OwnedFd>, filetype: u8, base: u64) -> u32 {
        let new = New {
            host: host.into(),
            base,
            inheriting: rights::FILE | rights::SOCKET,
            filetype,
            grant: 0,
        };
        fd_table::insert(new).unwrap()
    }

    #[allow(clippy::too_many_arguments, reason = "the function's own")]
    pub(crate) fn path_open(
        &mut self,
        dir: u32,
        flags: u32,
        path: impl AsRef<[u8]>,
        oflags: u32,
        base: u64,
        inheriting: u64,
        fdflags: u32,
    ) -> Result<u32, i32> {
        let len = self.put(PATH, path.as_ref());
        outcome(path::elfin_wasi_path_open(
            self.memory(),
            dir,
            flags,
            PATH,
            len,
            oflags,
            base,
            inheriting,
            fdflags,
            RESULT,
        ))?;
        Ok(self.u32(RESULT))
    }

    /// Opens for reading and writing, with all rights that there are.
    pub(crate) fn open(&mut self, path: impl AsRef<[u8]>, oflags: u32) -> Result<u32, i32> {
        self.path_open(3, FOLLOW, path, oflags, rights::FILE, 0, 0)
    }

    /// Opens a directory with all rights that there are.
    pub(crate) fn open_dir(&mut self, path: impl AsRef<[u8]>) -> Result<u32, i32> {
        self.path_open(3, FOLLOW, path, DIRECTORY, rights::DIRECTORY, u64::MAX, 0)
    }

    pub(crate) fn close(&mut self, fd: u32) -> Result<(), i32> {
        outcome(fd::elfin_wasi_fd_close(self.memory(), fd))
    }

    pub(crate) fn write(&mut self, fd: u32, bytes: &[u8]) -> Result<u32, i32> {
        let len = self.put(BUFFER + 0x100, bytes);
        self.iovecs(BUFFER, &[(BUFFER + 0x100, len)]);
        outcome(fd::elfin_wasi_fd_write(
            self.memory(),
            fd,
            BUFFER,
            1,
            RESULT,
        ))?;
        Ok(self.u32(RESULT))
    }

    pub(crate) fn read(&mut self, fd: u32, len: u32) -> Result<Vec<u8>, i32> {
        self.iovecs(BUFFER, &[(BUFFER + 0x100, len)]);
        outcome(fd::elfin_wasi_fd_read(self.memory(), fd, BUFFER, 1, RESULT))?;
        Ok(self.bytes(BUFFER + 0x100, self.u32(RESULT)).to_vec())
    }

    pub(crate) fn seek(&mut self, fd: u32, offset: i64, whence: u32) -> Result<u64, i32> {
        outcome(fd::elfin_wasi_fd_seek(
            self.memory(),
            fd,
            offset,
            whence,
            RESULT,
        ))?;
        Ok(self.u64(RESULT))
    }

    pub(crate) fn fdstat(&mut self, fd: u32) -> Result<Fdstat, i32> {
        outcome(fd::elfin_wasi_fd_fdstat_get(self.memory(), fd, RESULT))?;
        Ok(Fdstat {
            filetype: self.bytes(RESULT, 1)[0],
            flags: self.u16(RESULT + 2),
            base: self.u64(RESULT + 8),
            inheriting: self.u64(RESULT + 16),
        })
    }

    fn filestat(&self) -> Filestat {
        assert_eq!(self.bytes(RESULT + 17, 7), [0; 7], "padding");
        Filestat {
            dev: self.u64(RESULT),
            ino: self.u64(RESULT + 8),
            filetype: self.bytes(RESULT + 16, 1)[0],
            nlink: self.u64(RESULT + 24),
            size: self.u64(RESULT + 32),
            atim: self.u64(RESULT + 40),
            mtim: self.u64(RESULT + 48),
            ctim: self.u64(RESULT + 56),
        }
    }

    pub(crate) fn fd_filestat(&mut self, fd: u32) -> Result<Filestat, i32> {
        self.put(RESULT, &[0xaa; 64]);
        outcome(fd::elfin_wasi_fd_filestat_get(self.memory(), fd, RESULT))?;
        Ok(self.filestat())
    }

    pub(crate) fn stat(&mut self, flags: u32, path: impl AsRef<[u8]>) -> Result<Filestat, i32> {
        let len = self.put(PATH, path.as_ref());
        self.put(RESULT, &[0xaa; 64]);
        outcome(path::elfin_wasi_path_filestat_get(
            self.memory(),
            3,
            flags,
            PATH,
            len,
            RESULT,
        ))?;
        Ok(self.filestat())
    }

    pub(crate) fn set_times(
        &mut self,
        flags: u32,
        path: impl AsRef<[u8]>,
        atim: u64,
        mtim: u64,
        which: u32,
    ) -> Result<(), i32> {
        let len = self.put(PATH, path.as_ref());
        outcome(path::elfin_wasi_path_filestat_set_times(
            self.memory(),
            3,
            flags,
            PATH,
            len,
            atim,
            mtim,
            which,
        ))
    }

    pub(crate) fn mkdir(&mut self, path: impl AsRef<[u8]>) -> Result<(), i32> {
        let len = self.put(PATH, path.as_ref());
        outcome(path::elfin_wasi_path_create_directory(
            self.memory(),
            3,
            PATH,
            len,
        ))
    }

    pub(crate) fn rmdir(&mut self, path: impl AsRef<[u8]>) -> Result<(), i32> {
        let len = self.put(PATH, path.as_ref());
        outcome(path::elfin_wasi_path_remove_directory(
            self.memory(),
            3,
            PATH,
            len,
        ))
    }

    pub(crate) fn unlink(&mut self, path: impl AsRef<[u8]>) -> Result<(), i32> {
        let len = self.put(PATH, path.as_ref());
        outcome(path::elfin_wasi_path_unlink_file(
            self.memory(),
            3,
            PATH,
            len,
        ))
    }

    pub(crate) fn link(
        &mut self,
        flags: u32,
        old: impl AsRef<[u8]>,
        new: impl AsRef<[u8]>,
    ) -> Result<(), i32> {
        self.link_between((3, flags, old), (3, new))
    }

    pub(crate) fn link_between(
        &mut self,
        old: (u32, u32, impl AsRef<[u8]>),
        new: (u32, impl AsRef<[u8]>),
    ) -> Result<(), i32> {
        let old_len = self.put(PATH, old.2.as_ref());
        let new_len = self.put(PATH2, new.1.as_ref());
        outcome(path::elfin_wasi_path_link(
            self.memory(),
            old.0,
            old.1,
            PATH,
            old_len,
            new.0,
            PATH2,
            new_len,
        ))
    }

    pub(crate) fn rename(
        &mut self,
        old: impl AsRef<[u8]>,
        new: impl AsRef<[u8]>,
    ) -> Result<(), i32> {
        self.rename_between((3, old), (3, new))
    }

    pub(crate) fn rename_between(
        &mut self,
        old: (u32, impl AsRef<[u8]>),
        new: (u32, impl AsRef<[u8]>),
    ) -> Result<(), i32> {
        let old_len = self.put(PATH, old.1.as_ref());
        let new_len = self.put(PATH2, new.1.as_ref());
        outcome(path::elfin_wasi_path_rename(
            self.memory(),
            old.0,
            PATH,
            old_len,
            new.0,
            PATH2,
            new_len,
        ))
    }

    pub(crate) fn symlink(
        &mut self,
        target: impl AsRef<[u8]>,
        path: impl AsRef<[u8]>,
    ) -> Result<(), i32> {
        let target_len = self.put(PATH2, target.as_ref());
        let len = self.put(PATH, path.as_ref());
        outcome(path::elfin_wasi_path_symlink(
            self.memory(),
            PATH2,
            target_len,
            3,
            PATH,
            len,
        ))
    }

    pub(crate) fn readlink(&mut self, path: impl AsRef<[u8]>, room: u32) -> Result<Vec<u8>, i32> {
        let len = self.put(PATH, path.as_ref());
        outcome(path::elfin_wasi_path_readlink(
            self.memory(),
            3,
            PATH,
            len,
            BUFFER,
            room,
            RESULT,
        ))?;
        Ok(self.bytes(BUFFER, self.u32(RESULT)).to_vec())
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        for fd in 3..CAPACITY as u32 {
            let _ = fd_table::close(fd);
        }
        if !std::thread::panicking() {
            assert_eq!(
                host_descriptors(),
                self.host_descriptors,
                "a descriptor was left open"
            );
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fdstat {
    pub(crate) filetype: u8,
    pub(crate) flags: u16,
    pub(crate) base: u64,
    pub(crate) inheriting: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Filestat {
    pub(crate) dev: u64,
    pub(crate) ino: u64,
    pub(crate) filetype: u8,
    pub(crate) nlink: u64,
    pub(crate) size: u64,
    pub(crate) atim: u64,
    pub(crate) mtim: u64,
    pub(crate) ctim: u64,
}
