//! Atomic operators (threads proposal): loads, stores, read-modify-write, fences, wait and notify.
//!
//! In: an operator of the proposal. Out: CLIF. They are allowed on memories that are not shared as well, only waiting
//! there traps. Each access checks first that its address is a multiple of its width, then that it is inside, as the
//! proposal orders it. All are sequentially consistent. Waiting and waking are done by the runtime, which does not
//! fault as an instruction would: their addresses are compared with the length in every kind of memory.

use super::Translator;
use super::state::Access;
use super::{Region, types};
use crate::options::Arch;
use crate::program::MemoryId;
use cranelift_codegen::ir::{
    AtomicRmwOp, InstBuilder, MemFlagsData, StackSlotData, StackSlotKind, Type, Value,
};
use elfin_abi::host::Libcall;
use elfin_abi::state::MemoryDescriptor;
use elfin_abi::trap::TrapCode;
use types::{I8, I16, I32, I64};
use wasmparser::{MemArg, Operator};

impl Translator<'_, '_> {
    /// Translates one operator of the threads proposal; false if it is none.
    pub(super) fn atomic_operator(&mut self, operator: &Operator<'_>) -> bool {
        use AtomicRmwOp::{Add, And, Or, Sub, Xchg, Xor};
        match *operator {
            Operator::AtomicFence { .. } => {
                self.builder.ins().fence();
            }
            Operator::MemoryAtomicWait32 { ref memarg } => self.wait(memarg, I32),
            Operator::MemoryAtomicWait64 { ref memarg } => self.wait(memarg, I64),
            Operator::MemoryAtomicNotify { ref memarg } => self.notify(memarg),

            Operator::I32AtomicLoad { ref memarg } => self.atomic_load(memarg, I32, I32),
            Operator::I32AtomicLoad8U { ref memarg } => self.atomic_load(memarg, I32, I8),
            Operator::I32AtomicLoad16U { ref memarg } => self.atomic_load(memarg, I32, I16),
            Operator::I64AtomicLoad { ref memarg } => self.atomic_load(memarg, I64, I64),
            Operator::I64AtomicLoad8U { ref memarg } => self.atomic_load(memarg, I64, I8),
            Operator::I64AtomicLoad16U { ref memarg } => self.atomic_load(memarg, I64, I16),
            Operator::I64AtomicLoad32U { ref memarg } => self.atomic_load(memarg, I64, I32),

            Operator::I32AtomicStore { ref memarg } | Operator::I64AtomicStore32 { ref memarg } => {
                self.atomic_store(memarg, I32)
            }
            Operator::I64AtomicStore { ref memarg } => self.atomic_store(memarg, I64),
            Operator::I32AtomicStore8 { ref memarg } | Operator::I64AtomicStore8 { ref memarg } => {
                self.atomic_store(memarg, I8)
            }
            Operator::I32AtomicStore16 { ref memarg }
            | Operator::I64AtomicStore16 { ref memarg } => self.atomic_store(memarg, I16),

            Operator::I32AtomicRmwAdd { ref memarg } => self.rmw(memarg, I32, I32, Add),
            Operator::I32AtomicRmw8AddU { ref memarg } => self.rmw(memarg, I32, I8, Add),
            Operator::I32AtomicRmw16AddU { ref memarg } => self.rmw(memarg, I32, I16, Add),
            Operator::I64AtomicRmwAdd { ref memarg } => self.rmw(memarg, I64, I64, Add),
            Operator::I64AtomicRmw8AddU { ref memarg } => self.rmw(memarg, I64, I8, Add),
            Operator::I64AtomicRmw16AddU { ref memarg } => self.rmw(memarg, I64, I16, Add),
            Operator::I64AtomicRmw32AddU { ref memarg } => self.rmw(memarg, I64, I32, Add),

            Operator::I32AtomicRmwSub { ref memarg } => self.rmw(memarg, I32, I32, Sub),
            Operator::I32AtomicRmw8SubU { ref memarg } => self.rmw(memarg, I32, I8, Sub),
            Operator::I32AtomicRmw16SubU { ref memarg } => self.rmw(memarg, I32, I16, Sub),
            Operator::I64AtomicRmwSub { ref memarg } => self.rmw(memarg, I64, I64, Sub),
            Operator::I64AtomicRmw8SubU { ref memarg } => self.rmw(memarg, I64, I8, Sub),
            Operator::I64AtomicRmw16SubU { ref memarg } => self.rmw(memarg, I64, I16, Sub),
            Operator::I64AtomicRmw32SubU { ref memarg } => self.rmw(memarg, I64, I32, Sub),

            Operator::I32AtomicRmwAnd { ref memarg } => self.rmw(memarg, I32, I32, And),
            Operator::I32AtomicRmw8AndU { ref memarg } => self.rmw(memarg, I32, I8, And),
            Operator::I32AtomicRmw16AndU { ref memarg } => self.rmw(memarg, I32, I16, And),
            Operator::I64AtomicRmwAnd { ref memarg } => self.rmw(memarg, I64, I64, And),
            Operator::I64AtomicRmw8AndU { ref memarg } => self.rmw(memarg, I64, I8, And),
            Operator::I64AtomicRmw16AndU { ref memarg } => self.rmw(memarg, I64, I16, And),
            Operator::I64AtomicRmw32AndU { ref memarg } => self.rmw(memarg, I64, I32, And),

            Operator::I32AtomicRmwOr { ref memarg } => self.rmw(memarg, I32, I32, Or),
            Operator::I32AtomicRmw8OrU { ref memarg } => self.rmw(memarg, I32, I8, Or),
            Operator::I32AtomicRmw16OrU { ref memarg } => self.rmw(memarg, I32, I16, Or),
            Operator::I64AtomicRmwOr { ref memarg } => self.rmw(memarg, I64, I64, Or),
            Operator::I64AtomicRmw8OrU { ref memarg } => self.rmw(memarg, I64, I8, Or),
            Operator::I64AtomicRmw16OrU { ref memarg } => self.rmw(memarg, I64, I16, Or),
            Operator::I64AtomicRmw32OrU { ref memarg } => self.rmw(memarg, I64, I32, Or),

            Operator::I32AtomicRmwXor { ref memarg } => self.rmw(memarg, I32, I32, Xor),
            Operator::I32AtomicRmw8XorU { ref memarg } => self.rmw(memarg, I32, I8, Xor),
            Operator::I32AtomicRmw16XorU { ref memarg } => self.rmw(memarg, I32, I16, Xor),
            Operator::I64AtomicRmwXor { ref memarg } => self.rmw(memarg, I64, I64, Xor),
            Operator::I64AtomicRmw8XorU { ref memarg } => self.rmw(memarg, I64, I8, Xor),
            Operator::I64AtomicRmw16XorU { ref memarg } => self.rmw(memarg, I64, I16, Xor),
            Operator::I64AtomicRmw32XorU { ref memarg } => self.rmw(memarg, I64, I32, Xor),

            Operator::I32AtomicRmwXchg { ref memarg } => self.rmw(memarg, I32, I32, Xchg),
            Operator::I32AtomicRmw8XchgU { ref memarg } => self.rmw(memarg, I32, I8, Xchg),
            Operator::I32AtomicRmw16XchgU { ref memarg } => self.rmw(memarg, I32, I16, Xchg),
            Operator::I64AtomicRmwXchg { ref memarg } => self.rmw(memarg, I64, I64, Xchg),
            Operator::I64AtomicRmw8XchgU { ref memarg } => self.rmw(memarg, I64, I8, Xchg),
            Operator::I64AtomicRmw16XchgU { ref memarg } => self.rmw(memarg, I64, I16, Xchg),
            Operator::I64AtomicRmw32XchgU { ref memarg } => self.rmw(memarg, I64, I32, Xchg),

            Operator::I32AtomicRmwCmpxchg { ref memarg } => self.cmpxchg(memarg, I32, I32),
            Operator::I32AtomicRmw8CmpxchgU { ref memarg } => self.cmpxchg(memarg, I32, I8),
            Operator::I32AtomicRmw16CmpxchgU { ref memarg } => self.cmpxchg(memarg, I32, I16),
            Operator::I64AtomicRmwCmpxchg { ref memarg } => self.cmpxchg(memarg, I64, I64),
            Operator::I64AtomicRmw8CmpxchgU { ref memarg } => self.cmpxchg(memarg, I64, I8),
            Operator::I64AtomicRmw16CmpxchgU { ref memarg } => self.cmpxchg(memarg, I64, I16),
            Operator::I64AtomicRmw32CmpxchgU { ref memarg } => self.cmpxchg(memarg, I64, I32),
            _ => return false,
        }
        true
    }

