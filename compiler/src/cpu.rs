//! CPU levels: which instructions beyond the baseline of the target generated code may use.
//!
//! In: a name (`x86-64-v3`, `rv64gcv`, `rv64gc+zba`, `native`) and a target. Out: [`Cpu`], plain data that travels in
//! [`crate::Options`]. `isa.rs` turns it into the back end's flags, translation asks [`Cpu::has`], and the executable
//! asks for the same features when it starts. Must not know the back end's names for anything.

mod native;

use crate::options::Arch;
pub use elfin_abi::cpu::Feature;

/// The instruction set that a feature extends.
#[must_use]
pub const fn arch_of(feature: Feature) -> Arch {
    match feature as u8 {
        0..24 => Arch::X86_64,
        24..32 => Arch::Aarch64,
        _ => Arch::Riscv64,
    }
}

/// What a feature cannot be without: asking for it asks for these.
const fn needs(feature: Feature) -> &'static [Feature] {
    match feature {
        Feature::Ssse3 => &[Feature::Sse3],
        Feature::Sse41 => &[Feature::Ssse3],
        Feature::Sse42 => &[Feature::Sse41],
        Feature::Avx => &[Feature::Sse42],
        Feature::Avx2 | Feature::Fma => &[Feature::Avx],
        Feature::Avx512f => &[Feature::Avx2, Feature::Fma],
        Feature::Avx512dq | Feature::Avx512vl | Feature::Avx512vbmi | Feature::Avx512bitalg => {
            &[Feature::Avx512f]
        }
        _ => &[],
    }
}

/// A set of features.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub struct Features(u64);

impl Features {
    /// No feature.
    pub const NONE: Features = Features(0);

    /// These features and those that they need.
    #[must_use]
    pub fn of(features: &[Feature]) -> Self {
        features.iter().fold(Self::NONE, |set, feature| {
            let with = Self(set.0 | 1 << *feature as u8);
            Self(with.0 | Self::of(needs(*feature)).0)
        })
    }

    /// Whether `feature` is one of them.
    #[must_use]
    pub const fn has(self, feature: Feature) -> bool {
        self.0 >> feature as u8 & 1 != 0
    }

    /// The features in this set or the other.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// The features of this set that are not in the other.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The set as a number: bit `feature as u8` for each.
    #[must_use]
    pub const fn bits(self) -> u64 {
        self.0
    }

    /// The features, in the order of [`Feature::ALL`].
    pub fn iter(self) -> impl Iterator<Item = Feature> {
        Feature::ALL
            .iter()
            .copied()
            .filter(move |feature| self.has(*feature))
    }
}

/// A level that has a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum Level {
    /// What every CPU of the instruction set has: x86-64, armv8-a, rv64gc.
    #[default]
    Baseline,
    /// Nehalem, 2008: SSE4.2, POPCNT.
    X86_64V2,
    /// Haswell, 2013: AVX2, BMI.
    X86_64V3,
    /// Skylake-X, 2017: AVX-512.
    X86_64V4,
    /// LSE atomics, 2017.
    Armv8_1A,
    /// With vectors.
    Rv64Gcv,
    /// The CPU of the machine that builds.
    Native,
}

