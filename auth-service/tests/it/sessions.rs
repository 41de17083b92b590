use proto::auth::v1::{
    ClientInfo, CreateGuestSessionRequest, EndSessionRequest, GetSessionRequest,
    ListSessionsRequest, RevokeOtherSessionsRequest, RevokeSessionRequest, SessionKind,
};
use tonic::Code;

use crate::support::{Auth, PASSWORD, check_refused};

const UNKNOWN: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

#[tokio::test]
async fn a_guest_has_a_session_and_no_user() {
    let auth = Auth::start().await;
    let mut gateway = auth.gateway();
    let guest = gateway.guest().await.unwrap();
    let request = GetSessionRequest {
        session_secret: guest.session_secret,
    };
    let found = gateway
        .sessions
        .get_session(request)
        .await
        .unwrap()
        .into_inner();
    let session = found.session.unwrap();
    assert_eq!(session.kind(), SessionKind::Guest);
    assert!(session.subject.starts_with("gst_"));
    assert!(session.authenticated_at.is_none() && session.amr.is_empty());
    assert!(found.user.is_none());
    auth.stop().await;
}

#[tokio::test]
async fn client_info_is_cut_and_never_trusted_for_its_form() {
    let auth = Auth::start().await;
    let mut gateway = auth.gateway();
    let info = ClientInfo {
        address: "'; drop table sessions; --".to_owned(),
        user_agent: "\u{e9}".repeat(1000),
    };
    let request = CreateGuestSessionRequest { client: Some(info) };
    let made = gateway
        .sessions
        .create_guest_session(request)
        .await
        .unwrap()
        .into_inner();
    let session = made.session.unwrap().session.unwrap();
    assert_eq!(
        (session.address.as_str(), session.user_agent.len()),
        ("", 256)
    );
    let request = CreateGuestSessionRequest { client: None };
    gateway
        .sessions
        .create_guest_session(request)
        .await
        .unwrap();
    auth.stop().await;
}

#[tokio::test]
async fn lists_the_persons_own_devices_and_ends_them() {
    let auth = Auth::start().await;
    let mut gateway = auth.gateway();
    let first = gateway.register("ada@example.com").await.session.unwrap();
    auth.home.clock.advance(std::time::Duration::from_secs(1));
    let second = gateway
        .login("ada@example.com", PASSWORD)
        .await
        .unwrap()
        .session
        .unwrap();
    let bob = gateway.register("bob@example.com").await.session.unwrap();
    let (first_id, second_id) = (first.session.unwrap().id, second.session.unwrap().id);

    let request = ListSessionsRequest {
        session_secret: first.session_secret.clone(),
    };
    let listed = gateway
        .sessions
        .list_sessions(request)
        .await
        .unwrap()
        .into_inner()
        .sessions;
    let listed: Vec<_> = listed.into_iter().map(|it| (it.id, it.current)).collect();
    assert_eq!(listed, [(second_id.clone(), false), (first_id, true)]);

    for id in [
        bob.session.unwrap().id.as_str(),
        "",
        "nonsense",
        &second_id.to_uppercase(),
    ] {
        let request = RevokeSessionRequest {
            session_secret: first.session_secret.clone(),
            session_id: id.to_owned(),
        };
        let refused = gateway.sessions.revoke_session(request).await;
        check_refused(refused, Code::NotFound, "SESSION_NOT_FOUND");
    }
    let request = RevokeSessionRequest {
        session_secret: first.session_secret.clone(),
        session_id: second_id,
    };
    gateway.sessions.revoke_session(request).await.unwrap();
    let dead = gateway
        .exchange(&second.session_secret, "cart-service")
        .await;
    check_refused(dead, Code::Unauthenticated, "SESSION_INVALID");
    gateway
        .exchange(&bob.session_secret, "cart-service")
        .await
        .unwrap();
    auth.stop().await;
}

#[tokio::test]
async fn ends_all_others_or_itself_and_a_second_time_is_harmless() {
    let auth = Auth::start().await;
    let mut gateway = auth.gateway();
    let first = gateway.register("ada@example.com").await.session.unwrap();
    let second = gateway
        .login("ada@example.com", PASSWORD)
        .await
        .unwrap()
        .session
        .unwrap();
    let request = RevokeOtherSessionsRequest {
        session_secret: second.session_secret.clone(),
    };
    let ended = gateway
        .sessions
        .revoke_other_sessions(request)
        .await
        .unwrap()
        .into_inner();
    assert_eq!(ended.ended_session_ids, [first.session.unwrap().id]);

    let request = EndSessionRequest {
        session_secret: second.session_secret.clone(),
    };
    let ended = gateway
        .sessions
        .end_session(request.clone())
        .await
        .unwrap()
        .into_inner();
    assert_eq!(ended.ended_session_id, second.session.unwrap().id);
    let again = gateway
        .sessions
        .end_session(request)
        .await
        .unwrap()
        .into_inner();
    assert_eq!(again.ended_session_id, "");
    let nonsense = EndSessionRequest {
        session_secret: "nonsense".to_owned(),
    };
    gateway.sessions.end_session(nonsense).await.unwrap();
    auth.stop().await;
}

#[tokio::test]
async fn malformed_unknown_and_ended_secrets_get_one_answer() {
    let auth = Auth::start().await;
    let mut gateway = auth.gateway();
    let ended = gateway.guest().await.unwrap().session_secret;
    let request = EndSessionRequest {
        session_secret: ended.clone(),
    };
    gateway.sessions.end_session(request).await.unwrap();
    let long = "A".repeat(9000);
    for secret in [
        "",
        "nonsense",
        "'; drop table sessions; --",
        UNKNOWN,
        &ended,
        &long,
        "\0",
    ] {
        let session_secret = secret.to_owned();
        let request = GetSessionRequest {
            session_secret: session_secret.clone(),
        };
        let refused = gateway.sessions.get_session(request).await;
        check_refused(refused, Code::Unauthenticated, "SESSION_INVALID");
        let request = ListSessionsRequest {
            session_secret: session_secret.clone(),
        };
        let refused = gateway.sessions.list_sessions(request).await;
        check_refused(refused, Code::Unauthenticated, "SESSION_INVALID");
        let request = RevokeOtherSessionsRequest {
            session_secret: session_secret.clone(),
        };
        let refused = gateway.sessions.revoke_other_sessions(request).await;
        check_refused(refused, Code::Unauthenticated, "SESSION_INVALID");
        for session_id in [
            String::new(),
            "00000000-0000-7000-8000-000000000000".to_owned(),
        ] {
            let session_secret = session_secret.clone();
            let request = RevokeSessionRequest {
                session_secret,
                session_id,
            };
            let refused = gateway.sessions.revoke_session(request).await;
            check_refused(refused, Code::Unauthenticated, "SESSION_INVALID");
        }
        let refused = gateway.exchange(secret, "cart-service").await;
        check_refused(refused, Code::Unauthenticated, "SESSION_INVALID");
    }
    auth.stop().await;
}
