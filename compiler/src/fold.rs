//! Constant segments → initial images, and what is left to do at start.
//!
//! In: a [`Program`]. Out: for each memory the bytes it begins with, for each table the
//! entries, and for each instance the steps that could not be folded, in the specification's order (core
//! spec, 4.5.4 Instantiation: element segments, data segments, start function).
//!
//! An active segment is folded when nothing can tell the difference: no code runs before it is applied, or
//! nobody but its own instance can see the memory or table. A segment that is out of bounds is a step that
//! traps, and nothing after it is folded or done.

use crate::module::ConstExpr;
use crate::options::Arch;
use crate::parts;
use crate::program::{
    Callee, Constant, DataId, ElementId, FuncId, GlobalId, Instance, InstanceId, Program, TableId,
    evaluate,
};
use crate::usage::code_runs_before;
use elfin_abi::trap::TrapCode;
use std::collections::{BTreeMap, HashSet};
use std::ops::Range;

/// What memories and tables begin with, and the steps that remain.
#[derive(Debug, Default)]
pub struct Folded {
    /// One for each memory.
    pub memories: Vec<MemoryImage>,
    /// Entries of each table up to the last that is not null.
    pub tables: Vec<Vec<Option<Callee>>>,
    /// What is left to do, in order, over all instances. Behind a step that is known to trap, its instance
    /// has none, nor have those behind it in a command.
    pub steps: Vec<Step>,
    /// Which of `steps` each instance has.
    pub ranges: Vec<Range<usize>>,
    /// The steps that have functions of their own, divided; see [`crate::parts`].
    pub parts: Vec<Range<usize>>,
    /// One for each data segment.
    pub data: Vec<Applied>,
    /// One for each element segment.
    pub elements: Vec<Applied>,
}

/// How a segment takes effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Applied {
    /// It is part of the initial images, and gone.
    Folded,
    /// A step copies it and drops it.
    AtStart,
    /// Instructions use it; it was never applied.
    Never,
}

/// The initial image of a memory: what is mapped from the file and what is copied.
#[derive(Debug, Default)]
pub struct MemoryImage {
    /// Runs mapped from the file: ascending, each beginning at a multiple of the target's largest page
    /// size. Between two runs the memory is zero.
    pub mapped: Vec<Run>,
    /// Runs too small for a mapping of their own: copied at start.
    pub copied: Vec<Run>,
}

/// Bytes at an offset of a memory.
#[derive(Debug, PartialEq, Eq)]
pub struct Run {
    /// Offset in the memory.
    pub offset: u64,
    /// The bytes; neither the first nor the last page of them is all zero.
    pub bytes: Vec<u8>,
}

/// Something to be done when the program starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Copy an active data segment into its memory. It fits the initial length, or must be checked.
    CopyData(DataId),
    /// Copy an active element segment whose references are known into its table, likewise.
    CopyElements(ElementId),
    /// Trap unless an active element segment fits its table.
    CheckElements(ElementId),
    /// Evaluate some references of an active element segment, into its table.
    PlaceElements(ElementId, Items),
    /// Drop an active element segment whose references were evaluated.
    DropElements(ElementId),
    /// Give a global its initial value.
    SetGlobal(GlobalId),
    /// Give the entries of a table their initial value.
    FillTable(TableId),
    /// Evaluate some references of a passive element segment.
    EvaluateElements(ElementId, Items),
    /// Call a start function.
    Start(FuncId),
    /// Call a start function that is an import.
    StartImport(Callee),
    /// Instantiation fails.
    Trap(TrapCode),
}

/// Some items of an element segment: the first, and one past the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Items {
    /// The first.
    pub first: u32,
    /// One past the last.
    pub end: u32,
}

impl Step {
    /// The passive element segment whose references it evaluates.
    #[must_use]
    pub fn evaluates(&self) -> Option<ElementId> {
        match self {
            Step::EvaluateElements(id, _) => Some(*id),
            _ => None,
        }
    }

