//! What the collector is told of the program: `elfin_abi::gc`.
//!
//! In: the layout, the types of objects, the safepoints of compiled functions. Out: read-only records. Only programs
//! that make objects have any.

use super::{Emitter, Record, Text};
use crate::codegen::CompiledFunction;
use crate::error::{Error, Result};
use crate::layout::GlobalPlace;
use crate::module::ValType;
use crate::objects::Object;
use crate::program::TableId;
use crate::symbol::Symbol;
use elfin_abi::gc;
use std::collections::HashMap;
use std::collections::hash_map::Entry;

impl Emitter<'_> {
    /// The collector's record and everything it leads to.
    pub(super) fn heap(&mut self, functions: &[CompiledFunction], text: &Text) -> Result<()> {
        let layout = self.layout();
        let Some(place) = layout.heap else {
            return Ok(());
        };
        let (types, references) = self.objects();
        let (words, lists) = self.roots();
        let (chunks, safepoints, frames) =
            safepoints(functions, text).ok_or_else(|| self.too_far())?;

        let mut record = Record::default();
        for word in [
            layout.state() + u64::from(place.state),
            place.base,
            place.half,
            place.max,
            u64::from(place.stress),
        ] {
            record.word(word);
        }
        self.lead(&mut record, &types, 4)?;
        record.word(u64::from(layout.types.first_struct));
        self.lead(&mut record, &references, 4)?;
        for list in [&words, &lists] {
            self.lead(&mut record, list, 8)?;
            record.word(list.count::<u64>());
        }
        self.lead_all(&mut record, &[(&chunks, 4), (&safepoints, 4), (&frames, 4)])?;
        debug_assert_eq!(record.bytes.len(), gc::Program::SIZE as usize);
        let at = self.append_record(&record, 8)?;
        self.name(Symbol::Gc, "elfin_gc", at);
        Ok(())
    }

    fn too_far(&self) -> Error {
        Error::LimitExceeded {
            message: "a function keeps references 128 MiB below its frame pointer".into(),
            place: self.env.program.main().module.place(),
        }
    }

    /// What objects of each type look like, and where structs have references.
    fn objects(&self) -> (Record, Record) {
        let (mut types, mut references) = (Record::default(), Record::default());
        let layout = self.layout();
        let exceptions = layout.exception_objects.iter();
        for object in layout.types.by_number().into_iter().chain(exceptions) {
            let first = references.count::<u32>() as u32;
            let (size, count) = match object {
                Object::Struct(size, fields) => {
                    let traced = fields.iter().filter(|field| field.storage.traced);
                    let mut offsets: Vec<u32> = traced.map(|field| field.offset).collect();
                    offsets.sort_unstable();
                    for offset in &offsets {
                        references.half(*offset);
                    }
                    (*size, offsets.len() as u32)
                }
                Object::Array(element) => {
                    (gc::Type::ARRAY | element.log2, u32::from(element.traced))
                }
            };
            types.half(size);
            types.half(first);
            types.half(count);
        }
        (types, references)
    }

    /// Addresses of globals, and of the descriptors of tables and element segments, that may hold references.
    fn roots(&self) -> (Record, Record) {
        let (env, layout) = (self.env, self.layout());
        let (program, state) = (env.program, layout.state());
        let (mut words, mut lists) = (Record::default(), Record::default());
        for (global, place) in program.globals.iter().zip(&layout.globals) {
            if let GlobalPlace::Slot(offset) = place
                && env.is_traced(global.ty.content_type)
            {
                words.word(state + u64::from(*offset));
            }
        }
        for (id, table) in (0..).map(TableId).zip(&program.tables) {
            let place = layout.tables[id.index()];
            // Threads share a table that nothing is put into.
            let is_shared = layout.has_threads && place.constant;
            if env.is_traced(ValType::Ref(table.element)) && !is_shared {
                lists.word(state + u64::from(place.descriptor));
            }
        }
        for (descriptor, items) in layout.elements.iter().zip(&layout.element_items) {
            if let (Some(descriptor), Some(_)) = (descriptor, items) {
                lists.word(state + u64::from(*descriptor));
            }
        }
        (words, lists)
    }
}

/// Safepoints by chunk, and the lists of words that they refer to: equal lists are one, and that without entries is
/// the first. `None` if a word is too far from its frame pointer.
fn safepoints(functions: &[CompiledFunction], text: &Text) -> Option<(Record, Record, Record)> {
    let (mut chunks, mut points, mut frames) =
        (Record::default(), Record::default(), Record::default());
    let mut known: HashMap<&[u32], u32> = HashMap::from([(&[][..], 0)]);
    frames.half(0);
    for chunk in &text.chunks {
        let first = points.count::<gc::Safepoint>() as u32;
        for i in chunk.functions.clone() {
            let start = text.places[i].1 as u32;
            for (offset, words) in &functions[i].safepoints {
                let frame = match known.entry(words) {
                    Entry::Occupied(frame) => *frame.get(),
                    Entry::Vacant(frame) => {
                        let at = frames.count::<u32>() as u32;
                        let runs = runs(words)?;
                        frames.half(runs.len() as u32);
                        for run in runs {
                            frames.half(run.0);
                        }
                        *frame.insert(at)
                    }
                };
                points.half(start + offset);
                points.half(frame);
            }
        }
        chunks.half(first);
        chunks.half(points.count::<gc::Safepoint>() as u32 - first);
    }
    Some((chunks, points, frames))
}

/// Distances from the frame pointer, most of them 8 less than the one before, as the collector reads them; `None` if
/// one is too large.
fn runs(distances: &[u32]) -> Option<Vec<gc::Run>> {
    let mut runs: Vec<gc::Run> = Vec::new();
    for distance in distances {
        let longer = runs.last().and_then(|last| {
            let next = last.distance().checked_sub(8 * last.words())?;
            (next == *distance).then(|| gc::Run::new(last.distance(), last.words() + 1))?
        });
        match (longer, runs.last_mut()) {
            (Some(run), Some(last)) => *last = run,
            _ => runs.push(gc::Run::new(*distance, 1)?),
        }
    }
    Some(runs)
}

// The records above are written field by field; their readers are `repr(C)` structs.
const _: () = {
    assert!(gc::Type::SIZE == 12 && gc::Heap::SIZE == 16 && gc::Program::SIZE == 15 * 8);
    assert!(size_of::<gc::ChunkFrames>() == 8 && size_of::<gc::Safepoint>() == 8);
};

#[cfg(test)]
mod tests {
    use super::runs;

    fn pairs(distances: &[u32]) -> Option<Vec<(u32, u32)>> {
        let runs = runs(distances)?;
        Some(runs.iter().map(|r| (r.distance(), r.words())).collect())
    }

    #[test]
    fn neighbours_are_one_run() {
        assert_eq!(pairs(&[]), Some(vec![]));
        assert_eq!(pairs(&[40, 32, 16, 8]), Some(vec![(40, 2), (16, 2)]));
        assert_eq!(pairs(&[8, 16, 24]), Some(vec![(8, 1), (16, 1), (24, 1)]));
        // Down to the frame pointer itself, and as far as a run goes.
        let long: Vec<u32> = (0..300).rev().map(|word| word * 8).collect();
        assert_eq!(pairs(&long), Some(vec![(2392, 256), (344, 44)]));
        assert_eq!(pairs(&[1 << 27]), None);
        assert_eq!(pairs(&[12]), None);
    }
}
