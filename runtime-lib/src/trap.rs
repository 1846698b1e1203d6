//! The end of a guest that trapped: one line and a backtrace on standard error, exit status 134.
//!
//! In: a trap code and the registers at the trap. Out: nothing returns. Every trap, of generated code and
//! of the runtime, goes through [`raise`]; it may be called on any stack, also from a signal handler, whose
//! signals are not blocked. So a test driver can be given a way to go on after a trap right here, by
//! loading registers that it saved before.
//!
//! # Safety
//! The only unsafe function is called by generated code, with addresses of its own constants.
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

fn begin(trap: TrapCode) -> Message {
    let mut message = Message::new("elfin: trap: ");
    let index = trap as usize - 1;
    message.bytes(&MESSAGES.text[MESSAGES.ends[index] as usize..MESSAGES.ends[index + 1] as usize]);
    message
}

/// The messages of all codes, back to back: an array of `&str` would take four times the room.
struct Messages {
    text: [u8; Messages::LEN],
    /// Where the message of each code from 1 on ends; before them, a zero.
    ends: [u16; TrapCode::ALL.len() + 1],
}

static MESSAGES: Messages = Messages::new();

impl Messages {
    const LEN: usize = {
        let (mut len, mut index) = (0, 0);
        while index < TrapCode::ALL.len() {
            len += TrapCode::ALL[index].message().len();
            index += 1;
        }
        len
    };

    const fn new() -> Self {
        let mut text = [0; Self::LEN];
        let mut ends = [0; TrapCode::ALL.len() + 1];
        let (mut len, mut index) = (0, 0);
        while index < TrapCode::ALL.len() {
            assert!(
                TrapCode::ALL[index] as usize == index + 1,
                "trap codes count from 1"
            );
            let mut rest = TrapCode::ALL[index].message().as_bytes();
            while let [byte, tail @ ..] = rest {
                text[len] = *byte;
                len += 1;
                rest = tail;
            }
            index += 1;
            ends[index] = len as u16;
        }
        Self { text, ends }
    }
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
