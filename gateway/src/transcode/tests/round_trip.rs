//! Random messages there and back, with prost-reflect's own JSON as the second opinion.

use std::collections::HashMap;

use proptest::prelude::*;
use prost_reflect::{EnumDescriptor, FieldDescriptor, MapKey, ReflectMessage, SerializeOptions};

use super::*;
use crate::transcode::well_known::WellKnown;

/// Takes decisions from random bytes, so that a failure shrinks with them.
struct Choices<'a>(&'a [u8]);

impl Choices<'_> {
    fn byte(&mut self) -> u8 {
        let Some((&first, rest)) = self.0.split_first() else {
            return 0;
        };
        self.0 = rest;
        first
    }

    fn below(&mut self, limit: u8) -> u8 {
        self.byte() % limit
    }

    fn word(&mut self) -> u64 {
        let random = (0..8).fold(0, |word, _| word << 8 | u64::from(self.byte()));
        match self.below(4) {
            0 => [
                0,
                1,
                u64::MAX,
                1 << 63,
                (1 << 63) - 1,
                1 << 31,
                (1 << 32) - 1,
                1 << 53,
            ][usize::from(self.below(8))],
            1 => u64::from(self.byte()),
            _ => random,
        }
    }

    fn text(&mut self) -> String {
        const PIECES: [&str; 12] = [
            "a", "Z9", "é", "😀", "\"", "\\", "\n", "\0", "\u{2028}", "/", "_", " ",
        ];
        (0..self.below(6))
            .map(|_| PIECES[usize::from(self.below(12))])
            .collect()
    }

    fn float(&mut self) -> f64 {
        match self.below(6) {
            0 => f64::INFINITY,
            1 => f64::NEG_INFINITY,
            2 => -0.0,
            _ => Some(f64::from_bits(self.word()))
                .filter(|f| !f.is_nan())
                .unwrap_or(0.5),
        }
    }

    fn enum_number(&mut self, kind: &EnumDescriptor) -> i32 {
        let values: Vec<i32> = kind.values().map(|value| value.number()).collect();
        match values.get(usize::from(self.below(8))) {
            Some(&number) => number,
            None if kind.full_name() == "google.protobuf.NullValue" => 0,
            None => self.word() as i32,
        }
    }

    fn value(&mut self, kind: &Kind, depth: u8) -> Value {
        match kind {
            Kind::Double => Value::F64(self.float()),
            Kind::Float => Value::F32(self.float() as f32),
            Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => Value::I32(self.word() as i32),
            Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => Value::I64(self.word() as i64),
            Kind::Uint32 | Kind::Fixed32 => Value::U32(self.word() as u32),
            Kind::Uint64 | Kind::Fixed64 => Value::U64(self.word()),
            Kind::Bool => Value::Bool(self.below(2) == 1),
            Kind::String => Value::String(self.text()),
            Kind::Bytes => Value::Bytes((0..self.below(9)).map(|_| self.byte()).collect()),
            Kind::Enum(kind) => Value::EnumNumber(self.enum_number(kind)),
            Kind::Message(message) => Value::Message(self.message(message, depth)),
        }
    }

    fn key(&mut self, kind: &Kind) -> MapKey {
        match self.value(kind, 0) {
            Value::Bool(key) => MapKey::Bool(key),
            Value::I32(key) => MapKey::I32(key),
            Value::I64(key) => MapKey::I64(key),
            Value::U32(key) => MapKey::U32(key),
            Value::U64(key) => MapKey::U64(key),
            Value::String(key) => MapKey::String(key),
            other => unreachable!("{other:?} is not a key"),
        }
    }

    fn field(&mut self, field: &FieldDescriptor, depth: u8) -> Value {
        let kind = field.kind();
        if field.is_map() {
            let entry = kind.as_message().unwrap();
            let (key, value) = (entry.map_entry_key_field(), entry.map_entry_value_field());
            let mut map = HashMap::new();
            for _ in 0..self.below(4) {
                map.insert(self.key(&key.kind()), self.value(&value.kind(), depth));
            }
            Value::Map(map)
        } else if field.is_list() {
            Value::List(
                (0..self.below(4))
                    .map(|_| self.value(&kind, depth))
                    .collect(),
            )
        } else {
            self.value(&kind, depth)
        }
    }

    fn message(&mut self, kind: &MessageDescriptor, depth: u8) -> DynamicMessage {
        let mut message = DynamicMessage::new(kind.clone());
        match WellKnown::of(kind) {
            Some(WellKnown::Timestamp) => {
                let span = 253_402_300_799 + 62_135_596_800;
                let seconds = (self.word() % span) as i64 - 62_135_596_800;
                message.set_field_by_number(1, Value::I64(seconds));
                message.set_field_by_number(2, Value::I32((self.word() % 1_000_000_000) as i32));
            }
            Some(WellKnown::Duration) => {
                let sign = if self.below(2) == 0 { 1 } else { -1 };
                let seconds = (self.word() % 315_576_000_000) as i64;
                let nanos = (self.word() % 1_000_000_000) as i32;
                message.set_field_by_number(1, Value::I64(i64::from(sign) * seconds));
                message.set_field_by_number(2, Value::I32(sign * nanos));
            }
            Some(WellKnown::FieldMask) => {
                let paths = ["a", "b_c", "d.e_f"].map(|path| Value::String(path.to_owned()));
                let count = usize::from(self.below(4));
                message.set_field_by_number(1, Value::List(paths[..count].to_vec()));
            }
            Some(WellKnown::Value) => self.json_value(&mut message, depth),
            Some(WellKnown::Any) => self.any(&mut message, depth),
            _ => self.fields(&mut message, depth),
        }
        message
    }

    fn fields(&mut self, message: &mut DynamicMessage, depth: u8) {
        for field in message.descriptor().fields() {
            let is_message = matches!(field.kind(), Kind::Message(_));
            if self.below(3) == 0 || (is_message && depth == 0) {
                continue;
            }
            if field.containing_oneof().is_some_and(|oneof| {
                oneof
                    .fields()
                    .any(|other| other != field && message.has_field(&other))
            }) {
                continue;
            }
            let value = self.field(&field, depth.saturating_sub(1));
            message.set_field(&field, value);
        }
    }

    fn json_value(&mut self, message: &mut DynamicMessage, depth: u8) {
        let number = 1 + u32::from(self.below(if depth == 0 { 4 } else { 6 }));
        let field = message.descriptor().get_field(number).unwrap();
        let value = match self.field(&field, depth.saturating_sub(1)) {
            Value::F64(number) if !number.is_finite() => Value::F64(1.5),
            value => value,
        };
        message.set_field(&field, value);
    }

    /// Without maps: the order of their entries would make equal contents unequal bytes.
    fn any(&mut self, message: &mut DynamicMessage, depth: u8) {
        let name = [
            "kinds.v1.Scalars",
            "google.protobuf.Duration",
            "kinds.v1.Lists",
        ][usize::from(self.below(3))];
        let kind = message
            .descriptor()
            .parent_pool()
            .get_message_by_name(name)
            .unwrap();
        let content = self.message(&kind, depth.saturating_sub(1));
        message.set_field_by_number(1, Value::String(format!("type.example/{name}")));
        message.set_field_by_number(2, Value::Bytes(content.encode_to_vec().into()));
    }
}

