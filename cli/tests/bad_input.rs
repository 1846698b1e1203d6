//! Hostile and broken modules: each is refused with an error that says what and where, or is built, in
//! bounded time and memory; no output file is left by a refusal and no panic is ever seen.
//!
//! The modules are made here, most of them by hand: what is tested is what no producer would emit.

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

/// A module whose `_start` is `body`, with whatever `prepare` puts before the function section.
fn start(prepare: impl FnOnce(&mut Module), body: &Function) -> Vec<u8> {
    let mut module = Module::new();
    let mut types = TypeSection::new();
    types.ty().function([], []);
    module.section(&types);
    let mut functions = FunctionSection::new();
    functions.function(0);
    module.section(&functions);
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
fn a_million_functions() {
    // All of them in a table, so that all must be kept; the first calls through it.
    let functions = |count: u32| {
        let mut types = Vec::new();
        leb(count, &mut types);
        types.extend(std::iter::repeat_n(0, count as usize));
        let mut table = vec![1, 0x70, 0];
        leb(count, &mut table);
        let mut elements = b"\x01\x00\x41\x00\x0b".to_vec();
        leb(count, &mut elements);
        (0..count).for_each(|index| leb(index, &mut elements));
        let mut code = Vec::new();
        leb(count, &mut code);
        code.extend(b"\x07\x00\x41\x01\x11\x00\x00\x0b");
        code.extend(b"\x02\x00\x0b".repeat(count as usize - 1));
        let exports = section(7, b"\x01\x06_start\x00\x00");
        let head = [
            self::types(),
            section(3, &types),
            section(4, &table),
            exports,
        ];
        module(&[&head[..], &[section(9, &elements), section(10, &code)]].concat())
    };
    // Built or refused: within the bounds that `build` checks.
    let (built, _scratch) = build(&functions(1_000_000), &["-O", "0"]);
    if built.code() == 1 {
        assert!(built.stderr.contains("limit exceeded"), "{}", built.stderr);
    }
    runs(&functions(10_000)).0.expect_code(0);
    // One more than any engine takes.
    refused(&functions(1_000_001), &["functions"]);
}

#[test]
fn huge_body() {
    let nops = |count: usize| {
        let mut function = Function::new([]);
        function.raw(std::iter::repeat_n(0x01, count));
        function.instruction(&Instruction::End);
        start(|_| {}, &function)
    };
    refused(&nops(7_654_322), &["body"]);
    let (ran, size) = runs(&nops(7_600_000));
    ran.expect_code(0);
    assert!(size < 16 << 10, "{size}");
}

#[test]
fn huge_body_of_arithmetic() {
    // 7.6 MB that cannot be thrown away: built or refused, within bounds.
    let function = body(&[(1, ValType::I32)], |function| {
        for i in 0..1_050_000 {
            function.instruction(&Instruction::LocalGet(0));
            function.instruction(&Instruction::I32Const(i & 63));
            function.instruction(if i & 1 == 0 {
                &Instruction::I32Add
            } else {
                &Instruction::I32Xor
            });
            function.instruction(&Instruction::LocalSet(0));
        }
    });
    let bytes = start(|_| {}, &function);
    assert!(
        (7_300_000..7_654_321).contains(&bytes.len()),
        "{}",
        bytes.len()
    );
    let (built, _scratch) = build(&bytes, &[]);
    if built.code() == 1 {
        assert!(built.stderr.contains("limit exceeded"), "{}", built.stderr);
    }
}

#[test]
fn locals() {
    refused(
        &start(|_| {}, &body(&[(50_001, ValType::I32)], |_| {})),
        &["locals", "function 0"],
    );
    let many = [(u32::MAX, ValType::I64), (u32::MAX, ValType::I64)];
    refused(&start(|_| {}, &body(&many, |_| {})), &["locals"]);
    // 400 KB frames and no end: the guard must not be jumped.
    let deep = body(&[(50_000, ValType::I64)], |function| {
        for local in (0..50_000).step_by(500) {
            function.instruction(&Instruction::LocalGet(local));
            function.instruction(&Instruction::I64Const(i64::from(local)));
            function.instruction(&Instruction::I64Add);
            function.instruction(&Instruction::LocalSet(local));
        }
        function.instruction(&Instruction::Call(0));
        for local in (0..50_000).step_by(500) {
            function.instruction(&Instruction::LocalGet(local));
            function.instruction(&Instruction::Drop);
        }
    });
    let (ran, _) = runs(&start(|_| {}, &deep));
    ran.expect_code(134);
    assert!(
        ran.stderr
            .starts_with("elfin: trap: call stack exhausted\n"),
        "{}",
        ran.stderr
    );
}

#[test]
fn a_large_frame_does_not_jump_the_guard() {
    // Values that live across a call, 1.2 MB of them: more than the guard below the stack is wide.
    const VALUES: u64 = 150_000;
    let deep = body(&[], |function| {
        for i in 0..VALUES {
            let memory = MemArgTarget::Memory(0);
            let memarg = MemArg {
                offset: i & 0xfff8,
                align: 3,
                target: memory,
                ordering: None,
            };
            function.instruction(&Instruction::I32Const(0));
            function.instruction(&Instruction::I64Load(memarg));
            function.instruction(&Instruction::I64Const(i as i64));
            function.instruction(&Instruction::I64Mul);
        }
        function.instruction(&Instruction::Call(0));
        for _ in 1..VALUES {
            function.instruction(&Instruction::I64Xor);
        }
        function.instruction(&Instruction::Drop);
    });
    let bytes = start(
        |module| {
            module.section(&memory(1));
        },
        &deep,
    );
    let (ran, _) = runs(&bytes);
    ran.expect_code(134);
    assert!(
        ran.stderr
            .starts_with("elfin: trap: call stack exhausted\n"),
        "{}",
        ran.stderr
    );
}

#[test]
fn br_table_of_65520_and_65521_targets() {
    let table = |targets: usize| {
        let function = body(&[], |function| {
            function.instruction(&Instruction::Block(BlockType::Empty));
            function.instruction(&Instruction::Block(BlockType::Empty));
            function.instruction(&Instruction::I32Const(65_519));
            let mut labels = vec![1; targets];
            labels[65_519] = 0;
            function.instruction(&Instruction::BrTable(labels.into(), 1));
            function.instruction(&Instruction::End);
            // Target 65,519 alone comes here.
            function.instruction(&Instruction::Return);
            function.instruction(&Instruction::End);
            function.instruction(&Instruction::Unreachable);
        });
        start(|_| {}, &function)
    };
    runs(&table(65_520)).0.expect_code(0);
    refused(
        &table(65_521),
        &["limit exceeded", "br_table", "65520", "function 0"],
    );
}

#[test]
fn a_million_nested_blocks() {
    let function = body(&[], |function| {
        for _ in 0..1_000_000 {
            function.instruction(&Instruction::Block(BlockType::Empty));
        }
        for _ in 0..1_000_000 {
            function.instruction(&Instruction::End);
        }
    });
    refused(&start(|_| {}, &function), &["limit exceeded", "function 0"]);
}

/// `count` nested `try_table`s, each with a clause for a tag of its own, around `calls` calls.
fn clauses_around_calls(count: usize, calls: usize) -> Vec<u8> {
    let tags = "(tag)".repeat(count);
    let open: String = (0..count)
        .map(|tag| format!("(block (try_table (catch {tag} 0) "))
        .collect();
    let calls = "(call 1)".repeat(calls);
    let close = "))".repeat(count);
    let text = format!(
        r#"(module {tags} (func (export "_start") {open}{calls}{close}) (func (throw 0)))"#
    );
    text.into_bytes()
}

#[test]
fn a_function_that_sets_very_many_globals() {
    const COUNT: usize = 70_000;
    let globals = "(global (mut i32) (i32.const 0))".repeat(COUNT);
    let number = |i| format!("(global.set {i} (i32.add (global.get {i}) (i32.const 1)))");
    let sets: String = (0..COUNT).map(number).collect();
    let text = format!(r#"(module {globals} (func (export "_start") {sets}))"#);
    let (ran, _) = runs(text.as_bytes());
    ran.expect_code(0);
}

#[test]
fn very_many_tags() {
    // The name of each was looked for among all.
    let tags = "(tag)".repeat(100_000);
    let text =
        format!(r#"(module {tags} (func (export "_start") (if (i32.const 0) (then (throw 5)))))"#);
    let (ran, _) = runs(text.as_bytes());
    ran.expect_code(0);
}

#[test]
fn calls_inside_thousands_of_clauses() {
    let (ran, _) = runs(&clauses_around_calls(1000, 10));
    ran.expect_code(0);
    refused(
        &clauses_around_calls(1000, 2000),
        &["limit exceeded: the calls of the function have too many exception handlers"],
    );
    refused(
        &clauses_around_calls(8000, 40_000),
        &["too many exception handlers"],
    );
}

#[test]
fn very_many_references_alive() {
    // Each of the objects is an operand while those after it are made: what the collector is told of grows with the
    // square.
    let pairs = |count: usize, times: usize| {
        let array = format!(
            "{} array.new_fixed $a {count} drop\n",
            "struct.new_default $s\n".repeat(count)
        );
        format!(
            r#"(module (type $s (struct (field i32))) (type $a (array (ref null $s)))
                (func (export "_start") {}))"#,
            array.repeat(times)
        )
    };
    let (ran, _) = runs(pairs(500, 2).as_bytes());
    ran.expect_code(0);
    refused(
        pairs(10_000, 2).as_bytes(),
        &[
            "limit exceeded: the function has too many references alive where garbage may be collected",
        ],
    );
}

#[test]
fn deeply_nested_text() {
    for text in [
        "(".repeat(1_000_000),
        format!("(module {}", "(func ".repeat(200_000)),
    ] {
        refused(text.as_bytes(), &[]);
    }
    let folded = "(drop ".repeat(100_000);
    refused(format!("(module (func {folded}").as_bytes(), &[]);
}

#[test]
fn a_chain_of_15000_blocks() {
    let chain = body(&[(1, ValType::I32)], |function| {
        for _ in 0..15_000 {
            function.instruction(&Instruction::Block(BlockType::Empty));
            function.instruction(&Instruction::LocalGet(0));
            function.instruction(&Instruction::BrIf(0));
            function.instruction(&Instruction::LocalGet(0));
            function.instruction(&Instruction::Drop);
            function.instruction(&Instruction::End);
        }
    });
    let (built, _scratch) = build(&start(|_| {}, &chain), &[]);
    built.expect_code(0);
    // It was quadratic once, in the back end: a second for an optimised elfin, or more with our own
    // code not optimised.
    assert!(
        built.processor_time < BUILD_TIME / 10,
        "{:?}",
        built.processor_time
    );
}

#[test]
fn a_hundred_thousand_data_segments() {
    let text = body(&[], |_| {});
    let mut bytes = start(
        |module| {
            module.section(&memory(16));
        },
        &text,
    );
    let mut data = DataSection::new();
    for i in 0..100_000 {
        data.active(0, &ConstExpr::i32_const((i * 10) & 0xffff), [i as u8]);
    }
    let mut tail = Module::new();
    tail.section(&data);
    bytes.extend_from_slice(&tail.finish()[HEADER.len()..]);
    let (ran, size) = runs(&bytes);
    ran.expect_code(0);
    assert!(size < 256 << 10, "{size}");
}

#[test]
fn data_at_the_end_of_4_gib() {
    let mut bytes = start(
        |module| {
            module.section(&memory(65_536));
        },
        &body(&[], |_| {}),
    );
    let mut data = DataSection::new();
    data.active(0, &ConstExpr::i32_const(-10), *b"0123456789");
    let mut tail = Module::new();
    tail.section(&data);
    bytes.extend_from_slice(&tail.finish()[HEADER.len()..]);
    let (ran, size) = runs(&bytes);
    ran.expect_code(0);
    assert!(size < 256 << 10, "{size}");
}

#[test]
fn a_memory_of_4_gib_makes_a_small_executable() {
    let bytes = start(
        |module| {
            module.section(&memory(65_536));
        },
        &body(&[], |_| {}),
    );
    let (ran, size) = runs(&bytes);
    ran.expect_code(0);
    assert!(size < 8 << 10, "{size}");
}

#[test]
fn a_hundred_tables_of_ten_million() {
    let tables = |count: u32| {
        let mut tables = TableSection::new();
        for _ in 0..count {
            tables.table(TableType {
                element_type: RefType::FUNCREF,
                table64: false,
                minimum: 10_000_000,
                maximum: None,
                shared: false,
            });
        }
        start(
            |module| {
                module.section(&tables);
            },
            &body(&[], |_| {}),
        )
    };
    let (built, scratch) = build(&tables(100), &[]);
    if built.code() == 0 {
        let size = fs::metadata(scratch.path().join("out"))
            .expect("executable")
            .len();
        assert!(size < 64 << 10, "{size}");
    } else {
        assert!(built.stderr.contains("limit exceeded"), "{}", built.stderr);
    }
    let (ran, size) = runs(&tables(1));
    ran.expect_code(0);
    assert!(size < 64 << 10, "{size}");
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
    let mut module = Module::new();
    let mut types = TypeSection::new();
    types.ty().function([], []);
    module.section(&types);
    let mut functions = FunctionSection::new();
    functions.function(0);
    module.section(&functions);
    module.section(&StartSection { function_index: 0 });
    let mut code = CodeSection::new();
    code.function(&body(&[], |function| {
        function.instruction(&Instruction::Unreachable);
    }));
    module.section(&code);
    let (ran, _) = runs(&module.finish());
    ran.expect_code(134);
    assert!(
        ran.stderr.starts_with("elfin: trap: unreachable\n"),
        "{}",
        ran.stderr
    );
}

#[test]
fn a_long_chain_of_types() {
    // Each type refers to the one before it: the depth of what describes it is unbounded.
    let mut types = TypeSection::new();
    types.ty().function([], []);
    for i in 0..50_000 {
        let reference = RefType {
            nullable: true,
            heap_type: wasm_encoder::HeapType::Concrete(i),
        };
        types.ty().function([ValType::Ref(reference)], []);
    }
    let mut module = Module::new();
    module.section(&types);
    refused(&module.finish(), &["there is nothing to run"]);
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
