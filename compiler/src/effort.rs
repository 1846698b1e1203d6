//! How much work the code generator puts into a function.
//!
//! In: a function as CLIF. Out: [`Effort`], from nothing but the function's size and shape, so that it is the same
//! each time. The good register allocator takes time that grows faster than the function; what no compiler emits
//! (sizes: `docs/limits.md`) gets the one that goes over the code once. Its code is right and slower.

use cranelift_codegen::ir::{Block, Function, Inst, Opcode};

/// Most instructions that the good allocator is given. The largest function of CPython, Ruby and Yosys has 114,284.
const MAX_INSTRUCTIONS: usize = 1 << 20;

/// Most blocks; the most of those programs is 16,675.
const MAX_BLOCKS: usize = 1 << 17;

/// Most steps for values that come together: a block's parameter is made one with what each branch brings, and every
/// time all that is one already is gone through. 40,000 branches with one value to one block are 1.6 · 10⁹ steps.
const MAX_MERGING: u64 = 1 << 28;

/// Most steps to take branches back: when the optimiser finds that blocks cannot be reached, it goes through all
/// branches to where each of them leads.
const MAX_TAKING_BACK: u64 = 1 << 28;

/// Most steps of the cheaper allocator for what cold blocks use: they stand at the end, so that it is alive over all
/// blocks between, and is looked at wherever one begins. 70,000 indirect calls take 4 s with the good allocator, and
/// with the cheaper one more than 14. (Landing pads and calls of the collector are cold as well, and use nothing from before.)
const MAX_FAR_AWAY: u64 = 1 << 30;

/// What a function is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effort {
    /// As the options say.
    Full,
    /// A cheaper register allocator.
    Quick,
    /// And no optimiser.
    Least,
}

/// The effort for a function.
#[must_use]
pub fn of(func: &Function) -> Effort {
    let dfg = &func.dfg;
    let large = dfg.num_insts() > MAX_INSTRUCTIONS || dfg.num_blocks() > MAX_BLOCKS;
    let (merging, taking_back) = coming_together(func);
    if taking_back > MAX_TAKING_BACK {
        Effort::Least
    } else if merging > MAX_MERGING || large && far_away(func) <= MAX_FAR_AWAY {
        Effort::Quick
    } else {
        Effort::Full
    }
}

/// Pairs of a cold block that ends in a trap, which tests what the call in front of it would have used, and any block.
fn far_away(func: &Function) -> u64 {
    let traps = |block: &Block| {
        let last = func.layout.last_inst(*block);
        let trap = last.is_some_and(|inst| func.dfg.insts[inst].opcode() == Opcode::Trap);
        trap && func.layout.is_cold(*block)
    };
    let cold = func.layout.blocks().filter(traps).count() as u64;
    cold * func.dfg.num_blocks() as u64
}

/// The squares of how many branches lead to a block, over all blocks: times its parameters, and as they are.
fn coming_together(func: &Function) -> (u64, u64) {
    let dfg = &func.dfg;
    let mut branches = vec![0_u32; dfg.num_blocks()];
    let mut count = |inst: Inst| {
        for call in dfg.insts[inst].branch_destination(&dfg.jump_tables, &dfg.exception_tables) {
            branches[call.block(&dfg.value_lists).as_u32() as usize] += 1;
        }
    };
    for block in func.layout.blocks() {
        if let Some(last) = func.layout.last_inst(block) {
            count(last);
        }
    }
    func.layout.blocks().fold((0, 0), |(merging, all), block| {
        let square = u64::from(branches[block.as_u32() as usize]).pow(2);
        let params = dfg.num_block_params(block) as u64;
        (
            merging.saturating_add(params.saturating_mul(square)),
            all.saturating_add(square),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use cranelift_codegen::cursor::{Cursor, FuncCursor};
    use cranelift_codegen::ir::{BlockArg, InstBuilder, types};

    /// A function of `branches` blocks that each bring `values` to one block.
    fn fan_in(branches: usize, values: usize) -> Function {
        let mut func = Function::new();
        let end = func.dfg.make_block();
        for _ in 0..values {
            func.dfg.append_block_param(end, types::I32);
        }
        let mut pos = FuncCursor::new(&mut func);
        for _ in 0..branches {
            let block = pos.func.dfg.make_block();
            pos.insert_block(block);
            let value = pos.ins().iconst(types::I32, 1);
            pos.ins().jump(end, &vec![BlockArg::Value(value); values]);
        }
        pos.insert_block(end);
        pos.ins().return_(&[]);
        func
    }

    #[test]
    fn what_comes_together_is_squared() {
        assert_eq!(coming_together(&fan_in(3, 2)), (18, 9));
        assert_eq!(of(&fan_in(1 << 13, 4)), Effort::Full);
        assert_eq!(of(&fan_in((1 << 13) + 1, 4)), Effort::Quick);
        assert_eq!(of(&fan_in((1 << 14) + 1, 0)), Effort::Least);
    }

    #[test]
    fn large_functions_are_compiled_quickly() {
        let straight = |instructions: usize| {
            let mut func = Function::new();
            let block = func.dfg.make_block();
            let mut pos = FuncCursor::new(&mut func);
            pos.insert_block(block);
            for _ in 0..instructions {
                pos.ins().iconst(types::I32, 1);
            }
            func
        };
        assert_eq!(of(&straight(MAX_INSTRUCTIONS)), Effort::Full);
        assert_eq!(of(&straight(MAX_INSTRUCTIONS + 1)), Effort::Quick);
    }
}
