//! Exceptions (core spec, 4.4.8: `try_table`, `throw`, `throw_ref`), and those of the legacy encoding (`try`, `catch`,
//! `catch_all`, `delegate`, `rethrow`; exception-handling proposal, legacy), which become the same.
//!
//! A call inside a `try_table` names its handlers, innermost first; that costs nothing unless it throws. A handler is
//! a landing pad: a block that is given the exception, takes out what it carries, and branches as the clause says. A
//! `throw` that a clause of the same function catches is that branch, and no exception comes into being unless the
//! clause wants a reference to it.
//!
//! Where a program makes other objects as well, exceptions are such objects (`gc`), which move; otherwise the runtime
//! has a place for them where they stay.
//!
//! Which clause catches what is decided by [`TagId`], not by index: a tag has as many indices as modules import it.

use super::control::Kind;
use super::{Region, Translator, trap_code};
use crate::module::{RefType, ValType};
use crate::objects::{Field, Object};
use crate::program::TagId;
use cranelift_codegen::ir::{
    Block, BlockArg, BlockCall, ExceptionTable, ExceptionTableData, ExceptionTableItem,
    ExceptionTag, InstBuilder, MemFlagsData, SigRef, Value, types,
};
use elfin_abi::exception::Exception;
use elfin_abi::host::Libcall;
use elfin_abi::trap::TrapCode;
use std::collections::HashSet;
use wasmparser::{AbstractHeapType, BlockType, Catch, FunctionBody, HeapType, Operator, TryTable};

/// Most handlers of all calls of a function together, and most clauses that are looked at to find them. A call inside
/// thousands of clauses has thousands of handlers.
const MAX_HANDLERS: usize = 1 << 17;
const MAX_CLAUSES_WALKED: usize = 1 << 24;

/// A tag (`None`: any) and the landing pad for it.
pub(super) type Handler = (Option<TagId>, Block);

/// A clause of a `try_table`.
#[derive(Debug)]
pub(super) struct Clause {
    /// What it catches; `None`: everything.
    tag: Option<TagId>,
    /// It wants a reference to the exception as well.
    with_reference: bool,
    /// Where it branches to, seen from outside the `try_table`.
    label: u32,
    /// Its landing pad, once a call may end there.
    pad: Option<Block>,
}

/// A legacy `try`.
#[derive(Debug)]
pub(super) struct LegacyTry {
    clauses: Vec<LegacyClause>,
    /// For `delegate`: the frame whose handlers go on, seen from outside the `try`.
    delegate: Option<u32>,
    /// Clauses that were begun; none: this is the body.
    begun: usize,
    /// The exception that the clause in progress caught, if it is rethrown there.
    caught: Option<Value>,
}

#[derive(Debug)]
struct LegacyClause {
    tag: Option<TagId>,
    rethrown: bool,
    pad: Option<Block>,
    /// Its code; the parameters are what the exception carries, and the exception itself if it is rethrown.
    code: Option<Block>,
}

/// What a legacy `try` has behind its body, as a first reading found it.
#[derive(Clone, Debug, Default)]
pub(super) struct LegacyShape {
    /// Tag index (`None` for `catch_all`) of each clause, and whether a `rethrow` means it.
    clauses: Vec<(Option<u32>, bool)>,
    delegate: Option<u32>,
}

