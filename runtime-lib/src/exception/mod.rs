//! Exceptions: from a throw to its handler.
//!
//! In: an exception and the registers of the function that throws it. Out: the registers with which its handler
//! goes on, or the end of the process. The tables are `elfin_abi::exception`'s; [`arena`] is where exceptions live.
//!
//! Every frame that is left behind has saved registers that its caller relies on: they are taken from there, as the
//! function's own end would have done. Nothing on the stack is changed before the handler is found, so that an
//! uncaught exception still has the backtrace of its throw.
//!
//! Functions and statics are in sections of their own, from which the compiler takes no parts for sharing: executables
//! that throw nothing do not change by a byte.
//!
//! # Safety
//! Generated code throws, so that every frame from the throw on is one of generated code, up to that of the program's
//! main function or of an action of a script; only leaf functions have none, and those are not on the way. The
//! compiler's tables are believed.
#![allow(unsafe_code, reason = "walks over frames, reads tables at addresses")]

pub mod arena;

use crate::arch;
use crate::program::Program;
#[cfg(feature = "freestanding")]
use core::sync::atomic::AtomicPtr;
use elfin_abi::exception::{
    ANY_TAG, CODE_GRANULE_LOG2, CallSite, Exception, FunctionFrame, UnwindHeader,
};
use elfin_abi::program::{FuncRecord, TextChunk};

/// What ends the process when nothing catches an exception: `extern "C" fn(tag: u32, fp: u64, return_address: u64) -> !`.
/// Scripts and programs with threads put another function here. Exported, for the compiler must not know that only a
/// few functions are ever put here: it would call them directly, and every program that throws would hold the scripts'
/// driver.
#[cfg(feature = "freestanding")]
#[unsafe(link_section = ".data.elfin_uncaught")]
#[unsafe(export_name = "elfin_uncaught")]
pub static UNCAUGHT: AtomicPtr<()> = AtomicPtr::new(uncaught as *const () as *mut ());

/// The registers with which a function goes on. The arch files know the order.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Registers that a callee saves.
    pub saved: [u64; arch::SAVED],
    /// Frame pointer: address of a pair of words, the caller's frame pointer and the return address.
    pub fp: u64,
    /// Stack pointer; known at the handler only.
    pub sp: u64,
    /// Where to go on; before the handler is found, a return address.
    pub pc: u64,
}

/// The tables of a program that throws.
#[derive(Clone, Copy, Debug)]
pub struct Tables<'a> {
    header: &'a UnwindHeader,
    program: Program<'a>,
}

/// The tables of this executable.
#[cfg(feature = "freestanding")]
#[cfg_attr(
    feature = "freestanding",
    unsafe(link_section = ".text.elfin_exception")
)]
pub fn tables() -> Tables<'static> {
    unsafe extern "C" {
        #[link_name = "elfin_unwind"]
        safe static UNWIND: UnwindHeader;
    }
    // SAFETY: the linked tables are complete.
    unsafe { Tables::new(&UNWIND, crate::program::program()) }
}

/// A function and where it is.
struct Place {
    chunk: *const TextChunk,
    /// By position among all functions.
    function: usize,
}

