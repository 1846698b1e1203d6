//! Copying and filling bytes.
//!
//! In: ranges that the caller has checked. Out: the bytes, moved. Small sizes are a few overlapping loads
//! and stores without a loop, all loads before the first store, so that overlap needs no thought. Larger
//! ones run a loop of four words at a time in the direction in which an overlap is harmless.
//!
//! The word is a vector register on x86_64 and aarch64, where an unaligned access costs nothing, and 8
//! bytes on riscv64, where it may cost hundreds of cycles and loops load and store aligned words only.
//!
//! # Safety
//! Every function reads and writes exactly the bytes of the ranges that it is given.
#![allow(unsafe_code, reason = "raw memory")]

/// Copies `len` bytes; the ranges may overlap.
///
/// # Safety
/// Both ranges are valid.
#[inline(always)]
pub unsafe fn copy(to: *mut u8, from: *const u8, len: usize) {
    // SAFETY: by contract.
    unsafe { elfin_memmove(to, from, len as u64) }
}

/// Copies `len` bytes where size counts for more than speed; the ranges do not overlap.
///
/// # Safety
/// Both ranges are valid.
#[inline(always)]
pub unsafe fn copy_once(to: *mut u8, from: *const u8, len: usize) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: by contract.
    unsafe {
        vector::copy_string(to, from, len);
    }
    #[cfg(not(target_arch = "x86_64"))]
    // SAFETY: by contract.
    unsafe {
        copy(to, from, len);
    }
}

/// Copies `len` bytes; the ranges may overlap.
///
/// # Safety
/// Both ranges are valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn elfin_memmove(to: *mut u8, from: *const u8, len: u64) {
    // SAFETY: by contract.
    unsafe { machine::copy(to, from, len as usize) }
}

/// Fills `len` bytes with the low byte of `byte`.
///
/// # Safety
/// The range is valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn elfin_memset(to: *mut u8, byte: u32, len: u64) {
    // SAFETY: by contract.
    unsafe { machine::fill(to, byte as u8, len as usize) }
}

#[cfg(not(target_arch = "riscv64"))]
use vector as machine;
#[cfg(target_arch = "riscv64")]
use word as machine;

/// The functions that compiled Rust code calls by these names.
#[cfg(feature = "freestanding")]
mod named_by_the_compiler {
    /// # Safety
    /// As in C.
    #[unsafe(no_mangle)]
    unsafe extern "C" fn memcpy(to: *mut u8, from: *const u8, len: usize) -> *mut u8 {
        // SAFETY: by contract.
        unsafe { super::copy(to, from, len) };
        to
    }

    /// # Safety
    /// As in C.
    #[unsafe(no_mangle)]
    unsafe extern "C" fn memmove(to: *mut u8, from: *const u8, len: usize) -> *mut u8 {
        // SAFETY: by contract.
        unsafe { super::copy(to, from, len) };
        to
    }

    /// # Safety
    /// As in C.
    #[unsafe(no_mangle)]
    unsafe extern "C" fn memset(to: *mut u8, byte: i32, len: usize) -> *mut u8 {
        // SAFETY: by contract.
        unsafe { super::elfin_memset(to, byte as u32, len as u64) };
        to
    }

    /// # Safety
    /// As in C.
    #[unsafe(no_mangle)]
    unsafe extern "C" fn memcmp(a: *const u8, b: *const u8, len: usize) -> i32 {
        // SAFETY: by contract.
        unsafe { super::compare(a, b, len) }
    }

    /// # Safety
    /// As in C.
    #[unsafe(no_mangle)]
    unsafe extern "C" fn bcmp(a: *const u8, b: *const u8, len: usize) -> i32 {
        // SAFETY: by contract.
        unsafe { super::compare(a, b, len) }
    }

    /// # Safety
    /// As in C.
    #[unsafe(no_mangle)]
    unsafe extern "C" fn strlen(text: *const u8) -> usize {
        let mut len = 0;
        // SAFETY: by contract.
        while super::not_a_call(unsafe { *text.add(len) }) != 0 {
            len += 1;
        }
        len
    }
}

