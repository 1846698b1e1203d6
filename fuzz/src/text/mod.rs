//! Damaged text through the readers of text.
//!
//! In: a corpus and a seed. Out: how the text was answered. A panic, an answer that takes too long or too much memory for
//! the text's length, and an error of ours are findings. The reader is the compiler's (`parse::to_binary`, with the
//! legacy exceptions' folded form behind it) and, for scripts, that of `spec-tests`. What becomes a module is validated.
//!
//! - [`damage`]: tokens, and what is done to them
//! - [`fold`]: the flat form of the legacy exceptions → the folded one, which must mean the same

pub mod damage;
pub mod fold;

use crate::compile::{Answer, Finding};
use crate::generate::{self, Random};
use crate::measure::{Cost, measure};
use crate::{exceptions, loops, panic_message};
use elfin_compiler::{Error, parse};
use spec_tests::script;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::time::Duration;

/// Texts that are damaged.
#[derive(Clone, Debug)]
pub struct Corpus {
    texts: Vec<String>,
}

/// Longer files are left out.
const MAX_BYTES: usize = 128 << 10;

/// What an answer may cost: something at once, and something for each byte of the text.
const TIME: (Duration, Duration) = (Duration::from_millis(500), Duration::from_micros(8));
const MEMORY: (usize, usize) = (16 << 20, 512);

/// The smallest stack on which a command of ours reads text: what is nested must not exhaust it.
pub const STACK: usize = 2 << 20;

/// Reads the corpus: the project's own modules and scripts, the modules of scripts each for itself as well.
///
/// # Errors
/// When a file can't be read, or there are none.
pub fn read() -> Result<Corpus, String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut texts = Vec::new();
    for folder in [
        "benches/guests",
        "cli/tests/guests",
        "examples",
        "fuzz/corpora",
        "spec-tests/local",
    ] {
        find(&root.join(folder), &mut texts)?;
    }
    if texts.is_empty() {
        return Err("there are no texts".to_owned());
    }
    Ok(Corpus { texts })
}

fn find(folder: &Path, texts: &mut Vec<String>) -> Result<(), String> {
    let error = |e: std::io::Error| format!("{}: {e}", folder.display());
    let entries = std::fs::read_dir(folder).map_err(error)?;
    let mut paths = entries
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<Vec<_>, _>>()
        .map_err(error)?;
    paths.sort();
    for path in paths {
        if path.is_dir() {
            find(&path, texts)?;
        } else if let Some("wat" | "wast") = path.extension().and_then(|e| e.to_str()) {
            let text =
                std::fs::read_to_string(&path).map_err(|e| format!("{}: {e}", path.display()))?;
            if text.len() > MAX_BYTES {
                continue;
            }
            if path.extension().is_some_and(|e| e == "wast") {
                texts.extend(damage::modules(&text));
            }
            texts.push(text);
        }
    }
    Ok(())
}

/// Gives the text of a seed to the readers.
///
/// # Errors
/// A finding.
pub fn run(corpus: &Corpus, seed: u64) -> Result<(Answer, Cost), Finding> {
    let mut random = Random::new(seed ^ 0x7e47);
    if random.one_in(16) {
        return folded(random.bits());
    }
    let mut text = pick(corpus, &mut random);
    let other = pick(corpus, &mut random);
    for _ in 0..=random.below(4) {
        text = damage::damage(&text, &other, &mut random);
    }
    answer(&text)
}

fn pick(corpus: &Corpus, random: &mut Random) -> String {
    let generated = match random.below(12) {
        0 => generate::module(random.bits()),
        1 => Some(loops::module(random.bits(), true)),
        2 => return fold::fold(&flat(random.bits()), random),
        _ => None,
    };
    generated
        .and_then(|wasm| wasmprinter::print_bytes(wasm).ok())
        .unwrap_or_else(|| corpus.texts[random.below(corpus.texts.len())].clone())
}

/// A program that throws, as flat text.
fn flat(seed: u64) -> String {
    let program = exceptions::generate::program(seed);
    wasmprinter::print_bytes(exceptions::encode::module(&program)).unwrap_or_default()
}

/// Reads a text in every way.
///
/// # Errors
/// A finding.
pub fn answer(text: &str) -> Result<(Answer, Cost), Finding> {
    let found = |message: String| Finding {
        input: text.as_bytes().to_vec(),
        message,
    };
    let guarded = |what: &str, work: &mut dyn FnMut() -> Answer| {
        let (answer, cost) = measure(|| catch_unwind(AssertUnwindSafe(work)));
        let answer = answer
            .map_err(|panic| found(format!("{what}: it panics: {}", panic_message(&*panic))))?;
        let length = text.len();
        if cost.time > TIME.0 + TIME.1 * length as u32 || cost.memory > MEMORY.0 + MEMORY.1 * length
        {
            return Err(found(format!(
                "{what}: {:.2} s and {} KiB for {length} bytes of text",
                cost.time.as_secs_f64(),
                cost.memory >> 10
            )));
        }
        Ok((answer, cost))
    };
    let mut binary = None;
    let read = guarded(
        "module",
        &mut || match parse::to_binary("damaged", text.as_bytes()) {
            Ok(bytes) => {
                binary = Some(bytes.into_owned());
                Answer::Compiled
            }
            Err(error) => self::refused(&error),
        },
    )?;
    guarded("script", &mut || match script::parse(text) {
        Ok(_) => Answer::Compiled,
        Err(_) => Answer::Text,
    })?;
    let Some(binary) = binary else {
        return Ok(read);
    };
    let parsed = catch_unwind(AssertUnwindSafe(|| parse::parse("damaged", &binary).err()));
    match parsed {
        Err(panic) => Err(found(format!(
            "validation: it panics: {}",
            panic_message(&*panic)
        ))),
        Ok(Some(error @ Error::Internal { .. })) => Err(found(error.to_string())),
        Ok(Some(error)) => Ok((refused(&error), read.1)),
        Ok(None) => Ok(read),
    }
}

fn refused(error: &Error) -> Answer {
    match error {
        Error::Text { .. } => Answer::Text,
        Error::Unsupported { .. } => Answer::Unsupported,
        Error::Link { .. } => Answer::Link,
        Error::LimitExceeded { .. } => Answer::LimitExceeded,
        Error::Invalid { .. } | Error::Internal { .. } => Answer::Invalid,
    }
}

/// A program that throws, folded: it must be the same module as the flat one.
fn folded(seed: u64) -> Result<(Answer, Cost), Finding> {
    let flat = flat(seed);
    let folded = fold::fold(&flat, &mut Random::new(seed));
    let answered = answer(&folded)?;
    let binary = |text: &str| parse::to_binary("folded", text.as_bytes()).map(|b| b.into_owned());
    match (binary(&flat), binary(&folded)) {
        (Ok(flat), Ok(folded)) if flat == folded => Ok(answered),
        (_, result) => Err(Finding {
            input: folded.into_bytes(),
            message: match result {
                Ok(_) => "folded, it is another module".to_owned(),
                Err(error) => format!("folded, it is refused: {error}"),
            },
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is folded is read by our own code, and a module that is another one would be seen.
    #[test]
    fn folded_programs_need_the_folded_form() {
        let mut unfolded = 0;
        for seed in 0..30 {
            let found = folded(seed);
            assert!(found.is_ok(), "{seed}: {found:?}");
            let text = fold::fold(&flat(seed), &mut Random::new(seed));
            unfolded += u32::from(wat::parse_str(&text).is_err());
        }
        assert!(unfolded > 5, "{unfolded}");
    }
}
