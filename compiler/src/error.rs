//! Errors of the compiler: who is at fault, and where.
//!
//! In: a message and a place. Out: plain data; only the command line prints.

use std::fmt;

/// A place in a module: what is being looked at, from the outside in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// Name of the module (the file name, or the name it is linked under).
    pub module: String,
    /// A function: its index and its name, where it has one.
    pub function: Option<(u32, Option<String>)>,
    /// Byte offset in the binary module.
    pub offset: Option<u64>,
}

impl Place {
    /// The place at `offset`, the bytes from the start of the binary module.
    #[must_use]
    pub fn at(self, offset: u64) -> Self {
        Self {
            offset: Some(offset),
            ..self
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "in {}", Printable(&self.module))?;
        match &self.function {
            Some((index, Some(name))) => write!(f, ", function {index} \"{}\"", Printable(name))?,
            Some((index, None)) => write!(f, ", function {index}")?,
            None => {}
        }
        if let Some(offset) = self.offset {
            write!(f, ", at offset {offset:#x}")?;
        }
        Ok(())
    }
}

/// Why a program could not be compiled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// The module breaks a rule of the specification.
    Invalid {
        /// Which rule.
        message: String,
        /// Where.
        place: Place,
    },
    /// The text format could not be read.
    Text {
        /// The reader's own account, with line and column.
        message: String,
        /// Name of the module.
        module: String,
    },
    /// The module is valid but uses something that elfin does not compile.
    Unsupported {
        /// What.
        feature: String,
        /// Where.
        place: Place,
    },
    /// An import that nothing provides, or that is provided with another type.
    Link {
        /// Import module and name and what is wrong, what to do.
        message: String,
        /// The importing module.
        place: Place,
    },
    /// The module is beyond a limit that keeps compilation bounded.
    LimitExceeded {
        /// Which limit, what it is, what was found.
        message: String,
        /// Where.
        place: Place,
    },
    /// A bug in elfin.
    Internal {
        /// What went wrong.
        message: String,
        /// Where.
        place: Place,
    },
}

impl Error {
    /// The place that the error names.
    #[must_use]
    pub fn place(&self) -> Option<&Place> {
        match self {
            Error::Invalid { place, .. }
            | Error::Unsupported { place, .. }
            | Error::Link { place, .. }
            | Error::LimitExceeded { place, .. }
            | Error::Internal { place, .. } => Some(place),
            Error::Text { .. } => None,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Invalid { message, .. } => write!(f, "invalid module: {}", Printable(message)),
            Error::Text { message, .. } => write!(f, "{message}"),
            Error::Unsupported { feature, .. } => {
                write!(f, "unsupported feature: {}", Printable(feature))
            }
            Error::Link { message, .. } => f.write_str(message),
            Error::LimitExceeded { message, .. } => write!(f, "limit exceeded: {message}"),
            Error::Internal { message, .. } => {
                write!(f, "bug in elfin, please report it: {}", Printable(message))
            }
        }
    }
}

impl std::error::Error for Error {}

/// Shows text that came from a module: control characters escaped, long names shortened.
pub struct Printable<'a>(pub &'a str);

impl Printable<'_> {
    const MAX_CHARS: usize = 200;
}

impl fmt::Display for Printable<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use fmt::Write;
        for (i, c) in self.0.chars().enumerate() {
            if i == Self::MAX_CHARS {
                return f.write_str("…");
            }
            if c.is_control() {
                write!(f, "{}", c.escape_default())?;
            } else {
                f.write_char(c)?;
            }
        }
        Ok(())
    }
}

/// Result of a stage.
pub type Result<T> = std::result::Result<T, Error>;
