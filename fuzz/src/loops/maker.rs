//! One function of loops: its locals, its labels, and the instructions so far.
//!
//! In: the module's style and the functions that may be called. Out: locals and instructions. Here is what keeps the
//! rest valid and finite: labels know what a branch to them must carry and whether it goes back, and the cost of what
//! is made is counted, rounds included.

use super::{MAX_COST, Style};
use crate::generate::Random;
use wasm_encoder::{BlockType, Ieee32, Ieee64, Instruction as I, ValType};

/// A function that may be called: all that come before.
#[derive(Clone, Copy, Debug)]
pub(super) struct Callee {
    /// Index of its type.
    pub(super) ty: usize,
    /// What a call costs.
    pub(super) cost: u64,
}

/// What counts a loop's rounds. Only the loop writes it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Counter {
    pub(super) local: u32,
    /// i32 or i64.
    pub(super) ty: ValType,
    pub(super) kind: Counting,
    /// Once it says that there is no other round, it is not asked again: the end may be met exactly.
    pub(super) exact: bool,
}

/// How a counter goes.
#[derive(Clone, Copy, Debug)]
pub(super) enum Counting {
    /// By steps up to a constant.
    Up { step: i64, end: i64 },
    /// One by one up to a local, which holds a small number.
    UpTo { end: u32 },
    /// One by one from a constant to zero.
    Down { start: i64 },
    /// One by one from what a local holds, a small number, to zero or below.
    DownFrom { start: u32 },
}

/// How a branch to a label may be taken.
#[derive(Clone, Copy, Debug)]
pub(super) enum Way {
    /// Forwards, or back to where the counter is tested: at any time.
    Free,
    /// Back, when the counter has been advanced and says so.
    Counted(Counter),
    /// Not: something stands where a branch would leave it undone.
    Closed,
}

/// Something that can be branched to.
#[derive(Clone, Debug)]
pub(super) struct Label {
    /// What a branch carries.
    pub(super) types: Vec<ValType>,
    pub(super) way: Way,
    /// It is a loop whose rounds dispatch on this local, and on so many states.
    pub(super) state: Option<(u32, usize)>,
}

impl Label {
    pub(super) fn forward(types: &[ValType]) -> Self {
        Self {
            types: types.to_vec(),
            way: Way::Free,
            state: None,
        }
    }

    pub(super) fn is_free(&self) -> bool {
        matches!(self.way, Way::Free)
    }
}

pub(super) struct Maker<'m> {
    pub(super) random: &'m mut Random,
    pub(super) style: &'m Style,
    pub(super) callees: &'m [Callee],
    /// Index of this function's type.
    pub(super) ty: usize,
    /// All locals, parameters first.
    pub(super) locals: Vec<ValType>,
    /// Those that anything may write.
    pub(super) pool: Vec<u32>,
    /// Counters of the loops around: anything may read them.
    pub(super) counters: Vec<(u32, ValType)>,
    /// The innermost comes last; the first one is the function's.
    pub(super) labels: Vec<Label>,
    /// Loops around.
    pub(super) loops: usize,
    code: Vec<I<'static>>,
    /// How often what is made now is executed.
    pub(super) weight: u64,
    pub(super) cost: u64,
}

impl<'m> Maker<'m> {
    pub(super) fn new(
        random: &'m mut Random,
        style: &'m Style,
        callees: &'m [Callee],
        ty: usize,
    ) -> Self {
        let (params, results) = &style.signatures[ty];
        let mut maker = Self {
            random,
            style,
            callees,
            ty,
            locals: params.clone(),
            pool: (0..params.len() as u32).collect(),
            counters: Vec::new(),
            labels: vec![Label::forward(results)],
            loops: 0,
            code: Vec::new(),
            weight: 1,
            cost: 0,
        };
        // One of each type at least; then some, so that now and then registers run out.
        for index in 0..style.types.len() {
            let local = maker.local(style.types[index]);
            maker.pool.push(local);
        }
        for _ in 0..[0, 2, 4, 8, 16][maker.random.below(5)] {
            let ty = maker.any_type();
            let local = maker.local(ty);
            maker.pool.push(local);
        }
        maker
    }

