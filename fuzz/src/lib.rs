//! Generators and oracles: what elfin makes of modules that nobody wrote.
//!
//! In: a seed. Out: verdicts. Everything here is a function of its seed, so that a finding is one number.
//!
//! - [`generate`]: seed → a module that ends, whatever is called
//! - [`loops`]: seed → a module of loops, switches and machines with states
//! - [`vectors`]: seed → a module of vector operations
//! - [`oracle`]: a module → what it should do, by an independent interpreter
//! - [`differential`]: modules → executables, and whether they do the same
//! - [`objects`]: modules that make objects: the same results whenever garbage is collected
//! - [`exceptions`]: programs that throw, and a model of what they do
//! - [`compile`]: damaged inputs through the compiler: an error, never a panic, in bounded time
//! - [`text`]: damaged text through the readers of text, likewise
//! - [`link`]: damaged objects through the linker, likewise
//! - [`corpus`]: files that are damaged or replayed
//! - [`measure`]: time and memory of a thread

pub mod compile;
pub mod corpus;
pub mod differential;
pub mod exceptions;
pub mod generate;
pub mod link;
pub mod loops;
pub mod measure;
pub mod objects;
pub mod oracle;
pub mod text;
pub mod vectors;

/// What a caught panic said.
fn panic_message(panic: &(dyn std::any::Any + Send)) -> String {
    panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("a panic without a message")
        .to_owned()
}
