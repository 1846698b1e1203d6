//! The command line of elfin: mode → function → exit code.
//!
//! This crate alone touches files, the terminal and exit codes. Its rooms: `args` and `grants` (as typed),
//! `config` (what a file adds) → `plan` (validated) → `commands`, which use `input`, `assemble` (compiler,
//! runtime and linker meet there), `output`, `cache` and `note`; `report` is what a person reads when something
//! fails.

mod args;
mod assemble;
mod cache;
mod commands;
mod config;
mod grants;
mod input;
mod note;
mod output;
mod plan;
mod progress;
mod report;

use std::any::Any;
use std::panic;
use std::process::ExitCode;
use std::sync::Mutex;

use args::Mode;
use report::{Failure, Result};

fn main() -> ExitCode {
    let mode = args::parse();
    match without_panicking(|| execute(mode)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("{failure}");
            failure.exit_code()
        }
    }
}

fn execute(mode: Mode) -> Result<()> {
    match config::apply(mode, std::env::args_os().collect())? {
        Mode::Build(args) => commands::build::build(&plan::plan_build(args)?),
        Mode::Run(args) => Err(commands::run::run(&plan::plan_run(args)?)),
        Mode::Inspect(args) => commands::inspect::inspect(&args),
    }
}

/// A bug in elfin is reported as one, in the same form as any other error.
fn without_panicking(work: impl FnOnce() -> Result<()> + panic::UnwindSafe) -> Result<()> {
    // The compiler turns a panic in one function's compilation into an error with that function's
    // name: the default hook would print its text before that.
    static PLACE: Mutex<Option<String>> = Mutex::new(None);
    panic::set_hook(Box::new(|info| {
        if let (Some(location), Ok(mut place)) = (info.location(), PLACE.lock()) {
            *place = Some(location.to_string());
        }
    }));
    panic::catch_unwind(work).unwrap_or_else(|payload| {
        let place = PLACE
            .lock()
            .ok()
            .and_then(|mut place| place.take())
            .unwrap_or_default();
        Err(Failure::new("bug in elfin, please report it")
            .because(format!("{} ({place})", panic_message(payload.as_ref()))))
    })
}

fn panic_message(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().copied();
    let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("no message").to_string()
}
