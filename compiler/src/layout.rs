//! Where instance state, memories, tables and the stack lie. The only place that decides addresses.
//!
//! In: a [`Program`], its [`Usage`] and what was folded. Out: a [`Layout`], plain offsets and addresses
//! that translation asks for and that the linker is told. One block of state serves all instances of the
//! program. With [`Addressing::Fixed`] code finds it at a constant address, with [`Addressing::Context`]
//! through a parameter; the offsets within it are the same.

use crate::error::{Error, Result};
use crate::fold::{Folded, Step};
use crate::module::ValType;
use crate::objects::{self, Object, ObjectTypes};
use crate::options::{Addressing, Arch, DEFAULT_MAX_THREADS, MemoryMode, Options};
use crate::program::{Constant, ElementId, GlobalId, MemoryId, Program, TableId};
use crate::usage::Usage;
use elfin_abi::state::{FuncRef, MemoryDescriptor, SegmentDescriptor, TableDescriptor};
use elfin_abi::{exception, gc, map, threads};
use std::collections::HashSet;

/// Where everything lies.
#[derive(Debug)]
pub struct Layout {
    /// How code finds the state block.
    pub addressing: Addressing,
    /// Bytes of file and program headers before the state block.
    pub header_size: u64,
    /// One for each memory.
    pub memories: Vec<MemoryPlace>,
    /// One for each table.
    pub tables: Vec<TablePlace>,
    /// One for each global.
    pub globals: Vec<GlobalPlace>,
    /// Offset of each data segment's descriptor, for those that instructions use.
    pub data: Vec<Option<u32>>,
    /// Offset of each element segment's descriptor, likewise.
    pub elements: Vec<Option<u32>>,
    /// Where exceptions live, if the program throws but makes no other objects.
    pub exceptions: u64,
    /// For each tag what exceptions look like, if they are objects among others.
    pub exception_objects: Vec<Object>,
    /// Offset of the references of each element segment that are evaluated at start and used later.
    pub element_items: Vec<Option<u32>>,
    /// Numbers of types and what objects look like.
    pub types: ObjectTypes,
    /// The garbage-collected heap, if the program makes objects.
    pub heap: Option<HeapPlace>,
    /// Bytes of the state block.
    pub state_size: u64,
    /// What lies below this offset of the state block is found through the context parameter, if there is one. In a
    /// program with threads that is what each thread has for itself; what they share lies behind it, at addresses
    /// that are the same for all.
    pub private_size: u64,
    /// The guest can start threads.
    pub has_threads: bool,
    /// Several threads may run the same code: those of the guest, or of a script.
    pub is_threaded: bool,
    /// Where threads are put, for programs that can start some.
    pub threads: Option<ThreadsPlace>,
    /// Lowest address and size of the guest's stack.
    pub stack: (u64, u64),
    /// Where read-only data and code begin.
    pub image_base: u64,
    /// One past the last address they may take.
    pub image_end: u64,
}

/// Where threads are put (`elfin_abi::threads`).
#[derive(Clone, Copy, Debug)]
pub struct ThreadsPlace {
    /// Lowest address.
    pub base: u64,
    /// Address of the first slot.
    pub slots: u64,
    /// Bytes of a slot.
    pub stride: u64,
    /// Number of slots.
    pub count: u64,
}

/// The place of the garbage-collected heap.
#[derive(Clone, Copy, Debug)]
pub struct HeapPlace {
    /// Offset of its `elfin_abi::gc::Heap` in the state block; of a `ThreadHeap` in a program with threads, which share
    /// the address space.
    pub state: u32,
    /// First address of the lower half.
    pub base: u64,
    /// Bytes of address space of each half.
    pub half: u64,
    /// Most bytes of objects, those of all threads taken together.
    pub max: u64,
    /// Collect at every allocation.
    pub stress: bool,
}

