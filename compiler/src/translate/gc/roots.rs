//! How many references the code generator must list for the collector.
//!
//! In: operators as they are translated. Out: a sum that bounds the stack maps of the function, and whether it is more
//! than is compiled. Stack maps are live references times calls: a function of some kilobytes could otherwise take
//! gigabytes.

use super::Translator;
use wasmparser::Operator;

/// Most entries for operands, all of which are live. An array of 10,000 objects made from operands has 50 million.
const MAX_OPERANDS: u64 = 1 << 26;
/// Most entries for locals, of which few are live at a time.
const MAX_LOCALS: u64 = 1 << 25;

/// What was counted so far.
#[derive(Clone, Copy, Debug, Default)]
pub(in super::super) struct Roots {
    /// Locals that may be the address of an object.
    pub(in super::super) locals: u64,
    /// Places where garbage may be collected.
    places: u64,
    /// The heights of the operand stack there, taken together.
    operands: u64,
}

impl Roots {
    /// Whether the stack maps would be too large.
    pub(in super::super) const fn too_many(&self) -> bool {
        self.operands > MAX_OPERANDS || self.locals.saturating_mul(self.places) > MAX_LOCALS
    }
}

impl Translator<'_, '_> {
    /// Counts what the collector is told of at an operator, which was translated just now.
    pub(in super::super) fn count_roots_of(&mut self, operator: &Operator<'_>) {
        let collects = matches!(
            operator,
            Operator::Call { .. }
                | Operator::CallIndirect { .. }
                | Operator::CallRef { .. }
                | Operator::StructNew { .. }
                | Operator::StructNewDefault { .. }
                | Operator::ArrayNew { .. }
                | Operator::ArrayNewDefault { .. }
                | Operator::ArrayNewFixed { .. }
                | Operator::ArrayNewData { .. }
                | Operator::ArrayNewElem { .. }
                | Operator::Throw { .. }
        );
        if collects {
            self.count_roots();
        }
    }

    /// Counts what the collector is told of where it may be called just now.
    pub(super) fn count_roots(&mut self) {
        if self.env.usage.allocates {
            self.roots.places += 1;
            self.roots.operands += self.stack.len() as u64;
        }
    }
}
