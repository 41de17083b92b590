//! What the claims may say. Types are tried one by one in `src/claims/tests.rs`; here
//! they come in signed tokens.

use serde_json::{Value, json};
use token_verifier::testing::TestIssuer;
use token_verifier::{SubjectKind, VerifyError};

use crate::stage::{AUDIENCE, ISSUER, Stage, USER, now, prefixed};

// TJ-07.
#[test]
fn rejects_wrong_issuer() {
    let stage = Stage::new();
    for issuer in [
        "",
        "http://issuer/",
        "http://issuer.evil",
        "https://issuer",
        "HTTP://ISSUER",
        "http://issue",
        " http://issuer",
        "http://issuer\u{0}",
    ] {
        stage.rejects(&stage.with_claim("iss", issuer), "wrong_issuer");
    }
    stage.rejects(&stage.with_claim("iss", json!([ISSUER])), "claims_invalid");
}

#[test]
fn rejects_another_issuers_key_even_if_it_claims_our_name() {
    let stage = Stage::new();
    let other = TestIssuer::new("http://other");
    let own_kid = other.token_with(other.default_header(), stage.claims());
    stage.rejects(&own_kid, "unknown_kid");
    let our_kid = other.token_with(stage.header(), stage.claims());
    stage.rejects(&our_kid, "bad_signature");
}

// TJ-08.
#[test]
fn rejects_wrong_audience() {
    let stage = Stage::new();
    for audience in [
        "",
        "*",
        "cart",
        "cart-service ",
        "cart-service2",
        "Cart-Service",
        "profile-service",
        "cart-service,profile-service",
        "cart-service profile-service",
        "http://cart-service",
        ".*",
    ] {
        stage.rejects(&stage.with_claim("aud", audience), "wrong_audience");
        stage.rejects(
            &stage.with_claim("aud", json!([audience])),
            "wrong_audience",
        );
    }
}

#[test]
fn rejects_a_token_for_several_audiences() {
    let stage = Stage::new();
    for audiences in [
        json!([AUDIENCE, "profile-service"]),
        json!(["profile-service", AUDIENCE]),
        json!([AUDIENCE, AUDIENCE]),
        json!([AUDIENCE, ""]),
        json!([]),
    ] {
        stage.rejects(&stage.with_claim("aud", audiences), "wrong_audience");
    }
}

#[test]
fn accepts_an_audience_in_an_array_of_one() {
    let stage = Stage::new();
    let token = stage.accepts(&stage.with_claim("aud", json!([AUDIENCE])));
    assert_eq!(token.audience(), AUDIENCE);
}

#[test]
fn rejects_audiences_of_a_wrong_type() {
    let stage = Stage::new();
    for audience in [
        json!({AUDIENCE: true}),
        json!(1),
        json!(true),
        json!([[AUDIENCE]]),
        json!([AUDIENCE, 1]),
    ] {
        stage.rejects(&stage.with_claim("aud", audience), "claims_invalid");
    }
}

// TJ-06, TJ-13.
#[test]
fn rejects_missing_claims() {
    let stage = Stage::new();
    for claim in ["iss", "aud", "sub", "client_id", "iat", "exp", "jti"] {
        stage.rejects(&stage.with_claim(claim, json!(null)), "claims_invalid");
    }
}

#[test]
fn rejects_claims_of_a_wrong_type() {
    let stage = Stage::new();
    let values = [
        json!(true),
        json!(1.5),
        json!({}),
        json!([]),
        json!([1]),
        json!({"a": 1}),
    ];
    let claims = [
        "iss",
        "sub",
        "client_id",
        "iat",
        "exp",
        "nbf",
        "jti",
        "sid",
        "scope",
        "auth_time",
        "acr",
        "prior_sub",
    ];
    for claim in claims {
        for value in &values {
            stage.rejects(&stage.with_claim(claim, value.clone()), "claims_invalid");
        }
        let null = prefixed(
            &without(stage.claims(), claim),
            &format!("\"{claim}\":null"),
        );
        stage.rejects(
            &stage.issuer.sign(stage.header().to_string(), null),
            "claims_invalid",
        );
    }
}

#[test]
fn rejects_expiries_that_are_no_whole_seconds() {
    let stage = Stage::new();
    for exp in [
        "\"1800000060\"",
        "1800000060.5",
        "1800000060.0",
        "1.80000006e9",
        "1e400",
        "18446744073709551616",
        "18446744073709551615",
        "9223372036854775807",
        "-1800000060",
        "-1",
        "-0",
        "null",
        "[1800000060]",
        "{}",
        "true",
    ] {
        let claims = prefixed(&without(stage.claims(), "exp"), &format!("\"exp\":{exp}"));
        stage.rejects(
            &stage.issuer.sign(stage.header().to_string(), claims),
            "claims_invalid",
        );
    }
}

fn without(mut object: Value, member: &str) -> Value {
    object.as_object_mut().unwrap().remove(member);
    object
}

