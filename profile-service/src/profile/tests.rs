use super::{
    Currency, DisplayName, Locale, Profile, Theme,
    display_name::DisplayNameError,
    update::{UncheckedValues, Update, Violation},
};

fn name(text: &str) -> Option<DisplayName> {
    Some(DisplayName::parse(text).unwrap())
}

fn locale(text: &str) -> Option<Locale> {
    Some(Locale::parse(text).unwrap())
}

fn currency(text: &str) -> Option<Currency> {
    Some(Currency::parse(text).unwrap())
}

#[test]
fn themes_are_three_exact_words() {
    for good in ["light", "dark", "system"] {
        assert_eq!(Theme::parse(good).unwrap().as_str(), good);
    }
    for bad in [
        "", "Light", "DARK", " dark", "dark ", "auto", "light\0", "ligth",
    ] {
        assert!(Theme::parse(bad).is_err(), "{bad:?}");
    }
}

#[test]
fn locales_get_their_canonical_form() {
    for (text, canonical) in [
        ("en", "en"),
        ("EN", "en"),
        ("en-gb", "en-GB"),
        ("EN-latn-us", "en-Latn-US"),
        ("zh-HANT-tw", "zh-Hant-TW"),
        ("es-419", "es-419"),
        ("de-CH-1996", "de-CH-1996"),
        ("sl-ROZAJ-biske", "sl-biske-rozaj"),
        ("gsw", "gsw"),
    ] {
        let locale = Locale::parse(text).unwrap();
        assert_eq!(locale.as_str(), canonical);
        assert_eq!(
            Locale::parse(canonical).unwrap(),
            locale,
            "canonical is final"
        );
    }
}

#[test]
fn texts_that_are_no_locale_are_refused() {
    let long = format!("en-{}", ["variant1"; 4].join("-"));
    assert!(long.len() > 35);
    for bad in [
        "",
        "-",
        "e",
        "en-",
        "-en",
        "en--GB",
        "en_GB",
        "en GB",
        " en",
        "en\n",
        "english1",
        "en-GB-oxendict-x-y",
        "en-u-ca-gregory",
        "x-private",
        "und",
        "UND-Latn",
        "i-klingon",
        "*",
        "en-US,de",
        "../en",
        "ën",
        "en-GB\0",
        &long,
    ] {
        assert!(Locale::parse(bad).is_err(), "{bad:?}");
    }
}

#[test]
fn currencies_are_upper_case_iso_codes() {
    for good in ["EUR", "USD", "CHF", "JPY", "BHD", "XXX"] {
        assert_eq!(Currency::parse(good).unwrap().as_str(), good);
    }
    for bad in [
        "", "eur", "Eur", "EU", "EURO", "EUR ", " EUR", "ABC", "978", "€", "EÜR", "E\0R",
    ] {
        assert!(Currency::parse(bad).is_err(), "{bad:?}");
    }
}

#[test]
fn names_are_trimmed_and_1_to_80_characters() {
    assert_eq!(
        DisplayName::parse("  Ada Lovelace\t\u{3000}")
            .unwrap()
            .as_str(),
        "Ada Lovelace"
    );
    assert!(
        DisplayName::parse(&"é".repeat(80)).is_ok(),
        "characters count, not bytes"
    );
    assert!(DisplayName::parse(&format!("  {}  ", "x".repeat(80))).is_ok());
    for bad in ["", "   ", "\t\n", "\u{2003}", &"x".repeat(81)] {
        assert_eq!(
            DisplayName::parse(bad),
            Err(DisplayNameError::Length),
            "{bad:?}"
        );
    }
}

#[test]
fn names_of_all_scripts_are_welcome() {
    for good in [
        "O'Brien",
        "Nguyễn Văn An",
        "محمد",
        "דוד",
        "山田 太郎",
        "नमस्ते",
        "می\u{200C}خواهم",
        "👩\u{200D}👩\u{200D}👧",
        "🏴\u{E0067}\u{E0062}\u{E0065}\u{E006E}\u{E0067}\u{E007F}",
        "❤\u{FE0F}",
        "דוד\u{200E} (David)",
        "<b>Bobby</b>",
        "'; DROP TABLE profiles; --",
        "x",
    ] {
        assert_eq!(DisplayName::parse(good).unwrap().as_str(), good);
    }
}

#[test]
fn names_that_would_disturb_their_neighbours_are_refused() {
    for bad in [
        "a\nb",
        "a\rb",
        "a\tb",
        "a\0b",
        "a\u{1B}[31mb",
        "a\u{7F}b",
        "a\u{85}b",
        "a\u{2028}b",
        "a\u{2029}b",
        "a\u{202A}b",
        "a\u{202E}b",
        "a\u{202C}b",
        "a\u{2066}b",
        "a\u{2069}b",
        "a\u{200B}b",
        "a\u{FEFF}b",
        "a\u{2060}b",
        "a\u{AD}b",
        "a\u{FFF9}b",
        "a\u{206F}b",
    ] {
        assert_eq!(
            DisplayName::parse(bad),
            Err(DisplayNameError::Characters),
            "{bad:?}"
        );
    }
}

