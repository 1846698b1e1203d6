//! What is not expected to work yet.
//!
//! In: the list in `skips.txt`. Out: for each script the features for which directives of it may be
//! skipped. A directive that is skipped for any other feature is a failure; so is a line of the list whose
//! scripts run completely.
//!
//! A line is `pattern: feature feature …`; the pattern is the path of a script, or of a folder followed by
//! `/*` for every script in it; `@riscv64` behind the pattern makes it a line about that target alone. Where
//! the pattern is a script and a line of it, `script:17`, the directive there is expected to fail, and the one
//! word behind the colon says why. Lines that begin with `#` are comments.

use crate::{Outcome, Report};
use elfin_compiler::Arch;

/// The committed list.
pub const LIST: &str = include_str!("../skips.txt");

/// A line of the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skip<'a> {
    /// Which scripts.
    pub pattern: &'a str,
    /// Only on the target of this name.
    pub target: Option<&'a str>,
    /// Which directive of the script, by its line.
    pub line: Option<usize>,
    /// For which features.
    pub features: Vec<&'a str>,
}

/// Reads the list.
///
/// # Errors
/// The line that is none.
pub fn parse(list: &str) -> Result<Vec<Skip<'_>>, String> {
    list.lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(|line| {
            let (pattern, features) = line.split_once(": ").ok_or_else(|| line.to_owned())?;
            let features = features.split(' ').collect();
            let (pattern, line) = match pattern.split_once(':') {
                Some((pattern, line)) => {
                    (pattern, Some(line.parse().map_err(|_| line.to_owned())?))
                }
                None => (pattern, None),
            };
            let (pattern, target) = match pattern.split_once('@') {
                Some((pattern, target)) => (pattern, Some(target)),
                None => (pattern, None),
            };
            Ok(Skip {
                pattern,
                target,
                line,
                features,
            })
        })
        .collect()
}

impl Skip<'_> {
    /// Whether the line is about this script on this target.
    #[must_use]
    pub fn is_about(&self, name: &str, arch: Arch) -> bool {
        if self.target.is_some_and(|target| target != arch.name()) {
            return false;
        }
        match self.pattern.strip_suffix("/*") {
            Some(folder) => name
                .rsplit_once('/')
                .is_some_and(|(found, _)| found == folder),
            None => name == self.pattern,
        }
    }
}

/// Turns skipped directives that the list does not allow into failures, and failures that it expects into
/// skipped directives.
pub fn hold_to(list: &[Skip<'_>], report: &mut Report) {
    for skip in list
        .iter()
        .filter(|skip| skip.is_about(&report.name, report.arch))
    {
        for result in &mut report.results {
            if skip.line == Some(result.line) && matches!(result.outcome, Outcome::Failed(_)) {
                result.outcome = Outcome::Skipped(skip.features.concat());
            }
        }
    }
    let features: Vec<&str> = list
        .iter()
        .filter(|skip| skip.is_about(&report.name, report.arch))
        .flat_map(|skip| skip.features.iter().copied())
        .collect();
    for result in &mut report.results {
        if let Outcome::Skipped(feature) = &result.outcome
            && !features.contains(&feature.as_str())
        {
            result.outcome = Outcome::Failed(format!("skipped for {feature}, which is not listed"));
        }
    }
}

/// Lines of the list that are not needed: a script that they are about is never skipped for one of their
/// features, in no report.
#[must_use]
pub fn unneeded(list: &[Skip<'_>], reports: &[Report]) -> Vec<String> {
    let skipped = |name: &str, features: &[&str]| {
        reports
            .iter()
            .filter(|report| report.name == name)
            .flat_map(|report| &report.results)
            .any(|r| matches!(&r.outcome, Outcome::Skipped(f) if features.contains(&f.as_str())))
    };
    let mut found = Vec::new();
    let archs: Vec<Arch> = reports.iter().map(|report| report.arch).collect();
    let on_a_target_that_ran = |skip: &&Skip<'_>| {
        skip.target
            .is_none_or(|target| archs.iter().any(|arch| arch.name() == target))
    };
    for skip in list.iter().filter(on_a_target_that_ran) {
        let mut names: Vec<&str> = reports
            .iter()
            .filter(|report| skip.is_about(&report.name, report.arch))
            .map(|report| report.name.as_str())
            .collect();
        names.sort_unstable();
        names.dedup();
        if names.is_empty() {
            found.push(format!("{}: there is no such script", skip.pattern));
        }
        for name in &names {
            if !skipped(name, &skip.features) {
                found.push(format!("{}: {name} passes", skip.pattern));
            }
        }
        for feature in &skip.features {
            if !names.iter().any(|name| skipped(name, &[feature])) {
                found.push(format!("{}: nothing needs {feature}", skip.pattern));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Result;

    fn report(name: &str, feature: Option<&str>) -> Report {
        let outcome = feature.map_or(Outcome::Passed, |f| Outcome::Skipped(f.to_owned()));
        Report {
            name: name.to_owned(),
            arch: Arch::X86_64,
            mode: "fixed".to_owned(),
            results: vec![Result {
                line: 1,
                what: String::new(),
                outcome,
            }],
        }
    }

    #[test]
    fn only_what_is_listed_may_be_skipped() {
        let list = parse("# comment\n\ncore/gc/*: gc\ncore/a.wast: simd gc\n").expect("a list");
        for (name, feature, allowed) in [
            ("core/gc/x.wast", "gc", true),
            ("core/gc/x.wast", "simd", false),
            ("core/a.wast", "simd", true),
            ("core/b.wast", "gc", false),
            ("core/gc/deep/x.wast", "gc", false),
        ] {
            let mut report = report(name, Some(feature));
            hold_to(&list, &mut report);
            assert_eq!(
                report.count(|o| matches!(o, Outcome::Failed(_))) == 0,
                allowed,
                "{name}"
            );
        }
        assert_eq!(parse("core/a.wast"), Err("core/a.wast".to_owned()));
    }

    #[test]
    fn a_line_about_a_target_says_nothing_of_the_others() {
        let list = parse("core/a.wast@riscv64: simd").expect("a list");
        let mut elsewhere = report("core/a.wast", Some("simd"));
        assert_eq!(unneeded(&list, std::slice::from_ref(&elsewhere)), [""; 0]);
        hold_to(&list, &mut elsewhere);
        assert_eq!(elsewhere.count(|o| matches!(o, Outcome::Failed(_))), 1);
        let mut there = report("core/a.wast", Some("simd"));
        there.arch = Arch::Riscv64;
        hold_to(&list, &mut there);
        assert_eq!(there.count(|o| matches!(o, Outcome::Failed(_))), 0);
        assert_eq!(unneeded(&list, &[there]), [""; 0]);
    }

    #[test]
    fn a_script_that_passes_must_leave_the_list() {
        let list = parse("core/gc/*: gc\ncore/a.wast: simd gc\ncore/b.wast: gc").expect("a list");
        let reports = [
            report("core/gc/x.wast", Some("gc")),
            report("core/gc/y.wast", None),
            report("core/a.wast", Some("simd")),
        ];
        let expected = [
            "core/gc/*: core/gc/y.wast passes",
            "core/a.wast: nothing needs gc",
            "core/b.wast: there is no such script",
            "core/b.wast: nothing needs gc",
        ];
        assert_eq!(unneeded(&list, &reports), expected);
    }
}
