//! Which environment variables are settings, and what they are called.

use std::ffi::OsString;

pub(super) const PREFIX: &str = "LATCHKEY_";
/// The variable that stands for `--config` and so is no setting itself.
pub(super) const CONFIG: &str = "LATCHKEY_CONFIG";

/// The variable that sets `key`, for messages.
pub(super) fn variable(key: &str) -> String {
    format!("{PREFIX}{}", key.replace('.', "__").to_uppercase())
}

/// What a variable is to us.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Variable {
    /// Not a setting.
    Foreign,
    /// A setting of this path.
    Setting(Vec<String>),
    /// Meant as a setting, but misspelt.
    Malformed,
}

pub(super) fn classify(name: &str, value: &str) -> Variable {
    let Some(rest) = name.strip_prefix(PREFIX) else {
        return Variable::Foreign;
    };
    if name == CONFIG || is_service_link(rest, value) {
        return Variable::Foreign;
    }
    let path: Vec<String> = rest.split("__").map(str::to_lowercase).collect();
    let upper = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_';
    if !rest.bytes().all(upper) || path.iter().any(String::is_empty) {
        return Variable::Malformed;
    }
    Variable::Setting(path)
}

/// The shapes that Kubernetes (and Docker's links before it) gives to variables of a
/// neighbouring service: `X_SERVICE_HOST`, `X_SERVICE_PORT`, `X_SERVICE_PORT_HTTP`,
/// `X_PORT=tcp://…`, `X_PORT_80_TCP`, `X_PORT_80_TCP_ADDR`. None can be a setting of
/// ours: levels are separated by two underscores.
fn is_service_link(rest: &str, value: &str) -> bool {
    if rest.contains("__") {
        return false;
    }
    let with_url = |suffix| rest.ends_with(suffix) && value.contains("://");
    rest.ends_with("_SERVICE_HOST")
        || rest.ends_with("_SERVICE_PORT")
        || rest.contains("_SERVICE_PORT_")
        || with_url("_PORT")
        || ["_TCP", "_UDP", "_SCTP"].iter().any(|protocol| {
            rest.split_once("_PORT_").is_some_and(|(_, tail)| {
                tail.starts_with(|digit: char| digit.is_ascii_digit()) && tail.contains(protocol)
            })
        })
}

/// Variables as text. One of ours that is no UTF-8 becomes text with replacement
/// characters, so that it is reported by name and not skipped.
pub(super) fn utf8(
    variables: impl Iterator<Item = (OsString, OsString)>,
) -> impl Iterator<Item = (String, String)> {
    let text = |text: OsString| text.to_string_lossy().into_owned();
    variables.map(move |(name, value)| (text(name), text(value)))
}
