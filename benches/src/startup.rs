//! Question: how long from start to exit?
//!
//! hello is started a thousand times in turn with an executable of 400 bytes that only exits, which
//! is what the system itself takes: posix_spawn (vfork and exec) to the end of waitpid, on one
//! processor, standard output to nowhere. Figures are ratios of medians.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::Bench;
use crate::corpus::example;
use crate::error::{Error, Result};
use crate::process::{self, Starter};
use crate::report::{Cell, Figure, Report};
use crate::statistics::{least, median};

const ROUNDS: usize = 1000;
const WARM_UP: usize = 50;
const LIMIT: f64 = 1.4;

/// Starts everything in turn.
pub(crate) fn measure(bench: &Bench) -> Result<Report> {
    let folder = tempfile::tempdir().map_err(|e| Error::new(format!("no scratch folder: {e}")))?;
    let path = |name: &str| folder.path().join(name);
    let (hello, hello_c) = (example("hello")?, example("hello-c")?);
    write_executable(&path("exits"), &smallest_executable()?)?;
    bench.tools.build_ours(&hello, None, &path("hello"))?;
    bench.tools.build_ours(&hello_c, None, &path("hello-c"))?;

    process::pin(bench.cpu)?;
    let names = [
        "executable of 400 bytes that only exits",
        "hello",
        "hello-c",
    ];
    let programs = [
        Starter::new(&path("exits"), &[])?,
        Starter::new(&path("hello"), &[])?,
        Starter::new(&path("hello-c"), &[])?,
    ];
    let mut samples = vec![Vec::new(); programs.len()];
    let rounds = bench.rounds.unwrap_or(ROUNDS);
    for round in 0..WARM_UP + rounds {
        for (program, samples) in programs.iter().zip(&mut samples) {
            let took = program.start_to_reap()?;
            if round >= WARM_UP {
                samples.push(took.as_secs_f64());
            }
        }
    }

    let mut report = Report::new(
        "startup",
        &["program", "least", "median", "ratio of medians"],
    );
    let medians: Vec<f64> = samples
        .iter()
        .map(|samples| median(samples.iter().copied()))
        .collect();
    for ((name, samples), middle) in names.iter().zip(&samples).zip(&medians) {
        report.rows.push(vec![
            (*name).into(),
            Cell::Seconds(least(samples.iter().copied())),
            Cell::Seconds(*middle),
            Cell::Ratio(middle / medians[0]),
        ]);
    }
    report.rows.push(wasmtime_row(
        bench,
        &hello,
        &path("hello.cwasm"),
        medians[0],
    )?);
    report.figures.push(
        Figure::new(
            "hello / executable that only exits",
            medians[1] / medians[0],
            LIMIT,
        )
        .note(format!("medians of {rounds} runs")),
    );
    Ok(report)
}

/// For comparison; no figure depends on it, so it is run less often.
fn wasmtime_row(
    bench: &Bench,
    hello: &crate::corpus::Program,
    out: &Path,
    base: f64,
) -> Result<Vec<Cell>> {
    bench.tools.build_theirs(hello, out)?;
    let command = bench.tools.wasmtime_run(out);
    let arguments: Vec<&str> = command
        .get_args()
        .filter_map(|argument| argument.to_str())
        .collect();
    let program = Starter::new(Path::new(command.get_program()), &arguments)?;
    let samples = (0..40)
        .map(|_| Ok(program.start_to_reap()?.as_secs_f64()))
        .collect::<Result<Vec<f64>>>()?;
    let middle = median(samples.iter().copied());
    Ok(vec![
        "wasmtime run hello.cwasm".into(),
        Cell::Seconds(least(samples)),
        Cell::Seconds(middle),
        Cell::Ratio(middle / base),
    ])
}

fn write_executable(path: &Path, bytes: &[u8]) -> Result<()> {
    let failed = |e| Error::new(format!("cannot write {}: {e}", path.display()));
    std::fs::write(path, bytes).map_err(failed)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).map_err(failed)
}

/// A static ELF executable for this machine, by hand: file header, one segment, `exit(0)`, zeros up
/// to 400 bytes.
fn smallest_executable() -> Result<Vec<u8>> {
    const SIZE: u64 = 400;
    const ADDRESS: u64 = 0x40_0000;
    const HEADERS: u64 = 64 + 56;
    let (machine, code): (u16, &[u8]) = match std::env::consts::ARCH {
        "x86_64" => (
            62,
            &[
                0xb8, 60, 0, 0, 0, // mov eax, 60 (exit)
                0x31, 0xff, // xor edi, edi
                0x0f, 0x05, // syscall
            ],
        ),
        "aarch64" => (
            183,
            &[
                0xa8, 0x0b, 0x80, 0xd2, // mov x8, #93 (exit)
                0x00, 0x00, 0x80, 0xd2, // mov x0, #0
                0x01, 0x00, 0x00, 0xd4, // svc #0
            ],
        ),
        "riscv64" => (
            243,
            &[
                0x93, 0x08, 0xd0, 0x05, // li a7, 93 (exit)
                0x13, 0x05, 0x00, 0x00, // li a0, 0
                0x73, 0x00, 0x00, 0x00, // ecall
            ],
        ),
        other => return Err(Error::new(format!("no executable by hand for {other}"))),
    };
    let mut file = Vec::new();
    file.extend(*b"\x7fELF");
    file.extend([2, 1, 1, 0]); // 64 bits, little-endian, version 1, System V
    file.extend([0; 8]);
    file.extend(2_u16.to_le_bytes()); // e_type: ET_EXEC
    file.extend(machine.to_le_bytes());
    file.extend(1_u32.to_le_bytes()); // e_version
    file.extend((ADDRESS + HEADERS).to_le_bytes()); // e_entry
    file.extend(64_u64.to_le_bytes()); // e_phoff
    file.extend(0_u64.to_le_bytes()); // e_shoff
    file.extend(0_u32.to_le_bytes()); // e_flags
    for half in [64_u16, 56, 1, 64, 0, 0] {
        file.extend(half.to_le_bytes()); // e_ehsize, e_phentsize, e_phnum, e_shentsize, e_shnum, e_shstrndx
    }
    file.extend(1_u32.to_le_bytes()); // p_type: PT_LOAD
    file.extend(5_u32.to_le_bytes()); // p_flags: R X
    for word in [0, ADDRESS, ADDRESS, SIZE, SIZE, 0x1000] {
        file.extend(word.to_le_bytes()); // p_offset, p_vaddr, p_paddr, p_filesz, p_memsz, p_align
    }
    file.extend(code);
    file.resize(SIZE as usize, 0);
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smallest_executable_runs() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("exits");
        let bytes = smallest_executable().unwrap();
        assert_eq!(bytes.len(), 400);
        write_executable(&path, &bytes).unwrap();
        let output = std::process::Command::new(&path).output().unwrap();
        assert_eq!(output.status.code(), Some(0));
    }
}
