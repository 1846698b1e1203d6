//! What can go wrong while linking.
//!
//! In: the innermost fact and its context (relocation, section, symbol, object). Out: one line for a
//! person. Nothing here prints or exits.

use std::fmt;

/// Why no executable was made.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// An input is not the object file it claims to be.
    Malformed {
        /// The input.
        object: String,
        /// What is wrong with it.
        what: String,
    },
    /// An input uses a feature that this linker does not have.
    Unsupported {
        /// The input.
        object: String,
        /// The feature.
        what: String,
    },
    /// Live code refers to symbols that nothing defines.
    Undefined {
        /// The first of them, each with one place that refers to it.
        references: Vec<Reference>,
        /// How many more there are.
        more: usize,
    },
    /// Two strong definitions of one symbol.
    Duplicate {
        /// The symbol.
        symbol: String,
        /// Object and section of the first definition.
        first: String,
        /// Object and section of the second.
        second: String,
    },
    /// A relocation cannot be applied.
    Relocation(Box<RelocationError>),
    /// A section cannot be put where the caller wants it.
    Placement {
        /// The section.
        section: String,
        /// Why not.
        what: String,
    },
    /// Something does not fit in the part of the address space that it was given.
    TooLarge {
        /// What does not fit.
        what: String,
        /// Where it would end.
        end: u64,
        /// Where it must end.
        limit: u64,
    },
    /// Two parts of the image would share addresses.
    Overlap {
        /// The lower one.
        first: String,
        /// The other one.
        second: String,
    },
    /// The options contradict themselves.
    Options {
        /// How.
        what: String,
    },
    /// No input defines the entry symbol.
    NoEntry {
        /// Its name.
        symbol: String,
    },
    /// A mistake in this linker.
    Internal {
        /// The broken promise.
        what: String,
    },
}

/// A relocation that cannot be applied, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RelocationError {
    /// The input.
    pub object: String,
    /// The section that is patched.
    pub section: String,
    /// Where in it.
    pub offset: u64,
    /// Name (or number) of the relocation type.
    pub relocation: String,
    /// What it refers to.
    pub symbol: String,
    /// Why not.
    pub problem: Problem,
}

/// A place that refers to a symbol.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    /// The symbol.
    pub symbol: String,
    /// The input that refers to it.
    pub object: String,
    /// The section that refers to it.
    pub section: String,
}

/// Why a relocation cannot be applied.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Problem {
    /// The value does not fit in the field.
    Overflow {
        /// The value.
        value: i64,
        /// Least value that fits.
        min: i64,
        /// Greatest value that fits.
        max: i64,
    },
    /// The value has low bits that the field cannot hold.
    Misaligned {
        /// The value.
        value: i64,
        /// What it must be a multiple of.
        align: u64,
    },
    /// The field reaches beyond the section.
    OutsideSection,
    /// The relocation type is not in this linker's table.
    UnknownType,
    /// Thread-local storage, which static executables of this linker do not have.
    ThreadLocal,
    /// The symbol is of a kind that cannot be linked.
    BadSymbol(&'static str),
    /// The symbol's section is not part of the image.
    NotInImage(String),
    /// A low half without the high half it belongs to.
    NoHighPart,
    /// An alignment directive that cannot be honoured.
    BadAlignment,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Malformed { object, what } => write!(f, "{object}: malformed object: {what}"),
            Error::Unsupported { object, what } => write!(f, "{object}: not supported: {what}"),
            Error::Undefined { references, more } => {
                write!(f, "undefined symbols: ")?;
                for (i, reference) in references.iter().enumerate() {
                    let Reference {
                        symbol,
                        object,
                        section,
                    } = reference;
                    let comma = if i == 0 { "" } else { ", " };
                    write!(f, "{comma}`{symbol}` (in {object}, section {section})")?;
                }
                match more {
                    0 => Ok(()),
                    n => write!(f, " and {n} more"),
                }
            }
            Error::Duplicate {
                symbol,
                first,
                second,
            } => {
                write!(
                    f,
                    "symbol `{symbol}` is defined twice: in {first} and in {second}"
                )
            }
            Error::Relocation(error) => error.fmt(f),
            Error::Placement { section, what } => write!(f, "placed section {section}: {what}"),
            Error::TooLarge { what, end, limit } => {
                write!(f, "{what} would end at {end:#x}, beyond {limit:#x}")
            }
            Error::Overlap { first, second } => write!(f, "{first} overlaps {second}"),
            Error::Options { what } => write!(f, "link options: {what}"),
            Error::NoEntry { symbol } => write!(f, "entry symbol `{symbol}` is not defined"),
            Error::Internal { what } => {
                write!(f, "internal error in the linker (please report it): {what}")
            }
        }
    }
}

impl fmt::Display for RelocationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let RelocationError {
            object,
            section,
            offset,
            relocation,
            symbol,
            problem,
        } = self;
        write!(
            f,
            "{object}: section {section}, offset {offset:#x}: {relocation} to `{symbol}`: {problem}"
        )
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Problem::Overflow { value, min, max } => {
                write!(f, "{} is not in {}..={}", hex(*value), hex(*min), hex(*max))
            }
            Problem::Misaligned { value, align } => {
                write!(f, "{} is not a multiple of {align}", hex(*value))
            }
            Problem::OutsideSection => f.write_str("the field lies outside of the section"),
            Problem::UnknownType => f.write_str("unknown relocation type"),
            Problem::ThreadLocal => f.write_str("thread-local storage is not supported"),
            Problem::BadSymbol(kind) => write!(f, "{kind} symbols are not supported"),
            Problem::NotInImage(section) => {
                write!(f, "its section {section} is not part of the image")
            }
            Problem::NoHighPart => f.write_str("no high part at the label it refers to"),
            Problem::BadAlignment => f.write_str("the alignment cannot be honoured"),
        }
    }
}

/// Signed hexadecimal; `{:#x}` of an `i64` would print two's complement.
fn hex(value: i64) -> String {
    let sign = if value < 0 { "-" } else { "" };
    format!("{sign}{:#x}", value.unsigned_abs())
}

impl std::error::Error for Error {}
