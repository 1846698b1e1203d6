//! What a program does, by walking its tree.
//!
//! In: a [`Program`] and calls of its functions. Out: what each comes to, and the hash after it. Shares nothing with
//! the compiler: control is Rust's `Result`.

use super::program::{Call, Catch, Clause, Expr, Label, Op, Program, Region, Stmt, Then, Ty};
use elfin_abi::trap::TrapCode;
use std::rc::Rc;

/// A value.
#[derive(Clone, Debug)]
pub enum Value {
    /// Bits of a number.
    Bits(u128),
    /// A function or null.
    Function(Option<usize>),
    /// What an object holds, or null.
    Object(Option<u64>),
    /// An exception or null.
    Exception(Option<Rc<Exception>>),
}

/// What is thrown.
#[derive(Debug)]
pub struct Exception {
    tag: usize,
    payload: Vec<Value>,
}

/// What a call came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Bits of numbers; of references, whether they are not null.
    Done(Vec<u128>),
    /// A trap.
    Trap(TrapCode),
    /// An exception that nothing caught.
    Exception,
}

/// How statements are left.
enum Exit {
    /// `past`: nothing catches it before this label (`Some(None)`: in this function).
    Throw {
        exception: Rc<Exception>,
        past: Option<Option<Label>>,
    },
    Trap(TrapCode),
    Break(Label),
    Return(Vec<Value>),
    Tail(usize, Vec<Value>),
    TooLong,
}

type Step<T> = Result<T, Exit>;

/// Statements and expressions of one call, at most.
const MAX_STEPS: u32 = 100_000;

/// A program and what it remembers.
pub struct Machine<'p> {
    program: &'p Program,
    globals: Vec<Value>,
    hash: u64,
    steps: u32,
    /// How often something was caught.
    pub caught: u64,
}

struct Frame {
    locals: Vec<Value>,
    /// What clauses of legacy tries have caught that are being carried out.
    caught: Vec<(Label, Rc<Exception>)>,
}

fn zero(ty: Ty) -> Value {
    match ty {
        Ty::Func => Value::Function(None),
        Ty::Object => Value::Object(None),
        Ty::Exn => Value::Exception(None),
        _ => Value::Bits(0),
    }
}

fn bits(value: &Value) -> u128 {
    match value {
        Value::Bits(bits) => *bits,
        Value::Function(function) => u128::from(function.is_some()),
        Value::Object(object) => u128::from(object.is_some()),
        Value::Exception(exception) => u128::from(exception.is_some()),
    }
}

impl<'p> Machine<'p> {
    /// A new instance.
    #[must_use]
    pub fn new(program: &'p Program) -> Self {
        Self {
            program,
            globals: program.globals.iter().map(|ty| zero(*ty)).collect(),
            hash: 0,
            steps: 0,
            caught: 0,
        }
    }

    /// Calls a function; references among the arguments are null. None when it takes too long.
    pub fn call(&mut self, function: usize, arguments: &[u128]) -> Option<Outcome> {
        self.steps = 0;
        let params = &self.program.functions[function].params;
        let arguments = params.iter().zip(arguments).map(|(ty, word)| match ty {
            Ty::Func | Ty::Object | Ty::Exn => zero(*ty),
            _ => Value::Bits(*word),
        });
        match self.enter(function, arguments.collect()) {
            Ok(values) => Some(Outcome::Done(values.iter().map(bits).collect())),
            Err(Exit::Trap(code)) => Some(Outcome::Trap(code)),
            Err(Exit::Throw { .. }) => Some(Outcome::Exception),
            Err(_) => None,
        }
    }

    /// The hash.
    #[must_use]
    pub fn hash(&self) -> u64 {
        self.hash
    }

    fn enter(&mut self, mut function: usize, mut arguments: Vec<Value>) -> Step<Vec<Value>> {
        let program = self.program;
        loop {
            let callee = &program.functions[function];
            let mut frame = Frame {
                locals: arguments,
                caught: Vec::new(),
            };
            frame
                .locals
                .extend(callee.locals.iter().map(|ty| zero(*ty)));
            let result = self
                .run(&mut frame, &callee.body)
                .and_then(|()| self.all(&mut frame, &callee.values));
            match result {
                Err(Exit::Tail(next, next_arguments)) => {
                    (function, arguments) = (next, next_arguments);
                }
                Err(Exit::Return(values)) => return Ok(values),
                Err(Exit::Throw { exception, .. }) => {
                    return Err(Exit::Throw {
                        exception,
                        past: None,
                    });
                }
                other => return other,
            }
        }
    }

    fn step(&mut self) -> Step<()> {
        self.steps += 1;
        if self.steps > MAX_STEPS {
            return Err(Exit::TooLong);
        }
        Ok(())
    }

    fn all(&mut self, frame: &mut Frame, exprs: &'p [Expr]) -> Step<Vec<Value>> {
        exprs.iter().map(|expr| self.value(frame, expr)).collect()
    }

    fn number(&mut self, frame: &mut Frame, expr: &'p Expr) -> Step<u64> {
        Ok(bits(&self.value(frame, expr)?) as u64)
    }

