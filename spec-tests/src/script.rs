//! Script text → directives.
//!
//! In: the text of a `.wast` file. Out: plain data, owned, one [`Directive`] for each directive of the script
//! and in its order; the position is the directive's id. Nothing here knows what a module means.

use elfin_compiler::module::{RefType, ValType};
use elfin_compiler::program::Constant;
use wast::core::{
    AbstractHeapType, HeapType, NanPattern, V128Const, V128Pattern, WastArgCore, WastRetCore,
};
use wast::parser::{self, ParseBuffer};
use wast::token::Id;
use wast::{
    QuoteWat, QuoteWatTest, Wast, WastArg, WastDirective, WastExecute, WastInvoke, WastRet,
};

/// A directive of a script.
#[derive(Clone, Debug)]
pub struct Directive {
    /// Its line in the script.
    pub line: usize,
    /// What reports call it.
    pub what: String,
    /// What is to be done.
    pub kind: Kind,
}

/// What a directive says.
#[derive(Clone, Debug)]
pub enum Kind {
    /// A module is valid; unless it is only a definition, an instance is made.
    Module {
        /// Its name in the script.
        name: Option<String>,
        /// The module.
        source: Source,
        /// No instance is made.
        definition: bool,
    },
    /// One more instance of a module.
    Instance {
        /// Name of the instance.
        name: Option<String>,
        /// Name of the module; without it, the last one.
        module: Option<String>,
    },
    /// An instance can be imported from under a name.
    Register {
        /// The name.
        name: String,
        /// Name of the instance; without it, the last one.
        instance: Option<String>,
    },
    /// Something is done, and has these results (unless nothing is said about them).
    Return(Execute, Option<Vec<Expected>>),
    /// Something is done, and traps for this reason.
    Trap(Execute, String),
    /// Something is done, and ends with an exception that nothing catches.
    Exception(Execute),
    /// A module can't be instantiated, for this reason.
    Unlinkable(Source, String),
    /// A module breaks a rule of validation.
    Invalid(Source),
    /// A module can't be read at all.
    Malformed(Source),
    /// A thread is started; the next directives are what it does.
    Thread {
        /// Its name in the script.
        name: String,
        /// The instance of the script that it sees.
        shared: Option<String>,
        /// How many directives are its own, those of threads that it starts included.
        directives: u32,
    },
    /// The script, or a thread, waits until a thread has done what it does.
    Wait(String),
    /// What needs a feature of scripts that is not there.
    Needs(&'static str),
}

/// A module as the script has it.
#[derive(Clone, Debug)]
pub enum Source {
    /// Bytes of the binary format. Inline modules are encoded when the script is read.
    Binary(Vec<u8>),
    /// Quoted bytes of the text format.
    Text(Vec<u8>),
    /// The text-format reader refused an inline module.
    Refused(String),
}

/// Something that a script does.
#[derive(Clone, Debug)]
pub enum Execute {
    /// Call an export.
    Invoke {
        /// Name of the instance; without it, the last one.
        instance: Option<String>,
        /// Name of the export.
        export: String,
        /// Its arguments, or the feature that they need.
        arguments: Result<Vec<(ValType, Constant)>, &'static str>,
    },
    /// Read an exported global.
    Get {
        /// Name of the instance; without it, the last one.
        instance: Option<String>,
        /// Name of the export.
        export: String,
    },
    /// Make an instance.
    Instantiate(Source),
}

/// What a result should be.
#[derive(Clone, Debug, PartialEq)]
pub enum Expected {
    /// A number: its type, and what each lane of it should be (scalars have one).
    Number(ValType, Vec<Lane>),
    /// A null reference, of a type whose references are of this kind.
    Null,
    /// A reference to a function.
    Function,
    /// A reference from outside, with this number.
    Extern(u32),
    /// A reference of a kind.
    Reference(Kinds),
    /// One of these.
    Either(Vec<Expected>),
    /// Something that needs a feature.
    Needs(&'static str),
}

/// Kinds of references that are not null and do not lead to functions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kinds {
    /// Any of them, in a type of inside.
    Any,
    /// Any of them, in a type of outside.
    Extern,
    /// Those that can be compared.
    Eq,
    /// An `i31`.
    I31,
    /// To a struct.
    Struct,
    /// To an array.
    Array,
}

/// What a lane of a number should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lane {
    /// Its width in bits.
    pub bits: u32,
    /// What it should hold.
    pub pattern: Pattern,
}

