//! Functions that no module defines: the program's main function, the actions of a script, and imports as
//! functions of the Wasm convention, for references to them.

use super::{Env, Translator, ir_config};
use crate::error::Result;
use crate::fold::Folded;
use crate::module::ValType;
use crate::program::{ActionKind, Callee, Check, Constant, HostId, InstanceId, UnknownId};
use crate::symbol::Symbol;
use crate::twins;
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{
    self, AbiParam, InstBuilder, MemFlagsData, Signature, UserFuncName, types,
};
use cranelift_codegen::isa::CallConv;
use cranelift_frontend::{FunctionBuilder, FunctionBuilderContext};
use elfin_abi::host::{Libcall, Setup};
use elfin_abi::script;
use elfin_abi::trap::TrapCode;

/// `main(state)`: makes sure that the CPU has what the code was built for, prepares what host functions need, does the
/// steps that were not folded, initialises reactors, calls the entry function.
///
/// # Errors
/// [`Error::LimitExceeded`](crate::error::Error) when a constant expression is too large.
pub fn main_function(
    env: Env<'_>,
    folded: &Folded,
    func: &mut ir::Function,
    context: &mut FunctionBuilderContext,
) -> Result<()> {
    func.name = UserFuncName::User(Symbol::Main.encode());
    func.signature = main_signature();

    let main = InstanceId(env.program.instances.len() as u32 - 1);
    let mut t = Translator::new(env, main, FunctionBuilder::new(func, context));
    let params = t.enter();
    debug_assert!(params.len() <= 1);
    t.cold = true;
    if env.cpu.needs_check() {
        // Before anything else: what follows may use an instruction that the CPU lacks.
        let features = t.iconst64(env.cpu.features.bits());
        let name = t.symbol_address(Symbol::CpuName);
        let len = t.iconst64(env.cpu.describe_level(env.arch).len() as u64);
        t.call_libcall(Libcall::CheckCpu, &[features, name, len]);
    }
    if twins::are_used(env) {
        let features = t.iconst64(twins::cpu().features.bits());
        t.call_libcall(Libcall::FindCpu, &[features]);
    }
    if env.layout.heap.is_some() {
        let program = t.symbol_address(Symbol::Gc);
        let libcall = if env.layout.has_threads {
            Libcall::ThreadGcSetUp
        } else {
            Libcall::GcSetUp
        };
        t.call_libcall(libcall, &[program]);
    }
    for (position, setup) in (0..).zip(Setup::ALL) {
        let used = env
            .program
            .host_functions
            .iter()
            .zip(&env.usage.host_used)
            .any(|(host, used)| *used && host.function().setup.contains(setup));
        let throws = env.usage.throws && Some(*setup) == exception_setup(env);
        if setup.is_needed(used, &env.grants) || throws {
            t.call_setup(position);
        }
    }
    for (index, table) in env.program.tables.iter().enumerate() {
        // A large table whose entries do not begin as null.
        if let Constant::Function(callee) = table.init
            && folded.tables[index].is_empty()
            && table.initial > 0
        {
            t.fill_table(index, callee, table.initial);
        }
    }
    if let Some(actions) = &env.program.script {
        let state = t.state_address(0);
        let records = t.symbol_address(Symbol::Script);
        let count = t.iconst64(actions.len() as u64);
        t.call_libcall(Libcall::RunScript, &[state, records, count]);
    } else {
        t.steps(folded, 0..folded.steps.len());
        if t.reachable {
            t.run_entry();
        }
    }
    if t.reachable {
        t.builder.ins().return_(&[]);
    }
    t.finish()
}

/// What must be prepared for a program that throws.
fn exception_setup(env: Env<'_>) -> Option<Setup> {
    match (env.usage.allocates, env.layout.is_threaded) {
        (false, false) => Some(Setup::Exceptions),
        (false, true) => Some(Setup::ThreadExceptions),
        (true, true) => Some(Setup::ThreadThrows),
        (true, false) => None,
    }
}
/// The main function takes the address of the state.
pub(super) fn main_signature() -> Signature {
    let mut signature = Signature::new(CallConv::SystemV);
    signature.params.push(AbiParam::new(types::I64));
    signature
}

