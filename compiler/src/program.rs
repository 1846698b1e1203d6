//! Modules → [`Program`]: a closed world in which every import is resolved.
//!
//! In: validated modules, in the order of instantiation, and what import module names lead to at each point.
//! Out: instances whose index spaces lead to program-wide entities. Import matching (core spec, 3.5.11 and
//! 4.5.3) happens here and nowhere else. Nothing here knows addresses.

use crate::canonical::{self, Canonical, TooMany, Types};
use crate::error::{Error, Place, Printable, Result};
use crate::module::{
    ConstExpr, ConstOperator, FuncType, GlobalType, Item, Module, SegmentMode, ValType,
};
use crate::options::{Options, UnknownImports};
use elfin_abi::host::{self, HostFunction};
use std::collections::HashMap;

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(pub u32);

        impl $name {
            /// As an index into the program's vector of these.
            #[must_use]
            pub const fn index(self) -> usize {
                self.0 as usize
            }
        }
    )*};
}

ids! {
    /// An instance.
    InstanceId;
    /// A function defined by an instance.
    FuncId;
    /// A linear memory.
    MemoryId;
    /// A table.
    TableId;
    /// A global.
    GlobalId;
    /// A host function and the memory it works on.
    HostId;
    /// An import that nothing provides.
    UnknownId;
    /// A type; counted from 1, as a function reference stores it (0 is null).
    TypeId;
    /// A data segment of an instance.
    DataId;
    /// An element segment of an instance.
    ElementId;
}

/// A closed world of instances.
#[derive(Debug)]
pub struct Program<'m> {
    /// Instances in the order of instantiation; the main module is the last.
    pub instances: Vec<Instance<'m>>,
    /// Functions that instances define.
    pub functions: Vec<Function>,
    /// Linear memories that instances define.
    pub memories: Vec<Memory>,
    /// Tables that instances define.
    pub tables: Vec<Table>,
    /// Globals that instances define.
    pub globals: Vec<Global>,
    /// Data segments of all instances.
    pub data: Vec<Segment>,
    /// Element segments of all instances.
    pub elements: Vec<Segment>,
    /// Host functions as imported: each with the memory of the importing instance.
    pub host_functions: Vec<HostImport>,
    /// Imports that nothing provides, to trap when called.
    pub unknown: Vec<Unknown>,
    /// Types; `TypeId` n is entry n - 1.
    pub types: Types,
    /// What runs after instantiation.
    pub entry: Entry,
    /// For a test script, what it does; nothing else runs then, not even instantiation.
    pub script: Option<Vec<Action>>,
}

/// An instance: a module and what its index spaces lead to.
#[derive(Debug)]
pub struct Instance<'m> {
    /// Its module.
    pub module: &'m Module<'m>,
    /// Function index space.
    pub functions: Vec<Callee>,
    /// Memory index space.
    pub memories: Vec<MemoryId>,
    /// Table index space.
    pub tables: Vec<TableId>,
    /// Global index space.
    pub globals: Vec<GlobalId>,
    /// Program-wide type of each type index.
    pub types: Vec<TypeId>,
    /// First of its data segments.
    pub first_data: u32,
    /// First of its element segments.
    pub first_element: u32,
    /// What import matching could not decide before the program runs.
    pub checks: Vec<Check>,
}

/// An import that matches if something is long enough when the instance is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Check {
    /// A memory has at least this many bytes.
    Memory(MemoryId, u64),
    /// A table has at least this many entries.
    Table(TableId, u64),
}

/// Something that a test script does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Action {
    /// What the report calls it.
    pub id: u32,
    /// What is to be done.
    pub kind: ActionKind,
}

/// What an action of a test script is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ActionKind {
    /// Make an instance.
    Instantiate(InstanceId),
    /// Call a function.
    Invoke {
        /// The function.
        callee: Callee,
        /// Its arguments.
        arguments: Vec<Constant>,
    },
    /// Read a global.
    Get(GlobalId),
}

