//! TJ-14 and the rest of what nobody thought of: arbitrary and slightly wrong tokens.

use std::sync::LazyLock;

use proptest::prelude::*;
use token_verifier::testing::TestIssuer;
use token_verifier::{KeySet, Subject};

use crate::stage::{ISSUER, Stage};

static ED25519: LazyLock<Stage> = LazyLock::new(Stage::new);
static P256: LazyLock<Stage> = LazyLock::new(|| Stage::of(TestIssuer::es256(ISSUER)));

fn ascii() -> impl Strategy<Value = char> {
    (0x20u8..0x7f).prop_map(char::from)
}

proptest! {
    #[test]
    fn any_text_is_refused_and_none_panics(text in any::<String>()) {
        prop_assert!(ED25519.verifier.verify(&text).is_err());
    }

    #[test]
    fn any_three_parts_are_refused(text in "[A-Za-z0-9_-]{0,80}\\.[A-Za-z0-9_-]{0,80}\\.[A-Za-z0-9_-]{0,90}") {
        prop_assert!(ED25519.verifier.verify(&text).is_err());
    }

    #[test]
    fn any_signed_header_and_payload_are_refused(
        header in any::<Vec<u8>>(),
        payload in any::<Vec<u8>>(),
    ) {
        let stage = &*ED25519;
        prop_assert!(stage.verifier.verify(&stage.issuer.sign(&header, &payload)).is_err());
        let token = stage.issuer.sign(stage.header().to_string(), &payload);
        prop_assert_eq!(stage.verifier.verify(&token).unwrap_err().reason(), "claims_invalid");
    }

    #[test]
    fn any_key_set_is_read_without_panic(document in any::<Vec<u8>>()) {
        prop_assert!(KeySet::from_json(&document).is_err());
    }

    #[test]
    fn any_subject_is_canonical_or_refused(text in "(usr_|gst_|svc_|anonymous)?[0-9a-fA-F-]{0,40}") {
        if let Ok(subject) = Subject::parse(&text) {
            prop_assert_eq!(subject.as_str(), text);
        }
    }

    #[test]
    fn any_other_character_anywhere_is_refused(at in any::<prop::sample::Index>(), other in ascii()) {
        for stage in [&*ED25519, &*P256] {
            let mut text = stage.token();
            let at = at.index(text.len());
            prop_assume!(text.as_bytes()[at] != other as u8);
            text.replace_range(at..=at, other.encode_utf8(&mut [0; 4]));
            prop_assert!(stage.verifier.verify(&text).is_err());
        }
    }

    #[test]
    fn any_piece_missing_is_refused(
        from in any::<prop::sample::Index>(),
        length in 1usize..600,
    ) {
        let mut text = ED25519.token();
        let from = from.index(text.len());
        text.replace_range(from..(from + length).min(text.len()), "");
        prop_assert!(ED25519.verifier.verify(&text).is_err());
    }
}

/// Not at random: each position of a token, with the next character of the alphabet.
#[test]
fn every_single_changed_character_is_refused() {
    let stage = Stage::new();
    let token = stage.token();
    stage.accepts(&token);
    for at in 0..token.len() {
        for other in ["A", "B", "_", ".", "="] {
            let mut text = token.clone();
            text.replace_range(at..=at, other);
            assert!(
                text == token || stage.verifier.verify(&text).is_err(),
                "{at} {other}"
            );
        }
    }
}
