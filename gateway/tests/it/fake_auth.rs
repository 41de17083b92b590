//! An auth service that counts its calls, and that can be away, hang or refuse.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use futures::{StreamExt as _, stream::BoxStream};
use proto::auth::v1::{
    account_service_server::AccountService, revocation_service_server::RevocationService,
    session_service_server::SessionService, token_service_server::TokenService,
    watch_response::Event, *,
};
use tokio::sync::watch;
use tonic::{Code, Request, Response, Status};

/// How it behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mood {
    Well,
    /// Every call answers UNAVAILABLE.
    Away,
    /// No call answers until the mood changes.
    Hanging,
    /// As if it did not know this gateway.
    Refusing,
}

#[derive(Clone)]
struct Live {
    id: String,
    subject: String,
    kind: SessionKind,
}

#[derive(Default)]
struct State {
    sessions: HashMap<String, Live>,
    /// Secrets that a sign-in replaced.
    replaced: Vec<String>,
    /// The next change of sessions is made, and its answer lost.
    loses_next_answer: bool,
    seen: Vec<ClientInfo>,
}

/// Cheap to clone.
#[derive(Clone)]
pub(crate) struct FakeAuth {
    state: Arc<Mutex<State>>,
    mood: watch::Sender<Mood>,
    exchanges: Arc<AtomicUsize>,
    anonymous: Arc<AtomicUsize>,
    guests: Arc<AtomicUsize>,
    waiting: Arc<AtomicUsize>,
}

pub(crate) const PASSWORD: &str = "correct horse battery";

impl FakeAuth {
    pub(crate) fn new() -> Self {
        Self {
            state: Arc::default(),
            mood: watch::Sender::new(Mood::Well),
            exchanges: Arc::default(),
            anonymous: Arc::default(),
            guests: Arc::default(),
            waiting: Arc::default(),
        }
    }

    pub(crate) fn set(&self, mood: Mood) {
        self.mood.send_replace(mood);
    }

    pub(crate) fn exchanges(&self) -> usize {
        self.exchanges.load(Ordering::SeqCst)
    }

    pub(crate) fn anonymous_tokens(&self) -> usize {
        self.anonymous.load(Ordering::SeqCst)
    }

    pub(crate) fn guests(&self) -> usize {
        self.guests.load(Ordering::SeqCst)
    }

    /// Calls that are under way.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::SeqCst)
    }

    pub(crate) fn is_live(&self, secret: &str) -> bool {
        self.state.lock().unwrap().sessions.contains_key(secret)
    }

    /// Where the clients of the sessions were, as the gateway said it.
    pub(crate) fn clients(&self) -> Vec<ClientInfo> {
        self.state.lock().unwrap().seen.clone()
    }

    /// Ends a session behind the gateway's back.
    pub(crate) fn end(&self, secret: &str) {
        self.state.lock().unwrap().sessions.remove(secret);
    }

    /// As if a sign-in had given the session another secret behind the gateway's back.
    pub(crate) fn replace(&self, secret: &str) {
        self.end(secret);
        self.state.lock().unwrap().replaced.push(secret.to_owned());
    }

    pub(crate) fn lose_next_answer(&self) {
        self.state.lock().unwrap().loses_next_answer = true;
    }

    fn open(&self, kind: SessionKind, subject: &str, client: Option<ClientInfo>) -> NewSession {
        let mut bytes = [0_u8; 32];
        bytes[..16].copy_from_slice(uuid::Uuid::now_v7().as_bytes());
        bytes[16..].copy_from_slice(uuid::Uuid::new_v4().as_bytes());
        let secret = URL_SAFE_NO_PAD.encode(bytes);
        let id = uuid::Uuid::now_v7().to_string();
        let live = Live {
            id,
            subject: subject.to_owned(),
            kind,
        };
        let session = describe(&live, true);
        let mut state = self.state.lock().unwrap();
        state.sessions.insert(secret.clone(), live);
        state.seen.extend(client);
        NewSession {
            session: Some(session),
            session_secret: secret,
        }
    }

    fn find(&self, secret: &str) -> Result<Live, Status> {
        let state = self.state.lock().unwrap();
        state
            .sessions
            .get(secret)
            .cloned()
            .ok_or_else(session_invalid)
    }

    /// Every call passes here first: identity, then mood.
    async fn arrive<T>(&self, request: Request<T>) -> Result<T, Status> {
        let assertion = request
            .metadata()
            .get("authorization")
            .ok_or_else(no_assertion)?;
        let assertion = assertion.to_str().map_err(|_| no_assertion())?;
        assert_eq!(assertion.matches('.').count(), 2, "a signed assertion");
        for name in ["traceparent", "x-request-id"] {
            assert!(request.metadata().contains_key(name), "{name}");
        }
        self.waiting.fetch_add(1, Ordering::SeqCst);
        let mut mood = self.mood.subscribe();
        let mood = *mood.wait_for(|mood| *mood != Mood::Hanging).await.unwrap();
        self.waiting.fetch_sub(1, Ordering::SeqCst);
        match mood {
            Mood::Well => Ok(request.into_inner()),
            Mood::Away => Err(Status::unavailable("the store is away")),
            Mood::Refusing => Err(reason(Code::PermissionDenied, "WORKLOAD_MAY_NOT")),
            Mood::Hanging => unreachable!("waited for another mood"),
        }
    }
}