/// What a function index leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Callee {
    /// A function of some instance.
    Defined(FuncId),
    /// A host function.
    Host(HostId),
    /// Nothing: a call traps.
    Unknown(UnknownId),
}

/// A function that an instance defines.
#[derive(Clone, Copy, Debug)]
pub struct Function {
    /// Its instance.
    pub instance: InstanceId,
    /// Its index in that instance's function index space.
    pub index: u32,
    /// Its type.
    pub ty: TypeId,
}

/// A linear memory.
#[derive(Clone, Copy, Debug)]
pub struct Memory {
    /// Its initial length in bytes.
    pub initial: u64,
    /// The length in bytes beyond which it can't grow: declared maximum, address type and
    /// `--max-memory` taken together.
    pub maximum: u64,
    /// The declared maximum in pages, for import matching.
    declared_maximum: Option<u64>,
    /// Its addresses are i64 (memory64).
    pub is_64: bool,
    /// Base-two logarithm of its page size.
    pub page_log2: u32,
    /// The instance that defines it.
    pub instance: InstanceId,
}

impl Memory {
    /// Whether unmapped pages can catch every access beyond its length: no 64-bit index can leave a
    /// reservation, and the length is always a multiple of the kernel's page size.
    #[must_use]
    pub const fn can_be_guarded(&self) -> bool {
        !self.is_64 && self.page_log2 == DEFAULT_PAGE_LOG2
    }
}

/// Base-two logarithm of the page size that a memory has unless it says otherwise.
const DEFAULT_PAGE_LOG2: u32 = elfin_abi::state::WASM_PAGE.trailing_zeros();

/// Most bytes of a memory with 64-bit addresses: the address space that the map has for one.
pub const MAX_MEMORY64: u64 = elfin_abi::map::MEMORY_STRIDE - 2 * elfin_abi::state::WASM_PAGE;

/// A table.
#[derive(Clone, Debug)]
pub struct Table {
    /// Its element type.
    pub element: wasmparser::RefType,
    /// Its indices are i64 (memory64).
    pub is_64: bool,
    /// Its initial number of entries.
    pub initial: u64,
    /// The number of entries beyond which it can't grow.
    pub maximum: Option<u64>,
    /// Initial value of every entry.
    pub init: Constant,
    /// The instance that defines it.
    pub instance: InstanceId,
}

/// A global.
#[derive(Clone, Copy, Debug)]
pub struct Global {
    /// Its type.
    pub ty: GlobalType,
    /// Its initial value. In a closed world every constant expression has one.
    pub init: Constant,
}

/// The value of a constant expression.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Constant {
    /// Bits of a number.
    Bits(u64),
    /// Bits of a vector, lane 0 lowest.
    V128(u128),
    /// The null reference.
    Null,
    /// A reference to a function.
    Function(Callee),
}

/// A data or element segment of an instance, its offset evaluated.
#[derive(Clone, Copy, Debug)]
pub struct Segment {
    /// Its instance.
    pub instance: InstanceId,
    /// Its index in the module.
    pub index: u32,
    /// Where an active one goes: memory or table by program-wide index, and offset.
    pub active: Option<(u32, u64)>,
    /// An element segment that is only declared.
    pub declared: bool,
}

/// A host function as one instance imports it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HostImport {
    /// Index in [`host::HOST_FUNCTIONS`].
    pub index: usize,
    /// The memory it works on.
    pub memory: Option<MemoryId>,
    /// Its type.
    pub ty: TypeId,
}

impl HostImport {
    /// The host function.
    #[must_use]
    pub fn function(&self) -> &'static HostFunction {
        &host::HOST_FUNCTIONS[self.index]
    }
}

/// An import that nothing provides.
#[derive(Clone, Debug)]
pub struct Unknown {
    /// Import module.
    pub module: String,
    /// Import name.
    pub name: String,
    /// Its type.
    pub ty: TypeId,
}

