//! Global variables (core spec, 4.4.5). What never changes is a constant.

use super::state::Access;
use super::{Region, Translator};
use crate::layout::GlobalPlace;
use crate::module::ValType;
use crate::program::{Constant, GlobalId};

impl Translator<'_, '_> {
    fn global(&self, index: u32) -> GlobalId {
        self.instance.globals[index as usize]
    }

    pub(super) fn global_get(&mut self, index: u32) {
        self.push_global(self.global(index));
    }

    pub(super) fn push_global(&mut self, id: GlobalId) {
        let ty = self.env.program.globals[id.index()].ty.content_type;
        match self.env.layout.global(id) {
            GlobalPlace::Constant(constant) => self.push_constant(ty, constant),
            GlobalPlace::Slot(offset) => {
                let value = self.load_state(
                    self.env.clif_type(ty),
                    offset,
                    0,
                    Access::Mutable(Region::Global(id.0)),
                );
                self.note(value, ty);
                self.push(value);
            }
        }
    }

    pub(super) fn global_set(&mut self, index: u32) {
        let id = self.global(index);
        let value = self.pop();
        let GlobalPlace::Slot(offset) = self.env.layout.global(id) else {
            unreachable!("used: a global that is set has a slot");
        };
        self.store_state(value, offset, 0, Region::Global(id.0));
    }

    pub(super) fn push_constant(&mut self, ty: ValType, constant: Constant) {
        match (ty, constant) {
            (ValType::F32, Constant::Bits(bits)) => self.f32_const(bits as u32),
            (ValType::F64, Constant::Bits(bits)) => self.f64_const(bits),
            (ValType::I32, Constant::Bits(bits)) => {
                let value = self.iconst32(bits as u32);
                self.push(value);
            }
            (_, Constant::V128(bits)) => {
                let value = self.vector_constant(bits);
                self.push(value);
            }
            (_, Constant::Bits(bits)) => {
                let value = self.iconst64(bits);
                self.push(value);
            }
            (_, Constant::Null) => self.ref_null(),
            (_, Constant::Function(callee)) => self.push_function_reference(callee),
            (_, Constant::Computed) => unreachable!("laid out: what is computed has a slot"),
        }
    }
}
