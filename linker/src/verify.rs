//! Verification: the finished file is read back, and the promises about it are checked.
//!
//! In: bytes, [`Layout`], [`Options`]. Out: nothing, or an internal error. It reads the headers as a
//! loader would and does not believe the layout.

use object::LittleEndian as LE;
use object::elf;
use object::read::elf::{FileHeader as _, ProgramHeader as _};

use crate::layout::{Content, Layout};
use crate::{Error, Options};

/// Checks the invariants of an executable.
pub(crate) fn verify(
    bytes: &[u8],
    layout: &Layout,
    placed: &[crate::input::SectionId],
    options: &Options,
    page: u64,
) -> Result<(), Error> {
    match check(bytes, layout, placed, options, page) {
        Ok(()) => Ok(()),
        Err(what) => Err(Error::Internal { what }),
    }
}

fn check(
    bytes: &[u8],
    layout: &Layout,
    placed: &[crate::input::SectionId],
    options: &Options,
    page: u64,
) -> Result<(), String> {
    let header = elf::FileHeader64::<LE>::parse(bytes).map_err(|e| e.to_string())?;
    let segments = header
        .program_headers(LE, bytes)
        .map_err(|e| e.to_string())?;
    let ensure = |condition: bool, what: &str| match condition {
        true => Ok(()),
        false => Err(what.to_string()),
    };

    let mut end = 0;
    let mut entry_is_code = false;
    let mut stack = false;
    for segment in segments {
        let flags = segment.p_flags(LE);
        let writable = flags & elf::PF_W != 0;
        let executable = flags & elf::PF_X != 0;
        match segment.p_type(LE) {
            elf::PT_LOAD => {}
            elf::PT_GNU_STACK => {
                ensure(!executable, "the stack is executable")?;
                stack = true;
                continue;
            }
            other => return Err(format!("a program header of type {other:#x}")),
        }
        let (address, mem_size) = (segment.p_vaddr(LE), segment.p_memsz(LE));
        let (offset, file_size) = (segment.p_offset(LE), segment.p_filesz(LE));
        ensure(
            !(writable && executable),
            "a segment is writable and executable",
        )?;
        ensure(
            mem_size > 0 && file_size <= mem_size,
            "a segment is larger in the file",
        )?;
        ensure(
            writable || file_size == mem_size,
            "a read-only segment is filled with zeroes",
        )?;
        ensure(
            offset
                .checked_add(file_size)
                .is_some_and(|end| end <= bytes.len() as u64),
            "a segment lies outside of the file",
        )?;
        ensure(
            offset % page == address % page,
            "a segment cannot be mapped",
        )?;
        ensure(
            address - address % page >= end,
            "segments overlap or are not ascending",
        )?;
        let segment_end = address
            .checked_add(mem_size)
            .ok_or("a segment wraps around")?;
        end = segment_end.next_multiple_of(page);
        let entry = header.e_entry.get(LE);
        entry_is_code |= executable && (address..segment_end).contains(&entry);
    }
    ensure(
        stack,
        "no program header says that the stack is not executable",
    )?;
    ensure(
        entry_is_code,
        "the entry point is not in an executable segment",
    )?;
    let first = segments.first().ok_or("no program headers")?;
    ensure(
        first.p_vaddr(LE) == options.state_base && first.p_offset(LE) == 0,
        "the file header is not mapped at the start of the state",
    )?;

    // What lies where the layout says lies in a segment that maps it there.
    for part in layout.parts.iter().filter(|part| part.mem_size > 0) {
        let mapped = segments.iter().any(|segment| {
            let (address, mem_size) = (segment.p_vaddr(LE), segment.p_memsz(LE));
            let (offset, file_size) = (segment.p_offset(LE), segment.p_filesz(LE));
            let Some(start) = part.address.checked_sub(address) else {
                return false;
            };
            let in_memory = start + part.mem_size <= mem_size;
            let in_file = part.file_size == 0
                || offset + start == part.file_offset && start + part.file_size <= file_size;
            segment.p_type(LE) == elf::PT_LOAD && in_memory && in_file
        });
        ensure(
            mapped,
            &format!("{:?} is not mapped where it should be", part.content),
        )?;
    }
    for (id, placement) in placed.iter().zip(&options.placements) {
        let there = layout
            .parts
            .iter()
            .any(|part| part.content == Content::Section(*id) && part.address == placement.address);
        ensure(
            there,
            &format!("section {} is not at its place", placement.section),
        )?;
    }
    Ok(())
}
