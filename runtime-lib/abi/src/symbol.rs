//! Names of symbols and sections that cross from one crate to another.
//!
//! In: nothing. Out: string constants. Host functions and libcalls have their names in [`crate::host`].

/// Entry point of the executable, defined by the runtime.
pub const START: &str = "_start";

/// `extern "C" fn(state: *mut u8)`, defined by the program: prepares what the program's host functions
/// need, instantiates every instance in order and runs the entry function. `state` is the address of
/// the instance state; code with fixed addresses ignores it.
pub const PROGRAM_MAIN: &str = "elfin_program_main";

/// The [`crate::program::ProgramHeader`], defined by the program.
pub const PROGRAM: &str = "elfin_program";

/// The [`crate::exception::UnwindHeader`], defined by a program that throws.
pub const UNWIND: &str = "elfin_unwind";
/// What the program's traps are called (see [`crate::trap::Messages`]), defined by the program.
pub const TRAP_MESSAGES: &str = "elfin_trap_messages";

/// The [`crate::threads::ThreadsHeader`], defined by a program that can start threads.
pub const THREADS: &str = "elfin_threads";

/// A byte of the runtime: not 0 when the CPU has what [`crate::host::Libcall::FindCpu`] was asked for.
pub const CPU_FOUND: &str = "elfin_cpu_found";

/// The sealed policy block (see [`crate::policy`]), defined by whoever calls the linker.
pub const POLICY: &str = "elfin_policy";

/// Absolute symbol: address of linear memory 0 (only where the target addresses it by symbol).
pub const MEMORY_0: &str = "elfin_memory_0";

/// Section with the instance state: globals, memory and table descriptors, folded tables.
/// Placed at `STATE_BASE + header_size`, in the first segment.
pub const SECTION_STATE: &str = ".elfin.state";

/// Prefix of sections that hold a run of a linear memory's initial image, each in a segment of its own.
pub const SECTION_IMAGE_PREFIX: &str = ".elfin.image.";

/// Section with the program header and its records (read-only).
pub const SECTION_PROGRAM: &str = ".rodata.elfin.program";

/// Section with the policy block (read-only).
pub const SECTION_POLICY: &str = ".rodata.elfin.policy";
