//! Scalars and enums from JSON tokens and from text.

use base64::{
    Engine, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use prost_reflect::{EnumDescriptor, Kind, MapKey, Value};

/// A JSON value that is neither an array nor an object nor null.
#[derive(Clone, Copy, Debug)]
pub(super) enum Token<'a> {
    Bool(bool),
    Unsigned(u64),
    Signed(i64),
    Float(f64),
    Text(&'a str),
}

const OUT_OF_RANGE: &str = "is out of range";

/// What a value of this kind has to be, for whoever sent something else.
pub(super) fn expected(kind: &Kind) -> &'static str {
    match kind {
        Kind::Double | Kind::Float => "must be a number",
        Kind::Bool => "must be a boolean",
        Kind::String => "must be a string",
        Kind::Bytes => "must be base64 in a string",
        Kind::Enum(_) => "must be the name or the number of a value",
        Kind::Message(_) => "must be an object",
        _ => "must be an integer",
    }
}

/// The value that a JSON token means.
pub(super) fn from_json(kind: &Kind, token: Token<'_>) -> Result<Value, &'static str> {
    match (kind, token) {
        (Kind::Bool, Token::Bool(value)) => Ok(Value::Bool(value)),
        (Kind::String, Token::Text(text)) => Ok(Value::String(text.to_owned())),
        (Kind::Bytes, Token::Text(text)) => base64(text),
        (Kind::Enum(kind), token) => enum_number(kind, token).map(Value::EnumNumber),
        (Kind::Double, token) => double(token).map(Value::F64),
        (Kind::Float, token) => float(token).map(Value::F32),
        (Kind::Bool | Kind::String | Kind::Bytes | Kind::Message(_), _) => Err(expected(kind)),
        (kind, token) => integer(kind, token),
    }
}

/// The value that a text in a path or a query means.
pub(super) fn from_text(kind: &Kind, text: &str) -> Result<Value, &'static str> {
    match (kind, text) {
        (Kind::Bool, "true") => Ok(Value::Bool(true)),
        (Kind::Bool, "false") => Ok(Value::Bool(false)),
        (Kind::Enum(_), text) if text.starts_with(|c: char| c == '-' || c.is_ascii_digit()) => {
            let number = text_integer(text).ok_or(expected(kind))?;
            from_json(
                kind,
                Token::Signed(i64::try_from(number).map_err(|_| OUT_OF_RANGE)?),
            )
        }
        (kind, text) => from_json(kind, Token::Text(text)),
    }
}

/// The map key that a member's name means.
pub(super) fn map_key(kind: &Kind, text: &str) -> Result<MapKey, &'static str> {
    let value = match kind {
        Kind::String => return Ok(MapKey::String(text.to_owned())),
        kind => from_text(kind, text).map_err(|_| "has a key of the wrong type")?,
    };
    Ok(match value {
        Value::Bool(value) => MapKey::Bool(value),
        Value::I32(value) => MapKey::I32(value),
        Value::I64(value) => MapKey::I64(value),
        Value::U32(value) => MapKey::U32(value),
        Value::U64(value) => MapKey::U64(value),
        _ => return Err("has a key of the wrong type"),
    })
}

fn integer(kind: &Kind, token: Token<'_>) -> Result<Value, &'static str> {
    let number = whole(token).ok_or("must be an integer")??;
    let value = match kind {
        Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => number.try_into().map(Value::I32),
        Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => number.try_into().map(Value::I64),
        Kind::Uint32 | Kind::Fixed32 => number.try_into().map(Value::U32),
        _ => number.try_into().map(Value::U64),
    };
    value.map_err(|_| OUT_OF_RANGE)
}

/// A whole number in any of its spellings; `1.0` and `1e3` are some.
fn whole(token: Token<'_>) -> Option<Result<i128, &'static str>> {
    match token {
        Token::Unsigned(number) => Some(Ok(number.into())),
        Token::Signed(number) => Some(Ok(number.into())),
        Token::Text(text) => text_integer(text).map(Ok),
        Token::Float(number) if number.fract() != 0.0 => None,
        // Above this no double is a 64-bit integer, and below it each is exact.
        Token::Float(number) if number.abs() < 1.9e19 => Some(Ok(number as i128)),
        Token::Float(_) => Some(Err(OUT_OF_RANGE)),
        Token::Bool(_) => None,
    }
}

/// Digits with an optional minus: no plus, no space, no zero in front.
fn text_integer(text: &str) -> Option<i128> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let canonical = digits == "0" || !digits.starts_with('0');
    let short = (1..=20).contains(&digits.len());
    if !canonical || !short || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    text.parse().ok()
}

fn double(token: Token<'_>) -> Result<f64, &'static str> {
    match token {
        Token::Float(number) => Ok(number),
        Token::Unsigned(number) => Ok(number as f64),
        Token::Signed(number) => Ok(number as f64),
        Token::Text("NaN") => Ok(f64::NAN),
        Token::Text("Infinity") => Ok(f64::INFINITY),
        Token::Text("-Infinity") => Ok(f64::NEG_INFINITY),
        Token::Text(text) => text_double(text),
        Token::Bool(_) => Err("must be a number"),
    }
}

/// Only what would also be a number without the quotes; Rust's parser takes `inf` too.
fn text_double(text: &str) -> Result<f64, &'static str> {
    if text.len() > 64 || !text.ends_with(|last: char| last.is_ascii_digit()) {
        return Err("must be a number");
    }
    serde_json::from_str(text).map_err(|_| "must be a number")
}

fn float(token: Token<'_>) -> Result<f32, &'static str> {
    let wide = double(token)?;
    let narrow = wide as f32;
    if narrow.is_infinite() && wide.is_finite() {
        return Err(OUT_OF_RANGE);
    }
    Ok(narrow)
}

/// Numbers without a name are taken for open enums, as on the wire.
fn enum_number(kind: &EnumDescriptor, token: Token<'_>) -> Result<i32, &'static str> {
    let number = match token {
        Token::Text(name) => {
            let value = kind.get_value_by_name(name);
            return value
                .map(|value| value.number())
                .ok_or("is not the name of a value");
        }
        token => whole(token).ok_or("must be the name or the number of a value")??,
    };
    let number = i32::try_from(number).map_err(|_| OUT_OF_RANGE)?;
    let is_closed = kind.parent_file().syntax() == prost_reflect::Syntax::Proto2;
    if is_closed && kind.get_value(number).is_none() {
        return Err("is not the number of a value");
    }
    Ok(number)
}

fn base64(text: &str) -> Result<Value, &'static str> {
    const CONFIG: GeneralPurposeConfig =
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    const STANDARD: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, CONFIG);
    const URL_SAFE: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, CONFIG);

    let engine = if text.contains(['-', '_']) {
        URL_SAFE
    } else {
        STANDARD
    };
    let bytes = engine
        .decode(text)
        .map_err(|_| "must be base64 in a string")?;
    Ok(Value::Bytes(bytes.into()))
}
