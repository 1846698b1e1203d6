//! Blocks, branches and returns (core spec, 4.4.8).
//!
//! Each structured instruction has a frame. Code after an unconditional branch is skipped until the frame that
//! it is in ends; only the nesting is counted.

use super::Translator;
use super::exception::{Clause, LegacyTry};
use crate::module::{FuncType, ValType};
use cranelift_codegen::ir::{Block, BlockArg, BlockCall, InstBuilder, JumpTableData, Value};
use cranelift_frontend::FunctionBuilder;
use std::collections::HashMap;
use wasmparser::{BlockType, BrTable};

/// Most targets of a `br_table` that are its own. Whenever a block among them gets one more parameter, all targets are
/// gone through; so the targets of a longer one are blocks that have but one branch to them, and jump on. The code is
/// the same.
const MAX_DIRECT_TARGETS: u32 = 256;

/// Blocks between a long `br_table` and where it leads: one for each different target.
#[derive(Default)]
struct Edges {
    /// Each such block and where it goes, in order.
    all: Vec<(Block, Block)>,
    of: HashMap<Block, Block>,
}

impl Edges {
    /// The block on the way to `target`.
    fn to(&mut self, target: Block, builder: &mut FunctionBuilder<'_>) -> Block {
        *self.of.entry(target).or_insert_with(|| {
            let edge = builder.create_block();
            self.all.push((edge, target));
            edge
        })
    }
}

/// What a frame is.
#[derive(Debug)]
pub(super) enum Kind {
    Block,
    Loop {
        header: Block,
    },
    If {
        otherwise: Block,
        params: Vec<Value>,
    },
    Else,
    /// A `try_table`.
    TryTable(Vec<Clause>),
    /// A `try` of the legacy encoding, in its body or in one of its clauses.
    Try(LegacyTry),
}

/// An entry of the control stack.
#[derive(Debug)]
pub(super) struct Frame {
    pub(super) kind: Kind,
    /// Where the code after the frame's `end` goes on; its parameters are the results.
    exit: Block,
    /// Height of the operand stack below the parameters.
    pub(super) height: usize,
    /// Number of values that a branch to a loop's header takes.
    params: usize,
    /// Number of results.
    results: usize,
    /// Some branch or fall-through leads to `exit`.
    exit_used: bool,
}

impl Translator<'_, '_> {
    /// Parameters and results of a block, as types of the program.
    pub(super) fn block_signature(&self, ty: BlockType) -> (Vec<ValType>, Vec<ValType>) {
        match ty {
            BlockType::Empty => (Vec::new(), Vec::new()),
            BlockType::Type(ty) => (Vec::new(), vec![self.program_type(ty)]),
            BlockType::FuncType(index) => {
                let ty = self.env.program.ty(self.instance.types[index as usize]);
                (ty.params().to_vec(), ty.results().to_vec())
            }
        }
    }

    pub(super) fn block_with(&mut self, params: &[ValType]) -> Block {
        let block = self.builder.create_block();
        for ty in params {
            let param = self
                .builder
                .append_block_param(block, self.env.clif_type(*ty));
            self.note(param, *ty);
        }
        block
    }

    /// The frame of the function itself: its exit returns.
    pub(super) fn enter_function(&mut self, ty: &FuncType) {
        let exit = self.block_with(ty.results());
        self.control.push(Frame {
            kind: Kind::Block,
            exit,
            height: 0,
            params: 0,
            results: ty.results().len(),
            exit_used: false,
        });
    }

    pub(super) fn jump(&mut self, block: Block, values: &[Value]) {
        let args: Vec<BlockArg> = values.iter().map(|v| BlockArg::Value(*v)).collect();
        self.builder.ins().jump(block, &args);
    }

    pub(super) fn block(&mut self, ty: BlockType) {
        let (params, results) = self.block_signature(ty);
        let exit = self.block_with(&results);
        self.push_frame(Kind::Block, exit, params.len(), results.len());
    }

