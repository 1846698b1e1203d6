//! Dispatch: one arm for each operator, which delegates to the room of its family.

use super::Translator;
use super::rounding::Rounding;
use cranelift_codegen::ir::condcodes::{FloatCC, IntCC};
use cranelift_codegen::ir::{InstBuilder, types};
use elfin_abi::trap::TrapCode;
use types::{F32, F64, I8, I16, I32, I64};
use wasmparser::Operator;

impl Translator<'_, '_> {
    /// Translates one operator.
    ///
    /// # Errors
    /// Name of the feature when it is not compiled; `parse` has refused it before.
    pub(super) fn operator(&mut self, operator: &Operator<'_>) -> Result<(), String> {
        if !self.reachable {
            self.skip(operator);
            return Ok(());
        }
        match *operator {
            Operator::Unreachable => self.trap(TrapCode::Unreachable),
            Operator::Nop => {}
            Operator::Block { blockty } => self.block(blockty),
            Operator::Loop { blockty } => self.loop_(blockty),
            Operator::If { blockty } => self.if_(blockty),
            Operator::Else => self.else_(),
            Operator::End => self.end(),
            Operator::Br { relative_depth } => self.br(relative_depth),
            Operator::BrIf { relative_depth } => self.br_if(relative_depth),
            Operator::BrTable { ref targets } => self.br_table(targets),
            Operator::Return => self.return_(),
            Operator::Call { function_index } => self.call(function_index),
            Operator::CallIndirect {
                type_index,
                table_index,
            } => self.call_indirect(type_index, table_index),
            Operator::ReturnCall { function_index } => self.return_call(function_index),
            Operator::ReturnCallIndirect {
                type_index,
                table_index,
            } => self.return_call_indirect(type_index, table_index),
            Operator::CallRef { type_index } => self.call_ref(type_index),
            Operator::ReturnCallRef { type_index } => self.return_call_ref(type_index),
            Operator::BrOnNull { relative_depth } => self.br_on_null(relative_depth),
            Operator::BrOnNonNull { relative_depth } => self.br_on_non_null(relative_depth),
            Operator::TryTable { ref try_table } => self.try_table(try_table),
            Operator::Throw { tag_index } => self.throw(tag_index),
            Operator::ThrowRef => self.throw_ref(),
            Operator::Try { blockty } => self.try_(blockty),
            Operator::Catch { .. } | Operator::CatchAll => self.catch(),
            Operator::Delegate { .. } => self.end(),
            Operator::Rethrow { relative_depth } => self.rethrow(relative_depth),
            Operator::Drop => {
                self.pop();
            }
            Operator::Select => self.select(None),
            Operator::TypedSelect { ty } => self.select(Some(ty)),

            Operator::LocalGet { local_index } => {
                let local = self.touch_local(local_index);
                let value = self.builder.use_var(local.variable);
                self.know(value, local.ty);
                self.push(value);
            }
            Operator::LocalSet { local_index } => {
                let local = self.touch_local(local_index);
                let value = self.pop();
                self.builder.def_var(local.variable, value);
            }
            Operator::LocalTee { local_index } => {
                let local = self.touch_local(local_index);
                let value = self.pop();
                self.builder.def_var(local.variable, value);
                self.push(value);
            }
            Operator::GlobalGet { global_index } => self.global_get(global_index),
            Operator::GlobalSet { global_index } => self.global_set(global_index),

            Operator::I32Load { memarg } => self.load_zero_extended(&memarg, I32),
            Operator::I64Load { memarg } => self.load(&memarg, I64),
            Operator::F32Load { memarg } => self.load(&memarg, F32),
            Operator::F64Load { memarg } => self.load(&memarg, F64),
            Operator::I32Load8U { memarg } => self.load_zero_extended(&memarg, I8),
            Operator::I32Load16U { memarg } => self.load_zero_extended(&memarg, I16),
            Operator::I32Load8S { memarg } => self.load_extended(&memarg, I32, I8, true),
            Operator::I32Load16S { memarg } => self.load_extended(&memarg, I32, I16, true),
            Operator::I64Load8U { memarg } => self.load_extended(&memarg, I64, I8, false),
            Operator::I64Load16U { memarg } => self.load_extended(&memarg, I64, I16, false),
            Operator::I64Load32U { memarg } => self.load_extended(&memarg, I64, I32, false),
            Operator::I64Load8S { memarg } => self.load_extended(&memarg, I64, I8, true),
            Operator::I64Load16S { memarg } => self.load_extended(&memarg, I64, I16, true),
            Operator::I64Load32S { memarg } => self.load_extended(&memarg, I64, I32, true),
            Operator::I32Store { memarg } | Operator::F32Store { memarg } => {
                self.store(&memarg, I32)
            }
            Operator::I64Store { memarg } | Operator::F64Store { memarg } => {
                self.store(&memarg, I64)
            }
            Operator::I32Store8 { memarg } | Operator::I64Store8 { memarg } => {
                self.store(&memarg, I8)
            }
            Operator::I32Store16 { memarg } | Operator::I64Store16 { memarg } => {
                self.store(&memarg, I16)
            }
            Operator::I64Store32 { memarg } => self.store(&memarg, I32),
            Operator::MemorySize { mem } => self.memory_size(mem),
            Operator::MemoryGrow { mem } => self.memory_grow(mem),
            Operator::MemoryCopy { dst_mem, src_mem } => self.memory_copy(dst_mem, src_mem),
            Operator::MemoryFill { mem } => self.memory_fill(mem),
            Operator::MemoryInit { data_index, mem } => self.memory_init(data_index, mem),
            Operator::DataDrop { data_index } => self.data_drop(data_index),

            Operator::TableGet { table } => self.table_get(table),
            Operator::TableSet { table } => self.table_set(table),
            Operator::TableSize { table } => self.table_size(table),
            Operator::TableGrow { table } => self.table_grow(table),
            Operator::TableFill { table } => self.table_fill(table),
            Operator::TableCopy {
                dst_table,
                src_table,
            } => self.table_copy(dst_table, src_table),
            Operator::TableInit { elem_index, table } => self.table_init(elem_index, table),
            Operator::ElemDrop { elem_index } => self.elem_drop(elem_index),

            Operator::RefNull { .. } => self.ref_null(),
            Operator::RefIsNull => self.ref_is_null(),
            Operator::RefAsNonNull => self.ref_as_non_null(),
            Operator::RefFunc { function_index } => self.ref_func(function_index),

            Operator::I32Const { value } => {
                let value = self.iconst32(value.cast_unsigned());
                self.push(value);
            }
            Operator::I64Const { value } => {
                let value = self.iconst64(value.cast_unsigned());
                self.push(value);
            }
            Operator::F32Const { value } => self.f32_const(value.bits()),
            Operator::F64Const { value } => self.f64_const(value.bits()),

            Operator::I32Eqz | Operator::I64Eqz => self.eqz(),
            Operator::I32Eq | Operator::I64Eq => self.icmp(IntCC::Equal),
            Operator::I32Ne | Operator::I64Ne => self.icmp(IntCC::NotEqual),
            Operator::I32LtS | Operator::I64LtS => self.icmp(IntCC::SignedLessThan),
            Operator::I32LtU | Operator::I64LtU => self.icmp(IntCC::UnsignedLessThan),
            Operator::I32GtS | Operator::I64GtS => self.icmp(IntCC::SignedGreaterThan),
            Operator::I32GtU | Operator::I64GtU => self.icmp(IntCC::UnsignedGreaterThan),
            Operator::I32LeS | Operator::I64LeS => self.icmp(IntCC::SignedLessThanOrEqual),
            Operator::I32LeU | Operator::I64LeU => self.icmp(IntCC::UnsignedLessThanOrEqual),
            Operator::I32GeS | Operator::I64GeS => self.icmp(IntCC::SignedGreaterThanOrEqual),
            Operator::I32GeU | Operator::I64GeU => self.icmp(IntCC::UnsignedGreaterThanOrEqual),
            Operator::F32Eq | Operator::F64Eq => self.fcmp(FloatCC::Equal),
            Operator::F32Ne | Operator::F64Ne => self.fcmp(FloatCC::NotEqual),
            Operator::F32Lt | Operator::F64Lt => self.fcmp(FloatCC::LessThan),
            Operator::F32Gt | Operator::F64Gt => self.fcmp(FloatCC::GreaterThan),
            Operator::F32Le | Operator::F64Le => self.fcmp(FloatCC::LessThanOrEqual),
            Operator::F32Ge | Operator::F64Ge => self.fcmp(FloatCC::GreaterThanOrEqual),

            Operator::I32Clz | Operator::I64Clz => self.unary(|b, a| b.clz(a)),
            Operator::I32Ctz | Operator::I64Ctz => self.unary(|b, a| b.ctz(a)),
            Operator::I32Popcnt | Operator::I64Popcnt => self.unary(|b, a| b.popcnt(a)),
            Operator::I32Add | Operator::I64Add => self.binary(|b, x, y| b.iadd(x, y)),
            Operator::I32Sub | Operator::I64Sub => self.binary(|b, x, y| b.isub(x, y)),
            Operator::I32Mul | Operator::I64Mul => self.binary(|b, x, y| b.imul(x, y)),
            Operator::I32DivS | Operator::I64DivS => self.binary(|b, x, y| b.sdiv(x, y)),
            Operator::I32DivU | Operator::I64DivU => self.binary(|b, x, y| b.udiv(x, y)),
            Operator::I32RemS | Operator::I64RemS => self.binary(|b, x, y| b.srem(x, y)),
            Operator::I32RemU | Operator::I64RemU => self.binary(|b, x, y| b.urem(x, y)),
            Operator::I32And | Operator::I64And => self.binary(|b, x, y| b.band(x, y)),
            Operator::I32Or | Operator::I64Or => self.binary(|b, x, y| b.bor(x, y)),
            Operator::I32Xor | Operator::I64Xor => self.binary(|b, x, y| b.bxor(x, y)),
            Operator::I32Shl | Operator::I64Shl => self.binary(|b, x, y| b.ishl(x, y)),
            Operator::I32ShrS | Operator::I64ShrS => self.binary(|b, x, y| b.sshr(x, y)),
            Operator::I32ShrU | Operator::I64ShrU => self.binary(|b, x, y| b.ushr(x, y)),
            Operator::I32Rotl | Operator::I64Rotl => self.binary(|b, x, y| b.rotl(x, y)),
            Operator::I32Rotr | Operator::I64Rotr => self.binary(|b, x, y| b.rotr(x, y)),

            Operator::F32Abs | Operator::F64Abs => self.unary(|b, a| b.fabs(a)),
            Operator::F32Neg | Operator::F64Neg => self.unary(|b, a| b.fneg(a)),
            Operator::F32Ceil | Operator::F64Ceil => self.round(Rounding::Ceil),
            Operator::F32Floor | Operator::F64Floor => self.round(Rounding::Floor),
            Operator::F32Trunc | Operator::F64Trunc => self.round(Rounding::Trunc),
            Operator::F32Nearest | Operator::F64Nearest => self.round(Rounding::Nearest),
            Operator::F32Sqrt | Operator::F64Sqrt => self.unary(|b, a| b.sqrt(a)),
            Operator::F32Add | Operator::F64Add => self.binary(|b, x, y| b.fadd(x, y)),
            Operator::F32Sub | Operator::F64Sub => self.binary(|b, x, y| b.fsub(x, y)),
            Operator::F32Mul | Operator::F64Mul => self.binary(|b, x, y| b.fmul(x, y)),
            Operator::F32Div | Operator::F64Div => self.binary(|b, x, y| b.fdiv(x, y)),
            Operator::F32Min | Operator::F64Min => self.binary(|b, x, y| b.fmin(x, y)),
            Operator::F32Max | Operator::F64Max => self.binary(|b, x, y| b.fmax(x, y)),
            Operator::F32Copysign | Operator::F64Copysign => {
                self.binary(|b, x, y| b.fcopysign(x, y))
            }

            Operator::I32WrapI64 => self.unary(|b, a| b.ireduce(I32, a)),
            Operator::I64ExtendI32S => self.unary(|b, a| b.sextend(I64, a)),
            Operator::I64ExtendI32U => {
                let value = self.pop();
                let wide = self.widen(value);
                self.push(wide);
            }
            Operator::I32TruncF32S | Operator::I32TruncF64S => {
                self.unary(|b, a| b.fcvt_to_sint(I32, a))
            }
            Operator::I32TruncF32U | Operator::I32TruncF64U => {
                self.unary(|b, a| b.fcvt_to_uint(I32, a))
            }
            Operator::I64TruncF32S | Operator::I64TruncF64S => {
                self.unary(|b, a| b.fcvt_to_sint(I64, a))
            }
            Operator::I64TruncF32U | Operator::I64TruncF64U => {
                self.unary(|b, a| b.fcvt_to_uint(I64, a))
            }
            Operator::I32TruncSatF32S | Operator::I32TruncSatF64S => {
                self.unary(|b, a| b.fcvt_to_sint_sat(I32, a))
            }
            Operator::I32TruncSatF32U | Operator::I32TruncSatF64U => {
                self.unary(|b, a| b.fcvt_to_uint_sat(I32, a))
            }
            Operator::I64TruncSatF32S | Operator::I64TruncSatF64S => {
                self.unary(|b, a| b.fcvt_to_sint_sat(I64, a))
            }
            Operator::I64TruncSatF32U | Operator::I64TruncSatF64U => {
                self.unary(|b, a| b.fcvt_to_uint_sat(I64, a))
            }
            Operator::F32ConvertI32S | Operator::F32ConvertI64S => {
                self.unary(|b, a| b.fcvt_from_sint(F32, a))
            }
            Operator::F32ConvertI32U | Operator::F32ConvertI64U => {
                self.unary(|b, a| b.fcvt_from_uint(F32, a))
            }
            Operator::F64ConvertI32S | Operator::F64ConvertI64S => {
                self.unary(|b, a| b.fcvt_from_sint(F64, a))
            }
            Operator::F64ConvertI32U | Operator::F64ConvertI64U => {
                self.unary(|b, a| b.fcvt_from_uint(F64, a))
            }
            Operator::F32DemoteF64 => self.unary(|b, a| b.fdemote(F32, a)),
            Operator::F64PromoteF32 => self.unary(|b, a| b.fpromote(F64, a)),
            Operator::I32ReinterpretF32 => self.bitcast(I32),
            Operator::I64ReinterpretF64 => self.bitcast(I64),
            Operator::F32ReinterpretI32 => self.bitcast(F32),
            Operator::F64ReinterpretI64 => self.bitcast(F64),
            Operator::I32Extend8S => self.sign_extend(I8, I32),
            Operator::I32Extend16S => self.sign_extend(I16, I32),
            Operator::I64Extend8S => self.sign_extend(I8, I64),
            Operator::I64Extend16S => self.sign_extend(I16, I64),
            Operator::I64Extend32S => self.sign_extend(I32, I64),

            Operator::I64Add128 => self.binary_128(|b, x, y| b.iadd(x, y)),
            Operator::I64Sub128 => self.binary_128(|b, x, y| b.isub(x, y)),
            Operator::I64MulWideS => self.multiply_128(true),
            Operator::I64MulWideU => self.multiply_128(false),

            ref other if self.atomic_operator(other) => {}
            ref other => return self.object_operator(other),
        }
        Ok(())
    }

    /// An operator that can't be reached: only the nesting counts.
    fn skip(&mut self, operator: &Operator<'_>) {
        match operator {
            Operator::Block { .. }
            | Operator::Loop { .. }
            | Operator::If { .. }
            | Operator::TryTable { .. } => self.dead_depth += 1,
            Operator::Try { .. } => {
                self.next_legacy_try += 1;
                self.dead_depth += 1;
            }
            Operator::Catch { .. } | Operator::CatchAll if self.dead_depth == 0 => self.catch(),
            Operator::Else if self.dead_depth == 0 => self.else_(),
            Operator::End | Operator::Delegate { .. } if self.dead_depth == 0 => self.end(),
            Operator::End | Operator::Delegate { .. } => self.dead_depth -= 1,
            _ => {}
        }
    }
}