/// The difference of the first bytes that differ, or 0. Only names and paths are compared.
#[cfg(any(test, feature = "freestanding"))]
#[inline(always)]
unsafe fn compare(a: *const u8, b: *const u8, len: usize) -> i32 {
    let mut index = 0;
    while index < len {
        // SAFETY: by contract of the callers.
        let (a, b) = unsafe { (*a.add(index), *b.add(index)) };
        if a != b {
            return i32::from(a) - i32::from(b);
        }
        index += 1;
    }
    0
}

/// Keeps the compiler from recognising a loop as a call of the very function that it implements.
#[inline(always)]
fn not_a_call<T: Copy>(value: T) -> T {
    // SAFETY: no instruction.
    unsafe { core::arch::asm!("", options(nomem, nostack, preserves_flags)) };
    value
}

#[cfg(any(test, not(target_arch = "riscv64")))]
mod vector {
    #[cfg(target_arch = "aarch64")]
    use core::arch::aarch64::uint8x16_t as Vector;
    #[cfg(target_arch = "x86_64")]
    use core::arch::x86_64::__m128i as Vector;

    const VECTOR: usize = size_of::<Vector>();
    const BLOCK: usize = 4 * VECTOR;
    /// From here on the machine's own string instructions are ahead.
    #[cfg(target_arch = "x86_64")]
    const STRING: usize = 1024;

    #[inline(always)]
    unsafe fn load<T>(from: *const u8, at: usize) -> T {
        // SAFETY: by contract of the callers.
        unsafe { from.add(at).cast::<T>().read_unaligned() }
    }

    #[inline(always)]
    unsafe fn store<T>(to: *mut u8, at: usize, value: T) {
        // SAFETY: by contract of the callers.
        unsafe { to.add(at).cast::<T>().write_unaligned(value) }
    }

    /// Four vectors, in registers.
    #[inline(always)]
    unsafe fn load_block(from: *const u8, at: usize) -> (Vector, Vector, Vector, Vector) {
        // SAFETY: by contract of the callers.
        unsafe {
            (
                load(from, at),
                load(from, at + VECTOR),
                load(from, at + 2 * VECTOR),
                load(from, at + 3 * VECTOR),
            )
        }
    }

    #[inline(always)]
    unsafe fn store_block(to: *mut u8, at: usize, block: (Vector, Vector, Vector, Vector)) {
        // SAFETY: by contract of the callers.
        unsafe {
            store(to, at, block.0);
            store(to, at + VECTOR, block.1);
            store(to, at + 2 * VECTOR, block.2);
            store(to, at + 3 * VECTOR, block.3);
        }
    }

    /// Moves `size_of::<T>()..=2 * size_of::<T>()` bytes.
    #[inline(always)]
    unsafe fn copy_ends<T>(to: *mut u8, from: *const u8, len: usize) {
        let last = len - size_of::<T>();
        // SAFETY: by contract of the callers.
        unsafe {
            let (a, b): (T, T) = (load(from, 0), load(from, last));
            store(to, 0, a);
            store(to, last, b);
        }
    }

    #[inline(always)]
    pub(super) unsafe fn copy(to: *mut u8, from: *const u8, len: usize) {
        // SAFETY: each size is moved by accesses within the ranges.
        unsafe {
            if len > 2 * VECTOR {
                copy_many(to, from, len);
            } else if len >= VECTOR {
                copy_ends::<Vector>(to, from, len);
            } else if len >= 8 {
                copy_ends::<u64>(to, from, len);
            } else if len >= 4 {
                copy_ends::<u32>(to, from, len);
            } else if len >= 2 {
                copy_ends::<u16>(to, from, len);
            } else if len == 1 {
                *to = *from;
            }
        }
    }

