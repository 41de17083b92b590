//! Fields that an annotation names, and setting them from text.

use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, MessageDescriptor, Value};

use super::{TranscodeError, Violation, scalar, well_known};

/// Deeper is a mistake in a template, and an attack in a query: recursive messages
/// would let one parameter build thousands of levels.
const MAX_FIELD_PATH: usize = 16;

/// Why an annotation does not fit its method's messages.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BindingError {
    #[error("{message} has no field `{path}`")]
    NoSuchField { message: String, path: String },
    #[error("the field `{path}` of {message} cannot stand in a path")]
    NotText { message: String, path: String },
    #[error("two variables set the field `{path}`")]
    BoundTwice { path: String },
}

/// A field within messages within the request, none of them repeated but the last.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct FieldPath(Vec<FieldDescriptor>);

/// Why a dotted name is not a field path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BadFieldPath {
    Unknown,
    NotText,
}

impl FieldPath {
    /// Each name may be the proto or the JSON one.
    pub(super) fn parse(message: &MessageDescriptor, text: &str) -> Result<Self, BadFieldPath> {
        let mut fields: Vec<FieldDescriptor> = Vec::new();
        let mut next = Some(message.clone());
        for name in text.split('.') {
            let message = next.filter(|_| fields.len() < MAX_FIELD_PATH);
            let field = message
                .and_then(|message| field_named(&message, name))
                .ok_or(BadFieldPath::Unknown)?;
            next = sub_message(&field);
            fields.push(field);
        }
        let last = fields.last().ok_or(BadFieldPath::Unknown)?;
        if last.is_map() || !has_text_form(&last.kind()) {
            return Err(BadFieldPath::NotText);
        }
        Ok(Self(fields))
    }

    pub(super) fn fields(&self) -> &[FieldDescriptor] {
        &self.0
    }

    pub(super) fn last(&self) -> &FieldDescriptor {
        self.0.last().expect("parse lets no empty path through")
    }

    /// The proto names with dots.
    pub(super) fn name(&self) -> String {
        self.0
            .iter()
            .map(FieldDescriptor::name)
            .collect::<Vec<_>>()
            .join(".")
    }

    /// The message that has the last field, made where it is missing. A second member
    /// of a oneof on the way is refused: setting it would silently unset the first.
    pub(super) fn parent<'a>(
        &self,
        message: &'a mut DynamicMessage,
    ) -> Result<&'a mut DynamicMessage, String> {
        let mut parent = message;
        for (index, field) in self.0.iter().enumerate() {
            if let Some(other) = set_sibling(parent, field) {
                return Err(format!("cannot be set together with {other}"));
            }
            if index + 1 == self.0.len() {
                break;
            }
            let Value::Message(child) = parent.get_field_mut(field) else {
                unreachable!("parse lets only messages stand before the last field")
            };
            parent = child;
        }
        Ok(parent)
    }
}

/// A member of the field's oneof that is already set.
pub(super) fn set_sibling(message: &DynamicMessage, field: &FieldDescriptor) -> Option<String> {
    let mut siblings = field
        .containing_oneof()?
        .fields()
        .collect::<Vec<_>>()
        .into_iter();
    siblings
        .find(|other| other != field && message.has_field(other))
        .map(|other| other.name().to_owned())
}

/// By proto name or JSON name.
pub(super) fn field_named(message: &MessageDescriptor, name: &str) -> Option<FieldDescriptor> {
    message
        .get_field_by_name(name)
        .or_else(|| message.get_field_by_json_name(name))
}

fn sub_message(field: &FieldDescriptor) -> Option<MessageDescriptor> {
    match field.kind() {
        Kind::Message(message)
            if !field.is_list() && !field.is_map() && !well_known::is_special(&message) =>
        {
            Some(message)
        }
        _ => None,
    }
}

fn has_text_form(kind: &Kind) -> bool {
    match kind {
        Kind::Message(message) => well_known::has_text_form(message),
        _ => true,
    }
}

/// The value of a field's kind that a text says.
pub(super) fn value_from_text(kind: &Kind, text: &str) -> Result<Value, &'static str> {
    match kind {
        Kind::Message(message) => well_known::from_text(message, text).map(Value::Message),
        kind => scalar::from_text(kind, text),
    }
}

/// A field that `body` or `response_body` names.
pub(super) fn top_level(
    message: &MessageDescriptor,
    name: &str,
) -> Result<FieldDescriptor, BindingError> {
    message
        .get_field_by_name(name)
        .ok_or_else(|| no_such_field(message, name))
}

/// The fields that a path's variables name.
pub(super) fn variables<'a>(
    message: &MessageDescriptor,
    names: impl Iterator<Item = &'a str>,
) -> Result<Vec<FieldPath>, BindingError> {
    let mut paths: Vec<FieldPath> = Vec::new();
    for name in names {
        let path = FieldPath::parse(message, name).map_err(|bad| match bad {
            BadFieldPath::Unknown => no_such_field(message, name),
            BadFieldPath::NotText => not_text(message, name),
        })?;
        if path.last().is_list() {
            return Err(not_text(message, name));
        }
        if paths.contains(&path) {
            return Err(BindingError::BoundTwice {
                path: name.to_owned(),
            });
        }
        paths.push(path);
    }
    Ok(paths)
}

fn no_such_field(message: &MessageDescriptor, path: &str) -> BindingError {
    BindingError::NoSuchField {
        message: message.full_name().to_owned(),
        path: path.to_owned(),
    }
}

fn not_text(message: &MessageDescriptor, path: &str) -> BindingError {
    BindingError::NotText {
        message: message.full_name().to_owned(),
        path: path.to_owned(),
    }
}

/// Sets a path's variable. The body may repeat the value but not contradict it.
pub(super) fn set_variable(
    message: &mut DynamicMessage,
    path: &FieldPath,
    text: &str,
) -> Result<(), TranscodeError> {
    let refuse = |why: String| TranscodeError::Path(Violation::new(path.name(), why));
    let field = path.last();
    let value = value_from_text(&field.kind(), text).map_err(|why| refuse(why.to_owned()))?;
    let parent = path.parent(message).map_err(refuse)?;
    if parent.has_field(field) && *parent.get_field(field) != value {
        return Err(refuse(
            "is not the same in the path and in the body".to_owned(),
        ));
    }
    parent.set_field(field, value);
    Ok(())
}
