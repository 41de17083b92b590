use std::sync::Arc;
use std::time::Duration;

use proto::auth::v1::{
    AccountName, DisableAccountRequest, EnableAccountRequest, GetSessionRequest,
    ListSigningKeysRequest, OperatorRevokeSessionRequest, RevokeSigningKeyRequest,
    RevokeSubjectRequest, RotateSigningKeysRequest, SigningKeyState, account_name::Name,
};
use token_verifier::{
    Clock, FeedState, FollowOptions, GrpcFeed, RevocationError, Revocations, TokenVerifier,
    VerifiedToken, VerifyError,
};
use tonic::{Code, Status};

use crate::support::{Auth, Clients, PASSWORD, check_refused};

const NOBODY: &str = "00000000-0000-4000-8000-000000000000";
const EMAIL: &str = "ada@example.com";

impl Clients {
    async fn operator_revokes(&mut self, session_id: &str) -> Result<(), Status> {
        let session_id = session_id.to_owned();
        let request = OperatorRevokeSessionRequest { session_id };
        self.operator.revoke_session(request).await.map(|_| ())
    }

    async fn revoke_subject(&mut self, subject: &str) -> Result<u32, Status> {
        let subject = subject.to_owned();
        let request = RevokeSubjectRequest { subject };
        let answer = self.operator.revoke_subject(request).await?;
        Ok(answer.into_inner().ended_sessions)
    }

    async fn disable(&mut self, email: &str) -> Result<(String, u32), Status> {
        let account = Name::Email(email.to_owned());
        self.disable_account(Some(account)).await
    }

    async fn disable_account(&mut self, name: Option<Name>) -> Result<(String, u32), Status> {
        let account = Some(AccountName { name });
        let request = DisableAccountRequest { account };
        let answer = self.operator.disable_account(request).await?.into_inner();
        Ok((answer.subject, answer.ended_sessions))
    }

    async fn enable(&mut self, email: &str) -> Result<String, Status> {
        let account = Name::Email(email.to_owned());
        self.enable_account(Some(account)).await
    }

    async fn enable_account(&mut self, name: Option<Name>) -> Result<String, Status> {
        let account = Some(AccountName { name });
        let request = EnableAccountRequest { account };
        let answer = self.operator.enable_account(request).await?;
        Ok(answer.into_inner().subject)
    }

    async fn revoke_key(&mut self, kid: &str) -> Result<String, Status> {
        let request = RevokeSigningKeyRequest {
            kid: kid.to_owned(),
        };
        let answer = self.operator.revoke_signing_key(request).await?;
        Ok(answer.into_inner().active.unwrap().kid)
    }

    async fn keys(&mut self) -> Vec<(String, SigningKeyState)> {
        let answer = self
            .operator
            .list_signing_keys(ListSigningKeysRequest {})
            .await
            .unwrap();
        let keys = answer.into_inner().keys.into_iter();
        keys.map(|key| (key.kid.clone(), key.state())).collect()
    }
}

/// A verifier of cart-service that hears what is revoked, once it has heard all.
async fn follow(auth: &Auth) -> TokenVerifier {
    let clock: Arc<dyn Clock> = Arc::new(auth.home.clock.clone());
    let feed = GrpcFeed::new(auth.signed("watcher"));
    let (revocations, driver) = Revocations::follow(feed, FollowOptions::default(), clock);
    tokio::spawn(driver);
    let mut states = revocations.changed();
    let following = states.wait_for(|state| *state == FeedState::Following);
    soon(following).await.unwrap();
    auth.verifier("cart-service")
        .await
        .with_revocations(revocations)
}

/// Waits until the verifier hears that this token is revoked.
async fn check_becomes_revoked(verifier: &TokenVerifier, token: &VerifiedToken) {
    let keys = *token.revocation_keys();
    let mut subscription = verifier.revocations().unwrap().subscribe(keys);
    assert_eq!(soon(subscription.ended()).await, RevocationError::Revoked);
}

async fn soon<T>(future: impl Future<Output = T>) -> T {
    let limit = Duration::from_secs(10);
    tokio::time::timeout(limit, future).await.expect("soon")
}

