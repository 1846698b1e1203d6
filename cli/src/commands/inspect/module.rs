//! What a module needs and offers.
//!
//! In: bytes of a module, binary or text. Out: [`Described`]. Whether it can be built is the compiler's
//! own verdict, not a second list of features kept here.

use elfin_abi::host;
use elfin_compiler::{Error, Place, Printable, parse};
use serde_json::{Value, json};
use std::collections::HashMap;
use wasmparser::types::{CoreTypeId, EntityType, TypesRef};
use wasmparser::{ExternalKind, MemoryType, Parser, Payload, TableType, Validator, WasmFeatures};

use super::section;
use super::types::Names;

/// A module.
#[derive(Default)]
pub(super) struct Described {
    size: usize,
    imports: Vec<Import>,
    exports: Vec<Export>,
    memories: Vec<MemoryType>,
    /// With what their elements are.
    tables: Vec<(TableType, String)>,
    start: bool,
    opaque: bool,
    features: Vec<String>,
    needs: Vec<String>,
}

struct Import {
    module: String,
    name: String,
    ty: Type,
    provided: bool,
}

struct Export {
    name: String,
    ty: Type,
}

struct Type {
    kind: &'static str,
    text: String,
}

/// Describes a module called `name` in errors.
pub(super) fn describe(name: &str, bytes: &[u8]) -> Result<Described, Error> {
    let binary = parse::to_binary(name, bytes)?;
    // What the compiler calls invalid is; what it merely does not compile can still be described.
    let verdict = match parse::parse(name, &binary) {
        Ok(_) => None,
        Err(error @ (Error::Unsupported { .. } | Error::LimitExceeded { .. })) => Some(error),
        Err(error) => return Err(error),
    };
    let invalid = |error: wasmparser::Error| Error::Invalid {
        message: error.message().to_owned(),
        place: Place {
            module: name.to_owned(),
            ..Place::default()
        }
        .at(error.offset()),
    };
    let mut described = Described {
        size: bytes.len(),
        ..Described::default()
    };
    if Parser::is_component(&binary) {
        described
            .needs
            .extend(verdict.map(|error| error.to_string()));
        return Ok(described);
    }
    let types = Validator::new_with_features(WasmFeatures::all())
        .validate_all(&binary)
        .map_err(invalid)?;
    let types = types.as_ref();
    let names = Names::new(types);
    described.memories = (0..types.memory_count())
        .map(|index| types.memory_at(index))
        .collect();
    described.tables = (0..types.table_count())
        .map(|index| types.table_at(index))
        .map(|ty| (ty, names.reference(ty.element_type)))
        .collect();
    for payload in Parser::new(0).parse_all(&binary) {
        match payload.map_err(invalid)? {
            Payload::ImportSection(section) => {
                for import in section.into_imports() {
                    let import = import.map_err(invalid)?;
                    described.imports.push(Import {
                        module: import.module.to_owned(),
                        name: import.name.to_owned(),
                        ty: entity(&names, types.entity_type_from_import(&import)),
                        provided: is_provided(types, &import),
                    });
                }
            }
            Payload::ExportSection(section) => {
                for export in section {
                    let export = export.map_err(invalid)?;
                    described.exports.push(Export {
                        name: export.name.to_owned(),
                        ty: entity(&names, exported(types, &export)),
                    });
                }
            }
            Payload::StartSection { .. } => described.start = true,
            Payload::CustomSection(section) => {
                described.opaque |= section.name() == elfin_compiler::module::OPAQUE_SECTION;
            }
            _ => {}
        }
    }
    described.features = features_used(&binary);
    described.needs = needs(&described, verdict.as_ref());
    Ok(described)
}

fn exported(types: TypesRef<'_>, export: &wasmparser::Export<'_>) -> Option<EntityType> {
    match export.kind {
        ExternalKind::Func | ExternalKind::FuncExact => {
            Some(EntityType::Func(types.core_function_at(export.index)))
        }
        _ => types.entity_type_from_export(export),
    }
}