fn reason(code: Code, reason: &'static str) -> Status {
    chassis::status::status(code, reason, "words of the auth service")
}

fn no_assertion() -> Status {
    reason(Code::Unauthenticated, "ASSERTION_MISSING")
}

fn session_invalid() -> Status {
    reason(Code::Unauthenticated, "SESSION_INVALID")
}

fn at(seconds: i64) -> Option<prost_types::Timestamp> {
    Some(prost_types::Timestamp { seconds, nanos: 0 })
}

fn describe(live: &Live, current: bool) -> Session {
    let is_user = live.kind == SessionKind::User;
    Session {
        id: live.id.clone(),
        subject: live.subject.clone(),
        kind: live.kind.into(),
        created_at: at(1_700_000_000),
        authenticated_at: at(1_700_000_000).filter(|_| is_user),
        last_seen_at: at(1_700_000_001),
        expires_at: at(1_700_086_400),
        amr: if is_user {
            vec!["pwd".into()]
        } else {
            Vec::new()
        },
        user_agent: "agent".into(),
        address: "127.0.0.1".into(),
        current,
    }
}

fn person(email: &str) -> (String, User) {
    // The same e-mail is the same person.
    let subject = format!("usr_{email}");
    let user = User {
        subject: subject.clone(),
        email: email.into(),
        display_name: "Ann".into(),
    };
    (subject, user)
}

#[tonic::async_trait]
impl AccountService for FakeAuth {
    async fn register(
        &self,
        request: Request<RegisterRequest>,
    ) -> Result<Response<RegisterResponse>, Status> {
        let request = self.arrive(request).await?;
        if request.email == "taken@example.com" {
            return Err(reason(Code::AlreadyExists, "EMAIL_TAKEN"));
        }
        self.end(&request.current_session_secret);
        let (subject, user) = person(&request.email);
        let session = self.open(SessionKind::User, &subject, request.client);
        Ok(Response::new(RegisterResponse {
            user: Some(user),
            session: Some(session),
        }))
    }

    async fn login(
        &self,
        request: Request<LoginRequest>,
    ) -> Result<Response<LoginResponse>, Status> {
        let request = self.arrive(request).await?;
        if request.password != PASSWORD {
            return Err(reason(Code::Unauthenticated, "LOGIN_REFUSED"));
        }
        self.end(&request.current_session_secret);
        let (subject, user) = person(&request.email);
        let session = self.open(SessionKind::User, &subject, request.client);
        Ok(Response::new(LoginResponse {
            user: Some(user),
            session: Some(session),
        }))
    }

    async fn change_password(
        &self,
        request: Request<ChangePasswordRequest>,
    ) -> Result<Response<ChangePasswordResponse>, Status> {
        let request = self.arrive(request).await?;
        let live = self.find(&request.session_secret)?;
        if request.current_password != PASSWORD {
            return Err(reason(Code::PermissionDenied, "PASSWORD_WRONG"));
        }
        let mut ended = Vec::new();
        self.state.lock().unwrap().sessions.retain(|_, other| {
            let ends = other.subject == live.subject;
            if ends && other.id != live.id {
                ended.push(other.id.clone());
            }
            !ends
        });
        let session = self.open(SessionKind::User, &live.subject, request.client);
        Ok(Response::new(ChangePasswordResponse {
            session: Some(session),
            ended_session_ids: ended,
        }))
    }
}

#[tonic::async_trait]
impl SessionService for FakeAuth {
    async fn create_guest_session(
        &self,
        request: Request<CreateGuestSessionRequest>,
    ) -> Result<Response<CreateGuestSessionResponse>, Status> {
        let request = self.arrive(request).await?;
        let number = self.guests.fetch_add(1, Ordering::SeqCst);
        let subject = format!("gst_{number}");
        let session = self.open(SessionKind::Guest, &subject, request.client);
        Ok(Response::new(CreateGuestSessionResponse {
            session: Some(session),
        }))
    }

    async fn get_session(
        &self,
        request: Request<GetSessionRequest>,
    ) -> Result<Response<GetSessionResponse>, Status> {
        let live = self.find(&self.arrive(request).await?.session_secret)?;
        let user = live
            .subject
            .strip_prefix("usr_")
            .map(|email| person(email).1);
        Ok(Response::new(GetSessionResponse {
            session: Some(describe(&live, false)),
            user,
        }))
    }

    async fn list_sessions(
        &self,
        request: Request<ListSessionsRequest>,
    ) -> Result<Response<ListSessionsResponse>, Status> {
        let own = self.find(&self.arrive(request).await?.session_secret)?;
        let state = self.state.lock().unwrap();
        let theirs = state
            .sessions
            .values()
            .filter(|live| live.subject == own.subject);
        let sessions = theirs
            .map(|live| describe(live, live.id == own.id))
            .collect();
        Ok(Response::new(ListSessionsResponse { sessions }))
    }

