//! What can be wrong with a request or a response.

use std::fmt;

/// A field and what is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Violation {
    /// Dotted path from where the client began: proto names of what is known, the
    /// client's own for what is not. Empty for the body as a whole.
    pub(crate) field: String,
    /// A sentence's rest: `must be a boolean`. Never the value.
    pub(crate) description: String,
}

/// Names come from clients: a problem document does not repeat all of a long one.
const MAX_FIELD_LENGTH: usize = 128;

impl Violation {
    pub(super) fn new(field: impl Into<String>, description: impl Into<String>) -> Self {
        let mut field = field.into();
        if field.len() > MAX_FIELD_LENGTH {
            let end = field.floor_char_boundary(MAX_FIELD_LENGTH);
            field.truncate(end);
            field.push('…');
        }
        Self {
            field,
            description: description.into(),
        }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let subject = if self.field.is_empty() {
            "the body"
        } else {
            &self.field
        };
        write!(f, "{subject} {}", self.description)
    }
}

/// Why a request is not a message of the method. All of these are the client's fault.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TranscodeError {
    /// The route has no use for a body and there is one.
    #[error("this method takes no body")]
    BodyNotAllowed,
    /// Not JSON.
    #[error("the body is not valid JSON (line {line}, column {column})")]
    BodyMalformed {
        /// From 1.
        line: usize,
        /// From 1; 0 at a line's start.
        column: usize,
    },
    /// JSON, but not of the message.
    #[error("{0}")]
    Body(Violation),
    /// A parameter of the query.
    #[error("{0}")]
    Query(Violation),
    /// A variable of the path.
    #[error("{0}")]
    Path(Violation),
}

impl TranscodeError {
    /// The fields at fault, for `errors` of a problem document.
    pub(crate) fn violations(&self) -> &[Violation] {
        match self {
            Self::BodyNotAllowed | Self::BodyMalformed { .. } => &[],
            Self::Body(violation) | Self::Query(violation) | Self::Path(violation) => {
                std::slice::from_ref(violation)
            }
        }
    }

    /// One sentence for the client.
    pub(crate) fn detail(&self) -> String {
        self.to_string()
    }

    /// The stable word.
    pub(crate) fn reason(&self) -> &'static str {
        match self {
            Self::BodyNotAllowed => "BODY_NOT_ALLOWED",
            Self::BodyMalformed { .. } => "BODY_MALFORMED",
            Self::Body(_) => "FIELD_INVALID",
            Self::Query(_) => "QUERY_INVALID",
            Self::Path(_) => "PATH_INVALID",
        }
    }
}

/// Why a response has no JSON. All of these are the service's fault.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ResponseError {
    /// The bytes are not a message of the declared type.
    #[error("the service's answer is not the message that its descriptors name")]
    Undecodable(#[from] prost::DecodeError),
    /// A well-known type with a value that JSON has no form for.
    #[error("the service's answer has a {what} without a JSON form")]
    NoJsonForm {
        /// The type.
        what: &'static str,
    },
}
