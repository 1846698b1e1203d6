//! Binary module → [`Module`], validated.
//!
//! In: bytes of a binary module. Out: a [`Module`] that borrows from them. Every rule of the
//! specification is checked here (by the validator, core spec appendix "Validation Algorithm"), with all
//! finished proposals on, so that a module which is valid but needs more than elfin compiles is told so by
//! feature and not called invalid. Bodies are read once, in parallel: validated and summarised.

use crate::error::{Error, Place, Result};
use crate::legacy_text;
use crate::module::{
    Body, ConstExpr, ConstOperator, Data, Element, Export, Global, Import, Item, Module,
    OPAQUE_SECTION, SegmentMode, Summary, Table,
};
use crate::proposals;
use crate::twins;
use rayon::prelude::*;
use std::borrow::Cow;
use wasmparser::{
    CompositeInnerType, DataKind, ElementItems, ElementKind, ExternalKind, FuncToValidate,
    FuncValidatorAllocations, FunctionBody, KnownCustom, Name, Operator, Parser, Payload,
    StorageType, TableInit, TypeRef, ValType, ValidPayload, Validator, ValidatorResources,
    WasmFeatures,
};

/// Most targets of a `br_table`: a larger one was once miscompiled on aarch64 (GHSA-mghf-wjfp-p5xm).
pub const MAX_BR_TABLE_TARGETS: u32 = 65_520;

/// Deepest nesting of blocks in a function. Real compilers stay below a few hundred.
pub const MAX_NESTING: u32 = 50_000;

/// Most bytes of one function body: what is larger would make compile time unbounded in practice.
pub const MAX_BODY_BYTES: u64 = 7_654_321;

/// Most operators of a constant expression that makes objects: it becomes code of one function.
pub const MAX_CONST_OPERATORS: usize = 1 << 17;

/// Everything that the validator should accept as valid, whether or not elfin compiles it.
fn features() -> WasmFeatures {
    WasmFeatures::default()
        | WasmFeatures::CUSTOM_PAGE_SIZES
        | WasmFeatures::LEGACY_EXCEPTIONS
        | WasmFeatures::WIDE_ARITHMETIC
}

/// Text or binary format → binary format.
///
/// # Errors
/// [`Error::Text`] when text cannot be read.
pub fn to_binary<'a>(name: &str, bytes: &'a [u8]) -> Result<Cow<'a, [u8]>> {
    if bytes.starts_with(b"\0asm") {
        return Ok(Cow::Borrowed(bytes));
    }
    let invalid = |message: &str| Error::Invalid {
        message: message.to_owned(),
        place: Place {
            module: name.to_owned(),
            function: None,
            offset: Some(0),
        },
    };
    if bytes.is_empty() {
        return Err(invalid("the file is empty"));
    }
    // What is not text cannot be the text format; saying "expected `(`" would mislead.
    let text = std::str::from_utf8(bytes)
        .ok()
        .filter(|text| !text.contains('\0'));
    let Some(text) = text else {
        return Err(invalid("neither a binary module (magic \\0asm) nor text"));
    };
    let binary = wat::parse_str(text).or_else(|mut error| {
        // The reader does not know the legacy exceptions' folded form. What else is wrong is told of the
        // text as it is.
        let flat = legacy_text::unfold(text).and_then(|flat| wat::parse_str(flat).ok());
        flat.ok_or_else(|| {
            error.set_path(name);
            Error::Text {
                message: error.to_string(),
                module: name.to_owned(),
            }
        })
    })?;
    Ok(Cow::Owned(binary))
}

/// Reads and validates a binary module.
///
/// # Errors
/// [`Error::Invalid`], [`Error::Unsupported`], [`Error::LimitExceeded`].
pub fn parse<'a>(name: &str, bytes: &'a [u8]) -> Result<Module<'a>> {
    read(name, bytes).map_err(|error| match error {
        Error::Invalid { message, place } => match proposals::needed(bytes, features(), &message) {
            Some(feature) => Error::Unsupported { feature, place },
            None => Error::Invalid { message, place },
        },
        other => other,
    })
}