    /// Length of a shared memory as `memory.size` sees it, which is ordered with other atomic accesses: another
    /// thread may make it longer. (A bounds check may see an older length, but none that is older than the last
    /// atomic access: those clobber every region.)
    pub(super) fn shared_length(&mut self, memory: MemoryId) -> Value {
        let descriptor = self.env.layout.memories[memory.index()].descriptor;
        let flags = self.state_flags(Access::Mutable(Region::MemoryLength(memory.0)));
        let (base, at) = self.state(descriptor);
        let at = i64::from(at + MemoryDescriptor::LEN);
        let address = self.builder.ins().iadd_imm_s(base, at);
        self.builder.ins().atomic_load(I64, flags, address)
    }

    /// Address of an atomic access: aligned, and inside or faulting. There is no immediate offset in its
    /// instructions.
    fn atomic_address(&mut self, memarg: &MemArg, ty: Type) -> (MemFlagsData, Value) {
        let memory = self.accessed(memarg);
        let index = self.pop();
        let width = u64::from(ty.bytes());
        self.check_alignment(index, memarg.offset, width);
        let flags = self.memory_flags(memory);
        let (base, offset) = self.guest_address(memory, index, memarg.offset, width);
        let address = self.builder.ins().iadd_imm_s(base, i64::from(offset));
        (flags, address)
    }

