//! Mistakes, each with its full name and where it came from.

use std::fmt;
use std::sync::Arc;

/// Where a value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    File { name: Arc<str>, line: usize },
    Environment(Arc<str>),
    CommandLine(Arc<str>),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { name, line } => write!(f, "{name}:{line}"),
            Self::Environment(variable) => f.write_str(variable),
            Self::CommandLine(flag) => f.write_str(flag),
        }
    }
}

/// Every mistake in a program's settings. Displays as one line each.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Problems(Vec<String>);

impl Problems {
    /// One mistake, about no value in particular.
    #[must_use]
    pub fn one(message: impl fmt::Display) -> Self {
        Self(vec![one_line(&message.to_string())])
    }

    /// The lines.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn push(&mut self, key: &str, message: impl fmt::Display, origin: Option<&Origin>) {
        let mut line = match key {
            "" => message.to_string(),
            key => format!("{key}: {message}"),
        };
        if let Some(origin) = origin {
            line.push_str(&format!(" ({origin})"));
        }
        self.0.push(one_line(&line));
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("\n"))
    }
}

impl std::error::Error for Problems {}

/// Names and messages can hold what the environment says: it stays one harmless line.
fn one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for character in text.trim_end().chars() {
        match character {
            control if control.is_control() => line.extend(control.escape_default()),
            other => line.push(other),
        }
    }
    line
}
