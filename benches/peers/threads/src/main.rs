//! wasi-threads over the wasmtime crate: the peer of the `threads` bench, since wasmtime's own command has no
//! `wasi.thread-spawn` any more.
//!
//! ```text
//! wasmtime-threads compile FILE.wasm OUT      ahead of time, with the settings of wasmtime's command
//! wasmtime-threads run OUT [ARGUMENT]...      run what `compile` wrote
//! ```
//!
//! A spawned thread is a thread of the system that makes an instance of the module anew, with the same shared memory,
//! and calls `wasi_thread_start`. Of WASI there is what programs that count and print need (`host`); whatever
//! else they import traps when it is called. As wasi-threads has it, a trap in any thread or `proc_exit` ends the process.

mod host;

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use wasmtime::{
    Config, Engine, Error, ExternType, InstancePre, Linker, Module, Result, SharedMemory, Store,
};

/// What every thread's store holds.
#[derive(Clone)]
pub(crate) struct Guest {
    memory: SharedMemory,
    arguments: Arc<Vec<String>>,
    /// The module with its imports; without it no thread can be made.
    threads: Option<Arc<Threads>>,
}

struct Threads {
    module: InstancePre<Guest>,
    next: AtomicI32,
}

fn engine() -> Result<Engine> {
    // The command's settings are the library's own, which optimises for speed.
    let mut config = Config::new();
    config.wasm_threads(true).shared_memory(true);
    Engine::new(&config)
}

fn compile(input: &str, output: &str) -> Result<()> {
    let wasm = std::fs::read(input)?;
    std::fs::write(output, engine()?.precompile_module(&wasm)?)?;
    Ok(())
}

fn run(file: &str, arguments: Vec<String>) -> Result<()> {
    let engine = engine()?;
    // SAFETY: the file is what `compile` wrote.
    let module = unsafe { Module::deserialize_file(&engine, file)? };
    let mut linker = Linker::new(&engine);
    host::define(&mut linker)?;
    linker.func_wrap(
        "wasi",
        "thread-spawn",
        |caller: wasmtime::Caller<'_, Guest>, argument: i32| spawn(caller.data(), argument),
    )?;

    let mut memory = None;
    for import in module.imports() {
        if let ExternType::Memory(ty) = import.ty() {
            memory = Some((
                import.module(),
                import.name(),
                SharedMemory::new(&engine, ty)?,
            ));
        }
    }
    let (space, name, memory) = memory.ok_or_else(|| Error::msg("it imports no memory"))?;
    let mut guest = Guest {
        memory: memory.clone(),
        arguments: Arc::new(arguments),
        threads: None,
    };
    linker.define(Store::new(&engine, guest.clone()), space, name, memory)?;
    linker.define_unknown_imports_as_traps(&module)?;
    guest.threads = Some(Arc::new(Threads {
        module: linker.instantiate_pre(&module)?,
        next: AtomicI32::new(1),
    }));
    enter(guest, |store, instance| {
        let start = instance.get_typed_func::<(), ()>(&mut *store, "_start")?;
        start.call(store, ())
    })
}

/// An instance, and a call of it.
fn enter(
    guest: Guest,
    call: impl FnOnce(&mut Store<Guest>, wasmtime::Instance) -> Result<()>,
) -> Result<()> {
    let threads = guest
        .threads
        .clone()
        .ok_or_else(|| Error::msg("not linked"))?;
    let mut store = Store::new(threads.module.module().engine(), guest);
    let instance = threads.module.instantiate(&mut store)?;
    call(&mut store, instance)
}

/// The number of a new thread, or -1.
fn spawn(guest: &Guest, argument: i32) -> i32 {
    let Some(threads) = &guest.threads else {
        return -1;
    };
    let id = threads.next.fetch_add(1, Ordering::Relaxed);
    let guest = guest.clone();
    let body = move || {
        let result = enter(guest, |store, instance| {
            let start =
                instance.get_typed_func::<(i32, i32), ()>(&mut *store, "wasi_thread_start")?;
            start.call(store, (id, argument))
        });
        if let Err(error) = result {
            eprintln!("error: thread {id}: {error:?}");
            std::process::exit(134);
        }
    };
    match std::thread::Builder::new().spawn(body) {
        Ok(_) => id,
        Err(_) => -1,
    }
}

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let result = match (arguments.next().as_deref(), arguments.next()) {
        (Some("compile"), Some(input)) => match arguments.next() {
            Some(output) => compile(&input, &output),
            None => Err(Error::msg("compile FILE.wasm OUT")),
        },
        (Some("run"), Some(file)) => {
            let own = std::iter::once(file.clone()).chain(arguments).collect();
            run(&file, own)
        }
        (Some("--version"), None) => {
            println!("the wasmtime 48.0.8 crate, with threads");
            Ok(())
        }
        _ => Err(Error::msg(
            "compile FILE.wasm OUT, or run OUT [ARGUMENT]...",
        )),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:?}");
            ExitCode::FAILURE
        }
    }
}
