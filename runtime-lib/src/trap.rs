//! The end of a guest that trapped: one line and a backtrace on standard error, exit status 134.
//!
//! In: a trap code and the registers at the trap. Out: nothing returns. Every trap, of generated code and
//! of the runtime, goes through [`raise`]; it may be called on any stack, also from a signal handler, whose
//! signals are not blocked. So a test driver can be given a way to go on after a trap right here, by
//! loading registers that it saved before.
//!
//! # Safety
//! The only unsafe function is called by generated code, with addresses of its own constants. The program's
//! record of messages is right.
#![allow(unsafe_code, reason = "a libcall's arguments are raw pointers")]

use crate::arch::Registers;
use crate::message::Message;
use elfin_abi::trap::TrapCode;

/// Exit status after a trap.
pub const EXIT_STATUS: i32 = 134;

/// Stops the guest.
pub fn raise(trap: TrapCode, registers: &Registers) -> ! {
    end(begin(trap), registers)
}

/// The first line's beginning.
pub(crate) fn begin(trap: TrapCode) -> Message {
    let mut message = Message::new("elfin: trap: ");
    message.bytes(self::message(trap));
    message
}

/// What the program calls its traps.
#[cfg(feature = "freestanding")]
fn message(trap: TrapCode) -> &'static [u8] {
    unsafe extern "C" {
        #[link_name = "elfin_trap_messages"]
        safe static MESSAGES: u8;
    }
    // SAFETY: the compiler's record; it has the messages of all traps that the program can raise.
    unsafe { elfin_abi::trap::Messages::message(&MESSAGES, trap) }
}

/// A hosted build has no program.
#[cfg(not(feature = "freestanding"))]
fn message(trap: TrapCode) -> &'static [u8] {
    trap.message().as_bytes()
}

/// Completes a first line, writes it with the backtrace, and ends the process.
#[inline(never)]
pub(crate) fn end(mut message: Message, registers: &Registers) -> ! {
    message.byte(b'\n');
    crate::backtrace::write(&mut message, &crate::program::program(), registers);
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
    fn every_code_has_its_message() {
        for &code in TrapCode::ALL {
            let message = begin(code);
            let expected = std::format!("elfin: trap: {}", code.message());
            assert_eq!(message.pending(), expected.as_bytes());
        }
    }
}
