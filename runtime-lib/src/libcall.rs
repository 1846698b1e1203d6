//! Helpers that code generation may call: rounding, for machines without instructions for it.
//!
//! In and out: floats. The results are those of the core specification (numerics, `fceil` and so on): a
//! NaN becomes quiet and keeps its payload, a zero result keeps the sign of the operand.
//!
//! Memory and tables have their libcalls in [`crate::memory`] and [`crate::table`], bulk copies in
//! [`crate::mem`], unknown imports in [`crate::trap`], `--invoke` in [`crate::invoke`].
//!
//! # Safety
//! Exported symbols; there is no unsafe operation in this file.
#![allow(unsafe_code, reason = "exported symbols")]

macro_rules! rounding {
    ($room:ident, $float:ident, $bits:ident, $ceil:ident, $floor:ident, $trunc:ident, $nearest:ident) => {
        mod $room {
            const SIGN: $bits = 1 << ($bits::BITS - 1);
            const QUIET: $bits = 1 << ($float::MANTISSA_DIGITS - 2);
            /// From here on every float is an integer.
            const INTEGERS: $float = (1_u64 << ($float::MANTISSA_DIGITS - 1)) as $float;

            /// Rounds the magnitude with `round`, which is given the operand or its magnitude and the
            /// nearest integer of the same, ties to even.
            #[inline(always)]
            pub(super) fn round(
                value: $float,
                signed: bool,
                round: impl Fn($float, $float) -> $float,
            ) -> $float {
                let bits = value.to_bits();
                let sign = bits & SIGN;
                let magnitude = $float::from_bits(bits & !SIGN);
                if magnitude < INTEGERS {
                    // The sum has no bits for a fraction: the machine rounds it off, ties to even.
                    let nearest = (magnitude + INTEGERS) - INTEGERS;
                    let rounded = if signed {
                        round(value, $float::from_bits(nearest.to_bits() | sign))
                    } else {
                        round(magnitude, nearest)
                    };
                    $float::from_bits(rounded.to_bits() & !SIGN | sign)
                } else if value.is_nan() {
                    $float::from_bits(bits | QUIET)
                } else {
                    value
                }
            }
        }

        /// The least integer not below `value`.
        #[unsafe(no_mangle)]
        pub extern "C" fn $ceil(value: $float) -> $float {
            $room::round(
                value,
                true,
                |value, near| if near < value { near + 1.0 } else { near },
            )
        }

        /// The greatest integer not above `value`.
        #[unsafe(no_mangle)]
        pub extern "C" fn $floor(value: $float) -> $float {
            $room::round(
                value,
                true,
                |value, near| if near > value { near - 1.0 } else { near },
            )
        }

        /// The integer towards zero.
        #[unsafe(no_mangle)]
        pub extern "C" fn $trunc(value: $float) -> $float {
            $room::round(
                value,
                false,
                |value, near| if near > value { near - 1.0 } else { near },
            )
        }

        /// The nearest integer, ties to even.
        #[unsafe(no_mangle)]
        pub extern "C" fn $nearest(value: $float) -> $float {
            $room::round(value, false, |_, near| near)
        }
    };
}

rounding!(
    single,
    f32,
    u32,
    elfin_ceil_f32,
    elfin_floor_f32,
    elfin_trunc_f32,
    elfin_nearest_f32
);
rounding!(
    double,
    f64,
    u64,
    elfin_ceil_f64,
    elfin_floor_f64,
    elfin_trunc_f64,
    elfin_nearest_f64
);

#[cfg(test)]
mod tests {
    use super::*;

    fn check_f32(bits: u32) {
        let value = f32::from_bits(bits);
        for (ours, theirs) in [
            (elfin_ceil_f32(value), value.ceil()),
            (elfin_floor_f32(value), value.floor()),
            (elfin_trunc_f32(value), value.trunc()),
            (elfin_nearest_f32(value), value.round_ties_even()),
        ] {
            if value.is_nan() {
                assert_eq!(ours.to_bits(), bits | 1 << 22);
            } else {
                assert_eq!(ours.to_bits(), theirs.to_bits(), "{value:?}");
            }
        }
    }

    fn check_f64(bits: u64) {
        let value = f64::from_bits(bits);
        for (ours, theirs) in [
            (elfin_ceil_f64(value), value.ceil()),
            (elfin_floor_f64(value), value.floor()),
            (elfin_trunc_f64(value), value.trunc()),
            (elfin_nearest_f64(value), value.round_ties_even()),
        ] {
            if value.is_nan() {
                assert_eq!(ours.to_bits(), bits | 1 << 51);
            } else {
                assert_eq!(ours.to_bits(), theirs.to_bits(), "{value:?}");
            }
        }
    }

    #[test]
    fn rounding_agrees_with_std() {
        // Every exponent and sign, with mantissas around every boundary.
        for high in 0..=u32::from(u16::MAX) {
            for low in [0, 1, 0x7fff, 0x8000, 0x8001, 0xffff] {
                check_f32(high << 16 | low);
                check_f64(u64::from(high) << 48 | u64::from(low) << 32);
                check_f64(u64::from(high) << 48 | u64::from(low) << 16 | u64::from(low));
            }
        }
        for eighths in -4096..4096 {
            check_f32((eighths as f32 / 8.0).to_bits());
            check_f64((f64::from(eighths) / 8.0).to_bits());
        }
        for power in 20..64 {
            for step in -6..6 {
                let near = (1_u64 << power) as f64;
                check_f64(near.to_bits().wrapping_add_signed(step));
                check_f64((-near).to_bits().wrapping_add_signed(step));
                check_f32((near as f32).to_bits().wrapping_add_signed(step as i32));
            }
        }
    }
}
