//! Flat `try` of the legacy exceptions → the folded form.
//!
//! In: a module's text with one instruction on each line, as it is printed. Out: the same module, with each `try` folded
//! or not, and what follows one with a result around it now and then.

use crate::generate::Random;

/// A block that is open.
enum Block {
    /// Its `end` stays.
    Flat,
    /// It begins at this place of the output.
    Folded(usize),
}

/// Folds.
#[must_use]
pub fn fold(text: &str, random: &mut Random) -> String {
    let mut out = String::with_capacity(text.len() * 2);
    let mut blocks = Vec::new();
    // Where a folded `try` begins that was the last instruction and has one result.
    let mut operand: Option<usize> = None;
    for line in text.lines() {
        let line = line.split(";;").next().unwrap_or_default().trim();
        let word = line.split([' ', ')']).next().unwrap_or_default();
        let last = operand.take();
        match (word, blocks.last()) {
            ("try", _) if !random.one_in(4) => {
                blocks.push(Block::Folded(out.len()));
                out += &format!("({line} (do\n");
            }
            ("block" | "loop" | "if" | "try" | "try_table", _) => {
                blocks.push(Block::Flat);
                out += &format!("{line}\n");
            }
            ("catch" | "catch_all", Some(Block::Folded(_))) => out += &format!(") ({line}\n"),
            ("delegate", Some(Block::Folded(_))) => {
                blocks.pop();
                out += &format!(") ({line}))\n");
            }
            ("delegate", _) => {
                blocks.pop();
                out += &format!("{line}\n");
            }
            ("end", Some(Block::Folded(start))) => {
                // The head's own line says what it leaves.
                let head = out[*start..].lines().next().unwrap_or_default();
                let results = head.split("(result ").nth(1).unwrap_or_default();
                let results = results.split(')').next().unwrap_or_default();
                let plain = !head.contains("(type ") && !head.contains("(param ");
                if plain && results.split_whitespace().count() == 1 && random.one_in(2) {
                    operand = Some(*start);
                }
                blocks.pop();
                out += "))\n";
            }
            ("end", _) => {
                blocks.pop();
                out += &format!("{line}\n");
            }
            _ => match last {
                Some(start) if takes_one(word) && line.matches(['(', ')']).count() == 0 => {
                    out.insert_str(start, &format!("({line} "));
                    out += ")\n";
                }
                _ => out += &format!("{line}\n"),
            },
        }
    }
    out
}

/// Whether an instruction takes one operand, and so what stands before it and has one result.
fn takes_one(word: &str) -> bool {
    matches!(
        word,
        "drop" | "local.set" | "local.tee" | "global.set" | "i32.eqz" | "i64.eqz" | "ref.is_null"
    ) || word.contains("convert")
        || word.contains("extend")
        || word.contains("reinterpret")
        || word.contains("wrap")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn some_are_folded_and_some_wrapped() {
        let text = "(module\n(func\ntry (result i32)\ni32.const 1\ncatch_all\ni32.const 2\nend\ndrop\n)\n)";
        let forms: Vec<String> = (0..40)
            .map(|seed| fold(text, &mut Random::new(seed)))
            .collect();
        for form in [
            "try (result i32)\ni32",
            "(try (result i32) (do\n",
            "(drop (try",
        ] {
            assert!(forms.iter().any(|text| text.contains(form)), "{form}");
        }
    }
}
