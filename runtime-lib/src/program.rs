//! The program header, read safely: what is linked into this executable.
//!
//! In: the raw records of `elfin_abi::program`. Out: slices of them, and what lies at an address of
//! generated code. In a hosted build the header is empty.
//!
//! # Safety
//! The records are written by the compiler and checked by the linker; every address and count in them
//! is believed. They are read-only and live as long as the process.
#![allow(unsafe_code, reason = "raw records become slices here")]

use core::marker::PhantomData;
use elfin_abi::program::{
    Copy, FuncRecord, ImageRange, MemoryInfo, ProgramHeader, TableInfo, TextChunk,
};
use elfin_abi::trap::TrapCode;

/// The program that a process runs.
#[derive(Clone, core::marker::Copy, Debug)]
pub struct Program<'a> {
    header: &'a ProgramHeader,
}

/// An address of generated code, resolved.
#[derive(Clone, core::marker::Copy, Debug)]
pub struct CodeAddress<'a> {
    chunk: &'a TextChunk,
    offset: u32,
}

/// The program that is linked into this executable.
#[cfg(feature = "freestanding")]
#[must_use]
pub fn program() -> Program<'static> {
    unsafe extern "C" {
        #[link_name = "elfin_program"]
        safe static PROGRAM: ProgramHeader;
    }
    // SAFETY: the linked header is complete.
    unsafe { Program::new(&PROGRAM) }
}

/// The empty program of a hosted build.
#[cfg(not(feature = "freestanding"))]
#[must_use]
pub fn program() -> Program<'static> {
    const EMPTY: &ProgramHeader = &ProgramHeader {
        state: 0,
        memories: 0,
        memory_count: 0,
        images: 0,
        copies: 0,
        copy_count: 0,
        tables: 0,
        table_count: 0,
        chunks: 0,
        chunk_count: 0,
        functions: 0,
        names: 0,
        trap_offsets: 0,
        trap_codes: 0,
        stack_base: 0,
        stack_size: 0,
    };
    // SAFETY: it has no records.
    unsafe { Program::new(EMPTY) }
}

/// An array of records, one after the other. Unlike a slice it may be empty at address 0, and so needs no
/// test for it.
#[derive(Clone, Debug)]
pub struct Records<'a, T> {
    next: *const T,
    left: u64,
    lifetime: PhantomData<&'a T>,
}

impl<T> Records<'_, T> {
    /// # Safety
    /// Records `first..first + count` of the array at `address` are there, and nothing writes to them
    /// during the lifetime.
    unsafe fn new(address: u64, first: u32, count: u64) -> Self {
        let next = (address as *const T).wrapping_add(first as usize);
        Self {
            next,
            left: count,
            lifetime: PhantomData,
        }
    }
}

impl<'a, T> Iterator for Records<'a, T> {
    type Item = &'a T;

    fn next(&mut self) -> Option<&'a T> {
        self.left = self.left.checked_sub(1)?;
        // SAFETY: by contract of `new`.
        let record = unsafe { &*self.next };
        self.next = self.next.wrapping_add(1);
        Some(record)
    }
}

/// Records `first..first + count` of the array at `address`, as a slice.
///
/// # Safety
/// They are there, and nothing writes to them during `'a`.
unsafe fn records<'a, T>(address: u64, first: u64, count: u64) -> &'a [T] {
    if count == 0 {
        return &[];
    }
    let start = (address as *const T).wrapping_add(first as usize);
    // SAFETY: by contract.
    unsafe { core::slice::from_raw_parts(start, count as usize) }
}

impl<'a> Program<'a> {
    /// # Safety
    /// Every address and count in the header is right for as long as `'a`.
    #[must_use]
    pub unsafe fn new(header: &'a ProgramHeader) -> Self {
        Self { header }
    }

