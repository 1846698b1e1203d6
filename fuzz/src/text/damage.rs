//! Text → text that somebody damaged.
//!
//! In: a text, another one, a random sequence. Out: one damage more: tokens and lists left out, doubled, exchanged,
//! repeated, nested; bytes changed; the end cut off.

use crate::generate::Random;
use std::ops::Range;

/// A damaged text is not longer than this.
const MAX_BYTES: usize = 1 << 20;

/// Most repetitions and most levels of nesting in one go.
const MANY: [usize; 6] = [2, 10, 110, 1_000, 10_000, 60_000];

/// What nests: what opens, and what closes.
const NESTS: [(&str, &str); 21] = [
    ("(", ")"),
    ("(block ", ")"),
    ("(loop $l ", ")"),
    ("(if (i32.const 1) (then ", "))"),
    ("(i32.eqz ", ")"),
    ("(try (do ", "))"),
    ("(try (do) (catch $e ", "))"),
    ("(try (do ", ") (catch_all))"),
    ("(try (do ", ") (delegate 0))"),
    ("(drop (try (result i32) (do ", ")))"),
    ("(i32.add (try (do)) ", ")"),
    ("(call_indirect (type 0) (try ", "))"),
    ("(if (try (do)) (then ", "))"),
    ("(ref ", ")"),
    ("(i32.add (ref ", ") (try (do)))"),
    ("(module ", ")"),
    ("(rec ", ")"),
    ("(; ", " ;)"),
    ("(try_table (catch_all 0) ", ")"),
    ("try ", " end"),
    ("(@custom ", ")"),
];

/// What takes the place of something.
const WORDS: [&str; 51] = [
    "(try (do) (catch $e))",
    "(if (result i32) (try (do)) (then) (else))",
    "(call_indirect (type 0) (param i32) (try (do)) (nop))",
    "(",
    ")",
    "(;",
    ";)",
    ";;",
    "\"",
    "\\",
    "$",
    "$x",
    "$\"x\"",
    "(try",
    "(do",
    "(catch",
    "(catch_all",
    "(delegate",
    "try",
    "do",
    "catch",
    "catch_all",
    "delegate",
    "end",
    "else",
    "(then)",
    "(else)",
    "(type 0)",
    "(param)",
    "(result)",
    "(result i32)",
    "(ref null 0)",
    "(ref exact 0)",
    "0",
    "-1",
    "4294967296",
    "18446744073709551616",
    "0x",
    "0x1p99999999",
    "nan:0x1",
    "inf",
    "1_000",
    "offset=1",
    "align=3",
    "\"\\u{110000}\"",
    "\"\\ff\"",
    "\u{feff}",
    "\u{202e}",
    "é",
    "\0",
    "\t",
];

/// What a token is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Open,
    Close,
    Atom,
    /// White space and comments.
    Gap,
}

/// Tokens, none of which is left out: their ranges follow each other.
fn tokens(text: &str) -> Vec<(Kind, Range<usize>)> {
    let bytes = text.as_bytes();
    let mut tokens = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let rest = &bytes[at..];
        let until = |ends: &dyn Fn(u8) -> bool| {
            1 + rest[1..]
                .iter()
                .position(|byte| ends(*byte))
                .unwrap_or(rest.len() - 1)
        };
        let (kind, length) = match rest {
            [b'(', b';', ..] => (Kind::Gap, text[at..].find(";)").map_or(2, |end| end + 2)),
            [b';', b';', ..] => (Kind::Gap, until(&|byte| byte == b'\n')),
            [b'(', ..] => (Kind::Open, 1),
            [b')', ..] => (Kind::Close, 1),
            [b'"', ..] => {
                let mut end = 1;
                while end < rest.len() && rest[end] != b'"' {
                    end += 1 + usize::from(rest[end] == b'\\');
                }
                (Kind::Atom, end + 1)
            }
            [byte, ..] if byte.is_ascii_whitespace() => {
                (Kind::Gap, until(&|byte| !byte.is_ascii_whitespace()))
            }
            _ => (
                Kind::Atom,
                until(&|byte| byte.is_ascii_whitespace() || b"()\";".contains(&byte)),
            ),
        };
        let mut end = bytes.len().min(at + length);
        while !text.is_char_boundary(end) {
            end += 1;
        }
        tokens.push((kind, at..end));
        at = end;
    }
    tokens
}

