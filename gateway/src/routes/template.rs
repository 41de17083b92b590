//! Path templates of `google.api.http`.
//!
//! ```text
//! Template  = "/" Segments [ ":" LITERAL ]
//! Segments  = Segment { "/" Segment }
//! Segment   = "*" | "**" | LITERAL | Variable
//! Variable  = "{" FieldPath [ "=" Segments ] "}"
//! FieldPath = IDENT { "." IDENT }
//! ```
//!
//! Literals are unreserved characters (RFC 3986) and a few that need no encoding in a
//! path: what a template says is then what a request in normal form says.

use std::ops::Range;

use super::Segment;

/// A parsed template.
#[derive(Debug)]
pub(super) struct Template {
    text: String,
    parts: Vec<Part>,
    verb: Option<String>,
    variables: Vec<Variable>,
}

/// What one segment of a path has to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// This.
    Literal(String),
    /// Any one segment.
    One,
    /// All segments that are left, also none. Always the last part.
    Rest,
}

/// A field and the parts that make its value.
#[derive(Debug)]
struct Variable {
    field_path: String,
    parts: Range<usize>,
}

/// Why a template cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum TemplateError {
    #[error("does not begin with `/`")]
    NotRooted,
    #[error("is not below `/api/`")]
    OutsideApi,
    #[error("has an empty or a dot segment")]
    BadSegment,
    #[error("has a character that a literal may not have")]
    BadLiteral,
    #[error("has a `{{` or `}}` without the other, or a variable within a variable")]
    BadBraces,
    #[error("has a variable that is not a field path")]
    BadFieldPath,
    #[error("has a `**` that is not the last segment")]
    RestNotLast,
    #[error("has a verb that is not a word")]
    BadVerb,
    #[error("has more segments than a path may have")]
    TooLong,
}

impl Template {
    pub(super) fn parse(text: &str) -> Result<Self, TemplateError> {
        let rest = text.strip_prefix('/').ok_or(TemplateError::NotRooted)?;
        let (rest, verb) = split_verb(rest)?;
        let mut template = Self {
            text: text.to_owned(),
            parts: Vec::new(),
            verb,
            variables: Vec::new(),
        };
        for piece in split_outside_braces(rest)? {
            template.push_piece(piece)?;
        }
        template.check()?;
        Ok(template)
    }

    fn push_piece(&mut self, piece: &str) -> Result<(), TemplateError> {
        let Some(variable) = piece.strip_prefix('{') else {
            self.parts.push(part(piece)?);
            return Ok(());
        };
        let inner = variable.strip_suffix('}').ok_or(TemplateError::BadBraces)?;
        let (field_path, segments) = inner.split_once('=').unwrap_or((inner, "*"));
        if !field_path.split('.').all(is_identifier) {
            return Err(TemplateError::BadFieldPath);
        }
        let start = self.parts.len();
        for segment in segments.split('/') {
            self.parts.push(part(segment)?);
        }
        let parts = start..self.parts.len();
        self.variables.push(Variable {
            field_path: field_path.to_owned(),
            parts,
        });
        Ok(())
    }

    fn check(&self) -> Result<(), TemplateError> {
        let last = self.parts.len() - 1;
        if self.parts[..last].contains(&Part::Rest) {
            return Err(TemplateError::RestNotLast);
        }
        if self.parts.len() > super::MAX_SEGMENTS {
            return Err(TemplateError::TooLong);
        }
        let inside = matches!(&self.parts[0], Part::Literal(first) if first == "api");
        if !inside || last == 0 {
            return Err(TemplateError::OutsideApi);
        }
        Ok(())
    }

    /// As it was written.
    pub(super) fn as_str(&self) -> &str {
        &self.text
    }

    pub(super) fn parts(&self) -> &[Part] {
        &self.parts
    }

    pub(super) fn verb(&self) -> Option<&str> {
        self.verb.as_deref()
    }

    pub(super) fn field_paths(&self) -> impl Iterator<Item = &str> {
        self.variables.iter().map(|variable| &*variable.field_path)
    }