/// A memory's place.
#[derive(Clone, Copy, Debug)]
pub struct MemoryPlace {
    /// Offset of its descriptor in the state block.
    pub descriptor: u32,
    /// Address of byte 0.
    pub base: u64,
    /// Bytes of address space reserved; 0 when accesses are checked instead.
    pub reservation: u64,
}

/// A table's place.
#[derive(Clone, Copy, Debug)]
pub struct TablePlace {
    /// Offset of its descriptor in the state block.
    pub descriptor: u32,
    /// Offset of entry 0 in the state block, or its address in a reservation of its own.
    pub entries: Entries,
    /// In a program with threads, for a table that grows or is large: how far behind the start of a thread's own state its entries
    /// lie. Those of the first thread are where `entries` says.
    pub own: Option<u64>,
    /// Entries it has room for.
    pub capacity: u64,
    /// Its length never changes.
    pub fixed_length: bool,
    /// Its entries never change.
    pub constant: bool,
}

/// Where a table's entries are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entries {
    /// At an offset of the state block.
    State(u32),
    /// At an address, in a reservation that is mapped at start.
    Reserved(u64),
}

/// A global's place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GlobalPlace {
    /// It never changes.
    Constant(Constant),
    /// Offset in the state block.
    Slot(u32),
}

/// Tables with more room than this get a reservation of their own.
const MAX_STATE_ENTRIES: u64 = 1 << 13;
/// A table that never grows may be this large and still lie in the state block.
const MAX_STATE_FIXED_ENTRIES: u64 = 1 << 19;
/// All tables in the state block together: the runtime's own data follow it.
const MAX_STATE_BYTES: u64 = 16 << 20;
/// Room for growth where the program declares no maximum.
const DEFAULT_GROWTH_ENTRIES: u64 = 1 << 24;
/// Room for growth in a program with threads, each of which has the table for itself.
const THREAD_GROWTH_ENTRIES: u64 = 1 << 20;
/// Most address space for threads: far more than a machine has processors for.
const THREADS_SPACE: u64 = 128 << 30;
// A slot is larger than its guard, so there are fewer than wasi-threads has numbers for.
const _: () = assert!(THREADS_SPACE / map::STACK_GUARD <= threads::MAX_ID);
/// Granule of reservations and of the stack.
const GRANULE: u64 = 0x1_0000;
/// Largest `--max-stack`.
pub const MAX_STACK: u64 = 1 << 30;
/// Bytes of machine code and tables expected of a byte of Wasm, at most.
const EXPANSION: u64 = 16;

/// Guarded memories end here; what further ones a program has are checked. A process on riscv64 may have no
/// more than 256 GiB (Sv39), and its initial stack lies at the end of them. On aarch64 it may be 512 GiB (39-bit
/// addresses), and qemu-user puts the stack at 340 GiB.
const fn guarded_end(arch: Arch) -> u64 {
    match arch {
        Arch::Riscv64 => 96 << 30,
        Arch::Aarch64 => 320 << 30,
        Arch::X86_64 => 1 << 46,
    }
}

impl Layout {
    /// Address of the state block.
    #[must_use]
    pub const fn state(&self) -> u64 {
        map::STATE_BASE + self.header_size
    }

    /// Address of a table's entry 0.
    #[must_use]
    pub fn table_address(&self, id: TableId) -> u64 {
        match self.tables[id.0 as usize].entries {
            Entries::State(offset) => self.state() + u64::from(offset),
            Entries::Reserved(address) => address,
        }
    }

    /// A global's place.
    #[must_use]
    pub fn global(&self, id: GlobalId) -> GlobalPlace {
        self.globals[id.index()]
    }
}

struct Slots {
    next: u64,
}

impl Slots {
    fn take(&mut self, size: u32) -> u32 {
        self.take_aligned(size, 1)
    }

    /// The block itself is aligned to 16.
    fn take_aligned(&mut self, size: u32, alignment: u64) -> u32 {
        let at = self.next.next_multiple_of(alignment);
        self.next = at + u64::from(size);
        // Overflow is caught when the whole block is measured.
        u32::try_from(at).unwrap_or(u32::MAX)
    }
}

