//! Seed → program.
//!
//! In: a seed. Out: a [`Program`] that throws and catches in one encoding of exceptions or in both, with values of
//! every type in locals and on the stack around whatever may throw.

use super::program::{
    Call, Catch, Clause, Expr, Function, How, Label, Moves, Op, Program, Region, Stmt, Tag, Then,
    Ty,
};
use crate::generate::Random;

/// Functions of a program, at most.
const FUNCTIONS: usize = 8;

/// Locals of each type, for the generator to choose from.
const LOCALS_OF_A_TYPE: usize = 2;

/// Statements of a function, at most.
const STATEMENTS: usize = 40;

/// How deeply expressions and statements are nested.
const DEPTH: u32 = 5;

/// Which encodings of exceptions a program has.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Encoding {
    TryTable,
    Legacy,
    Both,
}

/// The program of a seed.
#[must_use]
pub fn program(seed: u64) -> Program {
    let mut random = Random::new(seed ^ 0x0e7c_e977);
    let mut types = vec![Ty::I32, Ty::I64, Ty::F32, Ty::F64, Ty::Func];
    let encoding = match random.below(5) {
        0 | 1 => Encoding::TryTable,
        2 | 3 => Encoding::Legacy,
        _ => Encoding::Both,
    };
    if encoding != Encoding::Legacy {
        types.push(Ty::Exn);
    }
    if !random.one_in(3) {
        types.push(Ty::V128);
    }
    let objects = random.one_in(3);
    if objects {
        types.push(Ty::Object);
    }
    let some = |random: &mut Random, most: usize| -> Vec<Ty> {
        let count = random.below(most + 1);
        (0..count)
            .map(|_| types[random.below(types.len())])
            .collect()
    };
    let mut tags: Vec<Tag> = Vec::new();
    for index in 0..random.below(3) {
        tags.push(Tag {
            payload: some(&mut random, 4),
            imported: Some(index),
        });
    }
    if !tags.is_empty() && random.one_in(2) {
        // Under two names.
        let same = tags[random.below(tags.len())].clone();
        tags.push(same);
    }
    for _ in 0..1 + random.below(2) {
        tags.push(Tag {
            payload: some(&mut random, 5),
            imported: None,
        });
    }
    let count = 2 + random.below(FUNCTIONS - 1);
    let mut signatures: Vec<(Vec<Ty>, Vec<Ty>)> = Vec::new();
    for _ in 0..count {
        // The same ones often: for tail calls.
        if !signatures.is_empty() && random.one_in(3) {
            signatures.push(signatures[random.below(signatures.len())].clone());
        } else {
            let results = match random.below(4) {
                0 => Vec::new(),
                1 => some(&mut random, 5),
                _ => vec![types[random.below(types.len())]],
            };
            signatures.push((some(&mut random, 10), results));
        }
    }
    let globals: Vec<Ty> = types
        .iter()
        .filter(|_| !random.one_in(3))
        .copied()
        .collect();
    let tail_calls = random.one_in(2);
    let functions = (0..count).map(|index| {
        let mut maker = Maker {
            random: &mut random,
            types: &types,
            tags: &tags,
            globals: &globals,
            signatures: &signatures,
            index,
            encoding,
            tail_calls,
            locals: Vec::new(),
            labels: Vec::new(),
            next_label: 0,
            left: STATEMENTS,
        };
        maker.function()
    });
    let functions = functions.collect();
    Program {
        tags,
        globals,
        functions,
        objects,
    }
}

/// A label that is open, and what may be done with it.
#[derive(Clone, Copy)]
struct Open {
    label: Label,
    /// Branches may go there: nothing is carried.
    breaks: bool,
    /// The code is in a clause of that legacy `try`.
    in_clause: bool,
    /// `delegate` may name it: nothing says what it means for a `try_table`, of which the label is behind the handlers.
    delegates: bool,
}

