//! The end of a guest that trapped: one line and a backtrace on standard error, exit status 134.
//!
//! In: a trap code and the registers at the trap. Out: nothing returns. Every trap, of generated code and
//! of the runtime, goes through [`raise`]; it may be called on any stack, also from a signal handler, whose
//! signals are not blocked. So a test driver can be given a way to go on after a trap right here, by
//! loading registers that it saved before.
//!
//! # Safety
//! `unknown_import` is called by generated code, with addresses of its own constants. The list of messages is
//! written by the compiler and never changes.
#![allow(
    unsafe_code,
    reason = "a libcall's arguments are raw pointers; reads the program's list of messages"
)]

use crate::arch::Registers;
use crate::message::Message;
use crate::program::Program;
use elfin_abi::trap::TrapCode;

/// Exit status after a trap.
pub const EXIT_STATUS: i32 = 134;

/// Stops the guest.
pub fn raise(trap: TrapCode, registers: &Registers) -> ! {
    raise_in(trap, crate::program::program(), registers)
}

/// As [`raise`], for a program with another stack in its header: that of a thread.
pub fn raise_in(trap: TrapCode, program: Program<'_>, registers: &Registers) -> ! {
    end(begin(trap), program, registers)
}

fn begin(trap: TrapCode) -> Message {
    let mut message = Message::new("elfin: trap: ");
    // SAFETY: a list that the compiler wrote.
    unsafe { append(&mut message, messages(), trap) };
    message
}

/// The messages of the codes that the program can raise: most programs raise few, and each executable has the text
/// of its own only.
#[cfg(feature = "freestanding")]
fn messages() -> *const u8 {
    unsafe extern "C" {
        #[link_name = "elfin_trap_messages"]
        static MESSAGES: u8;
    }
    &raw const MESSAGES
}

/// The messages of a hosted build, which has no program: none.
#[cfg(not(feature = "freestanding"))]
fn messages() -> *const u8 {
    [0].as_ptr()
}

/// Appends the message of `trap`.
///
/// # Safety
/// `list` is as `elfin_abi::trap::encode_messages` writes it.
unsafe fn append(message: &mut Message, mut list: *const u8, trap: TrapCode) {
    // SAFETY: by contract: a code and the length of its text before each text, a zero behind the last.
    unsafe {
        while *list != 0 {
            let text = core::slice::from_raw_parts(list.add(2), usize::from(*list.add(1)));
            if *list == trap as u8 {
                message.bytes(text);
            }
            list = list.add(2 + text.len());
        }
    }
}

#[inline(never)]
fn end(mut message: Message, program: Program<'_>, registers: &Registers) -> ! {
    message.byte(b'\n');
    crate::backtrace::write(&mut message, &program, registers);
    message.send();
    crate::start::exit(EXIT_STATUS)
}

/// The guest called an import that nothing provides. Entered through `elfin_unknown_import` of the arch
/// file, which adds the frame pointer and the return address.
///
/// # Safety
/// The pointers are those of the import's module and name.
pub unsafe extern "C" fn unknown_import(
    module: *const u8,
    module_len: u64,
    name: *const u8,
    name_len: u64,
    fp: u64,
    return_address: u64,
) -> ! {
    // SAFETY: by contract.
    let (module, name) = unsafe {
        (
            core::slice::from_raw_parts(module, module_len as usize),
            core::slice::from_raw_parts(name, name_len as usize),
        )
    };
    let mut message = begin(TrapCode::UnknownImport);
    message.text(": ");
    message.escaped(module);
    message.byte(b'.');
    message.escaped(name);
    end(
        message,
        crate::program::program(),
        &Registers {
            pc: return_address.wrapping_sub(1),
            fp,
            ..Registers::default()
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_message_is_that_of_the_code() {
        let list = elfin_abi::trap::encode_messages(TrapCode::ALL.iter().rev().copied());
        for &code in TrapCode::ALL {
            let mut message = Message::new("");
            // SAFETY: a list as it should be.
            unsafe { append(&mut message, list.as_ptr(), code) };
            assert_eq!(message.pending(), code.message().as_bytes());
        }
    }
}
