//! No `test` of a register whose flags are set already.
//!
//! In: the pieces of a function. Out: the same, without `test r, r` directly behind an `and`, `or` or `xor` of the
//! same width into `r`: both clear CF and OF and set SF, ZF and PF from the value (Intel SDM volume 2).

use super::machine::{Kind, Piece, targets};

/// Leaves such tests out. `entries` are offsets that are reached in other ways than by branches.
pub(super) fn drop_tests(pieces: &mut [Piece], entries: &[u32]) {
    let targets = targets(pieces, entries);
    for i in 1..pieces.len() {
        let [before, piece] = &mut pieces[i - 1..=i] else {
            continue;
        };
        let (Kind::Instruction(logical), Kind::Instruction(test)) = (&before.kind, &mut piece.kind)
        else {
            continue;
        };
        if let Some(tested) = tested(test.bytes())
            && result_of_logical(logical.bytes()) == Some(tested)
            && targets.binary_search(&piece.old).is_err()
        {
            test.replace(&[]);
        }
    }
}

/// A general register, and whether all 64 bits of it are meant.
type Operand = (u8, bool);

/// REX prefix (0 where there is none) and the bytes behind it.
fn split_rex(bytes: &[u8]) -> (u8, &[u8]) {
    match bytes {
        [rex @ 0x40..=0x4f, rest @ ..] => (*rex, rest),
        _ => (0, bytes),
    }
}

fn reg(rex: u8, modrm: u8) -> u8 {
    (modrm >> 3 & 7) | (rex & 4) << 1
}

fn rm(rex: u8, modrm: u8) -> u8 {
    (modrm & 7) | (rex & 1) << 3
}

/// The register of `test r, r`.
fn tested(bytes: &[u8]) -> Option<Operand> {
    match split_rex(bytes) {
        (rex, &[0x85, modrm]) if modrm >> 6 == 3 && reg(rex, modrm) == rm(rex, modrm) => {
            Some((rm(rex, modrm), rex & 8 != 0))
        }
        _ => None,
    }
}

/// The register that an `and`, `or` or `xor` of 32 or 64 bits writes.
fn result_of_logical(bytes: &[u8]) -> Option<Operand> {
    let (rex, rest) = split_rex(bytes);
    let (&opcode, &modrm) = (rest.first()?, rest.get(1)?);
    let register = match opcode {
        0x23 | 0x0b | 0x33 => reg(rex, modrm),
        0x21 | 0x09 | 0x31 if modrm >> 6 == 3 => rm(rex, modrm),
        0x81 | 0x83 if modrm >> 6 == 3 && matches!(modrm >> 3 & 7, 1 | 4 | 6) => rm(rex, modrm),
        _ => return None,
    };
    Some((register, rex & 8 != 0))
}

#[cfg(test)]
mod tests {
    use super::super::machine::{function, optimise};

    fn optimised(code: &[u8]) -> Vec<u8> {
        let mut f = function(code);
        optimise(&mut f, &[0]);
        f.code
    }

    #[test]
    fn a_test_behind_its_own_flags_goes() {
        for logical in [
            &[0x23, 0xc1][..],            // and eax, ecx
            &[0x09, 0xc8],                // or eax, ecx
            &[0x83, 0xf0, 0x07],          // xor eax, 7
            &[0x23, 0x87, 0, 0, 0, 0x10], // and eax, [rdi + 0x10000000]
        ] {
            let code = [logical, &[0x85, 0xc0, 0xc3]].concat();
            assert_eq!(optimised(&code), [logical, &[0xc3]].concat());
        }
        let wide = [0x49, 0x23, 0xc0, 0x48, 0x85, 0xc0, 0xc3]; // and rax, r8; test rax, rax
        assert_eq!(optimised(&wide), [0x49, 0x23, 0xc0, 0xc3]);
    }

    #[test]
    fn a_test_of_something_else_stays() {
        for code in [
            &[0x23, 0xc1, 0x85, 0xc9, 0xc3][..], // and eax, ecx; test ecx, ecx
            &[0x23, 0xc1, 0x48, 0x85, 0xc0, 0xc3], // and eax, ecx; test rax, rax
            &[0x48, 0x23, 0xc1, 0x85, 0xc0, 0xc3], // and rax, rcx; test eax, eax
            &[0x23, 0xc1, 0x85, 0xc8, 0xc3],     // and eax, ecx; test eax, ecx
            &[0x83, 0xe8, 0x01, 0x85, 0xc0, 0xc3], // sub eax, 1; test eax, eax
            &[0x41, 0x23, 0xc1, 0x45, 0x85, 0xc0, 0xc3], // and eax, r9d; test r8d, r8d
        ] {
            assert_eq!(optimised(code), code);
        }
    }

    #[test]
    fn a_test_that_is_branched_to_stays() {
        // je to the test; and eax, ecx; test eax, eax; ret
        let mut f = function(&[0x0f, 0x84, 2, 0, 0, 0, 0x23, 0xc1, 0x85, 0xc0, 0xc3]);
        optimise(&mut f, &[0]);
        assert_eq!(f.code, [0x74, 2, 0x23, 0xc1, 0x85, 0xc0, 0xc3]);
    }
}
