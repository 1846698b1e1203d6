//! Folded `try` of the legacy exceptions → the flat form.
//!
//! In: text of a module or of a script. Out: the same text in which each
//! `(try (do …) (catch $tag …) (catch_all …))` and `(try (do …) (delegate …))` is written flat
//! (`try … catch $tag … end`), the only form of them that the text reader knows. An instruction that has a
//! folded `try` among its operands is unfolded with it. Nothing here knows what instructions mean; what is
//! not of these forms is left for the reader to complain about.

use std::ops::Range;

/// What a list has inside its parentheses.
enum Item {
    /// A keyword, name, number or string: where it stands.
    Atom(Range<usize>),
    /// A list, by its number.
    List(usize),
}

/// A parenthesised list.
struct List {
    open: usize,
    close: usize,
    items: Vec<Item>,
}

/// The text with every folded `try` flat; none when there is none, or when one is not well-formed.
#[must_use]
pub fn unfold(text: &str) -> Option<String> {
    if !text.contains("try") {
        return None;
    }
    let lists = read(text)?;
    let forms = Forms { text, lists };
    let flat = forms.flat();
    let mut edits = Vec::new();
    // What is moved stood in the text, once; `end` takes the place of two parentheses and a word.
    let mut left = 2 * text.len();
    for (number, list) in forms.lists.iter().enumerate() {
        if flat[number] {
            let first = edits.len();
            match forms.head(list) {
                "try" => forms.flatten_try(list, &mut edits)?,
                "if" => forms.flatten_if(list, &mut edits)?,
                _ => forms.flatten_plain(list, &mut edits),
            }
            for (_, replacement) in &edits[first..] {
                left = left.checked_sub(replacement.len())?;
            }
        }
    }
    if edits.is_empty() {
        return None;
    }
    edits.sort_by_key(|(range, _)| range.start);
    let mut out = String::with_capacity(text.len() + edits.len() * 8);
    let mut done = 0;
    for (range, replacement) in edits {
        // A list to be flattened stands among what is to be moved: no instruction has such immediates.
        out.push_str(text.get(done..range.start)?);
        // What is next to a parenthesis needs no space; what takes its place does.
        out.push(' ');
        out.push_str(&replacement);
        out.push(' ');
        // Lines keep their numbers.
        out.extend(text[range.clone()].matches('\n'));
        done = range.end;
    }
    out.push_str(&text[done..]);
    Some(out)
}

/// All lists, each after the one that it is in; none when parentheses, strings or comments do not end.
fn read(text: &str) -> Option<Vec<List>> {
    let bytes = text.as_bytes();
    let mut lists: Vec<List> = Vec::new();
    let mut open: Vec<usize> = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let start = at;
        match bytes[at] {
            b';' if bytes.get(at + 1) == Some(&b';') => {
                at += bytes[at..]
                    .iter()
                    .position(|b| *b == b'\n')
                    .unwrap_or(bytes.len() - at);
            }
            b'(' if bytes.get(at + 1) == Some(&b';') => at = end_of_comment(bytes, at)?,
            b'(' => {
                let number = lists.len();
                if let Some(parent) = open.last() {
                    lists[*parent].items.push(Item::List(number));
                }
                lists.push(List {
                    open: at,
                    close: at,
                    items: Vec::new(),
                });
                open.push(number);
                at += 1;
            }
            b')' => {
                lists[open.pop()?].close = at;
                at += 1;
            }
            b' ' | b'\t' | b'\r' | b'\n' => at += 1,
            first => {
                at = if first == b'"' {
                    end_of_string(bytes, at)?
                } else {
                    let rest = &bytes[at + 1..];
                    let ends = |b: &u8| b"()\"; \t\r\n".contains(b);
                    at + 1 + rest.iter().position(ends).unwrap_or(rest.len())
                };
                if let Some(parent) = open.last() {
                    lists[*parent].items.push(Item::Atom(start..at));
                }
            }
        }
    }
    open.is_empty().then_some(lists)
}

/// Behind a block comment, which may have others inside.
fn end_of_comment(bytes: &[u8], start: usize) -> Option<usize> {
    let mut depth = 0_usize;
    let mut at = start;
    loop {
        match bytes.get(at..at + 2)? {
            b"(;" => depth += 1,
            b";)" => depth -= 1,
            _ => {
                at += 1;
                continue;
            }
        }
        at += 2;
        if depth == 0 {
            return Some(at);
        }
    }
}

