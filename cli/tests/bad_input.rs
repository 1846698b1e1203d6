//! Hostile and broken modules: each is refused with an error that says what and where, or is built, in
//! bounded time and memory; no output file is left by a refusal and no panic is ever seen.
//!
//! The modules are made here, most of them by hand: what is tested is what no producer would emit.

#[path = "bad_input/cost.rs"]
mod cost;
#[path = "bad_input/limits.rs"]
mod limits;
mod support;

use std::fs;
use std::path::Path;

use support::{BUILD_MEMORY, BUILD_TIME, Finished, elfin, finish, guest, run_executable};
use wasm_encoder::{
    BlockType, CodeSection, ConstExpr, DataSection, ExportKind, ExportSection, Function,
    FunctionSection, ImportSection, Instruction, MemArg, MemArgTarget, MemorySection, MemoryType,
    Module, RefType, StartSection, TableSection, TableType, TypeSection, ValType,
};

const HEADER: &[u8] = b"\0asm\x01\0\0\0";

/// Builds `module` in a scratch directory, checks what holds for every input, and returns how it went
/// and the directory.
fn build(module: &[u8], flags: &[&str]) -> (Finished, tempfile::TempDir) {
    let scratch = tempfile::tempdir().expect("scratch");
    fs::write(scratch.path().join("hostile.wasm"), module).expect("module");
    let mut command = elfin(scratch.path());
    command
        .args(["build", "hostile.wasm", "-o", "out"])
        .args(flags);
    let built = finish(command, None);
    check(&built, scratch.path());
    (built, scratch)
}

#[track_caller]
fn check(built: &Finished, scratch: &Path) {
    assert!(
        matches!(built.code(), 0 | 1),
        "exit {}: {}",
        built.code(),
        built.stderr
    );
    assert!(
        built.processor_time <= 2 * BUILD_TIME,
        "{:?}",
        built.processor_time
    );
    assert!(
        built.memory <= BUILD_MEMORY,
        "{} bytes of memory",
        built.memory
    );
    assert!(!built.stderr.contains("panicked"), "{}", built.stderr);
    assert!(!built.stderr.contains("bug in elfin"), "{}", built.stderr);
    assert!(
        built.stderr.len() < 4096,
        "{} bytes of errors",
        built.stderr.len()
    );
    let control = |c: char| c.is_control() && c != '\n';
    assert!(
        !built.stderr.contains(control),
        "raw control characters: {:?}",
        built.stderr
    );
    assert_eq!(
        scratch.join("out").exists(),
        built.code() == 0,
        "an output exactly if it was built"
    );
    assert_eq!(
        built.stderr.is_empty(),
        built.code() == 0,
        "{}",
        built.stderr
    );
    let left: Vec<_> = fs::read_dir(scratch)
        .expect("scratch")
        .map(|entry| entry.expect("entry").file_name())
        .filter(|name| name.to_string_lossy().starts_with(".elfin"))
        .collect();
    assert!(left.is_empty(), "temporary files are left: {left:?}");
}

/// Asserts that the module is refused, with these words in the message.
#[track_caller]
fn refused(module: &[u8], words: &[&str]) -> String {
    refused_with(module, &[], words)
}

#[track_caller]
fn refused_with(module: &[u8], flags: &[&str], words: &[&str]) -> String {
    let (built, _scratch) = build(module, flags);
    built.expect_code(1);
    assert!(
        built
            .stderr
            .starts_with("error: cannot build hostile.wasm for "),
        "{}",
        built.stderr
    );
    assert!(
        built.stderr.contains("\n\nCaused by:\n    0: "),
        "{}",
        built.stderr
    );
    for word in words {
        assert!(
            built.stderr.contains(word),
            "no {word:?} in: {}",
            built.stderr
        );
    }
    built.stderr
}

