//! How much work the code generator puts into a function.
//!
//! In: a function as CLIF. Out: [`Effort`], from nothing but the function's size and shape, so that it is the same
//! each time. The good register allocator takes time that grows faster than the function; what no compiler emits
//! (sizes: `docs/limits.md`) gets the one that goes over the code once. Its code is right and slower.

use cranelift_codegen::ir::{Function, Inst};

/// Most instructions that the good allocator is given. The largest function of CPython, Ruby and Yosys has 114,284.
const MAX_INSTRUCTIONS: usize = 1 << 19;

/// How many instructions a call is worth: the good allocator keeps a range in an ordered map for each register that a
/// call does not keep. A million calls took 1.4 GB.
const CALL: usize = 4;

/// Most blocks; the most of those programs is 16,675.
const MAX_BLOCKS: usize = 1 << 17;

/// Most steps for values that come together: a block's parameter is made one with what each branch brings, and every
/// time all that is one already is gone through. 40,000 branches with one value to one block are 1.6 · 10⁹ steps.
const MAX_MERGING: u64 = 1 << 28;

/// Most steps to take branches back: when the optimiser finds that blocks cannot be reached, it goes through all
/// branches to where each of them leads.
const MAX_TAKING_BACK: u64 = 1 << 28;

/// Most steps for the ends of tables of branches: each gets a block of its own, nearly all of these turn out to be empty,
/// and to list where the others begin all empty ones before are gone through for each. 500 tables of 10,000 took 20 s.
const MAX_EMPTY: u64 = 1 << 30;

/// Most steps of the optimiser for loops in loops: to find out how far an instruction may be moved it goes through all
/// that it stands in, and from each of them through those that another one stands in. An addition in each of 10,000
/// nested loops took more than 38 s.
const MAX_NESTED: u64 = 1 << 30;

/// Most arguments of branches, each of which is a move in machine code: 50,000 calls in a `try` with 200 locals took 4 GB.
/// All operands of Ruby's largest function are a quarter.
const MAX_MOVES: u64 = 1 << 23;

/// What a function is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effort {
    /// As the options say.
    Full,
    /// A cheaper register allocator, and machine code is left as the code generator wrote it.
    Quick,
    /// And no optimiser.
    Least,
}

/// The effort for a function; `None` if it is not compiled at all.
#[must_use]
pub fn of(func: &Function) -> Option<Effort> {
    let dfg = &func.dfg;
    let large = weight(func) > MAX_INSTRUCTIONS || dfg.num_blocks() > MAX_BLOCKS;
    let (moves, merging, taking_back) = coming_together(func);
    if moves > MAX_MOVES {
        return None;
    }
    Some(
        if large || taking_back > MAX_TAKING_BACK || nested(func) > MAX_NESTED {
            Effort::Least
        } else if merging > MAX_MERGING || empty(func) > MAX_EMPTY {
            Effort::Quick
        } else {
            Effort::Full
        },
    )
}

/// How many instructions there are, with what calls are worth.
fn weight(func: &Function) -> usize {
    let dfg = &func.dfg;
    let all = dfg.num_insts();
    // Most functions are too small for any calls to matter.
    if all * CALL <= MAX_INSTRUCTIONS {
        return all;
    }
    let insts = func
        .layout
        .blocks()
        .flat_map(|b| func.layout.block_insts(b));
    let calls = insts
        .filter(|inst| dfg.insts[*inst].opcode().is_call())
        .count();
    all + calls * (CALL - 1)
}

/// The squares of how many ends each table of branches has.
fn empty(func: &Function) -> u64 {
    let tables = func.dfg.jump_tables.values();
    tables
        .map(|table| (table.all_branches().len() as u64).pow(2))
        .sum()
}

/// How many branches lead to a block, over all blocks: times its parameters, squared times its parameters, and squared.
fn coming_together(func: &Function) -> (u64, u64, u64) {
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
    func.layout
        .blocks()
        .fold((0, 0, 0), |(moves, merging, all), block| {
            let branches = u64::from(branches[block.as_u32() as usize]);
            let params = dfg.num_block_params(block) as u64;
            let square = branches * branches;
            (
                moves + params * branches,
                merging.saturating_add(params.saturating_mul(square)),
                all.saturating_add(square),
            )
        })
}

