//! Lines on standard error.
//!
//! In: pieces of a message. Out: as few writes as the buffer allows, usually one, so that lines of several
//! processes do not mix. No allocation, no formatting machinery.
//!
//! # Safety
//! The first `len` bytes of a buffer are initialised.
#![allow(
    unsafe_code,
    reason = "a buffer that is not zeroed first; standard error without std"
)]

use core::mem::MaybeUninit;
use rustix::fd::BorrowedFd;

const CAPACITY: usize = 512;

/// A message being put together. What the buffer can't hold is written early; [`Message::send`] writes
/// the rest.
#[derive(Debug)]
pub struct Message {
    buffer: [MaybeUninit<u8>; CAPACITY],
    len: usize,
}

impl Message {
    /// A message that begins with `text`.
    #[must_use]
    pub fn new(text: &str) -> Self {
        let mut message = Self {
            buffer: [MaybeUninit::uninit(); CAPACITY],
            len: 0,
        };
        message.text(text);
        message
    }

    /// What is put together and not yet written.
    #[must_use]
    pub fn pending(&self) -> &[u8] {
        // SAFETY: the first `len` bytes are initialised.
        unsafe { core::slice::from_raw_parts(self.buffer.as_ptr().cast(), self.len) }
    }

    /// Appends a byte.
    #[inline(never)]
    pub fn byte(&mut self, byte: u8) {
        if self.len == CAPACITY {
            self.flush();
        }
        // SAFETY: `len` is below `CAPACITY` now.
        unsafe { self.buffer.get_unchecked_mut(self.len) }.write(byte);
        self.len += 1;
    }

    /// Appends text of our own.
    pub fn text(&mut self, text: &str) {
        self.bytes(text.as_bytes());
    }

    /// Appends text of our own.
    pub fn bytes(&mut self, text: &[u8]) {
        for &byte in text {
            self.byte(byte);
        }
    }

    /// Appends text that came from outside; what a terminal could take for a command becomes `\xNN`.
    pub fn escaped(&mut self, text: &[u8]) {
        let mut before = 0;
        for &byte in text {
            // C0, DEL, and the second byte of C1 (U+0080 to U+009F).
            if byte < 0x20 || byte == 0x7f || (before == 0xc2 && byte < 0xa0) {
                self.text("\\x");
                self.digit(byte >> 4);
                self.digit(byte & 15);
            } else {
                self.byte(byte);
            }
            before = byte;
        }
    }

    fn digit(&mut self, digit: u8) {
        self.byte(if digit < 10 {
            b'0' + digit
        } else {
            b'a' - 10 + digit
        });
    }

    /// Appends a decimal number, right-aligned in at least `width` columns.
    pub fn number(&mut self, number: u64, width: usize) {
        let mut digits = [b' '; 20];
        let mut first = digits.len();
        let mut rest = number;
        loop {
            first -= 1;
            digits[first] = b'0' + (rest % 10) as u8;
            rest /= 10;
            if rest == 0 {
                break;
            }
        }
        for &digit in &digits[first.min(digits.len() - width)..] {
            self.byte(digit);
        }
    }

    /// Writes what is pending.
    pub fn send(mut self) {
        self.flush();
    }

    #[inline(never)]
    fn flush(&mut self) {
        let mut rest = self.pending();
        while !rest.is_empty() {
            // SAFETY: descriptor 2 is standard error or closed; nothing else is ever put there.
            let stderr = unsafe { BorrowedFd::borrow_raw(2) };
            match rustix::io::write(stderr, rest) {
                Ok(written @ 1..) => rest = &rest[written..],
                // Nobody is left to be told.
                _ => break,
            }
        }
        self.len = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_right_aligned() {
        let mut message = Message::new("");
        message.number(0, 5);
        message.number(12345, 3);
        message.number(u64::MAX, 0);
        assert_eq!(message.pending(), b"    01234518446744073709551615");
    }

    #[test]
    fn what_a_terminal_could_obey_is_escaped() {
        let mut message = Message::new("");
        message.escaped(b"a\x1b[31m\n\x7f\xc3\xa9\xc2\x9b\xc2\xa0\\");
        assert_eq!(
            message.pending(),
            b"a\\x1b[31m\\x0a\\x7f\xc3\xa9\xc2\\x9b\xc2\xa0\\"
        );
    }
}
