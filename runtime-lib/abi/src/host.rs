//! Host functions and libcalls: what the runtime offers to generated code, by name and signature.
//!
//! In: nothing. Out: one table for imports ([`HOST_FUNCTIONS`]) and one for what code generation itself
//! may call ([`Libcall`]). The compiler matches imports against it, the runtime defines each symbol
//! with the signature given here, and a test in the runtime holds the two together.
//!
//! A host function is `extern "C"`. Its first argument is the address of the
//! [`crate::state::MemoryDescriptor`] of the calling instance's memory: its export `memory` if it has
//! one, else its memory 0, else null (then every guest pointer is out of bounds). The Wasm parameters
//! follow. On riscv64, arguments of 32 bits are sign-extended, as the psABI asks.

/// A value type in a host function's signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValType {
    /// 32-bit integer.
    I32,
    /// 64-bit integer.
    I64,
    /// 32-bit float.
    F32,
    /// 64-bit float.
    F64,
}

/// What must be prepared, once and before the first instance starts, for a host function to work.
/// The program's main function calls the setup functions that its host functions ask for, in the order
/// of [`Setup::ALL`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Setup {
    /// Standard streams are checked and filled, inherited descriptors closed. For functions that
    /// create descriptors.
    Descriptors,
    /// Granted directories are opened.
    Directories,
    /// The program can start threads.
    Threads,
}

impl Setup {
    /// Every setup step, in the order in which they run.
    pub const ALL: &[Setup] = &[Setup::Descriptors, Setup::Directories, Setup::Threads];

    /// Symbol of the function, `extern "C" fn()`.
    #[must_use]
    pub const fn symbol(self) -> &'static str {
        match self {
            Setup::Descriptors => "elfin_setup_descriptors",
            Setup::Directories => "elfin_setup_directories",
            Setup::Threads => "elfin_setup_threads",
        }
    }
}

/// One function that a module can import.
#[derive(Clone, Copy, Debug)]
pub struct HostFunction {
    /// Import module.
    pub module: &'static str,
    /// Import name.
    pub name: &'static str,
    /// Symbol in the runtime; empty when the runtime does not have it yet.
    pub symbol: &'static str,
    /// Wasm parameters (the descriptor before them not counted).
    pub params: &'static [ValType],
    /// Wasm results, at most one.
    pub results: &'static [ValType],
    /// What it needs prepared.
    pub setup: &'static [Setup],
    /// It never returns.
    pub noreturn: bool,
}

/// The host function with this import name.
#[must_use]
pub fn find(module: &str, name: &str) -> Option<&'static HostFunction> {
    HOST_FUNCTIONS
        .iter()
        .find(|f| f.module == module && f.name == name)
}

use ValType::{I32, I64};

const PREVIEW1: &str = "wasi_snapshot_preview1";
const NONE: &[Setup] = &[];
const FILES: &[Setup] = &[Setup::Descriptors, Setup::Directories];

/// wasi-threads: starts a thread with an argument; its number, or something negative.
const THREAD_SPAWN: HostFunction = HostFunction {
    module: "wasi",
    name: "thread-spawn",
    symbol: "elfin_wasi_thread_spawn",
    params: &[I32],
    results: &[I32],
    setup: &[Setup::Threads],
    noreturn: false,
};

/// Export that a program which imports `wasi.thread-spawn` must have: `(func (param i32 i32))`, called in each
/// thread with its number and its argument.
pub const THREAD_START: &str = "wasi_thread_start";

impl HostFunction {
    /// It is the import that makes a program one with threads.
    #[must_use]
    pub fn starts_threads(&self) -> bool {
        self.setup.contains(&Setup::Threads)
    }

    /// Positions of the parameters that are descriptors of the guest, for what must hold them while it runs in a
    /// program with threads.
    #[must_use]
    pub fn descriptors(&self) -> &'static [usize] {
        match self.name {
            // These change entries, and have forms of their own; a wait holds nothing.
            "fd_close" | "fd_renumber" | "fd_fdstat_set_rights" | "poll_oneoff" => &[],
            "path_link" => &[0, 4],
            "path_rename" => &[0, 3],
            "path_symlink" => &[2],
            name if ["fd_", "path_", "sock_"]
                .iter()
                .any(|family| name.starts_with(family)) =>
            {
                &[0]
            }
            _ => &[],
        }
    }

    /// The symbol that a program with threads is linked with.
    #[must_use]
    pub fn shared_symbol(&self) -> &'static str {
        match self.name {
            "fd_close" => "elfin_shared_fd_close",
            "fd_renumber" => "elfin_shared_fd_renumber",
            "fd_fdstat_set_rights" => "elfin_shared_fd_fdstat_set_rights",
            _ => self.symbol,
        }
    }
}

