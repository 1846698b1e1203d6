//! One function body → one `ir::Function`.
//!
//! In: a [`Program`], its [`Layout`], and the id of a function. Out: CLIF. Translation reads decisions
//! (what is constant, where things lie) and takes none. Rooms: `operator` dispatches, one file for each
//! family of operators, `bounds` alone turns guest addresses into host addresses.

mod atomic;
mod bounds;
mod bulk;
mod call;
mod control;
mod exception;
mod gc;
mod global;
mod glue;
mod locals;
mod memory;
mod numeric;
mod operator;
mod reference;
mod rounding;
mod simd;
mod size;
mod stack;
mod state;
mod step;
mod table;
mod thread;

use crate::cpu::Cpu;
use crate::error::{Error, Result};
use crate::layout::Layout;
use crate::module::{RefType, ValType};
use crate::options::{Addressing, Arch, Twins};
use crate::program::{FuncId, Instance, InstanceId, Program, TypeId};
use crate::symbol::Symbol;
use crate::usage::{Usage, body_of};
use control::Frame;
use cranelift_codegen::ir::{
    self, AbiParam, AliasRegion, AliasRegionData, FuncRef, InstBuilder, SigRef, Signature,
    TrapCode, Type, UserFuncName, Value, types,
};
use cranelift_codegen::isa::CallConv;
use cranelift_frontend::{FunctionBuilder, FunctionBuilderContext};
use elfin_abi::trap;
use std::collections::HashMap;

pub(crate) use exception::holds_exceptions;
pub use glue::{action_glue, host_glue, main_function, steps_function, unknown_glue};
pub(crate) use reference::reference_symbol;
pub(crate) use simd::find_vector;
pub use thread::thread_function;

/// What every translation reads.
#[derive(Clone, Copy, Debug)]
pub struct Env<'p> {
    /// The program.
    pub program: &'p Program<'p>,
    /// What it uses.
    pub usage: &'p Usage,
    /// Where everything lies.
    pub layout: &'p Layout,
    /// Target.
    pub arch: Arch,
    /// What may be used beyond its baseline.
    pub cpu: Cpu,
    /// Prefer smaller code to faster.
    pub small: bool,
    /// What the policy grants.
    pub grants: elfin_abi::host::Grants,
    /// Which functions have twins.
    pub twins: Twins,
}

impl Env<'_> {
    /// The calling convention of all Wasm functions of the program. Only the Tail convention has tail calls;
    /// host functions and the runtime have the C convention in any case.
    #[must_use]
    pub const fn call_conv(&self) -> CallConv {
        if self.usage.tail_calls {
            CallConv::Tail
        } else {
            CallConv::SystemV
        }
    }

    /// The CLIF signature of functions of a Wasm type.
    #[must_use]
    pub fn signature(&self, ty: TypeId) -> Signature {
        let ty = self.program.ty(ty);
        let mut signature = Signature::new(self.call_conv());
        if self.layout.addressing == Addressing::Context {
            signature.params.push(AbiParam::new(types::I64));
        }
        signature.params.extend(
            ty.params()
                .iter()
                .map(|ty| AbiParam::new(self.clif_type(*ty))),
        );
        signature.returns.extend(
            ty.results()
                .iter()
                .map(|ty| AbiParam::new(self.clif_type(*ty))),
        );
        signature
    }

    /// Whether the back end has vectors. Without, a v128 is two words, and no value may be a vector.
    #[must_use]
    pub const fn has_vectors(&self) -> bool {
        self.cpu.has_vectors(self.arch)
    }

    /// The CLIF type of a value type. References are 64-bit words, vectors are seen as bytes where there are any.
    fn clif_type(&self, ty: ValType) -> Type {
        match ty {
            ValType::I32 => types::I32,
            ValType::I64 => types::I64,
            ValType::F32 => types::F32,
            ValType::F64 => types::F64,
            ValType::V128 if self.has_vectors() => types::I8X16,
            ValType::V128 => simd::TWO_WORDS,
            ValType::Ref(_) => types::I64,
        }
    }
}

/// A trap code as CLIF carries it.
const fn trap_code(code: trap::TrapCode) -> TrapCode {
    TrapCode::unwrap_user(code as u8)
}

/// Disjoint parts of memory, as alias analysis knows them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Region {
    /// A linear memory.
    Memory(u32),
    /// The length in a memory's descriptor.
    MemoryLength(u32),
    /// A table's entries.
    Table(u32),
    /// The length in a table's descriptor.
    TableLength(u32),
    /// A global.
    Global(u32),
    /// Descriptors of segments.
    Segments,
    /// A function's own scratch space on the stack.
    Scratch,
    /// What exceptions carry.
    Exceptions,
    /// Where the heap has room (0), and how much (1).
    Heap(u32),
    /// The headers of objects.
    Header,
    /// The fields of structs at an offset. Two structs of which one has the other's type have the same fields.
    Field(u32),
    /// The elements of arrays, by the logarithm of their size.
    Element(u32),
    /// Where references are kept across calls.
    Frame,
    /// Whatever else a function has that touches very many things.
    Rest,
}

