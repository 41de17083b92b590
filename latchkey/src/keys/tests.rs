use super::*;

fn key(kid: &str, state: SigningKeyState, next_change: Option<i64>) -> Key {
    let instant = |seconds| prost_types::Timestamp { seconds, nanos: 5 };
    SigningKey {
        kid: kid.to_owned(),
        algorithm: "EdDSA".to_owned(),
        state: state.into(),
        created_at: Some(instant(0)),
        activated_at: None,
        retiring_at: None,
        next_change_at: next_change.map(instant),
    }
    .into()
}

#[test]
fn columns_stand_under_their_heads() {
    let keys = [
        key("short", SigningKeyState::Active, Some(86_400)),
        key("somewhat-longer", SigningKeyState::Upcoming, None),
    ];
    assert_eq!(
        table(&keys),
        "\
KID              STATE     ALGORITHM  CREATED               NEXT CHANGE
short            active    EdDSA      1970-01-01T00:00:00Z  1970-01-02T00:00:00Z
somewhat-longer  upcoming  EdDSA      1970-01-01T00:00:00Z  -
"
    );
}

#[test]
fn scripts_get_every_field_also_when_it_is_empty() {
    let json = serde_json::to_value(key("k", SigningKeyState::Retiring, None)).unwrap();
    let expected = serde_json::json!({
        "kid": "k", "algorithm": "EdDSA", "state": "retiring",
        "created_at": "1970-01-01T00:00:00Z", "activated_at": null, "retiring_at": null,
        "next_change_at": null,
    });
    assert_eq!(json, expected);
}

#[test]
fn an_instant_that_does_not_exist_is_left_out() {
    let absurd = prost_types::Timestamp {
        seconds: i64::MAX,
        nanos: 0,
    };
    assert_eq!(text(absurd), None);
}
