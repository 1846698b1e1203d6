//! Threads of a guest (wasi-threads): slots, starting, ending, and faults on any of their stacks.
//!
//! In: the program's `elfin_abi::threads::ThreadsHeader`. Out: threads made by `clone`, each with a guarded stack, a
//! stack for signals and an instance state of its own, and a number from 1 on. Only programs that import
//! `wasi.thread-spawn`, and scripts, hold any of this.
//!
//! What a thread is found by is an address on its stack ([`current`]). A trap in a thread ends the process as one in
//! the first thread does: the ordinary classification and backtrace are given a copy of the program's header with
//! the thread's stack in it.
//!
//! Its functions are in a section of their own, as the driver's are: the compiler shares no parts of them with others.
//!
//! Spec: <https://github.com/WebAssembly/wasi-threads>.
//!
//! # Safety
//! A slot belongs to whoever turned its word from 0 to something else, until the kernel clears the word because the
//! thread is gone (`CLONE_CHILD_CLEARTID`). A thread unmaps its slot itself, with its last instructions. The space
//! of slots is the map's own: nothing else is ever put there.
#![allow(
    unsafe_code,
    reason = "makes threads, maps their space, installs signal handlers"
)]

use crate::arch::{self, Registers};
use crate::guest::Memory;
use crate::memory::Commit;
use crate::program::Program;
use crate::signal::{Fault, SignalInfo, classify};
use crate::wasi::clock;
use core::ffi::c_void;
use core::sync::atomic::{
    AtomicBool, AtomicU32, AtomicU64,
    Ordering::{Acquire, Relaxed},
};
use elfin_abi::program::ProgramHeader;
use elfin_abi::threads::{self, ThreadsHeader};
use elfin_abi::trap::TrapCode;
use linux_raw_sys::general::{
    __NR_getpid, __NR_kill, __NR_munmap, __NR_rt_sigaction, __NR_sigaltstack, CLONE_CHILD_CLEARTID,
    CLONE_FILES, CLONE_FS, CLONE_PARENT_SETTID, CLONE_SIGHAND, CLONE_SYSVSEM, CLONE_THREAD,
    CLONE_VM, SA_NODEFER, SA_ONSTACK, SA_SIGINFO, stack_t,
};
use rustix::io::Errno;
use rustix::mm::ProtFlags;

/// The handler of programs with threads, for [`classify`].
const THREADS: u8 = 2;

/// Words of slots: free; somebody prepares it. Else the kernel's number of the thread.
const FREE: u32 = 0;
const TAKEN: u32 = u32::MAX;

/// What a thread is to do, and what it keeps for others to find.
#[repr(C)]
pub(crate) struct Record {
    body: unsafe extern "C" fn(&Record),
    /// For the body.
    pub(crate) words: [u64; 3],
    /// Number of the slot, and one more: the number of the thread.
    index: u64,
    /// The driver's: see `crate::driver`.
    pub(crate) saved: AtomicU64,
}

const _: () = assert!(size_of::<Record>() as u64 <= threads::RECORD / 2);

#[unsafe(link_section = ".text.elfin_threads")]
fn header() -> &'static ThreadsHeader {
    unsafe extern "C" {
        #[link_name = "elfin_threads"]
        safe static HEADER: ThreadsHeader;
    }
    &HEADER
}

/// The word of a slot.
#[unsafe(link_section = ".text.elfin_threads")]
fn word(index: u64) -> &'static AtomicU32 {
    // SAFETY: mapped by `prepare`, one for each slot.
    unsafe { AtomicU32::from_ptr((header().base as *mut u32).add(index as usize)) }
}

#[unsafe(link_section = ".text.elfin_threads")]
fn slot(index: u64) -> u64 {
    header().slots + index * header().stride
}

