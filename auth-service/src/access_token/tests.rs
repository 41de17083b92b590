use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::*;
use crate::entropy::OsEntropy;
use crate::key_encryption::KeyEncryptionKey;
use crate::session::{Client, SessionTtls};
use crate::store::SigningKeyState;

const NOW: i64 = 1_800_000_000;
const USER: &str = "usr_018f2b1c-7c1e-7aaa-8bbb-0123456789ab";
const GUEST: &str = "gst_018f2b1c-7c1e-7aaa-8bbb-ba9876543210";

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn issue_at(now: Timestamp, ttl: Duration) -> Issue<'static> {
    Issue {
        issuer: "http://issuer",
        audience: "cart-service",
        client_id: "gateway",
        ttl,
        random: [0xab; 16],
        now,
    }
}

fn claims_of(bearer: Bearer<'_>, issue: Issue<'_>) -> Result<Value, AccessTokenError> {
    let kek: crate::key_encryption::KeyRing = KeyEncryptionKey::generate(&OsEntropy).into();
    let (key, _) = SigningKey::generate(&kek, SigningKeyState::Active, issue.now).unwrap();
    let token = AccessToken::issue(bearer, issue, &key)?;
    let expires_in = token.expires_in().as_secs();
    let token = token.into_string();
    let claims = URL_SAFE_NO_PAD
        .decode(token.split('.').nth(1).unwrap())
        .unwrap();
    let claims: Value = serde_json::from_slice(&claims).unwrap();
    let lifetime = claims["exp"].as_u64().unwrap() - claims["iat"].as_u64().unwrap();
    assert_eq!(lifetime, expires_in);
    Ok(claims)
}

fn user(ends: Timestamp) -> Session {
    let subject = Subject::parse(USER).unwrap();
    let ttls = SessionTtls::default();
    let session = Session::user(
        subject,
        Client::default(),
        None,
        at(NOW - 30),
        &ttls,
        &OsEntropy,
    );
    Session {
        absolute_expires_at: ends,
        ..session
    }
}

#[test]
fn user_token_has_exactly_these_claims() {
    let guest = Subject::parse(GUEST).unwrap();
    let session = Session {
        prior_subject: Some(guest),
        ..user(at(NOW + 3600))
    };
    let claims = claims_of(Bearer::Session(&session), issue_at(at(NOW), DEFAULT_TTL)).unwrap();
    let expected = json!({
        "iss": "http://issuer",
        "aud": "cart-service",
        "sub": USER,
        "sid": session.id.to_string(),
        "client_id": "gateway",
        "iat": NOW,
        "exp": NOW + 60,
        "jti": "abababab-abab-4bab-abab-abababababab",
        "scope": "session",
        "auth_time": NOW - 30,
        "acr": "aal1",
        "amr": ["pwd"],
        "prior_sub": GUEST,
    });
    assert_eq!(claims, expected);
}

#[test]
fn guest_token_says_nothing_of_authentication() {
    let session = Session::guest(
        Client::default(),
        at(NOW),
        &SessionTtls::default(),
        &OsEntropy,
    );
    let claims = claims_of(Bearer::Session(&session), issue_at(at(NOW), DEFAULT_TTL)).unwrap();
    assert_eq!(claims["sub"], json!(session.subject.as_str()));
    assert_eq!(claims["scope"], json!("session"));
    for absent in ["auth_time", "acr", "amr", "prior_sub", "act"] {
        assert!(claims.get(absent).is_none(), "{absent}");
    }
}

#[test]
fn anonymous_token_names_no_session() {
    let claims = claims_of(Bearer::Anonymous, issue_at(at(NOW), DEFAULT_TTL)).unwrap();
    let mut names: Vec<&String> = claims.as_object().unwrap().keys().collect();
    names.sort();
    assert_eq!(
        names,
        [
            "aud",
            "client_id",
            "exp",
            "iat",
            "iss",
            "jti",
            "scope",
            "sub"
        ]
    );
    assert_eq!(
        (&claims["sub"], &claims["scope"]),
        (&json!("anonymous"), &json!("anonymous"))
    );
}

#[track_caller]
fn check_expiry(now: Timestamp, ttl: u64, session_ends: Timestamp, expected: Option<i64>) {
    let session = user(session_ends);
    match (
        claims_of(
            Bearer::Session(&session),
            issue_at(now, Duration::from_secs(ttl)),
        ),
        expected,
    ) {
        (Ok(claims), Some(expected)) => assert_eq!(claims["exp"], json!(expected)),
        (Err(AccessTokenError::SessionEnding), None) => {}
        (result, _) => panic!("{result:?}"),
    }
}

#[test]
fn token_ends_with_its_ttl_or_its_session_and_never_later() {
    let half_past = Timestamp::from_millisecond(NOW * 1000 + 500).unwrap();
    check_expiry(at(NOW), 60, at(NOW + 3600), Some(NOW + 60));
    check_expiry(at(NOW), 60, at(NOW + 60), Some(NOW + 60));
    check_expiry(at(NOW), 60, at(NOW + 59), Some(NOW + 59));
    check_expiry(at(NOW), 60, at(NOW + 1), Some(NOW + 1));
    check_expiry(at(NOW), 60, half_past, None);
    check_expiry(half_past, 60, at(NOW + 1), Some(NOW + 1));
    check_expiry(at(NOW), 60, at(NOW), None);
    check_expiry(at(NOW), 60, at(NOW - 60), None);
    check_expiry(at(NOW), 3600, at(NOW + 7200), Some(NOW + 300));
}

#[test]
fn prints_no_token() {
    let token = AccessToken {
        token: "secret".to_owned(),
        key_id: "kid".to_owned(),
        issued_at: crate::fixtures::start(),
        expires_in: DEFAULT_TTL,
    };
    assert!(!format!("{token:?}").contains("secret"));
}