    /// Locals that are not parameters, instructions, and what a call costs.
    pub(super) fn finish(self) -> (Vec<ValType>, Vec<I<'static>>, u64) {
        let params = self.style.signatures[self.ty].0.len();
        (self.locals[params..].to_vec(), self.code, self.cost)
    }

    pub(super) fn put(&mut self, instruction: I<'static>) {
        self.cost += self.weight;
        self.code.push(instruction);
    }

    /// Instructions so far.
    pub(super) fn len(&self) -> usize {
        self.code.len()
    }

    /// Whether there is room for more that is executed as often as what is made now.
    pub(super) fn has_room(&self) -> bool {
        self.cost + 40 * self.weight < MAX_COST && self.len() < 1_500
    }

    /// A number below one of these.
    pub(super) fn below_one_of(&mut self, ends: &[usize]) -> usize {
        let end = ends[self.random.below(ends.len())];
        self.random.below(end)
    }

    /// A new local.
    pub(super) fn local(&mut self, ty: ValType) -> u32 {
        self.locals.push(ty);
        self.locals.len() as u32 - 1
    }

    pub(super) fn any_type(&mut self) -> ValType {
        self.style.types[self.random.below(self.style.types.len())]
    }

    /// A local of a type that may be written.
    pub(super) fn variable(&mut self, ty: ValType) -> u32 {
        let fitting: Vec<u32> = self
            .pool
            .iter()
            .copied()
            .filter(|local| self.locals[*local as usize] == ty)
            .collect();
        fitting[self.random.below(fitting.len())]
    }

    /// A local of a type that is read: a counter now and then.
    pub(super) fn readable(&mut self, ty: ValType) -> u32 {
        if self.random.one_in(3) {
            let counters: Vec<u32> = self
                .counters
                .iter()
                .filter(|(_, found)| *found == ty)
                .map(|(local, _)| *local)
                .collect();
            if !counters.is_empty() {
                return counters[self.random.below(counters.len())];
            }
        }
        self.variable(ty)
    }

    /// Opens a block, or a loop, or an `if`, to which `label` belongs.
    pub(super) fn open(&mut self, opening: I<'static>, label: Label) {
        self.put(opening);
        self.labels.push(label);
    }

    pub(super) fn close(&mut self) {
        self.put(I::End);
        self.labels.pop();
    }

    /// How a branch names the label with this place in [`Self::labels`].
    pub(super) fn depth(&self, place: usize) -> u32 {
        (self.labels.len() - 1 - place) as u32
    }

    /// The type of a block with these results; `None` for more than one.
    pub(super) fn block_type(types: &[ValType]) -> BlockType {
        match types {
            [] => BlockType::Empty,
            [ty, ..] => BlockType::Result(*ty),
        }
    }

    pub(super) fn constant(&mut self, ty: ValType, value: i64) {
        self.put(match ty {
            ValType::I32 => I::I32Const(value as i32),
            ValType::I64 => I::I64Const(value),
            ValType::F32 => I::F32Const(Ieee32::new((value as f32).to_bits())),
            ValType::F64 => I::F64Const(Ieee64::new((value as f64).to_bits())),
            _ => I::V128Const(value.into()),
        });
    }

    /// Places of the labels to which a branch may go now that carries these types.
    pub(super) fn free_labels(&self, types: &[ValType]) -> Vec<usize> {
        (0..self.labels.len())
            .filter(|place| {
                let label = &self.labels[*place];
                label.is_free() && label.types == types
            })
            .collect()
    }