/// The record of the thread on whose stack, signal stack or guard an address is; none for the first thread's.
#[unsafe(link_section = ".text.elfin_threads")]
pub(crate) fn owner(address: u64) -> Option<&'static Record> {
    let header = header();
    let index = address.wrapping_sub(header.slots) / header.stride;
    // SAFETY: the slot is mapped, for its thread is running.
    (index < header.count)
        .then(|| unsafe { &*((slot(index) + threads::record(header.stack_size)) as *const Record) })
}

/// The record of the calling thread.
#[unsafe(link_section = ".text.elfin_threads")]
pub(crate) fn current() -> Option<&'static Record> {
    let here = 0_u8;
    owner((&raw const here) as u64)
}

/// The program's header as seen from a thread: with that thread's stack.
#[unsafe(link_section = ".text.elfin_threads")]
pub(crate) fn header_of(thread: Option<&Record>) -> ProgramHeader {
    let program = *crate::program::program().header();
    match thread {
        None => program,
        Some(record) => ProgramHeader {
            stack_base: slot(record.index) + threads::STACK,
            stack_size: header().stack_size,
            ..program
        },
    }
}

/// The second half of a thread's record: what exceptions need, zero at first.
#[inline(always)]
pub(crate) fn arena_record(thread: &Record) -> *mut u8 {
    (core::ptr::from_ref(thread) as u64 + threads::RECORD / 2) as *mut u8
}

/// Where a thread's exceptions live, in a program that throws.
#[inline(always)]
pub(crate) fn arena(thread: &Record) -> u64 {
    slot(thread.index) + header().stride - elfin_abi::exception::ARENA_SIZE
}

/// How far a thread's own state is from the first thread's. Threads of scripts have none of their own.
#[inline(always)]
pub(crate) fn state_distance(thread: Option<&Record>) -> u64 {
    let header = header();
    match thread {
        Some(record) if header.start != 0 => {
            state(header, record.index) - crate::program::program().header().state
        }
        _ => 0,
    }
}

/// Maps the words of the slots.
#[unsafe(link_section = ".text.elfin_threads")]
pub(crate) fn prepare() {
    let header = header();
    let access = ProtFlags::READ | ProtFlags::WRITE;
    // SAFETY: nothing else is ever put there.
    let mapped = unsafe { crate::memory::claim(header.base, header.slots, access, Commit::Later) };
    if let Err(error) = mapped {
        crate::start::fail_to_reserve(header.slots - header.base, "threads", error, "");
    }
}

/// How long a guest may already know that a thread is done before the thread is: its last instructions are still to
/// come then. For so many nanoseconds somebody who wants its slot waits.
const GRACE: u64 = 20_000_000;

/// Takes a free slot, beginning with the one behind the last that was taken: numbers are not used again at once.
#[unsafe(link_section = ".text.elfin_threads")]
fn take() -> Result<u64, Errno> {
    static NEXT: AtomicU32 = AtomicU32::new(0);

    let count = header().count;
    let mut deadline = None;
    loop {
        let first = u64::from(NEXT.load(Relaxed));
        for offset in 0..count {
            let index = (first + offset) % count;
            let free = word(index).compare_exchange(FREE, TAKEN, Acquire, Relaxed);
            if free.is_ok() {
                NEXT.store(((index + 1) % count) as u32, Relaxed);
                return Ok(index);
            }
        }
        let now = clock::now(clock::MONOTONIC).unwrap_or(u64::MAX);
        if now >= *deadline.get_or_insert(now.saturating_add(GRACE)) {
            return Err(Errno::AGAIN);
        }
        rustix::thread::sched_yield();
    }
}

/// Starts a thread that calls `body` with a record that holds `words`; `with_state` gives it an instance state.
/// Returns the thread's number.
#[unsafe(link_section = ".text.elfin_threads")]
pub(crate) fn spawn(
    body: unsafe extern "C" fn(&Record),
    words: [u64; 3],
    with_state: bool,
) -> Result<u32, Errno> {
    let header = header();
    let index = take()?;
    let result = start(header, index, body, words, with_state);
    if result.is_err() {
        word(index).store(FREE, Relaxed);
    }
    result
}

