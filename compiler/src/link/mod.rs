//! Modules → [`Program`]: every import is resolved.
//!
//! In: validated modules, in the order of instantiation, and what import module names lead to at each point.
//! Out: instances whose index spaces lead to program-wide entities. Rooms: `define` has what instances define,
//! `resolve` what an import leads to, `matching` whether that fits, `order` what may lead to a module that is
//! instantiated later, `entry` what runs at last, `threads` what threads run and share, `script` the verbs of test
//! scripts.

mod define;
mod entry;
mod matching;
mod order;
mod resolve;
mod script;
mod threads;

use crate::canonical::{Canonical, TooMany};
use crate::error::{Error, Result};
use crate::module::{FuncType, Item, Module, ValType};
use crate::options::Options;
use crate::program::*;
use elfin_abi::host::{self, HostFunction};
use std::collections::{HashMap, VecDeque};

pub use matching::describe;
pub use script::ScriptThread;

/// Most entries of all tables of a program together.
pub const MAX_TABLE_ENTRIES: u64 = 1 << 30;

/// The name under which linked modules import from the main module.
pub const MAIN: &str = "main";

/// Wires `modules` (in the order of instantiation, the main module last) to each other and to the host.
///
/// # Errors
/// [`Error::Link`] for what cannot be resolved, [`Error::LimitExceeded`].
pub fn link<'m>(modules: &'m [Module<'m>], options: &Options) -> Result<Program<'m>> {
    let mut linker = Linker::new(options, false);
    let (_, links) = modules.split_last().expect("there is a main module");
    let names = links.iter().map(|link| link.name.as_str()).chain([MAIN]);
    for (module, name) in modules.iter().zip(names) {
        let id = linker.draft(module)?;
        linker.declare(id)?;
        linker.names.entry(name.to_owned()).or_default().push(id);
    }
    let ids = (0..modules.len() as u32).map(InstanceId);
    for id in ids.clone() {
        linker.resolve_imports(id)?;
    }
    linker.check_order()?;
    for _ in ids {
        linker.complete();
    }
    linker.choose_entry()?;
    linker.choose_thread_start()?;
    Ok(linker.program)
}

/// A program under construction, instance by instance.
#[derive(Debug)]
pub struct Linker<'m, 'o> {
    program: Program<'m>,
    canonical: Canonical,
    host_ids: HashMap<(&'static str, &'static str), usize>,
    /// What import module names lead to now: instances in the order in which they are asked for an export.
    names: HashMap<String, Vec<InstanceId>>,
    /// What each instance exports, by name; drafts as well.
    exports: Vec<HashMap<&'m str, Item>>,
    /// The instances that follow those of the program.
    drafts: VecDeque<Draft<'m>>,
    /// Memories that elfin itself provides, by import names.
    provided: HashMap<(&'m str, &'m str), MemoryId>,
    options: &'o Options,
}

/// What an import resolves to.
#[derive(Clone, Copy, Debug)]
enum Resolved {
    Function(Callee),
    Table(TableId),
    Memory(MemoryId),
    Global(GlobalId),
    Tag(TagId),
}

/// An instance of which not all imports are resolved yet.
#[derive(Debug)]
struct Draft<'m> {
    module: &'m Module<'m>,
    /// Program-wide type of each type index.
    types: Vec<TypeId>,
    /// Index spaces, imports first: functions, tables, memories, globals, tags.
    spaces: [Vec<Slot>; 5],
    /// What it imports from the host itself.
    hosts: Vec<HostId>,
    checks: Vec<Check>,
    /// Imports, by number, of what belongs to an instance that comes later.
    late: Vec<(u32, InstanceId)>,
}

/// An entry of an index space.
#[derive(Clone, Copy, Debug)]
enum Slot {
    /// The import of this number, not resolved yet.
    Import(u32),
    /// An import that is being resolved.
    Waiting,
    /// What it leads to.
    Leads(Resolved),
}