    #[inline(always)]
    unsafe fn copy_many(to: *mut u8, from: *const u8, len: usize) {
        // SAFETY: `len` is more than two vectors; loops stop a block before the end.
        unsafe {
            if len <= BLOCK {
                let (a, b): (Vector, Vector) = (load(from, 0), load(from, VECTOR));
                let (c, d): (Vector, Vector) =
                    (load(from, len - 2 * VECTOR), load(from, len - VECTOR));
                store(to, 0, a);
                store(to, VECTOR, b);
                store(to, len - 2 * VECTOR, c);
                store(to, len - VECTOR, d);
                return;
            }
            // Forwards is right unless the destination begins within the source.
            let distance = (to as usize).wrapping_sub(from as usize);
            if distance >= len {
                #[cfg(target_arch = "x86_64")]
                if len >= STRING && distance.wrapping_neg() >= len {
                    return copy_string(to, from, len);
                }
                // The head and the last block are loaded first and stored last.
                let head: Vector = load(from, 0);
                let last = load_block(from, len - BLOCK);
                let mut at = VECTOR - (to as usize) % VECTOR;
                while at < len - BLOCK {
                    store_block(to, at, super::not_a_call(load_block(from, at)));
                    at += BLOCK;
                }
                store_block(to, len - BLOCK, last);
                store(to, 0, head);
            } else {
                let first = load_block(from, 0);
                let tail: Vector = load(from, len - VECTOR);
                let mut end = len - (to as usize + len) % VECTOR;
                while end > BLOCK {
                    end -= BLOCK;
                    store_block(to, end, super::not_a_call(load_block(from, end)));
                }
                store(to, len - VECTOR, tail);
                store_block(to, 0, first);
            }
        }
    }

    /// Copies forwards by the machine's own instruction.
    #[cfg(target_arch = "x86_64")]
    #[inline(always)]
    pub(super) unsafe fn copy_string(to: *mut u8, from: *const u8, len: usize) {
        // SAFETY: by contract of the callers.
        unsafe {
            core::arch::asm!(
                "rep movsb",
                inout("rcx") len => _, inout("rdi") to => _, inout("rsi") from => _,
                options(nostack, preserves_flags),
            );
        }
    }

    #[inline(always)]
    pub(super) unsafe fn fill(to: *mut u8, byte: u8, len: usize) {
        let eight = u64::from(byte) * 0x0101_0101_0101_0101;
        // SAFETY: each size is filled by stores within the range.
        unsafe {
            if len >= VECTOR {
                let vector: Vector = core::mem::transmute([eight, eight]);
                #[cfg(target_arch = "x86_64")]
                if len >= STRING {
                    core::arch::asm!(
                        "rep stosb",
                        inout("rcx") len => _, inout("rdi") to => _, in("al") byte,
                        options(nostack, preserves_flags),
                    );
                    return;
                }
                store(to, 0, vector);
                store(to, len - VECTOR, vector);
                if len > 2 * VECTOR {
                    store(to, VECTOR, vector);
                    store(to, len - 2 * VECTOR, vector);
                    let block = (vector, vector, vector, vector);
                    let mut at = VECTOR - (to as usize) % VECTOR;
                    while at + BLOCK <= len {
                        store_block(to, at, super::not_a_call(block));
                        at += BLOCK;
                    }
                    if len >= BLOCK {
                        store_block(to, len - BLOCK, block);
                    }
                }
            } else if len >= 8 {
                store(to, 0, eight);
                store(to, len - 8, eight);
            } else if len >= 4 {
                store(to, 0, eight as u32);
                store(to, len - 4, eight as u32);
            } else if len >= 2 {
                store(to, 0, eight as u16);
                store(to, len - 2, eight as u16);
            } else if len == 1 {
                *to = byte;
            }
        }
    }
}

#[cfg(any(test, target_arch = "riscv64"))]
mod word {
    const WORD: usize = size_of::<u64>();

