//! Test scripts: one action after the other, each reported with its raw outcome.
//!
//! In: the actions that a script program carries (`elfin_abi::script`). Out: a line of standard output for
//! each: its id, then `done` and the result slots in hexadecimal, or `trap` and the code, or `exception`, or
//! `unlinkable`.
//! What was expected is not known here. A trap ends the action, not the process. Only programs that the
//! test suite builds reach this file. Its functions are in a section of their own, from which the compiler
//! takes no parts for sharing: other executables do not change by a byte because there is a driver.
//!
//! # Safety
//! A handler leaves its stack for good (SA_NODEFER: its signal is not blocked; the kernel tells from the
//! stack pointer whether the signal stack is in use). It does so only while an action runs, when the
//! registers that [`crate::arch::run_recoverable`] saved lie at [`SAVED`].
#![allow(
    unsafe_code,
    reason = "carries out code at addresses, recovers from signals"
)]
#![cfg_attr(
    not(any(feature = "freestanding", test)),
    allow(dead_code, reason = "a hosted build has no scripts")
)]

/// Bytes of output that are written at once. A line may be longer.
const CAPACITY: usize = 256;

/// A line being put together.
struct Line {
    bytes: [u8; CAPACITY],
    len: usize,
}

impl Line {
    const fn new() -> Self {
        Self {
            bytes: [0; CAPACITY],
            len: 0,
        }
    }

    #[cfg_attr(feature = "freestanding", unsafe(link_section = ".text.elfin_driver"))]
    fn byte(&mut self, byte: u8) {
        if self.len == CAPACITY {
            self.flush();
        }
        self.bytes[self.len] = byte;
        self.len += 1;
    }

    #[cfg_attr(feature = "freestanding", unsafe(link_section = ".text.elfin_driver"))]
    fn text(&mut self, text: &[u8]) {
        for &byte in text {
            self.byte(byte);
        }
    }

    #[cfg_attr(feature = "freestanding", unsafe(link_section = ".text.elfin_driver"))]
    fn decimal(&mut self, number: u32) {
        if number >= 10 {
            self.decimal(number / 10);
        }
        self.byte(b'0' + (number % 10) as u8);
    }

    /// A slot as one number.
    #[cfg_attr(feature = "freestanding", unsafe(link_section = ".text.elfin_driver"))]
    fn slot(&mut self, [low, high]: [u64; 2]) {
        if high != 0 {
            self.hexadecimal(high, 1);
            self.hexadecimal(low, 16);
        } else {
            self.hexadecimal(low, 1);
        }
    }

    #[cfg_attr(feature = "freestanding", unsafe(link_section = ".text.elfin_driver"))]
    fn hexadecimal(&mut self, number: u64, width: u32) {
        let digits = (64 - number.leading_zeros()).div_ceil(4).max(width);
        for digit in (0..digits).rev() {
            let digit = (number >> (4 * digit)) as u8 & 15;
            self.byte(if digit < 10 {
                b'0' + digit
            } else {
                b'a' - 10 + digit
            });
        }
    }

    /// What an action came to.
    #[cfg_attr(feature = "freestanding", unsafe(link_section = ".text.elfin_driver"))]
    fn outcome(&mut self, id: u32, status: u32, results: &[[u64; 2]]) {
        use elfin_abi::script::{DONE, TRAPPED, UNCAUGHT, UNLINKABLE};
        self.decimal(id);
        match status {
            DONE => {
                self.text(b" done");
                for result in results {
                    self.byte(b' ');
                    self.slot(*result);
                }
            }
            UNLINKABLE => self.text(b" unlinkable"),
            UNCAUGHT => self.text(b" exception"),
            trap => {
                self.text(b" trap ");
                self.decimal(trap.wrapping_sub(TRAPPED));
            }
        }
        self.byte(b'\n');
        self.flush();
    }

    #[cfg_attr(feature = "freestanding", unsafe(link_section = ".text.elfin_driver"))]
    fn flush(&mut self) {
        #[cfg(feature = "freestanding")]
        {
            let mut rest = &self.bytes[..self.len];
            while !rest.is_empty() {
                // SAFETY: descriptor 1 is standard output or closed; scripts open nothing.
                let stdout = unsafe { rustix::fd::BorrowedFd::borrow_raw(1) };
                match rustix::io::write(stdout, rest) {
                    Ok(written @ 1..) => rest = &rest[written..],
                    // Whoever reads finds out that lines are missing.
                    _ => break,
                }
            }
            self.len = 0;
        }
    }
}