/// What a lane should hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pattern {
    /// Exactly these bits.
    Bits(u64),
    /// A NaN whose payload is the most significant bit alone, of either sign.
    CanonicalNan,
    /// A NaN whose payload's most significant bit is set.
    ArithmeticNan,
}

/// A host reference as a word of the program (`elfin_abi::gc`).
#[must_use]
pub fn extern_word(number: u32) -> u64 {
    elfin_abi::gc::host_value(number)
}

/// Reads a script.
///
/// # Errors
/// The reader's own account of what it can't read.
pub fn parse(text: &str) -> Result<Vec<Directive>, String> {
    read(text).or_else(|error| {
        // The reader does not know the legacy exceptions' folded form; lines stay the same in the other.
        let flat = elfin_compiler::legacy_text::unfold(text);
        flat.and_then(|flat| read(&flat).ok()).ok_or(error)
    })
}

fn read(text: &str) -> Result<Vec<Directive>, String> {
    let mut lexer = wast::lexer::Lexer::new(text);
    lexer.allow_confusing_unicode(true);
    let buffer = ParseBuffer::new_with_lexer(lexer).map_err(|e| e.to_string())?;
    let script: Wast<'_> = parser::parse(&buffer).map_err(|e| e.to_string())?;
    let mut directives = Vec::new();
    append(script.directives, text, &mut directives);
    Ok(directives)
}

/// Appends directives; behind one that starts a thread, those of the thread.
fn append(from: Vec<WastDirective<'_>>, text: &str, to: &mut Vec<Directive>) {
    for directive in from {
        let WastDirective::Thread(thread) = directive else {
            to.push(self::directive(directive, text));
            continue;
        };
        let position = to.len();
        let name = thread.name.name().to_owned();
        to.push(Directive {
            line: thread.span.linecol_in(text).0 + 1,
            what: format!("thread ${name}"),
            kind: Kind::Needs("threads"),
        });
        append(thread.directives, text, to);
        to[position].kind = Kind::Thread {
            name,
            shared: owned(thread.shared_module),
            directives: (to.len() - position - 1) as u32,
        };
    }
}

fn directive(directive: WastDirective<'_>, text: &str) -> Directive {
    let line = directive.span().linecol_in(text).0 + 1;
    let (what, kind) = match directive {
        WastDirective::Module(module) => module_directive(module, false),
        WastDirective::ModuleDefinition(module) => module_directive(module, true),
        WastDirective::ModuleInstance {
            instance, module, ..
        } => (
            "module instance".to_owned(),
            Kind::Instance {
                name: owned(instance),
                module: owned(module),
            },
        ),
        WastDirective::Register { name, module, .. } => (
            format!("register {name:?}"),
            Kind::Register {
                name: name.to_owned(),
                instance: owned(module),
            },
        ),
        WastDirective::Invoke(call) => {
            let execute = invoke(call);
            (describe("invoke", &execute), Kind::Return(execute, None))
        }
        WastDirective::AssertReturn { exec, results, .. } => {
            let execute = execute(exec);
            let results = results.into_iter().map(expected).collect();
            (
                describe("assert_return", &execute),
                Kind::Return(execute, Some(results)),
            )
        }
        WastDirective::AssertTrap { exec, message, .. } => {
            let execute = execute(exec);
            (
                describe("assert_trap", &execute),
                Kind::Trap(execute, message.to_owned()),
            )
        }
        WastDirective::AssertExhaustion { call, message, .. } => {
            let execute = invoke(call);
            (
                describe("assert_exhaustion", &execute),
                Kind::Trap(execute, message.to_owned()),
            )
        }
        WastDirective::AssertUnlinkable {
            module, message, ..
        } => (
            format!("assert_unlinkable {message:?}"),
            Kind::Unlinkable(source(QuoteWat::Wat(module)), message.to_owned()),
        ),
        WastDirective::AssertInvalid {
            module, message, ..
        }
        | WastDirective::AssertInvalidCustom {
            module, message, ..
        } => (
            format!("assert_invalid {message:?}"),
            Kind::Invalid(source(module)),
        ),
        WastDirective::AssertMalformed {
            module, message, ..
        }
        | WastDirective::AssertMalformedCustom {
            module, message, ..
        } => (
            format!("assert_malformed {message:?}"),
            Kind::Malformed(source(module)),
        ),
        WastDirective::AssertException { exec, .. } => {
            let execute = execute(exec);
            (
                describe("assert_exception", &execute),
                Kind::Exception(execute),
            )
        }
        WastDirective::AssertSuspension { .. } => (
            "assert_suspension".to_owned(),
            Kind::Needs("stack-switching"),
        ),
        // `append` takes threads apart.
        WastDirective::Thread(_) => ("thread".to_owned(), Kind::Needs("threads")),
        WastDirective::Wait { thread, .. } => (
            format!("wait ${}", thread.name()),
            Kind::Wait(thread.name().to_owned()),
        ),
    };
    Directive { line, what, kind }
}

