//! aarch64. ABI: <https://github.com/ARM-software/abi-aa>, AAPCS64 section 6.4.6 (the frame chain);
//! signal frame: `arch/arm64/include/uapi/asm/sigcontext.h`.
//!
//! # Safety
//! The kernel enters at `_start` with the stack pointer at `argc`; a signal frame has the layout of the
//! kernel's header, which never changes. A system call keeps every register but x0.
#![allow(unsafe_code, reason = "entry point, system calls and signal frames")]

use super::Registers;
use core::arch::{asm, naked_asm};
use core::ffi::c_void;
use linux_raw_sys::general::{__NR_clone, __NR_exit, __NR_munmap, SIGILL, SIGSEGV};

/// Signals by which a trap shows itself: `udf` gives SIGILL; divisions are checked by code.
pub static TRAP_SIGNALS: [u8; 2] = [SIGSEGV as u8, SIGILL as u8];

/// Bytes from a function's first instruction within which frame pointer and link register are still
/// the caller's: `stp x29, x30, [sp, #-16]!`, `mov x29, sp`.
pub const PROLOGUE: u32 = 8;

/// Entry point of the process.
#[cfg(feature = "freestanding")]
#[unsafe(naked)]
#[unsafe(no_mangle)]
pub extern "C" fn _start() -> ! {
    naked_asm!(
        "mov x29, xzr",   // the outermost frame
        "mov x30, xzr",
        "mov x0, sp",     // argc, argv, envp, auxv lie there
        "b {boot}",
        boot = sym crate::start::boot,
    )
}

/// Leaves the kernel's stack for the guest's, calls `main(state)` and ends the process with status 0.
///
/// # Safety
/// `stack_top` is the end of a mapped stack and a multiple of 16; `main` does not unwind.
pub unsafe fn enter_guest(
    stack_top: u64,
    main: unsafe extern "C" fn(*mut u8),
    state: *mut u8,
) -> ! {
    // SAFETY: nothing of this frame is used after the switch.
    unsafe {
        asm!(
            "mov sp, {top}",
            "mov x29, xzr",
            "blr {main}",
            "mov w0, wzr",
            "bl {exit}",
            top = in(reg) stack_top,
            main = in(reg) main,
            exit = sym crate::start::exit,
            in("x0") state,
            options(noreturn),
        )
    }
}

/// A system call of two arguments.
///
/// # Safety
/// Those of the call.
#[inline(always)]
pub unsafe fn syscall2(number: u32, a: usize, b: usize) -> isize {
    let result;
    // SAFETY: the kernel keeps every register but x0.
    unsafe {
        asm!(
            "svc 0",
            in("x8") number as usize,
            inlateout("x0") a => result, in("x1") b,
            options(nostack),
        );
    }
    result
}

/// A system call of five arguments.
///
/// # Safety
/// Those of the call.
#[inline(always)]
pub unsafe fn syscall5(number: u32, a: usize, b: usize, c: usize, d: usize, e: usize) -> isize {
    let result;
    // SAFETY: the kernel keeps every register but x0.
    unsafe {
        asm!(
            "svc 0",
            in("x8") number as usize,
            inlateout("x0") a => result, in("x1") b, in("x2") c, in("x3") d, in("x4") e,
            options(nostack),
        );
    }
    result
}

/// Makes a thread that calls `run(record)` on the stack that ends at `stack_top`; `tid` is set to its number as long
/// as it lives. The result is that of `clone`.
///
/// # Safety
/// The stack is mapped and nobody else's; `flags` are those of a thread, with `CLONE_PARENT_SETTID` and
/// `CLONE_CHILD_CLEARTID`.
#[unsafe(naked)]
pub unsafe extern "C" fn clone_thread(
    flags: u32,
    stack_top: u64,
    tid: *mut u32,
    run: unsafe extern "C" fn(*mut c_void) -> !,
    record: *mut c_void,
) -> isize {
    naked_asm!(
        "stp x3, x4, [x1, #-16]!",
        "mov x4, x2",     // cleared when it ends; x2 itself is set
        "mov x3, xzr",
        "mov w8, #{clone}",
        "svc #0",
        "cbz x0, 2f",
        "ret",
        "2:",
        "ldp x9, x0, [sp], #16",
        "mov x29, xzr",   // the outermost frame
        "mov x30, xzr",
        "blr x9",
        "udf #0",
        clone = const __NR_clone,
    )
}