    fn value(&mut self, frame: &mut Frame, expr: &'p Expr) -> Step<Value> {
        self.step()?;
        Ok(match expr {
            Expr::Number(_, bits) => Value::Bits(*bits),
            Expr::Null(ty) => zero(*ty),
            Expr::Function(index) => Value::Function(Some(*index)),
            Expr::Local(index) => frame.locals[*index].clone(),
            Expr::Global(index) => self.globals[*index].clone(),
            Expr::Op(op, operands) => {
                let operands = self.all(frame, operands)?;
                apply(*op, &operands)
            }
            Expr::Call(call) => {
                let mut results = self.outgoing(frame, call)?;
                results.remove(0)
            }
            Expr::After(body, expr) => {
                self.run(frame, body)?;
                self.value(frame, expr)?
            }
        })
    }

    fn outgoing(&mut self, frame: &mut Frame, call: &'p Call) -> Step<Vec<Value>> {
        let arguments = self.all(frame, &call.arguments)?;
        self.enter(call.function, arguments)
    }

    fn run(&mut self, frame: &mut Frame, body: &'p [Stmt]) -> Step<()> {
        body.iter().try_for_each(|stmt| self.statement(frame, stmt))
    }

    fn statement(&mut self, frame: &mut Frame, stmt: &'p Stmt) -> Step<()> {
        self.step()?;
        match stmt {
            Stmt::Set(local, expr) => frame.locals[*local] = self.value(frame, expr)?,
            Stmt::SetGlobal(global, expr) => self.globals[*global] = self.value(frame, expr)?,
            Stmt::Mix(expr) => {
                // The old hash is on the stack while the expression is evaluated.
                let before = self.hash.rotate_left(5);
                self.hash = before ^ self.number(frame, expr)?;
            }
            Stmt::Call(call, results) => {
                let values = self.outgoing(frame, call)?;
                set(frame, results, values);
            }
            Stmt::If(condition, then, otherwise) => {
                let body = if self.number(frame, condition)? == 0 {
                    otherwise
                } else {
                    then
                };
                self.run(frame, body)?;
            }
            Stmt::Loop([end, again], count, _, body) => {
                for _ in 0..*count {
                    let turn = leave(*again, at(*again, self.run(frame, body)));
                    match at(*end, turn) {
                        Err(Exit::Break(target)) if target == *end => break,
                        result => result?,
                    }
                }
            }
            Stmt::Block(label, body) => {
                let result = at(*label, self.run(frame, body));
                leave(*label, result)?;
            }
            Stmt::BreakIf(condition, label) => {
                if self.number(frame, condition)? != 0 {
                    return Err(Exit::Break(*label));
                }
            }
            Stmt::Throw(tag, operands) => {
                let payload = self.all(frame, operands)?;
                return Err(thrown(Rc::new(Exception { tag: *tag, payload })));
            }
            Stmt::ThrowRef(local) => {
                return Err(match &frame.locals[*local] {
                    Value::Exception(Some(exception)) => thrown(exception.clone()),
                    _ => Exit::Trap(TrapCode::NullReference),
                });
            }
            Stmt::Return(exprs) => return Err(Exit::Return(self.all(frame, exprs)?)),
            Stmt::TailCall(call) => {
                let arguments = self.all(frame, &call.arguments)?;
                return Err(Exit::Tail(call.function, arguments));
            }
            Stmt::Try(label, region, catches) => {
                let result = self.guarded(frame, region, catches);
                leave(*label, at(*label, result))?;
            }
            Stmt::Legacy(label, region, clauses) => {
                let result = self.legacy(frame, *label, region, clauses);
                leave(*label, result)?;
            }
            Stmt::Delegate(target, body) => match self.run(frame, body) {
                Err(Exit::Throw {
                    exception,
                    past: None,
                }) => {
                    return Err(Exit::Throw {
                        exception,
                        past: Some(*target),
                    });
                }
                result => result?,
            },
            Stmt::Rethrow(label) => {
                let found = frame.caught.iter().rev().find(|(at, _)| at == label);
                return Err(thrown(found.expect("caught").1.clone()));
            }
            Stmt::Trap => return Err(Exit::Trap(TrapCode::Unreachable)),
        }
        Ok(())
    }

    fn region(&mut self, frame: &mut Frame, region: &'p Region) -> Step<()> {
        self.run(frame, &region.body)?;
        self.leaving(frame, region, region.results.iter().map(|(expr, _)| expr))
    }

    /// The results of a construct.
    fn leaving(
        &mut self,
        frame: &mut Frame,
        region: &'p Region,
        exprs: impl Iterator<Item = &'p Expr>,
    ) -> Step<()> {
        let values: Vec<Value> = exprs
            .map(|expr| self.value(frame, expr))
            .collect::<Step<_>>()?;
        let locals: Vec<usize> = region.results.iter().map(|(_, local)| *local).collect();
        set(frame, &locals, values);
        Ok(())
    }

