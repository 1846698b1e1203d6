//! A program that throws, as a tree: what the generator makes, the encoder writes and the model carries out.
//!
//! Functions call functions with greater numbers only and loops have counts, so that every program ends. All that a
//! program can be seen by are the results of its functions and a hash that it keeps ([`Stmt::Mix`]).

/// Types of values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ty {
    /// `i32`.
    I32,
    /// `i64`.
    I64,
    /// `f32`, which is moved and never calculated with: NaNs keep their bits.
    F32,
    /// `f64`, likewise.
    F64,
    /// `v128`.
    V128,
    /// `funcref`.
    Func,
    /// A reference to a structure with one `i64`, or null.
    Object,
    /// `exnref`.
    Exn,
}

/// Operators without effects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    /// `i32.add`.
    Add32,
    /// `i32.xor`.
    Xor32,
    /// `i32.mul`.
    Mul32,
    /// `i32.wrap_i64`.
    Wrap,
    /// `i32.reinterpret_f32`.
    Bits32,
    /// `ref.is_null` of a function, an object, an exception.
    IsNull,
    /// `i64.add`.
    Add64,
    /// `i64.xor`.
    Xor64,
    /// `i64.rotl`.
    Rotate64,
    /// `i64.extend_i32_u`.
    Extend,
    /// `i64.reinterpret_f64`.
    Bits64,
    /// `i64x2.extract_lane 0`.
    Low,
    /// `i64x2.extract_lane 1`.
    High,
    /// What an object holds; 0 of null.
    Open,
    /// `f32.neg`.
    Negate32,
    /// `f32.copysign`.
    Sign32,
    /// `f32.reinterpret_i32`.
    Float32,
    /// `f64.neg`.
    Negate64,
    /// `f64.copysign`.
    Sign64,
    /// `f64.reinterpret_i64`.
    Float64,
    /// `v128.xor`.
    XorV,
    /// `i32x4.add`.
    AddV,
    /// `i64x2.splat`.
    Splat,
    /// `i64x2.replace_lane 1`.
    Replace,
    /// `struct.new`.
    Object,
}

impl Op {
    /// All of them.
    pub const ALL: [Self; 25] = [
        Self::Add32,
        Self::Xor32,
        Self::Mul32,
        Self::Wrap,
        Self::Bits32,
        Self::IsNull,
        Self::Add64,
        Self::Xor64,
        Self::Rotate64,
        Self::Extend,
        Self::Bits64,
        Self::Low,
        Self::High,
        Self::Open,
        Self::Negate32,
        Self::Sign32,
        Self::Float32,
        Self::Negate64,
        Self::Sign64,
        Self::Float64,
        Self::XorV,
        Self::AddV,
        Self::Splat,
        Self::Replace,
        Self::Object,
    ];

    /// What it takes ([`Op::IsNull`] other references as well), and what it gives.
    #[must_use]
    pub fn signature(self) -> (&'static [Ty], Ty) {
        match self {
            Self::Add32 | Self::Xor32 | Self::Mul32 => (&[Ty::I32, Ty::I32], Ty::I32),
            Self::Wrap => (&[Ty::I64], Ty::I32),
            Self::Bits32 => (&[Ty::F32], Ty::I32),
            Self::IsNull => (&[Ty::Func], Ty::I32),
            Self::Add64 | Self::Xor64 | Self::Rotate64 => (&[Ty::I64, Ty::I64], Ty::I64),
            Self::Extend => (&[Ty::I32], Ty::I64),
            Self::Bits64 => (&[Ty::F64], Ty::I64),
            Self::Low | Self::High => (&[Ty::V128], Ty::I64),
            Self::Open => (&[Ty::Object], Ty::I64),
            Self::Negate32 => (&[Ty::F32], Ty::F32),
            Self::Sign32 => (&[Ty::F32, Ty::F32], Ty::F32),
            Self::Float32 => (&[Ty::I32], Ty::F32),
            Self::Negate64 => (&[Ty::F64], Ty::F64),
            Self::Sign64 => (&[Ty::F64, Ty::F64], Ty::F64),
            Self::Float64 => (&[Ty::I64], Ty::F64),
            Self::XorV | Self::AddV => (&[Ty::V128, Ty::V128], Ty::V128),
            Self::Splat => (&[Ty::I64], Ty::V128),
            Self::Replace => (&[Ty::V128, Ty::I64], Ty::V128),
            Self::Object => (&[Ty::I64], Ty::Object),
        }
    }
}

/// How a function is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// `call`.
    Direct,
    /// `call_indirect`.
    Indirect,
    /// `call_ref`.
    Reference,
}

/// A call.
#[derive(Clone, Debug)]
pub struct Call {
    /// How.
    pub how: How,
    /// Of which function.
    pub function: usize,
    /// Its arguments.
    pub arguments: Vec<Expr>,
}

