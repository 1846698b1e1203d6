//! The end of a guest that trapped.

/// Exit status after a trap.
pub const EXIT_STATUS: i32 = 134;
