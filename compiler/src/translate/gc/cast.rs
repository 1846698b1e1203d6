//! Tests of a reference's type (core spec, 4.4.3 and 4.4.8).
//!
//! What is not known when the code is made is found out in this order: null, a value of its own, and then the
//! number of the object's type, of which a type and its subtypes have a range.

use super::super::{Region, Translator, trap_code, types};
use crate::canonical;
use crate::module::{RefType, ValType};
use crate::objects::concrete;
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{Block, BlockArg, InstBuilder, MemFlagsData, Value};
use elfin_abi::gc;
use elfin_abi::trap::TrapCode;
use wasmparser::{AbstractHeapType, HeapType};

/// How to tell whether what is not null is of a type.
enum Test {
    /// It is.
    Always,
    /// It is not.
    Never,
    /// Its lowest bit is set.
    I31,
    /// It is no value from outside.
    NotHost,
    /// It is an object whose type's number is in a range. `true`: it may be something else than an object.
    Object((u32, u32), bool),
    /// It is a function whose type's number is in a range.
    Function((u32, u32)),
}

/// Where to go on, and the values to take along.
type Way<'a> = (Block, &'a [BlockArg]);

impl Translator<'_, '_> {
    fn test_for(&self, from: RefType, to: RefType) -> Test {
        use AbstractHeapType::{Any, Array, Cont, Eq, Exn, Extern, Func, I31, Struct};
        let types = &self.env.layout.types;
        let program = &self.env.program.types;
        let is_already = |to: RefType| {
            let (from, to) = (from.as_non_null(), to.as_non_null());
            canonical::is_subtype(program, ValType::Ref(from), ValType::Ref(to))
        };
        if is_already(to) {
            return Test::Always;
        }
        let tagged = !(is_already(RefType::STRUCT) || is_already(RefType::ARRAY));
        match to.heap_type() {
            HeapType::Abstract { ty, .. } => match ty {
                // The top of a hierarchy: whatever gets here is below it, known or not. A reference from outside may be
                // known as `extern`, and one of which nothing is known counts as `any`.
                Any | Extern | Func | Exn | Cont => Test::Always,
                Eq => Test::NotHost,
                I31 => Test::I31,
                Struct => range(types.first_struct, types.first_array, tagged),
                Array => range(types.first_array, types.end, tagged),
                _ => Test::Never,
            },
            _ => match concrete(to) {
                Some(id) if canonical::is_function(program, to) => {
                    Test::Function(types.numbers(id))
                }
                Some(id) => Test::Object(types.numbers(id), tagged),
                None => Test::Never,
            },
        }
    }

    /// A heap type of the module as a reference type of the program.
    fn target_type(&self, heap_type: HeapType, nullable: bool) -> RefType {
        let heap_type = canonical::heap_type(&self.instance.types, heap_type);
        RefType::new(nullable, heap_type)
            .expect("read: a type of the program has an index that fits")
    }

    /// Whether a number is in a range.
    fn in_range(&mut self, number: Value, (first, last): (u32, u32)) -> Value {
        if first == last {
            return self
                .builder
                .ins()
                .icmp_imm_u(IntCC::Equal, number, i64::from(first));
        }
        let within = self.builder.ins().iadd_imm_s(number, -i64::from(first));
        let width = i64::from(last - first);
        self.builder
            .ins()
            .icmp_imm_u(IntCC::UnsignedLessThanOrEqual, within, width)
    }

    /// The number of the type of what is an object; with a code, null is a fault.
    fn type_number(&mut self, object: Value, code: Option<TrapCode>) -> Value {
        let region = self.region(Region::Header);
        let flags = MemFlagsData::new()
            .with_alias_region(Some(region))
            .with_trap_code(code.map(trap_code));
        self.builder.ins().load(types::I32, flags, object, gc::TYPE)
    }

    fn function_number(&mut self, reference: Value) -> Value {
        let number = self.builder.ins().ushr_imm_u(reference, 32);
        self.builder.ins().ireduce(types::I32, number)
    }

    /// Whether what is not null passes a test other than for objects.
    fn passes(&mut self, reference: Value, test: &Test) -> Value {
        match test {
            Test::Always => self.builder.ins().iconst(types::I8, 1),
            Test::Never => self.builder.ins().iconst(types::I8, 0),
            Test::I31 => {
                let bit = self
                    .builder
                    .ins()
                    .band_imm_u(reference, gc::I31.cast_signed());
                self.builder.ins().icmp_imm_u(IntCC::NotEqual, bit, 0)
            }
            Test::NotHost => {
                let tag = self
                    .builder
                    .ins()
                    .band_imm_u(reference, gc::TAG_MASK.cast_signed());
                let host = gc::HOST.cast_signed();
                self.builder.ins().icmp_imm_u(IntCC::NotEqual, tag, host)
            }
            Test::Function(numbers) => {
                let number = self.function_number(reference);
                self.in_range(number, *numbers)
            }
            Test::Object(numbers, _) => {
                let number = self.type_number(reference, None);
                self.in_range(number, *numbers)
            }
        }
    }