    /// Parameters are evaluated outside.
    fn entering(&mut self, frame: &mut Frame, region: &'p Region) -> Step<()> {
        let exprs = region.params.iter().map(|(expr, _)| expr);
        let values: Vec<Value> = exprs
            .map(|expr| self.value(frame, expr))
            .collect::<Step<_>>()?;
        let locals: Vec<usize> = region.params.iter().map(|(_, local)| *local).collect();
        set(frame, &locals, values);
        Ok(())
    }

    fn guarded(&mut self, frame: &mut Frame, region: &'p Region, catches: &'p [Catch]) -> Step<()> {
        self.entering(frame, region)?;
        let exception = match self.region(frame, region) {
            Err(Exit::Throw {
                exception,
                past: None,
            }) => exception,
            result => return result,
        };
        let program = self.program;
        let catch = catches.iter().find(|catch| match catch.tag {
            None => true,
            Some(tag) => program.is_same_tag(tag, exception.tag),
        });
        let Some(catch) = catch else {
            return Err(thrown(exception));
        };
        self.caught += 1;
        match &catch.then {
            Then::Break(label) => Err(Exit::Break(*label)),
            Then::Return => Err(Exit::Return(match catch.tag {
                Some(_) => exception.payload.clone(),
                None => Vec::new(),
            })),
            Then::Handle {
                payload,
                exception: local,
                body,
            } => {
                if let Some(local) = local {
                    frame.locals[*local] = Value::Exception(Some(exception.clone()));
                }
                if catch.tag.is_some() {
                    set(frame, payload, exception.payload.clone());
                }
                self.run(frame, body)
            }
        }
    }

    fn legacy(
        &mut self,
        frame: &mut Frame,
        label: Label,
        region: &'p Region,
        clauses: &'p [Clause],
    ) -> Step<()> {
        self.entering(frame, region)?;
        let exception = match at(label, self.region(frame, region)) {
            Err(Exit::Throw {
                exception,
                past: None,
            }) => exception,
            result => return result,
        };
        let program = self.program;
        let clause = clauses.iter().find(|clause| match clause.tag {
            None => true,
            Some(tag) => program.is_same_tag(tag, exception.tag),
        });
        let Some(clause) = clause else {
            return Err(thrown(exception));
        };
        self.caught += 1;
        if clause.tag.is_some() {
            set(frame, &clause.payload, exception.payload.clone());
        }
        frame.caught.push((label, exception));
        let result = self
            .run(frame, &clause.body)
            .and_then(|()| self.leaving(frame, region, clause.results.iter()));
        frame.caught.pop();
        at(label, result)
    }
}

fn thrown(exception: Rc<Exception>) -> Exit {
    Exit::Throw {
        exception,
        past: None,
    }
}

/// What was delegated to this label has arrived.
fn at(label: Label, result: Step<()>) -> Step<()> {
    match result {
        Err(Exit::Throw { exception, past }) if past == Some(Some(label)) => Err(thrown(exception)),
        result => result,
    }
}

/// A branch to this label ends here.
fn leave(label: Label, result: Step<()>) -> Step<()> {
    match result {
        Err(Exit::Break(target)) if target == label => Ok(()),
        result => result,
    }
}

/// Several locals at once, the last first: one that is named twice keeps the first value.
fn set(frame: &mut Frame, locals: &[usize], values: Vec<Value>) {
    for (local, value) in locals.iter().zip(values).rev() {
        frame.locals[*local] = value;
    }
}

fn apply(op: Op, operands: &[Value]) -> Value {
    let word = |n: usize| bits(&operands[n]);
    let (half, double) = (|n| word(n) as u32, |n| word(n) as u64);
    let result = match op {
        Op::Add32 => half(0).wrapping_add(half(1)).into(),
        Op::Xor32 => (half(0) ^ half(1)).into(),
        Op::Mul32 => half(0).wrapping_mul(half(1)).into(),
        Op::Wrap => half(0).into(),
        Op::IsNull => u128::from(word(0) == 0),
        Op::Add64 => double(0).wrapping_add(double(1)).into(),
        Op::Xor64 => (double(0) ^ double(1)).into(),
        Op::Rotate64 => double(0).rotate_left(half(1) % 64).into(),
        Op::Extend | Op::Bits32 | Op::Bits64 | Op::Float32 | Op::Float64 => word(0),
        Op::Low => double(0).into(),
        Op::High => word(0) >> 64,
        Op::Open => match operands[0] {
            Value::Object(Some(held)) => held.into(),
            _ => 0,
        },
        Op::Negate32 => word(0) ^ 1 << 31,
        Op::Sign32 => word(0) & !(1 << 31) | word(1) & 1 << 31,
        Op::Negate64 => word(0) ^ 1 << 63,
        Op::Sign64 => word(0) & !(1 << 63) | word(1) & 1 << 63,
        Op::XorV => word(0) ^ word(1),
        Op::AddV => (0..4).fold(0, |sum, lane| {
            let lane_of = |n| (word(n) >> (32 * lane)) as u32;
            sum | u128::from(lane_of(0).wrapping_add(lane_of(1))) << (32 * lane)
        }),
        Op::Splat => word(0) | word(0) << 64,
        Op::Replace => u128::from(double(0)) | word(1) << 64,
        Op::Object => return Value::Object(Some(double(0))),
    };
    Value::Bits(result)
}
