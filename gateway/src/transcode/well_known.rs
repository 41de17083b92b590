//! The well-known types, whose JSON is not that of their fields.
//!
//! Their descriptors are the ones compiled into this program (see `descriptors`), so
//! what is set here by number fits.

use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, MessageDescriptor, Value};

use super::scalar::{self, Token};

/// The full name of the field mask.
pub(super) const FIELD_MASK: &str = "google.protobuf.FieldMask";

pub(super) const MIN_TIMESTAMP_SECONDS: i64 = -62_135_596_800;
pub(super) const MAX_TIMESTAMP_SECONDS: i64 = 253_402_300_799;
pub(super) const MAX_DURATION_SECONDS: i64 = 315_576_000_000;

/// A message with a JSON form of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum WellKnown {
    Any,
    Duration,
    FieldMask,
    List,
    Struct,
    Timestamp,
    Value,
    Wrapper,
}

impl WellKnown {
    pub(super) fn of(message: &MessageDescriptor) -> Option<Self> {
        Some(
            match message.full_name().strip_prefix("google.protobuf.")? {
                "Any" => Self::Any,
                "Duration" => Self::Duration,
                "FieldMask" => Self::FieldMask,
                "ListValue" => Self::List,
                "Struct" => Self::Struct,
                "Timestamp" => Self::Timestamp,
                "Value" => Self::Value,
                "BoolValue" | "BytesValue" | "DoubleValue" | "FloatValue" | "Int32Value"
                | "Int64Value" | "StringValue" | "UInt32Value" | "UInt64Value" => Self::Wrapper,
                _ => return None,
            },
        )
    }

    pub(super) fn expected(self) -> &'static str {
        match self {
            Self::Any => "must be an object with `@type`",
            Self::Duration => "must be a duration in seconds, like `1.5s`",
            Self::FieldMask => "must be field names with commas between them",
            Self::List => "must be an array",
            Self::Struct => "must be an object",
            Self::Timestamp => "must be an RFC 3339 time, like `2006-01-02T15:04:05Z`",
            Self::Value => "must be JSON",
            Self::Wrapper => "has the wrong type",
        }
    }
}

/// Whether the fields of this message are not visible in JSON.
pub(super) fn is_special(message: &MessageDescriptor) -> bool {
    WellKnown::of(message).is_some()
}

/// Whether a string or a scalar can say all of it.
pub(super) fn has_text_form(message: &MessageDescriptor) -> bool {
    use WellKnown::{Duration, FieldMask, Timestamp, Wrapper};
    matches!(
        WellKnown::of(message),
        Some(Duration | FieldMask | Timestamp | Wrapper)
    )
}

/// From a path or a query.
pub(super) fn from_text(
    message: &MessageDescriptor,
    text: &str,
) -> Result<DynamicMessage, &'static str> {
    match WellKnown::of(message) {
        Some(WellKnown::Wrapper) => wrap(message, |kind| scalar::from_text(kind, text)),
        _ => from_json(message, Token::Text(text)),
    }
}

/// From a JSON token.
pub(super) fn from_json(
    message: &MessageDescriptor,
    token: Token<'_>,
) -> Result<DynamicMessage, &'static str> {
    let Some(well_known) = WellKnown::of(message) else {
        return Err("must be an object");
    };
    match (well_known, token) {
        (WellKnown::Wrapper, token) => wrap(message, |kind| scalar::from_json(kind, token)),
        (WellKnown::Value, token) => json_value(message, token),
        (WellKnown::Timestamp, Token::Text(text)) => {
            let (seconds, nanos) = timestamp(text).ok_or(well_known.expected())?;
            Ok(with_fields(
                message,
                [Value::I64(seconds), Value::I32(nanos)],
            ))
        }
        (WellKnown::Duration, Token::Text(text)) => {
            let (seconds, nanos) = duration(text).ok_or(well_known.expected())?;
            Ok(with_fields(
                message,
                [Value::I64(seconds), Value::I32(nanos)],
            ))
        }
        (WellKnown::FieldMask, Token::Text(text)) => {
            let paths = mask_paths(text).ok_or(well_known.expected())?;
            Ok(with_fields(message, [Value::List(paths)]))
        }
        _ => Err(well_known.expected()),
    }
}

/// A mask of these paths for this field.
pub(super) fn field_mask(field: &FieldDescriptor, paths: Vec<String>) -> Result<Value, String> {
    let Kind::Message(message) = field.kind() else {
        return Err("must be a mask".to_owned());
    };
    let paths = paths.into_iter().map(Value::String).collect();
    Ok(Value::Message(with_fields(&message, [Value::List(paths)])))
}

/// A message whose fields 1 and up have these values.
pub(super) fn with_fields<const N: usize>(
    message: &MessageDescriptor,
    values: [Value; N],
) -> DynamicMessage {
    let mut message = DynamicMessage::new(message.clone());
    for (number, value) in (1..).zip(values) {
        message.set_field_by_number(number, value);
    }
    message
}

