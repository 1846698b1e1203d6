//! The program: a closed world of instances in which every import is resolved.
//!
//! Data only, and the evaluation of constant expressions over it. `link` makes it from modules. Nothing here knows
//! addresses.

use crate::canonical::Types;
use crate::module::{ConstExpr, ConstOperator, FuncType, GlobalType, Module, ValType};
use elfin_abi::host::{self, HostFunction};
use wasmparser::CompositeInnerType;

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
    /// A tag: what it is, whatever instances call it.
    TagId;
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
    /// Tags that instances define.
    pub tags: Vec<Tag>,
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
    /// Tag index space.
    pub tags: Vec<TagId>,
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
    /// Start a thread, which does the next actions.
    Thread {
        /// Its number, from 0.
        number: u32,
        /// How many actions are its own, those of threads that it starts included.
        actions: u32,
    },
    /// Wait until the thread with this number has done its actions.
    Wait(u32),
}

impl ActionKind {
    /// It is done by a function of its own, rather than by the runtime's driver.
    #[must_use]
    pub const fn has_function(&self) -> bool {
        !matches!(self, ActionKind::Thread { .. } | ActionKind::Wait(_))
    }
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

/// A tag that an instance defines.
#[derive(Clone, Copy, Debug)]
pub struct Tag {
    /// The instance that defines it.
    pub instance: InstanceId,
    /// Its index in that instance's tag index space.
    pub index: u32,
    /// Its type: the parameters are what its exceptions carry.
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
    pub(crate) declared_maximum: Option<u64>,
    /// Its addresses are i64 (memory64).
    pub is_64: bool,
    /// Base-two logarithm of its page size.
    pub page_log2: u32,
    /// Several threads may use it.
    pub shared: bool,
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
pub(crate) const DEFAULT_PAGE_LOG2: u32 = elfin_abi::state::WASM_PAGE.trailing_zeros();

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
    /// Its index in the module.
    pub index: u32,
}

/// A global.
#[derive(Clone, Copy, Debug)]
pub struct Global {
    /// Its type.
    pub ty: GlobalType,
    /// Its initial value.
    pub init: Constant,
    /// The instance that defines it.
    pub instance: InstanceId,
    /// Its index in the module.
    pub index: u32,
}

/// The value of a constant expression.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Constant {
    /// Bits of a number, or of a reference that is a value of its own (`i31`, from outside).
    Bits(u64),
    /// Bits of a vector, lane 0 lowest.
    V128(u128),
    /// The null reference.
    Null,
    /// A reference to a function.
    Function(Callee),
    /// A reference to an object: the expression is evaluated when the instance is made.
    Computed,
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
    /// What a thread calls, if the program can start threads.
    pub thread_start: Option<FuncId>,
    /// What is odd about this choice, for who builds the program.
    pub remark: Option<String>,
}

impl Program<'_> {
    /// A function type.
    ///
    /// # Panics
    /// When it is none, which validation rules out for the type of a function or of a call.
    #[must_use]
    pub fn ty(&self, id: TypeId) -> &FuncType {
        match &self.types[id.index() - 1].composite_type.inner {
            CompositeInnerType::Func(ty) => ty,
            _ => unreachable!("validated: a function or call has a function type"),
        }
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
            ActionKind::Instantiate(_) | ActionKind::Thread { .. } | ActionKind::Wait(_) => &[],
            ActionKind::Invoke { callee, .. } => self.ty(self.callee_type(*callee)).results(),
            ActionKind::Get(id) => std::slice::from_ref(&self.globals[id.index()].ty.content_type),
        }
    }

    /// Whether the guest can start threads: then each has instances of its own, and what is shared is memories.
    #[must_use]
    pub const fn has_threads(&self) -> bool {
        self.entry.thread_start.is_some()
    }

    /// Whether several threads may run its code: those of the guest, or those of a script, which share instances.
    #[must_use]
    pub fn is_threaded(&self) -> bool {
        let mut actions = self.script.iter().flatten();
        self.has_threads() || actions.any(|a| matches!(a.kind, ActionKind::Thread { .. }))
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

/// Evaluates a constant expression. Every global that it may read is immutable and already evaluated.
#[must_use]
pub fn evaluate(globals: &[Global], instance: &Instance<'_>, expr: &ConstExpr) -> Constant {
    if expr.allocates() {
        return Constant::Computed;
    }
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
            ConstOperator::RefI31 => match stack.pop() {
                Some(Constant::Bits(bits)) => {
                    Constant::Bits(u64::from((bits as u32) << 1) | elfin_abi::gc::I31)
                }
                _ => unreachable!("validated: an i31 is made of a number"),
            },
            // What is an object is computed: only those are changed by a conversion.
            ConstOperator::AnyConvertExtern | ConstOperator::ExternConvertAny => continue,
            ConstOperator::StructNew(_)
            | ConstOperator::StructNewDefault(_)
            | ConstOperator::ArrayNew(_)
            | ConstOperator::ArrayNewDefault(_)
            | ConstOperator::ArrayNewFixed(..) => Constant::Computed,
        };
        stack.push(value);
    }
    stack
        .pop()
        .expect("validated: a constant expression has a value")
}

fn binary(stack: &mut Vec<Constant>, apply: impl Fn(u64, u64) -> u64) -> Constant {
    let (Some(Constant::Bits(b)), Some(Constant::Bits(a))) = (stack.pop(), stack.pop()) else {
        unreachable!("validated: arithmetic has two numbers");
    };
    Constant::Bits(apply(a, b))
}