/// Decides where everything lies.
///
/// # Errors
/// [`Error::LimitExceeded`] when the program's state, code or stack can't have a place.
pub fn lay_out(
    program: &Program<'_>,
    usage: &Usage,
    folded: &Folded,
    options: &Options,
) -> Result<Layout> {
    let limit = |message: String| Error::LimitExceeded {
        message,
        place: program.main().module.place(),
    };
    let mut slots = Slots { next: 0 };

    // Globals first: they are the hottest, and small offsets are the cheapest.
    let globals = program
        .globals
        .iter()
        .zip(&usage.globals_set)
        .map(|(global, set)| {
            if !*set && global.init != Constant::Computed {
                GlobalPlace::Constant(global.init)
            } else if global.ty.content_type == ValType::V128 {
                GlobalPlace::Slot(slots.take_aligned(16, 16))
            } else {
                GlobalPlace::Slot(slots.take(8))
            }
        })
        .collect();

    let has_threads = program.has_threads();
    let heap_state = usage.allocates.then(|| {
        slots.take(if has_threads {
            gc::ThreadHeap::SIZE
        } else {
            gc::Heap::SIZE
        })
    });

    let stack_size = options.max_stack.max(GRANULE).next_multiple_of(GRANULE);
    if stack_size > MAX_STACK {
        return Err(limit(format!(
            "a stack of {stack_size} bytes; the most is {MAX_STACK}"
        )));
    }
    let stack = (map::STATE_END + map::STACK_GUARD, stack_size);
    // A hole above the stack: the image begins on a page of its own.
    let image_base = stack.0 + stack.1 + GRANULE;
    let wasm: u64 = program
        .instances
        .iter()
        .flat_map(|i| &i.module.bodies)
        .map(|b| b.body.as_bytes().len() as u64)
        .sum();
    let needed = image_base + wasm * EXPANSION + (8 << 20);
    let memory_base = if needed <= map::MEMORY_BASE {
        map::MEMORY_BASE
    } else {
        map::MEMORY_BASE_LARGE
    };

    let image_end = memory_base;
    let heap = heap_state.map(|state| {
        let half = (gc::END - image_end) / 2 / GRANULE * GRANULE;
        // Where heaps of threads take regions of one space, gaps between them may be too small to be of use.
        let most = if has_threads { half / 4 * 3 } else { half };
        HeapPlace {
            state,
            base: image_end,
            half,
            max: options.max_gc_heap.min(most) / gc::GRANULE * gc::GRANULE,
            stress: options.gc_stress,
        }
    });
    let is_threaded = program.is_threaded();
    if is_threaded && !has_threads && heap.is_some() {
        // They share instances, and with them a heap.
        return Err(Error::Unsupported {
            feature: "garbage collection in the threads of a script".to_owned(),
            place: program.main().module.place(),
        });
    }
    // References have 32 bits: where there is a heap, memories lie behind it.
    let memory_base = if heap.is_some() { gc::END } else { image_end };

    let primary = program.primary_memory();
    let mut next = memory_base
        + if primary.is_some() {
            map::MEMORY_STRIDE
        } else {
            0
        };
    let mut memories: Vec<MemoryPlace> = program
        .memories
        .iter()
        .enumerate()
        .map(|(i, memory)| {
            // Threads share memories: their descriptors come later then.
            let descriptor = if has_threads {
                0
            } else {
                slots.take(MemoryDescriptor::SIZE)
            };
            let is_primary = primary == Some(MemoryId(i as u32));
            let guarded = options.memory == MemoryMode::Guarded
                && memory.can_be_guarded()
                && (is_primary || next + map::MEMORY_STRIDE <= guarded_end(options.arch));
            let base = if is_primary { memory_base } else { next };
            if !is_primary {
                next += if guarded {
                    map::MEMORY_STRIDE
                } else {
                    let longest = if usage.memories_grown[i] {
                        memory.maximum
                    } else {
                        memory.initial
                    };
                    longest.next_multiple_of(GRANULE) + GRANULE
                };
            }
            MemoryPlace {
                descriptor,
                base,
                reservation: if guarded { map::GUARDED_RESERVATION } else { 0 },
            }
        })
        .collect();

    let mut tables: Vec<TablePlace> = Vec::new();
    let steps = folded.steps.iter();
    let filled: HashSet<TableId> = steps.filter_map(|step| step.fills(program)).collect();
    for (i, table) in program.tables.iter().enumerate() {
        let grown = usage.tables_grown[i];
        let capacity = if grown {
            let growth = if has_threads {
                // Each thread has room for the table.
                THREAD_GROWTH_ENTRIES
            } else {
                DEFAULT_GROWTH_ENTRIES
            };
            let room = table.initial.max(growth);
            table.maximum.map_or(room, |maximum| maximum.min(room))
        } else {
            table.initial
        };
        tables.push(TablePlace {
            descriptor: slots.take(TableDescriptor::SIZE),
            entries: Entries::Reserved(0),
            own: None,
            capacity,
            fixed_length: !grown,
            constant: !usage.tables_written[i] && !filled.contains(&TableId(i as u32)),
        });
    }
    let data = usage
        .data_used
        .iter()
        .map(|used| used.then(|| slots.take(SegmentDescriptor::SIZE)))
        .collect();
    let elements = usage
        .elements_used
        .iter()
        .map(|used| used.then(|| slots.take(SegmentDescriptor::SIZE)))
        .collect();

    let evaluated: HashSet<ElementId> = folded.steps.iter().filter_map(Step::evaluates).collect();
    let element_items: Vec<Option<u32>> = program
        .elements
        .iter()
        .zip(&usage.elements_used)
        .enumerate()
        .map(|(i, (segment, used))| {
            let id = ElementId(i as u32);
            let instance = &program.instances[segment.instance.index()];
            let items = &instance.module.elements[segment.index as usize].items;
            (*used && evaluated.contains(&id))
                .then(|| slots.take(items.len() as u32 * FuncRef::SIZE))
        })
        .collect();

    // In a program with threads: has the table a place behind each thread's own state?
    let is_apart = |table: &TablePlace| {
        has_threads
            && !table.constant
            && (!table.fixed_length || table.capacity > MAX_STATE_ENTRIES)
    };
    let mut private_size = u64::MAX;
    if has_threads {
        for table in &mut tables {
            if table.constant || is_apart(table) {
                continue;
            }
            let bytes = table.capacity * u64::from(FuncRef::SIZE);
            table.entries = Entries::State(u32::try_from(slots.next).unwrap_or(u32::MAX));
            slots.next = slots.next.saturating_add(bytes);
        }
        slots.next = slots.next.next_multiple_of(16);
        private_size = slots.next;
        if private_size > MAX_STATE_BYTES {
            return Err(limit(format!(
                "tables and globals of {private_size} bytes, which each thread has for itself; the most is {MAX_STATE_BYTES}"
            )));
        }
        for memory in &mut memories {
            memory.descriptor = slots.take(MemoryDescriptor::SIZE);
        }
    }
    // Behind a thread's own state: its tables that grow or are large.
    let mut own_size = if has_threads { private_size } else { 0 };
    for table in &mut tables {
        if has_threads && !table.constant && !is_apart(table) {
            continue;
        }
        let bytes = table.capacity * u64::from(FuncRef::SIZE);
        let most = if table.fixed_length {
            MAX_STATE_FIXED_ENTRIES
        } else {
            MAX_STATE_ENTRIES
        };
        if is_apart(table) {
            table.own = Some(own_size);
            own_size = own_size.saturating_add(bytes);
            table.entries = Entries::Reserved(next);
            next += bytes.next_multiple_of(GRANULE) + GRANULE;
        } else if table.capacity <= most && slots.next + bytes <= MAX_STATE_BYTES {
            table.entries = Entries::State(slots.next as u32);
            slots.next += bytes;
        } else {
            table.entries = Entries::Reserved(next);
            next += bytes.next_multiple_of(GRANULE) + GRANULE;
        }
    }
    let exceptions = next;
    let state_size = slots.next;
    if state_size > MAX_STATE_BYTES {
        return Err(limit(format!(
            "instance state of {state_size} bytes; the most is {MAX_STATE_BYTES}"
        )));
    }
    let behind = exceptions
        + if usage.throws {
            exception::ARENA_SIZE
        } else {
            0
        };
    let threads = (has_threads || program.script.is_some())
        .then(|| {
            let arena = if is_threaded && usage.throws && heap.is_none() {
                exception::ARENA_SIZE
            } else {
                0
            };
            let stride = threads::stride(stack_size, own_size, arena);
            place_threads(program, options, behind, stack_size, stride)
        })
        .transpose()
        .map_err(limit)?;
    let images: usize = folded.memories.iter().map(|m| m.mapped.len()).sum();
    Ok(Layout {
        // Threads have states of their own.
        addressing: if has_threads {
            Addressing::Context
        } else {
            options.addressing
        },
        header_size: map::header_size(images),
        memories,
        tables,
        globals,
        data,
        elements,
        exceptions,
        exception_objects: match heap {
            Some(_) => objects::exception_objects(program),
            None => Vec::new(),
        },
        element_items,
        types: objects::object_types(&program.types),
        heap,
        state_size,
        private_size,
        has_threads,
        is_threaded,
        threads,
        stack,
        image_base,
        image_end,
    })
}

