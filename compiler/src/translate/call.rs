//! Calls (core spec, 4.4.8): direct ones, through tables, of the host and of the runtime.

use super::{Translator, reference_symbol, trap_code, types};
use crate::program::{Callee, HostId, TypeId};
use crate::symbol::Symbol;
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{
    AbiParam, ExtFuncData, ExternalName, FuncRef, InstBuilder, SigRef, Signature, Value,
};
use cranelift_codegen::isa::CallConv;
use elfin_abi::host::{Libcall, ValType};
use elfin_abi::state;
use elfin_abi::trap::TrapCode;

impl Translator<'_, '_> {
    pub(super) fn call(&mut self, index: u32) {
        let callee = self.instance.functions[index as usize];
        let ty = self.env.program.callee_type(callee);
        let params = self.env.program.ty(ty).params().len();
        let args = self.pop_n(params);
        let results = self.call_function(callee, &args);
        self.note_results(ty, &results);
        self.stack.extend(results);
    }

    fn note_results(&mut self, ty: TypeId, results: &[Value]) {
        for (value, ty) in results.iter().zip(self.env.program.ty(ty).results()) {
            self.note(*value, *ty);
        }
    }

    /// Calls what a function index leads to.
    pub(super) fn call_function(&mut self, callee: Callee, args: &[Value]) -> Vec<Value> {
        match callee {
            Callee::Host(id) if self.holds_descriptors(id) => {
                let ty = self.env.program.host_functions[id.index()].ty;
                self.call_direct(Symbol::HostGlue(id), ty, args)
            }
            Callee::Host(id) => self.call_host(id, args),
            Callee::Defined(id) => {
                let ty = self.env.program.functions[id.index()].ty;
                self.call_direct(Symbol::Function(id), ty, args)
            }
            Callee::Unknown(id) => {
                let ty = self.env.program.unknown[id.index()].ty;
                self.call_direct(Symbol::UnknownGlue(id), ty, args)
            }
        }
    }

    fn call_direct(&mut self, symbol: Symbol, ty: TypeId, args: &[Value]) -> Vec<Value> {
        let signature = self.env.signature(ty);
        let function = self.function(symbol, || signature);
        let args = self.with_context(args);
        let handlers = self.handlers();
        if handlers.is_empty() {
            let call = self.builder.ins().call(function, &args);
            return self.builder.inst_results(call).to_vec();
        }
        let signature = self.builder.func.dfg.ext_funcs[function].signature;
        let (table, next) = self.exception_table(signature, &handlers);
        self.builder.ins().try_call(function, &args, table);
        self.go_on_at(next)
    }

    /// `return_call`. A host function has the C convention, from which there are no tail calls: it is called,
    /// and comes back here.
    pub(super) fn return_call(&mut self, index: u32) {
        let callee = self.instance.functions[index as usize];
        let ty = self.env.program.callee_type(callee);
        let params = self.env.program.ty(ty).params().len();
        let args = self.pop_n(params);
        if let Callee::Host(id) = callee {
            let results = self.call_function(Callee::Host(id), &args);
            if self.reachable {
                self.builder.ins().return_(&results);
            }
        } else {
            let signature = self.env.signature(ty);
            let function = self.function(reference_symbol(callee), || signature);
            let args = self.with_context(&args);
            self.builder.ins().return_call(function, &args);
        }
        self.reachable = false;
    }

    fn with_context(&self, args: &[Value]) -> Vec<Value> {
        self.context.iter().chain(args).copied().collect()
    }

    /// The import of a function, made once.
    pub(super) fn function(
        &mut self,
        symbol: Symbol,
        signature: impl FnOnce() -> Signature,
    ) -> FuncRef {
        if let Some(function) = self.functions.get(&symbol) {
            return *function;
        }
        let signature = self.builder.import_signature(signature());
        let name = self
            .builder
            .func
            .declare_imported_user_function(symbol.encode());
        let function = self.builder.import_function(ExtFuncData {
            name: ExternalName::user(name),
            signature,
            // Everything is linked into one image: calls are PC-relative.
            colocated: true,
            patchable: false,
        });
        self.functions.insert(symbol, function);
        function
    }

    fn signature_of(&mut self, ty: TypeId) -> SigRef {
        if let Some(signature) = self.signatures.get(&ty) {
            return *signature;
        }
        let signature = self.builder.import_signature(self.env.signature(ty));
        self.signatures.insert(ty, signature);
        signature
    }

