//! How large a function may become while it is translated.
//!
//! In: a function that is being translated. Out: whether it is beyond a limit. Some operators are few bytes and much
//! CLIF: a loop in a type of 1,000 parameters has 1,000 values, and a local that is set in one of many blocks becomes
//! a parameter of all blocks behind. Without limits some kilobytes could take all memory there is. The largest function
//! of CPython, Ruby and Yosys has 870,134 values.

use super::locals::Local;
use super::{Translator, ir_config};
use crate::error::{Error, Result};
use wasmparser::Operator;

/// Most values, those included that turn out to be the same.
const MAX_VALUES: usize = 1 << 24;

/// Most instructions. The largest function of those programs has 114,284.
const MAX_INSTRUCTIONS: usize = 1 << 22;

/// Most calls that the module has in it: what the code generator keeps for one is 700 bytes.
const MAX_CALLS: u32 = 1 << 20;

/// Most blocks; the most of those programs is 16,675. To find out which value a local has, bits for all blocks are cleared:
/// that takes the square of the blocks.
const MAX_BLOCKS: usize = 1 << 21;

/// Most operands, arguments and results of instructions, taken together, in the space that they take: some of it is never
/// used. Of those programs a function of Ruby has the most, 2²¹.
const MAX_OPERANDS: usize = 1 << 26;

/// Most pairs of a local and a block: what locals are in blocks is kept in an array for each local, up to the last
/// block that has it.
const MAX_LOCALS_IN_BLOCKS: u64 = 1 << 27;

/// What locals are in which blocks.
#[derive(Debug, Default)]
pub(super) struct LocalBlocks {
    /// One past the last block that has the local.
    ends: Vec<u32>,
    /// All of them, taken together.
    sum: u64,
}

impl LocalBlocks {
    fn touch(&mut self, local: usize, block: u32) {
        if self.ends.len() <= local {
            self.ends.resize(local + 1, 0);
        }
        let end = &mut self.ends[local];
        if block >= *end {
            self.sum += u64::from(block + 1 - *end);
            *end = block + 1;
        }
    }
}

impl Translator<'_, '_> {
    /// A local, of which is noted that the current block has it.
    pub(super) fn touch_local(&mut self, index: u32) -> Local {
        let local = self.locals.get(index);
        if let Some(block) = self.builder.current_block() {
            self.local_blocks.touch(local.slot, block.as_u32());
        }
        local
    }

    /// Ends a function that evaluated constant expressions.
    ///
    /// # Errors
    /// [`Error::LimitExceeded`] when one of them was too large.
    pub(super) fn finish(mut self) -> Result<()> {
        if let Some((instance, message)) = self.too_large {
            let module = self.env.program.instances[instance.index()].module;
            return Err(Error::LimitExceeded {
                message: format!("in constant expressions, {message}"),
                place: module.place(),
            });
        }
        self.builder.seal_all_blocks();
        self.builder.finalize(ir_config());
        Ok(())
    }

    /// Counts calls.
    pub(super) fn count_calls_of(&mut self, operator: &Operator<'_>) {
        let calls = matches!(
            operator,
            Operator::Call { .. }
                | Operator::CallIndirect { .. }
                | Operator::CallRef { .. }
                | Operator::ReturnCall { .. }
                | Operator::ReturnCallIndirect { .. }
                | Operator::ReturnCallRef { .. }
        );
        self.calls += u32::from(calls);
    }

    /// Why the function is not translated any further.
    pub(super) fn exceeded(&self) -> Option<&'static str> {
        let dfg = &self.builder.func.dfg;
        if self.has_too_many_handlers() {
            Some("the calls of the function have too many exception handlers")
        } else if self.roots.too_many() {
            Some("the function has too many references alive where garbage may be collected")
        } else if dfg.num_insts() > MAX_INSTRUCTIONS {
            Some("the function has too many instructions")
        } else if self.calls > MAX_CALLS {
            Some("the function has too many calls")
        } else if dfg.num_blocks() > MAX_BLOCKS {
            Some("the function has too many blocks")
        } else if dfg.num_values() > MAX_VALUES {
            Some(
                "the function has too many values: parameters of blocks, and locals that differ by where one comes from",
            )
        } else if dfg.value_lists.capacity() > MAX_OPERANDS {
            Some("the instructions of the function have too many operands")
        } else if self.local_blocks.sum > MAX_LOCALS_IN_BLOCKS {
            Some("the function has too many locals in too many blocks")
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::LocalBlocks;

    #[test]
    fn a_local_counts_up_to_its_last_block() {
        let mut blocks = LocalBlocks::default();
        for (local, block) in [(0, 3), (2, 0), (0, 1), (0, 9), (2, 4)] {
            blocks.touch(local, block);
        }
        assert_eq!(blocks.sum, 10 + 5);
    }
}