    pub(super) fn loop_(&mut self, ty: BlockType) {
        let (params, results) = self.block_signature(ty);
        let header = self.block_with(&params);
        let exit = self.block_with(&results);
        let args = self.pop_n(params.len());
        self.jump(header, &args);
        self.builder.switch_to_block(header);
        let args = self.builder.block_params(header).to_vec();
        self.stack.extend(args);
        self.push_frame(Kind::Loop { header }, exit, params.len(), results.len());
    }

    pub(super) fn if_(&mut self, ty: BlockType) {
        let condition = self.pop();
        let (params, results) = self.block_signature(ty);
        let then = self.builder.create_block();
        let otherwise = self.builder.create_block();
        let exit = self.block_with(&results);
        self.builder
            .ins()
            .brif(condition, then, &[], otherwise, &[]);
        self.builder.seal_block(then);
        self.builder.seal_block(otherwise);
        self.builder.switch_to_block(then);
        let kept = self.stack[self.stack.len() - params.len()..].to_vec();
        self.push_frame(
            Kind::If {
                otherwise,
                params: kept,
            },
            exit,
            params.len(),
            results.len(),
        );
    }

    pub(super) fn push_frame(&mut self, kind: Kind, exit: Block, params: usize, results: usize) {
        let height = self.stack.len() - params;
        self.control.push(Frame {
            kind,
            exit,
            height,
            params,
            results,
            exit_used: false,
        });
    }

    pub(super) fn else_(&mut self) {
        self.leave_arm();
        let frame = self
            .control
            .last_mut()
            .expect("validated: `else` is in a frame");
        let Kind::If { otherwise, params } = std::mem::replace(&mut frame.kind, Kind::Else) else {
            unreachable!("validated: `else` belongs to an `if`");
        };
        let height = frame.height;
        self.builder.switch_to_block(otherwise);
        self.stack.truncate(height);
        self.stack.extend(params);
        self.reachable = true;
    }

    /// At the end of a frame's code: goes to the exit with the results, if this point is reached.
    pub(super) fn leave_arm(&mut self) {
        if !self.reachable {
            return;
        }
        let frame = self
            .control
            .last_mut()
            .expect("validated: `end` is in a frame");
        frame.exit_used = true;
        let (exit, results) = (frame.exit, frame.results);
        let values = self.pop_n(results);
        self.jump(exit, &values);
    }

    pub(super) fn end(&mut self) {
        self.leave_arm();
        let mut frame = self.control.pop().expect("validated: `end` is in a frame");
        match frame.kind {
            Kind::If { otherwise, params } => {
                // No `else`: the parameters are the results.
                self.builder.switch_to_block(otherwise);
                self.jump(frame.exit, &params);
                frame.exit_used = true;
            }
            Kind::Loop { header } => self.builder.seal_block(header),
            Kind::TryTable(clauses) => {
                self.tries.pop();
                self.landing_pads(&clauses);
            }
            Kind::Try(_) => {
                self.tries.pop();
            }
            Kind::Block | Kind::Else => {}
        }
        self.stack.truncate(frame.height);
        self.builder.seal_block(frame.exit);
        if frame.exit_used {
            self.builder.switch_to_block(frame.exit);
            let results = self.builder.block_params(frame.exit).to_vec();
            self.stack.extend(results);
            self.reachable = true;
        } else {
            self.reachable = false;
        }
        if self.control.is_empty() && self.reachable {
            let results = std::mem::take(&mut self.stack);
            self.builder.ins().return_(&results);
            self.reachable = false;
        }
    }

    /// Where a branch goes and how many values it takes along.
    pub(super) fn target(&mut self, depth: u32) -> (Block, usize) {
        let at = self.control.len() - 1 - depth as usize;
        let frame = &mut self.control[at];
        match frame.kind {
            Kind::Loop { header } => (header, frame.params),
            _ => {
                frame.exit_used = true;
                (frame.exit, frame.results)
            }
        }
    }