/// Finds the clauses of every legacy `try` of a body, in order.
///
/// # Errors
/// None for a body that was validated.
pub(super) fn legacy_tries(body: &FunctionBody<'_>) -> wasmparser::Result<Vec<LegacyShape>> {
    let mut tries: Vec<LegacyShape> = Vec::new();
    // For each open block, which `try` it is.
    let mut open: Vec<Option<usize>> = vec![None];
    let mut reader = body.get_operators_reader()?;
    while !reader.eof() {
        let current = open.last().copied().flatten();
        match reader.read()? {
            Operator::Block { .. }
            | Operator::Loop { .. }
            | Operator::If { .. }
            | Operator::TryTable { .. } => open.push(None),
            Operator::Try { .. } => {
                open.push(Some(tries.len()));
                tries.push(LegacyShape::default());
            }
            Operator::Catch { tag_index } => {
                if let Some(shape) = current {
                    tries[shape].clauses.push((Some(tag_index), false));
                }
            }
            Operator::CatchAll => {
                if let Some(shape) = current {
                    tries[shape].clauses.push((None, false));
                }
            }
            Operator::Delegate { relative_depth } => {
                if let Some(shape) = current {
                    tries[shape].delegate = Some(relative_depth);
                }
                open.pop();
            }
            Operator::End => {
                open.pop();
            }
            Operator::Rethrow { relative_depth } => {
                let at = open.len().checked_sub(1 + relative_depth as usize);
                let shape = at.and_then(|at| open[at]);
                if let Some((_, rethrown)) = shape.and_then(|s| tries[s].clauses.last_mut()) {
                    *rethrown = true;
                }
            }
            _ => {}
        }
    }
    Ok(tries)
}

/// Where each value lies that an exception carries, and the size of the whole.
fn payload(values: &[ValType]) -> (Vec<i32>, u32) {
    let mut at = Exception::SIZE;
    let offsets = values
        .iter()
        .map(|ty| {
            let size = if *ty == ValType::V128 { 16 } else { 8 };
            at = at.next_multiple_of(size);
            let offset = at.cast_signed();
            at += size;
            offset
        })
        .collect();
    (offsets, at.next_multiple_of(Exception::GRANULE))
}

/// Whether a reference of this type may be one to an exception.
pub(crate) fn holds_exceptions(ty: ValType) -> bool {
    match ty {
        ValType::Ref(ty) => matches!(
            ty.heap_type(),
            HeapType::Abstract {
                ty: AbstractHeapType::Exn,
                ..
            }
        ),
        _ => false,
    }
}

/// The type of a reference to an exception that was thrown.
const THROWN: ValType = ValType::Ref(RefType::EXN);