#[test]
fn names_with_nothing_to_see_are_refused() {
    for bad in [
        "\u{200D}",
        "\u{3164}",
        "\u{2800}\u{2800}",
        "\u{200E} \u{200F}",
        "\u{FE0F}",
    ] {
        assert_eq!(
            DisplayName::parse(bad),
            Err(DisplayNameError::Invisible),
            "{bad:?}"
        );
    }
}

#[test]
fn a_merge_keeps_the_users_values_and_fills_the_gaps() {
    let mut user = Profile {
        display_name: name("Ada"),
        theme: Some(Theme::Light),
        ..Profile::default()
    };
    user.merge(Profile {
        display_name: name("Guest"),
        theme: Some(Theme::Dark),
        locale: locale("de-CH"),
        currency: None,
    });
    let expected = Profile {
        display_name: name("Ada"),
        theme: Some(Theme::Light),
        locale: locale("de-CH"),
        currency: None,
    };
    assert_eq!(user, expected);
    user.merge(Profile {
        currency: currency("CHF"),
        ..Profile::default()
    });
    assert_eq!(
        user,
        Profile {
            currency: currency("CHF"),
            ..expected
        }
    );
}

#[test]
fn a_value_that_was_set_to_the_default_is_set() {
    let mut user = Profile {
        theme: Some(Theme::System),
        ..Profile::default()
    };
    user.merge(Profile {
        theme: Some(Theme::Dark),
        ..Profile::default()
    });
    assert_eq!(user.theme, Some(Theme::System));
}

const VALUES: UncheckedValues<'_> = UncheckedValues {
    display_name: " Ada ",
    theme: "dark",
    locale: "de-ch",
    currency: "CHF",
};

fn applied(paths: &[&str], values: UncheckedValues<'_>) -> Result<Profile, Vec<Violation>> {
    let mut profile = Profile {
        theme: Some(Theme::Light),
        ..Profile::default()
    };
    Update::read(paths.iter().copied(), values)?.apply(&mut profile);
    Ok(profile)
}

#[track_caller]
fn check_refused(paths: &[&str], values: UncheckedValues<'_>, fields: &[&str]) {
    let violations = applied(paths, values).unwrap_err();
    let found: Vec<_> = violations.iter().map(|(field, _)| *field).collect();
    assert_eq!(found, fields, "{violations:?}");
}

#[test]
fn an_update_sets_the_named_fields_only() {
    let profile = applied(&["display_name", "locale"], VALUES).unwrap();
    assert_eq!(
        (profile.display_name, profile.locale),
        (name("Ada"), locale("de-CH"))
    );
    assert_eq!(
        (profile.theme, profile.currency),
        (Some(Theme::Light), None)
    );
}

#[test]
fn a_field_that_is_not_named_is_not_even_looked_at() {
    let values = UncheckedValues {
        theme: "plaid",
        currency: "gold",
        ..VALUES
    };
    assert!(applied(&["display_name"], values).is_ok());
}

#[test]
fn a_path_named_twice_counts_once() {
    assert_eq!(
        applied(&["theme", "theme"], VALUES),
        applied(&["theme"], VALUES)
    );
    let values = UncheckedValues {
        theme: "plaid",
        ..VALUES
    };
    check_refused(&["theme", "theme"], values, &["theme"]);
}

#[test]
fn a_mask_must_name_fields_that_can_change() {
    check_refused(&[], VALUES, &["update_mask"]);
    for bad in [
        "subject",
        "*",
        "",
        "name",
        "displayName",
        "display_name ",
        "profile.theme",
        "theme.x",
        "Theme",
        "theme,locale",
    ] {
        check_refused(&["theme", bad], VALUES, &["update_mask"]);
    }
}

#[test]
fn everything_that_is_wrong_is_reported_at_once() {
    let values = UncheckedValues {
        display_name: " ",
        theme: "plaid",
        locale: "en_GB",
        currency: "eur",
    };
    check_refused(
        &[
            "theme",
            "display_name",
            "currency",
            "nonsense",
            "locale",
            "subject",
        ],
        values,
        &[
            "theme",
            "display_name",
            "currency",
            "update_mask",
            "locale",
            "update_mask",
        ],
    );
}

#[test]
fn no_field_can_be_emptied() {
    check_refused(
        &["display_name", "theme", "locale", "currency"],
        UncheckedValues::default(),
        &["display_name", "theme", "locale", "currency"],
    );
}

#[test]
fn the_answer_to_a_hostile_mask_stays_small() {
    let paths: Vec<_> = (0..5_000)
        .map(|number| format!("{number}\n\u{202E}{}", "x".repeat(500)))
        .collect();
    let violations = Update::read(paths.iter().map(String::as_str), VALUES).unwrap_err();
    let size: usize = violations
        .iter()
        .map(|(field, rule)| field.len() + rule.len())
        .sum();
    assert!(
        violations.len() == 16 && size < 2_000,
        "{} of {size} bytes",
        violations.len()
    );
    assert!(
        violations
            .iter()
            .all(|(_, rule)| !rule.contains(['\n', '\u{202E}']))
    );
}
