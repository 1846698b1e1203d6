//! Program → module.
//!
//! In: a [`Program`]. Out: the bytes of a module that exports its functions by number (`f0`) and its hash (`hash`); and
//! those of the module whose tags it imports.

use super::program::{
    Call, Catch, Clause, Expr, Function, How, Label, Moves, Op, Program, Region, Stmt, Then, Ty,
};
use wasm_encoder::{
    BlockType, Catch as Clause3, CodeSection, ConstExpr, ElementSection, Elements, EntityType,
    ExportKind, ExportSection, FieldType, FunctionSection, GlobalSection, GlobalType, HeapType,
    Ieee32, Ieee64, ImportSection, Instruction as I, Module, RefType, StorageType, TableSection,
    TableType, TagKind, TagSection, TagType, TypeSection, ValType,
};

/// Name under which the module of tags is imported.
pub const TAGS: &str = "tags";

type Signature = (Vec<Ty>, Vec<Ty>);

/// The structure's type, where there is one.
const OBJECT: u32 = 0;

fn val_type(ty: Ty) -> ValType {
    match ty {
        Ty::I32 => ValType::I32,
        Ty::I64 => ValType::I64,
        Ty::F32 => ValType::F32,
        Ty::F64 => ValType::F64,
        Ty::V128 => ValType::V128,
        Ty::Func => ValType::FUNCREF,
        Ty::Exn => ValType::EXNREF,
        Ty::Object => ValType::Ref(RefType {
            nullable: true,
            heap_type: HeapType::Concrete(OBJECT),
        }),
    }
}

fn val_types(types: &[Ty]) -> Vec<ValType> {
    types.iter().map(|ty| val_type(*ty)).collect()
}

fn null(ty: Ty) -> HeapType {
    match val_type(ty) {
        ValType::Ref(ty) => ty.heap_type,
        other => unreachable!("{other:?} has no null"),
    }
}

fn zero(ty: Ty) -> ConstExpr {
    match ty {
        Ty::I32 => ConstExpr::i32_const(0),
        Ty::I64 => ConstExpr::i64_const(0),
        Ty::F32 => ConstExpr::f32_const(0.0_f32.into()),
        Ty::F64 => ConstExpr::f64_const(0.0_f64.into()),
        Ty::V128 => ConstExpr::v128_const(0),
        Ty::Func | Ty::Object | Ty::Exn => ConstExpr::ref_null(null(ty)),
    }
}

/// The module that a program's imported tags come from.
#[must_use]
pub fn tags(program: &Program) -> Vec<u8> {
    let (mut types, mut tags) = (TypeSection::new(), TagSection::new());
    let mut exports = ExportSection::new();
    if program.objects {
        object_type(&mut types);
    }
    for tag in &program.tags {
        if tag.imported == Some(tags.len() as usize) {
            let index = tags.len();
            types.ty().function(val_types(&tag.payload), []);
            tags.tag(tag_type(types.len() - 1));
            exports.export(&format!("t{index}"), ExportKind::Tag, index);
        }
    }
    let mut module = Module::new();
    module.section(&types).section(&tags).section(&exports);
    module.finish()
}

/// The same in both modules, and so one type.
fn object_type(types: &mut TypeSection) {
    types.ty().struct_([FieldType {
        element_type: StorageType::Val(ValType::I64),
        mutable: false,
    }]);
}

fn tag_type(func_type_idx: u32) -> TagType {
    TagType {
        kind: TagKind::Exception,
        func_type_idx,
    }
}

/// The program's module.
#[must_use]
pub fn module(program: &Program) -> Vec<u8> {
    let mut encoder = Encoder {
        program,
        signatures: Vec::new(),
        code: CodeSection::new(),
    };
    for function in &program.functions {
        encoder.function(function);
    }
    encoder.helpers();
    encoder.finish()
}

struct Encoder<'p> {
    program: &'p Program,
    signatures: Vec<Signature>,
    code: CodeSection,
}

