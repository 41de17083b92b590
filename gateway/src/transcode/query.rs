//! Query parameters to fields.

use std::{borrow::Cow, collections::HashSet};

use percent_encoding::percent_decode;
use prost_reflect::{DynamicMessage, FieldDescriptor, ReflectMessage, Value};

use super::{
    TranscodeError, Violation,
    bind::{self, BadFieldPath, FieldPath},
};

/// Sets what the query says. `is_bound` knows the fields that are said elsewhere.
pub(super) fn read(
    message: &mut DynamicMessage,
    query: &str,
    is_bound: impl Fn(&[FieldDescriptor]) -> bool,
) -> Result<(), TranscodeError> {
    let mut seen = HashSet::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, text) = pair.split_once('=').unwrap_or((pair, ""));
        let refuse = |name: &str, why: &str| TranscodeError::Query(Violation::new(name, why));
        let name = decode(name).ok_or_else(|| refuse(name, "is not valid text"))?;
        let text = decode(text).ok_or_else(|| refuse(&name, "is not valid text"))?;
        let path = FieldPath::parse(&message.descriptor(), &name).map_err(|bad| match bad {
            BadFieldPath::Unknown => refuse(&name, "is not a known parameter"),
            BadFieldPath::NotText => refuse(&name, "cannot be set by the query"),
        })?;
        if is_bound(path.fields()) {
            return Err(refuse(&name, "is set by the path or the body"));
        }
        let is_list = path.last().is_list();
        let numbers: Vec<u32> = path.fields().iter().map(FieldDescriptor::number).collect();
        if !seen.insert(numbers) && !is_list {
            return Err(refuse(&name, "stands more than once"));
        }
        set(message, &path, &text).map_err(|why| refuse(&name, &why))?;
    }
    Ok(())
}

fn set(message: &mut DynamicMessage, path: &FieldPath, text: &str) -> Result<(), String> {
    let field = path.last();
    let value = bind::value_from_text(&field.kind(), text)?;
    let parent = path.parent(message)?;
    if !field.is_list() {
        parent.set_field(field, value);
        return Ok(());
    }
    let Value::List(list) = parent.get_field_mut(field) else {
        unreachable!("a repeated field that is not a map holds a list")
    };
    list.push(value);
    Ok(())
}

/// `application/x-www-form-urlencoded`, but strictly: a lone `%` is an error, and so
/// are bytes that are not UTF-8.
fn decode(text: &str) -> Option<Cow<'_, str>> {
    if !text.contains(['%', '+']) {
        return Some(Cow::Borrowed(text));
    }
    let bytes = text.as_bytes();
    let is_encoded = |at: usize| {
        bytes
            .get(at + 1..at + 3)
            .is_some_and(|hex| hex.iter().all(u8::is_ascii_hexdigit))
    };
    let mut percents = (0..bytes.len()).filter(|&at| bytes[at] == b'%');
    if !percents.all(is_encoded) {
        return None;
    }
    let spaced = text.replace('+', " ");
    let decoded = percent_decode(spaced.as_bytes()).decode_utf8().ok()?;
    Some(Cow::Owned(decoded.into_owned()))
}