/// The modules of a script, each as a text.
#[must_use]
pub fn modules(text: &str) -> Vec<String> {
    let tokens = tokens(text);
    (0..tokens.len())
        .filter(|at| text[tokens[*at].1.start..].starts_with("(module"))
        .map(|at| text[list(&tokens, at)].to_owned())
        .collect()
}

/// The list that this token opens, or all that is left.
fn list(tokens: &[(Kind, Range<usize>)], at: usize) -> Range<usize> {
    let mut depth = 0_usize;
    for (kind, range) in &tokens[at..] {
        match kind {
            Kind::Open => depth += 1,
            Kind::Close if depth <= 1 => return tokens[at].1.start..range.end,
            Kind::Close => depth -= 1,
            Kind::Atom | Kind::Gap => {}
        }
    }
    tokens[at].1.start..tokens.last().map_or(0, |(_, range)| range.end)
}

/// Some token, or the list that it opens.
fn part(tokens: &[(Kind, Range<usize>)], random: &mut Random) -> Range<usize> {
    // Neither white space nor comments, nearly always.
    let mut at = random.below(tokens.len());
    if tokens[at].0 == Kind::Gap && !random.one_in(8) {
        at = (at + 1).min(tokens.len() - 1);
    }
    match tokens[at].0 {
        Kind::Open if !random.one_in(6) => list(tokens, at),
        _ => tokens[at].1.clone(),
    }
}

/// A list in which some of what is directly inside is repeated, each for itself.
fn swollen(text: &str, tokens: &[(Kind, Range<usize>)], random: &mut Random) -> Option<String> {
    let opens: Vec<usize> = (0..tokens.len())
        .filter(|at| tokens[*at].0 == Kind::Open)
        .collect();
    // A short one nearly always: a module is swollen by everything else.
    let (open, range) = (0..8)
        .filter(|_| !opens.is_empty())
        .map(|_| opens[random.below(opens.len())])
        .map(|open| (open, list(tokens, open)))
        .min_by_key(|(_, range)| range.len())?;
    let mut out = text[..=range.start].to_owned();
    let mut at = open + 1;
    while at < tokens.len() && tokens[at].1.start < range.end {
        let (kind, token) = &tokens[at];
        let part = match kind {
            Kind::Open => list(tokens, at),
            _ => token.clone(),
        };
        out += &text[part.clone()];
        if matches!(kind, Kind::Open | Kind::Atom) && random.one_in(2) {
            let piece = format!(" {}", &text[part.clone()]);
            // Several may be large, and all must find room.
            let times = times(piece.len(), text.len().max(out.len()), random) / 4;
            out += &piece.repeat(times);
        }
        while at < tokens.len() && tokens[at].1.start < part.end {
            at += 1;
        }
    }
    out += &text[range.end..];
    Some(out)
}