/// Whether elfin has this host function, with this very type.
fn is_provided(types: TypesRef<'_>, import: &wasmparser::Import<'_>) -> bool {
    let Some(EntityType::Func(id)) = types.entity_type_from_import(import) else {
        return false;
    };
    let Some(function) = host::find(import.module, import.name) else {
        return false;
    };
    let value_type = |ty: &host::ValType| match ty {
        host::ValType::I32 => wasmparser::ValType::I32,
        host::ValType::I64 => wasmparser::ValType::I64,
        host::ValType::F32 => wasmparser::ValType::F32,
        host::ValType::F64 => wasmparser::ValType::F64,
    };
    let ty = types[id].unwrap_func();
    ty.params()
        .iter()
        .copied()
        .eq(function.params.iter().map(value_type))
        && ty
            .results()
            .iter()
            .copied()
            .eq(function.results.iter().map(value_type))
}

/// Features without which the module is not valid.
fn features_used(binary: &[u8]) -> Vec<String> {
    // Not features beyond 1.0 that a module uses, but part of 1.0, or details of how others are encoded.
    const DETAILS: [&str; 5] = [
        "FLOATS",
        "MUTABLE_GLOBAL",
        "GC_TYPES",
        "CALL_INDIRECT_OVERLONG",
        "BULK_MEMORY_OPT",
    ];
    let of_modules = |name: &str| {
        !DETAILS.contains(&name) && !name.starts_with("CM") && name != "COMPONENT_MODEL"
    };
    let all: Vec<_> = WasmFeatures::all()
        .iter_names()
        .filter(|(name, _)| of_modules(name))
        .collect();
    needed_of(&all, binary)
}

