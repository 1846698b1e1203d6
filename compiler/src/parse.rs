//! Binary module → [`Module`], validated.
//!
//! In: bytes of a binary module. Out: a [`Module`] that borrows from them. Every rule of the
//! specification is checked here (by the validator, core spec appendix "Validation Algorithm"), with all
//! finished proposals on, so that a module which is valid but needs more than elfin compiles is told so by
//! feature and not called invalid. Rooms: `sections` reads what a module declares, `constant` its constant
//! expressions, `body` its code, with `summary` of what that uses and `gains` of what a newer
//! processor does better; `feature` knows what elfin lacks.

mod body;
mod constant;
mod feature;
mod gains;
mod sections;
mod summary;

use crate::error::{Error, Place, Result};
use crate::legacy_text;
use crate::module::Module;
use crate::proposals;
use sections::Reader;
use std::borrow::Cow;
use wasmparser::{Encoding, Parser, Payload, ValidPayload, Validator, WasmFeatures};

pub(crate) use feature::feature_of;

/// Everything that the validator should accept as valid, whether or not elfin compiles it.
fn features() -> WasmFeatures {
    WasmFeatures::default()
        | WasmFeatures::CUSTOM_PAGE_SIZES
        | WasmFeatures::LEGACY_EXCEPTIONS
        | WasmFeatures::WIDE_ARITHMETIC
}

/// Text or binary format → binary format.
///
/// # Errors
/// [`Error::Text`] when text cannot be read.
pub fn to_binary<'a>(name: &str, bytes: &'a [u8]) -> Result<Cow<'a, [u8]>> {
    if bytes.starts_with(b"\0asm") {
        return Ok(Cow::Borrowed(bytes));
    }
    let invalid = |message: &str| Error::Invalid {
        message: message.to_owned(),
        place: Place {
            module: name.to_owned(),
            ..Place::default()
        }
        .at(0),
    };
    if bytes.is_empty() {
        return Err(invalid("the file is empty"));
    }
    // What is not text cannot be the text format; saying "expected `(`" would mislead.
    let text = std::str::from_utf8(bytes)
        .ok()
        .filter(|text| !text.contains('\0'));
    let Some(text) = text else {
        return Err(invalid("neither a binary module (magic \\0asm) nor text"));
    };
    let binary = wat::parse_str(text).or_else(|mut error| {
        // The reader does not know the legacy exceptions' folded form. What else is wrong is told of the
        // text as it is.
        let flat = legacy_text::unfold(text).and_then(|flat| wat::parse_str(flat).ok());
        flat.ok_or_else(|| {
            error.set_path(name);
            Error::Text {
                message: error.to_string(),
                module: name.to_owned(),
            }
        })
    })?;
    Ok(Cow::Owned(binary))
}

/// Reads and validates a binary module.
///
/// # Errors
/// [`Error::Invalid`], [`Error::Unsupported`], [`Error::LimitExceeded`].
pub fn parse<'a>(name: &str, bytes: &'a [u8]) -> Result<Module<'a>> {
    read(name, bytes).map_err(|error| match error {
        Error::Invalid { message, place } => match proposals::needed(bytes, features(), &message) {
            Some(feature) => Error::Unsupported { feature, place },
            None => Error::Invalid { message, place },
        },
        other => other,
    })
}

fn read<'a>(name: &str, bytes: &'a [u8]) -> Result<Module<'a>> {
    let mut reader = Reader {
        module: Module {
            name: name.to_owned(),
            ..Module::default()
        },
    };
    let mut validator = Validator::new_with_features(features());
    let mut bodies = Vec::new();
    for payload in Parser::new(0).parse_all(bytes) {
        let payload = payload.map_err(|e| invalid(reader.module.place(), &e))?;
        if let Payload::Version {
            encoding: Encoding::Component,
            ..
        } = &payload
        {
            return Err(unsupported("component-model", reader.module.place().at(0)));
        }
        match validator
            .payload(&payload)
            .map_err(|e| invalid(reader.module.place(), &e))?
        {
            ValidPayload::Func(validator, body) => bodies.push((validator, body)),
            ValidPayload::Ok | ValidPayload::Parser(_) | ValidPayload::End(_) => {}
        }
        reader.section(payload)?;
    }
    let mut module = reader.module;
    module.bodies = body::read_all(&module, bodies)?;
    Ok(module)
}
fn invalid(place: Place, error: &wasmparser::Error) -> Error {
    Error::Invalid {
        message: error.message().to_owned(),
        place: place.at(error.offset()),
    }
}

fn unsupported(feature: &str, place: Place) -> Error {
    Error::Unsupported {
        feature: feature.to_owned(),
        place,
    }
}

fn exceeded(what: &str, most: u64, place: Place) -> Error {
    Error::LimitExceeded {
        message: format!("{what}; the most is {most}"),
        place,
    }
}
