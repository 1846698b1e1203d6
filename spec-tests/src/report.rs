//! Reports → text.
//!
//! In: the reports of scripts. Out: lines about directives, and the table that ends every run: folder ×
//! target × mode, passed, failed and skipped directives.

use crate::{Outcome, Report};
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// Directives by what they came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// As expected.
    pub passed: usize,
    /// Not as expected.
    pub failed: usize,
    /// Not tried.
    pub skipped: usize,
}

impl Counts {
    fn add(&mut self, outcome: &Outcome) {
        match outcome {
            Outcome::Passed => self.passed += 1,
            Outcome::Failed(_) => self.failed += 1,
            Outcome::Skipped(_) => self.skipped += 1,
        }
    }

    /// The sum over all directives of these reports.
    pub fn of<'a>(reports: impl IntoIterator<Item = &'a Report>) -> Self {
        let mut counts = Self::default();
        for report in reports {
            report.results.iter().for_each(|r| counts.add(&r.outcome));
        }
        counts
    }
}

/// A line for each directive that failed, or for each one at all.
#[must_use]
pub fn directives(report: &Report, all: bool) -> String {
    let mut text = String::new();
    for result in &report.results {
        let outcome = match &result.outcome {
            Outcome::Passed if all => "passed".to_owned(),
            Outcome::Skipped(feature) if all => format!("skipped: {feature}"),
            Outcome::Failed(message) => format!("FAILED: {message}"),
            _ => continue,
        };
        let (name, mode) = (&report.name, &report.mode);
        let target = report.arch.name();
        let _ = writeln!(
            text,
            "{name}:{} {target} {mode}: {}: {outcome}",
            result.line, result.what
        );
    }
    text
}

/// Features for which directives were skipped, and how many.
#[must_use]
pub fn skipped(reports: &[Report]) -> String {
    let mut features: BTreeMap<&str, usize> = BTreeMap::new();
    for result in reports.iter().flat_map(|report| &report.results) {
        if let Outcome::Skipped(feature) = &result.outcome {
            *features.entry(feature).or_default() += 1;
        }
    }
    let mut text = String::new();
    for (feature, count) in features {
        let _ = writeln!(text, "skipped for {feature}: {count}");
    }
    text
}

/// The table, and the line that says it all.
#[must_use]
pub fn table(reports: &[Report]) -> String {
    let mut rows: BTreeMap<(&str, &str, &str), (usize, Counts)> = BTreeMap::new();
    for report in reports {
        let folder = report
            .name
            .rsplit_once('/')
            .map_or("", |(folder, _)| folder);
        let key = (folder, report.arch.name(), report.mode.as_str());
        let (scripts, counts) = rows.entry(key).or_default();
        *scripts += 1;
        report.results.iter().for_each(|r| counts.add(&r.outcome));
    }
    let width = rows
        .keys()
        .map(|(folder, ..)| folder.len())
        .max()
        .unwrap_or(0)
        .max(6);
    let modes = rows
        .keys()
        .map(|(.., mode)| mode.len())
        .max()
        .unwrap_or(0)
        .max(4);
    let mut text = format!(
        "{:width$}  target   {:modes$}  scripts  passed  failed  skipped\n",
        "folder", "mode"
    );
    for ((folder, target, mode), (scripts, counts)) in &rows {
        let Counts {
            passed,
            failed,
            skipped,
        } = counts;
        let _ = writeln!(
            text,
            "{folder:width$}  {target:7}  {mode:modes$}  {scripts:7}  {passed:6}  {failed:6}  {skipped:7}"
        );
    }
    let Counts {
        passed,
        failed,
        skipped,
    } = Counts::of(reports);
    let _ = writeln!(text, "{passed} passed, {failed} failed, {skipped} skipped");
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Result;
    use elfin_compiler::Arch;

    #[test]
    fn the_table_sums_up() {
        let result = |outcome| Result {
            line: 7,
            what: "module".to_owned(),
            outcome,
        };
        let report = |name: &str, results| Report {
            name: name.to_owned(),
            arch: Arch::Riscv64,
            mode: "fixed".to_owned(),
            results,
        };
        let failed = result(Outcome::Failed("why".to_owned()));
        let reports = [
            report("core/a.wast", vec![result(Outcome::Passed), failed.clone()]),
            report(
                "core/b.wast",
                vec![result(Outcome::Skipped("gc".to_owned()))],
            ),
            report("core/gc/c.wast", vec![result(Outcome::Passed)]),
        ];
        let expected = "\
folder   target   mode   scripts  passed  failed  skipped
core     riscv64  fixed        2       1       1        1
core/gc  riscv64  fixed        1       1       0        0
2 passed, 1 failed, 1 skipped
";
        assert_eq!(table(&reports), expected);
        assert_eq!(skipped(&reports), "skipped for gc: 1\n");
        assert_eq!(
            directives(&reports[0], false),
            "core/a.wast:7 riscv64 fixed: module: FAILED: why\n"
        );
    }
}
