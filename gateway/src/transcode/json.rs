//! A JSON body to a message, in one pass and strictly.
//!
//! prost-reflect has a reader of its own. This one exists because that one lets the
//! last of two members of the same name win, rounds numbers that are just outside a
//! type's range into it, has no bound on depth and cannot say which field was wrong.

mod any;
mod visit;

use std::cell::{Cell, RefCell};

use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, Value};
use serde::de::DeserializeSeed;
use serde_json::error::Category;

use super::{TranscodeError, Violation, well_known};
use visit::{FieldSeed, MessageSeed};

/// How deep a body may be nested, counted as the message is: receivers stop at 100,
/// and the levels that a path adds have to fit too.
const MAX_DEPTH: u32 = 64;

/// Reads an object into a message.
pub(super) fn read_message(
    body: &[u8],
    message: &mut DynamicMessage,
) -> Result<(), TranscodeError> {
    let context = Context::default();
    let seed = MessageSeed {
        context: &context,
        message,
        depth: 0,
        mask: None,
    };
    context.read(body, seed)
}

/// Reads the value of a field. Nothing is null, which leaves the field unset.
pub(super) fn read_field(
    body: &[u8],
    field: &FieldDescriptor,
) -> Result<Option<Value>, TranscodeError> {
    let context = Context::default();
    let seed = FieldSeed {
        context: &context,
        field,
        depth: 1,
        mask: None,
    };
    context.read(body, seed)
}

/// Reads the value of a message field, and which of its fields the body has: dotted
/// paths of proto names, down to what is not a message, or is an empty one.
pub(super) fn read_resource(
    body: &[u8],
    field: &FieldDescriptor,
) -> Result<(Option<Value>, Vec<String>), TranscodeError> {
    let context = Context::default();
    let paths = RefCell::default();
    let mask = Some(Mask {
        prefix: String::new(),
        paths: &paths,
    });
    let value = context.read(
        body,
        FieldSeed {
            context: &context,
            field,
            depth: 1,
            mask,
        },
    )?;
    Ok((value, paths.into_inner()))
}

/// Whether the field is one message whose fields are JSON members.
pub(super) fn is_plain_message(field: &FieldDescriptor) -> bool {
    let is_message =
        |kind| matches!(kind, Kind::Message(message) if !well_known::is_special(&message));
    !field.is_list() && !field.is_map() && is_message(field.kind())
}

/// Where the paths of a field mask are gathered.
#[derive(Clone)]
struct Mask<'a> {
    prefix: String,
    paths: &'a RefCell<Vec<String>>,
}

impl Mask<'_> {
    fn below(&self, name: &str) -> Self {
        let dot = if self.prefix.is_empty() { "" } else { "." };
        Self {
            prefix: format!("{}{dot}{name}", self.prefix),
            paths: self.paths,
        }
    }
}

/// What is known of an error besides serde's own, which has neither a path nor words
/// that are fit for a client. It costs nothing as long as there is none.
#[derive(Default)]
struct Context {
    /// From the inside out: every level adds its name as the error passes.
    trail: RefCell<Vec<String>>,
    why: Cell<Option<&'static str>>,
    expected: Cell<&'static str>,
}

impl Context {
    fn read<'de, S: DeserializeSeed<'de>>(
        &self,
        body: &'de [u8],
        seed: S,
    ) -> Result<S::Value, TranscodeError> {
        let mut json = serde_json::Deserializer::from_slice(body);
        let value = seed.deserialize(&mut json);
        value
            .and_then(|value| json.end().map(|()| value))
            .map_err(|error| self.error(&error))
    }

    fn error(&self, error: &serde_json::Error) -> TranscodeError {
        let why = match error.classify() {
            Category::Data => self.why.get().unwrap_or(self.expected.get()),
            // Too large for any double: a fault of the value, not of the form.
            _ if error.to_string().starts_with("number out of range") => "is out of range",
            _ => {
                return TranscodeError::BodyMalformed {
                    line: error.line(),
                    column: error.column(),
                };
            }
        };
        TranscodeError::Body(Violation::new(self.path(), why))
    }

    fn path(&self) -> String {
        let mut path = String::new();
        for name in self.trail.borrow().iter().rev() {
            if !path.is_empty() && !name.starts_with('[') {
                path.push('.');
            }
            path.push_str(name);
        }
        path
    }

    /// Ends the reading: this is what is wrong here.
    fn refuse<E: serde::de::Error>(&self, why: &'static str) -> E {
        self.why.set(Some(why));
        E::custom(why)
    }

    fn at(&self, name: impl Into<String>) {
        self.trail.borrow_mut().push(name.into());
    }

    fn deeper<E: serde::de::Error>(&self, depth: u32, by: u32) -> Result<u32, E> {
        match depth + by {
            depth if depth <= MAX_DEPTH => Ok(depth),
            _ => Err(self.refuse("is nested too deeply")),
        }
    }
}
