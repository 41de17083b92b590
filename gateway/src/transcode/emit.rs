//! A message to JSON, written straight into the response's buffer.
//!
//! Fields without presence are written even when they have their default; what has
//! presence and is not set is left out. Recursion is as deep as the message, and
//! decoding stopped at 100.

use std::{collections::HashMap, io::Write};

use base64::{display::Base64Display, engine::general_purpose::STANDARD};
use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, MapKey, ReflectMessage, Value};

use super::{
    ResponseError,
    well_known::{
        MAX_DURATION_SECONDS, MAX_TIMESTAMP_SECONDS, MIN_TIMESTAMP_SECONDS, WellKnown, value_field,
    },
};

type Emitted = Result<(), ResponseError>;

/// An `Any` may hold an `Any`, and decoding each may go 100 levels deep again.
const MAX_ANY: u32 = 3;

/// Writes a message.
pub(super) fn message(out: &mut Vec<u8>, message: &DynamicMessage) -> Emitted {
    Writer { out, anys: 0 }.message(message)
}

/// Writes one field of a message as if it were all. A message that is not set is an
/// empty one, or null where empty has no meaning.
pub(super) fn field(
    out: &mut Vec<u8>,
    message: &DynamicMessage,
    field: &FieldDescriptor,
) -> Emitted {
    let kind = field.kind();
    let is_special = kind
        .as_message()
        .is_some_and(|message| WellKnown::of(message).is_some());
    let is_absent = field.supports_presence() && !message.has_field(field);
    if is_absent && (is_special || field.containing_oneof().is_some()) {
        out.extend_from_slice(b"null");
        return Ok(());
    }
    Writer { out, anys: 0 }.value(&message.get_field(field), &kind)
}

struct Writer<'a> {
    out: &'a mut Vec<u8>,
    anys: u32,
}