/// A part of the steps at start.
///
/// # Errors
/// [`Error::LimitExceeded`](crate::error::Error) when a constant expression is too large.
pub fn steps_function(
    env: Env<'_>,
    folded: &Folded,
    part: u32,
    func: &mut ir::Function,
    context: &mut FunctionBuilderContext,
) -> Result<()> {
    func.name = UserFuncName::User(Symbol::Steps(part).encode());
    func.signature = main_signature();
    let main = InstanceId(env.program.instances.len() as u32 - 1);
    let mut t = Translator::new(env, main, FunctionBuilder::new(func, context));
    t.enter();
    t.cold = true;
    for step in &folded.steps[folded.parts[part as usize].clone()] {
        if t.reachable {
            t.step(folded, *step);
        }
    }
    if t.reachable {
        t.builder.ins().return_(&[]);
    }
    t.finish()
}

/// The function of an action of a script, as `elfin_abi::script` wants it.
///
/// # Errors
/// [`Error::LimitExceeded`](crate::error::Error) when a constant expression is too large.
pub fn action_glue(
    env: Env<'_>,
    folded: &Folded,
    index: u32,
    func: &mut ir::Function,
    context: &mut FunctionBuilderContext,
) -> Result<()> {
    let actions = env.program.script.as_deref().unwrap_or_default();
    let action = &actions[index as usize];
    func.name = UserFuncName::User(Symbol::Action(index).encode());
    let mut signature = Signature::new(CallConv::SystemV);
    signature.params.push(AbiParam::new(types::I64));
    signature.params.push(AbiParam::new(types::I64));
    signature.returns.push(AbiParam::new(types::I32));
    func.signature = signature;

    let main = InstanceId(env.program.instances.len() as u32 - 1);
    let mut t = Translator::new(env, main, FunctionBuilder::new(func, context));
    let params = t.enter();
    let results = *params.last().expect("declared just now");
    t.cold = true;
    match &action.kind {
        ActionKind::Instantiate(id) => t.instantiate(folded, *id),
        ActionKind::Invoke { callee, arguments } => {
            let ty = env.program.ty(env.program.callee_type(*callee));
            for (ty, argument) in ty.params().iter().zip(arguments) {
                t.push_constant(*ty, *argument);
            }
            let arguments = t.pop_n(arguments.len());
            let values = t.call_function(*callee, &arguments);
            t.stack.extend(values);
        }
        ActionKind::Get(id) => t.push_global(*id),
        ActionKind::Thread { .. } | ActionKind::Wait(_) => {
            unreachable!("codegen: the driver's own actions have no function")
        }
    }
    if t.reachable {
        let types = env.program.action_results(action);
        let values = t.pop_n(types.len());
        for (slot, (value, ty)) in (0..).zip(values.into_iter().zip(types)) {
            let at = slot * script::SLOT.cast_signed();
            if env.is_traced(*ty) {
                let kind = t.kind_of(value);
                let flags = MemFlagsData::new().with_notrap();
                t.builder.ins().store(flags, kind, results, at + 8);
            }
            // Slots are aligned to 8 bytes, which is not enough for a vector.
            let flags = MemFlagsData::new().with_notrap();
            t.builder.ins().store(flags, value, results, at);
        }
        let done = t.iconst32(script::DONE);
        t.builder.ins().return_(&[done]);
    }
    t.finish()
}

