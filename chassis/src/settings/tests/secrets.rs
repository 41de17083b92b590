//! Secrets come in and never out.

use super::*;

const CANARY: &str = "c4n4ry-s3cr3t";

fn secret(section: &mut Section<'_>) -> Option<SecretString> {
    section.section("store", |store| store.secret("password"))
}

fn check(text: &str, expected: &str) {
    let problems = read(Sources::from_toml("g.toml", text), |section| {
        let found = secret(section);
        if found.is_none() && !section.has("store") {
            section.problem("store.password", "missing");
        }
        Some(found)
    });
    let problems = problems.unwrap_err().to_string();
    assert!(problems.contains(expected), "{problems}");
    assert!(!problems.contains(CANARY), "{problems}");
}

#[test]
fn a_secret_is_a_value_or_a_file() {
    let inline = format!("store.password = '{CANARY}'");
    let found = read(Sources::from_toml("g.toml", &inline), secret).unwrap();
    assert_eq!(found.expose_secret(), CANARY);
    let file = tempfile::NamedTempFile::new().unwrap();
    for written in [
        CANARY.to_owned(),
        format!("{CANARY}\n"),
        format!("{CANARY}\r\n"),
    ] {
        std::fs::write(file.path(), written).unwrap();
        let text = format!("store.password_file = '{}'", file.path().display());
        let found = read(Sources::from_toml("g.toml", &text), secret).unwrap();
        assert_eq!(found.expose_secret(), CANARY);
    }
}

#[test]
fn typed_secrets_are_taken_as_typed() {
    for typed in ["12345", "true", "[1]", "2026-01-01", "a=b"] {
        let sources = Sources::default().with(&format!("store.password={typed}"));
        let found = read(sources, secret).unwrap();
        assert_eq!(found.expose_secret(), typed);
    }
}

#[test]
fn bad_secrets_are_named_and_not_shown() {
    check(
        &format!("store.password = '{CANARY}'\nstore.password_file = '/x'"),
        "store.password: set either this or store.password_file, not both (g.toml:1)",
    );
    check(
        "store.password = 12345",
        "store.password: must be a string (g.toml:1)",
    );
    check("store.password = ''", "store.password: is empty (g.toml:1)");
    check(
        "store.password_file = '/missing/file'",
        "cannot read /missing/file",
    );
    check(
        "store.password_file = ''",
        "store.password_file: is empty (g.toml:1)",
    );
    check(
        &format!("store.pasword = '{CANARY}'"),
        "did you mean `password`?",
    );
}

#[test]
fn secret_files_are_bounded() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let text = format!("store.password_file = '{}'", file.path().display());
    check(&text, "it is empty");
    std::fs::write(file.path(), CANARY.repeat(10_000)).unwrap();
    check(&text, "larger than 65536 bytes");
}

#[test]
fn printing_shows_no_secret() {
    let sources = Sources::from_toml("g.toml", &format!("store.password = '{CANARY}'"));
    let mut shown = format!("{sources:?}");
    let (found, effective) = read_effective(sources, |section| {
        shown += &format!("{section:?}");
        secret(section)
    })
    .unwrap();
    let command_line = CommandLine {
        set: vec![format!("store.password={CANARY}")],
        ..CommandLine::default()
    };
    shown += &format!("{effective} {effective:?} {found:?} {command_line:?}");
    assert!(!shown.contains(CANARY), "{shown}");
    assert!(
        effective
            .to_string()
            .contains("store.password = \"[redacted]\"")
    );
}