/// Behind a string.
fn end_of_string(bytes: &[u8], start: usize) -> Option<usize> {
    let mut at = start + 1;
    loop {
        match bytes.get(at)? {
            b'"' => return Some(at + 1),
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
}

/// A text and its lists.
struct Forms<'a> {
    text: &'a str,
    lists: Vec<List>,
}

type Edits = Vec<(Range<usize>, String)>;

impl Forms<'_> {
    /// The word that a list begins with.
    fn head(&self, list: &List) -> &str {
        match list.items.first() {
            Some(Item::Atom(range)) => &self.text[range.clone()],
            _ => "",
        }
    }

    /// The lists in a list.
    fn inner<'l>(&'l self, list: &'l List) -> impl Iterator<Item = (usize, &'l List)> {
        list.items.iter().filter_map(|item| match item {
            Item::List(number) => Some((*number, &self.lists[*number])),
            Item::Atom(_) => None,
        })
    }

    /// Whether a list is written flat: it is a `try`, or one is among its operands.
    fn flat(&self) -> Vec<bool> {
        let mut flat = vec![false; self.lists.len()];
        // A list comes after the one that it is in.
        for (number, list) in self.lists.iter().enumerate().rev() {
            flat[number] = match self.head(list) {
                "try" => true,
                // These hold sequences of instructions: a flat one among them is at home.
                "func" | "block" | "loop" | "try_table" | "then" | "else" | "do" | "catch"
                | "catch_all" => false,
                _ => self
                    .inner(list)
                    .any(|(inner, list)| flat[inner] && self.is_operand(list)),
            };
        }
        flat
    }

    /// Whether a list in an instruction is an operand, and not one of its immediates or clauses.
    fn is_operand(&self, list: &List) -> bool {
        !matches!(
            self.head(list),
            "type" | "param" | "result" | "ref" | "exact" | "then" | "else"
        )
    }

    /// Position behind a list's first word.
    fn behind_head(&self, list: &List) -> usize {
        match list.items.first() {
            Some(Item::Atom(range)) => range.end,
            _ => list.open + 1,
        }
    }

    /// Leaves out a list's parentheses, and its first word unless it is to be kept.
    fn open_up(&self, list: &List, keep_head: bool, end: &str, edits: &mut Edits) {
        let behind = if keep_head {
            list.open + 1
        } else {
            self.behind_head(list)
        };
        edits.push((list.open..behind, String::new()));
        edits.push((list.close..list.close + 1, end.to_owned()));
    }

    /// `(try L T (do A) (catch $t B) (catch_all C))` → `try L T A catch $t B catch_all C end`, and
    /// `(try L T (do A) (delegate D))` → `try L T A delegate D`.
    fn flatten_try(&self, list: &List, edits: &mut Edits) -> Option<()> {
        let mut inner = self.inner(list).map(|(_, inner)| inner).peekable();
        while inner
            .next_if(|inner| matches!(self.head(inner), "type" | "param" | "result"))
            .is_some()
        {}
        let body = inner.next_if(|inner| self.head(inner) == "do")?;
        let clauses: Vec<_> = inner.collect();
        // Before the body only a label and the type; behind it nothing but clauses.
        let words = list.items.iter().skip(1).filter_map(|item| match item {
            Item::Atom(range) => Some(range),
            Item::List(_) => None,
        });
        for (place, word) in words.enumerate() {
            let name = self.text[word.clone()].starts_with('$');
            if place > 0 || !name || word.start > body.open {
                return None;
            }
        }
        self.open_up(body, false, "", edits);
        let mut end = "end";
        for (place, clause) in clauses.iter().enumerate() {
            match self.head(clause) {
                "catch" => {}
                "catch_all" if place + 1 == clauses.len() => {}
                "delegate" if clauses.len() == 1 => end = "",
                _ => return None,
            }
            self.open_up(clause, true, "", edits);
        }
        self.open_up(list, true, end, edits);
        Some(())
    }

    /// `(if L T C… (then A) (else B))` → `C… if L T A else B end`.
    fn flatten_if(&self, list: &List, edits: &mut Edits) -> Option<()> {
        let (mut words, behind) = self.immediates(list);
        edits.push((list.open..behind, String::new()));
        for (_, clause) in self.inner(list) {
            match self.head(clause) {
                // One only: the words are not copied for more.
                "then" if words.is_empty() => return None,
                "then" => {
                    let words = std::mem::take(&mut words);
                    edits.push((clause.open..self.behind_head(clause), words));
                    edits.push((clause.close..clause.close + 1, String::new()));
                }
                "else" => self.open_up(clause, true, "", edits),
                _ => {}
            }
        }
        edits.push((list.close..list.close + 1, "end".to_owned()));
        Some(())
    }

    /// `(op I… A…)` → `A… op I…`.
    fn flatten_plain(&self, list: &List, edits: &mut Edits) {
        let (words, behind) = self.immediates(list);
        edits.push((list.open..behind, String::new()));
        edits.push((list.close..list.close + 1, words));
    }

    /// The instruction with its immediates, without what is between them, and the position behind them.
    fn immediates(&self, list: &List) -> (String, usize) {
        let mut words = String::new();
        let mut behind = list.open + 1;
        for item in &list.items {
            let range = match item {
                Item::Atom(range) => range.clone(),
                Item::List(number) => {
                    let inner = &self.lists[*number];
                    if self.is_operand(inner) || matches!(self.head(inner), "then" | "else") {
                        break;
                    }
                    inner.open..inner.close + 1
                }
            };
            if !words.is_empty() {
                words.push(' ');
            }
            words.push_str(&self.text[range.clone()]);
            behind = range.end;
        }
        (words, behind)
    }
}