    /// The word at an aligned address.
    #[inline(always)]
    unsafe fn load(from: *const u8) -> u64 {
        // SAFETY: by contract of the callers.
        super::not_a_call(unsafe { from.cast::<u64>().read() })
    }

    #[inline(always)]
    unsafe fn store(to: *mut u8, value: u64) {
        // SAFETY: by contract of the callers.
        unsafe { to.cast::<u64>().write(value) }
    }

    #[inline(always)]
    pub(super) unsafe fn copy(to: *mut u8, from: *const u8, len: usize) {
        // Forwards is right unless the destination begins within the source.
        // SAFETY: by contract.
        unsafe {
            if (to as usize).wrapping_sub(from as usize) >= len {
                forwards(to, from, len);
            } else {
                backwards(to, from, len);
            }
        }
    }

    #[inline(always)]
    unsafe fn forwards(mut to: *mut u8, mut from: *const u8, mut len: usize) {
        // SAFETY: every step stays within `len`; words are loaded and stored at aligned addresses. A word
        // that holds a byte of the source may be loaded whole: it lies within one page.
        unsafe {
            if len >= 4 * WORD {
                while !(to as usize).is_multiple_of(WORD) {
                    *to = super::not_a_call(*from);
                    (to, from, len) = (to.add(1), from.add(1), len - 1);
                }
                let shift = (from as usize % WORD * 8) as u32;
                if shift == 0 {
                    while len >= 4 * WORD {
                        let words = (load(from), load(from.add(WORD)));
                        let more = (load(from.add(2 * WORD)), load(from.add(3 * WORD)));
                        store(to, words.0);
                        store(to.add(WORD), words.1);
                        store(to.add(2 * WORD), more.0);
                        store(to.add(3 * WORD), more.1);
                        (to, from, len) = (to.add(4 * WORD), from.add(4 * WORD), len - 4 * WORD);
                    }
                    while len >= WORD {
                        store(to, load(from));
                        (to, from, len) = (to.add(WORD), from.add(WORD), len - WORD);
                    }
                } else {
                    // Each word of the destination comes from two of the source. The second is loaded only
                    // when it holds a byte of the source, which `len > WORD` makes sure of.
                    let mut aligned = from.wrapping_sub(from as usize % WORD);
                    let mut low = load(aligned);
                    while len > 2 * WORD {
                        let high = load(aligned.add(WORD));
                        store(to, low >> shift | high << (64 - shift));
                        low = high;
                        aligned = aligned.add(WORD);
                        (to, from, len) = (to.add(WORD), from.add(WORD), len - WORD);
                    }
                }
            }
            while len != 0 {
                *to = super::not_a_call(*from);
                (to, from, len) = (to.add(1), from.add(1), len - 1);
            }
        }
    }

    #[inline(always)]
    unsafe fn backwards(to: *mut u8, from: *const u8, mut len: usize) {
        // SAFETY: as in `forwards`.
        unsafe {
            if len >= 4 * WORD {
                while !(to.add(len) as usize).is_multiple_of(WORD) {
                    len -= 1;
                    *to.add(len) = super::not_a_call(*from.add(len));
                }
                let shift = (from.add(len) as usize % WORD * 8) as u32;
                if shift == 0 {
                    while len >= WORD {
                        len -= WORD;
                        store(to.add(len), load(from.add(len)));
                    }
                } else {
                    let mut aligned = from.add(len).wrapping_sub(from.add(len) as usize % WORD);
                    let mut high = load(aligned);
                    while len > 2 * WORD {
                        aligned = aligned.wrapping_sub(WORD);
                        let low = load(aligned);
                        len -= WORD;
                        store(to.add(len), low >> shift | high << (64 - shift));
                        high = low;
                    }
                }
            }
            while len != 0 {
                len -= 1;
                *to.add(len) = super::not_a_call(*from.add(len));
            }
        }
    }