    /// Goes one way if a reference is of a type, else the other.
    fn branch_on_type(
        &mut self,
        reference: Value,
        from: RefType,
        to: RefType,
        yes: Way<'_>,
        no: Way<'_>,
    ) {
        let test = self.test_for(from, to);
        // A number of 0, that of null, is in no range.
        let handles_null = matches!(test, Test::Function(_)) && !to.is_nullable();
        if from.is_nullable() && !handles_null {
            let on_null = if to.is_nullable() { yes } else { no };
            let next = self.builder.create_block();
            self.builder
                .ins()
                .brif(reference, next, &[], on_null.0, on_null.1);
            self.builder.seal_block(next);
            self.builder.switch_to_block(next);
        }
        if let Test::Object(_, true) = test {
            let tag = self
                .builder
                .ins()
                .band_imm_u(reference, gc::TAG_MASK.cast_signed());
            let next = self.builder.create_block();
            self.builder.ins().brif(tag, no.0, no.1, next, &[]);
            self.builder.seal_block(next);
            self.builder.switch_to_block(next);
        }
        match test {
            Test::Always => self.builder.ins().jump(yes.0, yes.1),
            Test::Never => self.builder.ins().jump(no.0, no.1),
            test => {
                let passes = self.passes(reference, &test);
                self.builder.ins().brif(passes, yes.0, yes.1, no.0, no.1)
            }
        };
    }

    pub(super) fn ref_test(&mut self, heap_type: HeapType, nullable: bool) {
        let reference = self.pop();
        let (from, to) = (
            self.known_type(reference),
            self.target_type(heap_type, nullable),
        );
        let from = internal(from);
        let test = self.test_for(from, to);
        let simple = match test {
            Test::Function(_) => !nullable,
            Test::Object(_, tagged) => !tagged && !from.is_nullable(),
            _ => !from.is_nullable(),
        };
        let result = if simple {
            let passes = self.passes(reference, &test);
            self.builder.ins().uextend(types::I32, passes)
        } else {
            let done = self.builder.create_block();
            let result = self.builder.append_block_param(done, types::I32);
            let (one, zero) = (self.iconst32(1), self.iconst32(0));
            let (yes, no) = ([BlockArg::Value(one)], [BlockArg::Value(zero)]);
            self.branch_on_type(reference, from, to, (done, &yes), (done, &no));
            self.builder.seal_block(done);
            self.builder.switch_to_block(done);
            result
        };
        self.push(result);
    }

    pub(super) fn ref_cast(&mut self, heap_type: HeapType, nullable: bool) {
        let reference = *self.stack.last().expect("validated: there is a reference");
        let (from, to) = (
            self.known_type(reference),
            self.target_type(heap_type, nullable),
        );
        let from = internal(from);
        let failure = trap_code(TrapCode::CastFailure);
        let done = (from.is_nullable() && nullable).then(|| {
            let (next, done) = (self.builder.create_block(), self.builder.create_block());
            self.builder.ins().brif(reference, next, &[], done, &[]);
            self.builder.seal_block(next);
            self.builder.switch_to_block(next);
            done
        });
        let may_be_null = from.is_nullable() && !nullable;
        let test = self.test_for(from, to);
        match &test {
            Test::Object(numbers, tagged) => {
                if *tagged {
                    let tag = self
                        .builder
                        .ins()
                        .band_imm_u(reference, gc::TAG_MASK.cast_signed());
                    self.builder.ins().trapnz(tag, failure);
                }
                let code = may_be_null.then_some(TrapCode::CastFailure);
                let number = self.type_number(reference, code);
                let passes = self.in_range(number, *numbers);
                self.builder.ins().trapz(passes, failure);
            }
            test => {
                // The other tests but these two fail for null.
                if may_be_null && matches!(test, Test::Always | Test::NotHost) {
                    self.builder.ins().trapz(reference, failure);
                }
                if !matches!(test, Test::Always) {
                    let passes = self.passes(reference, test);
                    self.builder.ins().trapz(passes, failure);
                }
            }
        }
        if let Some(done) = done {
            self.builder.ins().jump(done, &[]);
            self.builder.seal_block(done);
            self.builder.switch_to_block(done);
        }
    }

    /// `br_on_cast`, or with `wanted` false `br_on_cast_fail`.
    pub(super) fn br_on_cast(&mut self, depth: u32, from: RefType, to: RefType, wanted: bool) {
        let reference = *self.stack.last().expect("validated: there is a reference");
        let canonical = |ty| canonical::reference_type(&self.instance.types, ty);
        let (from, to) = (canonical(from), canonical(to));
        let known = internal(self.known_type(reference));
        let types = &self.env.program.types;
        let from = if canonical::is_subtype(types, ValType::Ref(known), ValType::Ref(from)) {
            known
        } else {
            from
        };
        let (block, count) = self.target(depth);
        let args = self.branch_args(count);
        let next = self.builder.create_block();
        let (yes, no): (Way<'_>, Way<'_>) = if wanted {
            ((block, &args), (next, &[]))
        } else {
            ((next, &[]), (block, &args))
        };
        self.branch_on_type(reference, from, to, yes, no);
        self.builder.seal_block(next);
        self.builder.switch_to_block(next);
    }
}

fn range(first: u32, end: u32, tagged: bool) -> Test {
    if first == end {
        Test::Never
    } else {
        Test::Object((first, end - 1), tagged)
    }
}

/// What is known of a reference from outside, as it is known inside.
pub(super) fn internal(ty: RefType) -> RefType {
    if ty.is_extern_ref() {
        return with_null_if(ty.is_nullable(), RefType::ANYREF);
    }
    ty
}

/// A type that has null, or the same without it.
pub(super) fn with_null_if(is_nullable: bool, ty: RefType) -> RefType {
    if is_nullable { ty } else { ty.as_non_null() }
}
