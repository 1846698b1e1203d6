//! `elfin inspect`: describes a module or an executable made by elfin.
//!
//! In: a file. Out: text, or JSON as documented in `docs/inspect.md`, on standard output. Which of the
//! two a file is, its first bytes tell.

mod executable;
mod module;
mod types;

use serde_json::Value;

use crate::args::InspectArgs;
use crate::input;
use crate::output;
use crate::plan;
use crate::report::{Failure, Result};

/// Runs the command.
pub(crate) fn inspect(args: &InspectArgs) -> Result<()> {
    let bytes = input::read_file(&args.file)?;
    let name = plan::file_name(&args.file);
    let (json, text) = if bytes.starts_with(b"\x7fELF") {
        let described = executable::describe(&bytes).map_err(|failure| {
            Failure::new(format!(
                "cannot inspect {}",
                elfin_compiler::Printable(&name)
            ))
            .because(failure.headline())
        })?;
        (described.to_json(), described.to_text(&name))
    } else {
        let described = module::describe(&name, &bytes).map_err(|error| {
            Failure::new(format!(
                "cannot inspect {}",
                elfin_compiler::Printable(&name)
            ))
            .because_compiler(&error)
        })?;
        (described.to_json(), described.to_text(&name))
    };
    if args.json {
        output::write_stdout(pretty(&json).as_bytes())
    } else {
        output::write_stdout(text.as_bytes())
    }
}

fn pretty(json: &Value) -> String {
    format!("{json:#}\n")
}

/// Lines under a heading, indented; nothing when there are none.
fn section(heading: &str, lines: impl IntoIterator<Item = String>) -> String {
    let lines: Vec<_> = lines.into_iter().collect();
    if lines.is_empty() {
        return String::new();
    }
    lines
        .into_iter()
        .fold(format!("\n{heading}\n"), |text, line| {
            text + "  " + &line + "\n"
        })
}
