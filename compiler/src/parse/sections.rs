//! Sections of a binary module, one function for each.
//!
//! In: sections that the validator has accepted, in their order. Out: the lists of a [`Module`]. Bodies of functions are
//! not read here.

use super::{constant, feature, invalid, unsupported};
use crate::error::{Error, Result};
use crate::module::{
    ConstExpr, ConstOperator, Data, Element, Export, Global, Import, Item, Module, OPAQUE_SECTION,
    SegmentMode, Table,
};
use wasmparser::{
    CompositeInnerType, DataKind, ElementItems, ElementKind, ExternalKind, KnownCustom, Name,
    Payload, StorageType, SubType, TableInit, TypeRef, ValType,
};

/// What the sections read so far say.
pub(super) struct Reader<'a> {
    /// The module; without bodies.
    pub(super) module: Module<'a>,
}

impl<'a> Reader<'a> {
    /// Reads a section, where it is one that says something.
    ///
    /// # Errors
    /// `Unsupported`, and `LimitExceeded` for constant expressions.
    pub(super) fn section(&mut self, payload: Payload<'a>) -> Result<()> {
        match payload {
            Payload::TypeSection(section) => self.types(section)?,
            Payload::ImportSection(section) => {
                for import in section.into_imports_with_offsets() {
                    let (offset, import) = import.map_err(|e| self.invalid(&e))?;
                    self.import(&import, offset)?;
                }
            }
            Payload::FunctionSection(section) => {
                for ty in section {
                    let ty = ty.map_err(|e| self.invalid(&e))?;
                    self.module.functions.push(ty);
                }
            }
            Payload::TableSection(section) => self.tables(section)?,
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
            Payload::GlobalSection(section) => self.globals(section)?,
            Payload::ExportSection(section) => self.exports(section)?,
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
                    let data = self.data(&data)?;
                    self.module.data.push(data);
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

    fn types(&mut self, section: wasmparser::TypeSectionReader<'a>) -> Result<()> {
        for group in section.into_iter_with_offsets() {
            let (_, group) = group.map_err(|e| self.invalid(&e))?;
            self.module.groups.push(group.types().cloned().collect());
            for (offset, ty) in group.into_types_and_offsets() {
                self.check_type(&ty, offset)?;
                self.module.types.push(match ty.composite_type.inner {
                    CompositeInnerType::Func(ty) => Some(ty),
                    _ => None,
                });
            }
        }
        Ok(())
    }

    /// Whether elfin compiles all that a type is made of.
    fn check_type(&self, ty: &SubType, offset: u64) -> Result<()> {
        let fields = match &ty.composite_type.inner {
            CompositeInnerType::Struct(ty) => &ty.fields[..],
            CompositeInnerType::Array(ty) => std::slice::from_ref(&ty.0),
            CompositeInnerType::Func(ty) => {
                let mut types = ty.params().iter().chain(ty.results());
                return types.try_for_each(|ty| self.check_value_type(*ty, offset));
            }
            CompositeInnerType::Cont(_) => &[],
        };
        for field in fields {
            if let StorageType::Val(ty) = field.element_type {
                self.check_value_type(ty, offset)?;
            }
        }
        Ok(())
    }

    fn tables(&mut self, section: wasmparser::TableSectionReader<'a>) -> Result<()> {
        for table in section.into_iter_with_offsets() {
            let (offset, table) = table.map_err(|e| self.invalid(&e))?;
            self.check_table_type(&table.ty, offset)?;
            let init = match &table.init {
                TableInit::RefNull => None,
                TableInit::Expr(expr) => Some(self.constant(expr)?),
            };
            self.module.tables.push(Table { ty: table.ty, init });
        }
        Ok(())
    }

    fn globals(&mut self, section: wasmparser::GlobalSectionReader<'a>) -> Result<()> {
        for global in section.into_iter_with_offsets() {
            let (offset, global) = global.map_err(|e| self.invalid(&e))?;
            self.check_value_type(global.ty.content_type, offset)?;
            if global.ty.shared {
                return Err(self.unsupported("shared-everything-threads", offset));
            }
            let init = Some(self.constant(&global.init_expr)?);
            let ty = global.ty;
            self.module.globals.push(Global { ty, init });
        }
        Ok(())
    }

    fn exports(&mut self, section: wasmparser::ExportSectionReader<'a>) -> Result<()> {
        for export in section {
            let export = export.map_err(|e| self.invalid(&e))?;
            let item = match export.kind {
                ExternalKind::Func | ExternalKind::FuncExact => Item::Function(export.index),
                ExternalKind::Table => Item::Table(export.index),
                ExternalKind::Memory => Item::Memory(export.index),
                ExternalKind::Global => Item::Global(export.index),
                ExternalKind::Tag => Item::Tag(export.index),
            };
            let name = export.name;
            self.module.exports.push(Export { name, item });
        }
        Ok(())
    }

    fn data(&self, data: &wasmparser::Data<'a>) -> Result<Data<'a>> {
        let mode = match &data.kind {
            DataKind::Passive => SegmentMode::Passive,
            DataKind::Active {
                memory_index,
                offset_expr,
            } => SegmentMode::Active {
                index: *memory_index,
                offset: self.constant(offset_expr)?,
            },
        };
        let bytes = data.data;
        Ok(Data { mode, bytes })
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
                self.check_table_type(&ty, offset)?;
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
                self.check_value_type(ty.content_type, offset)?;
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
                offset: self.constant(offset_expr)?,
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
                self.check_value_type(ValType::Ref(ty), expressions.range().start)?;
                for expression in expressions {
                    items.push(self.constant(&expression.map_err(|e| self.invalid(&e))?)?);
                }
            }
        }
        Ok(Element { mode, items })
    }

    fn constant(&self, expr: &wasmparser::ConstExpr<'a>) -> Result<ConstExpr> {
        constant::read(&self.module, expr)
    }

    fn check_table_type(&self, ty: &wasmparser::TableType, offset: u64) -> Result<()> {
        self.check_value_type(ValType::Ref(ty.element_type), offset)?;
        if ty.shared {
            return Err(self.unsupported("shared-everything-threads", offset));
        }
        Ok(())
    }

    fn check_value_type(&self, ty: ValType, offset: u64) -> Result<()> {
        match feature::lacking_for_type(ty) {
            None => Ok(()),
            Some(feature) => Err(self.unsupported(feature, offset)),
        }
    }

    fn invalid(&self, error: &wasmparser::Error) -> Error {
        invalid(self.module.place(), error)
    }

    fn unsupported(&self, feature: &str, offset: u64) -> Error {
        unsupported(feature, self.module.place().at(offset))
    }
}
