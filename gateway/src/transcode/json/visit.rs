//! The walk over a body, led by descriptors.

use std::{collections::HashMap, fmt};

use prost_reflect::{
    DynamicMessage, FieldDescriptor, Kind, MessageDescriptor, ReflectMessage, Value,
};
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use super::{Context, Mask, any, is_plain_message};
use crate::transcode::{
    bind,
    scalar::{self, Token},
    well_known::{self, WellKnown, value_field},
};

/// Members of an object to fields of a message.
pub(super) struct MessageSeed<'a> {
    pub(super) context: &'a Context,
    pub(super) message: &'a mut DynamicMessage,
    pub(super) depth: u32,
    pub(super) mask: Option<Mask<'a>>,
}

impl<'de> DeserializeSeed<'de> for MessageSeed<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        self.context.expected.set("must be an object");
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for MessageSeed<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut members: A) -> Result<(), A::Error> {
        let context = self.context;
        self.depth = context.deeper(self.depth, 1)?;
        let descriptor = self.message.descriptor();
        let mut seen = Vec::new();
        loop {
            let name = NameSeed {
                context,
                message: &descriptor,
                seen: &mut seen,
            };
            let Some(field) = members.next_key_seed(name)? else {
                return Ok(());
            };
            self.member(&field, &mut members)
                .inspect_err(|_| context.at(field.name()))?;
        }
    }
}

impl MessageSeed<'_> {
    fn member<'de, A: MapAccess<'de>>(
        &mut self,
        field: &FieldDescriptor,
        members: &mut A,
    ) -> Result<(), A::Error> {
        let mask = self.mask.as_ref().map(|mask| mask.below(field.name()));
        let before = mask.as_ref().map(|mask| mask.paths.borrow().len());
        let below = mask.clone().filter(|_| is_plain_message(field));
        let seed = FieldSeed {
            context: self.context,
            field,
            depth: self.depth,
            mask: below,
        };
        let value = members.next_value_seed(seed)?;
        if let Some(mask) = mask
            && before == Some(mask.paths.borrow().len())
        {
            mask.paths.borrow_mut().push(mask.prefix);
        }
        let Some(value) = value else { return Ok(()) };
        if bind::set_sibling(self.message, field).is_some() {
            return Err(self
                .context
                .refuse("is set together with another member of its oneof"));
        }
        self.message.set_field(field, value);
        Ok(())
    }
}

/// A member's name to a field that has not been there before.
struct NameSeed<'a> {
    context: &'a Context,
    message: &'a MessageDescriptor,
    seen: &'a mut Vec<u32>,
}

impl<'de> DeserializeSeed<'de> for NameSeed<'_> {
    type Value = FieldDescriptor;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for NameSeed<'_> {
    type Value = FieldDescriptor;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a field's name")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<FieldDescriptor, E> {
        let Some(field) = bind::field_named(self.message, name) else {
            self.context.at(name);
            return Err(self.context.refuse("is not a known field"));
        };
        if self.seen.contains(&field.number()) {
            self.context.at(name);
            return Err(self.context.refuse("stands more than once"));
        }
        self.seen.push(field.number());
        Ok(field)
    }
}

/// The value of a field of any cardinality; nothing if it is null.
pub(super) struct FieldSeed<'a> {
    pub(super) context: &'a Context,
    pub(super) field: &'a FieldDescriptor,
    pub(super) depth: u32,
    pub(super) mask: Option<Mask<'a>>,
}

impl<'de> DeserializeSeed<'de> for FieldSeed<'_> {
    type Value = Option<Value>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        let Self {
            context,
            field,
            depth,
            mask,
        } = self;
        if field.is_map() {
            context.expected.set("must be an object");
            deserializer.deserialize_any(MapVisitor {
                context,
                field,
                depth,
            })
        } else if field.is_list() {
            context.expected.set("must be an array");
            deserializer.deserialize_any(ListVisitor {
                context,
                kind: &field.kind(),
                depth,
            })
        } else {
            KindSeed {
                context,
                kind: &field.kind(),
                depth,
                mask,
            }
            .deserialize(deserializer)
        }
    }
}