    async fn end_session(
        &self,
        request: Request<EndSessionRequest>,
    ) -> Result<Response<EndSessionResponse>, Status> {
        let request = self.arrive(request).await?;
        let ended = self
            .state
            .lock()
            .unwrap()
            .sessions
            .remove(&request.session_secret);
        let ended_session_id = ended.map(|live| live.id).unwrap_or_default();
        Ok(Response::new(EndSessionResponse { ended_session_id }))
    }

    async fn revoke_session(
        &self,
        request: Request<RevokeSessionRequest>,
    ) -> Result<Response<RevokeSessionResponse>, Status> {
        let request = self.arrive(request).await?;
        let own = self.find(&request.session_secret)?;
        let mut state = self.state.lock().unwrap();
        let before = state.sessions.len();
        state
            .sessions
            .retain(|_, live| live.subject != own.subject || live.id != request.session_id);
        if state.sessions.len() == before {
            return Err(reason(Code::NotFound, "SESSION_NOT_FOUND"));
        }
        Ok(Response::new(RevokeSessionResponse {}))
    }

    async fn revoke_other_sessions(
        &self,
        request: Request<RevokeOtherSessionsRequest>,
    ) -> Result<Response<RevokeOtherSessionsResponse>, Status> {
        let own = self.find(&self.arrive(request).await?.session_secret)?;
        let mut ended_session_ids = Vec::new();
        self.state.lock().unwrap().sessions.retain(|_, live| {
            let ends = live.subject == own.subject && live.id != own.id;
            if ends {
                ended_session_ids.push(live.id.clone());
            }
            !ends
        });
        if std::mem::take(&mut self.state.lock().unwrap().loses_next_answer) {
            return Err(Status::unavailable("lost"));
        }
        Ok(Response::new(RevokeOtherSessionsResponse {
            ended_session_ids,
        }))
    }
}

#[tonic::async_trait]
impl TokenService for FakeAuth {
    async fn exchange_session(
        &self,
        request: Request<ExchangeSessionRequest>,
    ) -> Result<Response<ExchangeSessionResponse>, Status> {
        let number = self.exchanges.fetch_add(1, Ordering::SeqCst);
        // As a real one would: the session is looked up when the question arrives.
        let secret = &request.get_ref().session_secret;
        if self.state.lock().unwrap().replaced.contains(secret) {
            return Err(reason(Code::Unauthenticated, "SESSION_REPLACED"));
        }
        let found = self.find(&request.get_ref().session_secret);
        let request = self.arrive(request).await?;
        let live = found?;
        Ok(Response::new(ExchangeSessionResponse {
            access_token: format!("eyJ.{}.{}.{number}", request.audience, live.subject),
            expires_in: prost_types::Duration::try_from(Duration::from_secs(60)).ok(),
            kind: live.kind.into(),
            session_id: live.id,
            subject: live.subject,
            key_id: "key".into(),
            issued_at: at(1_700_000_000),
        }))
    }

    async fn issue_anonymous_token(
        &self,
        request: Request<IssueAnonymousTokenRequest>,
    ) -> Result<Response<IssueAnonymousTokenResponse>, Status> {
        self.anonymous.fetch_add(1, Ordering::SeqCst);
        let request = self.arrive(request).await?;
        Ok(Response::new(IssueAnonymousTokenResponse {
            access_token: format!("eyJ.{}.anonymous.0", request.audience),
            expires_in: prost_types::Duration::try_from(Duration::from_secs(60)).ok(),
            key_id: "key".into(),
            issued_at: at(1_700_000_000),
        }))
    }
}

/// Nothing is ever revoked here; `revocation.rs` has a real auth service.
#[tonic::async_trait]
impl RevocationService for FakeAuth {
    type WatchStream = BoxStream<'static, Result<WatchResponse, Status>>;

    async fn watch(
        &self,
        request: Request<WatchRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        if *self.mood.borrow() != Mood::Well {
            return Err(Status::unavailable("the store is away"));
        }
        let opening = Event::Opening(Opening {
            log_id: "log".into(),
            after_seq: request.into_inner().after_seq,
            head_seq: 0,
            now_us: 1_700_000_000_000_000,
        });
        let start = tokio::time::Instant::now();
        let every = tokio::time::interval(Duration::from_secs(1));
        let heartbeats = tokio_stream::wrappers::IntervalStream::new(every).map(move |now| {
            let elapsed = i64::try_from((now - start).as_micros()).unwrap();
            Event::Heartbeat(Heartbeat {
                head_seq: 0,
                now_us: 1_700_000_000_000_000 + elapsed,
            })
        });
        let events = futures::stream::iter([opening]).chain(heartbeats);
        let events = events.map(|event| Ok(WatchResponse { event: Some(event) }));
        Ok(Response::new(events.boxed()))
    }
}