/// Asserts that the module builds, and runs it.
#[track_caller]
fn runs(module: &[u8]) -> (Finished, u64) {
    let (built, scratch) = build(module, &[]);
    built.expect_code(0);
    let executable = scratch.path().join("out");
    let size = fs::metadata(&executable).expect("executable").len();
    let ran = run_executable(
        std::env::consts::ARCH,
        &executable,
        &["out"],
        scratch.path(),
        None,
    );
    (ran, size)
}

fn section(id: u8, content: &[u8]) -> Vec<u8> {
    let mut bytes = vec![id];
    leb(content.len() as u32, &mut bytes);
    bytes.extend_from_slice(content);
    bytes
}

fn leb(mut value: u32, bytes: &mut Vec<u8>) {
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
}

fn module(sections: &[Vec<u8>]) -> Vec<u8> {
    [HEADER.to_vec()]
        .iter()
        .chain(sections)
        .flatten()
        .copied()
        .collect()
}

/// The usual type section: one type, `() -> ()`.
fn types() -> Vec<u8> {
    section(1, b"\x01\x60\x00\x00")
}

/// A module that declares one function without parameters and results.
fn one_function() -> Module {
    let mut module = Module::new();
    let mut types = TypeSection::new();
    types.ty().function([], []);
    module.section(&types);
    let mut functions = FunctionSection::new();
    functions.function(0);
    module.section(&functions);
    module
}

/// A module whose `_start` is `body`, with whatever `prepare` puts before the function section.
fn start(prepare: impl FnOnce(&mut Module), body: &Function) -> Vec<u8> {
    let mut module = one_function();
    prepare(&mut module);
    let mut exports = ExportSection::new();
    exports.export("_start", ExportKind::Func, 0);
    module.section(&exports);
    let mut code = CodeSection::new();
    code.function(body);
    module.section(&code);
    module.finish()
}

fn body(locals: &[(u32, ValType)], fill: impl FnOnce(&mut Function)) -> Function {
    let mut function = Function::new(locals.iter().copied());
    fill(&mut function);
    function.instruction(&Instruction::End);
    function
}

fn memory(pages: u64) -> MemorySection {
    let mut memories = MemorySection::new();
    memories.memory(MemoryType {
        minimum: pages,
        maximum: None,
        memory64: false,
        shared: false,
        page_size_log2: None,
    });
    memories
}

#[test]
fn empty_file() {
    refused(b"", &["empty"]);
}

#[test]
fn magic_only() {
    refused(b"\0asm", &["at offset 0x4"]);
    refused(b"\0asm\x02\0\0\0", &["version"]);
    refused(
        b"\x7fELF\x02\x01\x01\0",
        &["neither a binary module", "nor text"],
    );
}

#[test]
fn truncated_at_every_byte() {
    let text = fs::read(guest("hello.wat")).expect("guest");
    let whole = elfin_compiler_binary(&text);
    assert!(whole.len() > 100);
    let mut still_valid = 0;
    for len in 0..whole.len() {
        let cut = &whole[..len];
        let (built, _scratch) = build(cut, &[]);
        let valid = wasmparser::validate(cut).is_ok();
        still_valid += usize::from(valid);
        if !valid {
            built.expect_code(1);
            assert!(
                built.stderr.contains("hostile.wasm"),
                "cut to {len}: {}",
                built.stderr
            );
        }
    }
    // Only cuts between sections leave something valid.
    assert!(still_valid < 12, "{still_valid}");
}

#[test]
fn truncated_text() {
    let text = fs::read(guest("hello.wat")).expect("guest");
    let end = text.len() - 2;
    for len in (1..end).step_by(29) {
        let (built, _scratch) = build(&text[..len], &[]);
        built.expect_code(1);
    }
}

/// Text to binary, by the same reader that elfin uses.
fn elfin_compiler_binary(text: &[u8]) -> Vec<u8> {
    elfin_compiler::parse::to_binary("guest", text)
        .expect("a valid guest")
        .into_owned()
}

#[test]
fn overlong_leb() {
    let mut bytes = HEADER.to_vec();
    bytes.push(1);
    bytes.extend([0x80; 9]);
    bytes.push(0);
    refused(&bytes, &["invalid module", "at offset 0x"]);
}