/// What leaves one value.
#[derive(Clone, Debug)]
pub enum Expr {
    /// Bits of a number.
    Number(Ty, u128),
    /// A null reference.
    Null(Ty),
    /// `ref.func`.
    Function(usize),
    /// `local.get`.
    Local(usize),
    /// `global.get`.
    Global(usize),
    /// An operator.
    Op(Op, Vec<Expr>),
    /// A call of a function with one result.
    Call(Call),
    /// Statements while operands of others are alive, then a value.
    After(Vec<Stmt>, Box<Expr>),
}

/// Number of something that can be left by a branch, or delegated or rethrown to.
pub type Label = usize;

/// Values that enter a construct or leave it, and the locals that get them.
pub type Moves = Vec<(Expr, usize)>;

/// What leaves the stack as it was.
#[derive(Clone, Debug)]
pub enum Stmt {
    /// `local.set`.
    Set(usize, Expr),
    /// `global.set`.
    SetGlobal(usize, Expr),
    /// An `i64` goes into the hash.
    Mix(Expr),
    /// A call, and the locals for its results.
    Call(Call, Vec<usize>),
    /// `if`.
    If(Expr, Vec<Stmt>, Vec<Stmt>),
    /// So many times, counted in a local that nothing else uses. The labels are those of its end, and of its next turn.
    Loop([Label; 2], u32, usize, Vec<Stmt>),
    /// `block`.
    Block(Label, Vec<Stmt>),
    /// `br_if` to the end of something, or to the next turn of a loop.
    BreakIf(Expr, Label),
    /// `throw`.
    Throw(usize, Vec<Expr>),
    /// `throw_ref` of a local.
    ThrowRef(usize),
    /// `return`.
    Return(Vec<Expr>),
    /// `return_call` and its kin.
    TailCall(Call),
    /// `try_table` in a block which is its label.
    Try(Label, Region, Vec<Catch>),
    /// `try` with clauses.
    Legacy(Label, Region, Vec<Clause>),
    /// `try` with `delegate`: what it throws is as thrown at the label, or from the function.
    Delegate(Option<Label>, Vec<Stmt>),
    /// `rethrow` of what the clause of a [`Stmt::Legacy`] caught.
    Rethrow(Label),
    /// `unreachable`.
    Trap,
}

/// What is guarded.
#[derive(Clone, Debug)]
pub struct Region {
    /// Parameters of the construct.
    pub params: Moves,
    /// Its body.
    pub body: Vec<Stmt>,
    /// Results of the construct.
    pub results: Moves,
}

/// A catch clause of a `try_table`.
#[derive(Clone, Debug)]
pub struct Catch {
    /// Its tag; none catches all.
    pub tag: Option<usize>,
    /// Where it goes.
    pub then: Then,
}

/// Where a catch clause goes.
#[derive(Clone, Debug)]
pub enum Then {
    /// To code of its own.
    Handle {
        /// Locals for what the exception carries.
        payload: Vec<usize>,
        /// A local for the exception itself.
        exception: Option<usize>,
        /// The code.
        body: Vec<Stmt>,
    },
    /// To the end of something else, or to a loop's next turn; nothing is carried.
    Break(Label),
    /// Out of the function, of which what is carried are the results.
    Return,
}

/// A clause of a legacy `try`.
#[derive(Clone, Debug)]
pub struct Clause {
    /// Its tag; none catches all and is the last.
    pub tag: Option<usize>,
    /// Locals for what the exception carries.
    pub payload: Vec<usize>,
    /// The code.
    pub body: Vec<Stmt>,
    /// Results of the construct.
    pub results: Vec<Expr>,
}

/// A function.
#[derive(Clone, Debug)]
pub struct Function {
    /// Types of its parameters, which are its first locals.
    pub params: Vec<Ty>,
    /// Types of its results.
    pub results: Vec<Ty>,
    /// Types of its other locals.
    pub locals: Vec<Ty>,
    /// What it does.
    pub body: Vec<Stmt>,
    /// Its results.
    pub values: Vec<Expr>,
}

/// A tag.
#[derive(Clone, Debug)]
pub struct Tag {
    /// What its exceptions carry.
    pub payload: Vec<Ty>,
    /// It is imported: which export of the tags' module it is. Two may be the same.
    pub imported: Option<usize>,
}

/// A program.
#[derive(Clone, Debug)]
pub struct Program {
    /// Its tags, imported ones first.
    pub tags: Vec<Tag>,
    /// Types of its globals; they begin with zeros.
    pub globals: Vec<Ty>,
    /// Its functions, all exported.
    pub functions: Vec<Function>,
    /// It makes objects.
    pub objects: bool,
}

impl Program {
    /// Do two tags catch each other's exceptions?
    #[must_use]
    pub fn is_same_tag(&self, a: usize, b: usize) -> bool {
        a == b
            || (self.tags[a].imported.is_some() && self.tags[a].imported == self.tags[b].imported)
    }
}