// TJ-12.
#[test]
fn rejects_claims_that_stand_twice() {
    let stage = Stage::new();
    for member in [
        r#""sub":"anonymous""#,
        r#""exp":9999999999"#,
        r#""aud":"cart-service""#,
        r#""\u0073ub":"anonymous""#,
        r#""unknown":1,"unknown":1"#,
        r#""act":{"sub":"svc_a","sub":"svc_b"}"#,
    ] {
        let claims = prefixed(&stage.claims(), member);
        stage.rejects(
            &stage.issuer.sign(stage.header().to_string(), claims),
            "claims_invalid",
        );
    }
}

// TJ-13.
#[test]
fn rejects_payloads_that_are_not_a_json_object_in_utf8() {
    let stage = Stage::new();
    let claims = stage.claims().to_string();
    for payload in [
        b"null".to_vec(),
        b"[]".to_vec(),
        b"\"claims\"".to_vec(),
        format!("\u{feff}{claims}").into(),
        format!("{claims},").into(),
        claims.encode_utf16().flat_map(u16::to_le_bytes).collect(),
        [
            &claims.as_bytes()[..claims.len() - 1],
            b",\"x\":\"\xc3\x28\"}",
        ]
        .concat(),
        // A token in a token.
        stage.token().into(),
    ] {
        let token = stage.issuer.sign(stage.header().to_string(), payload);
        stage.rejects(&token, "claims_invalid");
    }
}

#[test]
fn rejects_subjects_that_are_none() {
    let stage = Stage::new();
    for subject in [
        "",
        "root",
        "usr_1",
        "usr_*",
        "usr_018F4C1E-7B1A-7C3D-8E5F-0A1B2C3D4E5F",
    ] {
        stage.rejects(&stage.with_claim("sub", subject), "claims_invalid");
        stage.rejects(&stage.with_claim("prior_sub", subject), "claims_invalid");
    }
}

// TJ-18.
#[test]
fn hands_over_every_claim() {
    let stage = Stage::new();
    let mut claims = stage.claims();
    claims["scope"] = "cart:read cart:write".into();
    claims["acr"] = "2".into();
    claims["amr"] = json!(["pwd", "otp"]);
    claims["sid"] = "session-1".into();
    claims["jti"] = "token-1".into();
    claims["auth_time"] = (now().as_second() - 100).into();
    claims["prior_sub"] = USER.replace("usr_", "gst_").into();
    claims["act"] = json!({"sub": "svc_cart-service"});
    let token = stage.accepts(&stage.issuer.token_with(stage.header(), claims));
    assert_eq!(token.subject().as_str(), USER);
    assert_eq!(token.subject().kind(), SubjectKind::User);
    assert_eq!(token.issuer(), ISSUER);
    assert_eq!(token.audience(), AUDIENCE);
    assert_eq!(token.client_id(), "gateway");
    assert_eq!(token.session_id(), Some("session-1"));
    assert_eq!(token.token_id(), "token-1");
    assert_eq!(token.key_id(), stage.issuer.kid());
    assert_eq!(token.issued_at(), now());
    assert_eq!(token.expires_at().as_second(), now().as_second() + 60);
    assert_eq!(
        token.auth_time().unwrap().as_second(),
        now().as_second() - 100
    );
    assert_eq!(
        token.scopes().collect::<Vec<_>>(),
        ["cart:read", "cart:write"]
    );
    assert!(token.has_scope("cart:read"));
    assert!(
        !token.has_scope("cart")
            && !token.has_scope("")
            && !token.has_scope("cart:read cart:write")
    );
    assert_eq!(
        (token.acr(), token.amr()),
        (Some("2"), &["pwd".to_owned(), "otp".to_owned()][..])
    );
    assert_eq!(token.prior_subject().unwrap().kind(), SubjectKind::Guest);
    assert_eq!(
        token.actor().unwrap().subject().kind(),
        SubjectKind::Workload
    );
    let shown = format!("{token:?}");
    assert!(shown.contains(USER) && shown.contains("token-1"));
    assert!(!shown.contains("session-1"), "{shown}");
}

#[test]
fn accepts_nobody_yet() {
    let stage = Stage::new();
    let token = stage.accepts(&stage.issuer.token(AUDIENCE, "anonymous", now()));
    assert_eq!(token.subject().kind(), SubjectKind::Anonymous);
    assert_eq!((token.session_id(), token.auth_time()), (None, None));
    assert!(token.amr().is_empty() && token.scopes().next().is_none());
}

#[test]
fn keeps_the_cause_as_a_source() {
    let stage = Stage::new();
    let error = stage.rejects(&stage.with_claim("sub", "root"), "claims_invalid");
    let cause = std::error::Error::source(&error).unwrap();
    assert_eq!(cause.to_string(), "the claim sub is no subject");
    assert!(cause.source().unwrap().to_string().contains("usr_<uuid>"));
}

#[test]
fn every_reason_is_listed_once() {
    let mut reasons = VerifyError::REASONS.to_vec();
    reasons.sort_unstable();
    reasons.dedup();
    assert_eq!(reasons.len(), VerifyError::REASONS.len());
    for error in [
        VerifyError::Missing,
        VerifyError::KeysUnavailable,
        VerifyError::NotYetValid,
    ] {
        assert!(reasons.contains(&error.reason()));
    }
}
