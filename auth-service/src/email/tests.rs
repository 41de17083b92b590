use proptest::prelude::*;

use super::*;

#[track_caller]
fn check(received: &str, expected: Result<&str, EmailError>) {
    let parsed = Email::parse(received).map(|email| email.normalised().to_owned());
    assert_eq!(parsed.as_deref().map_err(|e| *e), expected, "{received:?}");
}

#[test]
fn takes_addresses() {
    check("a@b", Ok("a@b"));
    check("ann+shop@example.com", Ok("ann+shop@example.com"));
    check(
        &format!("{}@example.com", "a".repeat(242)),
        Ok(&format!("{}@example.com", "a".repeat(242))),
    );
    check("用户@例え.jp", Ok("用户@例え.jp"));
}

#[test]
fn refuses_what_is_no_address() {
    use EmailError::{At, Character, Length};
    check("", Err(Length));
    check("@b", Err(Length));
    check("     ", Err(Length));
    check(&format!("{}@example.com", "a".repeat(243)), Err(Length));
    check(&"a@".repeat(500_000), Err(Length));
    check("ann.example.com", Err(At));
    check("ann@", Err(At));
    check("@example.com", Err(At));
    check("ann@b@c", Err(At));
    check("ann\u{ff20}b@c", Err(At));
    check("ann b@c", Err(Character));
    check("ann\0@example.com", Err(Character));
    check("ann@example.com\r\nBcc: x@y", Err(Character));
    check("ann\u{a0}b@c", Err(Character));
    check("ann\u{200b}@example.com", Err(Character));
    check("ann\u{202e}@example.com", Err(Character));
    check("a\u{ad}nn@example.com", Err(Character));
    // Eighteen times as long once normalised.
    check(&format!("{}@b", "\u{fdfa}".repeat(80)), Err(Length));
}

#[test]
fn variants_are_the_same_address() {
    for variant in [
        "ANN@Example.COM",
        "  ann@example.com\t",
        "ａｎｎ@example.com",
        "ann＠example.com",
        "ann@ｅxample．com",
    ] {
        check(variant, Ok("ann@example.com"));
    }
    // Composed and decomposed, small and capital.
    check("jose\u{301}@b.c", Ok("jos\u{e9}@b.c"));
    check("JOS\u{c9}@b.c", Ok("jos\u{e9}@b.c"));
    // A capital sigma at the end of a word, and both small ones.
    check("ΝΙΚΟΣ@b.c", Ok("νικοσ@b.c"));
    check("νικος@b.c", Ok("νικοσ@b.c"));
}

#[test]
fn keeps_what_was_typed_and_prints_nothing() {
    let email = Email::parse(" Ann@Example.com ").unwrap();
    assert_eq!(email.as_typed(), "Ann@Example.com");
    assert_eq!(email.local_part(), "ann");
    assert_eq!(format!("{email:?}"), "Email(..)");
}

proptest! {
    #[test]
    fn normalising_again_changes_nothing(text in "\\PC{1,20}@\\PC{1,20}") {
        if let Ok(email) = Email::parse(&text) {
            let again = Email::parse(email.normalised());
            // What a store keeps as typed reads back as the same account.
            let typed = Email::parse(email.as_typed());
            prop_assert_eq!(again.as_ref(), Ok(&email));
            prop_assert_eq!(typed.as_ref(), Ok(&email));
        }
    }

    #[test]
    fn case_makes_no_difference(text in "[a-z0-9.+à-öά-ώа-я]{1,20}@[a-z]{1,9}\\.[a-z]{2,3}") {
        let upper = text.to_uppercase();
        prop_assert_eq!(Email::parse(&text), Email::parse(&upper));
    }
}
