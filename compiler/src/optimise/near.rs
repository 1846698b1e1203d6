//! Traps beside what leads to them, for the cheaper register allocator.
//!
//! In: a function as CLIF. Out: the same, in another order. The code generator orders blocks so that the first of two ways
//! comes behind all that the second leads to. What a block at the end uses is then alive over all blocks between, and the
//! cheaper allocator looks at all that is alive wherever a block begins: 70,000 indirect calls, each with a block that
//! tells why it traps, took 14 s. Machine code of cold blocks stands at the end in any case.

use cranelift_codegen::cursor::{Cursor, FuncCursor};
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{Block, Function, InstBuilder, InstructionData, Opcode};

/// Makes blocks that only trap the second way of the branches to them.
pub(crate) fn traps_second(func: &mut Function) {
    let traps: Vec<bool> = {
        let is_trap = |block: Block| {
            let last = func.layout.last_inst(block);
            func.layout.is_cold(block)
                && last.is_some_and(|inst| func.dfg.insts[inst].opcode() == Opcode::Trap)
        };
        let blocks = 0..func.dfg.num_blocks() as u32;
        blocks
            .map(|block| is_trap(Block::from_u32(block)))
            .collect()
    };
    let mut at = func.layout.entry_block();
    while let Some(block) = at {
        at = func.layout.next_block(block);
        let Some(last) = func.layout.last_inst(block) else {
            continue;
        };
        let InstructionData::Brif {
            opcode,
            arg,
            blocks: [first, second],
        } = func.dfg.insts[last]
        else {
            continue;
        };
        let is_trap = |block: Block| traps[block.as_u32() as usize];
        let lists = &func.dfg.value_lists;
        if is_trap(first.block(lists)) && !is_trap(second.block(lists)) {
            let mut pos = FuncCursor::new(func).at_inst(last);
            let arg = pos.ins().icmp_imm_u(IntCC::Equal, arg, 0);
            func.dfg.insts[last] = InstructionData::Brif {
                opcode,
                arg,
                blocks: [second, first],
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cranelift_codegen::ir::{TrapCode, types};

    #[test]
    fn only_cold_traps_are_moved() {
        let code = TrapCode::user(1).expect("a code");
        let mut func = Function::new();
        let [entry, fail, next, warm, end] = [(); 5].map(|()| func.dfg.make_block());
        let mut pos = FuncCursor::new(&mut func);
        pos.insert_block(entry);
        let value = pos.ins().iconst(types::I32, 1);
        pos.ins().brif(value, fail, &[], next, &[]);
        pos.insert_block(next);
        pos.ins().brif(value, warm, &[], end, &[]);
        for block in [fail, warm] {
            pos.insert_block(block);
            pos.ins().trap(code);
        }
        pos.insert_block(end);
        pos.ins().return_(&[]);
        func.layout.set_cold(fail);
        traps_second(&mut func);
        let text = func.display().to_string();
        let lines: Vec<&str> = text.lines().map(str::trim).collect();
        assert!(lines.iter().any(|line| line.contains(" = icmp")), "{text}");
        let branch = |line: &&&str| line.starts_with("brif");
        let branches: Vec<&&str> = lines.iter().filter(branch).collect();
        assert!(branches[0].contains("block2, block1"), "{text}");
        assert!(branches[1].contains("v0, block3, block4"), "{text}");
    }
}
