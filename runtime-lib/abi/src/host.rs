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

/// What kinds of entries the policy has, as far as that decides which code a program needs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Grants {
    /// Directories.
    pub directories: bool,
    /// Environment variables, fixed or inherited.
    pub variables: bool,
    /// Listening sockets.
    pub sockets: bool,
    /// Standard streams that are nothing.
    pub null_streams: bool,
    /// A limit to the number of descriptors.
    pub max_open_files: bool,
}

/// What must be prepared, once and before the first instance starts, for a host function to work or for
/// the policy to hold. The program's main function calls the setup functions that it needs
/// ([`Setup::is_needed`]), in the order of [`Setup::ALL`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Setup {
    /// `ELFIN_DENY` is read: grants that the process's environment drops. Before all else, as others ask
    /// what is denied.
    Deny,
    /// Standard streams are checked and filled, inherited descriptors closed. For functions that
    /// create descriptors.
    Descriptors,
    /// Standard streams that the guest shall not have are replaced by nothing.
    Streams,
    /// The number of descriptors that the guest may have is lowered.
    Limits,
    /// Granted directories are opened.
    Directories,
    /// Granted sockets are opened, behind the directories.
    Sockets,
    /// Exceptions have a place to be; for programs that throw.
    Exceptions,
    /// In place of it for programs with threads that throw.
    ThreadExceptions,
    /// In place of it for programs with threads whose exceptions are objects among others: there is no place to
    /// prepare.
    ThreadThrows,
    /// The program can start threads.
    Threads,
}

impl Setup {
    /// Every setup step, in the order in which they run.
    pub const ALL: &[Setup] = &[
        Setup::Deny,
        Setup::Descriptors,
        Setup::Streams,
        Setup::Limits,
        Setup::Directories,
        Setup::Sockets,
        Setup::Exceptions,
        Setup::ThreadExceptions,
        Setup::ThreadThrows,
        Setup::Threads,
    ];

    /// Whether a program runs this step. `used`: one of its host functions names it in
    /// [`HostFunction::setup`].
    #[must_use]
    pub const fn is_needed(self, used: bool, grants: &Grants) -> bool {
        match self {
            Setup::Deny => used && (grants.directories || grants.variables) || grants.sockets,
            Setup::Descriptors => used || grants.null_streams || grants.sockets,
            Setup::Streams => grants.null_streams,
            Setup::Limits => grants.max_open_files,
            Setup::Directories => used && grants.directories,
            Setup::Sockets => grants.sockets,
            Setup::Exceptions | Setup::ThreadExceptions | Setup::ThreadThrows | Setup::Threads => {
                used
            }
        }
    }

    /// Symbol of the function, `extern "C" fn()`.
    #[must_use]
    pub const fn symbol(self) -> &'static str {
        match self {
            Setup::Deny => "elfin_setup_deny",
            Setup::Descriptors => "elfin_setup_descriptors",
            Setup::Streams => "elfin_setup_streams",
            Setup::Limits => "elfin_setup_limits",
            Setup::Directories => "elfin_setup_directories",
            Setup::Sockets => "elfin_setup_sockets",
            Setup::Exceptions => "elfin_setup_exceptions",
            Setup::ThreadExceptions => "elfin_setup_thread_exceptions",
            Setup::ThreadThrows => "elfin_setup_thread_throws",
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
    /// Symbol in the runtime.
    pub symbol: &'static str,
    /// Wasm parameters (the descriptor before them not counted).
    pub params: &'static [ValType],
    /// Wasm results, at most one.
    pub results: &'static [ValType],
    /// What it may need prepared; see [`Setup::is_needed`].
    pub setup: &'static [Setup],
    /// It never returns.
    pub noreturn: bool,
}

/// Host functions that have nothing to tell without a grant, and the symbols that say so.
pub const UNGRANTED: &[(&str, &str)] = &[
    ("environ_get", "elfin_wasi_environ_get_none"),
    ("environ_sizes_get", "elfin_wasi_environ_sizes_get_none"),
];

impl HostFunction {
    /// The symbol that a program with these grants is linked with.
    #[must_use]
    pub fn linked_symbol(&self, grants: &Grants) -> &'static str {
        let ungranted = UNGRANTED.iter().find(|(name, _)| *name == self.name);
        match ungranted {
            Some((_, symbol)) if !grants.variables => symbol,
            _ => self.symbol,
        }
    }
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
const VARIABLES: &[Setup] = &[Setup::Deny];
const FILES: &[Setup] = &[Setup::Deny, Setup::Descriptors, Setup::Directories];

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