    /// Calls a host function of the C convention with the importing instance's memory before the arguments.
    pub(super) fn call_host(&mut self, id: HostId, args: &[Value]) -> Vec<Value> {
        let host = self.env.program.host_functions[id.index()];
        let function = host.function();
        let clif = |ty: &ValType| match ty {
            // The psABI of riscv64 wants 32-bit arguments sign-extended; the other two do not care.
            ValType::I32 => AbiParam::new(types::I32).sext(),
            ValType::I64 => AbiParam::new(types::I64),
            ValType::F32 => AbiParam::new(types::F32),
            ValType::F64 => AbiParam::new(types::F64),
        };
        let mut signature = Signature::new(CallConv::SystemV);
        signature.params.push(AbiParam::new(types::I64));
        signature.params.extend(function.params.iter().map(clif));
        signature.returns.extend(function.results.iter().map(clif));
        let callee = self.function(Symbol::Host(host.index as u32), || signature);
        let memory = match host.memory {
            Some(memory) => {
                let descriptor = self.env.layout.memories[memory.index()].descriptor;
                self.state_address(descriptor)
            }
            None => self.iconst64(0),
        };
        let args: Vec<Value> = std::iter::once(memory)
            .chain(args.iter().copied())
            .collect();
        let call = self.builder.ins().call(callee, &args);
        let results = self.builder.inst_results(call).to_vec();
        if function.noreturn {
            self.trap(TrapCode::Unreachable);
        }
        results
    }

    /// Calls a function of the runtime.
    pub(super) fn call_libcall(&mut self, libcall: Libcall, args: &[Value]) -> Vec<Value> {
        let callee = self.function(Symbol::libcall(libcall), || libcall_signature(libcall));
        let call = self.builder.ins().call(callee, args);
        self.builder.inst_results(call).to_vec()
    }

    /// Calls a function of the runtime that never returns but may end in one of the handlers.
    pub(super) fn try_libcall(
        &mut self,
        libcall: Libcall,
        args: &[Value],
        handlers: &[super::exception::Handler],
    ) {
        let callee = self.function(Symbol::libcall(libcall), || libcall_signature(libcall));
        let signature = self.builder.func.dfg.ext_funcs[callee].signature;
        let (table, next) = self.exception_table(signature, handlers);
        self.builder.ins().try_call(callee, args, table);
        self.go_on_at(next);
    }

    /// Calls a setup function of the runtime.
    pub(super) fn call_setup(&mut self, position: u32) {
        let callee = self.function(Symbol::Setup(position), || {
            Signature::new(CallConv::SystemV)
        });
        self.builder.ins().call(callee, &[]);
    }

    pub(super) fn call_indirect(&mut self, type_index: u32, table_index: u32) {
        let (ty, code) = self.table_callee(type_index, table_index);
        self.call_code(ty, code);
    }

    pub(super) fn return_call_indirect(&mut self, type_index: u32, table_index: u32) {
        let (ty, code) = self.table_callee(type_index, table_index);
        self.return_call_code(ty, code);
    }

    pub(super) fn call_ref(&mut self, type_index: u32) {
        let (ty, code) = self.reference_callee(type_index);
        self.call_code(ty, code);
    }

    pub(super) fn return_call_ref(&mut self, type_index: u32) {
        let (ty, code) = self.reference_callee(type_index);
        self.return_call_code(ty, code);
    }

    fn call_code(&mut self, ty: TypeId, code: Value) {
        let params = self.env.program.ty(ty).params().len();
        let args = self.pop_n(params);
        let args = self.with_context(&args);
        let signature = self.signature_of(ty);
        let handlers = self.handlers();
        let results = if handlers.is_empty() {
            let call = self.builder.ins().call_indirect(signature, code, &args);
            self.builder.inst_results(call).to_vec()
        } else {
            let (table, next) = self.exception_table(signature, &handlers);
            self.builder.ins().try_call_indirect(code, &args, table);
            self.go_on_at(next)
        };
        self.note_results(ty, &results);
        self.stack.extend(results);
    }

    fn return_call_code(&mut self, ty: TypeId, code: Value) {
        let params = self.env.program.ty(ty).params().len();
        let args = self.pop_n(params);
        let args = self.with_context(&args);
        let signature = self.signature_of(ty);
        self.builder
            .ins()
            .return_call_indirect(signature, code, &args);
        self.reachable = false;
    }

    fn called_type(&self, type_index: u32) -> TypeId {
        self.instance.types[type_index as usize]
    }

    /// The code that a reference on the stack leads to. Its type needs no check: a reference of a function
    /// type is null or leads to a function of this type or a subtype, which is called in the same way.
    fn reference_callee(&mut self, type_index: u32) -> (TypeId, Value) {
        let ty = self.called_type(type_index);
        let reference = self.pop();
        self.builder
            .ins()
            .trapz(reference, trap_code(TrapCode::NullFunctionReference));
        let code = self.builder.ins().ireduce(types::I32, reference);
        (ty, self.builder.ins().uextend(types::I64, code))
    }

