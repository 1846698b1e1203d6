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
    /// A field of a null reference.
    NullStructReference = 15, "null structure reference";
    /// An element or the length of a null reference.
    NullArrayReference = 16, "null array reference";
    /// The value of a null reference to an `i31`.
    NullI31Reference = 17, "null i31 reference";
    /// `ref.cast` to a type that the reference is not of.
    CastFailure = 18, "cast failure";
    /// An access or bulk operation beyond an array's length.
    ArrayOutOfBounds = 19, "out of bounds array access";
    /// The garbage-collected heap has no room left.
    GcHeapExhausted = 20, "garbage-collected heap exhausted";
    /// `memory.atomic.wait` on a memory that is not shared.
    ExpectedSharedMemory = 21, "expected shared memory";
}

/// The messages of a program's traps, as bytes in its read-only data: for each code from 1 on, and for 0 before
/// them, where its message ends, as a `u16` counted from the record's first byte; then the messages. A code
/// that the program cannot raise has an empty message, and behind the last that it can there are none.
#[derive(Clone, Copy, Debug)]
pub struct Messages;

impl Messages {
    /// The record for a program that can raise `codes`.
    #[cfg(feature = "write")]
    #[must_use]
    pub fn encode(codes: &[TrapCode]) -> alloc::vec::Vec<u8> {
        let last = codes.iter().map(|code| *code as usize).max().unwrap_or(0);
        let mut end = 2 * (last + 1);
        let mut bytes = alloc::vec::Vec::from((end as u16).to_le_bytes());
        let mut text = alloc::vec::Vec::new();
        for code in &TrapCode::ALL[..last] {
            if codes.contains(code) {
                text.extend_from_slice(code.message().as_bytes());
                end += code.message().len();
            }
            bytes.extend_from_slice(&(end as u16).to_le_bytes());
        }
        bytes.extend_from_slice(&text);
        bytes
    }

    /// The message of `code`.
    ///
    /// # Safety
    /// `record` is that of a program that can raise `code`.
    #[must_use]
    pub unsafe fn message(record: &'static u8, code: TrapCode) -> &'static [u8] {
        let record: *const u8 = record;
        // SAFETY: by contract; the ends may lie at any address.
        unsafe {
            let end = |index: usize| record.cast::<u16>().add(index).read_unaligned() as usize;
            let start = end(code as usize - 1);
            core::slice::from_raw_parts(record.add(start), end(code as usize) - start)
        }
    }
}
