//! Roots: words outside the heap that hold references.
//!
//! In: the program's records and the frame that asks for room. Out: every such word, visited once: globals,
//! tables, element segments, and what the calls in progress keep in their frames. Those are found by their
//! return addresses, along the chain of frame pointers, up to the first that is not generated code.
#![allow(unsafe_code, reason = "reads frames and the program's records")]

use super::collect::Collector;
use elfin_abi::gc::{ChunkFrames, Program, Run, Safepoint};
use elfin_abi::program::{ProgramHeader, TextChunk};

/// Visits every root. Returns how many bytes of the stack were looked through.
///
/// # Safety
/// See [`super`].
#[cfg_attr(feature = "freestanding", unsafe(link_section = ".text.elfin_gc"))]
pub(super) unsafe fn visit(
    program: &Program,
    header: &ProgramHeader,
    fp: u64,
    return_address: u64,
    collector: &mut Collector<'_>,
) -> u64 {
    // SAFETY: by contract.
    unsafe {
        let words = program.words as *const *mut u64;
        for index in 0..program.word_count as usize {
            collector.visit(*words.add(index));
        }
        let lists = program.lists as *const *const [u64; 2];
        for index in 0..program.list_count as usize {
            let [base, count] = **lists.add(index);
            for word in 0..count as usize {
                collector.visit((base as *mut u64).add(word));
            }
        }
        frames(program, header, fp, return_address, collector)
    }
}

/// Visits what lies in the frames of the calls in progress.
#[inline(always)]
pub(super) unsafe fn frames(
    program: &Program,
    header: &ProgramHeader,
    mut fp: u64,
    mut return_address: u64,
    collector: &mut Collector<'_>,
) -> u64 {
    let (first, mut last) = (fp, fp);
    // SAFETY: generated code keeps frame records, and only its frames are looked into.
    while let Some(frame) = unsafe { find(program, header, return_address) } {
        // SAFETY: likewise; the compiler's list of this frame.
        unsafe {
            let list = (program.frames as *const u32).add(frame as usize);
            let mut left = *list as usize;
            while left != 0 {
                let run = Run(*list.add(left));
                let lowest = (fp - u64::from(run.distance())) as *mut u64;
                for word in 0..run.words() as usize {
                    collector.visit(lowest.add(word));
                }
                left -= 1;
            }
            return_address = *((fp + 8) as *const u64);
            last = fp;
            fp = *(fp as *const u64);
        }
    }
    last - first
}

/// Where the list of a frame begins, by the return address into it; a list without entries if there are no
/// references, `None` if it is no address of generated code.
#[inline(always)]
unsafe fn find(program: &Program, header: &ProgramHeader, return_address: u64) -> Option<u32> {
    /// Where every program has a list without entries.
    const EMPTY: u32 = 0;
    let chunks = header.chunks as *const TextChunk;
    for index in 0..header.chunk_count as usize {
        // SAFETY: the program's records.
        unsafe {
            let chunk = &*chunks.add(index);
            // A call may be the last instruction of its chunk.
            let offset = return_address.wrapping_sub(chunk.start);
            if offset.wrapping_sub(1) >= u64::from(chunk.size) {
                continue;
            }
            let own = &*(program.chunks as *const ChunkFrames).add(index);
            let points = (program.safepoints as *const Safepoint).add(own.first as usize);
            let (mut low, mut high) = (0, own.count as usize);
            while low < high {
                let middle = (low + high) / 2;
                let point = &*points.add(middle);
                if point.offset == offset as u32 {
                    return Some(point.frame);
                }
                if point.offset < offset as u32 {
                    low = middle + 1;
                } else {
                    high = middle;
                }
            }
            return Some(EMPTY);
        }
    }
    None
}