struct ListVisitor<'a> {
    context: &'a Context,
    kind: &'a Kind,
    depth: u32,
}

impl<'de> Visitor<'de> for ListVisitor<'_> {
    type Value = Option<Value>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Self::Value, A::Error> {
        let Self {
            context,
            kind,
            depth,
        } = self;
        let depth = context.deeper(depth, 1)?;
        let mut list = Vec::new();
        loop {
            let seed = NotNull(KindSeed {
                context,
                kind,
                depth,
                mask: None,
            });
            let element = elements
                .next_element_seed(seed)
                .inspect_err(|_| context.at(format!("[{}]", list.len())))?;
            let Some(element) = element else {
                return Ok(Some(Value::List(list)));
            };
            list.push(element);
        }
    }
}

struct MapVisitor<'a> {
    context: &'a Context,
    field: &'a FieldDescriptor,
    depth: u32,
}

impl<'de> Visitor<'de> for MapVisitor<'_> {
    type Value = Option<Value>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
        let Self {
            context,
            field,
            depth,
        } = self;
        let depth = context.deeper(depth, 1)?;
        let Kind::Message(entry) = field.kind() else {
            return Err(context.refuse("must be an object"));
        };
        let key_kind = entry.map_entry_key_field().kind();
        let value_kind = entry.map_entry_value_field().kind();
        let mut map = HashMap::new();
        while let Some(name) = members.next_key::<String>()? {
            let refuse = |why| {
                context.at(&*name);
                context.refuse(why)
            };
            let key = scalar::map_key(&key_kind, &name).map_err(refuse)?;
            let seed = KindSeed {
                context,
                kind: &value_kind,
                depth,
                mask: None,
            };
            let value = members
                .next_value_seed(NotNull(seed))
                .inspect_err(|_| context.at(&*name))?;
            if map.insert(key, value).is_some() {
                return Err(refuse("stands more than once"));
            }
        }
        Ok(Some(Value::Map(map)))
    }
}

/// A value within a list or a map, where null has no meaning.
struct NotNull<'a>(KindSeed<'a>);

impl<'de> DeserializeSeed<'de> for NotNull<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        let context = self.0.context;
        let value = self.0.deserialize(deserializer)?;
        value.ok_or_else(|| context.refuse("must not be null"))
    }
}

/// One value of a kind; nothing if it is null.
pub(super) struct KindSeed<'a> {
    pub(super) context: &'a Context,
    pub(super) kind: &'a Kind,
    pub(super) depth: u32,
    pub(super) mask: Option<Mask<'a>>,
}

impl<'de> DeserializeSeed<'de> for KindSeed<'_> {
    type Value = Option<Value>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        self.context.expected.set(self.expected());
        deserializer.deserialize_any(self)
    }
}

impl KindSeed<'_> {
    fn well_known(&self) -> Option<WellKnown> {
        self.kind.as_message().and_then(WellKnown::of)
    }

    fn expected(&self) -> &'static str {
        self.well_known()
            .map_or_else(|| scalar::expected(self.kind), WellKnown::expected)
    }

    fn token<E: Error>(self, token: Token<'_>) -> Result<Option<Value>, E> {
        let value = match self.kind {
            Kind::Message(message) => well_known::from_json(message, token).map(Value::Message),
            kind => scalar::from_json(kind, token),
        };
        value.map(Some).map_err(|why| self.context.refuse(why))
    }
}

