//! `--invoke`: arguments of the command line become parameters of an exported function, its results go to
//! standard output, one a line.
//!
//! In: decimal or hexadecimal integers, signed or unsigned; floats as Rust or the WebAssembly text format
//! write them (without hexadecimal fractions). Out: signed decimal integers; floats with the fewest digits
//! that read back as the same value, `inf`, `nan` and `nan:0x…` as in the text format. Linked only when
//! asked for, so this file alone may use `core::fmt`.
//!
//! # Safety
//! Exported symbols, and a name whose address and length generated code gives.
#![allow(unsafe_code, reason = "exported symbols")]

use crate::message::Message;
use crate::start;
use core::fmt::{self, Write};
use rustix::fd::BorrowedFd;

/// Exit status after a wrong command line.
const EXIT_USAGE: i32 = 2;

/// Ends the process unless the command line has exactly `expected` arguments.
///
/// # Safety
/// `name_len` bytes lie at `name`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn elfin_invoke_arguments(expected: u32, name: *const u8, name_len: u64) {
    let given = start::argument_count().saturating_sub(1) as u64;
    if given == u64::from(expected) {
        return;
    }
    let mut message = Message::new("elfin: error: ");
    // SAFETY: by contract.
    message.escaped(unsafe { core::slice::from_raw_parts(name, name_len as usize) });
    message.text(" takes ");
    message.number(expected.into(), 0);
    message.text(if expected == 1 {
        " argument, "
    } else {
        " arguments, "
    });
    message.number(given, 0);
    message.text(if given == 1 {
        " was given\n"
    } else {
        " were given\n"
    });
    message.send();
    start::exit(EXIT_USAGE)
}

/// Argument `index` as `parse` reads it, or a usage error.
fn argument<T>(index: u32, kind: &str, parse: impl FnOnce(&[u8]) -> Option<T>) -> T {
    let text = start::argument(index as usize + 1).map_or(&b""[..], |text| text.to_bytes());
    if let Some(value) = parse(text) {
        return value;
    }
    let mut message = Message::new("elfin: error: argument ");
    message.number(u64::from(index) + 1, 0);
    message.text(": '");
    message.escaped(text);
    message.text("' is not an ");
    message.text(kind);
    message.byte(b'\n');
    message.send();
    start::exit(EXIT_USAGE)
}

macro_rules! arguments {
    ($($function:ident: $kind:ident = $parse:expr;)*) => {
        $(
            #[doc = concat!("Argument `index` of the command line, an ", stringify!($kind), ".")]
            #[unsafe(no_mangle)]
            pub extern "C" fn $function(index: u32) -> $kind {
                argument(index, stringify!($kind), $parse)
            }
        )*
    };
}

arguments! {
    elfin_argument_i32: i32 = |text| parse_integer(text, 32).map(|bits| bits as i32);
    elfin_argument_i64: i64 = |text| parse_integer(text, 64).map(|bits| bits as i64);
    elfin_argument_f32: f32 = parse_f32;
    elfin_argument_f64: f64 = parse_f64;
}

/// The number's two's complement, if it has one in so many bits.
fn parse_integer(text: &[u8], bits: u32) -> Option<u64> {
    let (negative, digits) = split_sign(text);
    let magnitude = parse_magnitude(digits)?;
    let largest = u64::MAX >> (64 - bits);
    if !negative {
        (magnitude <= largest).then_some(magnitude)
    } else {
        (magnitude <= largest / 2 + 1).then(|| magnitude.wrapping_neg())
    }
}

fn parse_magnitude(digits: &[u8]) -> Option<u64> {
    let (radix, digits) = match digits {
        [b'0', b'x' | b'X', rest @ ..] => (16, rest),
        _ => (10, digits),
    };
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0_u64, |number, &digit| {
        let digit = char::from(digit).to_digit(radix)?;
        number.checked_mul(radix.into())?.checked_add(digit.into())
    })
}

fn split_sign(text: &[u8]) -> (bool, &[u8]) {
    match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        _ => (false, text),
    }
}

macro_rules! floats {
    ($float:ident, $bits:ident, $parse:ident, $display:ident) => {
        fn $parse(text: &[u8]) -> Option<$float> {
            let (negative, magnitude) = split_sign(text);
            let Some(payload) = magnitude.strip_prefix(b"nan:") else {
                return core::str::from_utf8(text).ok()?.parse().ok();
            };
            let payload = $bits::try_from(parse_magnitude(payload)?).ok()?;
            let nan = $float::INFINITY.to_bits() | payload;
            let sign = $bits::from(negative) << ($bits::BITS - 1);
            let fits = payload != 0 && payload >> ($float::MANTISSA_DIGITS - 1) == 0;
            fits.then_some($float::from_bits(nan | sign))
        }

        struct $display($float);

        impl fmt::Display for $display {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                let Self(value) = *self;
                if value.is_nan() {
                    let payload = value.to_bits() & !($float::NEG_INFINITY.to_bits());
                    out.write_str(if value.is_sign_negative() {
                        "-nan"
                    } else {
                        "nan"
                    })?;
                    if payload == 1 << ($float::MANTISSA_DIGITS - 2) {
                        return Ok(());
                    }
                    return write!(out, ":{payload:#x}");
                }
                let magnitude = value.abs();
                let plain = (1e-5..1e16).contains(&magnitude) || magnitude == 0.0;
                if plain || value.is_infinite() {
                    write!(out, "{value}")
                } else {
                    write!(out, "{value:e}")
                }
            }
        }
    };
}

