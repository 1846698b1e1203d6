//! What programs with threads have besides: the function that a thread begins with, and host functions that hold
//! the descriptors they use.
//!
//! In: the steps of instantiation that were not folded. Out: CLIF of functions that no module defines.

use super::exception::holds_exceptions;
use super::{Env, Region, Translator, types};
use crate::error::Result;
use crate::fold::Folded;
use crate::layout::Entries;
use crate::module::ValType;
use crate::program::{Callee, Constant, HostId, InstanceId, TableId};
use crate::symbol::Symbol;
use cranelift_codegen::ir::{self, AbiParam, InstBuilder, Signature, UserFuncName, Value};
use cranelift_codegen::isa::CallConv;
use cranelift_frontend::{FunctionBuilder, FunctionBuilderContext};
use elfin_abi::host::Libcall;
use elfin_abi::state::{FuncRef, SegmentDescriptor, TableDescriptor};

/// `start(state, thread, argument)` (`elfin_abi::threads::ThreadsHeader::start`): makes the instances of a thread, as
/// the main function made those of the first, and calls the guest's `wasi_thread_start`. The state begins as it is
/// in the executable; what is a step there is one here.
///
/// # Errors
/// [`Error::LimitExceeded`](crate::error::Error) when a constant expression is too large.
pub fn thread_function(
    env: Env<'_>,
    folded: &Folded,
    func: &mut ir::Function,
    context: &mut FunctionBuilderContext,
) -> Result<()> {
    func.name = UserFuncName::User(Symbol::ThreadStart.encode());
    let mut signature = Signature::new(CallConv::SystemV);
    for ty in [types::I64, types::I32, types::I32] {
        signature.params.push(AbiParam::new(ty));
    }
    func.signature = signature;

    let main = InstanceId(env.program.instances.len() as u32 - 1);
    let mut t = Translator::new(env, main, FunctionBuilder::new(func, context));
    let params = t.enter();
    // Objects are made once each.
    t.cold = true;
    t.own_tables(folded);
    t.own_segments();
    t.steps(folded, 0..folded.steps.len());
    if let Some(start) = env.program.entry.thread_start
        && t.reachable
    {
        t.call_function(Callee::Defined(start), &params);
    }
    if t.reachable {
        if env.layout.heap.is_some() {
            let program = t.symbol_address(Symbol::Gc);
            t.call_libcall(Libcall::ThreadGcEnd, &[program]);
        }
        t.builder.ins().return_(&[]);
    }
    t.finish()
}

impl Translator<'_, '_> {
    /// Makes the tables that a thread has for itself: in the state that it began with, descriptors have the addresses of
    /// the first thread's, by which the runtime makes tables longer, and collectors find what they refer to.
    fn own_tables(&mut self, folded: &Folded) {
        let program = self.env.program;
        for (id, table) in (0..).map(TableId).zip(&program.tables) {
            let place = self.env.layout.tables[id.index()];
            let element = ValType::Ref(table.element);
            let is_root = self.env.is_traced(element) || holds_exceptions(element);
            let base = match (place.own, place.entries) {
                (Some(own), _) => {
                    let state = self.state_address(0);
                    self.builder.ins().iadd_imm_u(state, own.cast_signed())
                }
                (None, Entries::State(entries)) if !place.constant && is_root => {
                    self.state_address(entries)
                }
                _ => continue,
            };
            let (at, field) = (place.descriptor, TableDescriptor::BASE);
            self.store_state(base, at, field, Region::TableLength(id.0));
        }
        for (id, table) in (0..).map(TableId).zip(&program.tables) {
            let place = self.env.layout.tables[id.index()];
            let entries = &folded.tables[id.index()];
            if place.constant {
                continue;
            }
            if place.own.is_some() && !entries.is_empty() {
                let to = self.table_base(id);
                let from = self.symbol_address(Symbol::TableEntries(id));
                let len = self.iconst64(entries.len() as u64 * u64::from(FuncRef::SIZE));
                self.call_libcall(Libcall::Memmove, &[to, from, len]);
            }
            if let Constant::Function(callee) = table.init
                && entries.is_empty()
                && table.initial > 0
            {
                self.fill_table(id.index(), callee, table.initial);
            }
        }
    }

    /// Likewise for segments whose references a thread evaluates for itself.
    fn own_segments(&mut self) {
        let layout = self.env.layout;
        for (descriptor, items) in layout.elements.iter().zip(&layout.element_items) {
            if let (Some(descriptor), Some(items)) = (descriptor, items) {
                let base = self.state_address(*items);
                let field = SegmentDescriptor::BASE;
                self.store_state(base, *descriptor, field, Region::Segments);
            }
        }
    }

    /// Whether a host function's descriptors must be held while it runs: another thread could close them.
    pub(super) fn holds_descriptors(&self, id: HostId) -> bool {
        let function = self.env.program.host_functions[id.index()].function();
        self.env.program.has_threads() && !function.descriptors().is_empty()
    }

    /// Calls such a function. What cannot be held gives the errno and no call.
    pub(super) fn call_holding(&mut self, id: HostId, args: &[Value]) -> Vec<Value> {
        let function = self.env.program.host_functions[id.index()].function();
        let descriptors = function.descriptors();
        let (first, last) = (
            args[descriptors[0]],
            args[descriptors[descriptors.len() - 1]],
        );
        let error = self.call_libcall(Libcall::HoldDescriptors, &[first, last])[0];
        let (fail, next) = (self.builder.create_block(), self.builder.create_block());
        self.builder.set_cold_block(fail);
        self.builder.ins().brif(error, fail, &[], next, &[]);
        self.builder.switch_to_block(fail);
        self.builder.ins().return_(&[error]);
        self.builder.switch_to_block(next);
        let results = self.call_host(id, args);
        self.call_libcall(Libcall::ReleaseDescriptors, &[first, last]);
        results
    }
}