    #[inline(always)]
    pub(super) unsafe fn fill(mut to: *mut u8, byte: u8, mut len: usize) {
        // SAFETY: every step stays within `len`; words are stored at aligned addresses.
        unsafe {
            if len >= 2 * WORD {
                while !(to as usize).is_multiple_of(WORD) {
                    *to = super::not_a_call(byte);
                    (to, len) = (to.add(1), len - 1);
                }
                let eight = u64::from(byte) * 0x0101_0101_0101_0101;
                while len >= 4 * WORD {
                    let eight = super::not_a_call(eight);
                    for index in 0..4 {
                        store(to.add(index * WORD), eight);
                    }
                    (to, len) = (to.add(4 * WORD), len - 4 * WORD);
                }
                while len >= WORD {
                    store(to, super::not_a_call(eight));
                    (to, len) = (to.add(WORD), len - WORD);
                }
            }
            while len != 0 {
                *to = super::not_a_call(byte);
                (to, len) = (to.add(1), len - 1);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    type Copy = unsafe fn(*mut u8, *const u8, usize);
    type Fill = unsafe fn(*mut u8, u8, usize);
    const COPIES: [(&str, Copy); 2] =
        [("vector", super::vector::copy), ("word", super::word::copy)];
    const FILLS: [(&str, Fill); 2] = [("vector", super::vector::fill), ("word", super::word::fill)];

    fn pattern(len: usize) -> Vec<u8> {
        (0..len)
            .map(|index| (index * 7 + index / 251) as u8)
            .collect()
    }

    /// Moves within one buffer and compares with std.
    fn check_copy(name: &str, copy: Copy, to: usize, from: usize, len: usize) {
        let mut ours = pattern(to.max(from) + len + 16);
        let mut theirs = ours.clone();
        theirs.copy_within(from..from + len, to);
        let start = ours.as_mut_ptr();
        // SAFETY: both ranges lie in the buffer.
        unsafe { copy(start.add(to), start.add(from), len) };
        assert_eq!(ours, theirs, "{name}: {len} bytes from {from} to {to}");
    }

    #[test]
    fn copies_agree_with_std() {
        for (name, copy) in COPIES {
            for len in 0..200 {
                for to in 16..33 {
                    for from in 8..41 {
                        check_copy(name, copy, to, from, len);
                    }
                    check_copy(name, copy, to, 300, len);
                    check_copy(name, copy, 300 + to, to % 5, len);
                }
            }
            for len in [255, 256, 1000, 1023, 1024, 1025, 5000] {
                for (to, from) in [
                    (16, 17),
                    (17, 16),
                    (3, 6000),
                    (6000, 3),
                    (9, 1500),
                    (1500, 9),
                    (64, 0),
                ] {
                    check_copy(name, copy, to, from, len);
                }
            }
        }
    }

    #[test]
    fn fills_agree_with_std() {
        for (name, fill) in FILLS {
            for len in (0..300).chain([1023, 1024, 1025, 5000]) {
                for to in 16..33 {
                    let mut ours = pattern(to + len + 40);
                    let mut theirs = ours.clone();
                    theirs[to..to + len].fill(0xa5);
                    // SAFETY: the range lies in the buffer.
                    unsafe { fill(ours.as_mut_ptr().add(to), 0xa5, len) };
                    assert_eq!(ours, theirs, "{name}: {len} bytes at {to}");
                }
            }
        }
    }

    #[test]
    fn comparison_tells_the_first_difference() {
        for (a, b) in [
            ("", ""),
            ("a", "b"),
            ("ab", "aa"),
            ("same", "same"),
            ("\u{80}", "a\u{0}"),
        ] {
            let len = a.len().min(b.len());
            let (a, b) = (&a.as_bytes()[..len], &b.as_bytes()[..len]);
            // SAFETY: both are `len` bytes long.
            let ours = unsafe { super::compare(a.as_ptr(), b.as_ptr(), len) };
            assert_eq!(ours.signum(), a.cmp(b) as i32);
        }
    }
}
