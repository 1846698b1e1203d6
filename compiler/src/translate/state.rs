//! Access to instance state: the one abstraction over fixed addresses and the context parameter.
//!
//! In: an offset in the state block. Out: a base value and an immediate. Nothing else in translation knows
//! which way of addressing is in force.

use super::{Region, Translator};
use crate::options::Addressing;
use cranelift_codegen::ir::{InstBuilder, MemFlagsData, Type, Value, types};
use elfin_abi::map;

/// How an access of instance state behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Access {
    /// The field may change.
    Mutable(Region),
    /// The field never changes while the program runs.
    Constant,
}

impl Translator<'_, '_> {
    /// Whether what is at `offset` may be elsewhere for others who run the same code.
    fn is_private(&self, offset: u32) -> bool {
        u64::from(offset) < self.env.layout.private_size
    }

    /// A base and an immediate offset that together address `offset` in the state block.
    pub(super) fn state(&mut self, offset: u32) -> (Value, i32) {
        match self.context {
            Some(context) if self.is_private(offset) => (context, offset.cast_signed()),
            _ => {
                debug_assert!(
                    self.env.layout.addressing == Addressing::Fixed || self.env.layout.has_threads
                );
                // One base for the whole block, so that it is shared; the rest rides in the access.
                let base = self.iconst64(map::STATE_BASE);
                (
                    base,
                    (self.env.layout.header_size as u32 + offset).cast_signed(),
                )
            }
        }
    }

    /// The address of `offset` in the state block as one value.
    pub(super) fn state_address(&mut self, offset: u32) -> Value {
        match self.context {
            Some(context) if self.is_private(offset) => {
                self.builder.ins().iadd_imm_u(context, i64::from(offset))
            }
            _ => self.iconst64(self.env.layout.state() + u64::from(offset)),
        }
    }

    pub(super) fn state_flags(&mut self, access: Access) -> MemFlagsData {
        match access {
            Access::Mutable(region) => {
                let region = self.region(region);
                MemFlagsData::trusted().with_alias_region(Some(region))
            }
            Access::Constant => MemFlagsData::trusted().with_readonly().with_can_move(),
        }
    }

    pub(super) fn load_state(
        &mut self,
        ty: Type,
        offset: u32,
        field: i32,
        access: Access,
    ) -> Value {
        let flags = self.state_flags(access);
        let (base, at) = self.state(offset);
        self.builder.ins().load(ty, flags, base, at + field)
    }

    pub(super) fn store_state(&mut self, value: Value, offset: u32, field: i32, region: Region) {
        let flags = self.state_flags(Access::Mutable(region));
        let (base, at) = self.state(offset);
        self.builder.ins().store(flags, value, base, at + field);
    }

    /// A 64-bit field.
    pub(super) fn load_state_word(&mut self, offset: u32, field: i32, access: Access) -> Value {
        self.load_state(types::I64, offset, field, access)
    }
}
