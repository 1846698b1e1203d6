//! The sealed policy block, as the runtime reads it.