fn by_prost_reflect(message: &DynamicMessage) -> serde_json::Value {
    let options = SerializeOptions::new()
        .use_proto_field_name(true)
        .skip_default_fields(false);
    let mut text = Vec::new();
    let mut serializer = serde_json::Serializer::new(&mut text);
    message
        .serialize_with_options(&mut serializer, &options)
        .unwrap();
    serde_json::from_slice(&text).unwrap()
}

/// prost-reflect has null where a wrapper is not finite; the mapping has a string.
fn without_infinite_wrappers(message: &mut DynamicMessage) {
    for (_, value) in message.fields_mut() {
        let messages: Vec<&mut DynamicMessage> = match value {
            Value::Message(message) => vec![message],
            Value::List(list) => list.iter_mut().filter_map(Value::as_message_mut).collect(),
            Value::Map(map) => map.values_mut().filter_map(Value::as_message_mut).collect(),
            _ => continue,
        };
        for message in messages {
            let is_wrapper = WellKnown::of(&message.descriptor()) == Some(WellKnown::Wrapper);
            match message
                .get_field_by_number(1)
                .map(|value| value.into_owned())
            {
                Some(Value::F64(f)) if is_wrapper && !f.is_finite() => {
                    message.clear_field_by_number(1)
                }
                Some(Value::F32(f)) if is_wrapper && !f.is_finite() => {
                    message.clear_field_by_number(1)
                }
                _ => without_infinite_wrappers(message),
            }
        }
    }
}

