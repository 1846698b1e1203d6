//! Signals: which of them are traps.
//!
//! In: a signal, where it happened, and the address that faulted. Out: a trap, or the process dies by that
//! very signal. A fault is a trap only if the kernel says that it is a fault (not `kill`), and the
//! instruction and the address say which one.
//!
//! # Safety
//! Handlers run on a stack of their own and never return to a guest: a trap ends in [`crate::trap::raise`];
//! for everything else the default action is in place when the handler returns.
#![allow(unsafe_code, reason = "installs signal handlers")]

use crate::program::Program;
use elfin_abi::map::STACK_GUARD;
use elfin_abi::trap::TrapCode;
use linux_raw_sys::general::SIGSEGV;

/// The handler of ordinary programs, for [`classify`].
pub const GUEST: u8 = 0;

/// What the kernel tells of a fault.
#[derive(Clone, Copy, Debug)]
pub struct Fault {
    /// The signal's number.
    pub signal: u32,
    /// Address of the instruction.
    pub pc: u64,
    /// The address that it could not access, for SIGSEGV.
    pub address: u64,
}

/// The trap that a fault is, if it is one. `HANDLER` tells the callers apart ([`GUEST`], or the driver's own
/// number): each handler gets all of this as a copy of its own, inlined, so that an executable without a driver
/// is as if there were none.
#[must_use]
pub fn classify<const HANDLER: u8>(program: &Program<'_>, fault: &Fault) -> Option<TrapCode> {
    let header = program.header();
    // Host functions run on the guest's stack, so the instruction may be one of theirs.
    if fault.signal == SIGSEGV
        && header
            .stack_base
            .wrapping_sub(1)
            .wrapping_sub(fault.address)
            < STACK_GUARD
    {
        return Some(TrapCode::StackExhausted);
    }
    let code = program.code_address(fault.pc)?;
    if let Some(trap) = program.trap::<HANDLER>(code) {
        return Some(trap);
    }
    (fault.signal == SIGSEGV && crate::memory::is_guarded::<HANDLER>(program, fault.address))
        .then_some(TrapCode::MemoryOutOfBounds)
}

/// Installs the handlers, and lets writes to a closed pipe or beyond a size limit fail rather than kill.
#[cfg(feature = "freestanding")]
pub fn set_up() {
    use crate::arch;
    use core::cell::UnsafeCell;
    use linux_raw_sys::general::{
        __NR_sigaltstack, SA_NODEFER, SA_ONSTACK, SA_RESETHAND, SA_SIGINFO, SIGPIPE, SIGXFSZ,
        stack_t,
    };

    /// Large enough for a signal frame with every vector register that the machines have.
    const SIZE: usize = 0x1_0000;
    const IGNORE: usize = 1;

    // Not aligned: the kernel aligns its frame, and the linker sorts by alignment, so that the small
    // statics come before this one, on the page that boot writes to anyway.
    struct SignalStack(UnsafeCell<[u8; SIZE]>);
    // SAFETY: the kernel is told of it once; then it belongs to signal handlers.
    unsafe impl Sync for SignalStack {}
    static STACK: SignalStack = SignalStack(UnsafeCell::new([0; SIZE]));

    let stack = stack_t {
        ss_sp: STACK.0.get().cast(),
        ss_flags: 0,
        ss_size: SIZE as _,
    };
    // SAFETY: the stack is there for as long as the process.
    unsafe { arch::syscall2(__NR_sigaltstack, &raw const stack as usize, 0) };

    // RESETHAND: a fault in the handler kills. NODEFER: a trap may leave the handler for good.
    let flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER | SA_RESETHAND;
    let handler = on_signal as *const () as usize;
    for &signal in &arch::TRAP_SIGNALS {
        // SAFETY: see the head of the file.
        unsafe { set_action(signal.into(), handler, flags) };
    }
    // SAFETY: nothing relies on being killed.
    unsafe {
        set_action(SIGPIPE, IGNORE, 0);
        set_action(SIGXFSZ, IGNORE, 0);
    }
}