impl<'a> Tables<'a> {
    /// # Safety
    /// Every address and count in the header is right for as long as `'a`, and belongs to this program.
    #[must_use]
    #[cfg_attr(
        feature = "freestanding",
        unsafe(link_section = ".text.elfin_exception")
    )]
    pub unsafe fn new(header: &'a UnwindHeader, program: Program<'a>) -> Self {
        Self { header, program }
    }

    /// The header itself.
    #[must_use]
    #[cfg_attr(
        feature = "freestanding",
        unsafe(link_section = ".text.elfin_exception")
    )]
    pub fn header(&self) -> &'a UnwindHeader {
        self.header
    }

    /// The function to which `address` returns.
    #[cfg_attr(
        feature = "freestanding",
        unsafe(link_section = ".text.elfin_exception")
    )]
    fn find(&self, address: u64) -> Option<Place> {
        // Inside the call, which may be the last instruction of its function.
        let pc = address.wrapping_sub(1);
        let header = self.program.header();
        let mut granules = self.header.granules as *const u32;
        let mut chunk = header.chunks as *const TextChunk;
        for _ in 0..header.chunk_count {
            // SAFETY: the chunks of the header; each has its granules, and at least one function at offset 0. A
            // function that begins behind the address ends the search, or the end of the chunk does.
            unsafe {
                let (start, size) = ((*chunk).start, (*chunk).size);
                let offset = pc.wrapping_sub(start);
                if offset < u64::from(size) {
                    let offset = offset as u32;
                    let functions = header.functions as *const FuncRecord;
                    let last = (*chunk).first_function + (*chunk).function_count - 1;
                    let mut function = *granules.add((offset >> CODE_GRANULE_LOG2) as usize);
                    while function < last
                        && (*functions.add(function as usize + 1)).offset <= offset
                    {
                        function += 1;
                    }
                    let function = function as usize;
                    return Some(Place { chunk, function });
                }
                granules = granules.add(size.div_ceil(1 << CODE_GRANULE_LOG2) as usize);
                chunk = chunk.add(1);
            }
        }
        None
    }

    /// Where an exception with this tag goes on in a function, when a call that returns to `address` throws it.
    #[cfg_attr(
        feature = "freestanding",
        unsafe(link_section = ".text.elfin_exception")
    )]
    fn handler(&self, place: &Place, address: u64, tag: u32) -> Option<u64> {
        // SAFETY: the tables of the header; behind the last frame there is one that ends its sites.
        unsafe {
            let frame = (self.header.frames as *const FunctionFrame).add(place.function);
            let (mut low, end) = ((*frame).first_site, (*frame.add(1)).first_site);
            if low == end {
                return None;
            }
            let chunk = (*place.chunk).start;
            let offset = (address - chunk) as u32;
            let sites = self.header.sites as *const CallSite;
            let mut high = end;
            while low < high {
                let middle = low.midpoint(high);
                if (*sites.add(middle as usize)).offset < offset {
                    low = middle + 1;
                } else {
                    high = middle;
                }
            }
            let site = sites.add(low as usize);
            if low == end || (*site).offset != offset {
                return None;
            }
            let mut handlers = (self.header.handlers as *const u32).add((*site).handlers as usize);
            for _ in 0..*handlers {
                let (wanted, pad) = (*handlers.add(1), *handlers.add(2));
                if wanted == tag || wanted == ANY_TAG {
                    return Some(chunk + u64::from(pad));
                }
                handlers = handlers.add(2);
            }
            None
        }
    }

    /// Turns the registers at the throw into those at the handler. Without a handler they are no longer of use, and
    /// it returns false.
    ///
    /// # Safety
    /// They are those of a function of generated code that called, see the head of the file.
    #[cfg_attr(
        feature = "freestanding",
        unsafe(link_section = ".text.elfin_exception")
    )]
    pub unsafe fn unwind(&self, tag: u32, frame: &mut Frame) -> bool {
        while let Some(place) = self.find(frame.pc) {
            // SAFETY: the tables of the header, and a frame that the function made.
            unsafe {
                let function = (self.header.frames as *const FunctionFrame).add(place.function);
                if let Some(pc) = self.handler(&place, frame.pc, tag) {
                    frame.sp = frame.fp - u64::from((*function).size);
                    frame.pc = pc;
                    return true;
                }
                let fp = frame.fp as *const u64;
                let mut list = (self.header.saves as *const u8).add((*function).saves as usize);
                for _ in 0..*list {
                    let (register, below) = (*list.add(1), *list.add(2));
                    if let Some(register) = frame.saved.get_mut(usize::from(register)) {
                        *register = *fp.sub(usize::from(below));
                    }
                    list = list.add(2);
                }
                frame.fp = *fp;
                frame.pc = *fp.add(1);
            }
        }
        false
    }

    /// The name of a tag.
    #[must_use]
    #[cfg_attr(
        feature = "freestanding",
        unsafe(link_section = ".text.elfin_exception")
    )]
    pub fn tag_name(&self, tag: u32) -> &'a [u8] {
        // SAFETY: the tables of the header; there is one offset more than tags.
        unsafe {
            let offset = (self.header.name_offsets as *const u32).add(tag as usize);
            let (start, end) = (*offset, *offset.add(1));
            let name = (self.header.names as *const u8).add(start as usize);
            core::slice::from_raw_parts(name, (end - start) as usize)
        }
    }
}

/// Finds the handler. Entered through `elfin_throw` of the arch file, which goes on with the registers in `frame`.
///
/// # Safety
/// The exception is one; `frame` is as [`Tables::unwind`] wants it.
#[cfg(feature = "freestanding")]
#[cfg_attr(
    feature = "freestanding",
    unsafe(link_section = ".text.elfin_exception")
)]
pub unsafe extern "C" fn unwind(exception: *const Exception, frame: &mut Frame) {
    let (fp, pc) = (frame.fp, frame.pc);
    // SAFETY: by contract.
    unsafe {
        let tables = tables();
        let tag = (*exception).tag - tables.header.first_tag as u32;
        if !tables.unwind(tag, frame) {
            let end = UNCAUGHT.load(core::sync::atomic::Ordering::Relaxed);
            // Who sets it says so.
            let end: extern "C" fn(u32, u64, u64) -> ! = core::mem::transmute(end);
            end(tag, fp, pc)
        }
    }
}

/// Hosted builds throw nothing.
///
/// # Safety
/// It does nothing.
#[cfg(not(feature = "freestanding"))]
#[cfg_attr(
    feature = "freestanding",
    unsafe(link_section = ".text.elfin_exception")
)]
pub unsafe extern "C" fn unwind(_: *const Exception, _: &mut Frame) {}

/// Ends the program: a line with the tag's name and the backtrace of the throw.
#[cfg(feature = "freestanding")]
#[cold]
#[cfg_attr(
    feature = "freestanding",
    unsafe(link_section = ".text.elfin_exception")
)]
extern "C" fn uncaught(tag: u32, fp: u64, return_address: u64) -> ! {
    let mut message = crate::message::Message::new("elfin: uncaught exception ");
    message.escaped(tables().tag_name(tag));
    crate::trap::end(
        message,
        &arch::Registers {
            pc: return_address.wrapping_sub(1),
            fp,
            ..arch::Registers::default()
        },
    )
}

#[cfg(test)]
mod tests;