    /// The code that an entry of a table leads to, whose type is checked.
    fn table_callee(&mut self, type_index: u32, table_index: u32) -> (TypeId, Value) {
        let table = self.table(table_index);
        let ty = self.called_type(type_index);
        let index = self.pop();
        let entry = self.table_entry(table, index, TrapCode::UndefinedElement);
        let flags = self.table_flags(table);

        let found = self
            .builder
            .ins()
            .load(types::I32, flags, entry, state::FuncRef::TYPE_ID);
        let (first, last) = self.env.layout.types.numbers(ty);
        let wrong = if first == last {
            self.builder
                .ins()
                .icmp_imm_u(IntCC::NotEqual, found, i64::from(first))
        } else {
            // The functions of a type and its subtypes have consecutive numbers.
            let within = self.builder.ins().iadd_imm_s(found, -i64::from(first));
            let width = i64::from(last - first);
            self.builder
                .ins()
                .icmp_imm_u(IntCC::UnsignedGreaterThan, within, width)
        };
        let (fail, next) = (self.builder.create_block(), self.builder.create_block());
        self.builder.set_cold_block(fail);
        self.builder.ins().brif(wrong, fail, &[], next, &[]);
        self.builder.seal_block(fail);
        self.builder.seal_block(next);
        self.builder.switch_to_block(fail);
        self.builder
            .ins()
            .trapz(found, trap_code(TrapCode::UninitializedElement));
        self.builder
            .ins()
            .trap(trap_code(TrapCode::IndirectCallTypeMismatch));
        self.builder.switch_to_block(next);

        (ty, self.builder.ins().uload32(flags, entry, 0))
    }
}

/// The C signature of a libcall, as its documentation in `elfin_abi::host` gives it.
fn libcall_signature(libcall: Libcall) -> Signature {
    use types::{F32, F64, I32, I64};
    let (params, results): (&[_], &[_]) = match libcall {
        Libcall::MemoryGrow | Libcall::SharedMemoryGrow => (&[I64, I64], &[I64]),
        Libcall::MemoryWait32 => (&[I64, I32, I64], &[I32]),
        Libcall::MemoryWait64 => (&[I64, I64, I64], &[I32]),
        Libcall::MemoryNotify => (&[I64, I32], &[I32]),
        Libcall::HoldDescriptors => (&[I32, I32], &[I32]),
        Libcall::ReleaseDescriptors => (&[I32, I32], &[]),
        Libcall::TableGrow => (&[I64, I64, I64], &[I64]),
        Libcall::TableFill | Libcall::Memmove => (&[I64, I64, I64], &[]),
        Libcall::Memset => (&[I64, I32, I64], &[]),
        Libcall::UnknownImport => (&[I64, I64, I64, I64], &[]),
        Libcall::CeilF32 | Libcall::FloorF32 | Libcall::TruncF32 | Libcall::NearestF32 => {
            (&[F32], &[F32])
        }
        Libcall::CeilF64 | Libcall::FloorF64 | Libcall::TruncF64 | Libcall::NearestF64 => {
            (&[F64], &[F64])
        }
        Libcall::InvokeArguments => (&[I32, I64, I64], &[]),
        Libcall::ArgumentI32 => (&[I32], &[I32]),
        Libcall::ArgumentI64 => (&[I32], &[I64]),
        Libcall::ArgumentF32 => (&[I32], &[F32]),
        Libcall::ArgumentF64 => (&[I32], &[F64]),
        Libcall::PrintI32 => (&[I32], &[]),
        Libcall::PrintI64 => (&[I64], &[]),
        Libcall::PrintF32 => (&[F32], &[]),
        Libcall::PrintF64 => (&[F64], &[]),
        Libcall::RunScript | Libcall::CheckCpu => (&[I64, I64, I64], &[]),
        Libcall::NewException | Libcall::NewThreadException => (&[I64, I64], &[I64]),
        Libcall::Throw => (&[I64], &[]),
        Libcall::GcSetUp | Libcall::ThreadGcSetUp | Libcall::ThreadGcEnd | Libcall::FindCpu => {
            (&[I64], &[])
        }
        Libcall::GcAllocate | Libcall::ThreadGcAllocate => (&[I64, I64], &[I64]),
    };
    let param = |ty: &cranelift_codegen::ir::Type| {
        if *ty == I32 {
            AbiParam::new(I32).sext()
        } else {
            AbiParam::new(*ty)
        }
    };
    let mut signature = Signature::new(CallConv::SystemV);
    signature.params.extend(params.iter().map(param));
    signature.returns.extend(results.iter().map(param));
    signature
}