/// # Safety
/// The handler fits the flags.
#[cfg(feature = "freestanding")]
unsafe fn set_action(signal: u32, handler: usize, flags: u32) {
    use crate::arch;
    use linux_raw_sys::general::__NR_rt_sigaction;
    let action = arch::signal_action(handler, flags);
    let mask_size = size_of::<u64>();
    // SAFETY: by contract.
    unsafe {
        arch::syscall5(
            __NR_rt_sigaction,
            signal as usize,
            &raw const action as usize,
            0,
            mask_size,
            0,
        );
    }
}

/// The handler of every signal that may be a trap.
#[cfg(feature = "freestanding")]
unsafe extern "C" fn on_signal(
    signal: u32,
    info: *const SignalInfo,
    context: *const core::ffi::c_void,
) {
    use crate::arch::{self, Registers};
    use linux_raw_sys::general::{__NR_getpid, __NR_kill};

    // SAFETY: these are the arguments of a signal handler.
    let (info, registers): (&SignalInfo, Registers) =
        unsafe { (&*info, arch::interrupted(context)) };
    if info.code > 0 {
        let fault = Fault {
            signal,
            pc: registers.pc,
            address: info.address,
        };
        if let Some(trap) = classify::<GUEST>(&crate::program::program(), &fault) {
            crate::trap::raise(trap, &registers);
        }
        // The instruction runs again and dies by the default action.
    } else {
        // Sent by a process: nothing would run again. The default action is in place.
        // SAFETY: ends the process.
        unsafe {
            arch::syscall2(
                __NR_kill,
                arch::syscall2(__NR_getpid, 0, 0) as usize,
                signal as usize,
            )
        };
    }
}

/// The head of the kernel's `siginfo_t`.
#[cfg(feature = "freestanding")]
#[repr(C)]
pub(crate) struct SignalInfo {
    number: i32,
    error: i32,
    /// Positive when the kernel itself raised the signal.
    pub(crate) code: i32,
    /// The address that faulted.
    pub(crate) address: u64,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::program::sample::{CODE, FAR_CODE, MEMORY, RESERVATION, program};
    use linux_raw_sys::general::{SIGFPE, SIGILL};

    #[test]
    fn a_fault_is_a_trap_only_if_instruction_and_address_say_so() {
        let stack = [0_u64; 4];
        let program = program(&stack);
        let base = stack.as_ptr() as u64;
        let host = 0x7777_0000;
        for (signal, pc, address, expected) in [
            (SIGILL, CODE + 0x50, 0, Some(TrapCode::Unreachable)),
            (SIGFPE, CODE + 0x90, 0, Some(TrapCode::IntegerDivideByZero)),
            (SIGILL, CODE + 0x51, 0, None),
            (SIGILL, host, 0, None),
            // What a load of a null reference touches.
            (
                SIGSEGV,
                FAR_CODE + 0x50,
                8,
                Some(TrapCode::NullFunctionReference),
            ),
            (SIGSEGV, FAR_CODE + 0x51, 8, None),
            (
                SIGSEGV,
                CODE,
                MEMORY + 0x1_0000,
                Some(TrapCode::MemoryOutOfBounds),
            ),
            (
                SIGSEGV,
                CODE,
                MEMORY + RESERVATION - 1,
                Some(TrapCode::MemoryOutOfBounds),
            ),
            (SIGSEGV, CODE, MEMORY + RESERVATION, None),
            (SIGSEGV, CODE, MEMORY - 1, None),
            (SIGSEGV, host, MEMORY + 0x1_0000, None),
            (SIGILL, CODE, MEMORY + 0x1_0000, None),
            (SIGSEGV, CODE, base - 1, Some(TrapCode::StackExhausted)),
            (SIGSEGV, host, base - 1, Some(TrapCode::StackExhausted)),
            (
                SIGSEGV,
                host,
                base - STACK_GUARD,
                Some(TrapCode::StackExhausted),
            ),
            (SIGSEGV, host, base - STACK_GUARD - 1, None),
            (SIGSEGV, host, base, None),
            (SIGSEGV, host, 0, None),
            (SIGILL, host, base - 1, None),
        ] {
            let fault = Fault {
                signal,
                pc,
                address,
            };
            assert_eq!(classify::<GUEST>(&program, &fault), expected, "{fault:x?}");
        }
    }
}