    /// A counter for about so many rounds, with its start. `exact`: it is asked in one place only.
    pub(super) fn start_counter(&mut self, rounds: u64, exact: bool) -> Counter {
        let ty = if self.random.one_in(5) {
            ValType::I64
        } else {
            ValType::I32
        };
        let local = self.local(ty);
        let rounds = rounds.cast_signed();
        let kind = match self.random.below(5) {
            0 | 1 => {
                let step = [1, 1, 1, 2, 4, 8][self.random.below(6)];
                let end = rounds * step;
                Counting::Up { step, end }
            }
            2 => Counting::Down { start: rounds },
            _ => {
                // No more rounds than these, and as many as something says.
                let end = self.local(ty);
                self.value(ty, 0);
                let mask = (rounds as u64).next_power_of_two() as i64 / 2;
                self.constant(ty, (mask - 1).max(1));
                self.put(and(ty));
                self.put(I::LocalSet(end));
                if self.random.one_in(2) {
                    Counting::UpTo { end }
                } else {
                    Counting::DownFrom { start: end }
                }
            }
        };
        match kind {
            Counting::Up { .. } | Counting::UpTo { .. } => self.constant(ty, 0),
            Counting::Down { start } => self.constant(ty, start),
            Counting::DownFrom { start } => self.put(I::LocalGet(start)),
        }
        self.put(I::LocalSet(local));
        Counter {
            local,
            ty,
            kind,
            exact,
        }
    }

    /// Advances a counter and says whether there is another round, or, `inverted`, whether there is none.
    pub(super) fn count(&mut self, counter: Counter, inverted: bool) {
        let Counter {
            local, ty, kind, ..
        } = counter;
        let is_32 = ty == ValType::I32;
        let (step, up) = match kind {
            Counting::Up { step, .. } => (step, true),
            Counting::UpTo { .. } => (1, true),
            Counting::Down { .. } | Counting::DownFrom { .. } => (1, false),
        };
        self.put(I::LocalGet(local));
        // Compilers write a subtraction either way.
        if up || self.random.one_in(2) {
            self.constant(ty, if up { step } else { -1 });
            self.put(if is_32 { I::I32Add } else { I::I64Add });
        } else {
            self.constant(ty, 1);
            self.put(if is_32 { I::I32Sub } else { I::I64Sub });
        }
        self.put(I::LocalTee(local));
        let pick = self.random.below(2);
        let exact = counter.exact && self.random.one_in(2);
        match kind {
            Counting::Up { end, .. } => {
                self.constant(ty, end);
                self.put(match (inverted, is_32, exact) {
                    (false, true, false) => I::I32LtU,
                    (false, true, true) => I::I32Ne,
                    (false, false, false) => I::I64LtS,
                    (false, false, true) => I::I64Ne,
                    (true, true, false) => I::I32GeU,
                    (true, true, true) => I::I32Eq,
                    (true, false, false) => I::I64GeS,
                    (true, false, true) => I::I64Eq,
                });
            }
            Counting::UpTo { end } => {
                self.put(I::LocalGet(end));
                self.put(match (inverted, is_32) {
                    (false, true) => [I::I32LtU, I::I32LtS][pick].clone(),
                    (false, false) => [I::I64LtU, I::I64LtS][pick].clone(),
                    (true, true) => [I::I32GeU, I::I32GeS][pick].clone(),
                    (true, false) => [I::I64GeU, I::I64GeS][pick].clone(),
                });
            }
            // Which it meets: it begins above.
            Counting::Down { .. } if exact && is_32 && !inverted => {}
            Counting::Down { .. } if exact && inverted => {
                self.put(if is_32 { I::I32Eqz } else { I::I64Eqz });
            }
            Counting::Down { .. } | Counting::DownFrom { .. } => {
                self.constant(ty, 0);
                self.put(match (inverted, is_32) {
                    (false, true) => I::I32GtS,
                    (false, false) => I::I64GtS,
                    (true, true) => I::I32LeS,
                    (true, false) => I::I64LeS,
                });
            }
        }
    }
}

pub(super) fn and(ty: ValType) -> I<'static> {
    if ty == ValType::I32 {
        I::I32And
    } else {
        I::I64And
    }
}