/// What runs after all instances are instantiated.
#[derive(Clone, Debug, Default)]
pub struct Entry {
    /// `_initialize` functions of reactors, in the order of instantiation.
    pub initialize: Vec<FuncId>,
    /// The function to call at last.
    pub call: Option<FuncId>,
    /// `call` is an export asked for by name: its parameters come from the command line and its results
    /// are printed.
    pub invoke: Option<String>,
}

impl Program<'_> {
    /// A function type.
    ///
    /// # Panics
    /// When it is none, which validation rules out for the type of a function or of a call.
    #[must_use]
    pub fn ty(&self, id: TypeId) -> &FuncType {
        self.types[id.index() - 1]
            .as_ref()
            .expect("validated: a function or call has a function type")
    }

    /// The type of what a function index leads to.
    #[must_use]
    pub fn callee_type(&self, callee: Callee) -> TypeId {
        match callee {
            Callee::Defined(id) => self.functions[id.index()].ty,
            Callee::Host(id) => self.host_functions[id.index()].ty,
            Callee::Unknown(id) => self.unknown[id.index()].ty,
        }
    }

    /// The memory that is addressed by a constant: the main instance's memory 0, or the first there is.
    #[must_use]
    pub fn primary_memory(&self) -> Option<MemoryId> {
        let main = self.main().memories.first().copied();
        main.or((!self.memories.is_empty()).then_some(MemoryId(0)))
    }

    /// The results of an action.
    #[must_use]
    pub fn action_results(&self, action: &Action) -> &[ValType] {
        match &action.kind {
            ActionKind::Instantiate(_) => &[],
            ActionKind::Invoke { callee, .. } => self.ty(self.callee_type(*callee)).results(),
            ActionKind::Get(id) => std::slice::from_ref(&self.globals[id.index()].ty.content_type),
        }
    }

    /// The main instance.
    ///
    /// # Panics
    /// Never: a program has at least the main instance.
    #[must_use]
    pub fn main(&self) -> &Instance<'_> {
        self.instances
            .last()
            .expect("a program has a main instance")
    }
}

/// Most entries of all tables of a program together.
pub const MAX_TABLE_ENTRIES: u64 = 1 << 30;

