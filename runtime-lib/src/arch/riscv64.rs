//! riscv64 (rv64gc). ABI: <https://github.com/riscv-non-isa/riscv-elf-psabi-doc>; signal frame:
//! `arch/riscv/include/uapi/asm/ucontext.h` and `ptrace.h`.
//!
//! Generated code keeps its frame record at the frame pointer, as the other two machines do. The psABI's
//! own convention (the record lies below the frame pointer) never appears in a guest's frame chain.
//!
//! # Safety
//! The kernel enters at `_start` with the stack pointer at `argc`; a signal frame has the layout of the
//! kernel's header, which never changes. A system call keeps every register but a0.
#![allow(unsafe_code, reason = "entry point, system calls and signal frames")]

use super::Registers;
use core::arch::{asm, naked_asm};
use core::ffi::c_void;
use linux_raw_sys::general::{__NR_clone, __NR_exit, __NR_munmap, SIGILL, SIGSEGV};

/// Signals by which a trap shows itself: an all-zero instruction gives SIGILL; divisions are checked by
/// code.
pub static TRAP_SIGNALS: [u8; 2] = [SIGSEGV as u8, SIGILL as u8];

/// Bytes from a function's first instruction within which frame pointer and link register are still
/// the caller's: `addi sp, sp, -16`, `sd ra, 8(sp)`, `sd s0, 0(sp)`, `mv s0, sp`, at least 2 bytes each.
pub const PROLOGUE: u32 = 7;