    /// The header itself, for its plain numbers.
    #[must_use]
    pub fn header(&self) -> &'a ProgramHeader {
        self.header
    }

    /// Every linear memory.
    #[must_use]
    pub fn memories(&self) -> Records<'a, MemoryInfo> {
        // SAFETY: by contract of `new`.
        unsafe { Records::new(self.header.memories, 0, self.header.memory_count) }
    }

    /// The parts of a memory that the executable's own segments map.
    #[must_use]
    pub fn images(&self, memory: &MemoryInfo) -> Records<'a, ImageRange> {
        // SAFETY: by contract of `new`.
        unsafe {
            Records::new(
                self.header.images,
                memory.first_image,
                memory.image_count.into(),
            )
        }
    }

    /// What must be copied at start.
    #[must_use]
    pub fn copies(&self) -> Records<'a, Copy> {
        // SAFETY: by contract of `new`.
        unsafe { Records::new(self.header.copies, 0, self.header.copy_count) }
    }

    /// The tables with a reservation of their own.
    #[must_use]
    pub fn tables(&self) -> Records<'a, TableInfo> {
        // SAFETY: by contract of `new`.
        unsafe { Records::new(self.header.tables, 0, self.header.table_count) }
    }

    /// `pc` as an address of generated code, if it is one.
    #[must_use]
    pub fn code_address(&self, pc: u64) -> Option<CodeAddress<'a>> {
        // SAFETY: by contract of `new`.
        let mut chunks =
            unsafe { Records::<TextChunk>::new(self.header.chunks, 0, self.header.chunk_count) };
        // There are a handful at most: no search among them is worth its size.
        let chunk = chunks.find(|chunk| pc.wrapping_sub(chunk.start) < chunk.size.into())?;
        Some(CodeAddress {
            chunk,
            offset: (pc - chunk.start) as u32,
        })
    }

    /// The function that contains an address.
    #[must_use]
    pub fn function(&self, at: CodeAddress<'_>) -> Option<&'a FuncRecord> {
        let (first, count) = (
            at.chunk.first_function.into(),
            at.chunk.function_count.into(),
        );
        // SAFETY: by contract of `new`.
        let functions: &[FuncRecord] = unsafe { records(self.header.functions, first, count) };
        functions.get(
            functions
                .partition_point(|function| function.offset <= at.offset)
                .checked_sub(1)?,
        )
    }

    /// The function's name; empty when the module gives none.
    #[must_use]
    pub fn name(&self, function: &FuncRecord) -> &'a [u8] {
        // SAFETY: by contract of `new`.
        unsafe {
            records(
                self.header.names,
                function.name.into(),
                function.name_len.into(),
            )
        }
    }

    /// The code of the trap that the instruction at exactly this address raises; one copy for each handler, see
    /// [`crate::signal::classify`].
    #[must_use]
    pub fn trap<const HANDLER: u8>(&self, at: CodeAddress<'_>) -> Option<TrapCode> {
        let (first, count) = (at.chunk.first_trap.into(), at.chunk.trap_count.into());
        // SAFETY: by contract of `new`; the two arrays are parallel.
        let (offsets, codes): (&[u32], &[u8]) = unsafe {
            (
                records(self.header.trap_offsets, first, count),
                records(self.header.trap_codes, first, count),
            )
        };
        let index = offsets.partition_point(|&offset| offset < at.offset);
        if *offsets.get(index)? != at.offset {
            return None;
        }
        TrapCode::from_u8(*codes.get(index)?)
    }
}

impl CodeAddress<'_> {
    /// Bytes from the first instruction of `function`, which contains the address.
    #[must_use]
    pub fn within(&self, function: &FuncRecord) -> u32 {
        self.offset - function.offset
    }
}

/// A program for tests: two chunks of code, three functions, traps, one memory, and a stack to walk on.
#[cfg(test)]
pub(crate) mod sample {
    use super::*;
    use elfin_abi::state::MemoryDescriptor;
    use std::boxed::Box;
    use std::vec;
    use std::vec::Vec;

