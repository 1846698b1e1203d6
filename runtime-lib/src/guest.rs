//! Guest pointer → checked host memory. THE ONLY PLACE where a number that a guest gave becomes an
//! address on the host side of a call.
//!
//! In: the descriptor of the calling instance's memory and 32-bit guest pointers. Out: values, or spans
//! of which every byte lies inside the memory; [`Errno::Fault`] for all else. Everything is computed in
//! 64 bits, so that `pointer + length` cannot wrap. Guest data is copied out once, in one access, and
//! only the copy is looked at; guest pointers need no alignment (witx pointers have one, guests lie).
//!
//! # Safety
//!
//! A [`Memory`] made from a descriptor whose bytes below `len` are mapped, readable and writable stays
//! so for the length of a host call: memories never shrink and never move. Where there are threads, others may write
//! to a shared one at any time: that is why everything is read once. No Rust reference to guest
//! memory outlives the statement that needs it, because the guest's iovecs may overlap one another.
#![allow(
    unsafe_code,
    reason = "turns checked guest pointers into host pointers"
)]

use crate::errno::Errno;
use core::mem::MaybeUninit;
use elfin_abi::state::MemoryDescriptor;
use rustix::io::{IoSlice, IoSliceMut};

/// Most iovecs in one call (Linux's `UIO_MAXIOV`).
pub const MAX_IOVECS: usize = 1024;

/// The memory of the instance that called a host function, as the function receives it: one pointer,
/// null when the instance has no memory.
#[repr(transparent)]
#[derive(Clone, Copy, Debug)]
pub struct Memory(*const MemoryDescriptor);

/// Types that may be read from and written to guest memory as they are.
///
/// # Safety
///
/// Every bit pattern is a value, and there is no padding (it would leak host bytes to the guest).
pub unsafe trait Plain: Copy {}

// SAFETY: an integer.
unsafe impl Plain for u8 {}
// SAFETY: an integer.
unsafe impl Plain for u16 {}
// SAFETY: an integer.
unsafe impl Plain for u32 {}
// SAFETY: an integer.
unsafe impl Plain for u64 {}
// SAFETY: an array has no padding beyond its elements'.
unsafe impl<T: Plain, const N: usize> Plain for [T; N] {}

