//! A change of some fields: which ones a mask names, checked all together.

use super::{Currency, DisplayName, Locale, Profile, Theme};

/// How many violations one answer lists. They travel in a header, and a mask of
/// thousands of unknown paths must not make one that no client accepts.
const MAX_VIOLATIONS: usize = 16;
/// How much of an unknown path is repeated to the caller.
const MAX_SHOWN_PATH: usize = 40;

/// What a request says before anything is checked.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct UncheckedValues<'a> {
    /// See [`DisplayName`].
    pub(crate) display_name: &'a str,
    /// See [`Theme`].
    pub(crate) theme: &'a str,
    /// See [`Locale`].
    pub(crate) locale: &'a str,
    /// See [`Currency`].
    pub(crate) currency: &'a str,
}

/// New values for the fields that a mask named: at least one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Update {
    // A field that is not named is `None`; none can be set to "never set" again.
    named: Profile,
}

/// One field and the rule that it breaks.
pub(crate) type Violation = (&'static str, String);

impl Update {
    /// Reads the values that `paths` name and no others; or everything that is wrong
    /// with paths and values, at most [`MAX_VIOLATIONS`].
    ///
    /// A path that is named twice counts once: a mask is a set. `*` is refused: it
    /// would mean every field that there will ever be.
    pub(crate) fn read<'a>(
        paths: impl IntoIterator<Item = &'a str>,
        values: UncheckedValues<'_>,
    ) -> Result<Self, Vec<Violation>> {
        let mut named = Profile::default();
        let mut violations = Vec::new();
        let mut is_empty = true;
        for path in paths {
            is_empty = false;
            if let Err(violation) = set(&mut named, path, values) {
                // The same one again says nothing new.
                if violations.len() < MAX_VIOLATIONS && !violations.contains(&violation) {
                    violations.push(violation);
                }
            }
        }
        if is_empty {
            violations.push(("update_mask", "must name at least one field".into()));
        }
        if violations.is_empty() {
            Ok(Self { named })
        } else {
            Err(violations)
        }
    }

    /// Puts the new values in place.
    pub(crate) fn apply(self, profile: &mut Profile) {
        let Profile {
            display_name,
            theme,
            locale,
            currency,
        } = self.named;
        replace(&mut profile.display_name, display_name);
        replace(&mut profile.theme, theme);
        replace(&mut profile.locale, locale);
        replace(&mut profile.currency, currency);
    }
}

fn set(named: &mut Profile, path: &str, values: UncheckedValues<'_>) -> Result<(), Violation> {
    match path {
        "display_name" => {
            named.display_name = Some(checked(
                "display_name",
                DisplayName::parse(values.display_name),
            )?);
        }
        "theme" => named.theme = Some(checked("theme", Theme::parse(values.theme))?),
        "locale" => named.locale = Some(checked("locale", Locale::parse(values.locale))?),
        "currency" => named.currency = Some(checked("currency", Currency::parse(values.currency))?),
        "subject" => return Err(mask("subject comes from the token and cannot be changed")),
        "*" => return Err(mask("must name fields; `*` is not taken")),
        unknown => return Err(mask(format!("has no field `{}`", shown(unknown)))),
    }
    Ok(())
}

fn checked<T>(field: &'static str, value: Result<T, impl ToString>) -> Result<T, Violation> {
    value.map_err(|rule| (field, rule.to_string()))
}

fn mask(rule: impl Into<String>) -> Violation {
    ("update_mask", rule.into())
}

/// A stranger's text, short and on one line.
fn shown(path: &str) -> String {
    path.escape_debug().take(MAX_SHOWN_PATH).collect()
}

fn replace<T>(field: &mut Option<T>, new: Option<T>) {
    if new.is_some() {
        *field = new;
    }
}
