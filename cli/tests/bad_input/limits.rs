//! Modules with very much of something: built within bounds, or refused.

use super::*;

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
    ran.expect_trap("call stack exhausted");
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
    ran.expect_trap("call stack exhausted");
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

/// Appends a section to a module.
fn append(bytes: &mut Vec<u8>, section: &DataSection) {
    let mut tail = Module::new();
    tail.section(section);
    bytes.extend_from_slice(&tail.finish()[HEADER.len()..]);
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
    append(&mut bytes, &data);
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
    append(&mut bytes, &data);
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
fn a_start_that_is_no_beginning_is_not_called_missing() {
    for (text, message) in [
        (
            "(module (func (export \"_start\") (result i32) i32.const 1))",
            "the export `_start` has type () -> (i32), no start function",
        ),
        (
            "(module (import \"wasi_snapshot_preview1\" \"proc_exit\" (func (param i32))) (export \"_start\" (func 0)))",
            "the export `_start` is an imported function",
        ),
        ("(module)", "no export `_start`"),
    ] {
        refused(text.as_bytes(), &["there is nothing to run", message]);
    }
}