/// Entry point of the process.
#[cfg(feature = "freestanding")]
#[unsafe(naked)]
#[unsafe(no_mangle)]
pub extern "C" fn _start() -> ! {
    // The global pointer is not set: nothing is linked relative to it.
    naked_asm!(
        "li s0, 0",       // the outermost frame
        "li ra, 0",
        "mv a0, sp",      // argc, argv, envp, auxv lie there
        "tail {boot}",
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
            "mv sp, {top}",
            "li s0, 0",
            "jalr {main}",
            "li a0, 0",
            "call {exit}",
            top = in(reg) stack_top,
            main = in(reg) main,
            exit = sym crate::start::exit,
            in("a0") state,
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
    // SAFETY: the kernel keeps every register but a0.
    unsafe {
        asm!(
            "ecall",
            in("a7") number as usize,
            inlateout("a0") a => result, in("a1") b,
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
    // SAFETY: the kernel keeps every register but a0.
    unsafe {
        asm!(
            "ecall",
            in("a7") number as usize,
            inlateout("a0") a => result, in("a1") b, in("a2") c, in("a3") d, in("a4") e,
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
        "addi a1, a1, -16",
        "sd a3, 0(a1)",
        "sd a4, 8(a1)",
        "mv a4, a2",      // cleared when it ends; a2 itself is set
        "li a3, 0",
        "li a7, {clone}",
        "ecall",
        "beqz a0, 2f",
        "ret",
        "2:",
        "ld t0, 0(sp)",
        "ld a0, 8(sp)",
        "addi sp, sp, 16",
        "li s0, 0",       // the outermost frame
        "li ra, 0",
        "jalr t0",
        "unimp",
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
        "li a7, {munmap}",
        "ecall",
        "li a0, 0",
        "li a7, {exit}",
        "ecall",
        "unimp",
        munmap = const __NR_munmap,
        exit = const __NR_exit,
    )
}

/// The kernel's `struct sigaction`, which has no restorer here.
#[repr(C)]
#[derive(Debug)]
pub struct SignalAction {
    handler: usize,
    flags: usize,
    mask: u64,
}

/// A signal action with an empty mask.
#[must_use]
pub fn signal_action(handler: usize, flags: u32) -> SignalAction {
    SignalAction {
        handler,
        flags: flags as usize,
        mask: 0,
    }
}

/// The registers that a signal interrupted.
///
/// # Safety
/// `context` is the third argument of a signal handler.
#[must_use]
pub unsafe fn interrupted(context: *const c_void) -> Registers {
    // uc_flags, uc_link, uc_stack, a mask of 1024 bits, padding to 16: 176 bytes. Then pc, x1–x31.
    const REGISTERS: usize = 22;
    // SAFETY: by contract, and by the layout above.
    let register = |index: usize| unsafe { context.cast::<u64>().add(REGISTERS + index).read() };
    Registers {
        pc: register(0),
        fp: register(8),
        sp: register(2),
        link: register(1),
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
        "mv a4, s0",
        "mv a5, ra",
        "tail {to}",
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
        "mv a2, s0",
        "mv a3, ra",
        "tail {to}",
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
        "mv a2, s0",
        "mv a3, ra",
        "tail {to}",
        to = sym crate::gc::allocate_in_thread,
    )
}

/// Loads the registers that [`run_recoverable`] saved where the stack pointer leads, and returns to its caller.
macro_rules! restore_saved {
    () => {
        concat!(
            "ld s1, 16(sp)\n",
            "ld s2, 24(sp)\n",
            "ld s3, 32(sp)\n",
            "ld s4, 40(sp)\n",
            "ld s5, 48(sp)\n",
            "ld s6, 56(sp)\n",
            "ld s7, 64(sp)\n",
            "ld s8, 72(sp)\n",
            "ld s9, 80(sp)\n",
            "ld s10, 88(sp)\n",
            "ld s11, 96(sp)\n",
            "fld fs0, 104(sp)\n",
            "fld fs1, 112(sp)\n",
            "fld fs2, 120(sp)\n",
            "fld fs3, 128(sp)\n",
            "fld fs4, 136(sp)\n",
            "fld fs5, 144(sp)\n",
            "fld fs6, 152(sp)\n",
            "fld fs7, 160(sp)\n",
            "fld fs8, 168(sp)\n",
            "fld fs9, 176(sp)\n",
            "fld fs10, 184(sp)\n",
            "fld fs11, 192(sp)\n",
            "ld ra, 8(sp)\n",
            "ld s0, 0(sp)\n",
            "addi sp, sp, 208\n",
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
        "addi sp, sp, -208",
        "sd ra, 8(sp)",
        "sd s0, 0(sp)",
        "mv s0, sp",
        "sd s1, 16(sp)",
        "sd s2, 24(sp)",
        "sd s3, 32(sp)",
        "sd s4, 40(sp)",
        "sd s5, 48(sp)",
        "sd s6, 56(sp)",
        "sd s7, 64(sp)",
        "sd s8, 72(sp)",
        "sd s9, 80(sp)",
        "sd s10, 88(sp)",
        "sd s11, 96(sp)",
        "fsd fs0, 104(sp)",
        "fsd fs1, 112(sp)",
        "fsd fs2, 120(sp)",
        "fsd fs3, 128(sp)",
        "fsd fs4, 136(sp)",
        "fsd fs5, 144(sp)",
        "fsd fs6, 152(sp)",
        "fsd fs7, 160(sp)",
        "fsd fs8, 168(sp)",
        "fsd fs9, 176(sp)",
        "fsd fs10, 184(sp)",
        "fsd fs11, 192(sp)",
        "sd sp, 0(a3)",
        "mv t0, a0",
        "mv a0, a1",
        "mv a1, a2",
        "jalr t0",
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
    naked_asm!("mv sp, a0", "mv a0, a1", restore_saved!(),)
}

/// Registers that a callee saves, as [`elfin_abi::exception::saved`] numbers them.
pub const SAVED: usize = 23;

/// Defines `elfin_throw`: from the caller's registers, [`crate::exception::unwind`] makes those at the handler of
/// the exception. Does not return.
///
/// # Safety
/// Called by generated code, as `elfin_abi::host::Libcall::Throw` says.
#[unsafe(naked)]
#[unsafe(export_name = "elfin_throw")]
pub unsafe extern "C" fn throw() -> ! {
    // On the stack: a `crate::exception::Frame`.
    naked_asm!(
        "addi sp, sp, -208",
        "sd s1, 0(sp)",
        "sd s2, 8(sp)",
        "sd s3, 16(sp)",
        "sd s4, 24(sp)",
        "sd s5, 32(sp)",
        "sd s6, 40(sp)",
        "sd s7, 48(sp)",
        "sd s8, 56(sp)",
        "sd s9, 64(sp)",
        "sd s10, 72(sp)",
        "sd s11, 80(sp)",
        "fsd fs0, 88(sp)",
        "fsd fs1, 96(sp)",
        "fsd fs2, 104(sp)",
        "fsd fs3, 112(sp)",
        "fsd fs4, 120(sp)",
        "fsd fs5, 128(sp)",
        "fsd fs6, 136(sp)",
        "fsd fs7, 144(sp)",
        "fsd fs8, 152(sp)",
        "fsd fs9, 160(sp)",
        "fsd fs10, 168(sp)",
        "fsd fs11, 176(sp)",
        "sd s0, 184(sp)",
        "sd ra, 200(sp)",
        "mv s1, a0",
        "mv a1, sp",
        "call {unwind}",
        "mv a0, s1",
        "ld s1, 0(sp)",
        "ld s2, 8(sp)",
        "ld s3, 16(sp)",
        "ld s4, 24(sp)",
        "ld s5, 32(sp)",
        "ld s6, 40(sp)",
        "ld s7, 48(sp)",
        "ld s8, 56(sp)",
        "ld s9, 64(sp)",
        "ld s10, 72(sp)",
        "ld s11, 80(sp)",
        "fld fs0, 88(sp)",
        "fld fs1, 96(sp)",
        "fld fs2, 104(sp)",
        "fld fs3, 112(sp)",
        "fld fs4, 120(sp)",
        "fld fs5, 128(sp)",
        "fld fs6, 136(sp)",
        "fld fs7, 144(sp)",
        "fld fs8, 152(sp)",
        "fld fs9, 160(sp)",
        "fld fs10, 168(sp)",
        "fld fs11, 176(sp)",
        "ld s0, 184(sp)",
        "ld t0, 200(sp)",
        "ld sp, 192(sp)",
        "jr t0",
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
        "addi sp, sp, -112",
        "sd ra, 0(sp)",
        "sd s0, 8(sp)",
        "sd s1, 16(sp)",
        "sd s2, 24(sp)",
        "sd s3, 32(sp)",
        "sd s4, 40(sp)",
        "sd s5, 48(sp)",
        "sd s6, 56(sp)",
        "sd s7, 64(sp)",
        "sd s8, 72(sp)",
        "sd s9, 80(sp)",
        "sd s10, 88(sp)",
        "sd s11, 96(sp)",
        "mv t0, a0",
        "mv a0, a1",
        "mv a1, sp",
        "jalr t0",
        "ld ra, 0(sp)",
        "addi sp, sp, 112",
        "ret",
    )
}