/// What was set to its default is not set on the other side.
fn over_the_wire(message: &DynamicMessage) -> DynamicMessage {
    DynamicMessage::decode(message.descriptor(), &*message.encode_to_vec()).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn message_to_json_to_message(bytes in prop::collection::vec(any::<u8>(), 0..2048)) {
        let transcoding = whole_body("Everything");
        let message = Choices(&bytes).message(&transcoding.input, 4);
        let json = transcoding.response(message.encode_to_vec().into()).unwrap();
        let back = transcoding.request(&[], None, &json).unwrap();
        let back = DynamicMessage::decode(transcoding.input.clone(), back).unwrap();
        // Not `prop_assert_eq`: to print a recursive message is to overflow the stack.
        prop_assert!(back == over_the_wire(&message), "{}", String::from_utf8_lossy(&json));
        prop_assert_eq!(transcoding.response(back.encode_to_vec().into()).unwrap(), json);
    }

    #[test]
    fn another_implementation_agrees(bytes in prop::collection::vec(any::<u8>(), 0..2048)) {
        let transcoding = whole_body("Everything");
        let mut message = Choices(&bytes).message(&transcoding.input, 4);
        without_infinite_wrappers(&mut message);
        let json = transcoding.response(message.encode_to_vec().into()).unwrap();
        let parsed: serde_json::Value = serde_json::from_slice(&json).unwrap();
        prop_assert_eq!(&parsed, &by_prost_reflect(&message));
        let mut reader = serde_json::Deserializer::from_slice(&json);
        let theirs = DynamicMessage::deserialize(transcoding.input.clone(), &mut reader).unwrap();
        let ours = transcoding.request(&[], None, &json).unwrap();
        let ours = DynamicMessage::decode(transcoding.input.clone(), ours).unwrap();
        prop_assert!(ours == over_the_wire(&theirs), "{}", String::from_utf8_lossy(&json));
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..256)) {
        let transcoding = whole_body("Everything");
        let _ = transcoding.request(&[], None, &bytes);
        let _ = transcoding.response(bytes.into());
    }

    #[test]
    fn no_json_makes_it_panic(json in json_text()) {
        let _ = whole_body("Everything").request(&[], None, json.as_bytes());
        let _ = whole_body("WellKnown").request(&[], None, json.as_bytes());
        let _ = whole_body("Scalars").request(&[], None, json.as_bytes());
    }

    #[test]
    fn no_query_makes_it_panic(query in "[a-z_.=&%+0-9é\\[\\]]{0,80}") {
        let _ = transcoding("ListBooks", "GET", "", &[]).request(&[], Some(&query), b"");
    }
}

/// JSON-like text around the names that the messages have.
fn json_text() -> impl Strategy<Value = String> {
    let names = prop::sample::select(vec![
        "scalars",
        "lists",
        "maps",
        "oneof",
        "wrappers",
        "well_known",
        "inner",
        "more",
        "an_int32",
        "a_bool",
        "time",
        "duration",
        "mask",
        "struct",
        "value",
        "list",
        "any",
        "@type",
        "empty",
        "strings",
        "int32s",
        "messages",
        "text",
        "number",
    ]);
    let leaf = prop_oneof![
        Just("null".to_owned()),
        Just("true".to_owned()),
        any::<i64>().prop_map(|number| number.to_string()),
        any::<f64>().prop_map(|number| format!("{number:e}")),
        "[ -~é]{0,12}".prop_map(|text| serde_json::Value::from(text).to_string()),
        Just("\"type.example/kinds.v1.Scalars\"".to_owned()),
    ];
    leaf.prop_recursive(6, 64, 6, move |inner| {
        let members = prop::collection::vec((names.clone(), inner.clone()), 0..6);
        prop_oneof![
            prop::collection::vec(inner, 0..6).prop_map(|list| format!("[{}]", list.join(","))),
            members.prop_map(|members| {
                let members: Vec<String> = members
                    .iter()
                    .map(|(name, value)| format!("\"{name}\":{value}"))
                    .collect();
                format!("{{{}}}", members.join(","))
            }),
        ]
    })
}
