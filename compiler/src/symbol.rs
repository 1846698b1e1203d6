//! Symbols of generated code, as CLIF's external names carry them.
//!
//! In: nothing. Out: [`Symbol`], its encoding in two numbers, and what `emit` calls it in the object.

use crate::program::{DataId, ElementId, FuncId, HostId, TableId, UnknownId};
use cranelift_codegen::ir::UserExternalName;
use elfin_abi::host::{Libcall, Setup};

/// Something that code refers to by address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Symbol {
    /// A function of an instance.
    Function(FuncId),
    /// Its code for the baseline, where it has a twin: [`Symbol::Function`] chooses between the two.
    Plain(FuncId),
    /// Its twin: its code for newer processors.
    Twin(FuncId),
    /// Whether the processor is one of the newer: a byte of the runtime.
    CpuFound,
    /// A host function, by index in the host function table: the C convention.
    Host(u32),
    /// A host import as a function of the Wasm convention.
    HostGlue(HostId),
    /// An unknown import as a function of the Wasm convention.
    UnknownGlue(UnknownId),
    /// A libcall of the runtime, by position in [`Libcall::ALL`].
    Libcall(u32),
    /// A setup function of the runtime, by position in [`Setup::ALL`].
    Setup(u32),
    /// Address of the primary memory.
    Memory,
    /// Bytes of a data segment that is used at run time.
    Data(DataId),
    /// References of an element segment that is used at run time.
    Elements(ElementId),
    /// Names of an unknown import: module, then name.
    UnknownName(UnknownId),
    /// Name of the export that is invoked.
    InvokeName,
    /// The program's main function.
    Main,
    /// The function that a thread begins with.
    ThreadStart,
    /// What a thread's own state begins with.
    ThreadTemplate,
    /// An action of a script.
    Action(u32),
    /// The records of a script's actions.
    Script,
    /// Name of the CPU level that the code is for.
    CpuName,
    /// What the collector is told of the program.
    Gc,
    /// Some of the steps at start, where there are many.
    Steps(u32),
    /// What a table begins with that each thread has elsewhere.
    TableEntries(TableId),
}

impl Symbol {
    /// A libcall.
    #[must_use]
    pub fn libcall(libcall: Libcall) -> Self {
        Self::Libcall(libcall as u32)
    }

    /// The libcall with this number.
    #[must_use]
    pub fn as_libcall(number: u32) -> Libcall {
        Libcall::ALL[number as usize]
    }

    /// The setup function with this number.
    #[must_use]
    pub fn as_setup(number: u32) -> Setup {
        Setup::ALL[number as usize]
    }

    /// As CLIF carries it.
    #[must_use]
    pub fn encode(self) -> UserExternalName {
        let (namespace, index) = match self {
            Symbol::Function(id) => (0, id.0),
            Symbol::Host(index) => (1, index),
            Symbol::HostGlue(id) => (2, id.0),
            Symbol::UnknownGlue(id) => (3, id.0),
            Symbol::Libcall(index) => (4, index),
            Symbol::Setup(index) => (5, index),
            Symbol::Memory => (6, 0),
            Symbol::Data(id) => (7, id.0),
            Symbol::Elements(id) => (8, id.0),
            Symbol::UnknownName(id) => (9, id.0),
            Symbol::InvokeName => (10, 0),
            Symbol::Main => (11, 0),
            Symbol::Action(index) => (12, index),
            Symbol::Script => (13, 0),
            Symbol::ThreadStart => (16, 0),
            Symbol::ThreadTemplate => (17, 0),
            Symbol::CpuName => (14, 0),
            Symbol::Gc => (15, 0),
            Symbol::Steps(index) => (18, index),
            Symbol::TableEntries(id) => (19, id.0),
            Symbol::Plain(id) => (20, id.0),
            Symbol::Twin(id) => (21, id.0),
            Symbol::CpuFound => (22, 0),
        };
        UserExternalName { namespace, index }
    }

    /// From what CLIF carries.
    ///
    /// # Panics
    /// When the name was not made by [`Symbol::encode`].
    #[must_use]
    pub fn decode(name: &UserExternalName) -> Self {
        let index = name.index;
        match name.namespace {
            0 => Symbol::Function(FuncId(index)),
            1 => Symbol::Host(index),
            2 => Symbol::HostGlue(HostId(index)),
            3 => Symbol::UnknownGlue(UnknownId(index)),
            4 => Symbol::Libcall(index),
            5 => Symbol::Setup(index),
            6 => Symbol::Memory,
            7 => Symbol::Data(DataId(index)),
            8 => Symbol::Elements(ElementId(index)),
            9 => Symbol::UnknownName(UnknownId(index)),
            10 => Symbol::InvokeName,
            11 => Symbol::Main,
            12 => Symbol::Action(index),
            13 => Symbol::Script,
            16 => Symbol::ThreadStart,
            17 => Symbol::ThreadTemplate,
            14 => Symbol::CpuName,
            15 => Symbol::Gc,
            18 => Symbol::Steps(index),
            19 => Symbol::TableEntries(TableId(index)),
            20 => Symbol::Plain(FuncId(index)),
            21 => Symbol::Twin(FuncId(index)),
            22 => Symbol::CpuFound,
            namespace => panic!("no symbol has namespace {namespace}"),
        }
    }
}