fn owned(id: Option<Id<'_>>) -> Option<String> {
    id.map(|id| id.name().to_owned())
}

fn describe(what: &str, execute: &Execute) -> String {
    match execute {
        Execute::Invoke { export, .. } => format!("{what} {export:?}"),
        Execute::Get { export, .. } => format!("{what} get {export:?}"),
        Execute::Instantiate(_) => format!("{what} module"),
    }
}

fn module_directive(module: QuoteWat<'_>, definition: bool) -> (String, Kind) {
    let name = owned(module.name());
    let what = match (&name, definition) {
        (Some(name), false) => format!("module ${name}"),
        (Some(name), true) => format!("module definition ${name}"),
        (None, false) => "module".to_owned(),
        (None, true) => "module definition".to_owned(),
    };
    let source = source(module);
    (
        what,
        Kind::Module {
            name,
            source,
            definition,
        },
    )
}

fn source(mut module: QuoteWat<'_>) -> Source {
    match module.to_test() {
        Ok(QuoteWatTest::Binary(bytes)) => Source::Binary(bytes),
        Ok(QuoteWatTest::Text(text)) => Source::Text(text),
        Err(error) => Source::Refused(error.message()),
    }
}

fn execute(execute: WastExecute<'_>) -> Execute {
    match execute {
        WastExecute::Invoke(call) => invoke(call),
        WastExecute::Get { module, global, .. } => Execute::Get {
            instance: owned(module),
            export: global.to_owned(),
        },
        WastExecute::Wat(module) => Execute::Instantiate(source(QuoteWat::Wat(module))),
    }
}

fn invoke(call: WastInvoke<'_>) -> Execute {
    Execute::Invoke {
        instance: owned(call.module),
        export: call.name.to_owned(),
        arguments: call.args.into_iter().map(argument).collect(),
    }
}