impl Translator<'_, '_> {
    /// Makes an instance: what import matching left open, then the steps that were not folded.
    fn instantiate(&mut self, folded: &Folded, id: InstanceId) {
        for check in &self.env.program.instances[id.index()].checks {
            let (length, wanted) = match *check {
                Check::Memory(id, bytes) => (self.memory_length(id), bytes),
                Check::Table(id, entries) => (self.table_length(id), entries),
            };
            let wanted = self.iconst64(wanted);
            let short = self
                .builder
                .ins()
                .icmp(IntCC::UnsignedLessThan, length, wanted);
            let (fail, next) = (self.builder.create_block(), self.builder.create_block());
            self.builder.ins().brif(short, fail, &[], next, &[]);
            self.builder.switch_to_block(fail);
            let unlinkable = self.iconst32(script::UNLINKABLE);
            self.builder.ins().return_(&[unlinkable]);
            self.builder.switch_to_block(next);
        }
        self.steps(folded, folded.ranges[id.index()].clone());
    }

    fn run_entry(&mut self) {
        let entry = &self.env.program.entry;
        for id in &entry.initialize {
            self.call_function(Callee::Defined(*id), &[]);
        }
        let Some(id) = entry.call else { return };
        let ty = self
            .env
            .program
            .ty(self.env.program.functions[id.index()].ty);
        let mut args = Vec::new();
        if let Some(name) = &entry.invoke {
            let count = self.iconst32(ty.params().len() as u32);
            let text = self.symbol_address(Symbol::InvokeName);
            let len = self.iconst64(name.len() as u64);
            self.call_libcall(Libcall::InvokeArguments, &[count, text, len]);
            for (i, ty) in (0..).zip(ty.params()) {
                let libcall = match ty {
                    ValType::I32 => Libcall::ArgumentI32,
                    ValType::I64 => Libcall::ArgumentI64,
                    ValType::F32 => Libcall::ArgumentF32,
                    _ => Libcall::ArgumentF64,
                };
                let index = self.iconst32(i);
                args.extend(self.call_libcall(libcall, &[index]));
            }
        }
        let results = self.call_function(Callee::Defined(id), &args);
        if entry.invoke.is_some() {
            for (value, ty) in results.into_iter().zip(ty.results()) {
                let libcall = match ty {
                    ValType::I32 => Libcall::PrintI32,
                    ValType::I64 => Libcall::PrintI64,
                    ValType::F32 => Libcall::PrintF32,
                    _ => Libcall::PrintF64,
                };
                self.call_libcall(libcall, &[value]);
            }
        }
    }
}

/// A host import as a function of the Wasm convention.
pub fn host_glue(
    env: Env<'_>,
    id: HostId,
    func: &mut ir::Function,
    context: &mut FunctionBuilderContext,
) {
    func.name = UserFuncName::User(Symbol::HostGlue(id).encode());
    func.signature = env.signature(env.program.host_functions[id.index()].ty);
    let mut t = Translator::new(env, InstanceId(0), FunctionBuilder::new(func, context));
    let params = t.enter();
    let results = if t.holds_descriptors(id) {
        t.call_holding(id, &params)
    } else {
        t.call_host(id, &params)
    };
    if t.reachable {
        t.builder.ins().return_(&results);
    }
    t.builder.seal_all_blocks();
    t.builder.finalize(ir_config());
}

/// An unknown import as a function of the Wasm convention: it tells its name and traps.
pub fn unknown_glue(
    env: Env<'_>,
    id: UnknownId,
    func: &mut ir::Function,
    context: &mut FunctionBuilderContext,
) {
    let unknown = &env.program.unknown[id.index()];
    func.name = UserFuncName::User(Symbol::UnknownGlue(id).encode());
    func.signature = env.signature(unknown.ty);
    let mut t = Translator::new(env, InstanceId(0), FunctionBuilder::new(func, context));
    t.enter();
    let module = t.symbol_address(Symbol::UnknownName(id));
    let module_len = t.iconst64(unknown.module.len() as u64);
    let name = t.builder.ins().iadd(module, module_len);
    let name_len = t.iconst64(unknown.name.len() as u64);
    t.call_libcall(
        Libcall::UnknownImport,
        &[module, module_len, name, name_len],
    );
    t.trap(TrapCode::UnknownImport);
    t.builder.seal_all_blocks();
    t.builder.finalize(ir_config());
}