#[test]
fn section_length_of_4_gib() {
    let mut bytes = HEADER.to_vec();
    bytes.extend([1, 0xff, 0xff, 0xff, 0xff, 0x0f, 0]);
    refused(&bytes, &["invalid module", "at offset 0x"]);
}

#[test]
fn counts_of_4_gib() {
    for id in [1, 2, 3, 4, 5, 6, 7, 9, 10, 11] {
        refused(
            &module(&[section(id, &[0xff, 0xff, 0xff, 0xff, 0x0f])]),
            &["invalid module"],
        );
    }
}

#[test]
fn duplicate_and_disordered_sections() {
    refused(
        &module(&[types(), types()]),
        &["invalid module", "at offset 0x"],
    );
    let memory = section(5, b"\x01\x00\x01");
    refused(
        &module(&[memory, types()]),
        &["invalid module", "at offset 0x"],
    );
    refused(&module(&[section(77, b"")]), &["invalid module"]);
}

#[test]
fn unknown_import_is_named() {
    let text =
        r#"(module (import "env" "no_such_thing" (func)) (func (export "_start") (call 0)))"#;
    refused(
        text.as_bytes(),
        &["env", "no_such_thing", "--unknown-imports", "--link"],
    );
    let text = r#"(module (import "env" "g" (global i32)) (func (export "_start")))"#;
    refused_with(
        text.as_bytes(),
        &["--unknown-imports", "trap"],
        &["env", "g"],
    );
    let text = r#"(module (import "wasi_snapshot_preview1" "path_frobnicate" (func))
        (func (export "_start") (call 0)))"#;
    refused(text.as_bytes(), &["path_frobnicate"]);
}

#[test]
fn known_import_with_another_type() {
    let text = r#"(module (import "wasi_snapshot_preview1" "fd_write" (func (param i64)))
        (func (export "_start")))"#;
    refused(text.as_bytes(), &["fd_write", "i64"]);
}

#[test]
fn linked_module_without_the_export() {
    let text = r#"(module (import "env" "absent" (func)) (func (export "_start") (call 0)))"#;
    let library = guest("add.wat");
    let link = format!("env={}", library.display());
    refused_with(text.as_bytes(), &["--link", &link], &["env", "absent"]);
    let text = r#"(module (import "env" "add" (func (param f32))) (func (export "_start")))"#;
    refused_with(text.as_bytes(), &["--link", &link], &["env", "add"]);
}

#[test]
fn names_that_are_not_names() {
    let import = |name: &[u8]| {
        let mut content = vec![1, 3];
        content.extend(b"env");
        leb(name.len() as u32, &mut content);
        content.extend(name);
        content.extend([0, 0]);
        module(&[types(), section(2, &content)])
    };
    refused(&import(b"\xff\xfe"), &["UTF-8", "at offset 0x"]);
    // `check` sees that the escape and the NUL arrive escaped.
    refused(&import(b"red\x1b[31m\0\x07"), &["red\\u{1b}[31m"]);
    // ... and that the message stays short.
    refused(&import(&[b'n'; 100_000]), &["nnnn…"]);
}

#[test]
fn a_corrupt_name_section_is_ignored() {
    let whole = elfin_compiler_binary(&fs::read(guest("exit.wat")).expect("guest"));
    for content in [
        &b"\x04name\x01\xff\xff\xff\xff\x0f"[..],
        b"\x04name\x01\x05\x01\x00\x02\xff\xfe",
        b"\x04name\x99",
    ] {
        let mut bytes = whole.clone();
        bytes.extend(section(0, content));
        runs(&bytes).0.expect_code(7);
    }
}

#[test]
fn a_start_function_that_traps() {
    let mut module = one_function();
    module.section(&StartSection { function_index: 0 });
    let mut code = CodeSection::new();
    code.function(&body(&[], |function| {
        function.instruction(&Instruction::Unreachable);
    }));
    module.section(&code);
    let (ran, _) = runs(&module.finish());
    ran.expect_trap("unreachable");
}