fn argument(argument: WastArg<'_>) -> Result<(ValType, Constant), &'static str> {
    let WastArg::Core(argument) = argument else {
        return Err("component-model");
    };
    Ok(match argument {
        WastArgCore::I32(v) => (ValType::I32, Constant::Bits(u64::from(v.cast_unsigned()))),
        WastArgCore::I64(v) => (ValType::I64, Constant::Bits(v.cast_unsigned())),
        WastArgCore::F32(v) => (ValType::F32, Constant::Bits(u64::from(v.bits))),
        WastArgCore::F64(v) => (ValType::F64, Constant::Bits(v.bits)),
        WastArgCore::V128(v) => (
            ValType::V128,
            Constant::V128(u128::from_le_bytes(v.to_le_bytes())),
        ),
        WastArgCore::RefNull(ty) => match abstract_type(&ty) {
            Some(AbstractHeapType::Func) => (ValType::FUNCREF, Constant::Null),
            Some(AbstractHeapType::Extern) => (ValType::EXTERNREF, Constant::Null),
            Some(AbstractHeapType::Exn | AbstractHeapType::NoExn) => {
                (ValType::Ref(RefType::EXNREF), Constant::Null)
            }
            // Null is null: the parameter says of what type.
            _ => (ValType::FUNCREF, Constant::Null),
        },
        WastArgCore::RefExtern(n) => (
            ValType::Ref(RefType::EXTERNREF.as_non_null()),
            Constant::Bits(extern_word(n)),
        ),
        WastArgCore::RefHost(n) => (
            ValType::Ref(RefType::ANYREF.as_non_null()),
            Constant::Bits(extern_word(n)),
        ),
    })
}

fn abstract_type(ty: &HeapType<'_>) -> Option<AbstractHeapType> {
    match ty {
        HeapType::Abstract { ty, .. } => Some(*ty),
        _ => None,
    }
}

fn expected(result: WastRet<'_>) -> Expected {
    match result {
        WastRet::Core(result) => expected_core(&result),
        _ => Expected::Needs("component-model"),
    }
}

fn expected_core(result: &WastRetCore<'_>) -> Expected {
    match result {
        WastRetCore::I32(v) => number(ValType::I32, 32, [u64::from(v.cast_unsigned())]),
        WastRetCore::I64(v) => number(ValType::I64, 64, [v.cast_unsigned()]),
        WastRetCore::F32(v) => {
            Expected::Number(ValType::F32, vec![float(32, v, |v| u64::from(v.bits))])
        }
        WastRetCore::F64(v) => Expected::Number(ValType::F64, vec![float(64, v, |v| v.bits)]),
        WastRetCore::V128(V128Pattern::F32x4(lanes)) => {
            let lanes = lanes.iter().map(|v| float(32, v, |v| u64::from(v.bits)));
            Expected::Number(ValType::V128, lanes.collect())
        }
        WastRetCore::V128(V128Pattern::F64x2(lanes)) => {
            let lanes = lanes.iter().map(|v| float(64, v, |v| v.bits));
            Expected::Number(ValType::V128, lanes.collect())
        }
        WastRetCore::V128(integers) => {
            let constant = match integers {
                V128Pattern::I8x16(v) => V128Const::I8x16(*v),
                V128Pattern::I16x8(v) => V128Const::I16x8(*v),
                V128Pattern::I32x4(v) => V128Const::I32x4(*v),
                V128Pattern::I64x2(v) => V128Const::I64x2(*v),
                _ => return Expected::Needs("simd"),
            };
            let bits = u128::from_le_bytes(constant.to_le_bytes());
            number(ValType::V128, 64, [bits as u64, (bits >> 64) as u64])
        }
        WastRetCore::RefNull(_) => Expected::Null,
        WastRetCore::RefExtern(Some(n)) | WastRetCore::RefHost(n) => Expected::Extern(*n),
        WastRetCore::RefFunc(_) => Expected::Function,
        WastRetCore::RefExtern(None) => Expected::Reference(Kinds::Extern),
        WastRetCore::RefAny => Expected::Reference(Kinds::Any),
        WastRetCore::RefEq => Expected::Reference(Kinds::Eq),
        WastRetCore::RefArray => Expected::Reference(Kinds::Array),
        WastRetCore::RefStruct => Expected::Reference(Kinds::Struct),
        WastRetCore::RefI31 => Expected::Reference(Kinds::I31),
        WastRetCore::RefI31Shared => Expected::Needs("shared-everything-threads"),
        WastRetCore::Either(cases) => Expected::Either(cases.iter().map(expected_core).collect()),
    }
}

fn number<const N: usize>(ty: ValType, bits: u32, lanes: [u64; N]) -> Expected {
    let lane = |value| Lane {
        bits,
        pattern: Pattern::Bits(value),
    };
    Expected::Number(ty, lanes.into_iter().map(lane).collect())
}

fn float<T>(bits: u32, pattern: &NanPattern<T>, value: impl Fn(&T) -> u64) -> Lane {
    let pattern = match pattern {
        NanPattern::CanonicalNan => Pattern::CanonicalNan,
        NanPattern::ArithmeticNan => Pattern::ArithmeticNan,
        NanPattern::Value(v) => Pattern::Bits(value(v)),
    };
    Lane { bits, pattern }
}