/// One damage. `other` is where parts may come from.
#[must_use]
pub fn damage(text: &str, other: &str, random: &mut Random) -> String {
    let found = tokens(text);
    if found.is_empty() {
        return WORDS[random.below(WORDS.len())].to_owned();
    }
    let range = part(&found, random);
    let piece = &text[range.clone()];
    let replaced = |range: Range<usize>, by: &str| {
        let mut text = text.to_owned();
        text.replace_range(range, by);
        text
    };
    let damaged = match random.below(21) {
        0 | 1 => replaced(range, ""),
        2 | 3 => replaced(range.clone(), &format!("{piece} {piece}")),
        4..=6 => {
            // Two change places; where one is in the other, it takes its place.
            let second = part(&found, random);
            let (first, second) = if range.start <= second.start {
                (range, second)
            } else {
                (second, range)
            };
            if second.start < first.end {
                replaced(first, &text[second])
            } else {
                let (before, between) = (&text[..first.start], &text[first.end..second.start]);
                let (a, b) = (&text[first], &text[second.clone()]);
                format!("{before}{b}{between}{a}{}", &text[second.end..])
            }
        }
        7 | 8 => {
            let others = tokens(other);
            let by = if others.is_empty() {
                ""
            } else {
                &other[part(&others, random)]
            };
            let range = if random.one_in(2) {
                range
            } else {
                range.start..range.start
            };
            replaced(range, &format!(" {by} "))
        }
        9..=11 => {
            let word = WORDS[random.below(WORDS.len())];
            let range = if random.one_in(2) {
                range
            } else {
                range.end..range.end
            };
            replaced(range, &format!(" {word} "))
        }
        12 => {
            let times = times(piece.len() + 1, text.len(), random);
            replaced(range, &format!("{piece} ").repeat(times))
        }
        13..=15 => {
            let (open, close) = NESTS[random.below(NESTS.len())];
            let times = times(open.len() + close.len(), text.len(), random);
            // Not all that is opened is closed.
            let closed = if random.one_in(8) {
                times.saturating_sub(random.below(3))
            } else {
                times
            };
            replaced(
                range,
                &format!("{}{piece}{}", open.repeat(times), close.repeat(closed)),
            )
        }
        16 if random.one_in(3) => {
            let mut end = random.below(text.len() + 1);
            while !text.is_char_boundary(end) {
                end -= 1;
            }
            text[..end].to_owned()
        }
        17 => replaced(range, &piece.repeat(1 + random.below(3)).to_uppercase()),
        // Its list's parentheses go, or another pair comes.
        18 => replaced(range, &format!("({piece})")),
        19 => replaced(range, piece.trim_start_matches('(').trim_end_matches(')')),
        20 => swollen(text, &found, random).unwrap_or_default(),
        _ => {
            let mut bytes = text.as_bytes().to_vec();
            let at = random.below(bytes.len());
            bytes[at] = b"()\"; $\\0x;\n"[random.below(11)];
            String::from_utf8_lossy(&bytes).into_owned()
        }
    };
    if damaged.len() > MAX_BYTES {
        return text.to_owned();
    }
    damaged
}

/// How often something of this size is repeated, in a text of this length.
fn times(size: usize, length: usize, random: &mut Random) -> usize {
    let room = MAX_BYTES.saturating_sub(length) / size.max(1);
    // The large ones are slow: there are less of them.
    let most = MANY[random.below(MANY.len())];
    let most = if most > 1_000 && !random.one_in(4) {
        10
    } else {
        most
    };
    most.min(room)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_all_of_the_text() {
        for text in [
            "(a \"b\\\" c\" (; d ;) ;; e\n é)",
            "\"",
            "(;",
            ")",
            "\u{feff}(",
        ] {
            let mut end = 0;
            for (_, range) in tokens(text) {
                assert_eq!(range.start, end);
                end = range.end;
            }
            assert_eq!(end, text.len());
        }
        assert_eq!(
            modules("(assert_trap (module $a (func)) \"x\") (module)"),
            ["(module $a (func))", "(module)"]
        );
    }

    #[test]
    fn a_seed_is_a_damage() {
        let text = "(module (func (export \"f\") (result i32) (i32.const 1)))";
        let mut seen = std::collections::BTreeSet::new();
        for seed in 0..200 {
            let damaged = damage(text, "(try (do))", &mut Random::new(seed));
            assert_eq!(damaged, damage(text, "(try (do))", &mut Random::new(seed)));
            seen.insert(damaged);
        }
        assert!(seen.len() > 120, "{}", seen.len());
    }
}