/// Wires `modules` (in the order of instantiation, the main module last) to each other and to the host.
///
/// # Errors
/// [`Error::Link`] for what cannot be resolved, [`Error::LimitExceeded`].
pub fn link<'m>(modules: &'m [Module<'m>], options: &Options) -> Result<Program<'m>> {
    let mut linker = Linker::new(options, false);
    for (position, module) in modules.iter().enumerate() {
        let id = linker.add(module, &modules[position + 1..])?;
        linker.register(&module.name, id);
    }
    linker.choose_entry()?;
    Ok(linker.program)
}

/// A program under construction, instance by instance.
#[derive(Debug)]
pub struct Linker<'m, 'o> {
    program: Program<'m>,
    canonical: Canonical,
    host_ids: HashMap<(&'static str, &'static str), usize>,
    /// What import module names lead to now.
    names: HashMap<String, InstanceId>,
    options: &'o Options,
}

/// What an import resolves to.
enum Resolved {
    Function(Callee),
    Table(TableId),
    Memory(MemoryId),
    Global(GlobalId),
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

    /// Lets `name` lead to `instance` from now on.
    pub fn register(&mut self, name: &str, instance: InstanceId) {
        self.names.insert(name.to_owned(), instance);
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
                (ValType::Ref(wanted), ValType::Ref(given)) => {
                    wanted.heap_type() == given.heap_type()
                }
                (wanted, given) => wanted == given,
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
            options,
        }
    }

    /// What an instance exports under a name.
    fn export(&self, instance: InstanceId, name: &str) -> Option<Resolved> {
        let instance = &self.program.instances[instance.index()];
        Some(match instance.module.export(name)? {
            Item::Function(i) => Resolved::Function(instance.functions[i as usize]),
            Item::Table(i) => Resolved::Table(instance.tables[i as usize]),
            Item::Memory(i) => Resolved::Memory(instance.memories[i as usize]),
            Item::Global(i) => Resolved::Global(instance.globals[i as usize]),
        })
    }

    /// Adds an instance. `later` are modules of which there will be instances only later.
    fn add(&mut self, module: &'m Module<'m>, later: &[Module<'_>]) -> Result<InstanceId> {
        // The back end has vectors only with the V extension, which RV64GC lacks.
        if !self.options.cpu.has_vectors(self.options.arch)
            && let Some(place) = &module.simd
        {
            return Err(Error::Unsupported {
                feature: "simd-on-riscv64".to_owned(),
                place: place.clone(),
            });
        }
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
        Ok(id)
    }

    /// Fails before anything is added.
    fn check_limits(&self, module: &Module<'_>) -> Result<()> {
        let limit = |message: String| Error::LimitExceeded {
            message,
            place: module.place(),
        };
        for ty in &module.memories[module.imported_memories as usize..] {
            let (initial, maximum) = self.memory_limits(ty);
            if initial > maximum {
                let why = match self.options.max_memory {
                    Some(allowed) if allowed < initial => {
                        format!("more than --max-memory allows ({allowed})")
                    }
                    _ => format!("the most is {maximum}"),
                };
                return Err(limit(format!(
                    "a linear memory starts with {initial} bytes, {why}"
                )));
            }
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
            let (initial, maximum) = self.memory_limits(ty);
            instance
                .memories
                .push(MemoryId(self.program.memories.len() as u32));
            self.program.memories.push(Memory {
                initial,
                maximum,
                declared_maximum: ty.maximum,
                is_64: ty.memory64,
                page_log2: ty.page_size_log2.unwrap_or(DEFAULT_PAGE_LOG2),
                instance: id,
            });
        }
        for global in &module.globals[module.imported_globals as usize..] {
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
            });
        }
        for table in &module.tables[module.imported_tables as usize..] {
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
            Constant::V128(_) | Constant::Null | Constant::Function(_) => {
                unreachable!("validated: an offset is a number")
            }
        }
    }

    fn resolve(
        &mut self,
        instance: &mut Instance<'_>,
        import: &crate::module::Import<'m>,
        later: &[Module<'_>],
    ) -> Result<Resolved> {
        let module = instance.module;
        let place = Place {
            offset: Some(import.offset),
            ..module.place()
        };
        let what = format!(
            "{} \"{}\" \"{}\"",
            import.item.kind(),
            Printable(import.module),
            Printable(import.name)
        );
        let error = |message: String| Error::Link {
            message,
            place: place.clone(),
        };

        if let Some(&provider) = self.names.get(import.module) {
            let Some(resolved) = self.export(provider, import.name) else {
                return Err(error(format!(
                    "unknown import: {what}: the module linked as \"{}\" has no such export",
                    Printable(import.module)
                )));
            };
            if let Some(why) = self.mismatch(instance, import.item, &resolved) {
                return Err(error(format!("incompatible import type: {what}: {why}")));
            }
            return Ok(resolved);
        }
        // The main module, the last, is linked to by nobody.
        if let Some(module) = later.iter().find(|m| m.name == import.module) {
            return Err(error(format!(
                "unknown import: {what}: the module linked as \"{}\" is instantiated later; put its --link earlier",
                Printable(&module.name)
            )));
        }

        if let Item::Function(index) = import.item {
            if let Some(&host) = self.host_ids.get(&(import.module, import.name)) {
                let function = &host::HOST_FUNCTIONS[host];
                let ty = module.function_type(index);
                let expected = host_type(function);
                if *ty != expected {
                    return Err(error(format!(
                        "incompatible import type: {what}: elfin provides it with type {}, the module imports it with type {}",
                        describe(&expected),
                        describe(ty)
                    )));
                }
                if function.symbol.is_empty() {
                    return Err(error(format!(
                        "{what} is part of WASI preview1 but elfin does not have it yet"
                    )));
                }
                let ty = instance.types[module.functions[index as usize] as usize];
                let id = HostId(self.program.host_functions.len() as u32);
                self.program.host_functions.push(HostImport {
                    index: host,
                    memory: None,
                    ty,
                });
                return Ok(Resolved::Function(Callee::Host(id)));
            }
            if self.options.unknown_imports == UnknownImports::Trap {
                let ty = instance.types[module.functions[index as usize] as usize];
                let id = UnknownId(self.program.unknown.len() as u32);
                self.program.unknown.push(Unknown {
                    module: import.module.to_owned(),
                    name: import.name.to_owned(),
                    ty,
                });
                return Ok(Resolved::Function(Callee::Unknown(id)));
            }
        }
        let hint = match import.item {
            Item::Function(_) => {
                "; provide it with --link NAME=FILE, or build with --unknown-imports trap to trap when it is called"
            }
            _ => "; provide it with --link NAME=FILE",
        };
        Err(error(format!("unknown import: {what}{hint}")))
    }

    /// Why what was found does not match what is imported.
    fn mismatch(
        &self,
        instance: &mut Instance<'_>,
        wanted: Item,
        found: &Resolved,
    ) -> Option<String> {
        let module = instance.module;
        let limits = |found: (u64, Option<u64>), wanted: (u64, Option<u64>), unit: &str| {
            if found.0 < wanted.0 {
                return Some(format!(
                    "it has {} {unit}, at least {} are wanted",
                    found.0, wanted.0
                ));
            }
            match (found.1, wanted.1) {
                (_, None) => None,
                (Some(found), Some(wanted)) if found <= wanted => None,
                (Some(found), Some(wanted)) => Some(format!(
                    "its maximum is {found} {unit}, at most {wanted} is wanted"
                )),
                (None, Some(wanted)) => Some(format!(
                    "it has no maximum, at most {wanted} {unit} is wanted"
                )),
            }
        };
        let found_as = found;
        match (wanted, found) {
            (Item::Function(index), Resolved::Function(callee)) => {
                let wanted = instance.types[module.functions[index as usize] as usize];
                let found = self.program.callee_type(*callee);
                (wanted != found).then(|| {
                    format!(
                        "it has type {}, wanted is type {}",
                        describe(self.program.ty(found)),
                        describe(self.program.ty(wanted))
                    )
                })
            }
            (Item::Global(index), Resolved::Global(id)) => {
                let mut wanted = module.globals[index as usize].ty;
                wanted.content_type = canonical::value_type(&instance.types, wanted.content_type);
                let found = self.program.globals[id.index()].ty;
                // What is only read may be more special than what is wanted.
                let matches = wanted == found
                    || (!wanted.mutable
                        && !found.mutable
                        && canonical::is_subtype(
                            &self.program.types,
                            found.content_type,
                            wanted.content_type,
                        ));
                (!matches).then(|| {
                    format!(
                        "it is a {}, wanted is a {}",
                        describe_global(found),
                        describe_global(wanted)
                    )
                })
            }
            (Item::Memory(index), Resolved::Memory(id)) => {
                let wanted = module.memories[index as usize];
                let found = self.program.memories[id.index()];
                if let Some(why) = address_mismatch(found.is_64, wanted.memory64) {
                    return Some(why);
                }
                let wanted_log2 = wanted.page_size_log2.unwrap_or(DEFAULT_PAGE_LOG2);
                if found.page_log2 != wanted_log2 {
                    return Some(format!(
                        "its pages have {} bytes, wanted are {}",
                        1_u64 << found.page_log2,
                        1_u64 << wanted_log2
                    ));
                }
                let page = 1 << wanted_log2;
                let mut pages = found.initial / page;
                if pages < wanted.initial && self.may_have_grown(found_as) {
                    instance
                        .checks
                        .push(Check::Memory(*id, wanted.initial.saturating_mul(page)));
                    pages = wanted.initial;
                }
                limits(
                    (pages, found.declared_maximum),
                    (wanted.initial, wanted.maximum),
                    "pages",
                )
            }
            (Item::Table(index), Resolved::Table(id)) => {
                let wanted = module.tables[index as usize].ty;
                let found = &self.program.tables[id.index()];
                if let Some(why) = address_mismatch(found.is_64, wanted.table64) {
                    return Some(why);
                }
                let element = canonical::reference_type(&instance.types, wanted.element_type);
                if element != found.element {
                    return Some(format!(
                        "it is a table of {}, wanted is one of {element}",
                        found.element
                    ));
                }
                let mut entries = found.initial;
                if entries < wanted.initial && self.may_have_grown(found_as) {
                    instance.checks.push(Check::Table(*id, wanted.initial));
                    entries = wanted.initial;
                }
                limits(
                    (entries, found.maximum),
                    (wanted.initial, wanted.maximum),
                    "entries",
                )
            }
            (wanted, found) => {
                let found = match found {
                    Resolved::Function(_) => "function",
                    Resolved::Table(_) => "table",
                    Resolved::Memory(_) => "memory",
                    Resolved::Global(_) => "global",
                };
                Some(format!("it is a {found}, wanted is a {}", wanted.kind()))
            }
        }
    }

    /// Whether an action of the script may have made a memory or table longer. In a command only start
    /// functions run before the last instance is made: what they grow counts with its initial length.
    fn may_have_grown(&self, item: &Resolved) -> bool {
        let grows = |instance: &Instance<'_>| {
            instance.module.bodies.iter().any(|body| match item {
                Resolved::Memory(id) => {
                    let grown = &body.summary.memories_grown;
                    grown.iter().any(|i| instance.memories[*i as usize] == *id)
                }
                Resolved::Table(id) => {
                    let grown = &body.summary.tables_grown;
                    grown.iter().any(|i| instance.tables[*i as usize] == *id)
                }
                Resolved::Function(_) | Resolved::Global(_) => false,
            })
        };
        self.program.script.is_some() && self.program.instances.iter().any(grows)
    }

    fn choose_entry(&mut self) -> Result<()> {
        let nullary = FuncType::new([], []);
        let (main, links) = self
            .program
            .instances
            .split_last()
            .expect("a program has a main instance");
        let exported = |instance: &Instance<'_>, name: &str| match instance.module.export(name) {
            Some(Item::Function(index)) => Some((index, instance.functions[index as usize])),
            _ => None,
        };
        let lifecycle = |instance: &Instance<'_>, name: &str| {
            exported(instance, name).and_then(|(index, callee)| match callee {
                Callee::Defined(id) if *instance.module.function_type(index) == nullary => Some(id),
                _ => None,
            })
        };
        let mut entry = Entry::default();
        for link in links {
            entry.initialize.extend(lifecycle(link, "_initialize"));
        }
        let error = |message: String| Error::Link {
            message,
            place: main.module.place(),
        };
        let choices = || {
            let names: Vec<_> = main
                .module
                .exports
                .iter()
                .filter(|e| matches!(e.item, Item::Function(_)) && e.name != "_initialize")
                .take(8)
                .map(|e| Printable(e.name).to_string())
                .collect();
            if names.is_empty() {
                "it exports no function".to_owned()
            } else {
                format!("it exports {}", names.join(", "))
            }
        };
        if let Some(name) = &self.options.invoke {
            entry.initialize.extend(lifecycle(main, "_initialize"));
            let Some((index, callee)) = exported(main, name) else {
                return Err(error(format!(
                    "--invoke {}: the module has no such exported function; {}",
                    Printable(name),
                    choices()
                )));
            };
            let Callee::Defined(id) = callee else {
                return Err(error(format!(
                    "--invoke {}: the export is an imported function",
                    Printable(name)
                )));
            };
            let ty = main.module.function_type(index);
            if ty
                .params()
                .iter()
                .chain(ty.results())
                .any(|ty| ty.is_reference_type() || *ty == ValType::V128)
            {
                return Err(error(format!(
                    "--invoke {}: its type {} has a reference or a vector, which no command line can give or show",
                    Printable(name),
                    describe(ty)
                )));
            }
            entry.call = Some(id);
            entry.invoke = Some(name.clone());
        } else if let Some(start) = lifecycle(main, "_start") {
            entry.call = Some(start);
        } else {
            entry.initialize.extend(lifecycle(main, "_initialize"));
            if entry.initialize.is_empty() && main.module.start.is_none() {
                return Err(error(format!(
                    "there is nothing to run: no export `_start`, no start function; build with --invoke NAME ({})",
                    choices()
                )));
            }
        }
        self.program.entry = entry;
        Ok(())
    }
}

