//! The tables by which the runtime finds the handler of an exception (`elfin_abi::exception`).
//!
//! In: where code was put, and what is known of each function's frame. Out: read-only data. Only programs that throw
//! have them.

use super::{Emitter, Record, Text};
use crate::codegen::CompiledFunction;
use crate::error::Result;
use crate::layout::GlobalPlace;
use crate::module::ValType;
use crate::program::TagId;
use crate::translate::holds_exceptions;
use elfin_abi::exception::{CODE_GRANULE_LOG2, CallSite, FunctionFrame, Roots, UnwindHeader};
use elfin_abi::symbol;
use std::collections::HashMap;

impl Emitter<'_> {
    /// Writes the tables.
    pub(super) fn unwind(&mut self, functions: &[CompiledFunction], text: &Text) -> Result<()> {
        let granules = granules(text);
        let code = frames(functions, text);
        let (name_offsets, names) = self.tag_names();
        let roots = self.exception_roots();

        let mut header = Record::default();
        self.lead_all(
            &mut header,
            &[
                (&granules, 4),
                (&code.frames, 4),
                (&code.saves, 1),
                (&code.sites, 4),
                (&code.handlers, 4),
                (&name_offsets, 4),
                (&names, 1),
                (&roots, 8),
            ],
        )?;
        header.word(roots.count::<Roots>());
        let layout = self.layout();
        header.word(layout.exceptions);
        header.word(match layout.heap {
            Some(_) => u64::from(layout.types.end),
            None => 0,
        });
        debug_assert_eq!(header.bytes.len(), UnwindHeader::SIZE as usize);
        self.publish(&header, symbol::UNWIND)
    }

    /// What messages call each tag: its name, with the module's for those of linked modules; else its index.
    fn tag_names(&self) -> (Record, Record) {
        let program = self.env.program;
        let (mut offsets, mut names) = (Record::default(), Record::default());
        // Whoever imports a tag may have a name for what has none where it is defined.
        let mut imported: HashMap<TagId, &str> = HashMap::new();
        for instance in &program.instances {
            for (index, id) in (0..instance.module.imported_tags).zip(&instance.tags) {
                if let Some(name) = instance.module.tag_name(index) {
                    imported.entry(*id).or_insert(name);
                }
            }
        }
        for (id, tag) in (0..).map(TagId).zip(&program.tags) {
            let module = program.instances[tag.instance.index()].module;
            let is_main = tag.instance.index() + 1 == program.instances.len();
            let name = match module
                .tag_name(tag.index)
                .or_else(|| imported.get(&id).copied())
            {
                Some(name) => name.to_owned(),
                None => format!("tag[{}]", tag.index),
            };
            offsets.half(names.bytes.len() as u32);
            if !is_main {
                names.bytes.extend_from_slice(module.name.as_bytes());
                names.bytes.push(b'!');
            }
            names.bytes.extend_from_slice(name.as_bytes());
        }
        offsets.half(names.bytes.len() as u32);
        (offsets, names)
    }

    /// Globals and tables that may hold references to exceptions. Where threads have a state of their own, all of
    /// these are in it.
    fn exception_roots(&self) -> Record {
        let (program, layout) = (self.env.program, self.layout());
        let mut roots = Record::default();
        if layout.heap.is_some() {
            // The collector of all objects has its own account.
            return roots;
        }
        for (global, place) in program.globals.iter().zip(&layout.globals) {
            if let GlobalPlace::Slot(offset) = place
                && holds_exceptions(global.ty.content_type)
            {
                roots.word(layout.state() + u64::from(*offset));
                roots.word(1);
            }
        }
        for (table, place) in program.tables.iter().zip(&layout.tables) {
            if holds_exceptions(ValType::Ref(table.element)) {
                roots.word(layout.state() + u64::from(place.descriptor));
                roots.word(Roots::TABLE);
            }
        }
        roots
    }
}

/// For each granule of code the function at its first byte.
fn granules(text: &Text) -> Record {
    let mut granules = Record::default();
    for chunk in &text.chunks {
        let own = chunk.functions.clone();
        let mut function = own.start;
        for granule in 0..chunk.size.div_ceil(1 << CODE_GRANULE_LOG2) {
            let at = granule << CODE_GRANULE_LOG2;
            while function + 1 < own.end && text.places[function + 1].1 <= at {
                function += 1;
            }
            granules.half(function as u32);
        }
    }
    granules
}

/// How to leave functions: lists of [`FunctionFrame`] and [`CallSite`], and what these refer to.
struct Frames {
    frames: Record,
    /// For each frame the number of registers that are saved, then their numbers and places.
    saves: Record,
    sites: Record,
    /// For each call the number of its handlers, then tags and landing pads.
    handlers: Record,
}

fn frames(functions: &[CompiledFunction], text: &Text) -> Frames {
    let (mut frames, mut sites) = (Record::default(), Record::default());
    let mut saves: Pool<u8> = Pool::default();
    let mut handlers: Pool<u32> = Pool::default();
    for i in text.chunks.iter().flat_map(|chunk| chunk.functions.clone()) {
        let start = text.places[i].1 as u32;
        let unwind = functions[i].unwind.clone().unwrap_or_default();
        let mut list = vec![unwind.saves.len() as u8];
        list.extend(unwind.saves.iter().flat_map(|(r, below)| [*r, *below]));
        frames.half(saves.add(list));
        frames.half(unwind.size);
        frames.half(sites.count::<CallSite>() as u32);
        for site in &unwind.sites {
            let mut list = vec![site.handlers.len() as u32];
            for (tag, pad) in &site.handlers {
                list.extend([*tag, start + pad]);
            }
            sites.half(start + site.returns_to);
            sites.half(handlers.add(list));
        }
    }
    // The end of the last function's calls.
    frames.half(0);
    frames.half(0);
    frames.half(sites.count::<CallSite>() as u32);

    let mut lists = Record::default();
    for word in handlers.items {
        lists.half(word);
    }
    Frames {
        frames,
        saves: Record {
            bytes: saves.items,
            ..Record::default()
        },
        sites,
        handlers: lists,
    }
}

/// Lists, one behind the other, equal ones once.
struct Pool<T> {
    items: Vec<T>,
    known: HashMap<Vec<T>, u32>,
}

impl<T> Default for Pool<T> {
    fn default() -> Self {
        Self {
            items: Vec::new(),
            known: HashMap::new(),
        }
    }
}

impl<T: Copy + Eq + std::hash::Hash> Pool<T> {
    /// Where the list is.
    fn add(&mut self, list: Vec<T>) -> u32 {
        let items = &mut self.items;
        *self.known.entry(list).or_insert_with_key(|list| {
            let at = items.len() as u32;
            items.extend_from_slice(list);
            at
        })
    }
}

// The records above are written field by field; their readers are `repr(C)` structs.
const _: () = assert!(
    size_of::<FunctionFrame>() == 12 && size_of::<CallSite>() == 8 && size_of::<Roots>() == 16
);