    /// The table of which it changes entries.
    #[must_use]
    pub fn fills(&self, program: &Program<'_>) -> Option<TableId> {
        match self {
            Step::CopyElements(id) | Step::PlaceElements(id, _) => program.elements[id.index()]
                .active
                .map(|(table, _)| TableId(table)),
            Step::FillTable(id) => Some(*id),
            _ => None,
        }
    }
}

/// Whether a reference is null or leads to a function: the linker can fill it in.
fn is_address(constant: Constant) -> bool {
    matches!(constant, Constant::Null | Constant::Function(_))
}

/// Whether some item of an element segment is neither null nor a function.
#[must_use]
pub fn is_computed(program: &Program<'_>, instance: &Instance<'_>, items: &[ConstExpr]) -> bool {
    items
        .iter()
        .any(|item| !is_address(evaluate(&program.globals, instance, item)))
}

/// Tables with more entries than this are not folded but filled at start.
const MAX_FOLDED_ENTRIES: u64 = 1 << 20;

/// A run shorter than this is copied at start: pages of its own in the file would cost more bytes than it has, and
/// save no time (15,000 bytes copied and 17,000 mapped start and exit in the same 87 µs, medians of 3,000 runs).
const fn min_mapped(arch: Arch) -> u64 {
    let page = arch.max_page_size();
    if page > 0x4000 { page } else { 0x4000 }
}

/// Most runs that are mapped for one program: each costs a program header and a mapping at exec.
const MAX_MAPPED_RUNS: usize = 8;

/// Two runs closer than this are one, the zeros between them in the file.
const MERGE_GAP: u64 = 0x2_0000;

/// A run with more zeros than this in the file, and more of them than [`MAX_ZEROS_SHARE`] times what they are between, is
/// copied: a megabyte of segments far from each other could otherwise make a file of four gigabytes.
const MAX_ZEROS: u64 = 16 << 20;
const MAX_ZEROS_SHARE: u64 = 4;

/// A run farther than this from the one before it is copied: the space between two mapped runs is
/// mapped as well, and would count as committed memory.
const MAX_MAPPED_GAP: u64 = 256 << 20;

/// Granule of the sparse image.
const PAGE: u64 = 0x1000;

/// Folds what can be folded.
#[must_use]
pub fn fold(program: &Program<'_>, arch: Arch) -> Folded {
    let mut sparse: Vec<Sparse> = program.memories.iter().map(|_| Sparse::default()).collect();
    let mut tables: Vec<Vec<Option<Callee>>> = program
        .tables
        .iter()
        .map(|table| match table.init {
            Constant::Function(callee) if table.initial <= MAX_FOLDED_ENTRIES => {
                vec![Some(callee); table.initial as usize]
            }
            _ => Vec::new(),
        })
        .collect();
    let mut folded = Folded {
        data: vec![Applied::Never; program.data.len()],
        elements: vec![Applied::Never; program.elements.len()],
        ..Folded::default()
    };
    fold_segments(program, &mut sparse, &mut tables, &mut folded);
    // Only the primary memory's image is mapped: it is the lowest in the address space, so that all
    // segments of the executable lie below everything that is reserved at start.
    let primary = program.primary_memory();
    folded.tables = tables;
    folded.parts = parts::divide(program, &folded);
    folded.memories = (0..)
        .map(crate::program::MemoryId)
        .zip(sparse)
        .map(|(id, image)| {
            image.into_runs(
                arch,
                if Some(id) == primary {
                    MAX_MAPPED_RUNS
                } else {
                    0
                },
            )
        })
        .collect();
    folded
}

fn fold_segments(
    program: &Program<'_>,
    memories: &mut [Sparse],
    tables: &mut [Vec<Option<Callee>>],
    folded: &mut Folded,
) {
    for position in 0..program.instances.len() {
        let id = crate::program::InstanceId(position as u32);
        let first = folded.steps.len();
        let result = fold_instance(program, id, memories, tables, folded);
        if let Err(trap) = result {
            folded.steps.push(Step::Trap(trap));
        }
        folded.ranges.push(first..folded.steps.len());
        if result.is_err() && program.script.is_none() {
            return;
        }
    }
}

