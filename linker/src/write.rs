//! Writing: headers and bytes of every part, before relocations.
//!
//! In: [`Layout`]. Out: the file. This is the one place where section data is copied.

use object::elf;

use crate::error::Error;
use crate::input::Objects;
use crate::layout::{Content, FILE_HEADER, Layout, PROGRAM_HEADER, SegmentKind};

/// Writes the file without relocations applied.
pub(crate) fn write_parts(objects: &Objects<'_>, layout: &Layout) -> Result<Vec<u8>, Error> {
    let mut bytes = vec![0; layout.file_size as usize];
    write_headers(objects, layout, &mut bytes);
    let mut text_end = None;
    for part in layout.parts.iter().filter(|part| part.file_size > 0) {
        let start = part.file_offset as usize;
        let out = &mut bytes[start..start + part.file_size as usize];
        match part.content {
            Content::Section(id) => {
                let data = objects.section(id).data;
                let mut written = 0;
                let mut copy = |from: u64, to: u64| {
                    let piece = &data[from as usize..to as usize];
                    out[written..written + piece.len()].copy_from_slice(piece);
                    written += piece.len();
                };
                let mut from = 0;
                let shape = layout.shapes.get(&id);
                for gap in shape.map_or(&[][..], |shape| &shape.gaps) {
                    copy(from, gap.start);
                    from = gap.end;
                }
                copy(from, data.len() as u64);
                if written as u64 != part.file_size {
                    let what = format!("section {} changed its size", objects.section(id).name);
                    return Err(Error::Internal { what });
                }
                if let (Some(shape), Some(shortening)) = (shape, objects.arch.shortening()) {
                    for &(offset, len) in &shape.nops {
                        let start = shape.offset(offset) as usize;
                        (shortening.pad)(&mut out[start..start + len as usize]);
                    }
                }
            }
            // Filled by relocation.
            Content::Got | Content::Island(_) => {}
        }
        if part.segment == SegmentKind::Text {
            if let Some(end) = text_end {
                bytes[end..start].fill(objects.arch.text_fill());
            }
            text_end = Some(start + part.file_size as usize);
        }
    }
    Ok(bytes)
}

fn write_headers(objects: &Objects<'_>, layout: &Layout, bytes: &mut [u8]) {
    let mut at = 0;
    let mut put = |field: &[u8]| {
        bytes[at..at + field.len()].copy_from_slice(field);
        at += field.len();
    };
    let program_headers = layout.segments.len() as u16 + 1;

    // gABI, "ELF Header". There is no section header table: nothing at run time reads it.
    put(&elf::ELFMAG);
    put(&[
        elf::ELFCLASS64,
        elf::ELFDATA2LSB,
        elf::EV_CURRENT,
        elf::ELFOSABI_SYSV,
        0,
    ]);
    put(&[0; 7]);
    put(&elf::ET_EXEC.to_le_bytes());
    put(&objects.arch.machine().to_le_bytes());
    put(&u32::from(elf::EV_CURRENT).to_le_bytes());
    put(&layout.entry.to_le_bytes());
    put(&FILE_HEADER.to_le_bytes()); // e_phoff
    put(&0_u64.to_le_bytes()); // e_shoff
    put(&objects.flags.to_le_bytes());
    put(&(FILE_HEADER as u16).to_le_bytes());
    put(&(PROGRAM_HEADER as u16).to_le_bytes());
    put(&program_headers.to_le_bytes());
    put(&64_u16.to_le_bytes()); // e_shentsize
    put(&0_u16.to_le_bytes()); // e_shnum
    put(&0_u16.to_le_bytes()); // e_shstrndx

    // gABI, "Program Header".
    let mut put_segment =
        |kind: u32, flags: u32, offset: u64, address: u64, sizes: (u64, u64), align: u64| {
            put(&kind.to_le_bytes());
            put(&flags.to_le_bytes());
            put(&offset.to_le_bytes());
            put(&address.to_le_bytes());
            put(&address.to_le_bytes());
            put(&sizes.0.to_le_bytes());
            put(&sizes.1.to_le_bytes());
            put(&align.to_le_bytes());
        };
    for segment in &layout.segments {
        let mut flags = elf::PF_R;
        if segment.kind.is_writable() {
            flags |= elf::PF_W;
        }
        if segment.kind.is_executable() {
            flags |= elf::PF_X;
        }
        let sizes = (segment.file_size, segment.mem_size);
        let page = objects.arch.max_page();
        put_segment(
            elf::PT_LOAD,
            flags,
            segment.file_offset,
            segment.address,
            sizes,
            page,
        );
    }
    // The process's own stack, not the guest's: without this header the kernel makes it executable.
    put_segment(elf::PT_GNU_STACK, elf::PF_R | elf::PF_W, 0, 0, (0, 0), 16);
}