    /// The symbol that a program with threads is linked with, if it is another.
    #[must_use]
    pub fn shared_symbol(&self) -> Option<&'static str> {
        match self.name {
            "fd_close" => Some("elfin_shared_fd_close"),
            "fd_renumber" => Some("elfin_shared_fd_renumber"),
            "fd_fdstat_set_rights" => Some("elfin_shared_fd_fdstat_set_rights"),
            _ => None,
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
        },)*]
    };
    (@noreturn) => { true };
    (@noreturn $result:expr) => { false };
}

/// The functions of WASI preview 1.
const PREVIEW1_FUNCTIONS: &[HostFunction] = preview1! {
    args_get(I32, I32) -> I32, NONE;
    args_sizes_get(I32, I32) -> I32, NONE;
    environ_get(I32, I32) -> I32, VARIABLES;
    environ_sizes_get(I32, I32) -> I32, VARIABLES;
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

/// The older name of WASI's interface, which modules of 2019 import. Signatures are those of preview 1.
const UNSTABLE: &str = "wasi_unstable";

/// Functions of preview 1 that came later.
const NOT_UNSTABLE: &[&str] = &["sock_accept"];

/// Functions whose records or numbers in memory were others: these have code of their own.
const UNSTABLE_OWN: &[(&str, &str)] = &[
    ("fd_filestat_get", "elfin_wasi_unstable_fd_filestat_get"),
    ("fd_seek", "elfin_wasi_unstable_fd_seek"),
    ("path_filestat_get", "elfin_wasi_unstable_path_filestat_get"),
    ("poll_oneoff", "elfin_wasi_unstable_poll_oneoff"),
];

const fn is_same(a: &str, b: &str) -> bool {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    if a.len() != b.len() {
        return false;
    }
    let mut at = 0;
    while at < a.len() {
        if a[at] != b[at] {
            return false;
        }
        at += 1;
    }
    true
}

/// The symbol of `function` under its older name.
const fn unstable_symbol(function: &HostFunction) -> &'static str {
    let mut at = 0;
    while at < UNSTABLE_OWN.len() {
        let (name, symbol) = UNSTABLE_OWN[at];
        if is_same(name, function.name) {
            return symbol;
        }
        at += 1;
    }
    function.symbol
}

const fn is_unstable(function: &HostFunction) -> bool {
    let mut at = 0;
    while at < NOT_UNSTABLE.len() {
        if is_same(NOT_UNSTABLE[at], function.name) {
            return false;
        }
        at += 1;
    }
    true
}

const COUNT: usize = 2 * PREVIEW1_FUNCTIONS.len() - NOT_UNSTABLE.len() + 1;

/// Preview 1, then its older names, then what starts threads.
const fn all_functions() -> [HostFunction; COUNT] {
    let mut all = [THREAD_SPAWN; COUNT];
    let (mut from, mut to) = (0, PREVIEW1_FUNCTIONS.len());
    while from < PREVIEW1_FUNCTIONS.len() {
        let function = PREVIEW1_FUNCTIONS[from];
        all[from] = function;
        if is_unstable(&function) {
            all[to] = HostFunction {
                module: UNSTABLE,
                symbol: unstable_symbol(&function),
                ..function
            };
            to += 1;
        }
        from += 1;
    }
    all
}

/// Every function a module can import.
pub const HOST_FUNCTIONS: &[HostFunction] = &all_functions();

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
    /// `(features: u64, level: *const u8, level_len: u64)`: ends the process with a line that names the level and
    /// status 1 when the CPU lacks one of the features ([`crate::cpu`]).
    CheckCpu = "elfin_check_cpu";
    /// `(features: u64)`: sets [`crate::symbol::CPU_FOUND`] when the CPU has all of the features ([`crate::cpu`]).
    FindCpu = "elfin_find_cpu";
    /// `(tag: u64, size: u64) -> *mut Exception`: a new exception ([`crate::exception`]) of this size, header
    /// included.
    NewException = "elfin_new_exception";
    /// As `NewException`, for programs with several threads: each has a place of its own for exceptions.
    NewThreadException = "elfin_new_thread_exception";
    /// `(exception: *mut Exception) -> !`: goes on at the innermost handler for it, or ends the program.
    Throw = "elfin_throw";
    /// `(program: *const gc::Program)`: makes room for the first objects.
    GcSetUp = "elfin_gc_set_up";
    /// `(program: *const gc::Program, bytes: u64) -> u64`: collects garbage, if need be, and returns the
    /// address of `bytes` bytes (a multiple of 8), or 0 when there is no room. The bytes are not cleared.
    GcAllocate = "elfin_gc_allocate";
    /// As `GcSetUp`, for programs with threads, each of which has a heap of its own.
    ThreadGcSetUp = "elfin_thread_gc_set_up";
    /// As `GcAllocate`, likewise.
    ThreadGcAllocate = "elfin_thread_gc_allocate";
    /// `(program: *const gc::Program)`: the calling thread ends, and its heap with it.
    ThreadGcEnd = "elfin_thread_gc_end";
}
