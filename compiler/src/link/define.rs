//! What instances define.
//!
//! In: a draft. Out: first its entities, which others can import then; when all imports are resolved, their initial
//! values, the segments, and the instance itself.

use super::{Draft, Linker, MAX_TABLE_ENTRIES, Resolved, Slot};
use crate::canonical;
use crate::error::{Error, Result};
use crate::module::{ConstExpr, GlobalType, Item, MemoryType, Module, SegmentMode};
use crate::program::*;

impl<'m> Linker<'m, '_> {
    /// Makes the entities that a draft defines.
    ///
    /// # Errors
    /// [`Error::LimitExceeded`]; nothing is made then.
    pub(super) fn declare(&mut self, id: InstanceId) -> Result<()> {
        let module = self.draft_of(id).module;
        self.check_limits(module)?;
        let types = std::mem::take(&mut self.draft_of_mut(id).types);
        let mut own: [Vec<Slot>; 5] = Default::default();
        let [functions, tables, memories, globals, tags] = &mut own;
        let program = &mut self.program;
        for (index, ty) in (0..)
            .zip(&module.functions)
            .skip(module.imported_functions as usize)
        {
            let callee = Callee::Defined(FuncId(program.functions.len() as u32));
            functions.push(Slot::Leads(Resolved::Function(callee)));
            program.functions.push(Function {
                instance: id,
                index,
                ty: types[*ty as usize],
            });
        }
        for (index, ty) in (0..).zip(&module.tags).skip(module.imported_tags as usize) {
            let tag = TagId(program.tags.len() as u32);
            tags.push(Slot::Leads(Resolved::Tag(tag)));
            program.tags.push(Tag {
                instance: id,
                index,
                ty: types[*ty as usize],
            });
        }
        for (index, global) in (0..)
            .zip(&module.globals)
            .skip(module.imported_globals as usize)
        {
            let ty = GlobalType {
                content_type: canonical::value_type(&types, global.ty.content_type),
                ..global.ty
            };
            let global = GlobalId(program.globals.len() as u32);
            globals.push(Slot::Leads(Resolved::Global(global)));
            program.globals.push(Global {
                ty,
                init: Constant::Null,
                instance: id,
                index,
            });
        }
        for (index, table) in (0..)
            .zip(&module.tables)
            .skip(module.imported_tables as usize)
        {
            let id_of_table = TableId(program.tables.len() as u32);
            tables.push(Slot::Leads(Resolved::Table(id_of_table)));
            program.tables.push(Table {
                element: canonical::reference_type(&types, table.ty.element_type),
                is_64: table.ty.table64,
                initial: table.ty.initial,
                maximum: table.ty.maximum,
                init: Constant::Null,
                instance: id,
                index,
            });
        }
        for ty in &module.memories[module.imported_memories as usize..] {
            let memory = self.define_memory(id, ty);
            memories.push(Slot::Leads(Resolved::Memory(memory)));
        }
        let draft = self.draft_of_mut(id);
        draft.types = types;
        for (space, own) in draft.spaces.iter_mut().zip(own) {
            space.extend(own);
        }
        Ok(())
    }

    /// Makes the first draft, of which everything is resolved, the next instance.
    pub(super) fn complete(&mut self) {
        let Some(draft) = self.drafts.pop_front() else {
            return;
        };
        let id = InstanceId(self.program.instances.len() as u32);
        let module = draft.module;
        let hosts = draft.hosts.clone();
        let instance = self.instance(draft);
        self.initial_values(&instance);
        self.segments(id, &instance);
        // A host function works on the importing instance's memory.
        let memory = match module.export("memory") {
            Some(Item::Memory(index)) => Some(instance.memories[index as usize]),
            _ => instance.memories.first().copied(),
        };
        for host in hosts {
            self.program.host_functions[host.index()].memory = memory;
        }
        self.program.instances.push(instance);
    }

    fn instance(&self, draft: Draft<'m>) -> Instance<'m> {
        let mut instance = Instance {
            module: draft.module,
            functions: Vec::with_capacity(draft.module.functions.len()),
            memories: Vec::new(),
            tables: Vec::new(),
            globals: Vec::new(),
            tags: Vec::new(),
            types: draft.types,
            first_data: self.program.data.len() as u32,
            first_element: self.program.elements.len() as u32,
            checks: draft.checks,
        };
        for slot in draft.spaces.into_iter().flatten() {
            match slot {
                Slot::Leads(Resolved::Function(callee)) => instance.functions.push(callee),
                Slot::Leads(Resolved::Table(table)) => instance.tables.push(table),
                Slot::Leads(Resolved::Memory(memory)) => instance.memories.push(memory),
                Slot::Leads(Resolved::Global(global)) => instance.globals.push(global),
                Slot::Leads(Resolved::Tag(tag)) => instance.tags.push(tag),
                Slot::Import(_) | Slot::Waiting => {
                    unreachable!("all imports are resolved before an instance is complete")
                }
            }
        }
        instance
    }

    /// Evaluates what its globals and tables begin with.
    fn initial_values(&mut self, instance: &Instance<'_>) {
        let module = instance.module;
        let own = instance
            .globals
            .iter()
            .skip(module.imported_globals as usize);
        for (global, position) in own.zip(module.imported_globals as usize..) {
            let init = module.globals[position].init.as_ref();
            let init = init.expect("a defined global has an initial value");
            self.program.globals[global.index()].init = self.evaluate(instance, init);
        }
        let own = instance.tables.iter().skip(module.imported_tables as usize);
        for (table, position) in own.zip(module.imported_tables as usize..) {
            if let Some(init) = &module.tables[position].init {
                self.program.tables[table.index()].init = self.evaluate(instance, init);
            }
        }
    }

    fn segments(&mut self, id: InstanceId, instance: &Instance<'_>) {
        let module = instance.module;
        for (i, element) in module.elements.iter().enumerate() {
            let active = match &element.mode {
                SegmentMode::Active { index, offset } => {
                    let table = instance.tables[*index as usize];
                    let is_64 = self.program.tables[table.index()].is_64;
                    Some((table.0, self.offset(instance, offset, is_64)))
                }
                SegmentMode::Passive | SegmentMode::Declared => None,
            };
            let declared = matches!(element.mode, SegmentMode::Declared);
            self.program.elements.push(Segment {
                instance: id,
                index: i as u32,
                active,
                declared,
            });
        }
        for (i, data) in module.data.iter().enumerate() {
            let active = match &data.mode {
                SegmentMode::Active { index, offset } => {
                    let memory = instance.memories[*index as usize];
                    let is_64 = self.program.memories[memory.index()].is_64;
                    Some((memory.0, self.offset(instance, offset, is_64)))
                }
                SegmentMode::Passive | SegmentMode::Declared => None,
            };
            self.program.data.push(Segment {
                instance: id,
                index: i as u32,
                active,
                declared: false,
            });
        }
    }

    /// Fails before anything is added.
    fn check_limits(&self, module: &Module<'_>) -> Result<()> {
        let limit = |message: String| Error::LimitExceeded {
            message,
            place: module.place(),
        };
        for ty in &module.memories[module.imported_memories as usize..] {
            self.check_memory(module, ty)?;
        }
        let entries: u64 = self
            .program
            .tables
            .iter()
            .map(|t| t.initial)
            .chain(
                module.tables[module.imported_tables as usize..]
                    .iter()
                    .map(|t| t.ty.initial),
            )
            .fold(0, u64::saturating_add);
        if entries > MAX_TABLE_ENTRIES {
            return Err(limit(format!(
                "tables of {entries} entries in all; the most is {MAX_TABLE_ENTRIES}"
            )));
        }
        Ok(())
    }

    pub(super) fn check_memory(&self, module: &Module<'_>, ty: &MemoryType) -> Result<()> {
        let (initial, maximum) = self.memory_limits(ty);
        if initial <= maximum {
            return Ok(());
        }
        let why = match self.options.max_memory {
            Some(allowed) if allowed < initial => {
                format!("more than --max-memory allows ({allowed})")
            }
            _ => format!("the most is {maximum}"),
        };
        Err(Error::LimitExceeded {
            message: format!("a linear memory starts with {initial} bytes, {why}"),
            place: module.place(),
        })
    }

    /// Initial and largest length of a memory in bytes.
    fn memory_limits(&self, ty: &MemoryType) -> (u64, u64) {
        let page = 1 << ty.page_size_log2.unwrap_or(DEFAULT_PAGE_LOG2);
        // The number of pages has to fit an i32, hence one byte less when a page is a byte.
        let addressable = match (ty.memory64, page) {
            (true, _) => MAX_MEMORY64,
            (false, 1) => u64::from(u32::MAX),
            (false, _) => 1 << 32,
        };
        let declared = ty.maximum.map_or(u64::MAX, |m| m.saturating_mul(page));
        let allowed = self.options.max_memory.unwrap_or(u64::MAX);
        let most = declared.min(allowed).min(addressable) / page * page;
        (ty.initial.saturating_mul(page), most)
    }

    pub(super) fn define_memory(&mut self, instance: InstanceId, ty: &MemoryType) -> MemoryId {
        let (initial, maximum) = self.memory_limits(ty);
        let id = MemoryId(self.program.memories.len() as u32);
        self.program.memories.push(Memory {
            initial,
            maximum,
            declared_maximum: ty.maximum,
            is_64: ty.memory64,
            page_log2: ty.page_size_log2.unwrap_or(DEFAULT_PAGE_LOG2),
            shared: ty.shared,
            instance,
        });
        id
    }

    fn evaluate(&self, instance: &Instance<'_>, expr: &ConstExpr) -> Constant {
        evaluate(&self.program.globals, instance, expr)
    }

    /// The offset of an active segment: an unsigned number of the address type.
    fn offset(&self, instance: &Instance<'_>, expr: &ConstExpr, is_64: bool) -> u64 {
        match self.evaluate(instance, expr) {
            Constant::Bits(bits) if is_64 => bits,
            Constant::Bits(bits) => u64::from(bits as u32),
            Constant::V128(_) | Constant::Null | Constant::Function(_) | Constant::Computed => {
                unreachable!("validated: an offset is a number")
            }
        }
    }
}