impl Level {
    /// The levels of an instruction set, as they are called there. The first and the second are the same.
    #[must_use]
    pub const fn of(arch: Arch) -> &'static [(&'static str, Level)] {
        const BASELINE: (&str, Level) = ("baseline", Level::Baseline);
        const NATIVE: (&str, Level) = ("native", Level::Native);
        match arch {
            Arch::X86_64 => &[
                BASELINE,
                ("x86-64", Level::Baseline),
                ("x86-64-v2", Level::X86_64V2),
                ("x86-64-v3", Level::X86_64V3),
                ("x86-64-v4", Level::X86_64V4),
                NATIVE,
            ],
            Arch::Aarch64 => &[
                BASELINE,
                ("armv8-a", Level::Baseline),
                ("armv8.1-a", Level::Armv8_1A),
                NATIVE,
            ],
            Arch::Riscv64 => &[
                BASELINE,
                ("rv64gc", Level::Baseline),
                ("rv64gcv", Level::Rv64Gcv),
                NATIVE,
            ],
        }
    }

    /// Its name for an instruction set.
    #[must_use]
    pub fn name(self, arch: Arch) -> &'static str {
        let mut named = Self::of(arch).iter().skip(1);
        named
            .find_map(|(name, level)| (*level == self).then_some(*name))
            .unwrap_or("baseline")
    }

    /// What it has, `native` aside. Only what the code generator can make use of: MOVBE or F16C, for instance, which
    /// x86-64-v3 has as well, are neither used nor asked for.
    fn features(self) -> Features {
        use Feature as F;
        const V2: &[Feature] = &[F::Sse42, F::Popcnt, F::Cmpxchg16b];
        const V3: &[Feature] = &[F::Avx2, F::Fma, F::Bmi1, F::Bmi2, F::Lzcnt];
        const V4: &[Feature] = &[F::Avx512f, F::Avx512dq, F::Avx512vl];
        let lists: &[&[Feature]] = match self {
            Level::Baseline | Level::Native => &[],
            Level::X86_64V2 => &[V2],
            Level::X86_64V3 => &[V2, V3],
            Level::X86_64V4 => &[V2, V3, V4],
            Level::Armv8_1A => &[&[F::Lse]],
            Level::Rv64Gcv => &[&[F::V]],
        };
        lists
            .iter()
            .fold(Features::NONE, |set, list| set.union(Features::of(list)))
    }
}

/// What generated code may use beyond the baseline of its instruction set. The default is nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub struct Cpu {
    /// The level asked for.
    pub level: Level,
    /// Everything that may be used; of `native`, what the CPU had.
    pub features: Features,
}

impl Cpu {
    /// The CPU that `text` names for `arch`: a level, with features added to it by `+`.
    ///
    /// # Errors
    /// When `arch` has no such level or feature, with those that it has; or when `native` is not of this `arch`.
    pub fn parse(text: &str, arch: Arch) -> Result<Self, String> {
        let mut words = text.split('+');
        let name = words.next().unwrap_or_default();
        let levels = Level::of(arch);
        let level = levels
            .iter()
            .find_map(|(known, level)| (*known == name).then_some(*level))
            .ok_or_else(|| {
                let names: Vec<&str> = levels.iter().map(|(name, _)| *name).collect();
                format!(
                    "{} has no level '{}'; its levels are {}",
                    arch.name(),
                    crate::Printable(name),
                    names.join(", ")
                )
            })?;
        let mut features = match level {
            Level::Native => native::features(arch)?,
            _ => level.features(),
        };
        for word in words {
            let mut known = Feature::ALL.iter().filter(|f| arch_of(**f) == arch);
            let feature = known.clone().find(|f| f.name() == word).ok_or_else(|| {
                let names: Vec<&str> = known.by_ref().map(|f| f.name()).collect();
                format!(
                    "{} has no feature '{}'; its features are {}",
                    arch.name(),
                    crate::Printable(word),
                    names.join(", ")
                )
            })?;
            features = features.union(Features::of(&[*feature]));
        }
        Ok(Self { level, features })
    }

    /// Whether generated code may use `feature`.
    #[must_use]
    pub const fn has(self, feature: Feature) -> bool {
        self.features.has(feature)
    }

    /// Whether the back end has vector instructions for `arch` at this level.
    #[must_use]
    pub const fn has_vectors(self, arch: Arch) -> bool {
        match arch {
            Arch::X86_64 | Arch::Aarch64 => true,
            Arch::Riscv64 => self.has(Feature::V),
        }
    }

    /// Whether an executable must look at the CPU before its code runs.
    #[must_use]
    pub const fn needs_check(self) -> bool {
        !self.features.is_empty()
    }