impl Encoder<'_> {
    fn signature(&mut self, params: &[Ty], results: &[Ty]) -> u32 {
        let found = self
            .signatures
            .iter()
            .position(|(p, r)| (&**p, &**r) == (params, results));
        let index = found.unwrap_or_else(|| {
            self.signatures.push((params.to_vec(), results.to_vec()));
            self.signatures.len() - 1
        });
        index as u32 + u32::from(self.program.objects)
    }

    fn block_type(&mut self, params: &[Ty], results: &[Ty]) -> BlockType {
        match (params, results) {
            ([], []) => BlockType::Empty,
            ([], [ty]) => BlockType::Result(val_type(*ty)),
            _ => BlockType::FunctionType(self.signature(params, results)),
        }
    }

    fn hash(&self) -> u32 {
        self.program.globals.len() as u32
    }

    fn function(&mut self, function: &Function) {
        let mut writer = Writer {
            encoder: self,
            function,
            labels: Vec::new(),
            code: wasm_encoder::Function::new_with_locals_types(val_types(&function.locals)),
        };
        writer.statements(&function.body);
        writer.exprs(&function.values);
        writer.put(&I::End);
        let code = writer.code;
        self.code.function(&code);
    }

    /// The hash; what an object holds.
    fn helpers(&mut self) {
        let mut hash = wasm_encoder::Function::new([]);
        hash.instruction(&I::GlobalGet(self.hash()))
            .instruction(&I::End);
        self.code.function(&hash);
        if self.program.objects {
            let mut open = wasm_encoder::Function::new([]);
            open.instruction(&I::LocalGet(0))
                .instruction(&I::RefIsNull)
                .instruction(&I::If(BlockType::Result(ValType::I64)))
                .instruction(&I::I64Const(0))
                .instruction(&I::Else)
                .instruction(&I::LocalGet(0))
                .instruction(&I::StructGet {
                    struct_type_index: OBJECT,
                    field_index: 0,
                })
                .instruction(&I::End)
                .instruction(&I::End);
            self.code.function(&open);
        }
    }

    fn finish(mut self) -> Vec<u8> {
        let program = self.program;
        let count = program.functions.len() as u32;
        let mut functions = FunctionSection::new();
        for function in &program.functions {
            functions.function(self.signature(&function.params, &function.results));
        }
        functions.function(self.signature(&[], &[Ty::I64]));
        if program.objects {
            functions.function(self.signature(&[Ty::Object], &[Ty::I64]));
        }

        let (mut imports, mut tags) = (ImportSection::new(), TagSection::new());
        for tag in &program.tags {
            let ty = tag_type(self.signature(&tag.payload, &[]));
            match tag.imported {
                Some(index) => {
                    imports.import(TAGS, &format!("t{index}"), EntityType::Tag(ty));
                }
                None => {
                    tags.tag(ty);
                }
            }
        }
        let mut tables = TableSection::new();
        tables.table(TableType {
            element_type: RefType::FUNCREF,
            table64: false,
            minimum: count.into(),
            maximum: None,
            shared: false,
        });
        let mut globals = GlobalSection::new();
        for ty in program.globals.iter().chain([&Ty::I64]) {
            let ty_of = GlobalType {
                val_type: val_type(*ty),
                mutable: true,
                shared: false,
            };
            globals.global(ty_of, &zero(*ty));
        }
        let mut exports = ExportSection::new();
        for index in 0..count {
            exports.export(&format!("f{index}"), ExportKind::Func, index);
        }
        exports.export("hash", ExportKind::Func, count);
        let mut elements = ElementSection::new();
        let all: Vec<u32> = (0..count).collect();
        elements.active(
            None,
            &ConstExpr::i32_const(0),
            Elements::Functions(all.into()),
        );

        let mut types = TypeSection::new();
        if program.objects {
            object_type(&mut types);
        }
        for (params, results) in &self.signatures {
            types.ty().function(val_types(params), val_types(results));
        }
        let mut module = Module::new();
        module.section(&types);
        if !imports.is_empty() {
            module.section(&imports);
        }
        module.section(&functions).section(&tables).section(&tags);
        module.section(&globals).section(&exports);
        module.section(&elements).section(&self.code);
        module.finish()
    }
}