/// Most regions that a function tells apart: the code generator keeps an account of each for every block, and has room
/// for 2¹⁶ combinations of flags.
const MAX_REGIONS: usize = 1 << 8;

impl Region {
    /// A number that is the same in every function of the program.
    const fn id(self) -> u32 {
        const KIND: u32 = 1 << 28;
        match self {
            Region::Memory(i) => KIND + i,
            Region::MemoryLength(i) => 2 * KIND + i,
            Region::Table(i) => 3 * KIND + i,
            Region::TableLength(i) => 4 * KIND + i,
            Region::Global(i) => 5 * KIND + i,
            Region::Segments => 6 * KIND,
            Region::Scratch => 7 * KIND,
            Region::Exceptions => 13 * KIND,
            Region::Heap(i) => 8 * KIND + i,
            Region::Header => 9 * KIND,
            Region::Field(i) => 10 * KIND + i,
            Region::Element(i) => 11 * KIND + i,
            Region::Frame => 12 * KIND,
            Region::Rest => 14 * KIND,
        }
    }
}

/// Translates one function.
struct Translator<'p, 'f> {
    env: Env<'p>,
    instance: &'p Instance<'p>,
    builder: FunctionBuilder<'f>,
    /// The operand stack.
    stack: Vec<Value>,
    /// The control stack.
    control: Vec<Frame>,
    /// Nesting of blocks that began in unreachable code.
    dead_depth: u32,
    /// The operators now read can be reached.
    reachable: bool,
    locals: locals::Locals,
    /// The context parameter.
    context: Option<Value>,
    /// For an i32 that was loaded zero-extended, the i64 it was loaded as: an address computed from it
    /// needs no extension.
    wide: HashMap<Value, Value>,
    /// What is known of references.
    known: HashMap<Value, RefType>,
    /// This code runs once: it calls where other code does things by itself.
    cold: bool,
    functions: HashMap<Symbol, FuncRef>,
    symbols: HashMap<Symbol, ir::GlobalValue>,
    signatures: HashMap<TypeId, SigRef>,
    regions: HashMap<Region, AliasRegion>,
    memory_symbol: Option<ir::GlobalValue>,
    /// Stack space in which vectors are taken apart.
    scratch: Option<ir::StackSlot>,
    /// The clauses of every legacy `try` of the body, in order, and how many of them were met.
    legacy_tries: Vec<exception::LegacyShape>,
    next_legacy_try: usize,
    /// The frames that have clauses, by position in the control stack.
    tries: Vec<usize>,
    clauses_walked: usize,
    handlers_listed: usize,
    /// How many references the collector may have to be told of.
    roots: gc::Roots,
    /// Calls in the module's code.
    calls: u32,
    /// Which blocks have which locals.
    local_blocks: size::LocalBlocks,
    /// A constant expression of this instance was beyond a limit.
    too_large: Option<(InstanceId, &'static str)>,
    /// Stack space for the expected value of a compare-and-exchange, where it goes through one.
    expected: Option<ir::StackSlot>,
    /// The words of vectors that were taken apart, and in which block.
    words: HashMap<Value, (ir::Block, [Value; 2])>,
}

impl<'p, 'f> Translator<'p, 'f> {
    fn new(env: Env<'p>, instance: InstanceId, builder: FunctionBuilder<'f>) -> Self {
        let mut translator = Self {
            env,
            instance: &env.program.instances[instance.index()],
            builder,
            stack: Vec::new(),
            control: Vec::new(),
            dead_depth: 0,
            reachable: true,
            locals: locals::Locals::default(),
            context: None,
            wide: HashMap::new(),
            known: HashMap::new(),
            cold: false,
            functions: HashMap::new(),
            symbols: HashMap::new(),
            signatures: HashMap::new(),
            regions: HashMap::new(),
            memory_symbol: None,
            scratch: None,
            legacy_tries: Vec::new(),
            next_legacy_try: 0,
            tries: Vec::new(),
            clauses_walked: 0,
            handlers_listed: 0,
            roots: gc::Roots::default(),
            calls: 0,
            local_blocks: size::LocalBlocks::default(),
            too_large: None,
            expected: None,
            words: HashMap::new(),
        };
        translator.name_frame_region();
        translator
    }