#[unsafe(link_section = ".text.elfin_threads")]
fn start(
    header: &ThreadsHeader,
    index: u64,
    body: unsafe extern "C" fn(&Record),
    words: [u64; 3],
    with_state: bool,
) -> Result<u32, Errno> {
    const FLAGS: u32 = CLONE_VM
        | CLONE_FS
        | CLONE_FILES
        | CLONE_SIGHAND
        | CLONE_THREAD
        | CLONE_SYSVSEM
        | CLONE_PARENT_SETTID
        | CLONE_CHILD_CLEARTID;

    let slot = slot(index);
    let (lowest, end) = (slot + threads::STACK, slot + header.stride);
    let access = ProtFlags::READ | ProtFlags::WRITE;
    // SAFETY: the slot is this thread's to use.
    unsafe { crate::memory::claim(lowest, end, access, Commit::Later) }?;
    let record = (slot + threads::record(header.stack_size)) as *mut Record;
    // SAFETY: fresh memory of this size; the template is the compiler's.
    unsafe {
        record.write(Record {
            body,
            words,
            index,
            saved: AtomicU64::new(0),
        });
        if with_state {
            core::ptr::copy_nonoverlapping(
                header.template as *const u64,
                state(header, index) as *mut u64,
                (header.template_len / 8) as usize,
            );
        }
    }
    let stack_top = slot + threads::STACK + header.stack_size;
    let tid = word(index).as_ptr();
    // SAFETY: the stack is fresh; the word is there as long as the process.
    let result = unsafe { arch::clone_thread(FLAGS, stack_top, tid, run, record.cast()) };
    if result < 0 {
        // SAFETY: nobody runs there.
        unsafe { arch::syscall2(__NR_munmap, lowest as usize, (end - lowest) as usize) };
        return Err(Errno::from_raw_os_error(result.wrapping_neg() as i32));
    }
    Ok(index as u32 + 1)
}

#[unsafe(link_section = ".text.elfin_threads")]
fn state(header: &ThreadsHeader, index: u64) -> u64 {
    slot(index) + threads::state(header.stack_size)
}

/// Where a thread begins.
#[unsafe(link_section = ".text.elfin_threads")]
unsafe extern "C" fn run(record: *mut c_void) -> ! {
    let header = header();
    // SAFETY: written before the thread was made.
    let record = unsafe { &*record.cast::<Record>() };
    let slot = slot(record.index);
    let stack = stack_t {
        ss_sp: (slot + threads::STACK + header.stack_size) as *mut c_void,
        ss_flags: 0,
        ss_size: threads::SIGNAL_STACK as _,
    };
    // SAFETY: the stack is there for as long as the thread; the body is what the record was made with.
    unsafe {
        arch::syscall2(__NR_sigaltstack, &raw const stack as usize, 0);
        (record.body)(record);
    }
    let lowest = slot + threads::STACK;
    // SAFETY: nothing of the slot is used any more.
    unsafe { arch::exit_thread(lowest, slot + header.stride - lowest) }
}

/// The body of a guest's thread: makes its instances and calls `wasi_thread_start`.
#[unsafe(link_section = ".text.elfin_threads")]
unsafe extern "C" fn run_guest(record: &Record) {
    let header = header();
    // SAFETY: the compiler's function, of this signature.
    let start: unsafe extern "C" fn(u64, u32, u32) =
        unsafe { core::mem::transmute(header.start as *const ()) };
    let state = state(header, record.index);
    // SAFETY: the state was filled in before the thread was made.
    unsafe { start(state, record.index as u32 + 1, record.words[0] as u32) };
}

/// `wasi.thread-spawn`: starts a thread that is given `argument`. Its number, or a negative errno of Linux.
#[unsafe(no_mangle)]
#[unsafe(link_section = ".text.elfin_threads")]
pub extern "C" fn elfin_wasi_thread_spawn(_: Memory, argument: u32) -> i32 {
    match spawn(run_guest, [argument.into(), 0, 0], true) {
        Ok(id) => id as i32,
        Err(error) => -error.raw_os_error(),
    }
}

