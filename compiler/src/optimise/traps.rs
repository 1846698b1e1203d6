//! One trap instruction for each reason, in place of one for each site.
//!
//! In: the pieces of a function and its traps. Out: branches to a trap lead to the function's first trap of the same
//! code; those that nothing leads to any more are left out, and so are their entries in the trap table. A backtrace
//! names functions, not lines: nothing is lost.

use super::frame::Role;
use super::machine::{Kind, Piece};
use elfin_abi::trap::TrapCode;

/// Merges traps. Returns the old offsets of those that are left out, ascending. What stands at one of `entries`
/// (ascending) is reached in other ways than by branches, and stays.
pub(super) fn merge(pieces: &mut [Piece], traps: &[(u32, TrapCode)], entries: &[u32]) -> Vec<u32> {
    let code_at = |offset: u32| {
        traps
            .binary_search_by_key(&offset, |t| t.0)
            .ok()
            .map(|i| traps[i].1)
    };
    // Trap instructions at which only branches arrive.
    let mut kept: Vec<(TrapCode, u32)> = Vec::new();
    let mut replaced: Vec<(u32, u32)> = Vec::new();
    for i in 1..pieces.len() {
        let is_trap = matches!(&pieces[i].kind, Kind::Instruction(e) if e.role == Role::Trap);
        if !is_trap || !pieces[i - 1].ends() {
            continue;
        }
        let offset = pieces[i].old;
        let Some(code) = code_at(offset) else {
            continue;
        };
        match kept.iter().find(|(c, _)| *c == code) {
            Some((_, first)) if entries.binary_search(&offset).is_err() => {
                replaced.push((offset, *first))
            }
            Some(_) => {}
            None => kept.push((code, offset)),
        }
    }
    if replaced.is_empty() {
        return Vec::new();
    }
    let new_target = |target: u32| {
        replaced
            .binary_search_by_key(&target, |r| r.0)
            .ok()
            .map(|i| replaced[i].1)
    };
    for piece in pieces.iter_mut() {
        match &mut piece.kind {
            Kind::Branch { target, .. } => *target = new_target(*target).unwrap_or(*target),
            Kind::Table(targets) => {
                for target in targets {
                    *target = new_target(*target).unwrap_or(*target);
                }
            }
            Kind::Instruction(encoded)
                if encoded.role == Role::Trap && new_target(piece.old).is_some() =>
            {
                encoded.replace(&[]);
            }
            Kind::Instruction(_) | Kind::Pool => {}
        }
    }
    replaced.into_iter().map(|(offset, _)| offset).collect()
}

#[cfg(test)]
mod tests {
    use super::super::machine::{function, optimise};
    use elfin_abi::trap::TrapCode;

    #[test]
    fn traps_of_one_code_are_one() {
        // je A; jb B; ja C; ret; A: ud2; B: ud2; C: ud2
        let code = [
            0x0f, 0x84, 13, 0, 0, 0, 0x0f, 0x82, 9, 0, 0, 0, 0x0f, 0x87, 5, 0, 0, 0, 0xc3, 0x0f,
            0x0b, 0x0f, 0x0b, 0x0f, 0x0b,
        ];
        let mut f = function(&code);
        f.traps = vec![
            (19, TrapCode::Unreachable),
            (21, TrapCode::IntegerOverflow),
            (23, TrapCode::Unreachable),
        ];
        optimise(&mut f, &[0, 6, 12, 18]);
        assert_eq!(
            f.code,
            [0x74, 5, 0x72, 5, 0x77, 1, 0xc3, 0x0f, 0x0b, 0x0f, 0x0b]
        );
        assert_eq!(
            f.traps,
            [(7, TrapCode::Unreachable), (9, TrapCode::IntegerOverflow)]
        );
    }

    #[test]
    fn a_trap_that_code_runs_into_stays() {
        // je A; ud2; A: nop; ud2
        let code = [0x0f, 0x84, 2, 0, 0, 0, 0x0f, 0x0b, 0x90, 0x0f, 0x0b];
        let mut f = function(&code);
        f.traps = vec![(6, TrapCode::Unreachable), (9, TrapCode::Unreachable)];
        optimise(&mut f, &[0, 6, 8]);
        assert_eq!(f.code, [0x74, 2, 0x0f, 0x0b, 0x90, 0x0f, 0x0b]);
        assert_eq!(f.traps.len(), 2);
    }
}