/// Those of `features` without which the module is not valid. When it is valid without all of them,
/// none is needed; else each half is looked at.
fn needed_of(features: &[(&'static str, WasmFeatures)], binary: &[u8]) -> Vec<String> {
    let without = features
        .iter()
        .fold(WasmFeatures::all(), |rest, (_, feature)| {
            rest.difference(*feature)
        });
    if Validator::new_with_features(without)
        .validate_all(binary)
        .is_ok()
    {
        return Vec::new();
    }
    match features {
        [(name, _)] => vec![name.to_lowercase().replace('_', "-")],
        _ => {
            let (first, second) = features.split_at(features.len() / 2);
            let mut needed = needed_of(first, binary);
            needed.extend(needed_of(second, binary));
            needed
        }
    }
}

fn needs(described: &Described, verdict: Option<&Error>) -> Vec<String> {
    let mut needs: Vec<String> = verdict
        .map(|error| match error.place() {
            Some(place) => format!("{error} ({place})"),
            None => error.to_string(),
        })
        .into_iter()
        .collect();
    // In the order in which they come first, and whether only functions are wanted of them.
    let mut modules: Vec<(&str, bool)> = Vec::new();
    let mut positions: HashMap<&str, usize> = HashMap::new();
    for import in described.imports.iter().filter(|import| !import.provided) {
        let module = import.module.as_str();
        let position = *positions.entry(module).or_insert_with(|| {
            modules.push((module, true));
            modules.len() - 1
        });
        modules[position].1 &= import.ty.kind == "func";
    }
    for (module, functions) in modules {
        let name = Printable(module).to_string();
        let from = if name.is_empty() { r#""""# } else { &name };
        needs.push(if host::HOST_FUNCTIONS.iter().any(|function| function.module == module) {
            "host functions that elfin does not have; or --unknown-imports trap".to_owned()
        } else if functions {
            format!("a module for the imports from {from}: --link {name}=FILE, or --unknown-imports trap")
        } else {
            format!("a module for the imports from {from}: --link {name}=FILE")
        });
    }
    let exports = |name: &str| described.exports.iter().any(|export| export.name == name);
    if !exports("_start") && !described.start {
        let functions: Vec<String> = described
            .exports
            .iter()
            .filter(|export| export.ty.kind == "func" && export.name != "_initialize")
            .map(|export| Printable(&export.name).to_string())
            .take(3)
            .collect();
        if !functions.is_empty() {
            needs.push(format!(
                "a function to call: --invoke NAME (such as {})",
                functions.join(", ")
            ));
        }
    }
    needs
}

fn entity(names: &Names<'_>, ty: Option<EntityType>) -> Type {
    let function = |id: CoreTypeId| match &names.types[id].composite_type.inner {
        wasmparser::CompositeInnerType::Func(ty) => {
            let list = |types: &[wasmparser::ValType]| {
                types
                    .iter()
                    .map(|ty| names.value(*ty))
                    .collect::<Vec<_>>()
                    .join(", ")
            };
            format!("({}) -> ({})", list(ty.params()), list(ty.results()))
        }
        other => other.to_string(),
    };
    match ty {
        Some(EntityType::Func(id) | EntityType::FuncExact(id)) => Type {
            kind: "func",
            text: function(id),
        },
        Some(EntityType::Table(ty)) => Type {
            kind: "table",
            text: table(&ty, &names.reference(ty.element_type)),
        },
        Some(EntityType::Memory(ty)) => Type {
            kind: "memory",
            text: memory(&ty),
        },
        Some(EntityType::Global(ty)) => {
            let mutable = if ty.mutable { "mut " } else { "" };
            Type {
                kind: "global",
                text: format!("{mutable}{}", names.value(ty.content_type)),
            }
        }
        Some(EntityType::Tag(id)) => Type {
            kind: "tag",
            text: function(id),
        },
        None => Type {
            kind: "unknown",
            text: String::new(),
        },
    }
}

fn limits(initial: u64, maximum: Option<u64>) -> String {
    match maximum {
        Some(maximum) => format!("{initial}..{maximum}"),
        None => format!("{initial}.."),
    }
}

fn memory(ty: &MemoryType) -> String {
    let index = if ty.memory64 { "i64, " } else { "" };
    let shared = if ty.shared { "shared, " } else { "" };
    let page = page_size(ty);
    format!(
        "{index}{shared}{} pages of {page} bytes",
        limits(ty.initial, ty.maximum)
    )
}

fn page_size(ty: &MemoryType) -> u64 {
    1 << ty.page_size_log2.unwrap_or(16)
}

fn table(ty: &TableType, element: &str) -> String {
    let index = if ty.table64 { "i64, " } else { "" };
    format!(
        "{index}{} entries of {element}",
        limits(ty.initial, ty.maximum),
    )
}

impl Described {
    /// As documented in `docs/inspect.md`.
    pub(super) fn to_json(&self) -> Value {
        let imports: Vec<_> = self
            .imports
            .iter()
            .map(|import| {
                json!({
                    "module": import.module, "name": import.name, "kind": import.ty.kind,
                    "type": import.ty.text, "provided": import.provided,
                })
            })
            .collect();
        let exports: Vec<_> = self
            .exports
            .iter()
            .map(|export| json!({ "name": export.name, "kind": export.ty.kind, "type": export.ty.text }))
            .collect();
        let memories: Vec<_> = self
            .memories
            .iter()
            .map(|ty| {
                json!({
                    "initial_pages": ty.initial, "maximum_pages": ty.maximum, "page_size": page_size(ty),
                    "index": if ty.memory64 { "i64" } else { "i32" }, "shared": ty.shared,
                })
            })
            .collect();
        let tables: Vec<_> = self
            .tables
            .iter()
            .map(|(ty, element)| {
                json!({
                    "initial": ty.initial, "maximum": ty.maximum, "element": element,
                    "index": if ty.table64 { "i64" } else { "i32" },
                })
            })
            .collect();
        json!({
            "kind": "module",
            "size": self.size,
            "imports": imports,
            "exports": exports,
            "memories": memories,
            "tables": tables,
            "start": self.start,
            "opaque": self.opaque,
            "features": self.features,
            "needs": self.needs,
        })
    }

    /// For a person.
    pub(super) fn to_text(&self, name: &str) -> String {
        let mut text = format!(
            "{}: WebAssembly module, {} bytes\n",
            Printable(name),
            self.size
        );
        text += &section(
            "imports",
            self.imports.iter().map(|import| {
                let provided = if import.provided {
                    ""
                } else {
                    "   not provided by elfin"
                };
                let (module, name) = (Printable(&import.module), Printable(&import.name));
                format!(
                    "{module}.{name}: {} {}{provided}",
                    import.ty.kind, import.ty.text
                )
            }),
        );
        text += &section(
            "exports",
            self.exports.iter().map(|export| {
                format!(
                    "{}: {} {}",
                    Printable(&export.name),
                    export.ty.kind,
                    export.ty.text
                )
            }),
        );
        text += &section("memories", self.memories.iter().map(memory));
        text += &section(
            "tables",
            self.tables.iter().map(|(ty, element)| table(ty, element)),
        );
        text += &section(
            "features used beyond WebAssembly 1.0",
            self.features.iter().cloned(),
        );
        if self.opaque {
            text += "\nits objects are opaque to other modules once they are converted to an externref\n";
        }
        if self.needs.is_empty() {
            text += "\nnothing stands in the way of `elfin build`\n";
        }
        text += &section("to build it, there must be", self.needs.iter().cloned());
        text
    }
}