struct Writer<'e, 'p> {
    encoder: &'e mut Encoder<'p>,
    function: &'e Function,
    /// What is open, innermost last; some have names.
    labels: Vec<Option<Label>>,
    code: wasm_encoder::Function,
}

impl Writer<'_, '_> {
    fn put(&mut self, instruction: &I<'_>) {
        self.code.instruction(instruction);
    }

    fn open(&mut self, instruction: &I<'_>, label: Option<Label>) {
        self.put(instruction);
        self.labels.push(label);
    }

    fn close(&mut self) {
        self.labels.pop();
        self.put(&I::End);
    }

    fn depth(&self, label: Label) -> u32 {
        let found = self.labels.iter().rev().position(|l| *l == Some(label));
        found.expect("an open label") as u32
    }

    fn local_type(&self, local: usize) -> Ty {
        let params = &self.function.params;
        match params.get(local) {
            Some(ty) => *ty,
            None => self.function.locals[local - params.len()],
        }
    }

    fn set(&mut self, locals: &[usize]) {
        for local in locals.iter().rev() {
            self.put(&I::LocalSet(*local as u32));
        }
    }

    fn exprs(&mut self, exprs: &[Expr]) {
        for expr in exprs {
            self.expr(expr);
        }
    }

    fn expr(&mut self, expr: &Expr) {
        match expr {
            Expr::Number(ty, bits) => self.number(*ty, *bits),
            Expr::Null(ty) => self.put(&I::RefNull(null(*ty))),
            Expr::Function(index) => self.put(&I::RefFunc(*index as u32)),
            Expr::Local(index) => self.put(&I::LocalGet(*index as u32)),
            Expr::Global(index) => self.put(&I::GlobalGet(*index as u32)),
            Expr::Op(op, operands) => {
                self.exprs(operands);
                self.op(*op);
            }
            Expr::Call(call) => self.call(call, false),
            Expr::After(body, expr) => {
                self.statements(body);
                self.expr(expr);
            }
        }
    }

    fn number(&mut self, ty: Ty, bits: u128) {
        self.put(&match ty {
            Ty::I32 => I::I32Const(bits as i32),
            Ty::I64 => I::I64Const(bits as i64),
            Ty::F32 => I::F32Const(Ieee32::new(bits as u32)),
            Ty::F64 => I::F64Const(Ieee64::new(bits as u64)),
            Ty::V128 => I::V128Const(bits as i128),
            other => unreachable!("{other:?} is no number"),
        });
    }

    fn op(&mut self, op: Op) {
        let open = self.encoder.program.functions.len() as u32 + 1;
        self.put(&match op {
            Op::Add32 => I::I32Add,
            Op::Xor32 => I::I32Xor,
            Op::Mul32 => I::I32Mul,
            Op::Wrap => I::I32WrapI64,
            Op::Bits32 => I::I32ReinterpretF32,
            Op::IsNull => I::RefIsNull,
            Op::Add64 => I::I64Add,
            Op::Xor64 => I::I64Xor,
            Op::Rotate64 => I::I64Rotl,
            Op::Extend => I::I64ExtendI32U,
            Op::Bits64 => I::I64ReinterpretF64,
            Op::Low => I::I64x2ExtractLane(0),
            Op::High => I::I64x2ExtractLane(1),
            Op::Open => I::Call(open),
            Op::Negate32 => I::F32Neg,
            Op::Sign32 => I::F32Copysign,
            Op::Float32 => I::F32ReinterpretI32,
            Op::Negate64 => I::F64Neg,
            Op::Sign64 => I::F64Copysign,
            Op::Float64 => I::F64ReinterpretI64,
            Op::XorV => I::V128Xor,
            Op::AddV => I::I32x4Add,
            Op::Splat => I::I64x2Splat,
            Op::Replace => I::I64x2ReplaceLane(1),
            Op::Object => I::StructNew(OBJECT),
        });
    }