/// Folds the segments of one instance.
///
/// # Errors
/// The trap with which instantiation ends, known before anything runs.
fn fold_instance(
    program: &Program<'_>,
    id: InstanceId,
    memories: &mut [Sparse],
    tables: &mut [Vec<Option<Callee>>],
    folded: &mut Folded,
) -> Result<(), TrapCode> {
    let instance = &program.instances[id.index()];
    let steps = &mut folded.steps;
    for global in &instance.globals {
        let info = &program.globals[global.index()];
        if info.instance == id && info.init == Constant::Computed {
            steps.push(Step::SetGlobal(*global));
        }
    }
    for table in &instance.tables {
        let info = &program.tables[table.index()];
        if info.instance == id && !is_address(info.init) {
            steps.push(Step::FillTable(*table));
        }
    }
    fold_elements(program, id, tables, folded)?;
    fold_data(program, id, memories, folded)?;
    if let Some(start) = instance.module.start {
        folded.steps.push(match instance.functions[start as usize] {
            Callee::Defined(id) => Step::Start(id),
            callee => Step::StartImport(callee),
        });
    }
    Ok(())
}

fn fold_elements(
    program: &Program<'_>,
    id: InstanceId,
    tables: &mut [Vec<Option<Callee>>],
    folded: &mut Folded,
) -> Result<(), TrapCode> {
    let instance = &program.instances[id.index()];
    let silent = !code_runs_before(program, id);
    let steps = &mut folded.steps;
    // Tables of which an entry is set at start, by one of `steps` so far.
    let mut late: HashSet<u32> = steps
        .iter()
        .filter_map(|step| step.fills(program).map(|table| table.0))
        .collect();
    for (segment, element) in (instance.first_element..).zip(&instance.module.elements) {
        let info = &program.elements[segment as usize];
        let applied = &mut folded.elements[segment as usize];
        let segment = ElementId(segment);
        if info.declared {
            *applied = Applied::Folded;
        }
        let computed = is_computed(program, instance, &element.items);
        let Some((table, offset)) = info.active else {
            if computed && !info.declared {
                let items = parts::divide_items(&element.items);
                steps.extend(items.map(|items| Step::EvaluateElements(segment, items)));
            }
            continue;
        };
        let table_info = &program.tables[table as usize];
        let private = silent || table_info.instance == id;
        // Somebody else's table may be longer when it comes to that.
        if private && offset.saturating_add(element.items.len() as u64) > table_info.initial {
            return Err(TrapCode::TableOutOfBounds);
        }
        // What was copied to a table first must not lie over what was copied later.
        let is_late = late.contains(&table);
        if !private || is_late || computed || table_info.initial > MAX_FOLDED_ENTRIES {
            if computed {
                steps.push(Step::CheckElements(segment));
                let items = parts::divide_items(&element.items);
                steps.extend(items.map(|items| Step::PlaceElements(segment, items)));
                steps.push(Step::DropElements(segment));
            } else {
                steps.push(Step::CopyElements(segment));
            }
            late.insert(table);
            *applied = Applied::AtStart;
            continue;
        }
        *applied = Applied::Folded;
        let entries = &mut tables[table as usize];
        for (slot, item) in (offset as usize..).zip(&element.items) {
            let entry = match evaluate(&program.globals, instance, item) {
                Constant::Function(callee) => Some(callee),
                Constant::Null | Constant::Bits(_) | Constant::V128(_) | Constant::Computed => None,
            };
            if slot >= entries.len() {
                entries.resize(slot + 1, None);
            }
            entries[slot] = entry;
        }
    }
    Ok(())
}