fn read<'a>(name: &str, bytes: &'a [u8]) -> Result<Module<'a>> {
    let mut reader = Reader {
        module: empty_module(name),
    };
    let mut validator = Validator::new_with_features(features());
    let mut bodies = Vec::new();
    for payload in Parser::new(0).parse_all(bytes) {
        let payload = payload.map_err(|e| reader.invalid(&e))?;
        if let Payload::Version {
            encoding: wasmparser::Encoding::Component,
            ..
        } = &payload
        {
            return Err(reader.unsupported("component-model", 0));
        }
        match validator
            .payload(&payload)
            .map_err(|e| reader.invalid(&e))?
        {
            ValidPayload::Func(validator, body) => bodies.push((validator, body)),
            ValidPayload::Ok | ValidPayload::Parser(_) | ValidPayload::End(_) => {}
        }
        reader.payload(payload)?;
    }
    let mut module = reader.module;
    module.bodies = read_bodies(&module, bodies)?;
    Ok(module)
}

fn empty_module<'a>(name: &str) -> Module<'a> {
    Module {
        name: name.to_owned(),
        types: Vec::new(),
        groups: Vec::new(),
        imports: Vec::new(),
        functions: Vec::new(),
        imported_functions: 0,
        bodies: Vec::new(),
        tables: Vec::new(),
        imported_tables: 0,
        memories: Vec::new(),
        imported_memories: 0,
        globals: Vec::new(),
        imported_globals: 0,
        tags: Vec::new(),
        imported_tags: 0,
        exports: Vec::new(),
        start: None,
        elements: Vec::new(),
        data: Vec::new(),
        function_names: Vec::new(),
        tag_names: Vec::new(),
        opaque: false,
    }
}

struct Reader<'a> {
    module: Module<'a>,
}

impl<'a> Reader<'a> {
    fn invalid(&self, error: &wasmparser::Error) -> Error {
        invalid(&self.module, error)
    }

    fn unsupported(&self, feature: &str, offset: u64) -> Error {
        unsupported(&self.module, feature, offset)
    }