#[cfg(feature = "freestanding")]
pub use script::elfin_run_script;

#[cfg(feature = "freestanding")]
mod script {
    use super::Line;
    use crate::arch::{self, Registers};
    use crate::program::Program;
    use crate::signal::{Fault, SignalInfo, classify};
    use crate::threads;
    use core::ffi::c_void;
    use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};
    use elfin_abi::script::{Action, DONE, MAX_RESULTS, MAX_THREADS, THREAD, TRAPPED, WAIT};
    use linux_raw_sys::general::{__NR_rt_sigaction, SA_NODEFER, SA_ONSTACK, SA_SIGINFO};
    use rustix::thread::futex;

    /// The handler of scripts, for [`classify`].
    const DRIVER: u8 = 1;

    /// Where the first thread's stack stood when the action in progress was called; 0 between actions. Other threads
    /// have theirs in their records.
    static SAVED: AtomicU64 = AtomicU64::new(0);

    /// Which threads are done.
    static DONE_THREADS: [AtomicU32; MAX_THREADS as usize] =
        [const { AtomicU32::new(0) }; MAX_THREADS as usize];

    /// Carries out the actions of a script.
    ///
    /// # Safety
    /// Called by the program's main function, once, with its own state and actions.
    #[unsafe(link_section = ".text.elfin_driver")]
    #[unsafe(no_mangle)]
    pub unsafe extern "C" fn elfin_run_script(state: *mut u8, actions: *const Action, count: u64) {
        static mut RESULTS: [[u64; 2]; MAX_RESULTS as usize] = [[0; 2]; MAX_RESULTS as usize];

        for &signal in &arch::TRAP_SIGNALS {
            let flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER;
            // SAFETY: see the head of the file.
            unsafe { set_action(signal.into(), on_signal as *const () as usize, flags) };
        }
        crate::exception::UNCAUGHT.store(on_uncaught as *mut (), Ordering::Relaxed);
        threads::prepare();
        // SAFETY: by contract; the first thread's own room.
        unsafe { run(state, actions, count, &SAVED, (&raw mut RESULTS).cast()) }
    }

    /// Carries out the actions of one thread.
    ///
    /// # Safety
    /// The records are the compiler's, and so are the functions that belong to them: none fills more slots than its
    /// record says. `results` is room for the most.
    #[unsafe(link_section = ".text.elfin_driver")]
    unsafe fn run(
        state: *mut u8,
        actions: *const Action,
        count: u64,
        saved: &AtomicU64,
        results: *mut [u64; 2],
    ) {
        let mut line = Line::new();
        let mut index = 0;
        while index < count {
            // SAFETY: by contract.
            let action = unsafe { *actions.add(index as usize) };
            index += 1;
            if action.results & THREAD != 0 {
                let number = u64::from(action.results & !THREAD);
                let first = actions.wrapping_add(index as usize) as u64;
                let words = [state as u64, first, number << 32 | action.code];
                index += action.code;
                // A thread that could not be made is a line that is missing.
                if threads::spawn(run_thread, words, false).is_ok() {
                    line.outcome(action.id, DONE, &[]);
                }
                continue;
            }
            if action.results & WAIT != 0 {
                let done = &DONE_THREADS[(action.results & !WAIT) as usize];
                while done.load(Ordering::Acquire) == 0 {
                    let _ = futex::wait(done, futex::Flags::PRIVATE, 0, None);
                }
                line.outcome(action.id, DONE, &[]);
                continue;
            }
            // SAFETY: by contract.
            let (status, results) = unsafe {
                for slot in 0..action.results as usize {
                    results.add(slot).write([0; 2]);
                }
                let results_at = results.cast();
                let status = arch::run_recoverable(action.code, state, results_at, saved.as_ptr());
                let results = core::slice::from_raw_parts(results, action.results as usize);
                (status, results)
            };
            saved.store(0, Ordering::Relaxed);
            line.outcome(action.id, status, results);
        }
    }

    /// A thread of a script.
    #[unsafe(link_section = ".text.elfin_driver")]
    unsafe extern "C" fn run_thread(record: &threads::Record) {
        let mut results = [[0_u64; 2]; MAX_RESULTS as usize];
        let [state, actions, counts] = record.words;
        // SAFETY: the words that `run` gave.
        unsafe {
            run(
                state as *mut u8,
                actions as *const Action,
                counts & u64::from(u32::MAX),
                &record.saved,
                results.as_mut_ptr(),
            );
        }
        let done = &DONE_THREADS[(counts >> 32) as usize];
        done.store(1, Ordering::Release);
        let _ = futex::wake(done, futex::Flags::PRIVATE, u32::MAX >> 1);
    }

    /// Ends the action in progress, whose exception nothing caught.
    #[unsafe(link_section = ".text.elfin_driver")]
    extern "C" fn on_uncaught(_: u32, _: u64, _: u64) -> ! {
        let saved = threads::current().map_or(&SAVED, |record| &record.saved);
        // SAFETY: what throws is called by an action.
        unsafe { arch::recover(saved.load(Ordering::Relaxed), elfin_abi::script::UNCAUGHT) }
    }

    /// As in `signal`, which keeps its own to itself: with a second user it would become longer.
    ///
    /// # Safety
    /// The handler fits the flags.
    #[unsafe(link_section = ".text.elfin_driver")]
    #[inline(never)]
    unsafe fn set_action(signal: u32, handler: usize, flags: u32) {
        let action = arch::signal_action(handler, flags);
        let (number, action) = (signal as usize, &raw const action as usize);
        // SAFETY: by contract.
        unsafe { arch::syscall5(__NR_rt_sigaction, number, action, 0, size_of::<u64>(), 0) };
    }

    /// The handler of every signal that may be a trap.
    #[unsafe(link_section = ".text.elfin_driver")]
    unsafe extern "C" fn on_signal(signal: u32, info: *const SignalInfo, context: *const c_void) {
        // SAFETY: these are the arguments of a signal handler.
        let (info, registers): (&SignalInfo, Registers) =
            unsafe { (&*info, arch::interrupted(context)) };
        let fault = Fault {
            signal,
            pc: registers.pc,
            address: info.address,
        };
        let thread = threads::current();
        let saved = thread.map_or(&SAVED, |record| &record.saved);
        let saved = saved.load(Ordering::Relaxed);
        let header = threads::header_of(thread);
        // SAFETY: the program's own header, with the thread's stack.
        let program = unsafe { Program::new(&header) };
        if saved != 0
            && info.code > 0
            && let Some(trap) = classify::<DRIVER>(&program, &fault)
        {
            // SAFETY: see the head of the file.
            unsafe { arch::recover(saved, TRAPPED + trap as u32) }
        }
        // The instruction runs again and dies by the default action; a signal that a process sent is lost,
        // which no script does.
        // SAFETY: 0 is the default action.
        unsafe { set_action(signal, 0, 0) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use elfin_abi::script::{DONE, TRAPPED, UNCAUGHT, UNLINKABLE};
    use elfin_abi::trap::TrapCode;

    fn line(id: u32, status: u32, results: &[[u64; 2]]) -> std::string::String {
        let mut line = Line::new();
        line.outcome(id, status, results);
        std::str::from_utf8(&line.bytes[..line.len])
            .expect("text")
            .into()
    }

    #[test]
    fn lines_hold_ids_and_bits() {
        assert_eq!(line(0, DONE, &[]), "0 done\n");
        let results = [[0, 0], [0x1f, 0], [u64::MAX, 0xa], [0, 1]];
        let expected = "1203 done 0 1f affffffffffffffff 10000000000000000\n";
        assert_eq!(line(1203, DONE, &results), expected);
    }

    #[test]
    fn lines_hold_traps() {
        let trap = TRAPPED + TrapCode::StackExhausted as u32;
        assert_eq!(line(u32::MAX, trap, &[[7, 7]]), "4294967295 trap 10\n");
        assert_eq!(line(9, UNLINKABLE, &[]), "9 unlinkable\n");
        assert_eq!(line(9, UNCAUGHT, &[[7, 7]]), "9 exception\n");
    }
}