macro_rules! preview1 {
    ($($name:ident($($param:expr),*) $(-> $result:expr)?, $setup:expr;)*) => {
        &[$(HostFunction {
            module: PREVIEW1,
            name: stringify!($name),
            symbol: concat!("elfin_wasi_", stringify!($name)),
            params: &[$($param),*],
            results: &[$($result)?],
            setup: $setup,
            noreturn: preview1!(@noreturn $($result)?),
        },)* THREAD_SPAWN]
    };
    (@noreturn) => { true };
    (@noreturn $result:expr) => { false };
}

/// Every function a module can import.
pub const HOST_FUNCTIONS: &[HostFunction] = preview1! {
    args_get(I32, I32) -> I32, NONE;
    args_sizes_get(I32, I32) -> I32, NONE;
    environ_get(I32, I32) -> I32, NONE;
    environ_sizes_get(I32, I32) -> I32, NONE;
    clock_res_get(I32, I32) -> I32, NONE;
    clock_time_get(I32, I64, I32) -> I32, NONE;
    fd_advise(I32, I64, I64, I32) -> I32, NONE;
    fd_allocate(I32, I64, I64) -> I32, NONE;
    fd_close(I32) -> I32, NONE;
    fd_datasync(I32) -> I32, NONE;
    fd_fdstat_get(I32, I32) -> I32, NONE;
    fd_fdstat_set_flags(I32, I32) -> I32, NONE;
    fd_fdstat_set_rights(I32, I64, I64) -> I32, NONE;
    fd_filestat_get(I32, I32) -> I32, NONE;
    fd_filestat_set_size(I32, I64) -> I32, NONE;
    fd_filestat_set_times(I32, I64, I64, I32) -> I32, NONE;
    fd_pread(I32, I32, I32, I64, I32) -> I32, NONE;
    fd_prestat_get(I32, I32) -> I32, FILES;
    fd_prestat_dir_name(I32, I32, I32) -> I32, FILES;
    fd_pwrite(I32, I32, I32, I64, I32) -> I32, NONE;
    fd_read(I32, I32, I32, I32) -> I32, NONE;
    fd_readdir(I32, I32, I32, I64, I32) -> I32, FILES;
    fd_renumber(I32, I32) -> I32, NONE;
    fd_seek(I32, I64, I32, I32) -> I32, NONE;
    fd_sync(I32) -> I32, NONE;
    fd_tell(I32, I32) -> I32, NONE;
    fd_write(I32, I32, I32, I32) -> I32, NONE;
    path_create_directory(I32, I32, I32) -> I32, FILES;
    path_filestat_get(I32, I32, I32, I32, I32) -> I32, FILES;
    path_filestat_set_times(I32, I32, I32, I32, I64, I64, I32) -> I32, FILES;
    path_link(I32, I32, I32, I32, I32, I32, I32) -> I32, FILES;
    path_open(I32, I32, I32, I32, I32, I64, I64, I32, I32) -> I32, FILES;
    path_readlink(I32, I32, I32, I32, I32, I32) -> I32, FILES;
    path_remove_directory(I32, I32, I32) -> I32, FILES;
    path_rename(I32, I32, I32, I32, I32, I32) -> I32, FILES;
    path_symlink(I32, I32, I32, I32, I32) -> I32, FILES;
    path_unlink_file(I32, I32, I32) -> I32, FILES;
    poll_oneoff(I32, I32, I32, I32) -> I32, NONE;
    proc_exit(I32), NONE;
    proc_raise(I32) -> I32, NONE;
    random_get(I32, I32) -> I32, NONE;
    sched_yield() -> I32, NONE;
    sock_accept(I32, I32, I32) -> I32, FILES;
    sock_recv(I32, I32, I32, I32, I32, I32) -> I32, NONE;
    sock_send(I32, I32, I32, I32, I32) -> I32, NONE;
    sock_shutdown(I32, I32) -> I32, NONE;
};

