//! The answer to a question: a table, and figures with the limit each should stay under.
//!
//! Enters: rows as a question fills them; leaves: Markdown (so that a run can be pasted into the
//! README) or JSON.

use std::fmt;

use serde_json::{Value, json};

/// One cell of a table.
#[derive(Clone, Debug)]
pub(crate) enum Cell {
    /// A name or a remark.
    Text(String),
    /// A number of bytes.
    Bytes(u64),
    /// A duration.
    Seconds(f64),
    /// Ours over the peer's: less is better.
    Ratio(f64),
    /// Nothing to say here.
    Empty,
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Bytes(bytes) => f.write_str(&group_thousands(*bytes)),
            Self::Seconds(s) if *s < 0.001 => write!(f, "{:.1} µs", s * 1e6),
            Self::Seconds(s) if *s < 1.0 => write!(f, "{:.1} ms", s * 1e3),
            Self::Seconds(s) => write!(f, "{s:.3} s"),
            Self::Ratio(ratio) => write!(f, "{ratio:.3}"),
            Self::Empty => Ok(()),
        }
    }
}

impl Cell {
    fn to_json(&self) -> Value {
        match self {
            Self::Text(text) => json!(text),
            Self::Bytes(bytes) => json!(bytes),
            Self::Seconds(number) | Self::Ratio(number) => json!(number),
            Self::Empty => Value::Null,
        }
    }
}

fn group_thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// A number that should not be above its limit.
#[derive(Clone, Debug)]
pub(crate) struct Figure {
    /// What the number is.
    pub(crate) what: String,
    /// The number; `None` when it could not be taken, which is a miss.
    pub(crate) value: Option<f64>,
    /// The greatest value that is good enough.
    pub(crate) limit: f64,
    /// Where the number comes from: the worst guest, or why there is none.
    pub(crate) note: String,
}

impl Figure {
    /// A figure with no remark.
    pub(crate) fn new(what: impl Into<String>, value: f64, limit: f64) -> Self {
        Self {
            what: what.into(),
            value: Some(value),
            limit,
            note: String::new(),
        }
    }

    /// A figure that could not be taken.
    pub(crate) fn missing(what: impl Into<String>, limit: f64, why: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            value: None,
            limit,
            note: why.into(),
        }
    }

    /// The same figure with a remark.
    pub(crate) fn note(mut self, note: impl Into<String>) -> Self {
        self.note = note.into();
        self
    }

    fn passes(&self) -> bool {
        self.value.is_some_and(|value| value <= self.limit)
    }
}

/// What a question answers.
#[derive(Debug)]
pub(crate) struct Report {
    /// The question's name.
    pub(crate) question: &'static str,
    /// Headings of the table.
    pub(crate) columns: Vec<&'static str>,
    /// The table.
    pub(crate) rows: Vec<Vec<Cell>>,
    /// The figures to reach.
    pub(crate) figures: Vec<Figure>,
    /// Facts that a reader of the table needs.
    pub(crate) notes: Vec<String>,
    /// The machine, in one line.
    pub(crate) machine: String,
    /// Versions of what was measured.
    pub(crate) peers: Vec<String>,
}

