//! A WebAssembly module, read and validated: data only.
//!
//! In: what `parse` found. Out: index spaces as vectors, imports first (core spec, 2.5 Modules). Nothing
//! here knows which other modules there are or where anything will lie.

use crate::error::Place;
pub use wasmparser::{FuncType, GlobalType, MemoryType, RefType, TableType, ValType};

/// A module that passed validation.
#[derive(Debug, Default)]
pub struct Module<'a> {
    /// What errors call it, and the name under which it is linked.
    pub name: String,
    /// Function types by type index; `None` for the types that no supported instruction can use.
    pub types: Vec<Option<FuncType>>,
    /// All types by recursion group, in order.
    pub groups: Vec<Vec<wasmparser::SubType>>,
    /// Imports in order.
    pub imports: Vec<Import<'a>>,
    /// Type index of each function, imported ones first.
    pub functions: Vec<u32>,
    /// How many of `functions` are imported.
    pub imported_functions: u32,
    /// Bodies of the defined functions.
    pub bodies: Vec<Body<'a>>,
    /// Tables, imported ones first.
    pub tables: Vec<Table>,
    /// How many of `tables` are imported.
    pub imported_tables: u32,
    /// Memories, imported ones first.
    pub memories: Vec<MemoryType>,
    /// How many of `memories` are imported.
    pub imported_memories: u32,
    /// Globals, imported ones first.
    pub globals: Vec<Global>,
    /// How many of `globals` are imported.
    pub imported_globals: u32,
    /// Type index of each tag, imported ones first.
    pub tags: Vec<u32>,
    /// How many of `tags` are imported.
    pub imported_tags: u32,
    /// Exports in order.
    pub exports: Vec<Export<'a>>,
    /// The start function.
    pub start: Option<u32>,
    /// Element segments.
    pub elements: Vec<Element>,
    /// Data segments.
    pub data: Vec<Data<'a>>,
    /// Names of functions, from the name section.
    pub function_names: Vec<Option<&'a str>>,
    /// Names of tags, from the name section.
    pub tag_names: Vec<Option<&'a str>>,
    /// It has a section [`OPAQUE_SECTION`]: it stands in for the host.
    pub opaque: bool,
}

/// Custom section, without content, of a module that stands in for the host: an object that it converts to an
/// `externref` is opaque to modules without this section, as a value of the host is.
pub const OPAQUE_SECTION: &str = "elfin.opaque";

/// An import.
#[derive(Debug)]
pub struct Import<'a> {
    /// Module name.
    pub module: &'a str,
    /// Name within it.
    pub name: &'a str,
    /// What kind of thing it is and its index in the index space of its kind.
    pub item: Item,
    /// Byte offset of the import.
    pub offset: u64,
}

/// An export.
#[derive(Debug)]
pub struct Export<'a> {
    /// Its name.
    pub name: &'a str,
    /// What it names.
    pub item: Item,
}

/// A kind and an index.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Item {
    /// Function index.
    Function(u32),
    /// Table index.
    Table(u32),
    /// Memory index.
    Memory(u32),
    /// Global index.
    Global(u32),
    /// Tag index.
    Tag(u32),
}

impl Item {
    /// The specification's word for the kind.
    #[must_use]
    pub const fn kind(self) -> &'static str {
        match self {
            Item::Function(_) => "function",
            Item::Table(_) => "table",
            Item::Memory(_) => "memory",
            Item::Global(_) => "global",
            Item::Tag(_) => "tag",
        }
    }
}

/// A function body: where it is and what a first reading found in it.
#[derive(Debug)]
pub struct Body<'a> {
    /// The body, locals and all.
    pub body: wasmparser::FunctionBody<'a>,
    /// What it uses.
    pub summary: Summary,
}

/// What a function body uses: enough to tell what is reachable and what never changes, before any
/// code is generated.
#[derive(Clone, Debug, Default)]
pub struct Summary {
    /// Functions it calls directly or takes a reference to, by index; sorted, without duplicates.
    pub functions: Vec<u32>,
    /// It has a `ref.func`: any of `functions` may be taken as a reference.
    pub takes_references: bool,
    /// Globals it sets.
    pub globals_set: Vec<u32>,
    /// Tables that it changes an entry of.
    pub tables_written: Vec<u32>,
    /// Tables that it grows.
    pub tables_grown: Vec<u32>,
    /// Memories that it grows.
    pub memories_grown: Vec<u32>,
    /// Data segments it reads or drops.
    pub data: Vec<u32>,
    /// Element segments it reads or drops.
    pub elements: Vec<u32>,
    /// It has a tail call.
    pub tail_calls: bool,
    /// It throws: it has a `throw`, `throw_ref` or `rethrow`.
    pub throws: bool,
    /// It has a `try` of the legacy encoding, whose clauses come behind the code that they guard.
    pub legacy_try: bool,
    /// It makes objects.
    pub allocates: bool,
    /// For so many of its operators newer processors of x86_64 have an instruction where the baseline has many that it
    /// is worth second code ([`crate::twins`]).
    pub gains: bool,
    /// Number of operators.
    pub operators: u32,
}

