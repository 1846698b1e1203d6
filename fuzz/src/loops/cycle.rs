//! Loops in the shapes in which they are compiled.
//!
//! In: what is around. Out: a loop with its counter. The test stands at the head, in the middle, at the end, or before
//! each branch back; values are in locals or on the stack around the back edge.

use super::maker::{Counter, Label, Maker, Way};
use wasm_encoder::{BlockType, Instruction as I, ValType};

/// Rounds of all loops around, at most.
const MAX_WEIGHT: u64 = 400;

impl Maker<'_> {
    fn rounds(&mut self) -> u64 {
        const ROUNDS: [u64; 8] = [2, 3, 5, 8, 9, 17, 40, 100];
        let rounds = ROUNDS[self.random.below(ROUNDS.len())];
        if self.weight * rounds > MAX_WEIGHT {
            2 + self.random.below(2) as u64
        } else {
            rounds
        }
    }

    /// A loop of any shape.
    pub(super) fn cycle(&mut self) {
        let rounds = self.rounds();
        match self.random.below(8) {
            0 => self.tested_first(rounds),
            1 | 2 => self.tested_last(rounds),
            3 => self.tested_between(rounds),
            4 => self.with_latches(rounds),
            5 => self.with_values(rounds),
            _ => self.walk(rounds),
        }
    }

    /// Opens a loop.
    fn begin(&mut self, ty: BlockType, label: Label, counter: Counter, rounds: u64) {
        self.open(I::Loop(ty), label);
        self.loops += 1;
        self.weight *= rounds;
        self.counters.push((counter.local, counter.ty));
    }

    fn end(&mut self, rounds: u64) {
        self.close();
        self.loops -= 1;
        self.weight /= rounds;
        self.counters.pop();
    }

    /// Leaves through a block just outside of the loop when there is no other round.
    fn leave_when_done(&mut self, counter: Counter) {
        if self.random.one_in(4) {
            self.count(counter, false);
            self.put(I::I32Eqz);
        } else {
            self.count(counter, true);
        }
        self.put(I::BrIf(1));
    }

    fn open_out(&mut self) {
        self.open(I::Block(BlockType::Empty), Label::forward(&[]));
    }

    /// From now on there is nothing between a branch to the loop and its test.
    fn free_loop(&mut self) {
        if let Some(label) = self.labels.last_mut() {
            label.way = Way::Free;
        }
    }

    /// `while`.
    fn tested_first(&mut self, rounds: u64) {
        let counter = self.start_counter(rounds, true);
        self.open_out();
        self.begin(BlockType::Empty, closed(), counter, rounds);
        self.leave_when_done(counter);
        self.free_loop();
        self.few();
        self.put(I::Br(0));
        self.end(rounds);
        self.close();
    }

    /// `do … while`, and `for`, with a block that `continue` leaves.
    fn tested_last(&mut self, rounds: u64) {
        let counter = self.start_counter(rounds, true);
        let result = self.random.one_in(4).then(|| self.any_type());
        let types: Vec<ValType> = result.into_iter().collect();
        let (out, next) = (self.random.one_in(2), self.random.one_in(2));
        if out {
            self.open(I::Block(Self::block_type(&types)), Label::forward(&types));
        }
        let ty = Self::block_type(&types);
        self.begin(ty, closed(), counter, rounds);
        if next {
            self.open_out();
        }
        self.few();
        if next {
            self.close();
        }
        self.count(counter, false);
        self.put(I::BrIf(0));
        for ty in &types {
            self.value(*ty, 1);
        }
        self.end(rounds);
        if out {
            self.close();
        }
        self.take(&types);
    }

    /// The exit between two halves.
    fn tested_between(&mut self, rounds: u64) {
        let counter = self.start_counter(rounds, false);
        self.open_out();
        self.begin(BlockType::Empty, counted(counter, &[]), counter, rounds);
        self.few();
        self.leave_when_done(counter);
        self.free_loop();
        self.few();
        self.put(I::Br(0));
        self.end(rounds);
        self.close();
    }

    /// Every branch back has a test of its own.
    fn with_latches(&mut self, rounds: u64) {
        let counter = self.start_counter(rounds, false);
        self.open_out();
        self.begin(BlockType::Empty, counted(counter, &[]), counter, rounds);
        for _ in 0..=self.random.below(3) {
            self.few();
            self.jump();
        }
        self.count(counter, false);
        if self.random.one_in(2) {
            self.put(I::BrIf(0));
        } else {
            self.put(I::If(BlockType::Empty));
            self.put(I::Br(1));
            self.put(I::End);
        }
        self.end(rounds);
        self.close();
    }

    /// What goes around is on the stack: the loop has parameters.
    fn with_values(&mut self, rounds: u64) {
        let index = self.style.carried
            + self
                .random
                .below(self.style.signatures.len() - self.style.carried);
        let types = self.style.signatures[index].0.clone();
        let counter = self.start_counter(rounds, false);
        for ty in &types {
            self.any_value(*ty);
        }
        let ty = BlockType::FunctionType(index as u32);
        self.begin(ty, counted(counter, &types), counter, rounds);
        self.take(&types);
        self.few();
        for ty in &types {
            self.value(*ty, 1);
        }
        self.count(counter, false);
        self.put(I::BrIf(0));
        self.end(rounds);
        self.take(&types);
    }

    /// What is on the stack goes into locals, or is dropped.
    fn take(&mut self, types: &[ValType]) {
        for ty in types.iter().rev() {
            if self.random.one_in(5) {
                self.put(I::Drop);
            } else {
                let local = self.variable(*ty);
                self.put(I::LocalSet(local));
            }
        }
    }

    /// Over memory: something is summed, looked for, or copied.
    fn walk(&mut self, rounds: u64) {
        let (from, to) = (self.pointer(), self.pointer());
        let counter = self.start_counter(rounds, true);
        let ty = self.any_type();
        let (sum, item) = (self.variable(ty), self.local(ty));
        let step = [1, 2, 4, 8, 16][self.random.below(5)];
        let (copied, sought) = (self.random.one_in(2), self.random.one_in(2));
        self.open_out();
        self.begin(BlockType::Empty, closed(), counter, rounds);
        // By a pointer that goes along, or by the counter.
        let address = if self.random.one_in(3) && counter.ty == ValType::I32 {
            counter.local
        } else {
            from
        };
        self.put(I::LocalGet(address));
        self.widen();
        self.load_from(ty);
        self.put(I::LocalSet(item));
        self.counters.push((item, ty));
        if sought {
            self.put(I::LocalGet(item));
            self.test(ty);
            if self.random.one_in(2) {
                self.condition(1);
                self.put(I::I32And);
            }
            self.put(I::BrIf(1));
        }
        if copied {
            self.put(I::LocalGet(to));
            self.widen();
            self.put(I::LocalGet(item));
            self.store_to(ty);
        }
        self.put(I::LocalGet(sum));
        self.put(I::LocalGet(item));
        let operation = match ty {
            ValType::I32 => self.pick(&[I::I32Add, I::I32Xor]),
            ValType::I64 => self.pick(&[I::I64Add, I::I64Xor]),
            ValType::F32 => self.pick(&[I::F32Add, I::F32Max]),
            ValType::F64 => self.pick(&[I::F64Add, I::F64Min]),
            _ => self.pick(&[I::I32x4Add, I::I8x16MaxU]),
        };
        self.put(operation);
        self.put(I::LocalSet(sum));
        if self.random.one_in(3) {
            self.few();
        }
        self.counters.pop();
        for pointer in [from, to] {
            self.advance(pointer, step);
        }
        self.count(counter, false);
        self.put(I::BrIf(0));
        self.end(rounds);
        self.close();
    }

    /// A test of a value on the stack.
    fn test(&mut self, ty: ValType) {
        match ty {
            ValType::I32 if self.random.one_in(2) => self.put(I::I32Eqz),
            ValType::I64 if self.random.one_in(2) => self.put(I::I64Eqz),
            ValType::V128 => self.put(I::I16x8AllTrue),
            _ => {
                self.value(ty, 0);
                self.put(match ty {
                    ValType::I32 => I::I32Eq,
                    ValType::I64 => I::I64Eq,
                    ValType::F32 => I::F32Ge,
                    _ => I::F64Lt,
                });
            }
        }
    }

    /// A local that leads somewhere into memory, far enough from its end.
    fn pointer(&mut self) -> u32 {
        let local = self.local(ValType::I32);
        if self.random.one_in(2) {
            let start = self.random.below(0x800) as i32;
            self.put(I::I32Const(start));
        } else {
            self.value(ValType::I32, 0);
            self.put(I::I32Const(0x7ff));
            self.put(I::I32And);
        }
        self.put(I::LocalSet(local));
        local
    }

    fn advance(&mut self, pointer: u32, step: i32) {
        self.put(I::LocalGet(pointer));
        self.put(I::I32Const(step));
        self.put(I::I32Add);
        self.put(I::LocalSet(pointer));
    }

    /// States, chosen by a jump table in a loop; or bytecode, with a pointer to what comes next.
    pub(super) fn machine(&mut self) {
        let rounds = self.rounds();
        let states = 2 + self.below_one_of(&[3, 6, 12]);
        let state = self.local(ValType::I32);
        self.set_state(state, states);
        let bytecode = self.random.one_in(3).then(|| self.pointer());
        let first = self.random.one_in(2);
        let counter = self.start_counter(rounds, first);
        self.open_out();
        let mut label = closed();
        label.state = Some((state, states));
        self.begin(BlockType::Empty, label, counter, rounds);
        self.counters.push((state, ValType::I32));
        if first {
            self.leave_when_done(counter);
            self.free_loop();
        } else {
            let mut next = Label::forward(&[]);
            next.state = Some((state, states));
            self.open(I::Block(BlockType::Empty), next);
        }
        if self.random.one_in(3) {
            self.few();
        }
        if let Some(pointer) = bytecode {
            self.advance(pointer, 1);
        }
        self.switch(Some((state, states)), bytecode);
        if self.random.one_in(2) {
            self.few();
        }
        // A way out before what goes on.
        if self.random.one_in(2) {
            self.condition(1);
            let out = if first { 1 } else { 2 };
            self.put(I::BrIf(out));
            if self.random.one_in(2) {
                self.few();
            }
        }
        if first {
            self.put(I::Br(0));
        } else {
            self.close();
            self.count(counter, false);
            self.put(I::BrIf(0));
        }
        self.counters.pop();
        self.end(rounds);
        self.close();
    }
}

/// A loop that is not branched to but at its end.
fn closed() -> Label {
    Label {
        way: Way::Closed,
        ..Label::forward(&[])
    }
}

/// A loop that is branched back to when its counter says so.
fn counted(counter: Counter, types: &[ValType]) -> Label {
    Label {
        way: Way::Counted(counter),
        ..Label::forward(types)
    }
}