impl<'p> Translator<'p, '_> {
    fn tag(&self, index: u32) -> TagId {
        self.instance.tags[index as usize]
    }

    /// What exceptions of a tag carry; nothing that anyone knows when any tag will do.
    fn carried(&self, tag: Option<TagId>) -> Vec<ValType> {
        tag.map_or_else(Vec::new, |tag| {
            let ty = self.env.program.tags[tag.index()].ty;
            self.env.program.ty(ty).params().to_vec()
        })
    }

    pub(super) fn try_table(&mut self, try_table: &TryTable) {
        let (params, results) = self.block_signature(try_table.ty);
        let exit = self.block_with(&results);
        let clauses = try_table
            .catches
            .iter()
            .map(|catch| {
                let (tag, with_reference, label) = match *catch {
                    Catch::One { tag, label } => (Some(self.tag(tag)), false, label),
                    Catch::OneRef { tag, label } => (Some(self.tag(tag)), true, label),
                    Catch::All { label } => (None, false, label),
                    Catch::AllRef { label } => (None, true, label),
                };
                Clause {
                    tag,
                    with_reference,
                    label,
                    pad: None,
                }
            })
            .collect();
        self.tries.push(self.control.len());
        self.push_frame(Kind::TryTable(clauses), exit, params.len(), results.len());
    }

    pub(super) fn try_(&mut self, ty: BlockType) {
        let shape = std::mem::take(&mut self.legacy_tries[self.next_legacy_try]);
        self.next_legacy_try += 1;
        let (params, results) = self.block_signature(ty);
        let exit = self.block_with(&results);
        let clauses = shape
            .clauses
            .iter()
            .map(|(tag, rethrown)| LegacyClause {
                tag: tag.map(|tag| self.tag(tag)),
                rethrown: *rethrown,
                pad: None,
                code: None,
            })
            .collect();
        let legacy = LegacyTry {
            clauses,
            delegate: shape.delegate,
            begun: 0,
            caught: None,
        };
        self.tries.push(self.control.len());
        self.push_frame(Kind::Try(legacy), exit, params.len(), results.len());
    }

    /// `catch` and `catch_all`: the next clause of the innermost frame, which is a legacy `try`.
    pub(super) fn catch(&mut self) {
        self.leave_arm();
        let at = self.control.len() - 1;
        self.stack.truncate(self.control[at].height);
        let legacy = self.legacy(at);
        let clause = legacy.begun;
        legacy.begun += 1;
        legacy.caught = None;
        let (tag, pad) = (legacy.clauses[clause].tag, legacy.clauses[clause].pad);
        let rethrown = legacy.clauses[clause].rethrown;
        if let Some(pad) = pad {
            let code = self.legacy_code(at, clause);
            let exception = self.enter_pad(pad);
            let mut values = self.take_payload(tag, exception);
            values.extend(rethrown.then_some(exception));
            self.jump(code, &values);
        }
        let Some(code) = self.legacy(at).clauses[clause].code else {
            // Nothing in the body ends here.
            self.reachable = false;
            return;
        };
        self.builder.seal_block(code);
        self.builder.switch_to_block(code);
        let mut values = self.builder.block_params(code).to_vec();
        if rethrown {
            self.legacy(at).caught = values.pop();
        }
        self.stack.extend(values);
        self.reachable = true;
    }

    fn legacy(&mut self, at: usize) -> &mut LegacyTry {
        match &mut self.control[at].kind {
            Kind::Try(legacy) => legacy,
            other => unreachable!("validated: a legacy try, not {other:?}"),
        }
    }

    /// The block of a clause's code.
    fn legacy_code(&mut self, at: usize, clause: usize) -> Block {
        let LegacyClause {
            tag,
            rethrown,
            code,
            ..
        } = self.legacy(at).clauses[clause];
        if let Some(code) = code {
            return code;
        }
        let code = self.block_with(&self.carried(tag));
        if rethrown {
            let exception = self.builder.append_block_param(code, types::I64);
            self.note(exception, THROWN);
        }
        self.legacy(at).clauses[clause].code = Some(code);
        code
    }

    pub(super) fn throw(&mut self, tag: u32) {
        let tag = self.tag(tag);
        let types = self.carried(Some(tag));
        let values = self.pop_n(types.len());
        match self.catching_clause(tag) {
            Some((at, clause)) => self.branch_to_clause(at, clause, tag, values),
            None => {
                let exception = self.allocate_exception(tag, &values);
                // No handler here can be meant.
                self.call_libcall(Libcall::Throw, &[exception]);
                self.trap(TrapCode::Unreachable);
            }
        }
        self.reachable = false;
    }

    pub(super) fn throw_ref(&mut self) {
        let exception = self.pop();
        self.builder
            .ins()
            .trapz(exception, trap_code(TrapCode::NullReference));
        self.throw_again(exception);
    }

    pub(super) fn rethrow(&mut self, depth: u32) {
        let at = self.control.len() - 1 - depth as usize;
        let exception = self.legacy(at).caught;
        self.throw_again(exception.expect("a first reading found that the clause is rethrown"));
    }

    /// Throws an exception of which nothing is known.
    fn throw_again(&mut self, exception: Value) {
        let handlers = self.handlers();
        if handlers.is_empty() {
            self.call_libcall(Libcall::Throw, &[exception]);
        } else {
            self.try_libcall(Libcall::Throw, &[exception], &handlers);
        }
        self.trap(TrapCode::Unreachable);
    }

    /// Makes an exception. Everything that makes one comes here.
    fn allocate_exception(&mut self, tag: TagId, values: &[Value]) -> Value {
        let flags = self.payload_flags();
        if let Some((size, fields)) = self.exception_object(tag) {
            let size = self.iconst64(u64::from(size));
            let number = self.env.layout.types.end + tag.0;
            let exception = self.allocate(number, size);
            self.note(exception, THROWN);
            for (value, field) in values.iter().zip(fields) {
                let offset = field.offset.cast_signed();
                self.store_storage(field.storage, *value, flags, exception, offset);
            }
            return exception;
        }
        let (offsets, size) = payload(&self.carried(Some(tag)));
        let id = self.iconst64(u64::from(tag.0));
        let size = self.iconst64(u64::from(size));
        let libcall = if self.env.layout.is_threaded {
            Libcall::NewThreadException
        } else {
            Libcall::NewException
        };
        let exception = self.call_libcall(libcall, &[id, size])[0];
        let flags = flags.with_aligned();
        for (value, offset) in values.iter().zip(offsets) {
            self.builder.ins().store(flags, *value, exception, offset);
        }
        exception
    }

    fn payload_flags(&mut self) -> MemFlagsData {
        let region = self.region(Region::Exceptions);
        MemFlagsData::new()
            .with_notrap()
            .with_alias_region(Some(region))
    }

    /// What an exception looks like where it is an object among others.
    fn exception_object(&self, tag: TagId) -> Option<(u32, &'p [Field])> {
        match self.env.layout.exception_objects.get(tag.index())? {
            Object::Struct(size, fields) => Some((*size, fields)),
            Object::Array(_) => None,
        }
    }

    /// What an exception of `tag` carries.
    fn take_payload(&mut self, tag: Option<TagId>, exception: Value) -> Vec<Value> {
        let flags = self.payload_flags();
        if let Some((_, fields)) = tag.and_then(|tag| self.exception_object(tag)) {
            let load = |field: &Field| {
                let offset = field.offset.cast_signed();
                self.load_storage(field.storage, false, flags, exception, offset)
            };
            return fields.iter().map(load).collect();
        }
        let types = self.carried(tag);
        let (offsets, _) = payload(&types);
        let flags = flags.with_aligned();
        types
            .iter()
            .zip(offsets)
            .map(|(ty, offset)| {
                self.builder
                    .ins()
                    .load(self.env.clif_type(*ty), flags, exception, offset)
            })
            .collect()
    }

    /// Walks over the clauses that can catch what is thrown here, innermost first, until `visit` says that it is
    /// enough.
    fn walk_clauses(
        &mut self,
        mut visit: impl FnMut(&mut Self, usize, usize, Option<TagId>) -> bool,
    ) {
        // Frames from here on are passed over.
        let mut end = self.control.len();
        for position in (0..self.tries.len()).rev() {
            let at = self.tries[position];
            if at >= end {
                continue;
            }
            let tags: Vec<Option<TagId>> = match &self.control[at].kind {
                Kind::TryTable(clauses) => clauses.iter().map(|c| c.tag).collect(),
                Kind::Try(legacy) => {
                    if let Some(depth) = legacy.delegate {
                        end = at - depth as usize;
                    }
                    if legacy.begun > 0 {
                        continue;
                    }
                    legacy.clauses.iter().map(|c| c.tag).collect()
                }
                _ => continue,
            };
            self.clauses_walked += 1 + tags.len();
            if self.has_too_many_handlers() {
                return;
            }
            for (clause, tag) in tags.into_iter().enumerate() {
                if visit(self, at, clause, tag) {
                    return;
                }
            }
        }
    }

    /// The function is refused: to go on would take for ever, or all memory there is.
    pub(super) fn has_too_many_handlers(&self) -> bool {
        self.clauses_walked > MAX_CLAUSES_WALKED || self.handlers_listed > MAX_HANDLERS
    }

    /// The clause of this function that catches an exception of `tag` thrown here: frame and position.
    fn catching_clause(&mut self, tag: TagId) -> Option<(usize, usize)> {
        let mut found = None;
        self.walk_clauses(|_, at, clause, caught| {
            if caught.is_none_or(|caught| caught == tag) {
                found = Some((at, clause));
            }
            found.is_some()
        });
        found
    }

    /// The handlers for what is called here; none when nothing throws.
    pub(super) fn handlers(&mut self) -> Vec<Handler> {
        let mut handlers: Vec<Handler> = Vec::new();
        if !self.env.usage.throws || self.tries.is_empty() {
            return handlers;
        }
        let mut seen = HashSet::new();
        self.walk_clauses(|t, at, clause, tag| {
            if seen.insert(tag) {
                let pad = t.pad(at, clause);
                handlers.push((tag, pad));
            }
            tag.is_none()
        });
        self.handlers_listed += handlers.len();
        handlers
    }

    /// The landing pad of a clause.
    fn pad(&mut self, at: usize, clause: usize) -> Block {
        let builder = &mut self.builder;
        let pad = match &mut self.control[at].kind {
            Kind::TryTable(clauses) => &mut clauses[clause].pad,
            Kind::Try(legacy) => &mut legacy.clauses[clause].pad,
            other => unreachable!("clauses belong to a try, not to {other:?}"),
        };
        *pad.get_or_insert_with(|| {
            let block = builder.create_block();
            builder.set_cold_block(block);
            builder.append_block_param(block, types::I64);
            block
        })
    }

    /// Begins the code of a landing pad and returns the exception. All calls that may end there were met.
    fn enter_pad(&mut self, pad: Block) -> Value {
        self.builder.switch_to_block(pad);
        self.builder.seal_block(pad);
        let exception = self.builder.block_params(pad)[0];
        self.note(exception, THROWN);
        exception
    }

    /// The code of a `try_table`'s landing pads, its frame gone.
    pub(super) fn landing_pads(&mut self, clauses: &[Clause]) {
        for clause in clauses {
            let Some(pad) = clause.pad else { continue };
            let exception = self.enter_pad(pad);
            let mut values = self.take_payload(clause.tag, exception);
            values.extend(clause.with_reference.then_some(exception));
            let (block, _) = self.target(clause.label);
            self.jump(block, &values);
        }
    }

    /// A `throw` as a branch to the clause that catches it.
    fn branch_to_clause(&mut self, at: usize, clause: usize, tag: TagId, mut values: Vec<Value>) {
        let (catches_tag, with_reference, label) = match &self.control[at].kind {
            Kind::TryTable(clauses) => {
                let c = &clauses[clause];
                (c.tag.is_some(), c.with_reference, Some(c.label))
            }
            Kind::Try(legacy) => {
                let c = &legacy.clauses[clause];
                (c.tag.is_some(), c.rethrown, None)
            }
            other => unreachable!("clauses belong to a try, not to {other:?}"),
        };
        let exception = with_reference.then(|| self.allocate_exception(tag, &values));
        if !catches_tag {
            values.clear();
        }
        values.extend(exception);
        let block = match label {
            // Seen from here, there are also the frames from the `try_table` on.
            Some(label) => self.target(label + (self.control.len() - at) as u32).0,
            None => self.legacy_code(at, clause),
        };
        self.jump(block, &values);
    }

    /// The exception table of a call with handlers, and the block where it goes on otherwise.
    pub(super) fn exception_table(
        &mut self,
        signature: SigRef,
        handlers: &[Handler],
    ) -> (ExceptionTable, Block) {
        let next = self.builder.create_block();
        let returns = self.builder.func.dfg.signatures[signature].returns.clone();
        for result in &returns {
            self.builder.append_block_param(next, result.value_type);
        }
        let dfg = &mut self.builder.func.dfg;
        let lists = &mut dfg.value_lists;
        let results = (0..returns.len() as u32).map(BlockArg::TryCallRet);
        let normal = BlockCall::new(next, results, lists);
        let items: Vec<ExceptionTableItem> = handlers
            .iter()
            .map(|(tag, pad)| {
                let call = BlockCall::new(*pad, [BlockArg::TryCallExn(0)], lists);
                match tag {
                    Some(tag) => ExceptionTableItem::Tag(ExceptionTag::from_u32(tag.0), call),
                    None => ExceptionTableItem::Default(call),
                }
            })
            .collect();
        let table = ExceptionTableData::new(signature, normal, items);
        (dfg.exception_tables.push(table), next)
    }

    /// Goes on behind a call with handlers, and returns its results.
    pub(super) fn go_on_at(&mut self, next: Block) -> Vec<Value> {
        self.builder.seal_block(next);
        self.builder.switch_to_block(next);
        self.builder.block_params(next).to_vec()
    }
}
