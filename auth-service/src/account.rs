//! A person's account. Pure: knows neither the store nor the clock.

#[cfg(test)]
mod tests;

use std::fmt;

use jiff::Timestamp;
use token_verifier::Subject;

use crate::email::Email;
use crate::entropy::{Entropy, uuid_v4};
use crate::password::PasswordHash;

/// The longest display name, in characters after trimming.
pub const MAX_DISPLAY_NAME_CHARS: usize = 80;

/// What the auth service knows of a person.
#[derive(Clone, Debug)]
pub struct Account {
    /// `usr_<uuid>`.
    pub subject: Subject,
    /// As it was typed, and normalised.
    pub email: Email,
    /// May be empty; the profile service owns the name that other people see.
    pub display_name: DisplayName,
    /// Of the current password.
    pub password_hash: PasswordHash,
    /// When it was made.
    pub created_at: Timestamp,
    /// Since when it may not be signed in to.
    pub disabled_at: Option<Timestamp>,
}

impl Account {
    /// A new account under a subject that nobody had before.
    pub fn new(
        email: Email,
        display_name: DisplayName,
        password_hash: PasswordHash,
        now: Timestamp,
        entropy: &dyn Entropy,
    ) -> Self {
        let subject = Subject::parse(&format!("usr_{}", uuid_v4(entropy)))
            .expect("usr_ and a UUID make a subject");
        Self {
            subject,
            email,
            display_name,
            password_hash,
            created_at: crate::session::to_millisecond(now),
            disabled_at: None,
        }
    }
}

/// A name for people: trimmed, at most [`MAX_DISPLAY_NAME_CHARS`], no control characters.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct DisplayName(String);

/// Why something is not a display name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DisplayNameError {
    /// More than [`MAX_DISPLAY_NAME_CHARS`] characters.
    #[error("must be at most {MAX_DISPLAY_NAME_CHARS} characters long")]
    TooLong,
    /// A control character.
    #[error("must not contain control characters")]
    Control,
}

impl DisplayName {
    /// Checks what a client sent.
    pub fn parse(received: &str) -> Result<Self, DisplayNameError> {
        let name = received.trim();
        if name.chars().take(MAX_DISPLAY_NAME_CHARS + 1).count() > MAX_DISPLAY_NAME_CHARS {
            return Err(DisplayNameError::TooLong);
        }
        if name
            .chars()
            .any(|c| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}'))
        {
            return Err(DisplayNameError::Control);
        }
        Ok(Self(name.to_owned()))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Prints nothing of the name: it must not reach a log.
impl fmt::Debug for DisplayName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DisplayName(..)")
    }
}