    pub(crate) const CODE: u64 = 0x10_0000;
    pub(crate) const FAR_CODE: u64 = 0x90_0000;
    pub(crate) const MEMORY: u64 = 0x4000_0000;
    pub(crate) const RESERVATION: u64 = 0x20_0000;

    /// Leaks what a process would have for good.
    pub(crate) fn program(stack: &[u64]) -> Program<'static> {
        fn array<T>(records: Vec<T>) -> u64 {
            Vec::leak(records).as_ptr() as u64
        }
        let chunk = |start, first_function, function_count, first_trap, trap_count| TextChunk {
            start,
            size: 0x100,
            first_function,
            function_count,
            first_trap,
            trap_count,
            reserved: 0,
        };
        let function = |offset, name, name_len, index| FuncRecord {
            offset,
            name,
            name_len,
            index,
        };
        let memory = MemoryDescriptor {
            base: MEMORY,
            len: 0x1_0000,
            max: 0x10_0000,
            page_log2: 16,
        };
        let header = ProgramHeader {
            state: 0,
            memories: array(vec![MemoryInfo {
                descriptor: array(vec![memory]),
                reservation: RESERVATION,
                first_image: 0,
                image_count: 0,
            }]),
            memory_count: 1,
            images: 0,
            copies: 0,
            copy_count: 0,
            tables: 0,
            table_count: 0,
            chunks: array(vec![chunk(CODE, 0, 3, 0, 2), chunk(FAR_CODE, 3, 1, 2, 1)]),
            chunk_count: 2,
            functions: array(vec![
                function(0, 0, 0, FuncRecord::GLUE),
                function(0x40, 0, 5, 3),
                function(0x80, 0, 0, FuncRecord::FRAMELESS | 17),
                function(0x10, 5, 3, 4),
            ]),
            names: array(b"outerf\x1br".to_vec()),
            trap_offsets: array(vec![0x50_u32, 0x90, 0x50]),
            trap_codes: array(vec![1_u8, 2, 11]),
            stack_base: stack.as_ptr() as u64,
            stack_size: size_of_val(stack) as u64,
        };
        // SAFETY: the records are leaked; those who walk on the stack keep it.
        unsafe { Program::new(Box::leak(Box::new(header))) }
    }
}

#[cfg(test)]
mod tests {
    use super::sample::{CODE, FAR_CODE, program};
    use super::*;

    #[test]
    fn addresses_of_code_are_found_in_their_chunk() {
        let program = program(&[]);
        for (pc, expected) in [
            (0, None),
            (CODE - 1, None),
            (CODE, Some(FuncRecord::GLUE)),
            (CODE + 0x3f, Some(FuncRecord::GLUE)),
            (CODE + 0x40, Some(3)),
            (CODE + 0xff, Some(FuncRecord::FRAMELESS | 17)),
            (CODE + 0x100, None),
            (FAR_CODE + 0xff, Some(4)),
            (FAR_CODE + 0x100, None),
            (u64::MAX, None),
        ] {
            let function = program.code_address(pc).and_then(|at| program.function(at));
            assert_eq!(function.map(|function| function.index), expected, "{pc:#x}");
        }
        // Before the first function of a chunk.
        let at = program.code_address(FAR_CODE).expect("code");
        assert!(program.function(at).is_none());
    }

    #[test]
    fn a_trap_is_found_at_its_exact_address() {
        let program = program(&[]);
        let trap = |pc| {
            program
                .code_address(pc)
                .and_then(|at| program.trap::<0>(at))
        };
        assert_eq!(trap(CODE + 0x50), Some(TrapCode::Unreachable));
        assert_eq!(trap(CODE + 0x90), Some(TrapCode::IntegerDivideByZero));
        assert_eq!(trap(FAR_CODE + 0x50), Some(TrapCode::NullFunctionReference));
        for pc in [CODE, CODE + 0x4f, CODE + 0x51, CODE + 0x91, FAR_CODE + 0x90] {
            assert_eq!(trap(pc), None, "{pc:#x}");
        }
    }
}