/// Where threads are put, behind everything else.
///
/// # Errors
/// What is too large.
fn place_threads(
    program: &Program<'_>,
    options: &Options,
    from: u64,
    stack_size: u64,
    stride: u64,
) -> std::result::Result<ThreadsPlace, String> {
    let base = from.next_multiple_of(GRANULE);
    let wanted = match (options.max_threads, &program.script) {
        (_, Some(_)) => elfin_abi::script::MAX_THREADS,
        (Some(wanted), None) => wanted,
        (None, None) => DEFAULT_MAX_THREADS,
    };
    let wanted = u64::from(wanted);
    let room = guarded_end(options.arch)
        .saturating_sub(base + threads::words(wanted))
        .min(THREADS_SPACE)
        / stride;
    if wanted > room && (options.max_threads.is_some() || room == 0) && program.script.is_none() {
        return Err(format!(
            "{wanted} threads with {stack_size} bytes of stack each, {stride} with all that is a thread's own; there is room for {room}"
        ));
    }
    let count = if program.script.is_some() {
        wanted
    } else {
        wanted.min(room)
    };
    Ok(ThreadsPlace {
        base,
        slots: base + threads::words(count),
        stride,
        count,
    })
}

/// How generated code gets at the base of a memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BaseAccess {
    /// A constant below 2 GiB, which folds into an access's displacement.
    Constant(u64),
    /// The symbol of the primary memory: two instructions that hoist out of loops.
    Symbol,
    /// A load from the memory's descriptor that hoists out of loops.
    Load,
}

impl Layout {
    /// How code for `arch` gets at the base of memory `id`.
    #[must_use]
    pub fn base_access(&self, program: &Program<'_>, id: MemoryId, arch: Arch) -> BaseAccess {
        match (self.addressing, arch) {
            // Threads share memories: those are where they are for all of them.
            (Addressing::Context, _) if !self.has_threads => BaseAccess::Load,
            _ if program.primary_memory() != Some(id) => BaseAccess::Load,
            // Too far for a constant, and for a symbol.
            _ if self.heap.is_some() => BaseAccess::Load,
            (_, Arch::X86_64) => BaseAccess::Constant(self.memories[id.index()].base),
            (_, Arch::Aarch64 | Arch::Riscv64) => BaseAccess::Symbol,
        }
    }
}
