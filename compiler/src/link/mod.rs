//! Modules → [`Program`]: every import is resolved.
//!
//! In: validated modules, in the order of instantiation, and what import module names lead to at each point.
//! Out: instances whose index spaces lead to program-wide entities. Rooms: `matching` decides what an import
//! leads to and whether it fits, `entry` what runs at last, `threads` what threads run and share.

mod entry;
mod matching;
mod threads;

use crate::canonical::{self, Canonical, TooMany};
use crate::error::{Error, Printable, Result};
use crate::module::{ConstExpr, FuncType, GlobalType, Item, Module, SegmentMode, ValType};
use crate::options::Options;
use crate::program::*;
use elfin_abi::host::{self, HostFunction};
use std::collections::HashMap;

pub use matching::describe;
pub use threads::ScriptThread;

/// Most entries of all tables of a program together.
pub const MAX_TABLE_ENTRIES: u64 = 1 << 30;

/// Wires `modules` (in the order of instantiation, the main module last) to each other and to the host.
///
/// # Errors
/// [`Error::Link`] for what cannot be resolved, [`Error::LimitExceeded`].
pub fn link<'m>(modules: &'m [Module<'m>], options: &Options) -> Result<Program<'m>> {
    let mut linker = Linker::new(options, false);
    for (position, module) in modules.iter().enumerate() {
        // The main module, the last, is linked to by nobody.
        let later = modules[position + 1..]
            .split_last()
            .map_or(&[][..], |(_, links)| links);
        let id = linker.add(module, later)?;
        linker
            .names
            .entry(module.name.clone())
            .or_default()
            .push(id);
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
    /// What each instance exports, by name.
    exports: Vec<HashMap<&'m str, Item>>,
    /// Memories that elfin itself provides, by import names.
    provided: HashMap<(&'m str, &'m str), MemoryId>,
    options: &'o Options,
}

/// What an import resolves to.
enum Resolved {
    Function(Callee),
    Table(TableId),
    Memory(MemoryId),
    Global(GlobalId),
    Tag(TagId),
}

/// Test scripts: what they do, one call each.
impl<'m, 'o> Linker<'m, 'o> {
    /// A script that does nothing yet.
    #[must_use]
    pub fn script(options: &'o Options) -> Self {
        Self::new(options, true)
    }

    /// Makes an instance of `module` the next action.
    ///
    /// # Errors
    /// As [`link`]; the script is as before then.
    pub fn instantiate(&mut self, id: u32, module: &'m Module<'m>) -> Result<InstanceId> {
        let instance = self.add(module, &[])?;
        self.act(id, ActionKind::Instantiate(instance));
        Ok(instance)
    }

    /// Lets `name` lead to `instance` from now on, and to nothing else.
    pub fn register(&mut self, name: &str, instance: InstanceId) {
        self.names.insert(name.to_owned(), vec![instance]);
    }

    /// Makes a call the next action.
    ///
    /// # Errors
    /// [`Error::Link`] when there is no such export, or it takes other arguments.
    pub fn invoke(
        &mut self,
        id: u32,
        instance: InstanceId,
        export: &str,
        arguments: &[(ValType, Constant)],
    ) -> Result<()> {
        let program = &self.program;
        let error = |message: String| Error::Link {
            message,
            place: program.instances[instance.index()].module.place(),
        };
        let Some(Resolved::Function(callee)) = self.export(instance, export) else {
            return Err(error(format!("no exported function {}", Printable(export))));
        };
        let ty = program.ty(program.callee_type(callee));
        let fits =
            |(wanted, (given, value)): (&ValType, &(ValType, Constant))| match (wanted, given) {
                (ValType::Ref(wanted), ValType::Ref(_)) if *value == Constant::Null => {
                    wanted.is_nullable()
                }
                (wanted, given) => canonical::is_subtype(&program.types, *given, *wanted),
            };
        if ty.params().len() != arguments.len() || !ty.params().iter().zip(arguments).all(fits) {
            let given: Vec<ValType> = arguments.iter().map(|(ty, _)| *ty).collect();
            let given = FuncType::new(given, []);
            return Err(error(format!(
                "{} has type {}, it is given arguments of {}",
                Printable(export),
                describe(ty),
                describe(&given)
            )));
        }
        if ty.results().len() > elfin_abi::script::MAX_RESULTS as usize {
            return Err(error(format!("{} has too many results", Printable(export))));
        }
        let arguments = arguments.iter().map(|(_, value)| *value).collect();
        self.act(id, ActionKind::Invoke { callee, arguments });
        Ok(())
    }

    /// Makes the reading of a global the next action.
    ///
    /// # Errors
    /// [`Error::Link`] when there is no such export.
    pub fn get(&mut self, id: u32, instance: InstanceId, export: &str) -> Result<()> {
        let Some(Resolved::Global(global)) = self.export(instance, export) else {
            return Err(Error::Link {
                message: format!("no exported global {}", Printable(export)),
                place: self.program.instances[instance.index()].module.place(),
            });
        };
        self.act(id, ActionKind::Get(global));
        Ok(())
    }

    /// The script as a program.
    #[must_use]
    pub fn finish(self) -> Program<'m> {
        self.program
    }

    /// The program as it is so far.
    #[must_use]
    pub fn program(&self) -> &Program<'m> {
        &self.program
    }

    fn act(&mut self, id: u32, kind: ActionKind) {
        self.program
            .script
            .get_or_insert_default()
            .push(Action { id, kind });
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
            provided: HashMap::new(),
            options,
        }
    }

    /// What an instance exports under a name.
    fn export(&self, instance: InstanceId, name: &str) -> Option<Resolved> {
        let item = *self.exports[instance.index()].get(name)?;
        let instance = &self.program.instances[instance.index()];
        Some(match item {
            Item::Function(i) => Resolved::Function(instance.functions[i as usize]),
            Item::Table(i) => Resolved::Table(instance.tables[i as usize]),
            Item::Memory(i) => Resolved::Memory(instance.memories[i as usize]),
            Item::Global(i) => Resolved::Global(instance.globals[i as usize]),
            Item::Tag(i) => Resolved::Tag(instance.tags[i as usize]),
        })
    }

    /// Adds an instance. `later` are modules to link to of which there will be instances only later.
    fn add(&mut self, module: &'m Module<'m>, later: &[Module<'_>]) -> Result<InstanceId> {
        let id = InstanceId(self.program.instances.len() as u32);
        let types = self
            .canonical
            .module(&mut self.program.types, &module.groups)
            .map_err(|TooMany| Error::LimitExceeded {
                message: "more types than a program can have".to_owned(),
                place: module.place(),
            })?;
        let mut instance = Instance {
            module,
            functions: Vec::with_capacity(module.functions.len()),
            memories: Vec::new(),
            tables: Vec::new(),
            globals: Vec::new(),
            tags: Vec::new(),
            types,
            first_data: self.program.data.len() as u32,
            first_element: self.program.elements.len() as u32,
            checks: Vec::new(),
        };
        // A host function works on the importing instance's memory, which may itself be imported, so
        // host functions get theirs once all memories are known.
        let mut host_imports = Vec::new();
        for import in &module.imports {
            match self.resolve(&mut instance, import, later)? {
                Resolved::Function(callee) => {
                    if let Callee::Host(host) = callee
                        && !self.names.contains_key(import.module)
                    {
                        host_imports.push(host);
                    }
                    instance.functions.push(callee);
                }
                Resolved::Table(table) => instance.tables.push(table),
                Resolved::Memory(memory) => instance.memories.push(memory),
                Resolved::Global(global) => instance.globals.push(global),
                Resolved::Tag(tag) => instance.tags.push(tag),
            }
        }
        self.define(id, &mut instance)?;

        let memory = match module.export("memory") {
            Some(Item::Memory(index)) => Some(instance.memories[index as usize]),
            _ => instance.memories.first().copied(),
        };
        for host in host_imports {
            self.program.host_functions[host.index()].memory = memory;
        }
        self.program.instances.push(instance);
        let exports = module.exports.iter().map(|e| (e.name, e.item)).collect();
        self.exports.push(exports);
        Ok(id)
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

    fn check_memory(&self, module: &Module<'_>, ty: &crate::module::MemoryType) -> Result<()> {
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
    fn memory_limits(&self, ty: &crate::module::MemoryType) -> (u64, u64) {
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

    fn define_memory(&mut self, instance: InstanceId, ty: &crate::module::MemoryType) -> MemoryId {
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

    fn define(&mut self, id: InstanceId, instance: &mut Instance<'m>) -> Result<()> {
        let module = instance.module;
        self.check_limits(module)?;
        for (i, ty) in module
            .functions
            .iter()
            .enumerate()
            .skip(module.imported_functions as usize)
        {
            let ty = instance.types[*ty as usize];
            instance
                .functions
                .push(Callee::Defined(FuncId(self.program.functions.len() as u32)));
            self.program.functions.push(Function {
                instance: id,
                index: i as u32,
                ty,
            });
        }
        for ty in &module.memories[module.imported_memories as usize..] {
            let memory = self.define_memory(id, ty);
            instance.memories.push(memory);
        }
        for (index, ty) in (0..).zip(&module.tags).skip(module.imported_tags as usize) {
            instance.tags.push(TagId(self.program.tags.len() as u32));
            self.program.tags.push(Tag {
                instance: id,
                index,
                ty: instance.types[*ty as usize],
            });
        }
        for (i, global) in (0..)
            .zip(&module.globals)
            .skip(module.imported_globals as usize)
        {
            let init = global
                .init
                .as_ref()
                .expect("a defined global has an initial value");
            let init = self.evaluate(instance, init);
            instance
                .globals
                .push(GlobalId(self.program.globals.len() as u32));
            self.program.globals.push(Global {
                ty: GlobalType {
                    content_type: canonical::value_type(&instance.types, global.ty.content_type),
                    ..global.ty
                },
                init,
                instance: id,
                index: i,
            });
        }
        for (i, table) in (0..)
            .zip(&module.tables)
            .skip(module.imported_tables as usize)
        {
            let init = table
                .init
                .as_ref()
                .map_or(Constant::Null, |init| self.evaluate(instance, init));
            instance
                .tables
                .push(TableId(self.program.tables.len() as u32));
            self.program.tables.push(Table {
                element: canonical::reference_type(&instance.types, table.ty.element_type),
                is_64: table.ty.table64,
                initial: table.ty.initial,
                maximum: table.ty.maximum,
                init,
                instance: id,
                index: i,
            });
        }
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
        Ok(())
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