/// The square of how many loops an instruction stands in, over all instructions. A loop goes from where a branch leads back to, to the
/// last of these branches.
fn nested(func: &Function) -> u64 {
    let dfg = &func.dfg;
    let mut positions = vec![u32::MAX; dfg.num_blocks()];
    let mut ends: Vec<u32> = Vec::with_capacity(dfg.num_blocks());
    for (position, block) in (0..).zip(func.layout.blocks()) {
        positions[block.as_u32() as usize] = position;
        ends.push(0);
        let Some(last) = func.layout.last_inst(block) else {
            continue;
        };
        for call in dfg.insts[last].branch_destination(&dfg.jump_tables, &dfg.exception_tables) {
            let target = positions[call.block(&dfg.value_lists).as_u32() as usize];
            if target <= position {
                ends[target as usize] = position + 1;
            }
        }
    }
    if ends.iter().all(|end| *end == 0) {
        return 0;
    }
    let mut leaving = vec![0_u32; ends.len() + 1];
    let (mut depth, mut sum) = (0_u64, 0_u64);
    for (position, block) in func.layout.blocks().enumerate() {
        depth -= u64::from(leaving[position]);
        let end = ends[position] as usize;
        if end != 0 {
            depth += 1;
            leaving[end] += 1;
        }
        if depth != 0 {
            sum += depth * depth * func.layout.block_insts(block).count() as u64;
        }
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;
    use cranelift_codegen::cursor::{Cursor, FuncCursor};
    use cranelift_codegen::ir::{
        Block, BlockArg, BlockCall, ExtFuncData, ExternalName, InstBuilder, JumpTableData, LibCall,
        Signature, types,
    };
    use cranelift_codegen::isa::CallConv;

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
        assert_eq!(coming_together(&fan_in(3, 2)), (6, 18, 9));
        assert_eq!(of(&fan_in(1 << 13, 4)), Some(Effort::Full));
        assert_eq!(of(&fan_in((1 << 13) + 1, 4)), Some(Effort::Quick));
        assert_eq!(of(&fan_in((1 << 14) + 1, 0)), Some(Effort::Least));
    }

    #[test]
    fn moves_are_limited() {
        let values = 1024;
        let branches = MAX_MOVES as usize / values;
        assert!(of(&fan_in(branches, values)).is_some());
        assert_eq!(of(&fan_in(branches + 1, values)), None);
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
        assert_eq!(of(&straight(MAX_INSTRUCTIONS)), Some(Effort::Full));
        assert_eq!(of(&straight(MAX_INSTRUCTIONS + 1)), Some(Effort::Least));
    }

    #[test]
    fn instructions_count_for_the_loops_around_them() {
        // Heads, one after the other, and as many ends that lead back to them; two instructions each.
        let nest = |loops: usize, inside_each_other: bool| {
            let mut func = Function::new();
            let heads: Vec<Block> = (0..=loops).map(|_| func.dfg.make_block()).collect();
            let mut pos = FuncCursor::new(&mut func);
            let back = |pos: &mut FuncCursor<'_>, head: Block| {
                let next = pos.func.dfg.make_block();
                let value = pos.ins().iconst(types::I32, 1);
                pos.ins().brif(value, head, &[], next, &[]);
                pos.insert_block(next);
            };
            for pair in heads.windows(2) {
                pos.insert_block(pair[0]);
                if !inside_each_other {
                    back(&mut pos, pair[0]);
                }
                pos.ins().jump(pair[1], &[]);
            }
            pos.insert_block(heads[loops]);
            for head in heads[..loops].iter().rev() {
                if inside_each_other {
                    back(&mut pos, *head);
                }
            }
            pos.ins().return_(&[]);
            func
        };
        // A jump in a head, a constant and a branch in an end.
        assert_eq!(nested(&nest(3, true)), 1 + 4 + 9 + 2 * (9 + 4 + 1));
        assert_eq!(nested(&nest(3, false)), 3 * 2);
        assert_eq!(nested(&nest(0, true)), 0);
        assert_eq!(of(&nest(1000, true)), Some(Effort::Full));
        assert_eq!(of(&nest(1100, true)), Some(Effort::Least));
        assert_eq!(of(&nest(1100, false)), Some(Effort::Full));
    }

    #[test]
    fn calls_are_worth_more() {
        let calls = |count: usize| {
            let mut func = Function::new();
            let signature = func.import_signature(Signature::new(CallConv::SystemV));
            let name = ExternalName::LibCall(LibCall::Memcpy);
            let data = ExtFuncData {
                name,
                signature,
                colocated: true,
                patchable: false,
            };
            let callee = func.import_function(data);
            let block = func.dfg.make_block();
            let mut pos = FuncCursor::new(&mut func);
            pos.insert_block(block);
            for _ in 0..count {
                pos.ins().call(callee, &[]);
            }
            func
        };
        assert_eq!(of(&calls(MAX_INSTRUCTIONS / CALL)), Some(Effort::Full));
        assert_eq!(of(&calls(MAX_INSTRUCTIONS / CALL + 1)), Some(Effort::Least));
    }

    #[test]
    fn long_tables_leave_empty_blocks() {
        let table = |targets: usize| {
            let mut func = Function::new();
            let ends = [(); 64].map(|()| func.dfg.make_block());
            let block = func.dfg.make_block();
            let mut pos = FuncCursor::new(&mut func);
            pos.insert_block(block);
            let lists = &mut pos.func.dfg.value_lists;
            let calls = ends.map(|end| BlockCall::new(end, [], lists));
            let targets: Vec<BlockCall> = (0..targets).map(|i| calls[i % 64]).collect();
            let table = pos
                .func
                .create_jump_table(JumpTableData::new(calls[0], &targets));
            let index = pos.ins().iconst(types::I32, 1);
            pos.ins().br_table(index, table);
            func
        };
        assert_eq!(of(&table((1 << 15) - 1)), Some(Effort::Full));
        assert_eq!(of(&table(1 << 15)), Some(Effort::Quick));
    }
}