    fn payload(&mut self, payload: Payload<'a>) -> Result<()> {
        match payload {
            Payload::TypeSection(section) => {
                for group in section.into_iter_with_offsets() {
                    let (_, group) = group.map_err(|e| self.invalid(&e))?;
                    let types = group.types().cloned().collect();
                    self.module.groups.push(types);
                    for (offset, ty) in group.into_types_and_offsets() {
                        let fields = match &ty.composite_type.inner {
                            CompositeInnerType::Struct(ty) => &ty.fields[..],
                            CompositeInnerType::Array(ty) => std::slice::from_ref(&ty.0),
                            _ => &[],
                        };
                        for field in fields {
                            if let StorageType::Val(ty) = field.element_type {
                                self.value_type(ty, offset)?;
                            }
                        }
                        let function = match ty.composite_type.inner {
                            CompositeInnerType::Func(f) => Some(f),
                            _ => None,
                        };
                        if let Some(f) = &function {
                            for ty in f.params().iter().chain(f.results()) {
                                self.value_type(*ty, offset)?;
                            }
                        }
                        self.module.types.push(function);
                    }
                }
            }
            Payload::ImportSection(section) => {
                for import in section.into_imports_with_offsets() {
                    let (offset, import) = import.map_err(|e| self.invalid(&e))?;
                    self.import(&import, offset)?;
                }
            }
            Payload::FunctionSection(section) => {
                for ty in section {
                    self.module
                        .functions
                        .push(ty.map_err(|e| self.invalid(&e))?);
                }
            }
            Payload::TableSection(section) => {
                for table in section.into_iter_with_offsets() {
                    let (offset, table) = table.map_err(|e| self.invalid(&e))?;
                    self.table_type(&table.ty, offset)?;
                    let init = match &table.init {
                        TableInit::RefNull => None,
                        TableInit::Expr(expr) => Some(self.const_expr(expr)?),
                    };
                    self.module.tables.push(Table { ty: table.ty, init });
                }
            }
            Payload::MemorySection(section) => {
                for memory in section {
                    let memory = memory.map_err(|e| self.invalid(&e))?;
                    self.module.memories.push(memory);
                }
            }
            Payload::TagSection(section) => {
                for tag in section {
                    let tag = tag.map_err(|e| self.invalid(&e))?;
                    self.module.tags.push(tag.func_type_idx);
                }
            }
            Payload::GlobalSection(section) => {
                for global in section.into_iter_with_offsets() {
                    let (offset, global) = global.map_err(|e| self.invalid(&e))?;
                    self.value_type(global.ty.content_type, offset)?;
                    if global.ty.shared {
                        return Err(self.unsupported("shared-everything-threads", offset));
                    }
                    let init = Some(self.const_expr(&global.init_expr)?);
                    self.module.globals.push(Global {
                        ty: global.ty,
                        init,
                    });
                }
            }
            Payload::ExportSection(section) => {
                for export in section {
                    let export = export.map_err(|e| self.invalid(&e))?;
                    let item = match export.kind {
                        ExternalKind::Func | ExternalKind::FuncExact => {
                            Item::Function(export.index)
                        }
                        ExternalKind::Table => Item::Table(export.index),
                        ExternalKind::Memory => Item::Memory(export.index),
                        ExternalKind::Global => Item::Global(export.index),
                        ExternalKind::Tag => Item::Tag(export.index),
                    };
                    self.module.exports.push(Export {
                        name: export.name,
                        item,
                    });
                }
            }
            Payload::StartSection { func, .. } => self.module.start = Some(func),
            Payload::ElementSection(section) => {
                for element in section {
                    let element = element.map_err(|e| self.invalid(&e))?;
                    let element = self.element(element)?;
                    self.module.elements.push(element);
                }
            }
            Payload::DataSection(section) => {
                for data in section {
                    let data = data.map_err(|e| self.invalid(&e))?;
                    let mode = match &data.kind {
                        DataKind::Passive => SegmentMode::Passive,
                        DataKind::Active {
                            memory_index,
                            offset_expr,
                        } => SegmentMode::Active {
                            index: *memory_index,
                            offset: self.const_expr(offset_expr)?,
                        },
                    };
                    self.module.data.push(Data {
                        mode,
                        bytes: data.data,
                    });
                }
            }
            Payload::CustomSection(section) => {
                if let KnownCustom::Name(names) = section.as_known() {
                    self.names(names);
                } else if section.name() == OPAQUE_SECTION {
                    self.opaque(&section)?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Content is refused: it may come to mean something.
    fn opaque(&mut self, section: &wasmparser::CustomSectionReader<'_>) -> Result<()> {
        if !section.data().is_empty() {
            let feature = format!("content of the custom section {OPAQUE_SECTION}");
            return Err(self.unsupported(&feature, section.data_offset()));
        }
        self.module.opaque = true;
        Ok(())
    }

    /// A corrupt name section is ignored from the first error on: names are a courtesy.
    fn names(&mut self, names: wasmparser::NameSectionReader<'a>) {
        for name in names {
            let Ok(name) = name else { return };
            let module = &mut self.module;
            let (map, names, count) = match name {
                Name::Function(map) => (map, &mut module.function_names, module.functions.len()),
                Name::Tag(map) => (map, &mut module.tag_names, module.tags.len()),
                _ => continue,
            };
            for naming in map {
                let Ok(naming) = naming else { return };
                let index = naming.index as usize;
                if index >= count {
                    continue;
                }
                if names.len() <= index {
                    names.resize(count, None);
                }
                names[index] = Some(naming.name);
            }
        }
    }

    fn import(&mut self, import: &wasmparser::Import<'a>, offset: u64) -> Result<()> {
        let module = &mut self.module;
        let item = match import.ty {
            TypeRef::Func(ty) | TypeRef::FuncExact(ty) => {
                module.functions.push(ty);
                module.imported_functions += 1;
                Item::Function(module.imported_functions - 1)
            }
            TypeRef::Table(ty) => {
                self.table_type(&ty, offset)?;
                let module = &mut self.module;
                module.tables.push(Table { ty, init: None });
                module.imported_tables += 1;
                Item::Table(module.imported_tables - 1)
            }
            TypeRef::Memory(ty) => {
                let module = &mut self.module;
                module.memories.push(ty);
                module.imported_memories += 1;
                Item::Memory(module.imported_memories - 1)
            }
            TypeRef::Global(ty) => {
                self.value_type(ty.content_type, offset)?;
                let module = &mut self.module;
                module.globals.push(Global { ty, init: None });
                module.imported_globals += 1;
                Item::Global(module.imported_globals - 1)
            }
            TypeRef::Tag(ty) => {
                module.tags.push(ty.func_type_idx);
                module.imported_tags += 1;
                Item::Tag(module.imported_tags - 1)
            }
        };
        self.module.imports.push(Import {
            module: import.module,
            name: import.name,
            item,
            offset,
        });
        Ok(())
    }

    fn element(&mut self, element: wasmparser::Element<'a>) -> Result<Element> {
        let mode = match &element.kind {
            ElementKind::Passive => SegmentMode::Passive,
            ElementKind::Declared => SegmentMode::Declared,
            ElementKind::Active {
                table_index,
                offset_expr,
            } => SegmentMode::Active {
                index: table_index.unwrap_or(0),
                offset: self.const_expr(offset_expr)?,
            },
        };
        let mut items = Vec::new();
        match element.items {
            ElementItems::Functions(functions) => {
                for function in functions {
                    let function = function.map_err(|e| self.invalid(&e))?;
                    items.push(ConstExpr {
                        operators: vec![ConstOperator::RefFunc(function)],
                    });
                }
            }
            ElementItems::Expressions(ty, expressions) => {
                self.value_type(ValType::Ref(ty), expressions.range().start)?;
                for expression in expressions {
                    items.push(self.const_expr(&expression.map_err(|e| self.invalid(&e))?)?);
                }
            }
        }
        Ok(Element { mode, items })
    }

    fn const_expr(&self, expr: &wasmparser::ConstExpr<'a>) -> Result<ConstExpr> {
        let mut operators = Vec::new();
        let mut reader = expr.get_operators_reader();
        while !reader.eof() {
            let (operator, offset) = reader.read_with_offset().map_err(|e| self.invalid(&e))?;
            operators.push(match operator {
                Operator::I32Const { value } => ConstOperator::I32Const(value),
                Operator::I64Const { value } => ConstOperator::I64Const(value),
                Operator::F32Const { value } => ConstOperator::F32Const(value.bits()),
                Operator::F64Const { value } => ConstOperator::F64Const(value.bits()),
                Operator::V128Const { value } => {
                    ConstOperator::V128Const(u128::from_le_bytes(*value.bytes()))
                }
                Operator::GlobalGet { global_index } => ConstOperator::GlobalGet(global_index),
                Operator::RefNull { .. } => ConstOperator::RefNull,
                Operator::RefFunc { function_index } => ConstOperator::RefFunc(function_index),
                Operator::I32Add => ConstOperator::I32Add,
                Operator::I32Sub => ConstOperator::I32Sub,
                Operator::I32Mul => ConstOperator::I32Mul,
                Operator::I64Add => ConstOperator::I64Add,
                Operator::I64Sub => ConstOperator::I64Sub,
                Operator::I64Mul => ConstOperator::I64Mul,
                Operator::RefI31 => ConstOperator::RefI31,
                Operator::AnyConvertExtern => ConstOperator::AnyConvertExtern,
                Operator::ExternConvertAny => ConstOperator::ExternConvertAny,
                Operator::StructNew { struct_type_index } => {
                    ConstOperator::StructNew(struct_type_index)
                }
                Operator::StructNewDefault { struct_type_index } => {
                    ConstOperator::StructNewDefault(struct_type_index)
                }
                Operator::ArrayNew { array_type_index } => {
                    ConstOperator::ArrayNew(array_type_index)
                }
                Operator::ArrayNewDefault { array_type_index } => {
                    ConstOperator::ArrayNewDefault(array_type_index)
                }
                Operator::ArrayNewFixed {
                    array_type_index,
                    array_size,
                } => ConstOperator::ArrayNewFixed(array_type_index, array_size),
                Operator::End => continue,
                other => return Err(self.unsupported(&feature_of(&other), offset)),
            });
        }
        let expression = ConstExpr { operators };
        if expression.operators.len() > MAX_CONST_OPERATORS && expression.allocates() {
            return Err(Error::LimitExceeded {
                message: format!(
                    "a constant expression of {} operators that makes objects; the most is {MAX_CONST_OPERATORS}",
                    expression.operators.len()
                ),
                place: Place {
                    offset: Some(expr.get_binary_reader().original_position()),
                    ..self.module.place()
                },
            });
        }
        Ok(expression)
    }

    fn value_type(&self, ty: ValType, offset: u64) -> Result<()> {
        value_type_feature(ty).map_or(Ok(()), |feature| Err(self.unsupported(feature, offset)))
    }

    fn table_type(&mut self, ty: &wasmparser::TableType, offset: u64) -> Result<()> {
        self.value_type(ValType::Ref(ty.element_type), offset)?;
        if ty.shared {
            return Err(self.unsupported("shared-everything-threads", offset));
        }
        Ok(())
    }
}

fn invalid(module: &Module<'_>, error: &wasmparser::Error) -> Error {
    Error::Invalid {
        message: error.message().to_owned(),
        place: Place {
            offset: Some(error.offset()),
            ..module.place()
        },
    }
}

fn unsupported(module: &Module<'_>, feature: &str, offset: u64) -> Error {
    Error::Unsupported {
        feature: feature.to_owned(),
        place: Place {
            offset: Some(offset),
            ..module.place()
        },
    }
}

/// The feature that a value type needs beyond what elfin compiles.
fn value_type_feature(ty: ValType) -> Option<&'static str> {
    match ty {
        ValType::I32 | ValType::I64 | ValType::F32 | ValType::F64 | ValType::V128 => None,
        ValType::Ref(r) => match r.heap_type() {
            wasmparser::HeapType::Abstract {
                ty: wasmparser::AbstractHeapType::Exn | wasmparser::AbstractHeapType::NoExn,
                ..
            } => None,
            wasmparser::HeapType::Abstract {
                ty: wasmparser::AbstractHeapType::Cont | wasmparser::AbstractHeapType::NoCont,
                ..
            } => Some("stack-switching"),
            _ => None,
        },
    }
}

macro_rules! define_feature_of {
    ($( @$proposal:ident $op:ident $({ $($arg:ident: $argty:ty),* })? => $visit:ident ($($ann:tt)*) )*) => {
        /// Name of the proposal that an operator belongs to.
        fn proposal_of(operator: &Operator<'_>) -> &'static str {
            match operator {
                $( Operator::$op { .. } => stringify!($proposal), )*
                // The enum is non-exhaustive.
                _ => "unknown",
            }
        }
    };
}
wasmparser::for_each_operator!(define_feature_of);

/// Name of the feature that an operator needs, as error messages and documentation spell it.
#[must_use]
pub fn feature_of(operator: &Operator<'_>) -> String {
    proposal_of(operator).replace('_', "-")
}

/// Validates and summarises bodies in parallel. The first error by position is the one reported, so that
/// the message does not depend on the number of threads.
fn read_bodies<'a>(
    module: &Module<'a>,
    bodies: Vec<(FuncToValidate<ValidatorResources>, FunctionBody<'a>)>,
) -> Result<Vec<Body<'a>>> {
    let results: Vec<Result<Body<'a>>> = bodies
        .into_par_iter()
        .with_min_len(16)
        .map_init(
            FuncValidatorAllocations::default,
            |allocations, (validator, body)| {
                let index = validator.index;
                let mut validator = validator.into_validator(std::mem::take(allocations));
                let result = read_body(module, index, &mut validator, body);
                *allocations = validator.into_allocations();
                result
            },
        )
        .collect();
    results.into_iter().collect()
}

fn read_body<'a>(
    module: &Module<'a>,
    index: u32,
    validator: &mut wasmparser::FuncValidator<ValidatorResources>,
    body: FunctionBody<'a>,
) -> Result<Body<'a>> {
    let at = |offset: u64| module.function_place(index, Some(offset));
    let invalid = |e: wasmparser::Error| Error::Invalid {
        message: e.message().to_owned(),
        place: at(e.offset()),
    };
    let range = body.range();
    if range.end - range.start > MAX_BODY_BYTES {
        let message = format!(
            "a function body of {} bytes; the most is {MAX_BODY_BYTES}",
            range.end - range.start
        );
        return Err(Error::LimitExceeded {
            message,
            place: at(range.start),
        });
    }
    let mut summary = Summary::default();
    // A body may be valid and need a feature that elfin lacks: the whole body is validated before it is
    // said, for "invalid" is the stronger word.
    let mut lacking: Option<(String, u64)> = None;

    let mut reader = body.get_binary_reader();
    let start = reader.original_position();
    validator.read_locals(&mut reader).map_err(invalid)?;
    for local in body.get_locals_reader().map_err(invalid)? {
        let (_, ty) = local.map_err(invalid)?;
        if let Some(feature) = value_type_feature(ty) {
            lacking.get_or_insert((feature.to_owned(), start));
        }
    }
    let mut operators = wasmparser::OperatorsReader::new(reader);
    while !operators.eof() {
        let (operator, offset) = operators.read_with_offset().map_err(invalid)?;
        validator.op(offset, &operator).map_err(invalid)?;
        summary.operators += 1;
        summary.gains |= twins::gains(&operator);
        if let Err(feature) = summarise(&operator, &mut summary) {
            lacking.get_or_insert((feature, offset));
        }
        if let Operator::BrTable { targets } = &operator
            && targets.len() > MAX_BR_TABLE_TARGETS
        {
            let message = format!(
                "a br_table of {} targets; the most is {MAX_BR_TABLE_TARGETS}",
                targets.len()
            );
            return Err(Error::LimitExceeded {
                message,
                place: at(offset),
            });
        }
        if validator.control_stack_height() > MAX_NESTING {
            let message = format!("blocks nested deeper than {MAX_NESTING}");
            return Err(Error::LimitExceeded {
                message,
                place: at(offset),
            });
        }
    }
    operators.finish().map_err(invalid)?;
    if let Some((feature, offset)) = lacking {
        return Err(Error::Unsupported {
            feature,
            place: at(offset),
        });
    }
    for list in [
        &mut summary.functions,
        &mut summary.globals_set,
        &mut summary.tables_written,
        &mut summary.tables_grown,
        &mut summary.memories_grown,
        &mut summary.data,
        &mut summary.elements,
    ] {
        list.sort_unstable();
        list.dedup();
    }
    Ok(Body { body, summary })
}

/// Notes what an operator uses.
///
/// # Errors
/// Name of the feature when elfin does not compile the operator.
fn summarise(operator: &Operator<'_>, summary: &mut Summary) -> std::result::Result<(), String> {
    match *operator {
        Operator::ReturnCallIndirect { .. } | Operator::ReturnCallRef { .. } => {
            summary.tail_calls = true;
        }
        Operator::Call { function_index }
        | Operator::ReturnCall { function_index }
        | Operator::RefFunc { function_index } => {
            summary.tail_calls |= matches!(operator, Operator::ReturnCall { .. });
            // Runs of calls to one function are common; the list is sorted later.
            if summary.functions.last() != Some(&function_index) {
                summary.functions.push(function_index);
            }
            summary.takes_references |= matches!(operator, Operator::RefFunc { .. });
        }
        Operator::GlobalSet { global_index }
            if summary.globals_set.last() != Some(&global_index) =>
        {
            summary.globals_set.push(global_index);
        }
        Operator::TableSet { table } | Operator::TableFill { table } => {
            summary.tables_written.push(table)
        }
        Operator::TableCopy { dst_table, .. } => summary.tables_written.push(dst_table),
        Operator::TableInit { elem_index, table } => {
            summary.tables_written.push(table);
            summary.elements.push(elem_index);
        }
        Operator::TableGrow { table } => {
            summary.tables_written.push(table);
            summary.tables_grown.push(table);
        }
        Operator::MemoryGrow { mem } => summary.memories_grown.push(mem),
        Operator::ElemDrop { elem_index } => summary.elements.push(elem_index),
        Operator::StructNew { .. }
        | Operator::StructNewDefault { .. }
        | Operator::ArrayNew { .. }
        | Operator::ArrayNewDefault { .. }
        | Operator::ArrayNewFixed { .. } => summary.allocates = true,
        Operator::ArrayNewData {
            array_data_index, ..
        } => {
            summary.allocates = true;
            summary.data.push(array_data_index);
        }
        Operator::ArrayNewElem {
            array_elem_index, ..
        } => {
            summary.allocates = true;
            summary.elements.push(array_elem_index);
        }
        Operator::ArrayInitData {
            array_data_index, ..
        } => summary.data.push(array_data_index),
        Operator::ArrayInitElem {
            array_elem_index, ..
        } => summary.elements.push(array_elem_index),
        Operator::MemoryInit { data_index, .. } | Operator::DataDrop { data_index } => {
            summary.data.push(data_index)
        }
        Operator::Throw { .. } | Operator::ThrowRef | Operator::Rethrow { .. } => {
            summary.throws = true;
        }
        Operator::TryTable { ref try_table } => {
            if let wasmparser::BlockType::Type(ty) = try_table.ty
                && let Some(feature) = value_type_feature(ty)
            {
                return Err(feature.to_owned());
            }
        }
        Operator::Block { blockty }
        | Operator::Loop { blockty }
        | Operator::If { blockty }
        | Operator::Try { blockty } => {
            summary.legacy_try |= matches!(operator, Operator::Try { .. });
            if let wasmparser::BlockType::Type(ty) = blockty
                && let Some(feature) = value_type_feature(ty)
            {
                return Err(feature.to_owned());
            }
        }
        Operator::TypedSelect { ty } => {
            if let Some(feature) = value_type_feature(ty) {
                return Err(feature.to_owned());
            }
        }
        Operator::RefNull { hty }
        | Operator::RefTestNonNull { hty }
        | Operator::RefTestNullable { hty }
        | Operator::RefCastNonNull { hty }
        | Operator::RefCastNullable { hty } => {
            let ty = wasmparser::RefType::new(true, hty).ok_or_else(|| "gc".to_owned())?;
            if let Some(feature) = value_type_feature(ValType::Ref(ty)) {
                return Err(feature.to_owned());
            }
        }
        _ => {}
    }
    match proposal_of(operator) {
        "mvp"
        | "sign_extension"
        | "saturating_float_to_int"
        | "bulk_memory"
        | "reference_types"
        | "tail_call"
        | "function_references"
        | "gc"
        | "wide_arithmetic"
        | "threads"
        | "simd"
        | "relaxed_simd"
        | "exceptions"
        | "legacy_exceptions" => Ok(()),
        _ => Err(feature_of(operator)),
    }
}
