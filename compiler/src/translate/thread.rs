//! What programs with threads have besides: the function that a thread begins with, and host functions that hold
//! the descriptors they use.
//!
//! In: the steps of instantiation that were not folded. Out: CLIF of functions that no module defines.

use super::{Env, Region, Translator, types};
use crate::error::Result;
use crate::fold::Folded;
use crate::layout::Entries;
use crate::program::{Callee, HostId, InstanceId};
use crate::symbol::Symbol;
use cranelift_codegen::ir::{self, AbiParam, InstBuilder, Signature, UserFuncName, Value};
use cranelift_codegen::isa::CallConv;
use cranelift_frontend::{FunctionBuilder, FunctionBuilderContext};
use elfin_abi::host::Libcall;
use elfin_abi::state::TableDescriptor;

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
    t.own_tables();
    t.steps(folded, 0..folded.steps.len());
    if let Some(start) = env.program.entry.thread_start
        && t.reachable
    {
        t.call_function(Callee::Defined(start), &params);
    }
    if t.reachable {
        t.builder.ins().return_(&[]);
    }
    t.finish()
}

impl Translator<'_, '_> {
    /// Puts the addresses of a thread's own tables into their descriptors, by which the runtime makes them longer. In
    /// the state that it began with stand those of the first thread's.
    fn own_tables(&mut self) {
        for (table, place) in (0..).zip(&self.env.layout.tables) {
            if let Entries::State(entries) = place.entries
                && !place.fixed_length
            {
                let base = self.state_address(entries);
                let (at, field) = (place.descriptor, TableDescriptor::BASE);
                self.store_state(base, at, field, Region::TableLength(table));
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
