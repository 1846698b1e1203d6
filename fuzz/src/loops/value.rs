//! Expressions: a value of a type, from locals, memory, globals, calls and each other.
//!
//! In: a type and how deep. Out: instructions that leave one value. Blocks and `if`s with a result are among them, left by
//! `br_if` with the value.

use super::maker::{Label, Maker};
use super::operations::{
    Access, COMPARISONS, F32_ACCESS, F32_BINARY, F32_UNARY, F64_ACCESS, F64_BINARY, F64_UNARY,
    I32_BINARY, I32_LOADS, I32_STORES, I32_UNARY, I64_BINARY, I64_LOADS, I64_STORES, I64_UNARY,
    V128_ACCESS, V128_BINARY, V128_UNARY,
};
use super::{GLOBALS, WINDOW};
use wasm_encoder::{Ieee32, Ieee64, Instruction as I, MemArg, MemArgTarget, ValType};

impl Maker<'_> {
    pub(super) fn pick(&mut self, of: &[I<'static>]) -> I<'static> {
        of[self.random.below(of.len())].clone()
    }

    /// A value as deep as the module's are.
    pub(super) fn any_value(&mut self, ty: ValType) {
        self.value(ty, self.style.depth);
    }

    /// A value of a type.
    pub(super) fn value(&mut self, ty: ValType, depth: u32) {
        if depth == 0 {
            return self.leaf(ty);
        }
        let inner = depth - 1;
        match self.random.below(24) {
            0..=9 => self.binary(ty, inner),
            10 | 11 => {
                self.value(ty, inner);
                let operation = match ty {
                    ValType::I32 => self.pick(I32_UNARY),
                    ValType::I64 => self.pick(I64_UNARY),
                    ValType::F32 => self.pick(F32_UNARY),
                    ValType::F64 => self.pick(F64_UNARY),
                    _ => self.pick(V128_UNARY),
                };
                self.put(operation);
            }
            12 | 13 => self.convert(ty, inner),
            14 | 15 => {
                self.value(ty, inner);
                self.value(ty, inner);
                self.condition(inner);
                let typed = ty == ValType::V128 || self.random.one_in(4);
                self.put(if typed { I::TypedSelect(ty) } else { I::Select });
            }
            16 | 17 => self.load(ty, inner),
            18 => {
                self.value(ty, inner);
                let local = self.variable(ty);
                self.put(I::LocalTee(local));
            }
            19 => self.choice(ty, inner),
            20 => self.left_with(ty, inner),
            21 if ty == ValType::I32 => self.condition(inner),
            22 => self.call_for(ty),
            _ => self.leaf(ty),
        }
    }

    fn leaf(&mut self, ty: ValType) {
        match self.random.below(8) {
            0 | 1 => self.edge(ty),
            2 if self.random.one_in(2) => {
                let globals: Vec<u32> = (0..)
                    .zip(GLOBALS)
                    .filter(|g| g.1 == ty)
                    .map(|g| g.0)
                    .collect();
                if globals.is_empty() {
                    self.edge(ty);
                } else {
                    let global = globals[self.random.below(globals.len())];
                    self.put(I::GlobalGet(global));
                }
            }
            _ => {
                let local = self.readable(ty);
                self.put(I::LocalGet(local));
            }
        }
    }

    /// A constant, often one at which something changes.
    fn edge(&mut self, ty: ValType) {
        const DOUBLES: [f64; 10] = [
            0.0,
            -0.0,
            1.0,
            -1.0,
            0.5,
            3.25,
            255.0,
            2_147_483_648.0,
            1e300,
            -1e-300,
        ];
        let bits = match self.random.below(8) {
            0 | 1 => self.random.below(4) as u64,
            2 => self.random.below(256) as u64,
            3 => u64::MAX - self.random.below(3) as u64,
            4 => 1 << self.random.below(64),
            5 => (1 << self.random.below(64)) - 1,
            6 => 0x7fff_ffff + self.random.below(2) as u64,
            _ => self.random.bits(),
        };
        let double = DOUBLES[self.random.below(DOUBLES.len())];
        self.put(match ty {
            ValType::I32 => I::I32Const(bits as i32),
            ValType::I64 => I::I64Const(bits.cast_signed()),
            ValType::F32 => I::F32Const(Ieee32::new((double as f32).to_bits())),
            ValType::F64 => I::F64Const(Ieee64::new(double.to_bits())),
            _ => I::V128Const(
                (u128::from(bits.rotate_left(7)) << 64 | u128::from(bits)).cast_signed(),
            ),
        });
    }

    fn binary(&mut self, ty: ValType, depth: u32) {
        self.value(ty, depth);
        // What compilers write most: something and a constant.
        if self.random.one_in(3) {
            self.edge(ty);
        } else {
            self.value(ty, depth);
        }
        let operation = match ty {
            ValType::I32 | ValType::I64 if self.random.one_in(10) => return self.divide(ty),
            ValType::V128 if self.random.one_in(4) => return self.float_lanes(),
            ValType::I32 => self.pick(I32_BINARY),
            ValType::I64 => self.pick(I64_BINARY),
            ValType::F32 => self.pick(F32_BINARY),
            ValType::F64 => self.pick(F64_BINARY),
            _ => self.pick(V128_BINARY),
        };
        self.put(operation);
    }

    /// Divides what is on the stack, by something odd nearly always.
    fn divide(&mut self, ty: ValType) {
        let is_32 = ty == ValType::I32;
        if !self.random.one_in(30) {
            self.constant(ty, 1);
            self.put(if is_32 { I::I32Or } else { I::I64Or });
        }
        // A signed division overflows now and then.
        let operation = if is_32 {
            self.pick(&[I::I32DivU, I::I32RemU, I::I32RemS, I::I32DivU])
        } else {
            self.pick(&[I::I64DivU, I::I64RemU, I::I64RemS, I::I64DivS])
        };
        self.put(operation);
    }

    /// Of two vectors on the stack, lane by lane.
    fn float_lanes(&mut self) {
        let wide = self.random.one_in(2);
        let operation = if wide {
            self.pick(&[I::F64x2Add, I::F64x2Mul, I::F64x2Min, I::F64x2Div])
        } else {
            self.pick(&[I::F32x4Add, I::F32x4Mul, I::F32x4Max, I::F32x4Sub])
        };
        self.put(operation);
        let (nan, equal) = if wide {
            (0x7ff8_0000_0000_0000_7ff8_0000_0000_0000, I::F64x2Eq)
        } else {
            (0x7fc0_0000_7fc0_0000_7fc0_0000_7fc0_0000, I::F32x4Eq)
        };
        let scratch = self.local(ValType::V128);
        for instruction in [
            I::LocalTee(scratch),
            I::V128Const(nan),
            I::LocalGet(scratch),
            I::LocalGet(scratch),
            equal,
            I::V128Bitselect,
        ] {
            self.put(instruction);
        }
    }

    /// A vector of which one lane is another.
    fn replace(&mut self, depth: u32) {
        let (ty, operation) = [
            (ValType::I32, I::I8x16ReplaceLane(9)),
            (ValType::I32, I::I16x8ReplaceLane(3)),
            (ValType::I32, I::I32x4ReplaceLane(1)),
            (ValType::I64, I::I64x2ReplaceLane(1)),
            (ValType::F32, I::F32x4ReplaceLane(0)),
            (ValType::F32, I::F32x4ReplaceLane(2)),
            (ValType::F64, I::F64x2ReplaceLane(0)),
            (ValType::F64, I::F64x2ReplaceLane(1)),
        ][self.random.below(8)]
        .clone();
        self.value(ValType::V128, depth);
        self.value(ty, depth);
        self.canonicalise(ty);
        self.put(operation);
    }

    fn convert(&mut self, ty: ValType, depth: u32) {
        if ty == ValType::V128 && self.random.one_in(2) {
            return self.replace(depth);
        }
        let (from, operation) = match ty {
            ValType::I32 => [
                (ValType::I64, I::I32WrapI64),
                (ValType::I64, I::I32WrapI64),
                (ValType::F32, I::I32TruncSatF32S),
                (ValType::F64, I::I32TruncSatF64U),
                (ValType::F32, I::I32ReinterpretF32),
                (ValType::I64, I::I64Eqz),
            ][self.random.below(6)]
            .clone(),
            ValType::I64 => [
                (ValType::I32, I::I64ExtendI32S),
                (ValType::I32, I::I64ExtendI32U),
                (ValType::F32, I::I64TruncSatF32U),
                (ValType::F64, I::I64TruncSatF64S),
                (ValType::F64, I::I64ReinterpretF64),
            ][self.random.below(5)]
            .clone(),
            ValType::F32 => [
                (ValType::I32, I::F32ConvertI32S),
                (ValType::I64, I::F32ConvertI64U),
                (ValType::F64, I::F32DemoteF64),
                (ValType::I32, I::F32ReinterpretI32),
            ][self.random.below(4)]
            .clone(),
            ValType::F64 => [
                (ValType::I32, I::F64ConvertI32U),
                (ValType::I64, I::F64ConvertI64S),
                (ValType::F32, I::F64PromoteF32),
                (ValType::I64, I::F64ReinterpretI64),
            ][self.random.below(4)]
            .clone(),
            _ => [
                (ValType::I32, I::I32x4Splat),
                (ValType::I64, I::I64x2Splat),
                (ValType::I32, I::I8x16Splat),
            ][self.random.below(3)]
            .clone(),
        };
        // Out of a vector, where there are any.
        if self.style.types.contains(&ValType::V128) && ty != ValType::V128 && self.random.one_in(3)
        {
            self.value(ValType::V128, depth);
            let operation = match ty {
                ValType::I32 => self.pick(&[
                    I::I32x4ExtractLane(2),
                    I::V128AnyTrue,
                    I::I8x16Bitmask,
                    I::I16x8ExtractLaneS(5),
                ]),
                ValType::I64 => self.pick(&[I::I64x2ExtractLane(0), I::I64x2ExtractLane(1)]),
                ValType::F32 => self.pick(&[I::F32x4ExtractLane(0), I::F32x4ExtractLane(3)]),
                _ => self.pick(&[I::F64x2ExtractLane(0), I::F64x2ExtractLane(1)]),
            };
            return self.put(operation);
        }
        self.value(from, depth);
        if matches!(operation, I::I32ReinterpretF32 | I::I64ReinterpretF64) {
            self.canonicalise(from);
        }
        self.put(operation);
    }

    /// The canonical NaN in place of any other.
    pub(super) fn canonicalise(&mut self, ty: ValType) {
        let (nan, equal) = match ty {
            ValType::F32 => (I::F32Const(Ieee32::new(0x7fc0_0000)), I::F32Eq),
            ValType::F64 => (I::F64Const(Ieee64::new(0x7ff8_0000_0000_0000)), I::F64Eq),
            _ => return,
        };
        let scratch = self.local(ty);
        for instruction in [
            I::LocalTee(scratch),
            nan,
            I::LocalGet(scratch),
            I::LocalGet(scratch),
            equal,
            I::Select,
        ] {
            self.put(instruction);
        }
    }

    /// An i32 that is tested: a comparison, a chain of them, or anything.
    pub(super) fn condition(&mut self, depth: u32) {
        match self.random.below(10) {
            0 if depth > 0 => {
                self.condition(depth - 1);
                self.condition(depth - 1);
                let operation = self.pick(&[I::I32And, I::I32Or, I::I32Xor]);
                self.put(operation);
            }
            1 => {
                self.condition(depth.saturating_sub(1));
                self.put(I::I32Eqz);
            }
            2 => {
                // One bit of something.
                self.value(ValType::I32, 0);
                let bit = self.random.below(8);
                self.put(I::I32Const(1 << bit));
                self.put(I::I32And);
            }
            3 => self.value(ValType::I32, depth),
            // `a && b` and `a || b`, as they are translated.
            4 if depth > 0 => {
                let ty = ValType::I32;
                self.condition(depth - 1);
                self.open(I::If(Self::block_type(&[ty])), Label::forward(&[ty]));
                let and = self.random.one_in(2);
                if and {
                    self.condition(depth - 1);
                } else {
                    self.put(I::I32Const(1));
                }
                self.put(I::Else);
                if and {
                    self.put(I::I32Const(0));
                } else {
                    self.condition(depth - 1);
                }
                self.close();
            }
            _ => {
                let (ty, comparisons) = COMPARISONS[[0, 0, 0, 0, 1, 1, 2, 3][self.random.below(8)]];
                self.value(ty, depth.min(1));
                if self.random.one_in(2) {
                    self.edge(ty);
                } else {
                    self.value(ty, 0);
                }
                let comparison = self.pick(comparisons);
                self.put(comparison);
            }
        }
    }

    /// `if` with a result.
    fn choice(&mut self, ty: ValType, depth: u32) {
        self.condition(depth);
        self.open(I::If(Self::block_type(&[ty])), Label::forward(&[ty]));
        self.value(ty, depth);
        self.put(I::Else);
        self.value(ty, depth);
        self.close();
    }

    /// A block with a result, left early by `br_if` with the value.
    fn left_with(&mut self, ty: ValType, depth: u32) {
        self.open(I::Block(Self::block_type(&[ty])), Label::forward(&[ty]));
        for _ in 0..=self.random.below(2) {
            let labels = self.free_labels(&[ty]);
            let place = labels[self.random.below(labels.len())];
            self.value(ty, depth);
            // What leaves the function has no NaN of its own.
            if place == 0 {
                self.canonicalise(ty);
            }
            self.condition(depth);
            let depth = self.depth(place);
            self.put(I::BrIf(depth));
            if self.random.one_in(3) {
                let local = self.variable(ty);
                self.put(I::LocalSet(local));
            } else {
                self.put(I::Drop);
            }
        }
        self.value(ty, depth);
        self.close();
    }

    /// Makes an address of an i32 on the stack; `inside`: always within bounds.
    pub(super) fn address(&mut self, inside: bool) {
        if inside || !self.random.one_in(150) {
            self.put(I::I32Const(WINDOW));
            self.put(I::I32And);
        }
        self.widen();
    }

    /// An i32 as an address.
    pub(super) fn widen(&mut self) {
        if self.style.memory64 {
            self.put(I::I64ExtendI32U);
        }
    }

    /// What stands in an access of so many bytes.
    pub(super) fn place(&mut self, bytes: u32) -> MemArg {
        let offset = match self.random.below(8) {
            0 => self.random.below(64) as u64,
            1 => self.random.below(0x4000) as u64,
            2 | 3 => [4, 8, 12, 16][self.random.below(4)],
            _ => 0,
        };
        let align = self.random.below(bytes.ilog2() as usize + 1) as u32;
        place_at(offset, align)
    }

    fn load(&mut self, ty: ValType, depth: u32) {
        self.value(ValType::I32, depth.min(1));
        self.address(false);
        self.load_from(ty);
    }

    /// A load of what the address on the stack leads to.
    pub(super) fn load_from(&mut self, ty: ValType) {
        let (load, bytes) = match ty {
            ValType::I32 => I32_LOADS[self.random.below(I32_LOADS.len())],
            ValType::I64 => I64_LOADS[self.random.below(I64_LOADS.len())],
            ValType::F32 => (F32_ACCESS.0, 4),
            ValType::F64 => (F64_ACCESS.0, 8),
            _ => (V128_ACCESS.0, 16),
        };
        let place = self.place(bytes);
        self.put(load(place));
    }

    /// A store of the value on the stack, with the address below it.
    pub(super) fn store_to(&mut self, ty: ValType) {
        let (store, bytes) = match ty {
            ValType::I32 => I32_STORES[self.random.below(I32_STORES.len())],
            ValType::I64 => I64_STORES[self.random.below(I64_STORES.len())],
            _ => return self.store_whole(ty, None),
        };
        let place = self.place(bytes);
        self.put(store(place));
    }

    /// A store of all of a value.
    pub(super) fn store_whole(&mut self, ty: ValType, offset: Option<u64>) {
        self.canonicalise(ty);
        let (store, bytes): (Access, u32) = match ty {
            ValType::I32 => (I::I32Store, 4),
            ValType::I64 => (I::I64Store, 8),
            ValType::F32 => (F32_ACCESS.1, 4),
            ValType::F64 => (F64_ACCESS.1, 8),
            _ => (V128_ACCESS.1, 16),
        };
        let place = match offset {
            Some(offset) => place_at(offset, 0),
            None => self.place(bytes),
        };
        self.put(store(place));
    }

    /// A call whose last result is of this type, where there is one and it does not cost too much.
    fn call_for(&mut self, ty: ValType) {
        let signatures = &self.style.signatures;
        let fits = |index: &usize| {
            let callee = self.callees[*index];
            signatures[callee.ty].1.last() == Some(&ty)
        };
        let fitting: Vec<usize> = (0..self.callees.len()).filter(fits).collect();
        if fitting.is_empty() {
            return self.leaf(ty);
        }
        let index = fitting[self.random.below(fitting.len())];
        if !self.call(index) {
            return self.leaf(ty);
        }
        let results = signatures[self.callees[index].ty].1.clone();
        if results.len() > 1 {
            let local = self.variable(ty);
            self.put(I::LocalSet(local));
            for ty in results[..results.len() - 1].iter().rev() {
                let local = self.variable(*ty);
                self.put(I::LocalSet(local));
            }
            self.put(I::LocalGet(local));
        }
    }

    /// Calls a function, with its arguments, unless it costs too much. Its results are on the stack then.
    pub(super) fn call(&mut self, index: usize) -> bool {
        let callee = self.callees[index];
        let cost = callee.cost * self.weight;
        if self.cost + cost > super::MAX_COST {
            return false;
        }
        self.cost += cost;
        for ty in self.style.signatures[callee.ty].0.clone() {
            self.value(ty, 1);
        }
        if self.random.one_in(2) {
            self.put(I::Call(index as u32));
        } else {
            self.table_index(index);
            self.put(I::CallIndirect {
                type_index: callee.ty as u32,
                table_index: 0,
            });
        }
        true
    }

    /// An index of the table with this function, or, now and then, that of the one before it, of whatever type.
    pub(super) fn table_index(&mut self, index: usize) {
        let before = index > 0 && self.callees[index - 1].cost <= self.callees[index].cost;
        let same = before && self.callees[index - 1].ty == self.callees[index].ty;
        self.put(I::I32Const(index as i32));
        if same || before && self.random.one_in(60) {
            self.value(ValType::I32, 0);
            self.put(I::I32Const(1));
            self.put(I::I32And);
            self.put(I::I32Sub);
        }
    }
}

fn place_at(offset: u64, align: u32) -> MemArg {
    MemArg {
        offset,
        align,
        target: MemArgTarget::Memory(0),
        ordering: None,
    }
}