impl Writer<'_> {
    fn message(&mut self, message: &DynamicMessage) -> Emitted {
        match WellKnown::of(&message.descriptor()) {
            Some(well_known) => self.well_known(well_known, message),
            None => {
                self.raw(b"{");
                self.members(message, true)?;
                self.raw(b"}");
                Ok(())
            }
        }
    }

    fn members(&mut self, message: &DynamicMessage, mut is_first: bool) -> Emitted {
        for field in message.descriptor().fields() {
            if field.supports_presence() && !message.has_field(&field) {
                continue;
            }
            if !is_first {
                self.raw(b",");
            }
            is_first = false;
            self.string(field.name());
            self.raw(b":");
            self.value(&message.get_field(&field), &field.kind())?;
        }
        Ok(())
    }

    fn value(&mut self, value: &Value, kind: &Kind) -> Emitted {
        match value {
            Value::Bool(value) => self.display(value),
            Value::I32(value) => self.display(value),
            Value::U32(value) => self.display(value),
            Value::I64(value) => self.quoted(value),
            Value::U64(value) => self.quoted(value),
            Value::F32(value) if value.is_finite() => self.json(value),
            Value::F32(value) => self.not_finite(f64::from(*value)),
            Value::F64(value) if value.is_finite() => self.json(value),
            Value::F64(value) => self.not_finite(*value),
            Value::String(value) => self.string(value),
            Value::Bytes(value) => self.quoted(&Base64Display::new(value, &STANDARD)),
            Value::EnumNumber(number) => self.enum_value(*number, kind),
            Value::Message(message) => self.message(message)?,
            Value::List(list) => self.list(list, kind)?,
            Value::Map(map) => self.map(map, kind)?,
        }
        Ok(())
    }

    fn list(&mut self, list: &[Value], kind: &Kind) -> Emitted {
        self.raw(b"[");
        for (index, value) in list.iter().enumerate() {
            if index > 0 {
                self.raw(b",");
            }
            self.value(value, kind)?;
        }
        self.raw(b"]");
        Ok(())
    }

    /// In the order of the keys, so that equal messages have equal JSON.
    fn map(&mut self, map: &HashMap<MapKey, Value>, kind: &Kind) -> Emitted {
        let value_kind = kind
            .as_message()
            .map(|entry| entry.map_entry_value_field().kind());
        let value_kind = value_kind.as_ref().unwrap_or(kind);
        let mut entries: Vec<_> = map.iter().collect();
        entries.sort_unstable_by_key(|(key, _)| *key);
        self.raw(b"{");
        for (index, (key, value)) in entries.into_iter().enumerate() {
            if index > 0 {
                self.raw(b",");
            }
            match key {
                MapKey::Bool(key) => self.quoted(key),
                MapKey::I32(key) => self.quoted(key),
                MapKey::I64(key) => self.quoted(key),
                MapKey::U32(key) => self.quoted(key),
                MapKey::U64(key) => self.quoted(key),
                MapKey::String(key) => self.string(key),
            }
            self.raw(b":");
            self.value(value, value_kind)?;
        }
        self.raw(b"}");
        Ok(())
    }

    fn enum_value(&mut self, number: i32, kind: &Kind) {
        let Some(kind) = kind.as_enum() else {
            return self.display(&number);
        };
        if kind.full_name() == "google.protobuf.NullValue" {
            return self.raw(b"null");
        }
        match kind.get_value(number) {
            Some(value) => self.string(value.name()),
            None => self.display(&number),
        }
    }

    fn well_known(&mut self, well_known: WellKnown, message: &DynamicMessage) -> Emitted {
        match well_known {
            WellKnown::Any => self.any(message),
            WellKnown::Duration => self.duration(message),
            WellKnown::FieldMask => self.field_mask(message),
            WellKnown::List | WellKnown::Struct | WellKnown::Wrapper => self.first_field(message),
            WellKnown::Timestamp => self.timestamp(message),
            WellKnown::Value => self.json_value(message),
        }
    }

    /// What has one field is written as that.
    fn first_field(&mut self, message: &DynamicMessage) -> Emitted {
        let no_form = || ResponseError::NoJsonForm {
            what: "broken type",
        };
        let field = message.descriptor().get_field(1).ok_or_else(no_form)?;
        self.value(&message.get_field(&field), &field.kind())
    }

    fn timestamp(&mut self, message: &DynamicMessage) -> Emitted {
        let no_form = || ResponseError::NoJsonForm { what: "timestamp" };
        let (seconds, nanos) = seconds_and_nanos(message).ok_or_else(no_form)?;
        let in_range = (MIN_TIMESTAMP_SECONDS..=MAX_TIMESTAMP_SECONDS).contains(&seconds);
        if !in_range || !(0..1_000_000_000).contains(&nanos) {
            return Err(no_form());
        }
        self.quoted(&prost_types::Timestamp { seconds, nanos });
        Ok(())
    }

    fn duration(&mut self, message: &DynamicMessage) -> Emitted {
        let no_form = || ResponseError::NoJsonForm { what: "duration" };
        let (seconds, nanos) = seconds_and_nanos(message).ok_or_else(no_form)?;
        let one_sign = seconds == 0 || nanos == 0 || (seconds < 0) == (nanos < 0);
        let in_range = seconds.unsigned_abs() <= MAX_DURATION_SECONDS.unsigned_abs();
        if !one_sign || !in_range || nanos.unsigned_abs() >= 1_000_000_000 {
            return Err(no_form());
        }
        self.quoted(&prost_types::Duration { seconds, nanos });
        Ok(())
    }

    /// Only what comes back the same from a reader is written.
    fn field_mask(&mut self, message: &DynamicMessage) -> Emitted {
        let no_form = || ResponseError::NoJsonForm { what: "field mask" };
        let paths = message.get_field_by_number(1).ok_or_else(no_form)?;
        let mut text = String::new();
        for path in paths.as_list().unwrap_or_default() {
            let path = path.as_str().ok_or_else(no_form)?;
            if !text.is_empty() {
                text.push(',');
            }
            camel_case(&mut text, path).ok_or_else(no_form)?;
        }
        self.string(&text);
        Ok(())
    }

    fn json_value(&mut self, message: &DynamicMessage) -> Emitted {
        let set = message.fields().next();
        match set {
            Some((field, Value::F64(number))) if field.number() == value_field::NUMBER => {
                if !number.is_finite() {
                    return Err(ResponseError::NoJsonForm { what: "number" });
                }
                self.json(number);
                Ok(())
            }
            Some((field, value)) => self.value(value, &field.kind()),
            None => {
                self.raw(b"null");
                Ok(())
            }
        }
    }

    fn any(&mut self, message: &DynamicMessage) -> Emitted {
        let no_form = || ResponseError::NoJsonForm {
            what: "value of unknown type",
        };
        let any: prost_types::Any = message.transcode_to()?;
        if any == prost_types::Any::default() {
            self.raw(b"{}");
            return Ok(());
        }
        let name = any.type_url.rsplit_once('/').map(|(_, name)| name);
        let content = name
            .and_then(|name| message.descriptor().parent_pool().get_message_by_name(name))
            .filter(|_| self.anys < MAX_ANY)
            .ok_or_else(no_form)?;
        let content = DynamicMessage::decode(content, &*any.value)?;
        self.anys += 1;
        self.raw(b"{\"@type\":");
        self.string(&any.type_url);
        match WellKnown::of(&content.descriptor()) {
            Some(well_known) => {
                self.raw(b",\"value\":");
                self.well_known(well_known, &content)?;
            }
            None => self.members(&content, false)?,
        }
        self.raw(b"}");
        self.anys -= 1;
        Ok(())
    }

    fn not_finite(&mut self, number: f64) {
        self.raw(match number {
            f64::INFINITY => b"\"Infinity\"",
            f64::NEG_INFINITY => b"\"-Infinity\"",
            _ => b"\"NaN\"",
        });
    }

    fn string(&mut self, text: &str) {
        self.json(text);
    }

    fn json<T: serde::Serialize + ?Sized>(&mut self, value: &T) {
        serde_json::to_writer(&mut *self.out, value)
            .expect("strings and finite numbers have JSON, and memory takes it");
    }

    /// For what prints as JSON of itself.
    fn display(&mut self, value: &impl std::fmt::Display) {
        write!(self.out, "{value}").expect("memory takes it");
    }

    /// For what prints without a character that JSON escapes.
    fn quoted(&mut self, value: &impl std::fmt::Display) {
        write!(self.out, "\"{value}\"").expect("memory takes it");
    }

    fn raw(&mut self, bytes: &[u8]) {
        self.out.extend_from_slice(bytes);
    }
}

fn seconds_and_nanos(message: &DynamicMessage) -> Option<(i64, i32)> {
    let seconds = message.get_field_by_number(1)?.as_i64()?;
    let nanos = message.get_field_by_number(2)?.as_i32()?;
    Some((seconds, nanos))
}

fn camel_case(out: &mut String, path: &str) -> Option<()> {
    let mut after_underscore = false;
    for character in path.chars() {
        match character {
            'A'..='Z' => return None,
            '_' if !after_underscore => after_underscore = true,
            'a'..='z' if after_underscore => {
                out.push(character.to_ascii_uppercase());
                after_underscore = false;
            }
            // Not to be told from the same path without its underscore.
            _ if after_underscore => return None,
            other => out.push(other),
        }
    }
    (!after_underscore).then_some(())
}