    fn call(&mut self, call: &Call, tail: bool) {
        self.exprs(&call.arguments);
        let index = call.function as u32;
        let callee = &self.encoder.program.functions[call.function];
        let ty = self.encoder.signature(&callee.params, &callee.results);
        match call.how {
            How::Direct if tail => self.put(&I::ReturnCall(index)),
            How::Direct => self.put(&I::Call(index)),
            How::Indirect => {
                self.put(&I::I32Const(index as i32));
                let (type_index, table_index) = (ty, 0);
                self.put(&if tail {
                    I::ReturnCallIndirect {
                        type_index,
                        table_index,
                    }
                } else {
                    I::CallIndirect {
                        type_index,
                        table_index,
                    }
                });
            }
            How::Reference => {
                self.put(&I::RefFunc(index));
                self.put(&if tail {
                    I::ReturnCallRef(ty)
                } else {
                    I::CallRef(ty)
                });
            }
        }
    }

    fn statements(&mut self, body: &[Stmt]) {
        for stmt in body {
            self.statement(stmt);
        }
    }

    fn statement(&mut self, stmt: &Stmt) {
        match stmt {
            Stmt::Set(local, expr) => {
                self.expr(expr);
                self.put(&I::LocalSet(*local as u32));
            }
            Stmt::SetGlobal(global, expr) => {
                self.expr(expr);
                self.put(&I::GlobalSet(*global as u32));
            }
            Stmt::Mix(expr) => {
                let hash = self.encoder.hash();
                self.put(&I::GlobalGet(hash));
                self.put(&I::I64Const(5));
                self.put(&I::I64Rotl);
                self.expr(expr);
                self.put(&I::I64Xor);
                self.put(&I::GlobalSet(hash));
            }
            Stmt::Call(call, results) => {
                self.call(call, false);
                self.set(results);
            }
            Stmt::If(condition, then, otherwise) => {
                self.expr(condition);
                self.open(&I::If(BlockType::Empty), None);
                self.statements(then);
                if !otherwise.is_empty() {
                    self.put(&I::Else);
                    self.statements(otherwise);
                }
                self.close();
            }
            Stmt::Loop([end, again], count, counter, body) => {
                let counter = *counter as u32;
                self.put(&I::I32Const(*count as i32));
                self.put(&I::LocalSet(counter));
                self.open(&I::Block(BlockType::Empty), Some(*end));
                self.open(&I::Loop(BlockType::Empty), Some(*again));
                self.put(&I::LocalGet(counter));
                self.put(&I::I32Eqz);
                self.put(&I::BrIf(1));
                self.put(&I::LocalGet(counter));
                self.put(&I::I32Const(1));
                self.put(&I::I32Sub);
                self.put(&I::LocalSet(counter));
                self.statements(body);
                self.put(&I::Br(0));
                self.close();
                self.close();
            }
            Stmt::Block(label, body) => {
                self.open(&I::Block(BlockType::Empty), Some(*label));
                self.statements(body);
                self.close();
            }
            Stmt::BreakIf(condition, label) => {
                self.expr(condition);
                self.put(&I::BrIf(self.depth(*label)));
            }
            Stmt::Throw(tag, operands) => {
                self.exprs(operands);
                self.put(&I::Throw(*tag as u32));
            }
            Stmt::ThrowRef(local) => {
                self.put(&I::LocalGet(*local as u32));
                self.put(&I::ThrowRef);
            }
            Stmt::Return(values) => {
                self.exprs(values);
                self.put(&I::Return);
            }
            Stmt::TailCall(call) => self.call(call, true),
            Stmt::Try(label, region, catches) => self.guarded(*label, region, catches),
            Stmt::Legacy(label, region, clauses) => self.legacy(*label, region, clauses),
            Stmt::Delegate(target, body) => {
                self.open(&I::Try(BlockType::Empty), None);
                self.statements(body);
                self.labels.pop();
                let depth = match target {
                    Some(label) => self.depth(*label),
                    None => self.labels.len() as u32,
                };
                self.put(&I::Delegate(depth));
            }
            Stmt::Rethrow(label) => self.put(&I::Rethrow(self.depth(*label))),
            Stmt::Trap => self.put(&I::Unreachable),
        }
    }

