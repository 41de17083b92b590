//! What a person wants to be called, and what a name may be made of.

/// 1 to 80 characters without white space around them, that show as one line and in
/// the order in which they stand.
///
/// A character is a Unicode scalar value. Letters of all scripts, emoji (with their
/// joiners and variation selectors), and the marks that only hint at a direction
/// (U+200E, U+200F, U+061C) may be in it. Not allowed, because a name stands among
/// other people's text: control characters, line and paragraph separators, characters
/// that embed, override or isolate a direction and so reorder what follows (UAX #9),
/// and invisible characters that no script needs.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct DisplayName(String);

impl DisplayName {
    /// The longest name, in characters.
    pub(crate) const MAX_CHARACTERS: usize = 80;

    /// Trims white space and checks what is left.
    pub(crate) fn parse(text: &str) -> Result<Self, DisplayNameError> {
        let name = text.trim();
        if name.is_empty() || name.chars().count() > Self::MAX_CHARACTERS {
            return Err(DisplayNameError::Length);
        }
        if name.chars().any(is_refused) {
            return Err(DisplayNameError::Characters);
        }
        if name.chars().all(is_blank) {
            return Err(DisplayNameError::Invisible);
        }
        Ok(Self(name.to_owned()))
    }

    /// The name.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// A text that cannot be a display name.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub(crate) enum DisplayNameError {
    /// Empty after trimming, or too long.
    #[error("must be 1 to 80 characters after trimming")]
    Length,
    /// Something that must not stand among other people's text.
    #[error("must not contain control, line-breaking, direction-changing or hidden characters")]
    Characters,
    /// Nothing to see.
    #[error("must contain something visible")]
    Invisible,
}

fn is_refused(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{2028}' | '\u{2029}'                  // line and paragraph separator
            | '\u{202A}'..='\u{202E}'                // embeddings and overrides
            | '\u{2066}'..='\u{2069}'                // isolates
            | '\u{00AD}' | '\u{200B}' | '\u{FEFF}'   // soft hyphen, zero-width spaces
            | '\u{2060}'..='\u{2064}'                // word joiner, invisible operators
            | '\u{206A}'..='\u{206F}'                // deprecated format characters
            | '\u{FFF9}'..='\u{FFFB}' // interlinear annotation
        )
}

/// Allowed beside others, but nothing to see alone.
fn is_blank(character: char) -> bool {
    character.is_whitespace()
        || matches!(
            character,
            '\u{061C}' | '\u{200C}'..='\u{200F}'     // direction marks, joiners
            | '\u{034F}'                             // combining grapheme joiner
            | '\u{115F}' | '\u{1160}' | '\u{3164}' | '\u{FFA0}' // Hangul fillers
            | '\u{17B4}' | '\u{17B5}'                // Khmer inherent vowels
            | '\u{180B}'..='\u{180F}'                // Mongolian selectors
            | '\u{2800}'                             // braille blank
            | '\u{FE00}'..='\u{FE0F}'                // variation selectors
            | '\u{E0000}'..='\u{E0FFF}' // tags and more variation selectors
        )
}