macro_rules! libcalls {
    ($($(#[$doc:meta])* $name:ident = $symbol:literal;)*) => {
        /// A function of the runtime that generated code calls without the guest asking for it.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Libcall { $($(#[$doc])* $name,)* }

        impl Libcall {
            /// Every libcall.
            pub const ALL: &[Libcall] = &[$(Libcall::$name,)*];

            /// Its symbol in the runtime.
            #[must_use]
            pub const fn symbol(self) -> &'static str {
                match self { $(Libcall::$name => $symbol,)* }
            }
        }
    };
}

libcalls! {
    /// `(memory: *mut MemoryDescriptor, pages: u64) -> u64`: old length in pages, or `u64::MAX`.
    MemoryGrow = "elfin_memory_grow";
    /// As `MemoryGrow`, for a memory that several threads may use.
    SharedMemoryGrow = "elfin_shared_memory_grow";
    /// `(address: *const u32, expected: u32, timeout: i64) -> u32`: `memory.atomic.wait32` at a checked address of a
    /// shared memory: 0 when it was woken, 1 when another value is there, 2 when `timeout` nanoseconds are over
    /// (never when negative).
    MemoryWait32 = "elfin_memory_wait32";
    /// `(address: *const u64, expected: u64, timeout: i64) -> u32`: `memory.atomic.wait64` likewise.
    MemoryWait64 = "elfin_memory_wait64";
    /// `(address: *const u32, count: u32) -> u32`: `memory.atomic.notify` likewise: how many it woke.
    MemoryNotify = "elfin_memory_notify";
    /// `(fd: u32, other: u32) -> i32`: holds descriptors that a host function is about to use, for programs with
    /// threads; an errno, and then nothing is held.
    HoldDescriptors = "elfin_hold_descriptors";
    /// `(fd: u32, other: u32)`: ends that.
    ReleaseDescriptors = "elfin_release_descriptors";
    /// `(table: *mut TableDescriptor, entries: u64, value: u64) -> u64`: old length, or `u64::MAX`.
    TableGrow = "elfin_table_grow";
    /// `(to: *mut u64, value: u64, entries: u64)`: checked by the caller.
    TableFill = "elfin_table_fill";
    /// `(to: *mut u8, from: *const u8, len: u64)`: the ranges may overlap; checked by the caller.
    Memmove = "elfin_memmove";
    /// `(to: *mut u8, byte: u32, len: u64)`: checked by the caller.
    Memset = "elfin_memset";
    /// `(module: *const u8, module_len: u64, name: *const u8, name_len: u64) -> !`: the guest called
    /// an import that nothing provides.
    UnknownImport = "elfin_unknown_import";
    /// `(f32) -> f32`
    CeilF32 = "elfin_ceil_f32";
    /// `(f64) -> f64`
    CeilF64 = "elfin_ceil_f64";
    /// `(f32) -> f32`
    FloorF32 = "elfin_floor_f32";
    /// `(f64) -> f64`
    FloorF64 = "elfin_floor_f64";
    /// `(f32) -> f32`
    TruncF32 = "elfin_trunc_f32";
    /// `(f64) -> f64`
    TruncF64 = "elfin_trunc_f64";
    /// `(f32) -> f32`: ties to even.
    NearestF32 = "elfin_nearest_f32";
    /// `(f64) -> f64`: ties to even.
    NearestF64 = "elfin_nearest_f64";
    /// `(expected: u32, name: *const u8, name_len: u64)`: for `--invoke`: ends the process with a usage
    /// line and status 2 when the command line does not have exactly this many arguments.
    InvokeArguments = "elfin_invoke_arguments";
    /// `(index: u32) -> i32`: argument `index` (from 0, argv\[0\] not counted) of the command line, decimal
    /// or 0x-hexadecimal, signed or unsigned; a usage error when it is not such a number.
    ArgumentI32 = "elfin_argument_i32";
    /// `(index: u32) -> i64`
    ArgumentI64 = "elfin_argument_i64";
    /// `(index: u32) -> f32`
    ArgumentF32 = "elfin_argument_f32";
    /// `(index: u32) -> f64`
    ArgumentF64 = "elfin_argument_f64";
    /// `(value: i32)`: prints it, signed decimal, and a newline to standard output.
    PrintI32 = "elfin_print_i32";
    /// `(value: i64)`
    PrintI64 = "elfin_print_i64";
    /// `(value: f32)`
    PrintF32 = "elfin_print_f32";
    /// `(value: f64)`
    PrintF64 = "elfin_print_f64";
    /// `(state: *mut u8, actions: *const Action, count: u64)`: carries out the actions of a script
    /// ([`crate::script`]) and reports each.
    RunScript = "elfin_run_script";
}
