//! Damaged modules through the compiler.
//!
//! In: a corpus and a seed. Out: how the compiler answered. A panic, [`Error::Internal`] and an answer that
//! takes too long are findings; everything else is right, for what a damaged module means nobody knows.

use crate::corpus::Corpus;
use crate::generate::{self, Random};
use crate::panic_message;
use elfin_compiler::link::Linker;
use elfin_compiler::module::{Item, Module, ValType};
use elfin_compiler::program::Constant;
use elfin_compiler::{Arch, Error, Options, Silent, UnknownImports, parse};
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

/// How the compiler answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// With a program.
    Compiled,
    /// Refused: invalid.
    Invalid,
    /// Refused: not text.
    Text,
    /// Refused: a feature.
    Unsupported,
    /// Refused: an import or an export.
    Link,
    /// Refused: a limit.
    LimitExceeded,
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// An input that the compiler does not answer as it should.
#[derive(Clone, Debug)]
pub struct Finding {
    /// The input.
    pub input: Vec<u8>,
    /// What happened.
    pub message: String,
}

/// An answer may take this long, for inputs of less than 64 KiB on a busy machine.
const MAX_TIME: Duration = Duration::from_secs(10);

/// Compiles the input of a seed.
///
/// # Errors
/// A finding.
pub fn run(corpus: &Corpus, seed: u64) -> Result<Answer, Finding> {
    let mut random = Random::new(seed ^ 0x5eed);
    let input = input(corpus, &mut random);
    let arch = Arch::ALL[random.below(Arch::ALL.len())];
    let options = Options {
        unknown_imports: UnknownImports::Trap,
        ..Options::new(arch)
    };
    let started = Instant::now();
    let result = catch_unwind(AssertUnwindSafe(|| compile(&input, &options)));
    let elapsed = started.elapsed();
    let found = |message: String| {
        Err(Finding {
            input: input.clone(),
            message: format!("{} ({})", message, arch.name()),
        })
    };
    match result {
        Err(panic) => found(format!("it panics: {}", panic_message(&*panic))),
        Ok(Err(error @ Error::Internal { .. })) => found(error.to_string()),
        Ok(_) if elapsed > MAX_TIME => found(format!("it takes {:.1} s", elapsed.as_secs_f64())),
        Ok(Ok(())) => Ok(Answer::Compiled),
        Ok(Err(Error::Invalid { .. })) => Ok(Answer::Invalid),
        Ok(Err(Error::Text { .. })) => Ok(Answer::Text),
        Ok(Err(Error::Unsupported { .. })) => Ok(Answer::Unsupported),
        Ok(Err(Error::Link { .. })) => Ok(Answer::Link),
        Ok(Err(Error::LimitExceeded { .. })) => Ok(Answer::LimitExceeded),
    }
}

/// As a script, for then every function is compiled and none has to be called `_start`.
fn compile(input: &[u8], options: &Options) -> Result<(), Error> {
    let binary = parse::to_binary("damaged", input)?;
    let module = parse::parse("damaged", &binary)?;
    let mut linker = Linker::script(options);
    let instance = linker.instantiate(0, &module)?;
    for (id, name, arguments) in calls(&module) {
        linker.invoke(id, instance, name, &arguments)?;
    }
    elfin_compiler::compile_program(&linker.finish(), options, &Silent)?;
    Ok(())
}

type Arguments = Vec<(ValType, Constant)>;

/// A few calls, with zeros.
fn calls<'m>(module: &'m Module<'_>) -> Vec<(u32, &'m str, Arguments)> {
    let functions = module
        .exports
        .iter()
        .filter_map(|export| match export.item {
            Item::Function(index) => Some((export.name, module.function_type(index))),
            _ => None,
        });
    (1..)
        .zip(functions.take(2))
        .map(|(id, (name, ty))| {
            let zero = |ty: &ValType| match ty {
                ValType::Ref(_) => (*ty, Constant::Null),
                ValType::V128 => (*ty, Constant::V128(0)),
                ty => (*ty, Constant::Bits(0)),
            };
            (id, name, ty.params().iter().map(zero).collect())
        })
        .collect()
}

fn input(corpus: &Corpus, random: &mut Random) -> Vec<u8> {
    let mut bytes = pick(corpus, random);
    for _ in 0..=random.below(3) {
        damage(&mut bytes, corpus, random);
    }
    bytes
}

fn pick(corpus: &Corpus, random: &mut Random) -> Vec<u8> {
    if random.one_in(2)
        && let Some(wasm) = generate::module(random.bits())
    {
        return wasm;
    }
    corpus.inputs[random.below(corpus.inputs.len())].clone()
}

/// Damages something, somewhere.
pub(crate) fn damage_bytes(bytes: &mut Vec<u8>, random: &mut Random) {
    if bytes.is_empty() {
        bytes.push(random.bits() as u8);
        return;
    }
    let at = random.below(bytes.len());
    match random.below(8) {
        0 | 1 => bytes[at] ^= 1 << random.below(8),
        2 => bytes[at] = random.bits() as u8,
        // Edges of LEB128 numbers and of opcodes.
        3 => bytes[at] = [0, 0x7f, 0x80, 0xff, 0x40, 0x0b, 0xfc, 0x70][random.below(8)],
        4 => {
            bytes.remove(at);
        }
        5 => bytes.insert(at, random.bits() as u8),
        6 if random.one_in(4) => bytes.truncate(at),
        6 => {
            let end = bytes.len().min(at + 1 + random.below(16));
            bytes.drain(at..end);
        }
        _ => {
            let end = bytes.len().min(at + 1 + random.below(64));
            let part = bytes[at..end].to_vec();
            let to = random.below(bytes.len());
            bytes.splice(to..to, part);
        }
    }
}

/// Opcodes of the same type, by range: what is exchanged for another of its range stays valid.
const ALIKE: [(u8, u8); 12] = [
    (0x46, 0x4f),
    (0x51, 0x5a),
    (0x5b, 0x60),
    (0x61, 0x66),
    (0x67, 0x69),
    (0x6a, 0x78),
    (0x79, 0x7b),
    (0x7c, 0x8a),
    (0x8b, 0x91),
    (0x92, 0x98),
    (0x99, 0x9f),
    (0xa0, 0xa6),
];

/// Exchanges a byte that may be an opcode for one of the same type. What remains is often valid, and means
/// something else.
fn exchange(bytes: &mut [u8], random: &mut Random) {
    for _ in 0..64 {
        let Some(byte) = bytes.len().checked_sub(1).map(|n| random.below(n + 1)) else {
            return;
        };
        let byte = &mut bytes[byte];
        if let Some((first, last)) = ALIKE.iter().find(|(a, b)| (*a..=*b).contains(byte)) {
            *byte = first + random.below(usize::from(last - first) + 1) as u8;
            return;
        }
    }
}

fn damage(bytes: &mut Vec<u8>, corpus: &Corpus, random: &mut Random) {
    match random.below(8) {
        0 => {}
        1..=3 => return exchange(bytes, random),
        _ => return damage_bytes(bytes, random),
    }
    // A part of another input.
    let other = &corpus.inputs[random.below(corpus.inputs.len())];
    let from = random.below(other.len().max(1));
    let part = &other[from..other.len().min(from + 1 + random.below(256))];
    let at = random.below(bytes.len() + 1);
    let end = bytes.len().min(at + random.below(part.len() + 1));
    bytes.splice(at..end, part.iter().copied());
}
