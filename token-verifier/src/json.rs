//! JSON, read strictly: a member name stands once in its object, nesting is bounded,
//! and numbers are integers or of no use to us.
//!
//! `serde_json`'s own maps keep the last of two equal names and its derived structs
//! ignore unknown duplicates. Two readers that pick different winners can be told
//! different stories by one token (RFC 8725 §2.6), so here a duplicate is an error.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};

/// Objects and arrays in each other. A token needs three (claims, `act`, `act.act`).
const MAX_DEPTH: usize = 8;

/// The members of an object.
pub(crate) type Members = BTreeMap<String, Json>;

/// A JSON value.
#[derive(Debug, PartialEq)]
pub(crate) enum Json {
    Null,
    Bool,
    Integer(i64),
    /// Has a fraction or an exponent, or is beyond 64 bits: nothing we read is.
    OtherNumber,
    String(String),
    Array(Vec<Json>),
    Object(Members),
}

/// The bytes are not strict JSON, or not an object.
#[derive(Debug, thiserror::Error)]
pub enum JsonError {
    /// Not JSON, not UTF-8, too deep, or a member name stands twice.
    #[error("not strict JSON")]
    Syntax(#[source] serde_json::Error),
    /// Some other value where an object belongs.
    #[error("not a JSON object")]
    NotAnObject,
}

/// Reads one object that fills all of `bytes`.
pub(crate) fn object(bytes: &[u8]) -> Result<Members, JsonError> {
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let value = Strict { depth: 0 }
        .deserialize(&mut deserializer)
        .and_then(|value| deserializer.end().map(|()| value))
        .map_err(JsonError::Syntax)?;
    match value {
        Json::Object(members) => Ok(members),
        _ => Err(JsonError::NotAnObject),
    }
}

#[derive(Clone, Copy)]
struct Strict {
    depth: usize,
}

impl Strict {
    fn deeper<E: serde::de::Error>(self) -> Result<Self, E> {
        if self.depth == MAX_DEPTH {
            return Err(E::custom("nested too deeply"));
        }
        Ok(Self {
            depth: self.depth + 1,
        })
    }
}

impl<'de> DeserializeSeed<'de> for Strict {
    type Value = Json;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Json, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Json, E> {
        Ok(Json::Bool)
    }

    fn visit_i64<E>(self, value: i64) -> Result<Json, E> {
        Ok(Json::Integer(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Json, E> {
        Ok(i64::try_from(value).map_or(Json::OtherNumber, Json::Integer))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Json, E> {
        Ok(Json::OtherNumber)
    }

    fn visit_str<E>(self, value: &str) -> Result<Json, E> {
        Ok(Json::String(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Json, A::Error> {
        let inner = self.deeper()?;
        let mut array = Vec::new();
        while let Some(item) = items.next_element_seed(inner)? {
            array.push(item);
        }
        Ok(Json::Array(array))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Json, A::Error> {
        let inner = self.deeper()?;
        let mut members = Members::new();
        while let Some(name) = entries.next_key::<String>()? {
            let value = entries.next_value_seed(inner)?;
            if members.insert(name, value).is_some() {
                return Err(A::Error::custom("a member name stands twice"));
            }
        }
        Ok(Json::Object(members))
    }
}

#[cfg(test)]
mod tests;