floats!(f32, u32, parse_f32, F32);
floats!(f64, u64, parse_f64, F64);

/// Prints a result.
#[unsafe(no_mangle)]
pub extern "C" fn elfin_print_i32(value: i32) {
    print(&value);
}

/// Prints a result.
#[unsafe(no_mangle)]
pub extern "C" fn elfin_print_i64(value: i64) {
    print(&value);
}

/// Prints a result.
#[unsafe(no_mangle)]
pub extern "C" fn elfin_print_f32(value: f32) {
    print(&F32(value));
}

/// Prints a result.
#[unsafe(no_mangle)]
pub extern "C" fn elfin_print_f64(value: f64) {
    print(&F64(value));
}

/// A line of output; no number needs more.
struct Line {
    buffer: [u8; 64],
    len: usize,
}

impl Write for Line {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let end = self.len + text.len();
        self.buffer
            .get_mut(self.len..end)
            .ok_or(fmt::Error)?
            .copy_from_slice(text.as_bytes());
        self.len = end;
        Ok(())
    }
}

fn print(value: &dyn fmt::Display) {
    let mut line = Line {
        buffer: [0; 64],
        len: 0,
    };
    let formatted = writeln!(line, "{value}");
    debug_assert!(formatted.is_ok(), "a number fits a line");
    let mut rest = &line.buffer[..line.len];
    while !rest.is_empty() {
        // SAFETY: descriptor 1 is standard output or closed; nothing else is ever put there.
        let stdout = unsafe { BorrowedFd::borrow_raw(1) };
        match rustix::io::write(stdout, rest) {
            Ok(written @ 1..) => rest = &rest[written..],
            Err(rustix::io::Errno::INTR) => {}
            _ => {
                Message::new("elfin: error: cannot write to standard output\n").send();
                start::exit(start::EXIT_ERROR);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::ToString;

    #[test]
    fn integers_are_read_in_both_notations_and_ranges() {
        let cases: [(&str, Option<u64>); 17] = [
            ("0", Some(0)),
            ("-1", Some(u64::MAX)),
            ("+7", Some(7)),
            ("2147483648", Some(1 << 31)),
            ("4294967295", Some(0xffff_ffff)),
            ("4294967296", None),
            ("-2147483648", Some(0xffff_ffff_8000_0000)),
            ("-2147483649", None),
            ("0xFFffFFff", Some(0xffff_ffff)),
            ("-0x80000000", Some(0xffff_ffff_8000_0000)),
            ("0x", None),
            ("", None),
            ("-", None),
            ("--1", None),
            ("1 ", None),
            ("1_000", None),
            ("99999999999999999999999", None),
        ];
        for (text, expected) in cases {
            assert_eq!(parse_integer(text.as_bytes(), 32), expected, "{text:?}");
        }
        assert_eq!(parse_integer(b"18446744073709551615", 64), Some(u64::MAX));
        assert_eq!(parse_integer(b"18446744073709551616", 64), None);
        assert_eq!(parse_integer(b"-9223372036854775808", 64), Some(1 << 63));
        assert_eq!(parse_integer(b"-9223372036854775809", 64), None);
    }

    #[test]
    fn floats_are_printed_as_the_text_format_has_them() {
        for (value, text) in [
            (0.0, "0"),
            (-0.0, "-0"),
            (1.0, "1"),
            (0.1, "0.1"),
            (-2.5e-9, "-2.5e-9"),
            (1e300, "1e300"),
            (f64::INFINITY, "inf"),
            (f64::NEG_INFINITY, "-inf"),
            (f64::from_bits(0x7ff8_0000_0000_0000), "nan"),
            (f64::from_bits(0xfff8_0000_0000_0000), "-nan"),
            (f64::from_bits(0x7ff0_0000_0000_0001), "nan:0x1"),
        ] {
            assert_eq!(F64(value).to_string(), text);
        }
        assert_eq!(F32(0.1).to_string(), "0.1");
        assert_eq!(F32(f32::from_bits(0x7fa0_0000)).to_string(), "nan:0x200000");
    }

    #[test]
    fn floats_read_back_as_they_were() {
        let mut state = 1_u64;
        for _ in 0..20_000 {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            let mut line = Line {
                buffer: [0; 64],
                len: 0,
            };
            write!(line, "{}", F64(f64::from_bits(state))).expect("it fits");
            let back = parse_f64(&line.buffer[..line.len]).expect("it reads");
            assert_eq!(back.to_bits(), state);
            let bits = (state >> 32) as u32;
            let text = F32(f32::from_bits(bits)).to_string();
            assert_eq!(
                parse_f32(text.as_bytes()).expect("it reads").to_bits(),
                bits
            );
        }
        for wrong in [
            "",
            "x",
            "nan:0x0",
            "nan:0x10000000000000",
            "nan:",
            "1e",
            "0x10",
        ] {
            assert_eq!(parse_f64(wrong.as_bytes()), None, "{wrong:?}");
        }
    }
}