    fn types_of(&self, moves: &Moves) -> Vec<Ty> {
        moves.iter().map(|(_, l)| self.local_type(*l)).collect()
    }

    fn move_out(&mut self, moves: &Moves) {
        let locals: Vec<usize> = moves.iter().map(|(_, local)| *local).collect();
        self.set(&locals);
    }

    /// What stands between a construct's beginning and its end.
    fn region(&mut self, region: &Region) {
        self.move_out(&region.params);
        self.statements(&region.body);
        for (value, _) in &region.results {
            self.expr(value);
        }
    }

    fn region_type(&mut self, region: &Region) -> BlockType {
        let params = self.types_of(&region.params);
        let results = self.types_of(&region.results);
        self.encoder.block_type(&params, &results)
    }

    fn guarded(&mut self, label: Label, region: &Region, catches: &[Catch]) {
        self.open(&I::Block(BlockType::Empty), Some(label));
        let handlers: Vec<_> = catches
            .iter()
            .filter_map(|catch| match &catch.then {
                Then::Handle {
                    payload,
                    exception,
                    body,
                } => Some((payload, exception, body)),
                Then::Break(_) | Then::Return => None,
            })
            .collect();
        for (payload, exception, _) in handlers.iter().rev() {
            let carried = payload.iter().chain(exception.iter());
            let carried: Vec<Ty> = carried.map(|local| self.local_type(*local)).collect();
            let ty = self.encoder.block_type(&[], &carried);
            self.open(&I::Block(ty), None);
        }
        let mut handler = 0..;
        let clauses: Vec<Clause3> = catches
            .iter()
            .map(|catch| {
                let (label, with_reference) = match &catch.then {
                    Then::Handle { exception, .. } => {
                        (handler.next().unwrap_or(0), exception.is_some())
                    }
                    Then::Break(label) => (self.depth(*label), false),
                    Then::Return => (self.labels.len() as u32, false),
                };
                match (catch.tag.map(|tag| tag as u32), with_reference) {
                    (Some(tag), false) => Clause3::One { tag, label },
                    (Some(tag), true) => Clause3::OneRef { tag, label },
                    (None, false) => Clause3::All { label },
                    (None, true) => Clause3::AllRef { label },
                }
            })
            .collect();
        for (value, _) in &region.params {
            self.expr(value);
        }
        let ty = self.region_type(region);
        self.open(&I::TryTable(ty, clauses.into()), None);
        self.region(region);
        self.close();
        self.move_out(&region.results);
        for (payload, exception, body) in handlers {
            self.put(&I::Br(self.depth(label)));
            self.close();
            self.set(exception.as_slice());
            self.set(payload);
            self.statements(body);
        }
        self.close();
    }

    fn legacy(&mut self, label: Label, region: &Region, clauses: &[Clause]) {
        for (value, _) in &region.params {
            self.expr(value);
        }
        let ty = self.region_type(region);
        self.open(&I::Try(ty), Some(label));
        self.region(region);
        for clause in clauses {
            match clause.tag {
                Some(tag) => self.put(&I::Catch(tag as u32)),
                None => self.put(&I::CatchAll),
            }
            self.set(&clause.payload);
            self.statements(&clause.body);
            self.exprs(&clause.results);
        }
        self.close();
        self.move_out(&region.results);
    }
}
