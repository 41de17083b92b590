//! Which passwords are acceptable (ASVS 6.2, NIST SP 800-63B-4): long enough, not
//! absurdly long, not among the common ones, not made of what everybody can see of
//! the person. Nothing about digits and punctuation.

use super::{Password, common};
use crate::email::Email;

/// The fewest characters (Unicode scalar values) of a password.
pub const MIN_CHARS: usize = 8;
/// The most characters of a password.
pub const MAX_CHARS: usize = 256;
/// The most bytes: 256 characters of four bytes each. Checked before anything else.
pub const MAX_BYTES: usize = 1024;

/// A context word and up to this many other characters are still that word:
/// `latchkey2024`.
const MAX_PADDING_CHARS: usize = 4;
/// A shorter word is never most of a password that is long enough.
const MIN_WORD_CHARS: usize = MIN_CHARS - MAX_PADDING_CHARS;

/// Why a password is not acceptable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    /// Nothing at all.
    #[error("must not be empty")]
    Empty,
    /// Fewer than [`MIN_CHARS`].
    #[error("must be at least {MIN_CHARS} characters long")]
    TooShort,
    /// More than [`MAX_CHARS`] or [`MAX_BYTES`].
    #[error("must be at most {MAX_CHARS} characters long")]
    TooLong,
    /// On the list that attackers try first.
    #[error("is among the most common passwords")]
    Common,
    /// Little more than the e-mail address, the name or the product.
    #[error("must not be made of the e-mail address, the name or the name of this service")]
    Context,
}

/// What can be known of a person without knowing them.
#[derive(Clone, Copy, Debug, Default)]
pub struct Context<'a> {
    /// Their address.
    pub email: Option<&'a Email>,
    /// Their display name.
    pub display_name: &'a str,
}

/// Whether a password that was set before could be this one: only length counts,
/// for the rules may have been different then.
pub fn check_length(password: &Password) -> Result<(), PolicyError> {
    let text = password.expose();
    if text.is_empty() {
        return Err(PolicyError::Empty);
    }
    if text.len() > MAX_BYTES || text.chars().count() > MAX_CHARS {
        return Err(PolicyError::TooLong);
    }
    Ok(())
}

/// Whether a password may be set.
pub fn check(password: &Password, context: &Context<'_>) -> Result<(), PolicyError> {
    check_length(password)?;
    let text = password.expose();
    if text.chars().count() < MIN_CHARS {
        return Err(PolicyError::TooShort);
    }
    let lower = zeroize::Zeroizing::new(text.to_lowercase());
    if common::contains(&lower) {
        return Err(PolicyError::Common);
    }
    if words(context)
        .iter()
        .any(|word| is_little_more_than(&lower, word))
    {
        return Err(PolicyError::Context);
    }
    Ok(())
}

fn words(context: &Context<'_>) -> Vec<String> {
    let mut words = vec!["latchkey".to_owned()];
    if let Some(email) = context.email {
        words.extend([email.normalised().to_owned(), email.local_part().to_owned()]);
    }
    let name = context.display_name.to_lowercase();
    words.extend(name.split_whitespace().map(str::to_owned));
    words.push(name);
    words.retain(|word| word.chars().count() >= MIN_WORD_CHARS);
    words
}

fn is_little_more_than(password: &str, word: &str) -> bool {
    let padding = password
        .chars()
        .count()
        .saturating_sub(word.chars().count());
    password.contains(word) && padding <= MAX_PADDING_CHARS
}
