//! The map of an image: what lies where.
//!
//! In: [`Layout`]. Out: [`Map`], plain data for tools, and its text for people.

use std::fmt;

use crate::input::{Objects, Place, SectionId};
use crate::layout::{Content, Layout};
use crate::symbol::Resolved;
use crate::symbol::Target;

/// What lies where in an image.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Map {
    /// Loadable segments, ascending by address.
    pub segments: Vec<MapSegment>,
    /// Sections (and what the linker itself adds), in the order of the file.
    pub sections: Vec<MapSection>,
    /// Named symbols in them, ascending by address.
    pub symbols: Vec<MapSymbol>,
    /// Address of the entry point.
    pub entry: u64,
}

/// A loadable segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MapSegment {
    /// What it holds.
    pub name: &'static str,
    /// It can be written to.
    pub writable: bool,
    /// It can be executed.
    pub executable: bool,
    /// Its first address.
    pub address: u64,
    /// Bytes in memory.
    pub mem_size: u64,
    /// Where its bytes are in the file.
    pub file_offset: u64,
    /// How many bytes are in the file.
    pub file_size: u64,
}

/// An input section in the image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MapSection {
    /// Its name; in parentheses when the linker made it.
    pub name: String,
    /// The input it comes from; empty when the linker made it.
    pub object: String,
    /// Its first address.
    pub address: u64,
    /// Bytes in memory.
    pub mem_size: u64,
    /// Where its bytes are in the file.
    pub file_offset: u64,
    /// How many bytes are in the file; zero when it is zero-filled.
    pub file_size: u64,
}

/// A symbol in the image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MapSymbol {
    /// Its name.
    pub name: String,
    /// Its address.
    pub address: u64,
    /// Its size, as its object says.
    pub size: u64,
    /// It is visible to other objects.
    pub global: bool,
    /// It is a function.
    pub function: bool,
}

/// Describes an image.
pub(crate) fn describe(objects: &Objects<'_>, resolved: &Resolved, layout: &Layout) -> Map {
    let segments = layout
        .segments
        .iter()
        .map(|segment| MapSegment {
            name: segment.kind.name(),
            writable: segment.kind.is_writable(),
            executable: segment.kind.is_executable(),
            address: segment.address,
            mem_size: segment.mem_size,
            file_offset: segment.file_offset,
            file_size: segment.file_size,
        })
        .collect();
    let mut present = vec![false; objects.sections.len()];
    let sections = layout
        .parts
        .iter()
        .map(|part| {
            let (name, object) = match part.content {
                Content::Section(id) => {
                    present[id.0 as usize] = true;
                    let section = objects.section(id);
                    (section.name, objects.object_name(section.object))
                }
                Content::Got => ("(addresses)", ""),
                Content::Island(_) => ("(veneers)", ""),
            };
            MapSection {
                name: name.into(),
                object: object.into(),
                address: part.address,
                mem_size: part.mem_size,
                file_offset: part.file_offset,
                file_size: part.file_size,
            }
        })
        .collect();
    let is_present = |id: SectionId| present[id.0 as usize];
    let mut symbols: Vec<MapSymbol> = objects
        .symbols
        .iter()
        .enumerate()
        .filter_map(|(index, symbol)| {
            let Place::Section(section) = symbol.place else {
                return None;
            };
            // A definition that lost to another one is not what the name means.
            let meant = resolved.targets[index] == Target::Section(section, symbol.value);
            if symbol.name.is_empty() || symbol.is_section || !is_present(section) || !meant {
                return None;
            }
            let address = layout.place(section, symbol.value);
            let end = layout.place(section, symbol.value.saturating_add(symbol.size));
            Some(MapSymbol {
                name: symbol.name.to_string(),
                address,
                size: end.wrapping_sub(address),
                global: symbol.binding != crate::input::Binding::Local,
                function: symbol.is_function,
            })
        })
        .collect();
    symbols.sort_by(|a, b| (a.address, &a.name).cmp(&(b.address, &b.name)));
    Map {
        segments,
        sections,
        symbols,
        entry: layout.entry,
    }
}

impl fmt::Display for Map {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "entry {:#x}\n\nsegments", self.entry)?;
        writeln!(
            f,
            "{:>18} {:>12} {:>10} {:>10}",
            "address", "memory", "offset", "file"
        )?;
        for s in &self.segments {
            let MapSegment {
                address,
                mem_size,
                file_offset,
                file_size,
                ..
            } = s;
            let rights = match (s.writable, s.executable) {
                (true, _) => "rw-",
                (false, true) => "r-x",
                (false, false) => "r--",
            };
            let name = s.name;
            writeln!(
                f,
                "{address:#18x} {mem_size:#12x} {file_offset:#10x} {file_size:#10x} {rights} {name}"
            )?;
        }
        writeln!(f, "\nsections")?;
        for s in &self.sections {
            let MapSection {
                name,
                object,
                address,
                mem_size,
                file_offset,
                file_size,
            } = s;
            writeln!(
                f,
                "{address:#18x} {mem_size:#12x} {file_offset:#10x} {file_size:#10x} {name} {object}"
            )?;
        }
        writeln!(f, "\nsymbols")?;
        for s in &self.symbols {
            writeln!(f, "{:#18x} {:#12x} {}", s.address, s.size, s.name)?;
        }
        Ok(())
    }
}