/// Prepares a program for threads: `elfin_abi::host::Setup::Threads`.
#[unsafe(no_mangle)]
#[unsafe(link_section = ".text.elfin_threads")]
pub extern "C" fn elfin_setup_threads() {
    prepare();
    crate::shared_fds::prepare();
    for &signal in &arch::TRAP_SIGNALS {
        // Not reset when it is called: several threads may fault at once.
        let flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER;
        // SAFETY: see the head of `crate::signal`.
        unsafe { set_action(signal.into(), on_signal as *const () as usize, flags) };
    }
}

/// As in `crate::signal`, which keeps its own to itself: with a second user it would become longer.
///
/// # Safety
/// The handler fits the flags.
#[inline(never)]
#[unsafe(link_section = ".text.elfin_threads")]
unsafe fn set_action(signal: u32, handler: usize, flags: u32) {
    let action = arch::signal_action(handler, flags);
    let (number, action) = (signal as usize, &raw const action as usize);
    // SAFETY: by contract.
    unsafe { arch::syscall5(__NR_rt_sigaction, number, action, 0, size_of::<u64>(), 0) };
}

/// The handler of every signal that may be a trap.
#[unsafe(link_section = ".text.elfin_threads")]
unsafe extern "C" fn on_signal(signal: u32, info: *const SignalInfo, context: *const c_void) {
    // SAFETY: these are the arguments of a signal handler.
    let (info, registers): (&SignalInfo, Registers) =
        unsafe { (&*info, arch::interrupted(context)) };
    if info.code > 0 {
        let fault = Fault {
            signal,
            pc: registers.pc,
            address: info.address,
        };
        let header = header_of(current());
        // SAFETY: the program's own header, with another stack of its.
        let program = unsafe { Program::new(&header) };
        if let Some(trap) = classify::<THREADS>(&program, &fault) {
            stop(trap, program, &registers);
        }
    }
    // The default action: the instruction runs again and dies by it, or it is sent again.
    // SAFETY: 0 is the default action; the rest ends the process.
    unsafe {
        set_action(signal, 0, 0);
        if info.code <= 0 {
            let process = arch::syscall2(__NR_getpid, 0, 0) as usize;
            arch::syscall2(__NR_kill, process, signal as usize);
        }
    }
}

/// Ends the process because of a trap.
#[unsafe(link_section = ".text.elfin_threads")]
fn stop(trap: TrapCode, program: Program<'_>, registers: &Registers) -> ! {
    be_first();
    // As `trap::end`, for a program with another stack in its header.
    let mut message = crate::trap::begin(trap);
    message.byte(b'\n');
    crate::backtrace::write(&mut message, &program, registers);
    message.send();
    crate::start::exit(crate::trap::EXIT_STATUS)
}

/// Ends the process with a message and the backtrace of the calling thread, which began at `registers`.
#[unsafe(link_section = ".text.elfin_thread_end")]
pub(crate) fn end(mut message: crate::message::Message, registers: &Registers) -> ! {
    be_first();
    let header = header_of(current());
    // SAFETY: the program's own header, with another stack of its.
    let program = unsafe { Program::new(&header) };
    message.byte(b'\n');
    crate::backtrace::write(&mut message, &program, registers);
    message.send();
    crate::start::exit(crate::trap::EXIT_STATUS)
}

/// Of several threads that end the process at once the first one tells why. The others stay here.
#[inline(always)]
fn be_first() {
    static STOPPING: AtomicBool = AtomicBool::new(false);

    if STOPPING.swap(true, Acquire) {
        let never = AtomicU32::new(0);
        loop {
            let _ =
                rustix::thread::futex::wait(&never, rustix::thread::futex::Flags::PRIVATE, 0, None);
        }
    }
}
