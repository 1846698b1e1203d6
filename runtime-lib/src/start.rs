//! Boot, in order; and what the kernel handed to the process.
//!
//! In: the stack as the kernel left it (argc, argv, envp, auxv). Out: a guest that runs on its own stack
//! with its memories, tables and signal handlers in place. Host functions prepare themselves later, when
//! the program's main function calls their setup.
//!
//! # Safety
//! The kernel's block of arguments is never written to and lives as long as the process. It is read from
//! the address kept in [`INITIAL_STACK`], which is null in a hosted build.
#![allow(
    unsafe_code,
    reason = "reads the kernel's block of arguments, ends the process"
)]

use core::ffi::{CStr, c_char};
use core::sync::atomic::{AtomicPtr, Ordering};
use linux_raw_sys::general::__NR_exit_group;

/// Exit status after an error of the host's (not the guest's).
pub const EXIT_ERROR: i32 = 1;

/// Address of argc, as the kernel left it. The linker sorts by alignment: this comes first, on the page
/// of the instance state, so that boot touches no other.
static INITIAL_STACK: First = First(AtomicPtr::new(core::ptr::null_mut()));

#[repr(align(16))]
struct First(AtomicPtr<usize>);

/// Boots the process and runs the guest.
///
/// # Safety
/// Called once, by `_start`, with the stack pointer that the kernel set.
#[cfg(feature = "freestanding")]
pub unsafe extern "C" fn boot(stack: *mut usize) -> ! {
    unsafe extern "C" {
        fn elfin_program_main(state: *mut u8);
    }

    INITIAL_STACK.0.store(stack, Ordering::Relaxed);
    let program = crate::program::program();
    forbid_new_code();
    // Tables first: the initial images that are copied with those of memories may be theirs.
    crate::table::set_up(&program);
    crate::memory::set_up(&program);
    crate::signal::set_up();
    let header = program.header();
    // SAFETY: the stack is a segment of the executable's own, and code of the program does not unwind.
    unsafe {
        crate::arch::enter_guest(
            header.stack_base + header.stack_size,
            elfin_program_main,
            header.state as *mut u8,
        )
    }
}

/// From now on no page of this process can become executable. Kernels before 6.3 can't promise that.
#[cfg(feature = "freestanding")]
fn forbid_new_code() {
    use linux_raw_sys::{general::__NR_prctl, prctl};
    // SAFETY: changes nothing that exists.
    unsafe {
        crate::arch::syscall5(
            __NR_prctl,
            prctl::PR_SET_MDWE as usize,
            prctl::PR_MDWE_REFUSE_EXEC_GAIN as usize,
            0,
            0,
            0,
        );
    }
}

/// Ends a process whose address space has no room for what the program needs.
#[cfg(feature = "freestanding")]
#[cold]
pub fn fail_to_reserve(bytes: u64, what: &str, error: rustix::io::Errno, remedy: &str) -> ! {
    let mut message = crate::message::Message::new("elfin: error: cannot reserve ");
    message.number(bytes, 0);
    message.text(" bytes of address space for ");
    message.text(what);
    if error == rustix::io::Errno::NOMEM {
        message.text(" (Out of memory)");
    }
    message.text(remedy);
    message.byte(b'\n');
    message.send();
    exit(EXIT_ERROR)
}

/// Argument `index` of the command line, argv\[0\] included.
#[must_use]
pub fn argument(index: usize) -> Option<&'static CStr> {
    let stack = INITIAL_STACK.0.load(Ordering::Relaxed);
    if stack.is_null() {
        return None;
    }
    // SAFETY: see the head of the file; argc counts the pointers that follow it.
    unsafe {
        if index >= *stack {
            return None;
        }
        Some(CStr::from_ptr(*stack.add(1 + index) as *const c_char))
    }
}

/// Number of arguments, argv\[0\] included.
#[must_use]
pub fn argument_count() -> usize {
    let stack = INITIAL_STACK.0.load(Ordering::Relaxed);
    if stack.is_null() {
        return 0;
    }
    // SAFETY: see the head of the file.
    unsafe { *stack }
}

/// The environment: pointers to `KEY=VALUE` strings, ended by null. Itself null in a hosted build.
#[must_use]
pub fn environment() -> *const *const c_char {
    let stack = INITIAL_STACK.0.load(Ordering::Relaxed);
    if stack.is_null() {
        return core::ptr::null();
    }
    // SAFETY: see the head of the file; argv ends with a null pointer.
    unsafe { stack.add(1 + *stack + 1).cast() }
}

/// Value of an entry of the auxiliary vector (`AT_SYSINFO_EHDR`, …), if the kernel gave it.
#[must_use]
pub fn auxiliary(key: u32) -> Option<usize> {
    let mut word = environment().cast::<usize>();
    if word.is_null() {
        return None;
    }
    // SAFETY: see the head of the file; the environment ends with a null pointer, the vector with a
    // pair whose key is zero.
    unsafe {
        while *word != 0 {
            word = word.add(1);
        }
        word = word.add(1);
        while *word != 0 {
            if *word == key as usize {
                return Some(*word.add(1));
            }
            word = word.add(2);
        }
    }
    None
}

/// Ends the process.
pub extern "C" fn exit(status: i32) -> ! {
    loop {
        // SAFETY: does not return.
        unsafe { crate::arch::syscall2(__NR_exit_group, status as usize, 0) };
    }
}