    /// The values of the variables in a path that matches.
    pub(super) fn variables(&self, segments: &[Segment], has_verb: bool) -> Vec<String> {
        let text = |index: usize| match &segments[index] {
            Segment {
                verb: Some(verb), ..
            } if has_verb => &*verb.rest,
            segment => &*segment.decoded,
        };
        let value = |variable: &Variable| {
            let takes_rest = self.parts[variable.parts.clone()].last() == Some(&Part::Rest);
            let end = if takes_rest {
                segments.len()
            } else {
                variable.parts.end
            };
            let pieces: Vec<&str> = (variable.parts.start..end).map(text).collect();
            pieces.join("/")
        };
        self.variables.iter().map(value).collect()
    }

    /// Whether some path matches both, and neither is the more specific one.
    pub(super) fn is_ambiguous_with(&self, other: &Self) -> bool {
        self.verb == other.verb
            && overlap(&self.parts, &other.parts)
            && within(&self.parts, &other.parts) == within(&other.parts, &self.parts)
    }
}

/// Whether some path matches both.
fn overlap(a: &[Part], b: &[Part]) -> bool {
    match (a.split_first(), b.split_first()) {
        (None, None) | (Some((Part::Rest, _)), _) | (_, Some((Part::Rest, _))) => true,
        (None, Some(_)) | (Some(_), None) => false,
        (Some((Part::Literal(a), _)), Some((Part::Literal(b), _))) if a != b => false,
        (Some((_, a)), Some((_, b))) => overlap(a, b),
    }
}

/// Whether every path that matches `a` also matches `b`.
fn within(a: &[Part], b: &[Part]) -> bool {
    match (a.split_first(), b.split_first()) {
        (_, Some((Part::Rest, _))) | (None, None) => true,
        (Some((Part::Rest, _)), _) | (None, Some(_)) | (Some(_), None) => false,
        (Some((Part::Literal(a), _)), Some((Part::Literal(b), _))) if a != b => false,
        (Some((Part::One, _)), Some((Part::Literal(_), _))) => false,
        (Some((_, a)), Some((_, b))) => within(a, b),
    }
}

/// A verb follows the last `}` or `/`.
fn split_verb(text: &str) -> Result<(&str, Option<String>), TemplateError> {
    let tail = text.rfind(['/', '}']).map_or(0, |at| at + 1);
    let Some(colon) = text[tail..].find(':') else {
        return Ok((text, None));
    };
    let (rest, verb) = (&text[..tail + colon], &text[tail + colon + 1..]);
    if verb.is_empty() || !verb.bytes().all(is_unreserved) {
        return Err(TemplateError::BadVerb);
    }
    Ok((rest, Some(verb.to_owned())))
}

/// Splits at the slashes that are not within a variable.
fn split_outside_braces(text: &str) -> Result<Vec<&str>, TemplateError> {
    let mut pieces = Vec::new();
    let (mut start, mut inside) = (0, false);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'{' if inside => return Err(TemplateError::BadBraces),
            b'{' => inside = true,
            b'}' if !inside => return Err(TemplateError::BadBraces),
            b'}' => inside = false,
            b'/' if !inside => {
                pieces.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    if inside {
        return Err(TemplateError::BadBraces);
    }
    pieces.push(&text[start..]);
    Ok(pieces)
}

fn part(segment: &str) -> Result<Part, TemplateError> {
    match segment {
        "*" => Ok(Part::One),
        "**" => Ok(Part::Rest),
        "" | "." | ".." => Err(TemplateError::BadSegment),
        literal
            if literal
                .bytes()
                .all(|byte| is_unreserved(byte) || b"@!$&'()+,".contains(&byte)) =>
        {
            Ok(Part::Literal(literal.to_owned()))
        }
        literal if literal.contains(['{', '}']) => Err(TemplateError::BadBraces),
        _ => Err(TemplateError::BadLiteral),
    }
}

fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~".contains(&byte)
}

fn is_identifier(text: &str) -> bool {
    let mut bytes = text.bytes();
    bytes
        .next()
        .is_some_and(|first| first.is_ascii_alphabetic() || first == b'_')
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}
