//! x86_64. ABI: <https://gitlab.com/x86-psABIs/x86-64-ABI>, section 3.4 (process start), appendix A
//! (system calls); signal frame: `arch/x86/include/uapi/asm/sigcontext.h`.
//!
//! # Safety
//! The kernel enters at `_start` with the stack pointer at `argc`; a signal frame has the layout of the
//! kernel's header, which never changes. Registers that a system call clobbers are declared.
#![allow(unsafe_code, reason = "entry point, system calls and signal frames")]

use super::Registers;
use core::arch::{asm, naked_asm};
use core::ffi::c_void;
use linux_raw_sys::general::{
    __NR_clone, __NR_exit, __NR_munmap, __NR_rt_sigreturn, SA_RESTORER, SIGFPE, SIGILL, SIGSEGV,
};

/// Signals by which a trap shows itself: `ud2` gives SIGILL, a division SIGFPE.
pub static TRAP_SIGNALS: [u8; 3] = [SIGSEGV as u8, SIGILL as u8, SIGFPE as u8];

/// Bytes from a function's first instruction within which it has no frame record yet: `push rbp`.
pub const PROLOGUE: u32 = 1;

/// Entry point of the process.
#[cfg(feature = "freestanding")]
#[unsafe(naked)]
#[unsafe(no_mangle)]
pub extern "C" fn _start() -> ! {
    naked_asm!(
        "xor ebp, ebp",   // the outermost frame
        "mov rdi, rsp",   // argc, argv, envp, auxv lie there
        "call {boot}",    // never returns; pushes the word that keeps the stack aligned
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
            "mov rsp, {top}",
            "xor ebp, ebp",
            "call {main}",
            "xor edi, edi",
            "call {exit}",
            top = in(reg) stack_top,
            main = in(reg) main,
            exit = sym crate::start::exit,
            in("rdi") state,
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
    // SAFETY: the kernel clobbers rcx and r11 only.
    unsafe {
        asm!(
            "syscall",
            inlateout("rax") number as usize => result,
            in("rdi") a, in("rsi") b,
            lateout("rcx") _, lateout("r11") _,
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
    // SAFETY: the kernel clobbers rcx and r11 only.
    unsafe {
        asm!(
            "syscall",
            inlateout("rax") number as usize => result,
            in("rdi") a, in("rsi") b, in("rdx") c, in("r10") d, in("r8") e,
            lateout("rcx") _, lateout("r11") _,
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
        "mov [rsi - 16], rcx",
        "mov [rsi - 8], r8",
        "sub rsi, 16",
        "mov r10, rdx",
        "xor r8d, r8d",
        "mov eax, {clone}",
        "syscall",
        "test rax, rax",
        "jz 2f",
        "ret",
        "2:",
        "xor ebp, ebp",   // the outermost frame
        "pop rax",
        "pop rdi",
        "call rax",
        "ud2",
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
        "mov eax, {munmap}",
        "syscall",
        "xor edi, edi",
        "mov eax, {exit}",
        "syscall",
        "ud2",
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
    // This machine's kernel returns from a handler only through a restorer of the process.
    SignalAction {
        handler,
        flags: (flags | SA_RESTORER) as usize,
        restorer: restorer as *const () as usize,
        mask: 0,
    }
}

/// Where a signal handler returns to.
#[unsafe(naked)]
extern "C" fn restorer() {
    naked_asm!("mov eax, {number}", "syscall", number = const __NR_rt_sigreturn)
}

/// The registers that a signal interrupted.
///
/// # Safety
/// `context` is the third argument of a signal handler.
#[must_use]
pub unsafe fn interrupted(context: *const c_void) -> Registers {
    // uc_flags, uc_link, uc_stack: 40 bytes. Then r8–r15, rdi, rsi, rbp, rbx, rdx, rax, rcx, rsp, rip.
    const REGISTERS: usize = 5;
    // SAFETY: by contract, and by the layout above.
    let register = |index: usize| unsafe { context.cast::<u64>().add(REGISTERS + index).read() };
    Registers {
        pc: register(16),
        fp: register(10),
        sp: register(15),
        link: 0,
    }
}

/// The return address of a function without a frame record; `stack` reads a word of the guest's stack.
pub fn frameless_return(registers: &Registers, stack: impl Fn(u64) -> Option<u64>) -> Option<u64> {
    stack(registers.sp)
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
        "mov r8, rbp",
        "mov r9, [rsp]",
        "jmp {to}",
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
        "mov rdx, rbp",
        "mov rcx, [rsp]",
        "jmp {to}",
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
        "mov rdx, rbp",
        "mov rcx, [rsp]",
        "jmp {to}",
        to = sym crate::gc::allocate_in_thread,
    )
}

/// Loads the registers that [`run_recoverable`] saved where the stack pointer leads, and returns to its caller.
macro_rules! restore_saved {
    () => {
        concat!(
            "add rsp, 8\n",
            "pop r15\n",
            "pop r14\n",
            "pop r13\n",
            "pop r12\n",
            "pop rbx\n",
            "pop rbp\n",
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
        "push rbp",
        "mov rbp, rsp",
        "push rbx",
        "push r12",
        "push r13",
        "push r14",
        "push r15",
        "sub rsp, 8",
        "mov [rcx], rsp",
        "mov rax, rdi",
        "mov rdi, rsi",
        "mov rsi, rdx",
        "call rax",
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
    naked_asm!("mov rsp, rdi", "mov eax, esi", restore_saved!(),)
}

/// Registers that a callee saves, as [`elfin_abi::exception::saved`] numbers them.
pub const SAVED: usize = 5;

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
        "sub rsp, 72",
        "mov [rsp], rbx",
        "mov [rsp + 8], r12",
        "mov [rsp + 16], r13",
        "mov [rsp + 24], r14",
        "mov [rsp + 32], r15",
        "mov [rsp + 40], rbp",
        "mov rax, [rsp + 72]",
        "mov [rsp + 56], rax",
        "mov rbx, rdi",
        "mov rsi, rsp",
        "call {unwind}",
        "mov rax, rbx",
        "mov rbx, [rsp]",
        "mov r12, [rsp + 8]",
        "mov r13, [rsp + 16]",
        "mov r14, [rsp + 24]",
        "mov r15, [rsp + 32]",
        "mov rbp, [rsp + 40]",
        "mov rcx, [rsp + 56]",
        "mov rsp, [rsp + 48]",
        "jmp rcx",
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
        "push rbp",
        "push rbx",
        "push r12",
        "push r13",
        "push r14",
        "push r15",
        "sub rsp, 8",
        "mov rax, rdi",
        "mov rdi, rsi",
        "mov rsi, rsp",
        "call rax",
        // The callee has kept them all.
        "add rsp, 56",
        "ret",
    )
}