/// Declares a witx record with every padding byte spelled out, and checks that none was forgotten.
macro_rules! record {
    ($(#[$doc:meta])* $vis:vis struct $name:ident { $($field:ident: $ty:ty,)* }) => {
        $(#[$doc])*
        #[repr(C)]
        #[derive(Clone, Copy, Debug)]
        #[allow(missing_docs, reason = "the fields are the witx's")]
        $vis struct $name { $($vis $field: $ty,)* }
        const _: () = assert!(size_of::<$name>() == 0 $(+ size_of::<$ty>())*);
        // SAFETY: made of plain fields whose sizes sum up to the whole.
        unsafe impl Plain for $name where $($ty: Plain,)* {}
    };
}

record! {
    /// witx `iovec` and `ciovec`.
    struct GuestIovec { buf: u32, len: u32, }
}

record! {
    /// witx `fdstat`.
    pub struct Fdstat { filetype: u8, pad0: u8, flags: u16, pad1: u32, base: u64, inheriting: u64, }
}

record! {
    /// witx `filestat`.
    pub struct Filestat {
        dev: u64, ino: u64, filetype: u8, pad: [u8; 7], nlink: u64, size: u64, atim: u64, mtim: u64, ctim: u64,
    }
}

record! {
    /// witx `prestat`, of which directories are the only case.
    pub struct Prestat { tag: u8, pad: [u8; 3], name_len: u32, }
}

record! {
    /// witx `subscription`: `tag` says whether the rest is a clock or (its first word) a descriptor.
    pub struct Subscription {
        userdata: u64, tag: u8, pad0: [u8; 7], id: u32, pad1: u32, timeout: u64, precision: u64, flags: u16, pad2: [u8; 6],
    }
}

record! {
    /// `filestat` of `wasi_unstable`.
    pub struct UnstableFilestat {
        dev: u64, ino: u64, filetype: u8, pad: [u8; 3], nlink: u32, size: u64, atim: u64, mtim: u64, ctim: u64,
    }
}

record! {
    /// `subscription` of `wasi_unstable`: what `tag` announces is a named clock or (its first word) a
    /// descriptor.
    pub struct UnstableSubscription {
        userdata: u64, tag: u8, pad0: [u8; 7], identifier: u64, id: u32, pad1: u32, timeout: u64, precision: u64,
        flags: u16, pad2: [u8; 6],
    }
}

record! {
    /// witx `event`.
    pub struct Event {
        userdata: u64, error: u16, tag: u8, pad0: [u8; 5], nbytes: u64, flags: u16, pad1: [u8; 6],
    }
}

/// A span of host memory, laid out as the kernel's `struct iovec`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Span {
    start: *mut u8,
    len: usize,
}

const _: () = assert!(size_of::<Span>() == size_of::<IoSlice<'_>>());
const _: () = assert!(size_of::<Span>() == size_of::<IoSliceMut<'_>>());

/// Room for the spans of one call.
pub type Room = [MaybeUninit<Span>];

/// Gives `act` room for `count` spans, on the stack. A frame is touched page by page as it is made, so the
/// large one is made only for a call that needs it: four page faults are dear in a short program.
pub fn with_room(
    count: u32,
    act: &mut dyn FnMut(&mut Room) -> Result<(), Errno>,
) -> Result<(), Errno> {
    const FEW: usize = 16;

    #[inline(never)]
    fn many(act: &mut dyn FnMut(&mut Room) -> Result<(), Errno>) -> Result<(), Errno> {
        act(&mut [MaybeUninit::uninit(); MAX_IOVECS])
    }

    if count as usize > FEW {
        return many(act);
    }
    act(&mut [MaybeUninit::uninit(); FEW])
}

/// The spans of one call.
#[derive(Debug)]
pub struct Spans<'a>(&'a mut [Span]);

impl Spans<'_> {
    /// For calls that take data from the guest.
    #[must_use]
    pub fn to_read(&self) -> &[IoSlice<'_>] {
        // SAFETY: `IoSlice` has the layout of `struct iovec`, as `Span` has; each span lies inside the
        // guest's memory, and only the kernel looks at the bytes.
        unsafe { core::slice::from_raw_parts(self.0.as_ptr().cast(), self.0.len()) }
    }

    /// For calls that give data to the guest.
    pub fn to_write(&mut self) -> &mut [IoSliceMut<'_>] {
        // SAFETY: as above; the spans may overlap, which the kernel does not mind, and nobody makes
        // slices of them here.
        unsafe { core::slice::from_raw_parts_mut(self.0.as_mut_ptr().cast(), self.0.len()) }
    }

    /// Address and number of the spans, for a `struct msghdr`.
    pub fn as_raw(&mut self) -> (*mut Span, usize) {
        (self.0.as_mut_ptr(), self.0.len())
    }
}

impl Memory {
    /// The memory described by `descriptor`; with null, every guest pointer is out of bounds.
    ///
    /// # Safety
    ///
    /// `descriptor` is null, or it and the memory that it describes are valid during every call that
    /// is made with the result, and nothing but other threads of the guest accesses that memory meanwhile.
    #[must_use]
    pub const unsafe fn new(descriptor: *const MemoryDescriptor) -> Self {
        Self(descriptor)
    }

    /// The host address of `len` guest bytes at `pointer`.
    fn host(self, pointer: u32, len: u64) -> Result<*mut u8, Errno> {
        if self.0.is_null() {
            return Err(Errno::Fault);
        }
        // SAFETY: not null, hence valid by the contract of `new`.
        // Another thread may be making the memory longer: either length will do. (A relaxed atomic load would be the
        // same instruction, but in one of its own: ten bytes in each function.)
        let (base, size) = unsafe { ((*self.0).base, (*self.0).len) };
        match u64::from(pointer).checked_add(len) {
            Some(end) if end <= size => {
                // An address, not a Rust object: the memory was mapped by the kernel or by our caller.
                Ok(core::ptr::with_exposed_provenance_mut(
                    (base + u64::from(pointer)) as usize,
                ))
            }
            _ => Err(Errno::Fault),
        }
    }

    /// Fails unless `count` values of this type at `pointer` lie in the memory. Called for results
    /// before a system call is made, so that nothing happens whose outcome can't be told.
    pub fn check<T: Plain>(self, pointer: u32, count: u32) -> Result<(), Errno> {
        self.host(pointer, u64::from(count) * size_of::<T>() as u64)
            .map(drop)
    }

    /// Reads a value, once.
    pub fn load<T: Plain>(self, pointer: u32) -> Result<T, Errno> {
        let at = self.host(pointer, size_of::<T>() as u64)?;
        // SAFETY: `host` checked that all of it is mapped; any bits are a `T`; alignment isn't needed.
        Ok(unsafe { at.cast::<T>().read_unaligned() })
    }

    /// Writes a value.
    pub fn store<T: Plain>(self, pointer: u32, value: T) -> Result<(), Errno> {
        let at = self.host(pointer, size_of::<T>() as u64)?;
        // SAFETY: as in `load`.
        unsafe { at.cast::<T>().write_unaligned(value) };
        Ok(())
    }

    /// Reads element `index` of an array at `pointer`.
    pub fn load_nth<T: Plain>(self, pointer: u32, index: u32) -> Result<T, Errno> {
        self.load(nth::<T>(pointer, index)?)
    }

    /// Writes element `index` of an array at `pointer`.
    pub fn store_nth<T: Plain>(self, pointer: u32, index: u32, value: T) -> Result<(), Errno> {
        self.store(nth::<T>(pointer, index)?, value)
    }

    /// Copies guest bytes into `room`; they don't fit: `NAMETOOLONG`, as only names are copied.
    pub fn copy_in(
        self,
        pointer: u32,
        len: u32,
        room: &mut [MaybeUninit<u8>],
    ) -> Result<&mut [u8], Errno> {
        let from = self.host(pointer, u64::from(len))?;
        let room = room.get_mut(..len as usize).ok_or(Errno::NameTooLong)?;
        // SAFETY: `host` checked the source, `room` has this length and is no guest memory; after the
        // copy its bytes are initialised.
        unsafe {
            core::ptr::copy_nonoverlapping(from, room.as_mut_ptr().cast::<u8>(), room.len());
            Ok(core::slice::from_raw_parts_mut(
                room.as_mut_ptr().cast::<u8>(),
                room.len(),
            ))
        }
    }

    /// Copies `bytes` to the guest.
    pub fn copy_out(self, pointer: u32, bytes: &[u8]) -> Result<(), Errno> {
        let to = self.host(pointer, bytes.len() as u64)?;
        // SAFETY: `host` checked the target; `bytes` are the runtime's own, so the two can't overlap.
        unsafe { core::ptr::copy_nonoverlapping(bytes.as_ptr(), to, bytes.len()) };
        Ok(())
    }

    /// Lets `fill` write into guest bytes, as the kernel does for a system call.
    pub fn fill<R>(
        self,
        pointer: u32,
        len: u32,
        fill: impl FnOnce(&mut [u8]) -> R,
    ) -> Result<R, Errno> {
        let at = self.host(pointer, u64::from(len))?;
        // SAFETY: `host` checked the span; the only reference to guest memory while `fill` runs.
        Ok(fill(unsafe {
            core::slice::from_raw_parts_mut(at, len as usize)
        }))
    }

    /// Reads `count` iovecs at `pointer`, each once, and checks all of them.
    pub fn gather(self, pointer: u32, count: u32, room: &mut Room) -> Result<Spans<'_>, Errno> {
        let Some(room) = room.get_mut(..count as usize) else {
            return Err(Errno::Inval);
        };
        let mut at = self
            .host(pointer, u64::from(count) * size_of::<GuestIovec>() as u64)?
            .cast::<GuestIovec>();
        for span in room.iter_mut() {
            // SAFETY: all `count` entries are inside the memory; `at` is one past the last at the end.
            let iovec = unsafe {
                let iovec = at.read_unaligned();
                at = at.add(1);
                iovec
            };
            span.write(Span {
                start: self.host(iovec.buf, u64::from(iovec.len))?,
                len: iovec.len as usize,
            });
        }
        // SAFETY: every entry of `room` was written above.
        Ok(Spans(unsafe {
            core::slice::from_raw_parts_mut(room.as_mut_ptr().cast(), room.len())
        }))
    }
}

/// Address of element `index`; one that does not exist in 32 bits is out of bounds.
fn nth<T>(pointer: u32, index: u32) -> Result<u32, Errno> {
    u32::try_from(u64::from(pointer) + u64::from(index) * size_of::<T>() as u64)
        .map_err(|_| Errno::Fault)
}