fn fold_data(
    program: &Program<'_>,
    id: InstanceId,
    memories: &mut [Sparse],
    folded: &mut Folded,
) -> Result<(), TrapCode> {
    let instance = &program.instances[id.index()];
    let silent = !code_runs_before(program, id);
    // Memories that a step so far writes to: those of later instances among them, which must have the last word.
    let copied: HashSet<u32> = folded
        .steps
        .iter()
        .filter_map(|step| match step {
            Step::CopyData(data) => program.data[data.index()].active,
            _ => None,
        })
        .map(|(memory, _)| memory)
        .collect();
    for (segment, data) in (instance.first_data..).zip(&instance.module.data) {
        let Some((memory, offset)) = program.data[segment as usize].active else {
            continue;
        };
        let memory_info = &program.memories[memory as usize];
        // Each thread makes its instances anew, and applies their segments to the memory that it finds.
        let is_first = memory_info.instance == id && !copied.contains(&memory);
        let private = (silent || is_first) && !program.has_threads();
        if private && offset.saturating_add(data.bytes.len() as u64) > memory_info.initial {
            return Err(TrapCode::MemoryOutOfBounds);
        }
        folded.data[segment as usize] = if private {
            memories[memory as usize].write(offset, data.bytes);
            Applied::Folded
        } else {
            folded.steps.push(Step::CopyData(DataId(segment)));
            Applied::AtStart
        };
    }
    Ok(())
}

/// A memory of which only the pages that something was written to exist.
#[derive(Default)]
struct Sparse {
    pages: BTreeMap<u64, Box<[u8; PAGE as usize]>>,
}

impl Sparse {
    fn write(&mut self, mut offset: u64, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let within = (offset % PAGE) as usize;
            let len = bytes.len().min(PAGE as usize - within);
            let (now, rest) = bytes.split_at(len);
            let page = offset / PAGE;
            // Zeros into a page that does not exist change nothing.
            if self.pages.contains_key(&page) || now.iter().any(|b| *b != 0) {
                let page = self
                    .pages
                    .entry(page)
                    .or_insert_with(|| Box::new([0; PAGE as usize]));
                page[within..within + len].copy_from_slice(now);
            }
            offset += len as u64;
            bytes = rest;
        }
    }

    fn into_runs(mut self, arch: Arch, max_mapped: usize) -> MemoryImage {
        self.pages.retain(|_, page| page.iter().any(|b| *b != 0));
        // Runs of pages, those close to each other taken together.
        let mut runs: Vec<(u64, u64)> = Vec::new();
        for page in self.pages.keys() {
            match runs.last_mut() {
                Some((_, end)) if (page - *end) * PAGE <= MERGE_GAP => *end = page + 1,
                _ => runs.push((*page, page + 1)),
            }
        }
        let mut image = MemoryImage::default();
        let mut last_end = None;
        for (first, end) in runs {
            let start = first * PAGE / arch.max_page_size() * arch.max_page_size();
            let near = last_end.is_none_or(|last| start.saturating_sub(last) <= MAX_MAPPED_GAP);
            let pages = self.pages.range(first..end).count() as u64 * PAGE;
            let zeros = (end - first) * PAGE - pages;
            let dense = zeros <= MAX_ZEROS || zeros <= MAX_ZEROS_SHARE * pages;
            let overlaps = last_end.is_some_and(|last| start < last);
            if (end - first) * PAGE >= min_mapped(arch)
                && image.mapped.len() < max_mapped
                && near
                && dense
                && !overlaps
            {
                image.mapped.push(self.run(start, first, end));
                last_end = Some((end * PAGE).next_multiple_of(arch.max_page_size()));
            } else {
                // Page by page, so that zeros between merged pages are not copied.
                for page in first..end {
                    if self.pages.contains_key(&page) {
                        image.copied.push(self.trimmed(page));
                    }
                }
            }
        }
        image.copied = join(image.copied);
        image
    }

    fn run(&self, start: u64, first: u64, end: u64) -> Run {
        let mut bytes = vec![0; (end * PAGE - start) as usize];
        for (page, contents) in self.pages.range(first..end) {
            let at = (page * PAGE - start) as usize;
            bytes[at..at + PAGE as usize].copy_from_slice(&contents[..]);
        }
        let len = bytes
            .iter()
            .rposition(|b| *b != 0)
            .map_or(0, |last| last + 1);
        bytes.truncate(len);
        Run {
            offset: start,
            bytes,
        }
    }

    fn trimmed(&self, page: u64) -> Run {
        let contents = &self.pages[&page];
        let first = contents.iter().position(|b| *b != 0).unwrap_or(0);
        let last = contents.iter().rposition(|b| *b != 0).unwrap_or(0);
        Run {
            offset: page * PAGE + first as u64,
            bytes: contents[first..=last].to_vec(),
        }
    }
}