/// Numbers of the members of `google.protobuf.Value`.
pub(super) mod value_field {
    pub(crate) const NULL: u32 = 1;
    pub(crate) const NUMBER: u32 = 2;
    pub(crate) const STRING: u32 = 3;
    pub(crate) const BOOL: u32 = 4;
    pub(crate) const STRUCT: u32 = 5;
    pub(crate) const LIST: u32 = 6;
}

fn json_value(
    message: &MessageDescriptor,
    token: Token<'_>,
) -> Result<DynamicMessage, &'static str> {
    let (number, value) = match token {
        Token::Bool(value) => (value_field::BOOL, Value::Bool(value)),
        Token::Text(text) => (value_field::STRING, Value::String(text.to_owned())),
        number => (
            value_field::NUMBER,
            scalar::from_json(&Kind::Double, number)?,
        ),
    };
    let mut message = DynamicMessage::new(message.clone());
    message.set_field_by_number(number, value);
    Ok(message)
}

fn wrap(
    message: &MessageDescriptor,
    value: impl FnOnce(&Kind) -> Result<Value, &'static str>,
) -> Result<DynamicMessage, &'static str> {
    let field = message.get_field(1).ok_or(WellKnown::Wrapper.expected())?;
    Ok(with_fields(message, [value(&field.kind())?]))
}

/// `YYYY-MM-DDThh:mm:ss[.fffffffff](Z|±hh:mm)`, and nothing else that parsers take.
fn timestamp(text: &str) -> Option<(i64, i32)> {
    let is_rfc3339 = has_form(text.get(..19)?, "dddd-dd-ddTdd:dd:dd") && {
        let rest = &text[19..];
        let rest = match rest.strip_prefix('.') {
            Some(fraction) => {
                let digits = fraction.bytes().take_while(u8::is_ascii_digit).count();
                if !(1..=9).contains(&digits) {
                    return None;
                }
                &fraction[digits..]
            }
            None => rest,
        };
        rest == "Z" || has_form(rest, "+dd:dd") || has_form(rest, "-dd:dd")
    };
    if !is_rfc3339 || !is_calendar_time(text) {
        return None;
    }
    let timestamp: prost_types::Timestamp = text.parse().ok()?;
    let in_range = (MIN_TIMESTAMP_SECONDS..=MAX_TIMESTAMP_SECONDS).contains(&timestamp.seconds);
    in_range.then_some((timestamp.seconds, timestamp.nanos))
}

/// Day 31 of a month of 30 and hour 24 are not repaired but refused.
fn is_calendar_time(text: &str) -> bool {
    let number = |at: usize| text[at..at + 2].parse::<i8>().ok();
    let year = text[..4].parse::<i16>().ok();
    let date = year.zip(number(5)).zip(number(8));
    let is_date =
        date.is_some_and(|((year, month), day)| jiff::civil::Date::new(year, month, day).is_ok());
    let below = |at: usize, limit: i8| number(at).is_some_and(|value| value < limit);
    // 60 is a leap second.
    is_date && below(11, 24) && below(14, 60) && below(17, 61)
}

/// `d` in the form stands for a digit, everything else for itself.
fn has_form(text: &str, form: &str) -> bool {
    text.len() == form.len()
        && text
            .bytes()
            .zip(form.bytes())
            .all(|(byte, form)| match form {
                b'd' => byte.is_ascii_digit(),
                form => byte == form,
            })
}

/// `-?digits[.digits]s`, at most nine decimals and 10 000 years.
fn duration(text: &str) -> Option<(i64, i32)> {
    let number = text.strip_suffix('s')?;
    let (number, sign) = match number.strip_prefix('-') {
        Some(number) => (number, -1),
        None => (number, 1),
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    let is_digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    if !is_digits(whole) || !is_digits(fraction) || whole.len() > 12 || fraction.len() > 9 {
        return None;
    }
    let seconds: i64 = whole.parse().ok()?;
    let nanos: i32 = format!("{fraction:0<9}").parse().ok()?;
    let in_range =
        seconds < MAX_DURATION_SECONDS || (seconds == MAX_DURATION_SECONDS && nanos == 0);
    in_range.then_some((sign * seconds, i32::try_from(sign).ok()? * nanos))
}

/// Paths in either spelling; kept in the proto one.
fn mask_paths(text: &str) -> Option<Vec<Value>> {
    if text.is_empty() {
        return Some(Vec::new());
    }
    text.split(',')
        .map(|path| snake_case(path).map(Value::String))
        .collect()
}

fn snake_case(path: &str) -> Option<String> {
    let mut snake = String::with_capacity(path.len() + 4);
    for piece in path.split('.') {
        let fine = |c: char| c.is_ascii_alphanumeric() || c == '_';
        if piece.is_empty() || !piece.chars().all(fine) {
            return None;
        }
        if !snake.is_empty() {
            snake.push('.');
        }
        for character in piece.chars() {
            if character.is_ascii_uppercase() {
                snake.push('_');
            }
            snake.push(character.to_ascii_lowercase());
        }
    }
    Some(snake)
}
