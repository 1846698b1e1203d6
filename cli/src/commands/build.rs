//! `elfin build`: modules → files.
//!
//! In: a [`BuildPlan`]. Out: the files that it names, all or none, or text on standard output.

use std::time::Instant;

use elfin_compiler::{Phase, Printable, dump_asm, dump_clif};
use elfin_linker as linker;

use crate::args::Emit;
use crate::assemble::{assemble, compile, dump, format_phases, on_pool};
use crate::input::{Modules, read_modules};
use crate::output::{self, Artifact};
use crate::plan::{BuildPlan, Destination, Output};
use crate::report::Result;

/// What was made for one target.
struct Made {
    bytes: Vec<u8>,
    map: Option<linker::Map>,
    phases: Vec<Phase>,
    remark: Option<String>,
}

/// Runs the command.
pub(crate) fn build(plan: &BuildPlan) -> Result<()> {
    output::check_destinations(plan)?;
    let started = Instant::now();
    let modules = read_modules(&plan.program)?;
    let read = Phase {
        name: "read",
        time: started.elapsed(),
    };

    let mut artifacts = Vec::new();
    let mut times = Vec::new();
    let mut remark = None;
    for output in &plan.outputs {
        let made = on_pool(&plan.program, || make(plan, &modules, output))??;
        if let (Some(path), Some(map)) = (&output.map, made.map) {
            let bytes = map.to_string().into_bytes();
            artifacts.push(Artifact {
                path: path.clone(),
                mode: output::PLAIN,
                bytes,
            });
        }
        match &output.to {
            Destination::Stdout => output::write_stdout(&made.bytes)?,
            Destination::File(path) => {
                let mode = if plan.emit == Emit::Exe {
                    output::EXECUTABLE
                } else {
                    output::PLAIN
                };
                artifacts.push(Artifact {
                    path: path.clone(),
                    mode,
                    bytes: made.bytes,
                });
            }
        }
        times.push((output.arch, made.phases));
        // The same for every target.
        remark = made.remark;
    }
    let started = Instant::now();
    output::write_all(&artifacts)?;
    if let Some(remark) = remark {
        eprintln!("note: {}: {remark}", Printable(&modules.name));
    }
    let write = Phase {
        name: "write",
        time: started.elapsed(),
    };

    if plan.program.time {
        for (arch, phases) in times {
            let all: Vec<_> = [read].into_iter().chain(phases).chain([write]).collect();
            eprint!("{}:\n{}", arch.name(), format_phases(&all));
        }
    }
    Ok(())
}

fn make(plan: &BuildPlan, modules: &Modules, output: &Output) -> Result<Made> {
    let started = Instant::now();
    let text = |text: String| Made {
        bytes: text.into_bytes(),
        map: None,
        phases: vec![Phase {
            name: "dump",
            time: started.elapsed(),
        }],
        remark: None,
    };
    Ok(match plan.emit {
        Emit::Exe => {
            let executable = assemble(&plan.program, modules, output.arch)?;
            Made {
                bytes: executable.bytes,
                map: Some(executable.map),
                phases: executable.phases,
                remark: executable.remark,
            }
        }
        Emit::Obj => {
            let program = compile(&plan.program, modules, output.arch)?;
            Made {
                bytes: program.object,
                map: None,
                phases: program.phases,
                remark: program.remark,
            }
        }
        Emit::Clif => text(dump(&plan.program, modules, output.arch, dump_clif)?),
        Emit::Asm => text(dump(&plan.program, modules, output.arch, dump_asm)?),
    })
}