#[cfg(test)]
mod tests {
    use super::unfold;

    /// The words of a text.
    fn words(text: &str) -> String {
        text.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn forms_become_flat() {
        for (folded, flat) in [
            ("(func (try (do (call $f))))", "(func try (call $f) end )"),
            (
                "(try $l (result i32) (do (nop) i32.const 1) (catch $e drop (i32.const 2)) (catch_all i32.const 3))",
                "try $l (result i32) (nop) i32.const 1 catch $e drop (i32.const 2) catch_all i32.const 3 end",
            ),
            (
                "(try (do (try (do (throw $e)) (delegate 0))) (catch $e))",
                "try try (throw $e) delegate 0 catch $e end",
            ),
            // An operand: what it belongs to follows it.
            (
                "(func (i32.add (i32.const 1) (try (result i32) (do i32.const 2))))",
                "(func (i32.const 1) try (result i32) i32.const 2 end i32.add )",
            ),
            (
                "(call_indirect $t (type 0) (try (do)) (i32.const 0))",
                "try end (i32.const 0) call_indirect $t (type 0)",
            ),
            (
                "(if $l (result i32) (try (result i32) (do)) (then (nop)) (else (try (do))))",
                "try (result i32) end if $l (result i32) (nop) else try end end",
            ),
            (
                "(if (i32.const 1) (then (try (do))))",
                "(if (i32.const 1) (then try end ))",
            ),
            // Not a word of the text.
            (
                "(func (; (try ;) (try (do)) ;; (try\n (data \"(try\"))",
                "(func (; (try ;) try end ;; (try (data \"(try\"))",
            ),
        ] {
            assert_eq!(words(&unfold(folded).unwrap()), flat, "{folded}");
        }
    }

    #[test]
    fn what_is_not_of_the_form_stays() {
        for text in [
            "",
            "(module)",
            "(func try end)",
            "(func (try_table (catch $e 0)))",
            "(func (try))",
            "(func (try (catch $e)))",
            "(func (try nop (do)))",
            "(func (try (do) nop))",
            "(func (try (do) (catch_all) (catch $e)))",
            "(func (try (do) (catch $e) (delegate 0)))",
            "(func (try (do) (delegate 0) (delegate 0)))",
            "(func (try (do))",
            "(func (try (do))))",
            "(func (try (do \"))",
            "(func (; (try (do)))",
        ] {
            assert_eq!(unfold(text), None, "{text}");
        }
    }

    #[test]
    fn lines_stay_where_they_are() {
        let text = "(func\n (try\n  (do\n   (\n i32.add\n (try (result i32) (do i32.const 1)) (i32.const 2)) drop)\n  (catch_all)\n )\n)\n";
        let flat = unfold(text).unwrap();
        assert_eq!(flat.lines().count(), text.lines().count());
    }

    /// What no instruction looks like is left to the reader, in bounded time and memory.
    #[test]
    fn what_is_moved_is_moved_once() {
        const MANY: usize = 20_000;
        let types = "i32 ".repeat(MANY);
        let thens = "(then)".repeat(MANY);
        let nested = "(foo (ref ".repeat(MANY);
        let operands = ") (try (do)))".repeat(MANY);
        for text in [
            "(i32.add (ref (i32.add (try (do)) (ref x))) (try (do)))".to_owned(),
            format!("(if (result {types}) (try (do)) {thens})"),
            format!("{nested}{operands}"),
        ] {
            assert_eq!(unfold(&text), None, "{}", &text[..60.min(text.len())]);
        }
    }
}
