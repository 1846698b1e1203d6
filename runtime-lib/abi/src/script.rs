//! Script programs: the actions of a test script, for the runtime's driver.
//!
//! In: nothing. Out: the record of an action, written by the compiler's `emit`, and what an action's
//! function gives back. Only the executables that the test suite builds hold any of this.
//!
//! The function of an action is `extern "C" fn(state: *mut u8, results: *mut [u64; 2]) -> u32`. It leaves
//! each result of the export that it calls in a slot of its own (what is narrower than a slot is
//! zero-extended) and returns [`DONE`] or [`UNLINKABLE`]. It may trap, which ends this action only.

/// Something to be done and reported.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Action {
    /// Address of its function.
    pub code: u64,
    /// What the report calls it.
    pub id: u32,
    /// Slots that its function fills, at most [`MAX_RESULTS`].
    pub results: u32,
}

impl Action {
    /// Size of the record in bytes.
    pub const SIZE: u32 = size_of::<Self>() as u32;
}

/// Set in [`Action::results`]: the action starts a thread whose actions are the [`Action::code`] ones behind it, which
/// the thread that starts it passes over. The low bits are the thread's number, below [`MAX_THREADS`].
pub const THREAD: u32 = 1 << 31;

/// Set in [`Action::results`]: the action waits until a thread is done. The low bits are the thread's number.
pub const WAIT: u32 = 1 << 30;

/// Most threads of a script.
pub const MAX_THREADS: u32 = 64;

/// Size of a result slot in bytes.
pub const SLOT: u32 = 16;

/// Most results of one action.
pub const MAX_RESULTS: u32 = 1024;

/// The action was carried out.
pub const DONE: u32 = 0;

/// The instance could not be made: a memory or table that it imports is too small at this time.
pub const UNLINKABLE: u32 = 1;

/// The action ended with an exception that nothing caught. Action functions do not return this.
pub const UNCAUGHT: u32 = 2;

/// Added to the code of the trap that ended an action. Action functions never return this much.
pub const TRAPPED: u32 = 0x100;