impl<'de> Visitor<'de> for KindSeed<'_> {
    type Value = Option<Value>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(match self.kind {
            Kind::Message(message) if WellKnown::of(message) == Some(WellKnown::Value) => {
                let mut value = DynamicMessage::new(message.clone());
                value.set_field_by_number(value_field::NULL, Value::EnumNumber(0));
                Some(Value::Message(value))
            }
            Kind::Enum(kind) if kind.full_name() == "google.protobuf.NullValue" => {
                Some(Value::EnumNumber(0))
            }
            _ => None,
        })
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Self::Value, E> {
        self.token(Token::Bool(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Self::Value, E> {
        self.token(Token::Signed(value))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Self::Value, E> {
        self.token(Token::Unsigned(value))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Self::Value, E> {
        self.token(Token::Float(value))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Self::Value, E> {
        self.token(Token::Text(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, elements: A) -> Result<Self::Value, A::Error> {
        let Self { context, depth, .. } = self;
        match (self.kind, self.well_known()) {
            (Kind::Message(list), Some(WellKnown::List)) => {
                list_value(context, list, depth, elements).map(Some)
            }
            (Kind::Message(value), Some(WellKnown::Value)) => {
                let list = member_message(context, value, value_field::LIST)?;
                let list = list_value(context, &list, depth, elements)?;
                Ok(Some(json_value(value, value_field::LIST, list)))
            }
            _ => Err(context.refuse(self.expected())),
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<Self::Value, A::Error> {
        let Self { context, depth, .. } = self;
        let Kind::Message(message) = self.kind else {
            return Err(context.refuse(self.expected()));
        };
        match WellKnown::of(message) {
            None => {
                let mut value = DynamicMessage::new(message.clone());
                let mask = self.mask;
                MessageSeed {
                    context,
                    message: &mut value,
                    depth,
                    mask,
                }
                .visit_map(members)?;
                Ok(Some(Value::Message(value)))
            }
            Some(WellKnown::Struct) => struct_value(context, message, depth, members).map(Some),
            Some(WellKnown::Value) => {
                let fields = member_message(context, message, value_field::STRUCT)?;
                let fields = struct_value(context, &fields, depth, members)?;
                Ok(Some(json_value(message, value_field::STRUCT, fields)))
            }
            Some(WellKnown::Any) => any::read(context, message, depth, members).map(Some),
            Some(other) => Err(context.refuse(other.expected())),
        }
    }
}

/// The JSON of a `Struct` is that of its only field, a map to `Value`. On the wire each
/// level is a struct, an entry and a value, and counts as that.
fn struct_value<'de, A: MapAccess<'de>>(
    context: &Context,
    message: &MessageDescriptor,
    depth: u32,
    members: A,
) -> Result<Value, A::Error> {
    let depth = context.deeper(depth, 2)?;
    let field = only_field(context, message)?;
    let map = MapVisitor {
        context,
        field: &field,
        depth,
    }
    .visit_map(members)?;
    Ok(holding(message, &field, map))
}

fn list_value<'de, A: SeqAccess<'de>>(
    context: &Context,
    message: &MessageDescriptor,
    depth: u32,
    elements: A,
) -> Result<Value, A::Error> {
    let depth = context.deeper(depth, 1)?;
    let field = only_field(context, message)?;
    let list = ListVisitor {
        context,
        kind: &field.kind(),
        depth,
    }
    .visit_seq(elements)?;
    Ok(holding(message, &field, list))
}

fn holding(message: &MessageDescriptor, field: &FieldDescriptor, value: Option<Value>) -> Value {
    let mut message = DynamicMessage::new(message.clone());
    if let Some(value) = value {
        message.set_field(field, value);
    }
    Value::Message(message)
}

fn json_value(message: &MessageDescriptor, number: u32, value: Value) -> Value {
    let mut message = DynamicMessage::new(message.clone());
    message.set_field_by_number(number, value);
    Value::Message(message)
}

fn only_field<E: Error>(
    context: &Context,
    message: &MessageDescriptor,
) -> Result<FieldDescriptor, E> {
    message
        .get_field(1)
        .ok_or_else(|| context.refuse("is of a broken type"))
}

fn member_message<E: Error>(
    context: &Context,
    message: &MessageDescriptor,
    number: u32,
) -> Result<MessageDescriptor, E> {
    let kind = message.get_field(number).map(|field| field.kind());
    kind.as_ref()
        .and_then(Kind::as_message)
        .cloned()
        .ok_or_else(|| context.refuse("is of a broken type"))
}
