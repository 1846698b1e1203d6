//! Trap codes: what a program record stores for each trapping instruction and what the runtime prints.
//!
//! In: nothing. Out: codes (one byte) and the wording of the specification's test suite.

macro_rules! trap_codes {
    ($($(#[$doc:meta])* $name:ident = $code:literal, $message:literal;)*) => {
        /// Why a guest was stopped.
        #[repr(u8)]
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum TrapCode { $($(#[$doc])* $name = $code,)* }

        impl TrapCode {
            /// Every code, in order.
            pub const ALL: &[TrapCode] = &[$(TrapCode::$name,)*];

            /// The code with this number.
            #[must_use]
            pub const fn from_u8(code: u8) -> Option<Self> {
                match code { $($code => Some(Self::$name),)* _ => None }
            }

            /// The wording of the WebAssembly specification's test suite.
            #[must_use]
            pub const fn message(self) -> &'static str {
                match self { $(Self::$name => $message,)* }
            }
        }
    };
}

/// The list of messages that an executable holds ([`crate::symbol::TRAP_MESSAGES`]): for each code in `codes` the code
/// and the length of its message, a byte each, and the message; a zero ends it.
#[cfg(feature = "write")]
#[must_use]
pub fn encode_messages(codes: impl IntoIterator<Item = TrapCode>) -> alloc::vec::Vec<u8> {
    let mut list = alloc::vec::Vec::new();
    for code in codes {
        let text = code.message();
        list.extend([code as u8, text.len() as u8]);
        list.extend(text.bytes());
    }
    list.push(0);
    list
}

trap_codes! {
    /// The `unreachable` instruction.
    Unreachable = 1, "unreachable";
    /// Integer division or remainder by zero.
    IntegerDivideByZero = 2, "integer divide by zero";
    /// A signed division or a float-to-integer conversion whose result does not fit.
    IntegerOverflow = 3, "integer overflow";
    /// Conversion of a NaN to an integer.
    InvalidConversion = 4, "invalid conversion to integer";
    /// A load, store or bulk operation beyond a memory's length, or beyond a data segment's.
    MemoryOutOfBounds = 5, "out of bounds memory access";
    /// A table access or bulk operation beyond a table's length, or beyond an element segment's.
    TableOutOfBounds = 6, "out of bounds table access";
    /// `call_indirect` beyond the table's length.
    UndefinedElement = 7, "undefined element";
    /// `call_indirect` through a null entry.
    UninitializedElement = 8, "uninitialized element";
    /// `call_indirect` to a function of another type.
    IndirectCallTypeMismatch = 9, "indirect call type mismatch";
    /// The guest's stack has no room left.
    StackExhausted = 10, "call stack exhausted";
    /// A null reference where a function was needed (`call_ref`).
    NullFunctionReference = 11, "null function reference";
    /// A null reference where a value was needed (`ref.as_non_null`).
    NullReference = 12, "null reference";
    /// An atomic access that is not naturally aligned.
    UnalignedAtomic = 13, "unaligned atomic";
    /// A call of an import that nothing provides (`--unknown-imports trap`).
    UnknownImport = 14, "unknown import called";
    /// `memory.atomic.wait` on a memory that is not shared.
    ExpectedSharedMemory = 15, "expected shared memory";
}