#[test]
fn out_of_range_indices() {
    for text in [
        r#"(module (func (export "_start") (call 9)))"#,
        r#"(module (func (export "_start") (local.get 9) drop))"#,
        r#"(module (func (export "_start") (br 9)))"#,
        r#"(module (func (export "_start") (drop (i32.load (i32.const 0)))))"#,
        r#"(module (export "_start" (func 3)))"#,
        r#"(module (start 3))"#,
    ] {
        refused(text.as_bytes(), &["hostile.wasm"]);
    }
}

#[test]
fn an_empty_code_section() {
    let mut module = Module::new();
    module.section(&CodeSection::new());
    let (built, _scratch) = build(&module.finish(), &[]);
    if built.code() == 1 {
        // Nothing to run is a reason; an internal failure is not.
        assert!(built.stderr.contains("_start"), "{}", built.stderr);
    }
}

#[test]
fn imports_only() {
    let mut module = Module::new();
    let mut types = TypeSection::new();
    types.ty().function([], []);
    module.section(&types);
    let mut imports = ImportSection::new();
    for i in 0..100_000 {
        imports.import(
            "env",
            &format!("f{i}"),
            wasm_encoder::EntityType::Function(0),
        );
    }
    module.section(&imports);
    let bytes = module.finish();
    refused(&bytes, &["env"]);
    let (built, _scratch) = build(&bytes, &["--unknown-imports", "trap"]);
    assert!(built.code() == 0 || !built.stderr.is_empty());
}

#[test]
fn what_is_not_compiled_yet_is_named() {
    refused(
        br#"(component)"#,
        &["unsupported feature: component-model\n"],
    );
}

/// A vector may stand anywhere, in code that nothing reaches too, and the code generator panics at one that riscv64 has
/// no instructions for.
#[test]
fn vectors_anywhere() {
    for text in [
        r#"(module (func (export "_start") (drop (v128.const i64x2 0 0))))"#,
        r#"(module (func (export "_start") (unreachable) (drop (i8x16.splat (i32.const 1)))))"#,
        r#"(module (func (local v128)) (func (export "_start")))"#,
        r#"(module (func (drop (block (result v128) (unreachable)))) (func (export "_start")))"#,
        r#"(module (func (drop (select (result v128) (unreachable)))) (func (export "_start")))"#,
        r#"(module (func (param v128)) (func (export "_start")))"#,
        r#"(module (type (func (result v128))) (func (export "_start")))"#,
        r#"(module (global v128 (v128.const i64x2 0 0)) (func (export "_start")))"#,
        r#"(module (type (struct (field v128))) (func (export "_start")))"#,
        r#"(module (type (array (mut v128))) (func (export "_start")))"#,
    ] {
        for options in [
            &["--target", "x86_64"][..],
            &["--target", "aarch64"],
            &["--target", "riscv64"],
            &["--target", "riscv64", "-O", "0"],
            &["--target", "riscv64", "--cpu", "rv64gcv"],
        ] {
            let (built, _scratch) = build(text.as_bytes(), options);
            built.expect_code(0);
        }
    }
}

#[test]
fn vectors_cannot_be_typed() {
    for ty in ["(param v128)", "(result v128) (v128.const i64x2 0 0)"] {
        refused_with(
            format!(r#"(module (func (export "f") {ty}))"#).as_bytes(),
            &["--invoke", "f"],
            &["--invoke f: its type", "a vector"],
        );
    }
}

#[test]
fn start_called_with_parameters() {
    let text = r#"(module (func (export "_start") (param i32)))"#;
    refused(text.as_bytes(), &["_start"]);
    let text = r#"(module (func (export "f") (param externref)))"#;
    refused_with(text.as_bytes(), &["--invoke", "f"], &["f"]);
    refused_with(text.as_bytes(), &["--invoke", "g\x1b"], &["g\\u{1b}"]);
}