impl<'m> Draft<'m> {
    fn new(module: &'m Module<'m>, types: Vec<TypeId>) -> Self {
        let mut draft = Self {
            module,
            types,
            spaces: Default::default(),
            hosts: Vec::new(),
            checks: Vec::new(),
            late: Vec::new(),
        };
        for (number, import) in (0..).zip(&module.imports) {
            let (space, _) = place(import.item);
            draft.spaces[space].push(Slot::Import(number));
        }
        draft
    }

    /// The program-wide type of a function.
    fn function_type(&self, index: u32) -> TypeId {
        self.types[self.module.functions[index as usize] as usize]
    }

    fn slot(&self, item: Item) -> Slot {
        let (space, index) = place(item);
        self.spaces[space][index]
    }

    fn set_slot(&mut self, item: Item, slot: Slot) {
        let (space, index) = place(item);
        self.spaces[space][index] = slot;
    }
}

/// Which of a draft's index spaces, and which of its entries.
const fn place(item: Item) -> (usize, usize) {
    match item {
        Item::Function(index) => (0, index as usize),
        Item::Table(index) => (1, index as usize),
        Item::Memory(index) => (2, index as usize),
        Item::Global(index) => (3, index as usize),
        Item::Tag(index) => (4, index as usize),
    }
}

impl<'m, 'o> Linker<'m, 'o> {
    fn new(options: &'o Options, is_script: bool) -> Self {
        Self {
            program: Program {
                instances: Vec::new(),
                functions: Vec::new(),
                memories: Vec::new(),
                tables: Vec::new(),
                globals: Vec::new(),
                tags: Vec::new(),
                data: Vec::new(),
                elements: Vec::new(),
                host_functions: Vec::new(),
                unknown: Vec::new(),
                types: Vec::new(),
                entry: Entry::default(),
                script: is_script.then(Vec::new),
            },
            canonical: Canonical::default(),
            host_ids: host::HOST_FUNCTIONS
                .iter()
                .enumerate()
                .map(|(i, f)| ((f.module, f.name), i))
                .collect(),
            names: HashMap::new(),
            exports: Vec::new(),
            drafts: VecDeque::new(),
            provided: HashMap::new(),
            options,
        }
    }

    /// Begins the next instance.
    fn draft(&mut self, module: &'m Module<'m>) -> Result<InstanceId> {
        let types = self
            .canonical
            .module(&mut self.program.types, &module.groups)
            .map_err(|TooMany| Error::LimitExceeded {
                message: "more types than a program can have".to_owned(),
                place: module.place(),
            })?;
        let id = InstanceId(self.exports.len() as u32);
        self.drafts.push_back(Draft::new(module, types));
        let exports = module.exports.iter().map(|e| (e.name, e.item)).collect();
        self.exports.push(exports);
        Ok(id)
    }

    /// An instance that is not complete yet.
    fn draft_of(&self, id: InstanceId) -> &Draft<'m> {
        &self.drafts[id.index() - self.program.instances.len()]
    }

    fn draft_of_mut(&mut self, id: InstanceId) -> &mut Draft<'m> {
        &mut self.drafts[id.index() - self.program.instances.len()]
    }

    /// What an instance exports under a name.
    fn export(&self, id: InstanceId, name: &str) -> Option<Slot> {
        let item = *self.exports[id.index()].get(name)?;
        let Some(instance) = self.program.instances.get(id.index()) else {
            return Some(self.draft_of(id).slot(item));
        };
        Some(Slot::Leads(match item {
            Item::Function(i) => Resolved::Function(instance.functions[i as usize]),
            Item::Table(i) => Resolved::Table(instance.tables[i as usize]),
            Item::Memory(i) => Resolved::Memory(instance.memories[i as usize]),
            Item::Global(i) => Resolved::Global(instance.globals[i as usize]),
            Item::Tag(i) => Resolved::Tag(instance.tags[i as usize]),
        }))
    }
}

/// The Wasm type of a host function.
#[must_use]
pub fn host_type(function: &HostFunction) -> FuncType {
    let ty = |ty: &host::ValType| match ty {
        host::ValType::I32 => ValType::I32,
        host::ValType::I64 => ValType::I64,
        host::ValType::F32 => ValType::F32,
        host::ValType::F64 => ValType::F64,
    };
    FuncType::new(
        function.params.iter().map(ty),
        function.results.iter().map(ty),
    )
}
