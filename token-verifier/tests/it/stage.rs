//! An issuer, a clock and a verifier who believes the one and asks the other.

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Value, json};
use token_verifier::testing::TestIssuer;
use token_verifier::{
    Expectations, KeySet, Keys, ManualClock, TokenVerifier, VerifiedToken, VerifyError,
};

pub(crate) const ISSUER: &str = "http://issuer";
pub(crate) const AUDIENCE: &str = "cart-service";
pub(crate) const USER: &str = "usr_018f4c1e-7b1a-7c3d-8e5f-0a1b2c3d4e5f";

pub(crate) fn now() -> Timestamp {
    Timestamp::from_second(1_800_000_000).unwrap()
}

pub(crate) struct Stage {
    pub(crate) issuer: TestIssuer,
    pub(crate) clock: ManualClock,
    pub(crate) verifier: TokenVerifier,
}

impl Stage {
    pub(crate) fn new() -> Self {
        Self::of(TestIssuer::new(ISSUER))
    }

    pub(crate) fn of(issuer: TestIssuer) -> Self {
        let keys = issuer.key_set();
        Self::with_keys(issuer, keys)
    }

    pub(crate) fn with_keys(issuer: TestIssuer, keys: KeySet) -> Self {
        let clock = ManualClock::at(now());
        let verifier =
            TokenVerifier::new(expectations(), Keys::fixed(keys), Arc::new(clock.clone()));
        Self {
            issuer,
            clock,
            verifier,
        }
    }

    pub(crate) fn token(&self) -> String {
        self.issuer.token(AUDIENCE, USER, now())
    }

    pub(crate) fn header(&self) -> Value {
        self.issuer.default_header()
    }

    pub(crate) fn claims(&self) -> Value {
        self.issuer.default_claims(AUDIENCE, USER, now())
    }

    /// A token with one header member changed; `null` takes it away.
    pub(crate) fn with_header(&self, member: &str, value: impl Into<Value>) -> String {
        let header = changed(self.header(), member, value.into());
        self.issuer.token_with(header, self.claims())
    }

    /// A token with one claim changed; `null` takes it away.
    pub(crate) fn with_claim(&self, claim: &str, value: impl Into<Value>) -> String {
        let claims = changed(self.claims(), claim, value.into());
        self.issuer.token_with(self.header(), claims)
    }

    #[track_caller]
    pub(crate) fn accepts(&self, token: &str) -> VerifiedToken {
        match self.verifier.verify(token) {
            Ok(token) => token,
            Err(error) => panic!("refused as {}: {token}", error.reason()),
        }
    }

    #[track_caller]
    pub(crate) fn rejects(&self, token: &str, reason: &str) -> VerifyError {
        // Twice, so that nothing wrong is remembered as right.
        for _ in 0..2 {
            match self.verifier.verify(token) {
                Ok(_) => panic!("accepted: {token}"),
                Err(error) => assert_eq!(error.reason(), reason, "{error:?}: {token}"),
            }
        }
        self.verifier.verify(token).unwrap_err()
    }
}

pub(crate) fn expectations() -> Expectations {
    Expectations {
        issuer: ISSUER.to_owned(),
        audience: AUDIENCE.to_owned(),
    }
}

fn changed(mut object: Value, member: &str, value: Value) -> Value {
    if value == json!(null) {
        object.as_object_mut().unwrap().remove(member);
    } else {
        object[member] = value;
    }
    object
}

/// Puts `member` in front of an object's text, even if it stands there already.
pub(crate) fn prefixed(object: &Value, member: &str) -> String {
    format!("{{{member},{}", &object.to_string()[1..])
}