/// Ends the calling thread, and takes away the memory that it stands on.
///
/// # Safety
/// `len` bytes at `start` are the thread's own; nobody uses them any more.
#[unsafe(naked)]
pub unsafe extern "C" fn exit_thread(start: u64, len: u64) -> ! {
    naked_asm!(
        "mov w8, #{munmap}",
        "svc #0",
        "mov w0, wzr",
        "mov w8, #{exit}",
        "svc #0",
        "udf #0",
        munmap = const __NR_munmap,
        exit = const __NR_exit,
    )
}

/// The kernel's `struct sigaction`.
#[repr(C)]
#[derive(Debug)]
pub struct SignalAction {
    handler: usize,
    flags: usize,
    restorer: usize,
    mask: u64,
}

/// A signal action with an empty mask.
#[must_use]
pub fn signal_action(handler: usize, flags: u32) -> SignalAction {
    // Without a restorer the kernel returns from a handler through the vDSO.
    SignalAction {
        handler,
        flags: flags as usize,
        restorer: 0,
        mask: 0,
    }
}

/// The registers that a signal interrupted.
///
/// # Safety
/// `context` is the third argument of a signal handler.
#[must_use]
pub unsafe fn interrupted(context: *const c_void) -> Registers {
    // uc_flags, uc_link, uc_stack, a mask of 1024 bits, padding to 16: 176 bytes. Then the fault
    // address, x0–x30, sp, pc.
    const REGISTERS: usize = 22 + 1;
    // SAFETY: by contract, and by the layout above.
    let register = |index: usize| unsafe { context.cast::<u64>().add(REGISTERS + index).read() };
    Registers {
        pc: register(32),
        fp: register(29),
        sp: register(31),
        link: register(30),
    }
}

/// The return address of a function without a frame record; `stack` reads a word of the guest's stack.
pub fn frameless_return(registers: &Registers, stack: impl Fn(u64) -> Option<u64>) -> Option<u64> {
    let _ = stack;
    Some(registers.link)
}

/// Defines `elfin_unknown_import`: adds the caller's frame pointer and return address to the four
/// arguments and goes on in [`crate::trap::unknown_import`].
///
/// # Safety
/// Called by generated code, as `elfin_abi::host::Libcall::UnknownImport` says.
#[unsafe(naked)]
#[unsafe(export_name = "elfin_unknown_import")]
pub unsafe extern "C" fn unknown_import() -> ! {
    naked_asm!(
        "mov x4, x29",
        "mov x5, x30",
        "b {to}",
        to = sym crate::trap::unknown_import,
    )
}

/// Defines `elfin_gc_allocate`: adds the caller's frame pointer and return address to the two arguments and goes
/// on in the collector.
///
/// # Safety
/// Called by generated code, as `elfin_abi::host::Libcall::GcAllocate` says.
#[cfg(feature = "freestanding")]
#[unsafe(naked)]
#[unsafe(export_name = "elfin_gc_allocate")]
pub unsafe extern "C" fn gc_allocate() -> u64 {
    naked_asm!(
        "mov x2, x29",
        "mov x3, x30",
        "b {to}",
        to = sym crate::gc::allocate,
    )
}

/// Defines `elfin_thread_gc_allocate`, as [`gc_allocate`] for programs with threads.
///
/// # Safety
/// Called by generated code, as `elfin_abi::host::Libcall::ThreadGcAllocate` says.
#[cfg(feature = "freestanding")]
#[unsafe(naked)]
#[unsafe(export_name = "elfin_thread_gc_allocate")]
pub unsafe extern "C" fn thread_gc_allocate() -> u64 {
    naked_asm!(
        "mov x2, x29",
        "mov x3, x30",
        "b {to}",
        to = sym crate::gc::allocate_in_thread,
    )
}

/// Loads the registers that [`run_recoverable`] saved where the stack pointer leads, and returns to its caller.
macro_rules! restore_saved {
    () => {
        concat!(
            "ldp x19, x20, [sp, #16]\n",
            "ldp x21, x22, [sp, #32]\n",
            "ldp x23, x24, [sp, #48]\n",
            "ldp x25, x26, [sp, #64]\n",
            "ldp x27, x28, [sp, #80]\n",
            "ldp d8, d9, [sp, #96]\n",
            "ldp d10, d11, [sp, #112]\n",
            "ldp d12, d13, [sp, #128]\n",
            "ldp d14, d15, [sp, #144]\n",
            "ldp x29, x30, [sp], #160\n",
            "ret\n",
        )
    };
}

