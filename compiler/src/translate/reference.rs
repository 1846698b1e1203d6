//! Reference operators (core spec, 4.4.3). A function reference is the address of the code and the number of the
//! type in one word (`elfin_abi::state::FuncRef`); null is zero.

use super::{Translator, trap_code, types};
use crate::program::Callee;
use crate::symbol::Symbol;
use cranelift_codegen::ir::InstBuilder;
use cranelift_codegen::ir::condcodes::IntCC;
use elfin_abi::trap::TrapCode;

impl Translator<'_, '_> {
    pub(super) fn ref_null(&mut self) {
        let null = self.iconst64(0);
        self.push(null);
    }

    pub(super) fn ref_is_null(&mut self) {
        let reference = self.pop();
        let null = self.builder.ins().icmp_imm_u(IntCC::Equal, reference, 0);
        let null = self.builder.ins().uextend(types::I32, null);
        self.push(null);
    }

    pub(super) fn ref_as_non_null(&mut self) {
        let reference = self.pop();
        self.builder
            .ins()
            .trapz(reference, trap_code(TrapCode::NullReference));
        self.push(reference);
    }

    pub(super) fn ref_func(&mut self, index: u32) {
        self.push_function_reference(self.instance.functions[index as usize]);
    }

    pub(super) fn push_function_reference(&mut self, callee: Callee) {
        let code = self.symbol_address(reference_symbol(callee));
        let ty = self.env.program.callee_type(callee);
        let id = u64::from(self.env.layout.types.numbers(ty).0);
        let id = self.iconst64(id << 32);
        let reference = self.builder.ins().bor(code, id);
        self.push(reference);
    }
}

/// The function of the Wasm convention that a reference to `callee` leads to.
#[must_use]
pub(crate) fn reference_symbol(callee: Callee) -> Symbol {
    match callee {
        Callee::Defined(id) => Symbol::Function(id),
        Callee::Host(id) => Symbol::HostGlue(id),
        Callee::Unknown(id) => Symbol::UnknownGlue(id),
    }
}
