//! Who a token is about: `usr_<uuid>`, `gst_<uuid>`, `svc_<name>` or `anonymous`.

use std::fmt;
use std::sync::Arc;

/// A subject in its one canonical spelling.
///
/// Two subjects are the same exactly if their texts are the same, which is why the
/// parser takes nothing but lower-case hyphenated UUIDs: `usr_ABC…` and `usr_abc…`
/// must never name two rows of one person.
///
/// ```
/// use token_verifier::{Subject, SubjectKind};
///
/// let subject = Subject::parse("usr_018f4c1e-7b1a-7c3d-8e5f-0a1b2c3d4e5f")?;
/// assert_eq!(subject.kind(), SubjectKind::User);
/// assert!(Subject::parse("root").is_err());
/// # Ok::<(), token_verifier::SubjectError>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Subject {
    text: Arc<str>,
    kind: SubjectKind,
}

/// What sort of subject it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SubjectKind {
    /// A person with an account, `usr_<uuid>`.
    User,
    /// A visitor with a session but no account, `gst_<uuid>`.
    Guest,
    /// A program, `svc_<name>`.
    Workload,
    /// Nobody yet, `anonymous`.
    Anonymous,
}

/// Why a text is not a subject.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SubjectError {
    /// It begins with none of the known prefixes.
    #[error("a subject is usr_<uuid>, gst_<uuid>, svc_<name> or anonymous")]
    UnknownKind,
    /// What follows `usr_` or `gst_` is no UUID in canonical form.
    #[error("what follows the prefix is not a lower-case hyphenated UUID")]
    NotAUuid,
    /// What follows `svc_` is no workload name.
    #[error("a workload's name is 1 to 63 of a-z, 0-9 and inner hyphens, beginning with a letter")]
    BadWorkloadName,
}

/// The longest workload name: a DNS label, so that a name can also be a host.
const MAX_WORKLOAD_NAME: usize = 63;

impl Subject {
    /// Reads a subject, refusing every spelling but the canonical one.
    ///
    /// # Errors
    ///
    /// [`SubjectError`] says which part is wrong.
    pub fn parse(text: &str) -> Result<Self, SubjectError> {
        let kind = if text == "anonymous" {
            SubjectKind::Anonymous
        } else if let Some(id) = text.strip_prefix("usr_") {
            uuid(id, SubjectKind::User)?
        } else if let Some(id) = text.strip_prefix("gst_") {
            uuid(id, SubjectKind::Guest)?
        } else if let Some(name) = text.strip_prefix("svc_") {
            workload(name)?
        } else {
            return Err(SubjectError::UnknownKind);
        };
        Ok(Self {
            text: text.into(),
            kind,
        })
    }

    /// The subject as it stands in the token.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// What sort of subject it is.
    #[must_use]
    pub fn kind(&self) -> SubjectKind {
        self.kind
    }
}

impl fmt::Debug for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Subject").field(&self.as_str()).finish()
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl std::str::FromStr for Subject {
    type Err = SubjectError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

fn uuid(id: &str, kind: SubjectKind) -> Result<SubjectKind, SubjectError> {
    let canonical = id.len() == 36
        && id.bytes().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => matches!(byte, b'0'..=b'9' | b'a'..=b'f'),
        });
    canonical.then_some(kind).ok_or(SubjectError::NotAUuid)
}

fn workload(name: &str) -> Result<SubjectKind, SubjectError> {
    let well_formed = name.len() <= MAX_WORKLOAD_NAME
        && name.starts_with(|first: char| first.is_ascii_lowercase())
        && !name.ends_with('-')
        && name
            .bytes()
            .all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'));
    well_formed
        .then_some(SubjectKind::Workload)
        .ok_or(SubjectError::BadWorkloadName)
}

#[cfg(test)]
mod tests;