/// A table and its initial entries.
#[derive(Debug)]
pub struct Table {
    /// Its type.
    pub ty: TableType,
    /// Initial value of every entry; `None` is null.
    pub init: Option<ConstExpr>,
}

/// A global and its initial value (`None` when it is imported).
#[derive(Debug)]
pub struct Global {
    /// Its type.
    pub ty: GlobalType,
    /// Initial value.
    pub init: Option<ConstExpr>,
}

/// An element segment.
#[derive(Debug)]
pub struct Element {
    /// Active with table and offset, or not.
    pub mode: SegmentMode,
    /// Its references.
    pub items: Vec<ConstExpr>,
}

/// A data segment.
#[derive(Debug)]
pub struct Data<'a> {
    /// Active with memory and offset, or not.
    pub mode: SegmentMode,
    /// Its bytes.
    pub bytes: &'a [u8],
}

/// How a segment takes effect (core spec, 2.5.7 and 2.5.8).
#[derive(Debug)]
pub enum SegmentMode {
    /// Used by instructions only.
    Passive,
    /// Copied when the module is instantiated.
    Active {
        /// Table or memory index.
        index: u32,
        /// Where to.
        offset: ConstExpr,
    },
    /// Not used at run time (element segments).
    Declared,
}

/// A constant expression, in the order of evaluation.
#[derive(Clone, Debug, PartialEq)]
pub struct ConstExpr {
    /// Its operators, `end` left out.
    pub operators: Vec<ConstOperator>,
}

/// An operator of a constant expression (core spec, 3.4.16).
#[derive(Clone, Copy, Debug, PartialEq)]
#[allow(missing_docs, reason = "named as in the specification")]
pub enum ConstOperator {
    I32Const(i32),
    I64Const(i64),
    /// Bits.
    F32Const(u32),
    /// Bits.
    F64Const(u64),
    /// Lanes in little-endian order.
    V128Const(u128),
    GlobalGet(u32),
    RefNull,
    RefFunc(u32),
    I32Add,
    I32Sub,
    I32Mul,
    I64Add,
    I64Sub,
    I64Mul,
    RefI31,
    AnyConvertExtern,
    ExternConvertAny,
    StructNew(u32),
    StructNewDefault(u32),
    ArrayNew(u32),
    ArrayNewDefault(u32),
    /// Type and number of elements.
    ArrayNewFixed(u32, u32),
}

impl ConstOperator {
    /// Whether it makes an object.
    #[must_use]
    pub const fn allocates(&self) -> bool {
        use ConstOperator::{
            ArrayNew, ArrayNewDefault, ArrayNewFixed, StructNew, StructNewDefault,
        };
        matches!(
            self,
            StructNew(_)
                | StructNewDefault(_)
                | ArrayNew(_)
                | ArrayNewDefault(_)
                | ArrayNewFixed(..)
        )
    }
}

impl ConstExpr {
    /// Whether it makes an object. If so the object, or one that it is part of, is its value: no operator of
    /// a constant expression takes a reference but those that make or convert one.
    #[must_use]
    pub fn allocates(&self) -> bool {
        self.operators.iter().any(ConstOperator::allocates)
    }
}

impl Module<'_> {
    /// The type of a function. Every function of a module that passed `parse` has one.
    ///
    /// # Panics
    /// When the index is out of range, which validation rules out.
    #[must_use]
    pub fn function_type(&self, index: u32) -> &FuncType {
        self.types[self.functions[index as usize] as usize]
            .as_ref()
            .expect("the type of a function is a function type")
    }

    /// Name of a function from the name section.
    #[must_use]
    pub fn function_name(&self, index: u32) -> Option<&str> {
        self.function_names.get(index as usize).copied().flatten()
    }

    /// The type of a tag: what its exceptions carry are the parameters.
    ///
    /// # Panics
    /// When the index is out of range, which validation rules out.
    #[must_use]
    pub fn tag_type(&self, index: u32) -> &FuncType {
        self.types[self.tags[index as usize] as usize]
            .as_ref()
            .expect("the type of a tag is a function type")
    }

    /// What a message calls a tag: as it is exported or imported, else by the name section.
    #[must_use]
    pub fn tag_name(&self, index: u32) -> Option<&str> {
        let exported = self.exports.iter().find(|e| e.item == Item::Tag(index));
        let imported = || self.imports.iter().find(|i| i.item == Item::Tag(index));
        let named = || self.tag_names.get(index as usize).copied().flatten();
        exported
            .map(|e| e.name)
            .or_else(|| imported().map(|i| i.name))
            .or_else(named)
    }

    /// What `name` exports.
    #[must_use]
    pub fn export(&self, name: &str) -> Option<Item> {
        self.exports.iter().find(|e| e.name == name).map(|e| e.item)
    }

    /// The module as a whole, for an error.
    #[must_use]
    pub fn place(&self) -> Place {
        Place {
            module: self.name.clone(),
            ..Place::default()
        }
    }

    /// A function, for an error.
    #[must_use]
    pub fn function_place(&self, index: u32, offset: Option<u64>) -> Place {
        let name = self.function_name(index).map(str::to_owned);
        Place {
            module: self.name.clone(),
            function: Some((index, name)),
            offset,
        }
    }
}
