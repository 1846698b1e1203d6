//! The operand stack, as lists of SSA values.

use super::Translator;
use cranelift_codegen::ir::Value;

impl Translator<'_, '_> {
    pub(super) fn push(&mut self, value: Value) {
        self.stack.push(value);
    }

    /// Takes the top of the stack. Validation has shown that there is one.
    pub(super) fn pop(&mut self) -> Value {
        self.stack
            .pop()
            .expect("validated: the operand stack has a value")
    }

    /// Takes two values; the second result was on top.
    pub(super) fn pop2(&mut self) -> (Value, Value) {
        let b = self.pop();
        let a = self.pop();
        (a, b)
    }

    /// Takes three values; the last result was on top.
    pub(super) fn pop3(&mut self) -> (Value, Value, Value) {
        let c = self.pop();
        let (a, b) = self.pop2();
        (a, b, c)
    }

    /// Takes the topmost `count` values, in stack order.
    pub(super) fn pop_n(&mut self, count: usize) -> Vec<Value> {
        self.stack.split_off(self.stack.len() - count)
    }
}