/// Joins runs that are closer than the record of a separate copy is long.
fn join(runs: Vec<Run>) -> Vec<Run> {
    const RECORD: u64 = size_of::<elfin_abi::program::Copy>() as u64;
    let mut joined: Vec<Run> = Vec::new();
    for run in runs {
        match joined.last_mut() {
            Some(last) if run.offset - (last.offset + last.bytes.len() as u64) <= RECORD => {
                last.bytes.resize((run.offset - last.offset) as usize, 0);
                last.bytes.extend_from_slice(&run.bytes);
            }
            _ => joined.push(run),
        }
    }
    joined
}

#[cfg(test)]
mod tests {
    use super::*;

    fn runs(writes: &[(u64, &[u8])], arch: Arch) -> MemoryImage {
        let mut sparse = Sparse::default();
        for (offset, bytes) in writes {
            sparse.write(*offset, bytes);
        }
        sparse.into_runs(arch, 8)
    }

    #[test]
    fn a_small_image_is_copied_without_its_zeros() {
        let image = runs(&[(8, b"\0\0hello\0")], Arch::X86_64);
        assert!(image.mapped.is_empty());
        assert_eq!(
            image.copied,
            [Run {
                offset: 10,
                bytes: b"hello".to_vec()
            }]
        );
    }

    #[test]
    fn a_large_image_is_mapped_from_a_page_boundary() {
        let bytes = vec![7; 0x2_0000];
        for arch in Arch::ALL {
            let image = runs(&[(0x1_0400, &bytes)], *arch);
            assert!(image.copied.is_empty());
            let [run] = &image.mapped[..] else {
                panic!("one run")
            };
            assert_eq!(run.offset, 0x1_0000);
            assert_eq!(run.bytes.len(), 0x2_0400);
            assert!(run.bytes[..0x400].iter().all(|b| *b == 0));
        }
    }

    #[test]
    fn what_is_far_apart_is_not_one_run() {
        let spread = |count: u64, len: usize| {
            let bytes = vec![1; len];
            let writes: Vec<(u64, &[u8])> =
                (0..count).map(|i| (i * MERGE_GAP, &bytes[..])).collect();
            runs(&writes, Arch::X86_64)
        };
        let few = spread(100, 1);
        assert_eq!((few.mapped.len(), few.copied.len()), (1, 0));
        let many = spread(200, 1);
        assert_eq!((many.mapped.len(), many.copied.len()), (0, 200));
        // A fifth and more of it is bytes.
        let dense = spread(200, MERGE_GAP as usize / 5);
        assert_eq!((dense.mapped.len(), dense.copied.len()), (1, 0));
    }

    #[test]
    fn later_zeros_overwrite() {
        let image = runs(&[(0, &[1, 2, 3, 4]), (1, &[0, 0, 0])], Arch::X86_64);
        assert_eq!(
            image.copied,
            [Run {
                offset: 0,
                bytes: vec![1]
            }]
        );
    }

    #[test]
    fn the_far_end_of_memory_costs_nothing_between() {
        let image = runs(&[(0, &[1]), (0xffff_fff6, &[2; 10])], Arch::X86_64);
        assert!(image.mapped.is_empty());
        assert_eq!(image.copied.len(), 2);
    }
}
