use serde_json::{Value, json};

use super::*;

const USER: &str = "usr_018f4c1e-7b1a-7c3d-8e5f-0a1b2c3d4e5f";
const GUEST: &str = "gst_018f4c1e-7b1a-7c3d-8e5f-0a1b2c3d4e5f";

fn good() -> Value {
    json!({
        "iss": "http://issuer", "aud": "cart-service", "sub": USER, "client_id": "gateway",
        "iat": 1_000, "exp": 1_060, "jti": "token-1",
    })
}

fn with(claim: &str, value: Value) -> Result<Claims, ClaimsError> {
    let mut claims = good();
    claims[claim] = value;
    Claims::read(claims.to_string().as_bytes())
}

#[test]
fn reads_every_claim() {
    let mut claims = good();
    claims["sid"] = "session-1".into();
    claims["nbf"] = 1_001.into();
    claims["scope"] = "cart:read cart:write".into();
    claims["auth_time"] = 900.into();
    claims["acr"] = "1".into();
    claims["amr"] = json!(["pwd", "otp"]);
    claims["prior_sub"] = GUEST.into();
    claims["act"] = json!({"sub": "svc_cart", "act": {"sub": "svc_gateway", "iss": "x"}});
    claims["unknown"] = json!({"is": ["ignored"]});
    let claims = Claims::read(claims.to_string().as_bytes()).unwrap();
    assert_eq!(claims.subject.as_str(), USER);
    assert_eq!(claims.session_id.as_deref(), Some("session-1"));
    assert_eq!(claims.not_before.unwrap().as_second(), 1_001);
    assert_eq!(claims.scope, "cart:read cart:write");
    assert_eq!(claims.auth_time.unwrap().as_second(), 900);
    assert_eq!(claims.amr, ["pwd", "otp"]);
    assert_eq!(claims.prior_subject.unwrap().as_str(), GUEST);
    let actor = claims.actor.unwrap();
    assert_eq!(actor.subject().as_str(), "svc_cart");
    assert_eq!(actor.actor().unwrap().subject().as_str(), "svc_gateway");
    assert!(actor.actor().unwrap().actor().is_none());
}

#[test]
fn needs_each_required_claim() {
    for claim in ["iss", "aud", "sub", "client_id", "iat", "exp", "jti"] {
        let mut claims = good();
        claims.as_object_mut().unwrap().remove(claim);
        let error = Claims::read(claims.to_string().as_bytes()).unwrap_err();
        assert!(
            matches!(error, ClaimsError::Missing(name) if name == claim),
            "{error:?}"
        );
    }
}

// TJ-06, TJ-13.
#[test]
fn refuses_every_claim_of_a_wrong_type() {
    let strings = [
        "iss",
        "sub",
        "client_id",
        "jti",
        "sid",
        "scope",
        "acr",
        "prior_sub",
    ];
    let instants = ["exp", "iat", "nbf", "auth_time"];
    let wrong = [
        json!(null),
        json!(true),
        json!(1.5),
        json!({}),
        json!([1]),
        json!([[]]),
    ];
    for claim in strings
        .iter()
        .chain(&instants)
        .chain(&["aud", "amr", "act"])
    {
        for value in &wrong {
            // An object is what `act` is, but not an empty one.
            assert!(with(claim, value.clone()).is_err(), "{claim} {value}");
        }
    }
    for claim in strings.iter().chain(&["aud", "amr", "act"]) {
        assert!(with(claim, json!(7)).is_err(), "{claim}");
    }
    for claim in strings {
        assert!(with(claim, json!([USER])).is_err(), "{claim}");
    }
    for claim in instants {
        for value in [json!("2000000000"), json!([2_000]), json!(2_000.0)] {
            assert!(with(claim, value.clone()).is_err(), "{claim} {value}");
        }
    }
}

// TJ-06. NumericDate may have a fraction by RFC 7519; ours never has, and none is taken.
#[test]
fn refuses_impossible_instants() {
    for number in [
        "-1",
        "-0",
        "1e400",
        "-1e400",
        "2e3",
        "2000.5",
        "18446744073709551616",
        "18446744073709551615",
        "9223372036854775807",
        "253402300800",
        "0x7d0",
        "NaN",
        "Infinity",
        "02000",
        "+2000",
    ] {
        for claim in ["exp", "iat", "nbf", "auth_time"] {
            let mut claims = good();
            claims.as_object_mut().unwrap().remove(claim);
            let text = claims.to_string();
            let text = format!("{{\"{claim}\":{number},{}", &text[1..]);
            assert!(Claims::read(text.as_bytes()).is_err(), "{claim} {number}");
        }
    }
}

#[test]
fn refuses_identifiers_unfit_for_logs() {
    for claim in ["jti", "sid", "client_id"] {
        for value in [
            "",
            "a b",
            "a\nb",
            "a\u{1b}[2J",
            "ünï",
            "\0",
            &"a".repeat(256),
        ] {
            let error = with(claim, value.into()).unwrap_err();
            assert!(matches!(error, ClaimsError::Impossible(name) if name == claim));
        }
        assert!(with(claim, "a".repeat(255).into()).is_ok());
    }
}

#[test]
fn refuses_subjects_that_are_none() {
    for claim in ["sub", "prior_sub"] {
        for value in ["", "root", "usr_1", "usr_*", "svc_../x", "anonymous\0"] {
            let error = with(claim, value.into()).unwrap_err();
            assert!(matches!(error, ClaimsError::Subject { .. }), "{error:?}");
        }
    }
}

#[test]
fn reads_scopes_strictly() {
    assert!(with("scope", "".into()).is_ok());
    assert!(with("scope", "a b:c d/e".into()).is_ok());
    for value in [" ", " a", "a ", "a  b", "a\tb", "a\"b", "a\\b", "ä"] {
        assert!(with("scope", value.into()).is_err(), "{value:?}");
    }
}

#[test]
fn bounds_the_chain_of_actors() {
    let chain = |length: usize| {
        (1..length).fold(
            json!({"sub": "svc_a"}),
            |act, _| json!({"sub": "svc_a", "act": act}),
        )
    };
    assert!(with("act", chain(MAX_ACTORS)).is_ok());
    assert!(matches!(
        with("act", chain(MAX_ACTORS + 1)),
        Err(ClaimsError::Impossible("act"))
    ));
    assert!(with("act", json!({"sub": "nobody"})).is_err());
    assert!(with("act", json!({"sub": 1})).is_err());
    assert!(with("act", json!({"sub": "svc_a", "act": "svc_b"})).is_err());
    assert!(with("act", json!("svc_a")).is_err());
}

#[test]
fn reads_audiences_of_both_forms() {
    assert_eq!(with("aud", "a".into()).unwrap().audiences, ["a"]);
    assert_eq!(
        with("aud", json!(["a", "b"])).unwrap().audiences,
        ["a", "b"]
    );
    assert!(with("aud", json!({"a": 1})).is_err());
    assert!(with("aud", json!(["a", 1])).is_err());
}
