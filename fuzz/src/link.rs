//! Damaged objects through the linker.
//!
//! In: objects of real programs and a seed. Out: whether the linker made an image. A panic and an answer that
//! takes too long are findings. What an image of damaged objects does when it runs nobody knows.

use crate::compile::{Finding, damage_bytes};
use crate::generate::Random;
use crate::panic_message;
use elfin_abi::policy;
use elfin_compiler::{Arch, CompiledProgram, Options, Silent, Source};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

/// An answer may take this long.
const MAX_TIME: Duration = Duration::from_secs(10);

/// A compiled program of each architecture.
#[derive(Clone, Debug)]
pub struct Objects(Vec<(Arch, CompiledProgram)>);

/// A program with something of everything: code that calls, a table, data, a host function.
const PROGRAM: &str = r#"(module
    (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
    (memory (export "memory") 1)
    (table 4 funcref) (elem (i32.const 1) $f $g)
    (global $n (mut i32) (i32.const 3))
    (data (i32.const 8) "\10\00\00\00\06\00\00\00hello\n")
    (func $f (result i32) (call $write (i32.const 1) (i32.const 8) (i32.const 1) (i32.const 0)))
    (func $g (param f64) (result f64) (f64.mul (local.get 0) (f64.const 1.25)))
    (func (export "_start")
        (drop (call_indirect (result i32) (global.get $n)))
        (block (block (block (br_table 0 1 2 (global.get $n)))
            (global.set $n (i32.const 4)))
            (drop (call $g (f64.const 2))))))"#;

/// Compiles what is damaged.
///
/// # Errors
/// What the compiler says.
pub fn objects() -> Result<Objects, String> {
    let source = Source {
        name: "program",
        bytes: PROGRAM.as_bytes(),
    };
    Arch::ALL
        .iter()
        .map(|arch| {
            elfin_compiler::compile(source, &[], &Options::new(*arch), &Silent)
                .map(|program| (*arch, program))
                .map_err(|e| e.to_string())
        })
        .collect::<Result<_, _>>()
        .map(Objects)
}

/// Links the objects that a seed damages. Gives whether there is an image.
///
/// # Errors
/// A finding.
pub fn run(objects: &Objects, seed: u64) -> Result<bool, Finding> {
    let mut random = Random::new(seed ^ 0x11c4);
    let (arch, program) = &objects.0[random.below(objects.0.len())];
    let mut damaged = program.object.clone();
    for _ in 0..=random.below(4) {
        damage_bytes(&mut damaged, &mut random);
    }
    let started = Instant::now();
    let result = catch_unwind(AssertUnwindSafe(|| {
        elfin_image::link_object(&damaged, program, &policy::encode([]), *arch).is_ok()
    }));
    let elapsed = started.elapsed();
    match result {
        Err(panic) => Err(Finding {
            input: damaged,
            message: format!("it panics: {} ({})", panic_message(&*panic), arch.name()),
        }),
        Ok(_) if elapsed > MAX_TIME => Err(Finding {
            input: damaged,
            message: format!("it takes {:.1} s", elapsed.as_secs_f64()),
        }),
        Ok(linked) => Ok(linked),
    }
}
