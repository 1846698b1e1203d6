//! Extensions of the instruction sets, numbered: what generated code may use, and what an executable asks of the
//! CPU that it starts on ([`crate::host::Libcall::CheckCpu`]).
//!
//! In: nothing. Out: [`Feature`]. A set of them is a number with bit `feature as u8` for each. Those of one instruction
//! set are numbered such that a feature stands behind those without which it is not to be had.

macro_rules! features {
    ($($(#[$doc:meta])* $feature:ident = $bit:literal, $name:literal;)*) => {
        /// An extension of an instruction set that generated code may use.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum Feature { $($(#[$doc])* $feature = $bit,)* }

        impl Feature {
            /// Every feature.
            pub const ALL: &[Feature] = &[$(Feature::$feature,)*];

            /// Its name on the command line and in messages.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Feature::$feature => $name,)* }
            }
        }
    };
}

features! {
    /// x86_64: SSE3.
    Sse3 = 0, "sse3";
    /// x86_64: SSSE3 (byte shuffles).
    Ssse3 = 1, "ssse3";
    /// x86_64: SSE4.1 (rounding, blending).
    Sse41 = 2, "sse4.1";
    /// x86_64: SSE4.2 (64-bit comparison).
    Sse42 = 3, "sse4.2";
    /// x86_64: POPCNT.
    Popcnt = 4, "popcnt";
    /// x86_64: CMPXCHG16B.
    Cmpxchg16b = 5, "cmpxchg16b";
    /// x86_64: AVX (three operands).
    Avx = 6, "avx";
    /// x86_64: AVX2.
    Avx2 = 7, "avx2";
    /// x86_64: FMA.
    Fma = 8, "fma";
    /// x86_64: BMI1.
    Bmi1 = 9, "bmi1";
    /// x86_64: BMI2.
    Bmi2 = 10, "bmi2";
    /// x86_64: LZCNT.
    Lzcnt = 11, "lzcnt";
    /// x86_64: AVX-512F.
    Avx512f = 12, "avx512f";
    /// x86_64: AVX-512DQ.
    Avx512dq = 13, "avx512dq";
    /// x86_64: AVX-512VL.
    Avx512vl = 14, "avx512vl";
    /// x86_64: AVX-512VBMI.
    Avx512vbmi = 15, "avx512vbmi";
    /// x86_64: AVX-512BITALG.
    Avx512bitalg = 16, "avx512bitalg";
    /// aarch64: LSE, the atomic instructions of Armv8.1.
    Lse = 24, "lse";
    /// aarch64: dot products of bytes.
    Dotprod = 25, "dotprod";
    /// riscv64: V, vectors of at least 128 bits.
    V = 32, "v";
    /// riscv64: Zba, addresses.
    Zba = 33, "zba";
    /// riscv64: Zbb, bits.
    Zbb = 34, "zbb";
    /// riscv64: Zbs, single bits.
    Zbs = 35, "zbs";
    /// riscv64: Zicond, conditional moves.
    Zicond = 36, "zicond";
}