    /// What it is called: the level, and what was added to it. Of `native`, everything that it has.
    #[must_use]
    pub fn describe(self, arch: Arch) -> String {
        let mut text = self.level.name(arch).to_owned();
        for feature in self.features.without(self.level.features()).iter() {
            text.push('+');
            text.push_str(feature.name());
        }
        text
    }

    /// What an executable says that it was built for: short even for `native`.
    #[must_use]
    pub fn describe_level(self, arch: Arch) -> String {
        match self.level {
            Level::Native => "the CPU of another machine".to_owned(),
            _ => self.describe(arch),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_feature_has_a_bit_and_a_name_of_its_own() {
        for (i, feature) in Feature::ALL.iter().enumerate() {
            for other in &Feature::ALL[..i] {
                assert_ne!(*feature as u8, *other as u8);
                assert_ne!(feature.name(), other.name());
            }
            for needed in needs(*feature) {
                assert_eq!(arch_of(*needed), arch_of(*feature));
                assert!((*needed as u8) < *feature as u8);
            }
        }
        assert_eq!(
            Features::of(Feature::ALL).iter().count(),
            Feature::ALL.len()
        );
    }

    #[test]
    fn levels_have_what_they_say() {
        let features = |text, arch| Cpu::parse(text, arch).unwrap().features;
        for arch in Arch::ALL {
            assert_eq!(Cpu::parse("baseline", *arch), Ok(Cpu::default()));
            assert_eq!(Cpu::parse(Level::of(*arch)[1].0, *arch), Ok(Cpu::default()));
        }
        let [v2, v3, v4] =
            ["x86-64-v2", "x86-64-v3", "x86-64-v4"].map(|l| features(l, Arch::X86_64));
        assert!(v2.has(Feature::Ssse3) && v2.has(Feature::Popcnt) && !v2.has(Feature::Avx));
        assert!(v3.has(Feature::Avx) && v3.has(Feature::Lzcnt) && v2.without(v3).is_empty());
        assert!(v4.has(Feature::Avx512vl) && v3.without(v4).is_empty());
        assert!(features("armv8.1-a", Arch::Aarch64).has(Feature::Lse));
        assert!(features("rv64gcv", Arch::Riscv64).has(Feature::V));
        let added = features("rv64gc+zba+zbb", Arch::Riscv64);
        assert_eq!(added, Features::of(&[Feature::Zba, Feature::Zbb]));
        assert!(features("x86-64+avx", Arch::X86_64).has(Feature::Ssse3));
    }

    #[test]
    fn what_a_target_has_not_is_answered_with_what_it_has() {
        let error = |text, arch| Cpu::parse(text, arch).unwrap_err();
        assert_eq!(
            error("x86-64-v3", Arch::Riscv64),
            "riscv64 has no level 'x86-64-v3'; its levels are baseline, rv64gc, rv64gcv, native"
        );
        assert_eq!(
            error("armv8-a+v", Arch::Aarch64),
            "aarch64 has no feature 'v'; its features are lse, dotprod"
        );
        for text in ["", "+", "x86-64+", "+avx", "x86-64\n", "X86-64"] {
            assert!(Cpu::parse(text, Arch::X86_64).is_err(), "{text:?}");
        }
        for arch in Arch::ALL {
            let native = Cpu::parse("native", *arch);
            assert_eq!(native.is_ok(), arch.name() == std::env::consts::ARCH);
        }
    }

    #[test]
    fn names_read_back() {
        for (text, arch) in [
            ("x86-64-v3", Arch::X86_64),
            ("x86-64-v2+avx", Arch::X86_64),
            ("rv64gc+zba+zbb", Arch::Riscv64),
            ("armv8-a", Arch::Aarch64),
        ] {
            assert_eq!(Cpu::parse(text, arch).unwrap().describe(arch), text);
        }
        assert_eq!(Cpu::default().describe(Arch::Riscv64), "rv64gc");
    }
}