/// The `kid` in a token's header, unverified.
fn kid_of(token: &str) -> String {
    use base64::Engine as _;
    let header = token.split('.').next().unwrap();
    let header = base64::engine::general_purpose::URL_SAFE_NO_PAD
        .decode(header)
        .unwrap();
    let header: serde_json::Value = serde_json::from_slice(&header).unwrap();
    header["kid"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn ends_any_session_by_its_id() {
    let auth = Auth::start().await;
    let (mut gateway, mut operator) = (auth.gateway(), auth.clients("latchkey"));
    let guest = gateway.guest().await.unwrap();
    let other = gateway.guest().await.unwrap();
    let id = guest.session.unwrap().id;
    operator.operator_revokes(&id).await.unwrap();
    let dead = gateway
        .exchange(&guest.session_secret, "cart-service")
        .await;
    check_refused(dead, Code::Unauthenticated, "SESSION_INVALID");
    let alive = gateway.exchange(&other.session_secret, "cart-service");
    alive.await.unwrap();
    let again = operator.operator_revokes(&id).await;
    check_refused(again, Code::NotFound, "SESSION_NOT_FOUND");
    auth.stop().await;
}

#[tokio::test]
async fn ends_everything_of_a_subject_that_may_come_back() {
    let auth = Auth::start().await;
    let (mut gateway, mut operator) = (auth.gateway(), auth.clients("latchkey"));
    let first = gateway.register(EMAIL).await.session.unwrap();
    gateway.login(EMAIL, PASSWORD).await.unwrap();
    let subject = first.session.unwrap().subject;
    assert_eq!(operator.revoke_subject(&subject).await.unwrap(), 2);
    assert_eq!(operator.revoke_subject(&subject).await.unwrap(), 0);
    let nobody = format!("gst_{NOBODY}");
    assert_eq!(operator.revoke_subject(&nobody).await.unwrap(), 0);
    let dead = gateway
        .exchange(&first.session_secret, "cart-service")
        .await;
    check_refused(dead, Code::Unauthenticated, "SESSION_INVALID");
    let back = gateway.login(EMAIL, PASSWORD).await.unwrap();
    let secret = back.session.unwrap().session_secret;
    gateway.exchange(&secret, "cart-service").await.unwrap();
    auth.stop().await;
}

/// LP-02, CS-08.
#[tokio::test]
async fn a_disabled_account_is_refused_like_a_wrong_password() {
    let auth = Auth::start().await;
    let (mut gateway, mut operator) = (auth.gateway(), auth.clients("latchkey"));
    let session = gateway.register(EMAIL).await.session.unwrap();
    let subject = session.session.unwrap().subject;
    let wrong = gateway.login(EMAIL, "not the password").await.unwrap_err();

    let disabled = operator.disable("ADA@example.com").await.unwrap();
    assert_eq!(disabled, (subject.clone(), 1));
    let refused = gateway.login(EMAIL, PASSWORD).await;
    let refused = check_refused(refused, Code::Unauthenticated, "LOGIN_REFUSED");
    assert_eq!(
        (refused.code(), refused.message(), refused.details()),
        (wrong.code(), wrong.message(), wrong.details())
    );
    let dead = gateway
        .exchange(&session.session_secret, "cart-service")
        .await;
    check_refused(dead, Code::Unauthenticated, "SESSION_INVALID");
    let dead = gateway.sessions.get_session(GetSessionRequest {
        session_secret: session.session_secret,
    });
    check_refused(dead.await, Code::Unauthenticated, "SESSION_INVALID");

    let by_subject = Name::Subject(subject.clone());
    let again = operator.disable_account(Some(by_subject)).await.unwrap();
    assert_eq!(again, (subject, 0));
    auth.stop().await;
}

#[tokio::test]
async fn an_enabled_account_signs_in_as_before() {
    let auth = Auth::start().await;
    let (mut gateway, mut operator) = (auth.gateway(), auth.clients("latchkey"));
    let user = gateway.register(EMAIL).await.user.unwrap();
    operator.disable(EMAIL).await.unwrap();
    // All within one second of the service's clock, at the worst moment of it.
    assert_eq!(operator.enable(EMAIL).await.unwrap(), user.subject);
    let back = gateway.login(EMAIL, PASSWORD).await.unwrap();
    assert_eq!(back.user.unwrap().subject, user.subject);
    let secret = back.session.unwrap().session_secret;
    let token = gateway.exchange(&secret, "cart-service").await.unwrap();
    let token = auth.verify("cart-service", &token.access_token).await;
    assert_eq!(token.subject().as_str(), user.subject);
    let by_subject = Name::Subject(user.subject.clone());
    let again = operator.enable_account(Some(by_subject)).await.unwrap();
    assert_eq!(again, user.subject);
    auth.stop().await;
}

/// CS-08. Every act reaches a verifier that follows the log.
#[tokio::test]
async fn whatever_is_ended_by_hand_every_verifier_hears_of() {
    let auth = Auth::start().await;
    let (mut gateway, mut operator) = (auth.gateway(), auth.clients("latchkey"));
    gateway.register(EMAIL).await;
    let verifier = follow(&auth).await;
    for act in ["session", "subject", "account", "key"] {
        let session = gateway
            .login(EMAIL, PASSWORD)
            .await
            .unwrap()
            .session
            .unwrap();
        let token = gateway.exchange(&session.session_secret, "cart-service");
        let token = token.await.unwrap().access_token;
        let verified = verifier.verify(&token).unwrap();
        let session = session.session.unwrap();
        match act {
            "session" => operator.operator_revokes(&session.id).await.unwrap(),
            "subject" => _ = operator.revoke_subject(&session.subject).await.unwrap(),
            "account" => _ = operator.disable(EMAIL).await.unwrap(),
            _ => _ = operator.revoke_key(&kid_of(&token)).await.unwrap(),
        }
        check_becomes_revoked(&verifier, &verified).await;
        let refused = verifier.verify(&token).unwrap_err();
        assert!(matches!(refused, VerifyError::Revoked), "{act}: {refused}");
        // Within the same second, the next round's token is good.
        operator.enable(EMAIL).await.unwrap();
    }
    auth.stop().await;
}

#[tokio::test]
async fn nobodys_account_and_nobodys_key_are_not_found() {
    let auth = Auth::start().await;
    let mut operator = auth.clients("latchkey");
    let disabled = operator.disable("nobody@example.com").await;
    check_refused(disabled, Code::NotFound, "ACCOUNT_NOT_FOUND");
    let enabled = operator.enable("nobody@example.com").await;
    check_refused(enabled, Code::NotFound, "ACCOUNT_NOT_FOUND");
    let subject = || format!("usr_{NOBODY}");
    let account = Name::Subject(subject());
    let disabled = operator.disable_account(Some(account)).await;
    check_refused(disabled, Code::NotFound, "ACCOUNT_NOT_FOUND");
    let account = Name::Subject(subject());
    let enabled = operator.enable_account(Some(account)).await;
    check_refused(enabled, Code::NotFound, "ACCOUNT_NOT_FOUND");
    let revoked = operator.revoke_key(&"A".repeat(43)).await;
    check_refused(revoked, Code::NotFound, "KEY_NOT_FOUND");
    auth.stop().await;
}

#[track_caller]
fn check_violates<T: std::fmt::Debug>(result: Result<T, Status>, field: &str) {
    let status = check_refused(result, Code::InvalidArgument, "INVALID_ARGUMENT");
    let violations = chassis::status::violations_of(&status);
    assert!(
        matches!(&violations[..], [(found, _)] if found == field),
        "{violations:?}"
    );
}

#[tokio::test]
async fn malformed_names_are_told_by_field() {
    let auth = Auth::start().await;
    let mut operator = auth.clients("latchkey");
    let long = "a".repeat(9000);
    let upper = "0189AAAA-0000-7000-8000-000000000000";
    for bad in [
        "",
        "nonsense",
        "'; drop table sessions; --",
        upper,
        &long,
        "\0",
    ] {
        check_violates(operator.operator_revokes(bad).await, "session_id");
    }
    let service = "svc_gateway".to_owned();
    let spelled = format!("USR_{NOBODY}");
    for bad in ["", "anonymous", &service, &spelled, "usr_1", &long] {
        check_violates(operator.revoke_subject(bad).await, "subject");
    }
    let guest = format!("gst_{NOBODY}");
    for bad in ["", "anonymous", &guest, &service, "usr_1"] {
        let account = Name::Subject(bad.to_owned());
        check_violates(operator.disable_account(Some(account)).await, "subject");
        let account = Name::Subject(bad.to_owned());
        check_violates(operator.enable_account(Some(account)).await, "subject");
    }
    for bad in ["", "nobody", "a@b@c", "a b@c", &long] {
        check_violates(operator.disable(bad).await, "email");
        check_violates(operator.enable(bad).await, "email");
    }
    check_violates(operator.disable_account(None).await, "account");
    check_violates(operator.enable_account(None).await, "account");
    let foreign = "\u{e9}".repeat(43);
    let dotted = ".".repeat(43);
    for bad in ["", "kid", &foreign, &dotted, &"A".repeat(44), &long] {
        check_violates(operator.revoke_key(bad).await, "kid");
    }
    auth.stop().await;
}

#[tokio::test]
async fn nobody_else_may_operate() {
    let auth = Auth::start().await;
    for name in ["gateway", "cart-service"] {
        let mut other = auth.clients(name);
        let refused = |result: Result<(), Status>| {
            check_refused(result, Code::PermissionDenied, "WORKLOAD_NOT_ALLOWED");
        };
        refused(other.operator_revokes(NOBODY).await);
        refused(other.revoke_subject("x").await.map(|_| ()));
        refused(other.disable(EMAIL).await.map(|_| ()));
        refused(other.enable(EMAIL).await.map(|_| ()));
        refused(other.revoke_key("x").await.map(|_| ()));
        let keys = other.operator.list_signing_keys(ListSigningKeysRequest {});
        refused(keys.await.map(|_| ()));
        let rotate = other
            .operator
            .rotate_signing_keys(RotateSigningKeysRequest {});
        refused(rotate.await.map(|_| ()));
    }
    // And an operator may do nothing else.
    let mut operator = auth.clients("latchkey");
    let guest = operator.guest().await;
    check_refused(guest, Code::PermissionDenied, "WORKLOAD_NOT_ALLOWED");
    auth.stop().await;
}

#[tokio::test]
async fn rotating_publishes_a_key_that_signs_later_and_only_one() {
    let auth = Auth::start().await;
    let mut operator = auth.clients("latchkey");
    let [(active, SigningKeyState::Active)] = &operator.keys().await[..] else {
        panic!("one active key at first");
    };
    auth.home.clock.advance(Duration::from_secs(1));
    let request = || RotateSigningKeysRequest {};
    let answer = operator.operator.rotate_signing_keys(request()).await;
    let upcoming = answer.unwrap().into_inner().upcoming.unwrap();
    assert_eq!(upcoming.state(), SigningKeyState::Upcoming);
    let signs_at = upcoming.next_change_at.unwrap().seconds;
    let wait = Duration::from_secs(2 * 300);
    let expected = auth.home.clock.now().as_second() + wait.as_secs().cast_signed();
    assert_eq!(signs_at, expected, "twice the JWKS max-age");
    let again = operator.operator.rotate_signing_keys(request()).await;
    let again = again.unwrap().into_inner().upcoming.unwrap();
    assert_eq!(again.kid, upcoming.kid);
    let expected = [
        (active.clone(), SigningKeyState::Active),
        (upcoming.kid, SigningKeyState::Upcoming),
    ];
    assert_eq!(operator.keys().await, expected);
    auth.stop().await;
}

/// KR-02.
#[tokio::test]
async fn a_revoked_key_signs_no_more_and_nobody_is_signed_out() {
    let auth = Auth::start().await;
    let (mut gateway, mut operator) = (auth.gateway(), auth.clients("latchkey"));
    let guest = gateway.guest().await.unwrap();
    let secret = &guest.session_secret;
    let before = gateway.exchange(secret, "cart-service").await.unwrap();
    let stolen = kid_of(&before.access_token);
    let active = operator.revoke_key(&stolen).await.unwrap();
    assert_ne!(active, stolen);
    let after = gateway.exchange(secret, "cart-service").await.unwrap();
    assert_eq!(kid_of(&after.access_token), active);
    auth.verify("cart-service", &after.access_token).await;
    assert_eq!(operator.keys().await, [(active, SigningKeyState::Active)]);
    let again = operator.revoke_key(&stolen).await;
    check_refused(again, Code::NotFound, "KEY_NOT_FOUND");
    auth.stop().await;
}