impl Report {
    /// An empty report.
    pub(crate) fn new(question: &'static str, columns: &[&'static str]) -> Self {
        Self {
            question,
            columns: columns.to_vec(),
            rows: Vec::new(),
            figures: Vec::new(),
            notes: Vec::new(),
            machine: String::new(),
            peers: Vec::new(),
        }
    }

    /// Is every figure reached?
    pub(crate) fn passes(&self) -> bool {
        self.figures.iter().all(Figure::passes)
    }

    /// The report for machines: seconds, bytes and ratios as plain numbers.
    pub(crate) fn to_json(&self) -> Value {
        json!({
            "question": self.question,
            "machine": self.machine,
            "peers": self.peers,
            "columns": self.columns,
            "rows": self.rows.iter().map(|row| row.iter().map(Cell::to_json).collect::<Vec<_>>()).collect::<Vec<_>>(),
            "figures": self.figures.iter().map(|figure| json!({
                "what": figure.what,
                "value": figure.value,
                "limit": figure.limit,
                "pass": figure.passes(),
                "note": figure.note,
            })).collect::<Vec<_>>(),
            "notes": self.notes,
            "pass": self.passes(),
        })
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{}: {}; {}\n",
            self.question,
            self.machine,
            self.peers.join("; ")
        )?;
        let headings: Vec<String> = self.columns.iter().map(ToString::to_string).collect();
        let rows: Vec<Vec<String>> = self
            .rows
            .iter()
            .map(|row| row.iter().map(ToString::to_string).collect())
            .collect();
        write_table(f, &headings, &rows)?;
        if !self.figures.is_empty() {
            writeln!(f)?;
            let headings = ["figure", "value", "at most", "", ""].map(str::to_owned);
            let rows: Vec<Vec<String>> = self
                .figures
                .iter()
                .map(|figure| {
                    vec![
                        figure.what.clone(),
                        figure.value.map_or("none".into(), plain),
                        plain(figure.limit),
                        if figure.passes() { "pass" } else { "MISS" }.to_owned(),
                        figure.note.clone(),
                    ]
                })
                .collect();
            write_table(f, &headings, &rows)?;
        }
        for note in &self.notes {
            writeln!(f, "\n{note}")?;
        }
        Ok(())
    }
}

/// Whole numbers as such, others as ratios.
fn plain(number: f64) -> String {
    if number.fract() == 0.0 && number.abs() >= 2.0 {
        group_thousands(number as u64)
    } else if number == 0.0 {
        "0".into()
    } else {
        format!("{number:.3}")
    }
}

fn write_table(
    f: &mut fmt::Formatter<'_>,
    headings: &[String],
    rows: &[Vec<String>],
) -> fmt::Result {
    let width = |column: usize| {
        std::iter::once(headings)
            .chain(rows.iter().map(Vec::as_slice))
            .filter_map(|row| row.get(column))
            .map(|cell| cell.chars().count())
            .max()
            .unwrap_or(0)
    };
    let widths: Vec<usize> = (0..headings.len()).map(width).collect();
    let line = |f: &mut fmt::Formatter<'_>, row: &[String]| {
        for (column, width) in widths.iter().enumerate() {
            let cell = row.get(column).map_or("", String::as_str);
            // Names to the left, numbers to the right.
            if column == 0 {
                write!(f, "| {cell:<width$} ")?
            } else {
                write!(f, "| {cell:>width$} ")?
            }
        }
        writeln!(f, "|")
    };
    line(f, headings)?;
    for (column, width) in widths.iter().enumerate() {
        let dashes = "-".repeat(*width);
        if column == 0 {
            write!(f, "|-{dashes}-")?
        } else {
            write!(f, "|-{dashes}:")?
        }
    }
    writeln!(f, "|")?;
    rows.iter().try_for_each(|row| line(f, row))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_readable() {
        assert_eq!(Cell::Bytes(1_234_567).to_string(), "1,234,567");
        assert_eq!(Cell::Bytes(12).to_string(), "12");
        assert_eq!(Cell::Seconds(0.000_012_5).to_string(), "12.5 µs");
        assert_eq!(Cell::Seconds(0.25).to_string(), "250.0 ms");
        assert_eq!(Cell::Ratio(0.9504).to_string(), "0.950");
    }

    #[test]
    fn a_missing_figure_is_a_miss() {
        let mut report = Report::new("size", &["program"]);
        report.figures.push(Figure::new("ratio", 0.95, 0.95));
        assert!(report.passes());
        report
            .figures
            .push(Figure::missing("other", 1.0, "no such module"));
        assert!(!report.passes());
        assert_eq!(report.to_json()["figures"][1]["pass"], false);
    }
}