    /// Pushes what was in memory, zero-extended to the operator's type.
    fn push_extended(&mut self, value: Value, ty: Type) {
        let found = self.builder.func.dfg.value_type(value);
        let value = if found == ty {
            value
        } else {
            self.builder.ins().uextend(ty, value)
        };
        self.push(value);
    }

    /// The low bits of an operand.
    fn reduced(&mut self, value: Value, ty: Type) -> Value {
        if self.builder.func.dfg.value_type(value) == ty {
            value
        } else {
            self.builder.ins().ireduce(ty, value)
        }
    }

    fn atomic_load(&mut self, memarg: &MemArg, to: Type, from: Type) {
        let (flags, address) = self.atomic_address(memarg, from);
        let value = self.builder.ins().atomic_load(from, flags, address);
        self.push_extended(value, to);
    }

    fn atomic_store(&mut self, memarg: &MemArg, ty: Type) {
        let value = self.pop();
        let value = self.reduced(value, ty);
        let (flags, address) = self.atomic_address(memarg, ty);
        self.builder.ins().atomic_store(flags, value, address);
    }

    fn rmw(&mut self, memarg: &MemArg, ty: Type, access: Type, op: AtomicRmwOp) {
        let operand = self.pop();
        let operand = self.reduced(operand, access);
        let (flags, address) = self.atomic_address(memarg, access);
        let b = self.builder.ins();
        let old = b.atomic_rmw(access, flags, op, address, operand);
        self.push_extended(old, ty);
    }

    /// Compares with the low bits of the expected value: it is wrapped to the width of the access, as the other
    /// operands are (the official scripts have it so).
    fn cmpxchg(&mut self, memarg: &MemArg, ty: Type, access: Type) {
        let (expected, replacement) = self.pop2();
        let expected = self.reduced(expected, access);
        let expected = self.in_whole_register(expected);
        let replacement = self.reduced(replacement, access);
        let (flags, address) = self.atomic_address(memarg, access);
        let b = self.builder.ins();
        let old = b.atomic_cas(flags, address, expected, replacement);
        self.push_extended(old, ty);
    }

    /// The same value, certain to be in a register whose upper half is zero: the back end of aarch64 compares all 64
    /// bits of it with 32 that it loaded (`AtomicCASLoop`, cranelift-codegen 0.135). Nothing that the optimiser sees
    /// through would do; a store and an extending load is what it leaves alone.
    fn in_whole_register(&mut self, value: Value) -> Value {
        let ty = self.builder.func.dfg.value_type(value);
        if self.env.arch != Arch::Aarch64 || ty != I32 || self.constant(value).is_some() {
            return value;
        }
        let slot = match self.expected {
            Some(slot) => slot,
            None => {
                let data = StackSlotData::new(StackSlotKind::ExplicitSlot, 8, 3);
                let slot = self.builder.create_sized_stack_slot(data);
                self.expected = Some(slot);
                slot
            }
        };
        let region = self.region(Region::Scratch);
        let flags = MemFlagsData::trusted().with_alias_region(Some(region));
        let address = self.builder.ins().stack_addr(I64, slot, 0);
        self.builder.ins().store(flags, value, address, 0);
        let wide = self.builder.ins().uload32(flags, address, 0);
        self.builder.ins().ireduce(I32, wide)
    }

    /// Address for the runtime: aligned and inside.
    fn parking_address(&mut self, memarg: &MemArg, width: u64) -> Value {
        let memory = self.accessed(memarg);
        let index = self.pop();
        self.check_alignment(index, memarg.offset, width);
        self.checked_address(memory, index, memarg.offset, width)
    }

    fn wait(&mut self, memarg: &MemArg, ty: Type) {
        let (expected, timeout) = self.pop2();
        let address = self.parking_address(memarg, ty.bytes().into());
        let memory = self.accessed(memarg);
        if !self.env.program.memories[memory.index()].shared {
            self.trap(TrapCode::ExpectedSharedMemory);
            return;
        }
        let libcall = if ty == I32 {
            Libcall::MemoryWait32
        } else {
            Libcall::MemoryWait64
        };
        let result = self.call_libcall(libcall, &[address, expected, timeout]);
        self.push(result[0]);
    }

    /// Nobody can wait on a memory that is not shared.
    fn notify(&mut self, memarg: &MemArg) {
        let count = self.pop();
        let address = self.parking_address(memarg, 4);
        let memory = self.accessed(memarg);
        if self.env.program.memories[memory.index()].shared {
            let woken = self.call_libcall(Libcall::MemoryNotify, &[address, count]);
            self.push(woken[0]);
        } else {
            let none = self.iconst32(0);
            self.push(none);
        }
    }
}
