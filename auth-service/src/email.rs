//! E-mail addresses, and the one rule by which two of them are the same.
//!
//! The rule: surrounding whitespace is dropped, then Unicode NFKC, then lower
//! case (a final sigma counts as a sigma), then NFKC again. Accounts are unique
//! by the result and limits count by it, so that no way of writing an address
//! reaches the same account through another bucket. The local part is folded too:
//! RFC 5321 lets it be case-sensitive, people do not.
//!
//! Not here: internationalised domain names are not turned into punycode, and
//! nobody asks the network whether the address exists.

#[cfg(test)]
mod tests;

use std::fmt;

use unicode_normalization::UnicodeNormalization as _;

/// The shortest address there can be: `a@b`.
pub const MIN_BYTES: usize = 3;
/// The longest forward path that SMTP carries (RFC 5321 section 4.5.3.1.3, less its brackets).
pub const MAX_BYTES: usize = 254;

/// An e-mail address that passed the checks.
///
/// Equality is that of the normalised form.
#[derive(Clone)]
pub struct Email {
    typed: String,
    normalised: String,
}

/// Why something is not an e-mail address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EmailError {
    /// Outside [`MIN_BYTES`] to [`MAX_BYTES`], as typed or normalised.
    #[error("must be {MIN_BYTES} to {MAX_BYTES} bytes long")]
    Length,
    /// None or several `@`, or nothing on one of its sides.
    #[error("must have one @ with something before and after it")]
    At,
    /// Whitespace, a control character, or one that cannot be seen.
    #[error("must not contain spaces, control characters or invisible characters")]
    Character,
}

impl Email {
    /// Checks what a client sent.
    pub fn parse(received: &str) -> Result<Self, EmailError> {
        // Before trimming: a megabyte of spaces is not worth reading.
        if received.len() > 2 * MAX_BYTES {
            return Err(EmailError::Length);
        }
        let typed = received.trim();
        check_length(typed)?;
        let normalised = normalise(typed);
        check_length(&normalised)?;
        // After normalising, because NFKC makes spaces and `@` out of other characters.
        if normalised.chars().chain(typed.chars()).any(is_forbidden) {
            return Err(EmailError::Character);
        }
        match normalised.split_once('@') {
            Some((local, domain))
                if !local.is_empty() && !domain.is_empty() && !domain.contains('@') => {}
            _ => return Err(EmailError::At),
        }
        Ok(Self {
            typed: typed.to_owned(),
            normalised,
        })
    }

    /// As it was typed, trimmed.
    pub fn as_typed(&self) -> &str {
        &self.typed
    }

    /// What decides whether two addresses are the same.
    pub fn normalised(&self) -> &str {
        &self.normalised
    }

    /// What stands before the `@` of the normalised form.
    pub fn local_part(&self) -> &str {
        self.normalised
            .split_once('@')
            .map_or("", |(local, _)| local)
    }
}

impl PartialEq for Email {
    fn eq(&self, other: &Self) -> bool {
        self.normalised == other.normalised
    }
}

impl Eq for Email {}

/// Prints nothing of the address: it must not reach a log.
impl fmt::Debug for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Email(..)")
    }
}

fn check_length(text: &str) -> Result<(), EmailError> {
    if (MIN_BYTES..=MAX_BYTES).contains(&text.len()) {
        Ok(())
    } else {
        Err(EmailError::Length)
    }
}

fn normalise(typed: &str) -> String {
    typed
        .nfkc()
        .flat_map(char::to_lowercase)
        .map(fold_sigma)
        .nfkc()
        .collect()
}

/// `ΑΣ` is written `ας` or `ασ` in small letters; both are the same address.
fn fold_sigma(character: char) -> char {
    if character == 'ς' { 'σ' } else { character }
}

fn is_forbidden(character: char) -> bool {
    character.is_whitespace() || character.is_control() || is_invisible(character)
}

/// Soft hyphen, zero-width and directional characters, variation selectors and
/// tags: with them one could register what looks like somebody else's address.
fn is_invisible(character: char) -> bool {
    matches!(
        character,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}'
            | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}'
    )
}
