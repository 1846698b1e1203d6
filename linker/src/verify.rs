//! Verification: the finished file is read back, and the promises about it are checked.
//!
//! In: bytes, [`Layout`], [`Options`]. Out: nothing, or an internal error. It reads the headers as a
//! loader would and does not believe the layout.

use object::LittleEndian as LE;
use object::elf;
use object::read::elf::{FileHeader as _, ProgramHeader as _};

use crate::input::SectionId;
use crate::layout::{Content, Layout, Part};
use crate::{Error, Options};

type ProgramHeader = elf::ProgramHeader64<LE>;

/// Checks the invariants of an executable.
pub(crate) fn verify(
    bytes: &[u8],
    layout: &Layout,
    placed: &[SectionId],
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
    placed: &[SectionId],
    options: &Options,
    page: u64,
) -> Result<(), String> {
    let header = elf::FileHeader64::<LE>::parse(bytes).map_err(|e| e.to_string())?;
    let segments = header
        .program_headers(LE, bytes)
        .map_err(|e| e.to_string())?;
    check_segments(segments, header.e_entry.get(LE), bytes.len() as u64, page)?;
    let first = segments.first().ok_or("no program headers")?;
    ensure(
        first.p_vaddr(LE) == options.state_base && first.p_offset(LE) == 0,
        "the file header is not mapped at the start of the state",
    )?;

    // What lies where the layout says lies in a segment that maps it there.
    for part in layout.parts.iter().filter(|part| part.mem_size > 0) {
        ensure(
            segments.iter().any(|segment| maps(segment, part)),
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

/// What must hold of segments whatever they contain.
fn check_segments(
    segments: &[ProgramHeader],
    entry: u64,
    file_size: u64,
    page: u64,
) -> Result<(), String> {
    let mut end = 0;
    let mut entry_is_code = false;
    let mut has_stack = false;
    for segment in segments {
        let is_executable = segment.p_flags(LE) & elf::PF_X != 0;
        match segment.p_type(LE) {
            elf::PT_LOAD => {}
            elf::PT_GNU_STACK => {
                ensure(!is_executable, "the stack is executable")?;
                has_stack = true;
                continue;
            }
            other => return Err(format!("a program header of type {other:#x}")),
        }
        check_loaded(segment, file_size, page)?;
        let address = segment.p_vaddr(LE);
        ensure(
            address - address % page >= end,
            "segments overlap or are not ascending",
        )?;
        let segment_end = address
            .checked_add(segment.p_memsz(LE))
            .ok_or("a segment wraps around")?;
        end = segment_end.next_multiple_of(page);
        entry_is_code |= is_executable && (address..segment_end).contains(&entry);
    }
    ensure(
        has_stack,
        "no program header says that the stack is not executable",
    )?;
    ensure(
        entry_is_code,
        "the entry point is not in an executable segment",
    )
}

/// What must hold of a segment that is loaded from a file of `size` bytes.
fn check_loaded(segment: &ProgramHeader, size: u64, page: u64) -> Result<(), String> {
    let is_writable = segment.p_flags(LE) & elf::PF_W != 0;
    let is_executable = segment.p_flags(LE) & elf::PF_X != 0;
    let (offset, file_size) = (segment.p_offset(LE), segment.p_filesz(LE));
    let mem_size = segment.p_memsz(LE);
    ensure(
        !(is_writable && is_executable),
        "a segment is writable and executable",
    )?;
    ensure(
        mem_size > 0 && file_size <= mem_size,
        "a segment is larger in the file",
    )?;
    ensure(
        is_writable || file_size == mem_size,
        "a read-only segment is filled with zeroes",
    )?;
    ensure(
        offset.checked_add(file_size).is_some_and(|end| end <= size),
        "a segment lies outside of the file",
    )?;
    ensure(
        offset % page == segment.p_vaddr(LE) % page,
        "a segment cannot be mapped",
    )
}

/// Whether a segment maps a part where the layout has it.
fn maps(segment: &ProgramHeader, part: &Part) -> bool {
    let Some(start) = part.address.checked_sub(segment.p_vaddr(LE)) else {
        return false;
    };
    let in_memory = start + part.mem_size <= segment.p_memsz(LE);
    let in_file = part.file_size == 0
        || segment.p_offset(LE) + start == part.file_offset
            && start + part.file_size <= segment.p_filesz(LE);
    segment.p_type(LE) == elf::PT_LOAD && in_memory && in_file
}

fn ensure(condition: bool, what: &str) -> Result<(), String> {
    match condition {
        true => Ok(()),
        false => Err(what.to_owned()),
    }
}
