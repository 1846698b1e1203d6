//! What the person at the terminal reads when something fails.
//!
//! In: an error of any stage and the sentence that says what was being done. Out: one chain of lines,
//! outermost first, all of it printable.

use std::fmt::{self, Display};
use std::process::ExitCode;

/// Result of a command.
pub(crate) type Result<T> = std::result::Result<T, Failure>;

/// Why a command failed.
#[derive(Debug)]
pub(crate) struct Failure {
    /// The command line itself is at fault.
    usage: bool,
    /// What could not be done.
    headline: String,
    /// Why, outermost first.
    causes: Vec<String>,
}

impl Failure {
    /// Something could not be done.
    pub(crate) fn new(headline: impl Into<String>) -> Self {
        Self {
            usage: false,
            headline: headline.into(),
            causes: Vec::new(),
        }
    }

    /// Options that are right one by one do not go together.
    pub(crate) fn usage(headline: impl Into<String>) -> Self {
        Self {
            usage: true,
            ..Self::new(headline)
        }
    }

    /// Adds the next inner cause. It may quote a module: lines are escaped and shortened.
    #[must_use]
    pub(crate) fn because(mut self, cause: impl Display) -> Self {
        let cause = cause.to_string();
        let lines: Vec<_> = cause
            .trim_end()
            .lines()
            .take(MAX_LINES)
            .map(printable)
            .collect();
        self.causes.push(lines.join("\n"));
        self
    }

    /// Adds an error of the compiler: its place, then what is wrong there.
    #[must_use]
    pub(crate) fn because_compiler(self, error: &elfin_compiler::Error) -> Self {
        let placed = match error.place() {
            Some(place) => self.because(place),
            None => self,
        };
        placed.because(error)
    }

    /// What could not be done, without the causes.
    pub(crate) fn headline(&self) -> &str {
        &self.headline
    }

    /// Status with which the process ends.
    pub(crate) fn exit_code(&self) -> ExitCode {
        ExitCode::from(if self.usage { 2 } else { 1 })
    }
}

/// Most lines of one cause, and most characters of one line.
const MAX_LINES: usize = 20;
const MAX_CHARS: usize = 1000;

fn printable(line: &str) -> String {
    let mut text = String::new();
    for (i, c) in line.chars().enumerate() {
        if i == MAX_CHARS {
            text.push('…');
            break;
        }
        if c.is_control() {
            text.extend(c.escape_default());
        } else {
            text.push(c);
        }
    }
    text
}

impl Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error: {}", self.headline)?;
        if self.usage {
            write!(f, "\n\nFor more information, try '--help'.")?;
        }
        if self.causes.is_empty() {
            return Ok(());
        }
        write!(f, "\n\nCaused by:")?;
        for (i, cause) in self.causes.iter().enumerate() {
            write!(f, "\n{i:>5}: ")?;
            // Further lines of a cause (a line of the text format with a marker below) are aligned.
            for (line_number, line) in cause.lines().enumerate() {
                if line_number > 0 {
                    write!(f, "\n       ")?;
                }
                write!(f, "{line}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chain() {
        let failure = Failure::new("cannot build a.wat for riscv64")
            .because("function 17")
            .because("expected `(`\n  |\n3 | x\n");
        assert_eq!(
            failure.to_string(),
            "error: cannot build a.wat for riscv64\n\nCaused by:\n    0: function 17\n    \
             1: expected `(`\n         |\n       3 | x"
        );
    }
}