/// Calls `action(state, results)` in such a way that [`recover`] can end the call: `saved` is where the
/// stack stood, and the callee-saved registers lie there.
///
/// # Safety
/// `action` follows the C convention and does not unwind.
#[unsafe(naked)]
pub unsafe extern "C" fn run_recoverable(
    action: u64,
    state: *mut u8,
    results: *mut u64,
    saved: *mut u64,
) -> u32 {
    naked_asm!(
        "stp x29, x30, [sp, #-160]!",
        "mov x29, sp",
        "stp x19, x20, [sp, #16]",
        "stp x21, x22, [sp, #32]",
        "stp x23, x24, [sp, #48]",
        "stp x25, x26, [sp, #64]",
        "stp x27, x28, [sp, #80]",
        "stp d8, d9, [sp, #96]",
        "stp d10, d11, [sp, #112]",
        "stp d12, d13, [sp, #128]",
        "stp d14, d15, [sp, #144]",
        "mov x8, sp",
        "str x8, [x3]",
        "mov x8, x0",
        "mov x0, x1",
        "mov x1, x2",
        "blr x8",
        restore_saved!(),
    )
}

/// Ends the innermost call of [`run_recoverable`], which returns `status`. A signal handler may do this:
/// its stack is simply left.
///
/// # Safety
/// That call, which left `saved`, is still in progress, and nothing that it called needs to be cleaned up.
#[unsafe(naked)]
pub unsafe extern "C" fn recover(saved: u64, status: u32) -> ! {
    naked_asm!("mov sp, x0", "mov w0, w1", restore_saved!(),)
}

/// Registers that a callee saves, as [`elfin_abi::exception::saved`] numbers them.
pub const SAVED: usize = 18;

/// Defines `elfin_throw`: from the caller's registers, [`crate::exception::unwind`] makes those at the handler of
/// the exception. Does not return.
///
/// # Safety
/// Called by generated code, as `elfin_abi::host::Libcall::Throw` says.
#[unsafe(naked)]
#[unsafe(export_name = "elfin_throw")]
pub unsafe extern "C" fn throw() -> ! {
    // On the stack: a `crate::exception::Frame`, and a word that keeps it aligned.
    naked_asm!(
        "sub sp, sp, #176",
        "stp x19, x20, [sp]",
        "stp x21, x22, [sp, #16]",
        "stp x23, x24, [sp, #32]",
        "stp x25, x26, [sp, #48]",
        "stp x27, x28, [sp, #64]",
        "stp d8, d9, [sp, #80]",
        "stp d10, d11, [sp, #96]",
        "stp d12, d13, [sp, #112]",
        "stp d14, d15, [sp, #128]",
        "str x29, [sp, #144]",
        "str x30, [sp, #160]",
        "mov x19, x0",
        "mov x1, sp",
        "bl {unwind}",
        "mov x0, x19",
        "ldp x19, x20, [sp]",
        "ldp x21, x22, [sp, #16]",
        "ldp x23, x24, [sp, #32]",
        "ldp x25, x26, [sp, #48]",
        "ldp x27, x28, [sp, #64]",
        "ldp d8, d9, [sp, #80]",
        "ldp d10, d11, [sp, #96]",
        "ldp d12, d13, [sp, #112]",
        "ldp d14, d15, [sp, #128]",
        "ldp x29, x2, [sp, #144]",
        "ldr x3, [sp, #160]",
        "mov sp, x2",
        "br x3",
        unwind = sym crate::exception::unwind,
    )
}

/// Calls `function(argument, stack)`: from `stack` up, the stack holds every value that the callers keep.
///
/// # Safety
/// The function's own.
#[unsafe(naked)]
pub unsafe extern "C" fn with_registers_saved(
    function: extern "C" fn(*mut u8, *const u64),
    argument: *mut u8,
) {
    naked_asm!(
        "stp x29, x30, [sp, #-96]!",
        "stp x19, x20, [sp, #16]",
        "stp x21, x22, [sp, #32]",
        "stp x23, x24, [sp, #48]",
        "stp x25, x26, [sp, #64]",
        "stp x27, x28, [sp, #80]",
        "mov x8, x0",
        "mov x0, x1",
        "mov x1, sp",
        "blr x8",
        "ldp x29, x30, [sp], #96",
        "ret",
    )
}
