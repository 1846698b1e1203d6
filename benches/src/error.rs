//! Why something could not be measured: the outermost fact first, then its causes.
//!
//! A figure that is missed isn't an error; it is a result, and lives in `report`.

use std::fmt;

/// A chain of facts, outermost first.
#[derive(Debug)]
pub(crate) struct Error(Vec<String>);

/// The result of every fallible step here.
pub(crate) type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// An error with no further cause.
    pub(crate) fn new(fact: impl Into<String>) -> Self {
        Self(vec![fact.into()])
    }

    /// The same error, seen from further out.
    pub(crate) fn within(mut self, fact: impl Into<String>) -> Self {
        self.0.insert(0, fact.into());
        self
    }

    /// Where it went wrong and why on one short line, for a cell of a table.
    pub(crate) fn brief(&self) -> String {
        const LONGEST: usize = 100;
        let mut facts: Vec<&str> = self
            .0
            .iter()
            .map(|fact| fact.lines().next().unwrap_or_default())
            .collect();
        if facts.len() > 2 {
            facts.drain(1..facts.len() - 1);
        }
        let line = facts.join(": ");
        match line.char_indices().nth(LONGEST) {
            Some((end, _)) => format!("{}…", &line[..end]),
            None => line,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (first, causes) = self.0.split_first().ok_or(fmt::Error)?;
        write!(f, "{first}")?;
        if !causes.is_empty() {
            write!(f, "\n\nCaused by:")?;
        }
        for (depth, cause) in causes.iter().enumerate() {
            write!(f, "\n    {depth}: {}", cause.replace('\n', "\n       "))?;
        }
        Ok(())
    }
}