    /// Opens the entry block and returns the Wasm parameters.
    fn enter(&mut self) -> Vec<Value> {
        let entry = self.builder.create_block();
        self.builder.append_block_params_for_function_params(entry);
        self.builder.switch_to_block(entry);
        self.builder.seal_block(entry);
        let mut params = self.builder.block_params(entry).to_vec();
        if self.env.layout.addressing == Addressing::Context {
            self.context = Some(params.remove(0));
        }
        params
    }

    fn region(&mut self, region: Region) -> AliasRegion {
        let func = &mut self.builder.func;
        // A function knows one thing by the same region throughout, whichever that is.
        let region = if self.regions.len() < MAX_REGIONS || self.regions.contains_key(&region) {
            region
        } else {
            Region::Rest
        };
        *self.regions.entry(region).or_insert_with(|| {
            func.dfg.alias_regions.insert(AliasRegionData {
                user_id: region.id(),
                description: format!("{region:?}").into(),
            })
        })
    }

    fn iconst32(&mut self, value: u32) -> Value {
        self.builder.ins().iconst(types::I32, i64::from(value))
    }

    fn iconst64(&mut self, value: u64) -> Value {
        self.builder.ins().iconst(types::I64, value.cast_signed())
    }

    /// Ends the current block with a trap; what follows is unreachable.
    fn trap(&mut self, code: trap::TrapCode) {
        self.builder.ins().trap(trap_code(code));
        self.reachable = false;
    }

    /// An i32 as an unsigned i64; an i64 as it is.
    fn widen(&mut self, value: Value) -> Value {
        if self.builder.func.dfg.value_type(value) == types::I64 {
            return value;
        }
        if let Some(wide) = self.wide.get(&value) {
            return *wide;
        }
        self.builder.ins().uextend(types::I64, value)
    }

    /// A 64-bit size or length as a number of the address type of a memory or table. All ones, which means
    /// failure, stay all ones.
    fn push_address(&mut self, value: Value, is_64: bool) {
        let value = if is_64 {
            value
        } else {
            self.builder.ins().ireduce(types::I32, value)
        };
        self.stack.push(value);
    }

    /// The number that `value` is, when it is a constant of the function.
    fn constant(&self, value: Value) -> Option<u64> {
        let dfg = &self.builder.func.dfg;
        let inst = dfg.value_def(value).inst()?;
        match dfg.insts[inst] {
            ir::InstructionData::UnaryImm {
                opcode: ir::Opcode::Iconst,
                imm,
            } => Some(imm.bits().cast_unsigned()),
            _ => None,
        }
    }
}

/// Translates function `id` into `func`, which must be empty.
///
/// # Errors
/// [`Error::Unsupported`] or [`Error::Internal`] with the place.
pub fn translate(
    env: Env<'_>,
    id: FuncId,
    func: &mut ir::Function,
    context: &mut FunctionBuilderContext,
) -> Result<()> {
    let function = env.program.functions[id.index()];
    let instance = &env.program.instances[function.instance.index()];
    let module = instance.module;
    let invalid = |e: wasmparser::Error| Error::Invalid {
        message: e.message().to_owned(),
        place: module.function_place(function.index, Some(e.offset())),
    };

    func.name = UserFuncName::User(Symbol::Function(id).encode());
    func.signature = env.signature(function.ty);
    let body = body_of(env.program, id);
    let legacy_try = body.summary.legacy_try;
    let body = &body.body;
    let mut t = Translator::new(env, function.instance, FunctionBuilder::new(func, context));

    if legacy_try {
        t.legacy_tries = exception::legacy_tries(body).map_err(invalid)?;
    }
    let params = t.enter();
    let types = env.program.ty(function.ty).params().iter().copied();
    t.declare_all_locals(params.into_iter().zip(types), body)
        .map_err(invalid)?;
    t.enter_function(env.program.ty(function.ty));

    let mut reader = body.get_operators_reader().map_err(invalid)?;
    while !reader.eof() {
        let (operator, offset) = reader.read_with_offset().map_err(invalid)?;
        t.operator(&operator)
            .map_err(|feature| Error::Unsupported {
                feature,
                place: module.function_place(function.index, Some(offset)),
            })?;
        t.count_roots_of(&operator);
        t.count_calls_of(&operator);
        if let Some(message) = t.exceeded() {
            return Err(Error::LimitExceeded {
                message: message.to_owned(),
                place: module.function_place(function.index, Some(offset)),
            });
        }
    }
    t.builder.seal_all_blocks();
    let config = ir_config();
    t.builder.finalize(config);
    Ok(())
}

fn ir_config() -> cranelift_codegen::isa::TargetFrontendConfig {
    cranelift_codegen::isa::TargetFrontendConfig {
        default_call_conv: CallConv::SystemV,
        pointer_width: target_lexicon::PointerWidth::U64,
        page_size_align_log2: 12,
    }
}
