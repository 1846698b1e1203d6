//! Our own passes, one a file, each with the figure that earned it its place.
//!
//! In: what the stage before made. Out: the same, better. A pass that does not understand what it sees leaves it as
//! it is.

pub mod machine;
pub(crate) mod near;

mod flags;
mod frame;
mod live;
mod relax;
mod repeat;
mod rotate;
mod tails;
mod traps;
mod zeros;