    pub(super) fn br(&mut self, depth: u32) {
        let (block, count) = self.target(depth);
        let values = self.pop_n(count);
        self.jump(block, &values);
        self.reachable = false;
    }

    pub(super) fn br_if(&mut self, depth: u32) {
        let condition = self.pop();
        let (block, count) = self.target(depth);
        let args: Vec<BlockArg> = self.stack[self.stack.len() - count..]
            .iter()
            .map(|v| BlockArg::Value(*v))
            .collect();
        let next = self.builder.create_block();
        self.builder.ins().brif(condition, block, &args, next, &[]);
        self.builder.seal_block(next);
        self.builder.switch_to_block(next);
    }

    /// Branches without the reference on top if it is null; otherwise it stays.
    pub(super) fn br_on_null(&mut self, depth: u32) {
        let reference = self.pop();
        let (block, count) = self.target(depth);
        let args = self.branch_args(count);
        let next = self.builder.create_block();
        self.builder.ins().brif(reference, next, &[], block, &args);
        self.builder.seal_block(next);
        self.builder.switch_to_block(next);
        self.push(reference);
    }

    /// Branches with the reference on top if it is not null; otherwise it is gone.
    pub(super) fn br_on_non_null(&mut self, depth: u32) {
        let reference = *self.stack.last().expect("validated: there is a reference");
        let (block, count) = self.target(depth);
        let args = self.branch_args(count);
        let next = self.builder.create_block();
        self.builder.ins().brif(reference, block, &args, next, &[]);
        self.builder.seal_block(next);
        self.builder.switch_to_block(next);
        self.pop();
    }

    /// The topmost `count` values, which a branch takes along; they stay on the stack.
    pub(super) fn branch_args(&self, count: usize) -> Vec<BlockArg> {
        self.stack[self.stack.len() - count..]
            .iter()
            .map(|v| BlockArg::Value(*v))
            .collect()
    }

    pub(super) fn br_table(&mut self, table: &BrTable<'_>) {
        let selector = self.pop();
        let (default, count) = self.target(table.default());
        let args = self.branch_args(count);
        let indirect = table.len() > MAX_DIRECT_TARGETS;
        let mut edges = Edges::default();
        let mut targets = Vec::with_capacity(table.len() as usize);
        for depth in table.targets() {
            let depth = depth.expect("validated: the table was read before");
            let (block, _) = self.target(depth);
            targets.push(if indirect {
                let edge = edges.to(block, &mut self.builder);
                self.block_call(edge, &[])
            } else {
                self.block_call(block, &args)
            });
        }
        let default = if indirect {
            let edge = edges.to(default, &mut self.builder);
            self.block_call(edge, &[])
        } else {
            self.block_call(default, &args)
        };
        let table = self
            .builder
            .create_jump_table(JumpTableData::new(default, &targets));
        self.builder.ins().br_table(selector, table);
        for (edge, block) in edges.all {
            self.builder.seal_block(edge);
            self.builder.switch_to_block(edge);
            self.builder.ins().jump(block, &args);
        }
        let kept = self.stack.len() - count;
        self.stack.truncate(kept);
        self.reachable = false;
    }

    fn block_call(&mut self, block: Block, args: &[BlockArg]) -> BlockCall {
        BlockCall::new(
            block,
            args.iter().copied(),
            &mut self.builder.func.dfg.value_lists,
        )
    }

    pub(super) fn return_(&mut self) {
        let count = self.control[0].results;
        let values = self.pop_n(count);
        self.builder.ins().return_(&values);
        self.reachable = false;
    }

    pub(super) fn select(&mut self, ty: Option<ValType>) {
        let (a, b, condition) = self.pop3();
        let value = self.builder.ins().select(condition, a, b);
        if let Some(ty) = ty {
            self.note(value, self.program_type(ty));
        }
        self.push(value);
    }
}