struct Maker<'m> {
    random: &'m mut Random,
    types: &'m [Ty],
    tags: &'m [Tag],
    globals: &'m [Ty],
    signatures: &'m [(Vec<Ty>, Vec<Ty>)],
    index: usize,
    encoding: Encoding,
    tail_calls: bool,
    /// Parameters and locals.
    locals: Vec<Ty>,
    labels: Vec<Open>,
    next_label: Label,
    /// Statements that may still be made.
    left: usize,
}

impl Maker<'_> {
    fn function(&mut self) -> Function {
        let (params, results) = self.signatures[self.index].clone();
        self.locals.clone_from(&params);
        for ty in self.types {
            self.locals.extend([*ty; LOCALS_OF_A_TYPE]);
        }
        let mut body = Vec::new();
        // Locals of which nothing is known are alive from the beginning to the end.
        for local in params.len()..self.locals.len() {
            if self.random.one_in(2) {
                let ty = self.locals[local];
                body.push(Stmt::Set(local, self.leaf(ty)));
            }
        }
        while self.left > 0 {
            let stmt = self.statement(DEPTH);
            body.push(stmt);
        }
        for local in 0..self.locals.len() {
            if !self.is_counter(local) && self.random.one_in(2) {
                body.push(Stmt::Mix(seen(Expr::Local(local), self.locals[local])));
            }
        }
        let values = results.iter().map(|ty| self.expr(*ty, 2)).collect();
        Function {
            locals: self.locals[params.len()..].to_vec(),
            params,
            results,
            body,
            values,
        }
    }

    fn ty(&mut self) -> Ty {
        self.types[self.random.below(self.types.len())]
    }

    /// A local of this type.
    fn local(&mut self, ty: Ty) -> usize {
        let of_type: Vec<usize> = (0..self.locals.len())
            .filter(|local| self.locals[*local] == ty && !self.is_counter(*local))
            .collect();
        of_type[self.random.below(of_type.len())]
    }

    /// Behind those that every function has are the counters of loops.
    fn is_counter(&self, local: usize) -> bool {
        let params = self.signatures[self.index].0.len();
        local >= params + LOCALS_OF_A_TYPE * self.types.len()
    }

    fn locals(&mut self, types: &[Ty]) -> Vec<usize> {
        types.iter().map(|ty| self.local(*ty)).collect()
    }

    /// A value for which no code is needed that throws.
    fn leaf(&mut self, ty: Ty) -> Expr {
        match ty {
            Ty::Func if !self.random.one_in(3) => {
                Expr::Function(self.random.below(self.signatures.len()))
            }
            Ty::Func | Ty::Exn => Expr::Null(ty),
            Ty::Object if self.random.one_in(4) => Expr::Null(ty),
            Ty::Object => Expr::Op(Op::Object, vec![self.leaf(Ty::I64)]),
            Ty::V128 => {
                let high = self.random.bits();
                Expr::Number(ty, u128::from(high) << 64 | u128::from(self.random.bits()))
            }
            Ty::I64 | Ty::F64 => Expr::Number(ty, self.random.bits().into()),
            Ty::I32 | Ty::F32 => Expr::Number(ty, (self.random.bits() as u32).into()),
        }
    }

    fn expr(&mut self, ty: Ty, depth: u32) -> Expr {
        if depth == 0 || self.random.one_in(4) {
            let globals: Vec<usize> = (0..self.globals.len())
                .filter(|global| self.globals[*global] == ty)
                .collect();
            return match (self.random.below(4), globals.as_slice()) {
                (0, _) => self.leaf(ty),
                (1, [global, ..]) => Expr::Global(*global),
                _ => Expr::Local(self.local(ty)),
            };
        }
        match self.random.below(8) {
            0 | 1 => {
                let (params, results) = (self.signatures, self.index + 1);
                let callees: Vec<usize> = (results..params.len())
                    .filter(|callee| params[*callee].1 == [ty])
                    .collect();
                if callees.is_empty() {
                    return self.operator(ty, depth);
                }
                let callee = callees[self.random.below(callees.len())];
                Expr::Call(self.call(callee, depth - 1))
            }
            2 if self.left > 0 => {
                let body = self.statements(depth.min(3), 2);
                Expr::After(body, Box::new(self.expr(ty, depth - 1)))
            }
            _ => self.operator(ty, depth),
        }
    }

    fn operator(&mut self, ty: Ty, depth: u32) -> Expr {
        let known = |op: &Op| {
            let (params, result) = op.signature();
            result == ty && params.iter().all(|ty| self.types.contains(ty))
        };
        let ops: Vec<Op> = Op::ALL.into_iter().filter(known).collect();
        if ops.is_empty() {
            return Expr::Local(self.local(ty));
        }
        let op = ops[self.random.below(ops.len())];
        let params = match op {
            Op::IsNull => {
                let references = [Ty::Func, Ty::Exn, Ty::Object];
                let references: Vec<Ty> = references
                    .into_iter()
                    .filter(|ty| self.types.contains(ty))
                    .collect();
                vec![references[self.random.below(references.len())]]
            }
            op => op.signature().0.to_vec(),
        };
        Expr::Op(op, self.exprs(&params, depth - 1))
    }

    fn exprs(&mut self, types: &[Ty], depth: u32) -> Vec<Expr> {
        types.iter().map(|ty| self.expr(*ty, depth)).collect()
    }

    fn call(&mut self, function: usize, depth: u32) -> Call {
        let how = [How::Direct, How::Direct, How::Indirect, How::Reference][self.random.below(4)];
        let params = self.signatures[function].0.clone();
        Call {
            how,
            function,
            arguments: self.exprs(&params, depth.min(2)),
        }
    }

    fn label(&mut self) -> Label {
        self.next_label += 1;
        self.next_label
    }

    fn statements(&mut self, depth: u32, most: usize) -> Vec<Stmt> {
        let count = 1 + self.random.below(most);
        (0..count).map(|_| self.statement(depth)).collect()
    }

    /// Statements in something that has a label.
    fn within(&mut self, open: Open, depth: u32) -> Vec<Stmt> {
        self.labels.push(open);
        let body = self.statements(depth, 3);
        self.labels.pop();
        body
    }

    fn condition(&mut self) -> Expr {
        match self.random.below(3) {
            0 => self.expr(Ty::I32, 1),
            _ => {
                // The lowest bit of something that lives, so that both ways are taken.
                let seen = self.any_seen();
                let top = Expr::Number(Ty::I32, 1 << 31);
                Expr::Op(Op::Mul32, vec![Expr::Op(Op::Wrap, vec![seen]), top])
            }
        }
    }

    /// A local of any type as an `i64`.
    fn any_seen(&mut self) -> Expr {
        let ty = self.ty();
        let local = self.local(ty);
        seen(Expr::Local(local), ty)
    }

    fn statement(&mut self, depth: u32) -> Stmt {
        self.left = self.left.saturating_sub(1);
        if depth == 0 || self.left == 0 {
            return Stmt::Mix(self.any_seen());
        }
        let inner = depth - 1;
        match self.random.below(32) {
            0..4 => {
                let ty = self.ty();
                Stmt::Set(self.local(ty), self.expr(ty, inner.min(3)))
            }
            4..6 => {
                let ty = self.ty();
                let value = self.expr(ty, inner.min(3));
                Stmt::Mix(self.seen_once(value, ty))
            }
            6 if !self.globals.is_empty() => {
                let global = self.random.below(self.globals.len());
                Stmt::SetGlobal(global, self.expr(self.globals[global], inner.min(2)))
            }
            7..12 if self.index + 1 < self.signatures.len() => {
                let later = self.signatures.len() - self.index - 1;
                let callee = self.index + 1 + self.random.below(later);
                let call = self.call(callee, inner);
                let results = self.signatures[callee].1.clone();
                Stmt::Call(call, self.locals(&results))
            }
            12 => {
                let condition = self.condition();
                let then = self.statements(inner, 3);
                let otherwise = if self.random.one_in(2) {
                    self.statements(inner, 2)
                } else {
                    Vec::new()
                };
                Stmt::If(condition, then, otherwise)
            }
            13 => {
                let (end, again) = (self.label(), self.label());
                let count = 1 + self.random.below(3) as u32;
                self.locals.push(Ty::I32);
                let counter = self.locals.len() - 1;
                self.labels.push(self.plain(end));
                let body = self.within(self.plain(again), inner);
                self.labels.pop();
                Stmt::Loop([end, again], count, counter, body)
            }
            14 => {
                let label = self.label();
                Stmt::Block(label, self.within(self.plain(label), inner))
            }
            15..18 => {
                let open: Vec<Open> = self.labels.iter().filter(|l| l.breaks).copied().collect();
                match open.is_empty() {
                    true => self.thrown(inner),
                    false => {
                        let target = open[self.random.below(open.len())].label;
                        Stmt::BreakIf(self.condition(), target)
                    }
                }
            }
            18 => {
                let leave = self.leave(inner);
                Stmt::If(self.condition(), vec![leave], Vec::new())
            }
            19..24 => {
                let thrown = self.thrown(inner);
                if !self.labels.is_empty() && self.random.one_in(2) {
                    thrown
                } else {
                    Stmt::If(self.condition(), vec![thrown], Vec::new())
                }
            }
            _ => match self.encoding {
                Encoding::TryTable => self.try_table(inner),
                Encoding::Legacy => self.legacy(inner),
                Encoding::Both if self.random.one_in(2) => self.try_table(inner),
                Encoding::Both => self.legacy(inner),
            },
        }
    }

    /// As `seen`, for a value that must not be evaluated twice.
    fn seen_once(&mut self, value: Expr, ty: Ty) -> Expr {
        match ty {
            Ty::V128 => Expr::Op(Op::High, vec![value]),
            _ => seen(value, ty),
        }
    }

    fn plain(&self, label: Label) -> Open {
        Open {
            label,
            breaks: true,
            in_clause: false,
            delegates: true,
        }
    }

    /// Something after which nothing comes.
    fn leave(&mut self, depth: u32) -> Stmt {
        let results = self.signatures[self.index].1.clone();
        let callees: Vec<usize> = (self.index + 1..self.signatures.len())
            .filter(|callee| self.signatures[*callee].1 == results)
            .collect();
        if self.random.one_in(30) {
            Stmt::Trap
        } else if self.tail_calls && !callees.is_empty() && !self.random.one_in(4) {
            let callee = callees[self.random.below(callees.len())];
            Stmt::TailCall(self.call(callee, depth))
        } else {
            Stmt::Return(self.exprs(&results, depth.min(2)))
        }
    }

    /// Something that throws.
    fn thrown(&mut self, depth: u32) -> Stmt {
        let clauses: Vec<Label> = self
            .labels
            .iter()
            .filter(|open| open.in_clause)
            .map(|open| open.label)
            .collect();
        if !clauses.is_empty() && self.random.one_in(2) {
            return Stmt::Rethrow(clauses[self.random.below(clauses.len())]);
        }
        if self.types.contains(&Ty::Exn) && self.random.one_in(3) {
            let local = self.local(Ty::Exn);
            let is_null = Expr::Op(Op::IsNull, vec![Expr::Local(local)]);
            let otherwise = vec![Stmt::ThrowRef(local)];
            // A null reference traps, which is the end.
            return if self.random.one_in(20) {
                Stmt::ThrowRef(local)
            } else {
                Stmt::If(is_null, Vec::new(), otherwise)
            };
        }
        let tag = self.random.below(self.tags.len());
        let payload = self.tags[tag].payload.clone();
        Stmt::Throw(tag, self.exprs(&payload, depth.min(2)))
    }

    fn moves(&mut self, most: usize, depth: u32) -> Moves {
        let count = if self.random.one_in(2) {
            0
        } else {
            self.random.below(most + 1)
        };
        let mut moves = Vec::new();
        for _ in 0..count {
            let ty = self.ty();
            moves.push((self.expr(ty, depth.min(2)), self.local(ty)));
        }
        moves
    }

    fn region(&mut self, open: Open, params: Moves, results: Vec<usize>, depth: u32) -> Region {
        self.labels.push(open);
        let body = self.statements(depth, 4);
        let values = results
            .iter()
            .map(|local| self.expr(self.locals[*local], depth.min(2)));
        let values: Vec<Expr> = values.collect();
        self.labels.pop();
        Region {
            params,
            body,
            results: values.into_iter().zip(results).collect(),
        }
    }

    /// Locals for the results of a construct.
    fn results(&mut self) -> Vec<usize> {
        let count = [0, 0, 0, 1, 2, 4][self.random.below(6)];
        let types: Vec<Ty> = (0..count).map(|_| self.ty()).collect();
        self.locals(&types)
    }

    fn try_table(&mut self, depth: u32) -> Stmt {
        let params = self.moves(3, depth);
        let (label, results) = (self.label(), self.results());
        // Branches to it pass by the results; but nothing may be delegated to it.
        let open = Open {
            delegates: false,
            ..self.plain(label)
        };
        let region = self.region(open, params, results, depth);
        let mut catches = Vec::new();
        for _ in 0..[0, 1, 2, 2, 3, 4][self.random.below(6)] {
            let tag = (!self.random.one_in(3)).then(|| self.random.below(self.tags.len()));
            let payload = tag.map_or(Vec::new(), |tag| self.tags[tag].payload.clone());
            let outer: Vec<Label> = self
                .labels
                .iter()
                .filter(|open| open.breaks)
                .map(|open| open.label)
                .collect();
            let then = if payload.is_empty() && !outer.is_empty() && self.random.one_in(3) {
                Then::Break(outer[self.random.below(outer.len())])
            } else if payload == self.signatures[self.index].1 && self.random.one_in(4) {
                Then::Return
            } else {
                let exception = self.random.one_in(2).then(|| self.local(Ty::Exn));
                let payload = self.locals(&payload);
                Then::Handle {
                    payload,
                    exception,
                    body: self.within(open, depth),
                }
            };
            catches.push(Catch { tag, then });
        }
        Stmt::Try(label, region, catches)
    }

    fn legacy(&mut self, depth: u32) -> Stmt {
        if self.random.one_in(4) {
            let body = self.statements(depth, 3);
            let targets: Vec<Label> = self
                .labels
                .iter()
                .filter(|open| open.delegates)
                .map(|open| open.label)
                .collect();
            let target = (!targets.is_empty() && !self.random.one_in(5))
                .then(|| targets[self.random.below(targets.len())]);
            return Stmt::Delegate(target, body);
        }
        let params = self.moves(3, depth);
        let (label, results) = (self.label(), self.results());
        let open = Open {
            breaks: results.is_empty(),
            ..self.plain(label)
        };
        let region = self.region(open, params, results, depth);
        let results: Vec<Ty> = region
            .results
            .iter()
            .map(|(_, local)| self.locals[*local])
            .collect();
        let mut tags: Vec<Option<usize>> = Vec::new();
        for _ in 0..1 + self.random.below(3) {
            tags.push(Some(self.random.below(self.tags.len())));
        }
        if self.random.one_in(2) {
            tags.push(None);
        }
        let mut clauses = Vec::new();
        for tag in tags {
            let payload = tag.map_or(Vec::new(), |tag| self.tags[tag].payload.clone());
            let payload = self.locals(&payload);
            self.labels.push(Open {
                in_clause: true,
                ..open
            });
            let body = self.statements(depth, 3);
            let results = self.exprs(&results, depth.min(2));
            self.labels.pop();
            clauses.push(Clause {
                tag,
                payload,
                body,
                results,
            });
        }
        Stmt::Legacy(label, region, clauses)
    }
}

/// A value as an `i64`.
fn seen(value: Expr, ty: Ty) -> Expr {
    let op = |op, value| Expr::Op(op, vec![value]);
    match ty {
        Ty::I32 => op(Op::Extend, value),
        Ty::I64 => value,
        Ty::F32 => op(Op::Extend, op(Op::Bits32, value)),
        Ty::F64 => op(Op::Bits64, value),
        Ty::V128 => Expr::Op(
            Op::Xor64,
            vec![op(Op::Low, value.clone()), op(Op::High, value)],
        ),
        Ty::Object => op(Op::Open, value),
        Ty::Func | Ty::Exn => op(Op::Extend, op(Op::IsNull, value)),
    }
}
