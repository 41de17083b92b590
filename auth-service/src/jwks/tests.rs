use super::*;

/// RFC 8037, A.2 and A.3.
const RFC_8037_X: &str = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";
const RFC_8037_THUMBPRINT: &str = "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k";

fn example() -> PublicJwk {
    PublicJwk::from_json(&format!(
        r#"{{"kty":"OKP","crv":"Ed25519","x":"{RFC_8037_X}"}}"#
    ))
    .unwrap()
}

#[test]
fn kid_is_the_thumbprint_of_rfc_8037() {
    assert_eq!(example().kid(), RFC_8037_THUMBPRINT);
}

#[test]
fn reads_what_the_document_shows() {
    let document = JwksDocument::new([&example()]);
    let value: serde_json::Value = serde_json::from_slice(document.body()).unwrap();
    let key = value["keys"][0].to_string();
    assert_eq!(PublicJwk::from_json(&key), Ok(example()));
}

#[test]
fn document_has_public_members_only() {
    let document = JwksDocument::new([&example()]);
    let expected = format!(
        r#"{{"keys":[{{"kty":"OKP","crv":"Ed25519","x":"{RFC_8037_X}","use":"sig","alg":"EdDSA","kid":"{RFC_8037_THUMBPRINT}"}}]}}"#
    );
    assert_eq!(document.body(), expected.as_bytes());
}

#[test]
fn tag_follows_the_bytes() {
    let one = JwksDocument::new([&example()]);
    let other = JwksDocument::new([&example(), &PublicJwk::from_bytes(&[9; 32]).unwrap()]);
    assert_eq!(one.etag(), JwksDocument::new([&example()]).etag());
    assert_ne!(one.etag(), other.etag());
    assert!(one.etag().starts_with('"') && one.etag().ends_with('"'));
}

#[track_caller]
fn check(json: &str, expected: PublicJwkError) {
    assert_eq!(PublicJwk::from_json(json), Err(expected), "{json}");
}

#[test]
fn refuses_what_is_not_a_public_ed25519_key() {
    use PublicJwkError::{Format, KeyId, Kind, Length};
    let with =
        |member: &str| format!(r#"{{"kty":"OKP","crv":"Ed25519","x":"{RFC_8037_X}",{member}}}"#);
    check("", Format);
    check("null", Format);
    check(
        &format!(r#"["OKP","Ed25519","{RFC_8037_X}",null,null,null]"#),
        Format,
    );
    check(
        &with(r#""d":"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A""#),
        Format,
    );
    check(&with(r#""x5u":"http://example.com""#), Format);
    check(&with(&format!(r#""x":"{RFC_8037_X}""#)), Format);
    check(&with(r#""use":"enc""#), Kind);
    check(&with(r#""alg":"HS256""#), Kind);
    check(&with(r#""kid":"another""#), KeyId);
    check(r#"{"kty":"OKP","crv":"X25519","x":"AA"}"#, Kind);
    check(r#"{"kty":"oct","crv":"Ed25519","x":"AA"}"#, Kind);
    check(r#"{"kty":"OKP","crv":"Ed25519","x":"AA"}"#, Length);
    check(
        &format!(r#"{{"kty":"OKP","crv":"Ed25519","x":"{RFC_8037_X}="}}"#),
        Length,
    );
}

#[test]
fn refuses_points_of_small_order_with_either_sign() {
    for mut point in SMALL_ORDER {
        assert_eq!(PublicJwk::from_bytes(&point), Err(PublicJwkError::Weak));
        point[31] |= 0x80;
        assert_eq!(PublicJwk::from_bytes(&point), Err(PublicJwkError::Weak));
    }
}
