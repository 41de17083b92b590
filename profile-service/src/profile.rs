//! A profile and its rules. Pure: it knows neither messages, rows nor the time.
//!
//! Each field has a type of its own that only a checked value can have. Which fields a
//! request may change, and how, is in [`update`].

pub(crate) mod update;

mod display_name;
#[cfg(test)]
mod tests;

use iso_currency::Currency as IsoCurrency;
use unic_langid::LanguageIdentifier;

pub(crate) use self::display_name::DisplayName;

/// How a subject wants to be met. `None` is "never set", which reads as the default
/// and which a merge may fill.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Profile {
    /// What to call them; no default.
    pub(crate) display_name: Option<DisplayName>,
    /// Default: [`Theme::System`].
    pub(crate) theme: Option<Theme>,
    /// Default: [`Locale::default`].
    pub(crate) locale: Option<Locale>,
    /// Default: [`Currency::default`].
    pub(crate) currency: Option<Currency>,
}

impl Profile {
    /// Takes in a guest's profile: field by field, the guest's value survives unless
    /// this profile has one of its own.
    pub(crate) fn merge(&mut self, guest: Self) {
        self.display_name = self.display_name.take().or(guest.display_name);
        self.theme = self.theme.or(guest.theme);
        self.locale = self.locale.take().or(guest.locale);
        self.currency = self.currency.or(guest.currency);
    }
}

/// Light, dark, or whatever the system says.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) enum Theme {
    /// Dark on light.
    Light,
    /// Light on dark.
    Dark,
    /// As the person's system is set.
    #[default]
    System,
}

impl Theme {
    /// Reads the exact word.
    pub(crate) fn parse(text: &str) -> Result<Self, ThemeError> {
        match text {
            "light" => Ok(Self::Light),
            "dark" => Ok(Self::Dark),
            "system" => Ok(Self::System),
            _ => Err(ThemeError),
        }
    }

    /// The word.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Light => "light",
            Self::Dark => "dark",
            Self::System => "system",
        }
    }
}

/// A text that is no theme.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("must be light, dark or system")]
pub(crate) struct ThemeError;

/// A language with, perhaps, script, region and variants: a BCP 47 tag in its
/// canonical form, so that equal locales are equal strings.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Locale(String);

impl Locale {
    /// The longest tag, in bytes: what RFC 5646, section 4.4.1, asks a buffer to hold.
    pub(crate) const MAX_LENGTH: usize = 35;

    /// Reads a tag in any case and gives it its canonical one.
    ///
    /// Refused, although BCP 47 has them: extensions and private use, which say more
    /// than a locale here can mean; and `und`, because a locale that names no language
    /// helps nobody. `_` for `-` is refused because BCP 47 has it not.
    pub(crate) fn parse(text: &str) -> Result<Self, LocaleError> {
        if text.is_empty() || text.len() > Self::MAX_LENGTH || text.contains('_') {
            return Err(LocaleError);
        }
        let tag: LanguageIdentifier = text.parse().map_err(|_| LocaleError)?;
        if tag.language.is_empty() {
            return Err(LocaleError);
        }
        Ok(Self(tag.to_string()))
    }

    /// The canonical tag.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for Locale {
    /// English, of nowhere in particular: the language of the shop's texts.
    fn default() -> Self {
        Self("en".into())
    }
}

/// A text that is no locale.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("must be a BCP 47 language tag of at most 35 characters, for example en-GB")]
pub(crate) struct LocaleError;

/// A currency of ISO 4217.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Currency(IsoCurrency);

impl Currency {
    /// Reads an upper-case alphabetic code.
    ///
    /// `eur` is refused rather than corrected: the standard's codes are upper-case, and
    /// a client that sends another case compares codes wrongly somewhere else too.
    pub(crate) fn parse(text: &str) -> Result<Self, CurrencyError> {
        let is_spelt_as_a_code = text.len() == 3 && text.bytes().all(|b| b.is_ascii_uppercase());
        let code = is_spelt_as_a_code
            .then(|| IsoCurrency::from_code(text))
            .flatten();
        code.map(Self).ok_or(CurrencyError)
    }

    /// The code.
    pub(crate) fn as_str(&self) -> &str {
        self.0.code()
    }
}

impl Default for Currency {
    /// The shop's own.
    fn default() -> Self {
        Self(IsoCurrency::EUR)
    }
}

/// A text that is no currency.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("must be an upper-case ISO 4217 code, for example EUR")]
pub(crate) struct CurrencyError;