/// Evaluates a constant expression. Every global that it may read is immutable and already evaluated.
#[must_use]
pub fn evaluate(globals: &[Global], instance: &Instance<'_>, expr: &ConstExpr) -> Constant {
    let mut stack: Vec<Constant> = Vec::new();
    for operator in &expr.operators {
        let value = match *operator {
            ConstOperator::I32Const(v) => Constant::Bits(u64::from(v as u32)),
            ConstOperator::I64Const(v) => Constant::Bits(v as u64),
            ConstOperator::F32Const(bits) => Constant::Bits(u64::from(bits)),
            ConstOperator::F64Const(bits) => Constant::Bits(bits),
            ConstOperator::V128Const(bits) => Constant::V128(bits),
            ConstOperator::GlobalGet(index) => {
                globals[instance.globals[index as usize].index()].init
            }
            ConstOperator::RefNull => Constant::Null,
            ConstOperator::RefFunc(index) => Constant::Function(instance.functions[index as usize]),
            ConstOperator::I32Add => binary(&mut stack, |a, b| {
                u64::from((a as u32).wrapping_add(b as u32))
            }),
            ConstOperator::I32Sub => binary(&mut stack, |a, b| {
                u64::from((a as u32).wrapping_sub(b as u32))
            }),
            ConstOperator::I32Mul => binary(&mut stack, |a, b| {
                u64::from((a as u32).wrapping_mul(b as u32))
            }),
            ConstOperator::I64Add => binary(&mut stack, u64::wrapping_add),
            ConstOperator::I64Sub => binary(&mut stack, u64::wrapping_sub),
            ConstOperator::I64Mul => binary(&mut stack, u64::wrapping_mul),
        };
        stack.push(value);
    }
    stack
        .pop()
        .expect("validated: a constant expression has a value")
}

/// Why an address type does not match.
fn address_mismatch(found: bool, wanted: bool) -> Option<String> {
    let name = |is_64| if is_64 { "i64" } else { "i32" };
    (found != wanted).then(|| {
        format!(
            "its addresses are {}, wanted are {}",
            name(found),
            name(wanted)
        )
    })
}

fn binary(stack: &mut Vec<Constant>, apply: impl Fn(u64, u64) -> u64) -> Constant {
    let (Some(Constant::Bits(b)), Some(Constant::Bits(a))) = (stack.pop(), stack.pop()) else {
        unreachable!("validated: arithmetic has two numbers");
    };
    Constant::Bits(apply(a, b))
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

/// A function type as the text format writes it.
#[must_use]
pub fn describe(ty: &FuncType) -> String {
    let list = |types: &[ValType]| {
        types
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join(" ")
    };
    format!("({}) -> ({})", list(ty.params()), list(ty.results()))
}

fn describe_global(ty: GlobalType) -> String {
    format!(
        "{} global of type {}",
        if ty.mutable { "mutable" } else { "constant" },
        ty.content_type
    )
}
