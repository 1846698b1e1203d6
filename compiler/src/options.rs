//! What the caller decides about a compilation: plain data.

use crate::cpu::Cpu;

/// Instruction set of the executable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Arch {
    /// x86_64.
    X86_64,
    /// aarch64.
    Aarch64,
    /// riscv64.
    Riscv64,
}

impl Arch {
    /// Every instruction set.
    pub const ALL: &[Arch] = &[Arch::X86_64, Arch::Aarch64, Arch::Riscv64];

    /// Its name, as everywhere in elfin.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Arch::X86_64 => "x86_64",
            Arch::Aarch64 => "aarch64",
            Arch::Riscv64 => "riscv64",
        }
    }

    /// Largest page size of its kernels, in bytes: segments must agree with the file modulo this.
    #[must_use]
    pub const fn max_page_size(self) -> u64 {
        match self {
            Arch::X86_64 | Arch::Riscv64 => 0x1000,
            Arch::Aarch64 => 0x1_0000,
        }
    }
}

/// Optimisation level.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum OptLevel {
    /// Compile quickly: no optimisation, one-pass register allocation.
    O0,
    /// No mid-end optimisation, full register allocation.
    O1,
    /// The default: all optimisations.
    #[default]
    O2,
    /// As `O2`, but prefer smaller code.
    Os,
}

/// How accesses of 32-bit memories are kept inside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum MemoryMode {
    /// 8 GiB of address space are reserved for each memory; no access needs a check.
    #[default]
    Guarded,
    /// Explicit bounds checks, no reservation.
    Checked,
}

/// How generated code finds instance state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum Addressing {
    /// At addresses decided before code generation.
    #[default]
    Fixed,
    /// Through a context pointer that every function receives.
    Context,
}

/// What to do with an import that nothing provides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum UnknownImports {
    /// Refuse the program.
    #[default]
    Error,
    /// Functions trap when called; anything else is refused.
    Trap,
}

/// Which functions of an executable for the baseline of x86_64 are there once more, for newer processors
/// ([`crate::twins`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum Twins {
    /// None.
    #[default]
    Never,
    /// Those that have an operator for which newer processors have an instruction and the baseline has many.
    Gaining,
    /// All: a test of ours.
    All,
}

/// Options of a compilation.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Options {
    /// Target instruction set.
    pub arch: Arch,
    /// What code may use beyond the baseline of `arch`.
    pub cpu: Cpu,
    /// Which functions are there for newer processors as well.
    pub twins: Twins,
    /// Optimisation level.
    pub opt_level: OptLevel,
    /// Guarded or checked memories.
    pub memory: MemoryMode,
    /// Fixed addresses or a context pointer.
    pub addressing: Addressing,
    /// Upper limit of every linear memory, in bytes.
    pub max_memory: Option<u64>,
    /// Size of the guest's stack in bytes, and of each thread's; rounded up to 64 KiB.
    pub max_stack: u64,
    /// Most threads at a time beside the first; without it [`DEFAULT_MAX_THREADS`], or as many as the address space
    /// has room for.
    pub max_threads: Option<u32>,
    /// Most bytes of objects in the garbage-collected heap.
    pub max_gc_heap: u64,
    /// Collect garbage at every allocation: a test of ours.
    pub gc_stress: bool,
    /// What to do with unknown imports.
    pub unknown_imports: UnknownImports,
    /// Export of the main module to call after instantiation, instead of `_start`.
    pub invoke: Option<String>,
    /// What the policy grants that the program is linked with: it decides what is prepared at start.
    pub grants: elfin_abi::host::Grants,
}

/// Stack size when nothing is said: 8 MiB, as the main thread of a native process.
pub const DEFAULT_MAX_STACK: u64 = 8 << 20;

/// Most threads when nothing is said.
pub const DEFAULT_MAX_THREADS: u32 = 1024;
/// Most bytes of objects when nothing is said. While they are moved there is as much again.
pub const DEFAULT_MAX_GC_HEAP: u64 = 1 << 30;

impl Options {
    /// The defaults for `arch`.
    #[must_use]
    pub fn new(arch: Arch) -> Self {
        Self {
            arch,
            cpu: Cpu::default(),
            twins: Twins::default(),
            opt_level: OptLevel::default(),
            memory: MemoryMode::default(),
            addressing: Addressing::default(),
            max_memory: None,
            max_stack: DEFAULT_MAX_STACK,
            max_threads: None,
            max_gc_heap: DEFAULT_MAX_GC_HEAP,
            gc_stress: false,
            unknown_imports: UnknownImports::default(),
            invoke: None,
            grants: elfin_abi::host::Grants::default(),
        }
    }
}
