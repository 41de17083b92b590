//! `google.protobuf.Any`: the only value whose type stands within it, perhaps at its
//! end. So it is the only one that is read into a tree first.

use std::fmt;

use prost::Message;
use prost_reflect::{DynamicMessage, Kind, MessageDescriptor, Value};
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value as Json};

use super::{Context, visit::KindSeed};
use crate::transcode::well_known;

pub(super) fn read<'de, A: MapAccess<'de>>(
    context: &Context,
    message: &MessageDescriptor,
    depth: u32,
    members: A,
) -> Result<Value, A::Error> {
    let Json::Object(mut members) = TreeSeed { context, depth }.visit_map(members)? else {
        return Err(context.refuse("must be an object with `@type`"));
    };
    let Some(Json::String(type_url)) = members.remove("@type") else {
        return Err(context.refuse("must have a `@type`"));
    };
    let content = type_url
        .rsplit_once('/')
        .and_then(|(_, name)| message.parent_pool().get_message_by_name(name))
        .ok_or_else(|| context.refuse("has a `@type` that is not known"))?;
    let content = content_message(context, content, depth, members)?;
    let fields = [
        Value::String(type_url),
        Value::Bytes(content.encode_to_vec().into()),
    ];
    Ok(Value::Message(well_known::with_fields(message, fields)))
}

/// What has a JSON form of its own stands in `value`, everything else beside `@type`.
fn content_message<E: Error>(
    context: &Context,
    content: MessageDescriptor,
    depth: u32,
    mut members: Map<String, Json>,
) -> Result<DynamicMessage, E> {
    let json = if well_known::is_special(&content) {
        let value = members
            .remove("value")
            .ok_or_else(|| context.refuse("must have a `value`"))?;
        if !members.is_empty() {
            return Err(context.refuse("must have nothing but `@type` and `value`"));
        }
        value
    } else {
        Json::Object(members)
    };
    let depth = context.deeper(depth, 1)?;
    let kind = Kind::Message(content);
    let value = KindSeed {
        context,
        kind: &kind,
        depth,
        mask: None,
    }
    .deserialize(json)
    // The tree's error has no type in common with the text's; what is to be said is
    // in the context.
    .map_err(|_| context.refuse(context.why.get().unwrap_or(context.expected.get())))?;
    match value {
        Some(Value::Message(message)) => Ok(message),
        _ => Err(context.refuse("must not be null")),
    }
}

/// Any JSON, as strictly as everywhere: bounded in depth, no member twice.
#[derive(Clone, Copy)]
struct TreeSeed<'a> {
    context: &'a Context,
    depth: u32,
}

impl<'de> DeserializeSeed<'de> for TreeSeed<'_> {
    type Value = Json;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Json, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for TreeSeed<'_> {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E: Error>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Json, E> {
        Ok(value.into())
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Json, E> {
        Ok(value.into())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Json, E> {
        Ok(value.into())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Json, E> {
        Ok(value.into())
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Json, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Json, A::Error> {
        let below = Self {
            depth: self.context.deeper(self.depth, 1)?,
            ..self
        };
        let mut list = Vec::new();
        while let Some(element) = elements.next_element_seed(below)? {
            list.push(element);
        }
        Ok(Json::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Json, A::Error> {
        let below = Self {
            depth: self.context.deeper(self.depth, 1)?,
            ..self
        };
        let mut map = Map::new();
        while let Some(name) = members.next_key::<String>()? {
            let value = members
                .next_value_seed(below)
                .inspect_err(|_| self.context.at(&*name))?;
            if map.contains_key(&name) {
                self.context.at(name);
                return Err(self.context.refuse("stands more than once"));
            }
            map.insert(name, value);
        }
        Ok(Json::Object(map))
    }
}
