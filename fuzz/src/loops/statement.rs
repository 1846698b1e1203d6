//! What stands in bodies: assignments, stores, branches, switches, calls, returns.
//!
//! In: what is around. Out: instructions that leave the stack as it was. Each statement may have others inside.

use super::maker::{Label, Maker};
use super::{DUMP, GLOBALS};
use std::borrow::Cow;
use wasm_encoder::{BlockType, Instruction as I, MemArg, MemArgTarget, ValType};

/// Labels around a statement, at most: what is deeper is left out.
const MAX_LABELS: usize = 24;

/// Loops in each other.
const MAX_LOOPS: usize = 3;

impl Maker<'_> {
    /// The function.
    pub(super) fn body(&mut self) {
        let count = 3 + self.random.below(6);
        self.statements(count);
        // Whatever lives to the end has a say in it.
        if !self.random.one_in(3) {
            self.dump();
        }
        let results = self.labels[0].types.clone();
        if self.style.tail_calls && self.random.one_in(2) && self.tail_call(&results) {
            self.put(I::End);
            return;
        }
        self.results();
        self.put(I::End);
    }

    /// The function's results.
    fn results(&mut self) {
        for ty in self.labels[0].types.clone() {
            self.any_value(ty);
            self.canonicalise(ty);
        }
    }

    fn tail_call(&mut self, results: &[ValType]) -> bool {
        let style = self.style;
        let fits = |index: &usize| style.signatures[self.callees[*index].ty].1 == results;
        let fitting: Vec<usize> = (0..self.callees.len()).filter(fits).collect();
        if fitting.is_empty() {
            return false;
        }
        let index = fitting[self.random.below(fitting.len())];
        let callee = self.callees[index];
        self.cost += callee.cost;
        for ty in &style.signatures[callee.ty].0 {
            self.value(*ty, 1);
        }
        if self.random.one_in(2) {
            self.put(I::ReturnCall(index as u32));
        } else {
            self.table_index(index);
            self.put(I::ReturnCallIndirect {
                type_index: callee.ty as u32,
                table_index: 0,
            });
        }
        true
    }

    /// Writes every local to where it is looked at.
    fn dump(&mut self) {
        let start = DUMP + 1024 * self.callees.len() as u64;
        for (place, local) in self.pool.clone().into_iter().enumerate() {
            self.put(I::I32Const(0));
            self.widen();
            self.put(I::LocalGet(local));
            let ty = self.locals[local as usize];
            self.store_whole(ty, Some(start + 16 * place as u64));
        }
    }

    /// So many, while there is room.
    pub(super) fn statements(&mut self, count: usize) {
        for _ in 0..count {
            if !self.has_room() {
                return;
            }
            self.statement();
        }
    }

    /// One to three, mostly one: what is small is executed often, and fits into what machines and passes look at.
    pub(super) fn few(&mut self) {
        let count = [1, 1, 1, 2, 2, 3][self.random.below(6)];
        self.statements(count);
    }

    fn statement(&mut self) {
        let deep = self.labels.len() >= MAX_LABELS;
        let may_loop = !deep && self.loops < MAX_LOOPS;
        match self.random.below(40) {
            0..=5 => self.assign(),
            6..=9 => self.update(),
            10..=12 => self.store(),
            13 => self.set_global(),
            14 | 15 => self.turn(),
            16..=18 if !deep => self.fork(),
            19 if !deep => self.block(),
            20..=24 => self.jump(),
            25 | 26 => self.go_to_state(),
            27 | 28 if !deep => self.switch(None, None),
            29..=33 if may_loop => self.cycle(),
            34 | 35 if may_loop => self.machine(),
            36 | 37 => self.any_call(),
            38 => self.leave(),
            39 if self.random.one_in(3) => self.trap(),
            _ => self.update(),
        }
    }

    fn assign(&mut self) {
        let ty = self.any_type();
        self.any_value(ty);
        let local = self.variable(ty);
        self.put(I::LocalSet(local));
    }

    /// `x = x op y`, as it is in loops: a value that lives around the back edge.
    fn update(&mut self) {
        let ty = self.any_type();
        let local = self.variable(ty);
        self.put(I::LocalGet(local));
        self.value(ty, 1);
        let operation = match ty {
            ValType::I32 => self.pick(&[I::I32Add, I::I32Xor, I::I32Sub, I::I32Mul]),
            ValType::I64 => self.pick(&[I::I64Add, I::I64Xor, I::I64Sub, I::I64Mul]),
            ValType::F32 => self.pick(&[I::F32Add, I::F32Mul]),
            ValType::F64 => self.pick(&[I::F64Add, I::F64Mul]),
            _ => self.pick(&[I::I32x4Add, I::V128Xor]),
        };
        self.put(operation);
        self.put(I::LocalSet(local));
    }

    fn store(&mut self) {
        let ty = self.any_type();
        self.value(ValType::I32, 1);
        self.address(true);
        self.any_value(ty);
        // Out of bounds as a whole: of what is half inside, a machine may have written that half.
        if self.random.one_in(200) {
            self.store_whole(ty, Some(0x1_0000));
        } else {
            self.store_to(ty);
        }
    }

    fn set_global(&mut self) {
        let global = self.random.below(GLOBALS.len());
        let ty = GLOBALS[global];
        self.any_value(ty);
        self.canonicalise(ty);
        self.put(I::GlobalSet(global as u32));
    }

    /// Locals of one type change places: no order of moves does it without another register.
    fn turn(&mut self) {
        let ty = self.any_type();
        let count = 2 + self.random.below(2);
        let mut locals: Vec<u32> = (0..count).map(|_| self.variable(ty)).collect();
        for local in &locals {
            self.put(I::LocalGet(*local));
        }
        locals.rotate_left(1);
        for local in locals.iter().rev() {
            self.put(I::LocalSet(*local));
        }
    }

    /// `if`, with `else` or without.
    fn fork(&mut self) {
        self.condition(1);
        self.open(I::If(BlockType::Empty), Label::forward(&[]));
        self.few();
        if self.random.one_in(2) {
            self.put(I::Else);
            self.few();
        }
        self.close();
    }

    /// A block that is left early.
    fn block(&mut self) {
        self.open(I::Block(BlockType::Empty), Label::forward(&[]));
        for _ in 0..=self.random.below(3) {
            self.few();
            self.condition(1);
            self.put(I::BrIf(0));
        }
        self.few();
        self.close();
    }

    /// A branch to any label, on a condition; back only when its counter says so.
    pub(super) fn jump(&mut self) {
        let open: Vec<usize> = (0..self.labels.len())
            .filter(|place| !matches!(self.labels[*place].way, super::maker::Way::Closed))
            .collect();
        let place = open[self.random.below(open.len())];
        let label = self.labels[place].clone();
        let counter = match label.way {
            super::maker::Way::Counted(counter) => Some(counter),
            _ => None,
        };
        // Counted branches stand in an `if`, others now and then.
        let apart = counter.is_some() || self.random.one_in(3);
        if apart {
            self.condition(1);
            self.open(I::If(BlockType::Empty), Label::forward(&[]));
            if self.random.one_in(2) {
                self.update();
            }
        }
        for ty in &label.types {
            self.value(*ty, 1);
            if place == 0 {
                self.canonicalise(*ty);
            }
        }
        match counter {
            Some(counter) => self.count(counter, false),
            None if apart => {}
            None => self.condition(2),
        }
        let depth = self.depth(place);
        if apart && counter.is_none() {
            self.put(I::Br(depth));
        } else {
            self.put(I::BrIf(depth));
            for ty in label.types.iter().rev() {
                if self.random.one_in(2) {
                    let local = self.variable(*ty);
                    self.put(I::LocalSet(local));
                } else {
                    self.put(I::Drop);
                }
            }
        }
        if apart {
            self.close();
        }
    }

    /// Writes the state of a machine around, and goes on with it: into the middle of a loop, in effect.
    fn go_to_state(&mut self) {
        let machines: Vec<usize> = (0..self.labels.len())
            .filter(|place| self.labels[*place].state.is_some() && self.labels[*place].is_free())
            .collect();
        if machines.is_empty() {
            return self.update();
        }
        let place = machines[self.random.below(machines.len())];
        let Some((local, states)) = self.labels[place].state else {
            return;
        };
        self.condition(1);
        self.open(I::If(BlockType::Empty), Label::forward(&[]));
        self.set_state(local, states);
        let depth = self.depth(place);
        self.put(I::Br(depth));
        self.close();
    }

    /// The next state of a machine: a constant nearly always.
    pub(super) fn set_state(&mut self, local: u32, states: usize) {
        let mut state = || self.random.below(states + 1) as i32;
        let (one, other) = (state(), state());
        match self.random.below(8) {
            0 => {
                self.put(I::LocalGet(local));
                self.put(I::I32Const(1));
                self.put(I::I32Add);
            }
            1 => {
                self.value(ValType::I32, 1);
                self.put(I::I32Const(states.next_power_of_two() as i32 - 1));
                self.put(I::I32And);
            }
            2 | 3 => {
                self.put(I::I32Const(one));
                self.put(I::I32Const(other));
                self.condition(1);
                self.put(I::Select);
            }
            _ => self.put(I::I32Const(one)),
        }
        self.put(I::LocalSet(local));
    }

    /// A jump table: cases that leave, go on somewhere around, or run into the next. `state`: it dispatches on this local,
    /// which they set. `selector`: on the byte at this address local instead.
    pub(super) fn switch(&mut self, state: Option<(u32, usize)>, selector: Option<u32>) {
        let cases = match state {
            Some((_, states)) => states,
            None => 1 + self.below_one_of(&[3, 5, 8, 20]),
        };
        let carried = self.random.one_in(6).then(|| self.any_type());
        let types: Vec<ValType> = carried.into_iter().collect();
        self.open(I::Block(BlockType::Empty), Label::forward(&[]));
        let end = self.labels.len() - 1;
        for _ in 0..cases {
            self.open(I::Block(Self::block_type(&types)), Label::forward(&types));
        }
        for ty in &types {
            self.value(*ty, 1);
        }
        self.select_case(state, selector, cases);
        let targets = self.targets(cases, &types);
        let default = self.targets(1, &types)[0];
        self.put(I::BrTable(Cow::Owned(targets), default));
        for case in (0..cases).rev() {
            self.close();
            for ty in &types {
                let local = self.variable(*ty);
                self.put(I::LocalSet(local));
            }
            if !self.random.one_in(6) {
                self.few();
            }
            if let Some((local, states)) = state
                && !self.random.one_in(4)
            {
                self.set_state(local, states);
            }
            self.end_case(end, case > 0, &types);
        }
        self.close();
    }

    /// What a case ends with.
    fn end_case(&mut self, end: usize, has_next: bool, types: &[ValType]) {
        match self.random.below(8) {
            // To the loop around, or out of it.
            0..=3 => {
                let around = self.free_labels(&[]);
                let near = around.len().saturating_sub(3);
                let place = around.get(near + self.random.below(3)).copied();
                let depth = self.depth(place.unwrap_or(end));
                self.put(I::Br(depth));
            }
            4 | 5 => {
                let depth = self.depth(end);
                self.put(I::Br(depth));
            }
            _ if has_next => {
                for ty in types {
                    self.value(*ty, 1);
                }
            }
            _ => {}
        }
    }

    /// What a jump table picks by.
    fn select_case(&mut self, state: Option<(u32, usize)>, selector: Option<u32>, cases: usize) {
        let mask = cases.next_power_of_two() as i32 - 1;
        if let Some(address) = selector {
            self.put(I::LocalGet(address));
            self.widen();
            let offset = self.random.below(3) as u64;
            self.put(I::I32Load8U(MemArg {
                offset,
                align: 0,
                target: MemArgTarget::Memory(0),
                ordering: None,
            }));
        } else if let Some((local, _)) = state {
            return self.put(I::LocalGet(local));
        } else {
            self.value(ValType::I32, 1);
        }
        match self.random.below(6) {
            0 => {
                self.put(I::I32Const(b'0'.into()));
                self.put(I::I32Sub);
            }
            1 if selector.is_none() => {}
            _ => {
                self.put(I::I32Const(mask));
                self.put(I::I32And);
            }
        }
    }

    /// Targets of a jump table whose blocks are the innermost ones: each its own, mostly.
    fn targets(&mut self, cases: usize, types: &[ValType]) -> Vec<u32> {
        let mut around = self.free_labels(types);
        // What leaves the function has no NaN of its own.
        around.retain(|place| *place > 0 || types.is_empty());
        (0..cases)
            .map(|case| {
                if self.random.one_in(5) {
                    let place = around[self.random.below(around.len())];
                    self.depth(place)
                } else if self.random.one_in(6) {
                    self.random.below(cases) as u32
                } else {
                    case as u32
                }
            })
            .collect()
    }

    fn any_call(&mut self) {
        if self.callees.is_empty() {
            return self.update();
        }
        let index = self.random.below(self.callees.len());
        if !self.call(index) {
            return self.update();
        }
        let style = self.style;
        for ty in style.signatures[self.callees[index].ty].1.iter().rev() {
            let local = self.variable(*ty);
            self.put(I::LocalSet(local));
        }
    }

    /// An early return.
    fn leave(&mut self) {
        self.condition(1);
        self.condition(0);
        self.put(I::I32And);
        self.open(I::If(BlockType::Empty), Label::forward(&[]));
        if self.style.tail_calls && self.random.one_in(2) {
            let results = self.labels[0].types.clone();
            if !self.tail_call(&results) {
                self.results();
                self.put(I::Return);
            }
        } else {
            self.results();
            self.put(I::Return);
        }
        self.close();
    }

    /// Something that hardly ever is the case.
    fn trap(&mut self) {
        let ty = if self.random.one_in(2) {
            ValType::I32
        } else {
            ValType::I64
        };
        self.value(ty, 1);
        let odd = 3 + self.random.below(200) as i64;
        self.constant(ty, odd);
        self.put(if ty == ValType::I32 {
            I::I32Eq
        } else {
            I::I64Eq
        });
        self.open(I::If(BlockType::Empty), Label::forward(&[]));
        self.put(I::Unreachable);
        self.close();
    }
}
