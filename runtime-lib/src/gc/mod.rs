//! The garbage-collected heap: two halves of which one is in use, and a collector that moves what lives from
//! one to the other.
//!
//! In: the compiler's account of the program (`elfin_abi::gc::Program`), passed with every call. Out: room for
//! objects, whose addresses change whenever room is asked for. Rooms: [`space`] maps the halves and decides how
//! much may be allocated before the next collection, [`collect`] moves objects, [`roots`] finds the references
//! from which everything that lives can be reached.
//!
//! Generated code allocates by itself as long as there is room; [`elfin_gc_set_up`] and what `arch` makes of
//! `elfin_gc_allocate` are the only entries. Only programs that allocate reach this. Its functions are in
//! a section of their own, from which the compiler takes no parts for sharing: other executables do not change
//! by a byte because there is a collector.
//!
//! # Safety
//! The records of the program are right. While the collector runs no other code does, and every reference
//! that the guest will use again is where [`roots`] looks for it. A word that is neither null nor tagged is the
//! address of an object in the half that is in use.

pub mod collect;
pub mod regions;
pub mod roots;
pub mod space;
pub mod threads;

#[cfg(feature = "freestanding")]
mod entry;

#[cfg(feature = "freestanding")]
pub use entry::{allocate, elfin_gc_set_up};
#[cfg(feature = "freestanding")]
pub use threads::{allocate_in_thread, elfin_thread_gc_end, elfin_thread_gc_set_up};
