use std::{
    collections::VecDeque,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use chassis::ManualClock;
use futures::{FutureExt as _, future::BoxFuture};
use jiff::{SignedDuration, Timestamp};
use token_verifier::{FeedState, OnStale};
use tokio::sync::Semaphore;

use super::{
    testing::{Spoken, followed},
    *,
};

/// An auth service whose answers come when the test says so.
struct Fake {
    calls: AtomicUsize,
    /// Each answer takes a permit.
    answers: Semaphore,
    /// What comes instead of a token, first call first.
    failures: Mutex<VecDeque<ExchangeError>>,
    /// Which key signs.
    key_id: Mutex<&'static str>,
    clock: ManualClock,
}

impl Fake {
    fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }

    fn fail_next(&self, error: ExchangeError) {
        self.failures.lock().unwrap().push_back(error);
    }

    async fn answer(&self, session: Option<IssuedSession>) -> Result<Issued, ExchangeError> {
        let number = self.calls.fetch_add(1, Ordering::SeqCst) + 1;
        let failure = self.failures.lock().unwrap().pop_front();
        self.answers.acquire().await.unwrap().forget();
        match failure {
            Some(error) => Err(error),
            None => Ok(Issued {
                access_token: format!("token-{number}"),
                expires_in: Duration::from_secs(60),
                key_id: (*self.key_id.lock().unwrap()).to_owned(),
                issued_at: self.clock.now(),
                session,
            }),
        }
    }
}

impl TokenSource for Fake {
    fn exchange(
        &self,
        secret: SessionSecret,
        _audience: Arc<str>,
    ) -> BoxFuture<'_, Result<Issued, ExchangeError>> {
        let letter = &secret.expose()[..1];
        self.answer(Some(IssuedSession {
            kind: SessionKind::User,
            id: format!("session-of-{letter}"),
            subject: format!("usr_{letter}"),
        }))
        .boxed()
    }

    fn anonymous(&self, _audience: Arc<str>) -> BoxFuture<'_, Result<Issued, ExchangeError>> {
        self.answer(None).boxed()
    }
}

struct World {
    fake: Arc<Fake>,
    clock: ManualClock,
    exchange: Exchange,
}

/// `answers` come at once, later ones when the test adds permits.
fn world(answers: usize) -> World {
    world_with(answers, &ExchangeSettings::default())
}

/// Any moment after 1970, before which no auth service lived.
fn start() -> Timestamp {
    Timestamp::from_second(1_767_225_600).unwrap()
}

fn world_with(answers: usize, settings: &ExchangeSettings) -> World {
    let clock = ManualClock::at(start());
    let revocations = Revocations::none(Arc::new(clock.clone()));
    world_of(answers, settings, clock, revocations)
}

/// One whose revocations come from a feed that the test speaks.
fn world_that_follows(answers: usize, on_stale: OnStale) -> (World, Spoken) {
    let clock = ManualClock::at(start());
    let (revocations, spoken) = followed(&clock, on_stale);
    let settings = ExchangeSettings::default();
    (world_of(answers, &settings, clock, revocations), spoken)
}

fn world_of(
    answers: usize,
    settings: &ExchangeSettings,
    clock: ManualClock,
    revocations: Revocations,
) -> World {
    let fake = Arc::new(Fake {
        calls: AtomicUsize::new(0),
        answers: Semaphore::new(answers),
        failures: Mutex::default(),
        key_id: Mutex::new("kid-1"),
        clock: clock.clone(),
    });
    let exchange = Exchange::new(
        fake.clone(),
        vec!["cart-service".into(), "profile-service".into()],
        settings,
        revocations,
        Arc::new(clock.clone()),
        ExchangeMetrics::default(),
    );
    World {
        fake,
        clock,
        exchange,
    }
}

impl World {
    async fn token(&self, letter: char) -> Result<String, ExchangeError> {
        token(&self.exchange, letter).await
    }

    fn later(&self, seconds: i64) {
        self.clock.advance(SignedDuration::from_secs(seconds));
    }

    async fn until_calls(&self, number: usize) {
        until(|| self.fake.calls() >= number).await;
    }

    /// Until no exchange is under way.
    async fn until_landed(&self) {
        until(|| self.exchange.inner.flights.is_empty()).await;
    }
}

async fn until(condition: impl Fn() -> bool) {
    while !condition() {
        tokio::task::yield_now().await;
    }
}

fn secret(letter: char) -> SessionSecret {
    let text = format!("{}A", letter.to_string().repeat(42));
    SessionSecret::parse(&text).unwrap()
}

async fn token(exchange: &Exchange, letter: char) -> Result<String, ExchangeError> {
    let grant = exchange
        .for_session(&secret(letter), "cart-service")
        .await?;
    let token = grant.token();
    Ok(token.header_value().to_str().unwrap().to_owned())
}

#[tokio::test]
async fn a_hundred_concurrent_misses_share_one_exchange() {
    let world = world(0);
    let waiting: Vec<_> = (0..100)
        .map(|_| {
            let exchange = world.exchange.clone();
            tokio::spawn(async move { token(&exchange, 'a').await.unwrap() })
        })
        .collect();
    until(|| world.exchange.inner.metrics.joined.get() == 99).await;
    world.fake.answers.add_permits(1);
    for one in waiting {
        assert_eq!(one.await.unwrap(), "Bearer token-1");
    }
    assert_eq!(world.fake.calls(), 1);
}

#[tokio::test]
async fn a_caller_that_goes_away_takes_nothing_from_the_others() {
    let world = world(0);
    let exchange = world.exchange.clone();
    let first = tokio::spawn(async move { token(&exchange, 'a').await });
    world.until_calls(1).await;
    let exchange = world.exchange.clone();
    let second = tokio::spawn(async move { token(&exchange, 'a').await });
    until(|| world.exchange.inner.metrics.joined.get() == 1).await;
    first.abort();
    assert!(first.await.unwrap_err().is_cancelled());
    world.fake.answers.add_permits(1);
    assert_eq!(second.await.unwrap().unwrap(), "Bearer token-1");
    assert_eq!(world.fake.calls(), 1);
}

#[tokio::test]
async fn sessions_and_audiences_have_tokens_of_their_own() {
    let world = world(10);
    assert_eq!(world.token('a').await.unwrap(), "Bearer token-1");
    assert_eq!(world.token('b').await.unwrap(), "Bearer token-2");
    world
        .exchange
        .for_session(&secret('a'), "profile-service")
        .await
        .unwrap();
    world.exchange.anonymous("cart-service").await.unwrap();
    assert_eq!(world.fake.calls(), 4);
    assert_eq!(world.token('a').await.unwrap(), "Bearer token-1");
    assert_eq!(world.token('b').await.unwrap(), "Bearer token-2");
    assert_eq!(world.fake.calls(), 4);
}

#[tokio::test]
async fn no_request_waits_for_a_renewal() {
    let world = world(1);
    assert_eq!(world.token('a').await.unwrap(), "Bearer token-1");
    world.later(46);
    // The renewal cannot land yet, and many ask meanwhile.
    for _ in 0..10 {
        assert_eq!(world.token('a').await.unwrap(), "Bearer token-1");
    }
    world.until_calls(2).await;
    world.fake.answers.add_permits(1);
    world.until_landed().await;
    assert_eq!(world.token('a').await.unwrap(), "Bearer token-2");
    assert_eq!(world.fake.calls(), 2);
}

#[tokio::test]
async fn an_expired_token_is_not_used() {
    let world = world(2);
    world.token('a').await.unwrap();
    world.later(56);
    assert_eq!(world.token('a').await.unwrap(), "Bearer token-2");
}

#[tokio::test]
async fn a_failed_renewal_keeps_the_token_and_pauses() {
    let world = world(10);
    world.token('a').await.unwrap();
    world.later(46);
    world.fake.fail_next(ExchangeError::Late);
    assert_eq!(world.token('a').await.unwrap(), "Bearer token-1");
    world.until_calls(2).await;
    world.until_landed().await;
    // At once again: no storm.
    assert_eq!(world.token('a').await.unwrap(), "Bearer token-1");
    assert_eq!(world.fake.calls(), 2);
    world.later(2);
    assert_eq!(world.token('a').await.unwrap(), "Bearer token-1");
    world.until_calls(3).await;
    world.until_landed().await;
    assert_eq!(world.token('a').await.unwrap(), "Bearer token-3");
}

#[tokio::test]
async fn a_renewal_that_finds_the_session_over_drops_the_token() {
    let world = world(10);
    world.token('a').await.unwrap();
    world.later(46);
    world.fake.fail_next(ExchangeError::SessionInvalid);
    world.token('a').await.unwrap();
    world.until_calls(2).await;
    world.until_landed().await;
    world.fake.fail_next(ExchangeError::SessionInvalid);
    assert!(matches!(
        world.token('a').await,
        Err(ExchangeError::SessionInvalid)
    ));
}

#[tokio::test]
async fn errors_are_not_remembered() {
    let world = world(10);
    for error in [ExchangeError::Late, ExchangeError::SessionInvalid] {
        world.fake.fail_next(error);
        world.token('a').await.unwrap_err();
    }
    assert_eq!(world.token('a').await.unwrap(), "Bearer token-3");
}

#[tokio::test]
async fn a_forgotten_secret_takes_its_cached_tokens_along() {
    let world = world(10);
    world.token('a').await.unwrap();
    world
        .exchange
        .for_session(&secret('a'), "profile-service")
        .await
        .unwrap();
    world.token('b').await.unwrap();
    world.exchange.forget_secret(secret('a').hash());
    assert_eq!(world.token('a').await.unwrap(), "Bearer token-4");
    world
        .exchange
        .for_session(&secret('a'), "profile-service")
        .await
        .unwrap();
    assert_eq!(world.token('b').await.unwrap(), "Bearer token-3");
    assert_eq!(world.fake.calls(), 5);
}

#[tokio::test]
async fn a_token_asked_for_before_a_logout_is_not_used_after_it() {
    let world = world(0);
    let exchange = world.exchange.clone();
    let early = tokio::spawn(async move { token(&exchange, 'a').await });
    world.until_calls(1).await;
    // The logout; from now on the auth service knows no such session.
    world.exchange.forget_secret(secret('a').hash());
    world.fake.fail_next(ExchangeError::SessionInvalid);
    world.fake.answers.add_permits(2);
    assert!(matches!(
        early.await.unwrap(),
        Err(ExchangeError::SessionInvalid)
    ));
    world.until_landed().await;
    world.fake.fail_next(ExchangeError::SessionInvalid);
    world.fake.answers.add_permits(1);
    assert!(matches!(
        world.token('a').await,
        Err(ExchangeError::SessionInvalid)
    ));
}

#[tokio::test]
async fn a_session_that_ended_by_its_id_is_not_used() {
    let world = world(1);
    world.token('a').await.unwrap();
    world.exchange.session_ended("session-of-a");
    world.fake.fail_next(ExchangeError::SessionInvalid);
    world.fake.answers.add_permits(1);
    assert!(matches!(
        world.token('a').await,
        Err(ExchangeError::SessionInvalid)
    ));

    // One whose token is on the way.
    let exchange = world.exchange.clone();
    let early = tokio::spawn(async move { token(&exchange, 'b').await });
    world.until_calls(3).await;
    world.exchange.session_ended("session-of-b");
    // Only the auth service says that a session is over, so it is asked again.
    world.fake.fail_next(ExchangeError::SessionInvalid);
    world.fake.answers.add_permits(2);
    assert!(matches!(
        early.await.unwrap(),
        Err(ExchangeError::SessionInvalid)
    ));
}

#[tokio::test]
async fn the_queue_is_bounded() {
    let settings = ExchangeSettings {
        queue: 2,
        ..ExchangeSettings::default()
    };
    let world = world_with(0, &settings);
    for letter in ['a', 'b'] {
        let exchange = world.exchange.clone();
        tokio::spawn(async move { token(&exchange, letter).await });
    }
    world.until_calls(2).await;
    assert!(matches!(
        world.token('c').await,
        Err(ExchangeError::Overloaded)
    ));
    world.fake.answers.add_permits(3);
    world.until_landed().await;
    assert!(world.token('c').await.is_ok());
}

#[tokio::test]
async fn concurrency_towards_the_auth_service_is_bounded() {
    let settings = ExchangeSettings {
        concurrency: 2,
        ..ExchangeSettings::default()
    };
    let world = world_with(0, &settings);
    for letter in ['a', 'b', 'c', 'd'] {
        let exchange = world.exchange.clone();
        tokio::spawn(async move { token(&exchange, letter).await });
    }
    until(|| world.exchange.inner.metrics.misses.get() == 4).await;
    world.until_calls(2).await;
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert_eq!(world.fake.calls(), 2);
    world.fake.answers.add_permits(4);
    world.until_landed().await;
    assert_eq!(world.fake.calls(), 4);
}

#[tokio::test(start_paused = true)]
async fn an_auth_service_that_hangs_is_an_outage() {
    let world = world(0);
    assert!(matches!(world.token('a').await, Err(ExchangeError::Late)));
    world.fake.answers.add_permits(1);
    assert!(world.token('a').await.is_ok());
}

#[tokio::test]
async fn a_wall_clock_that_steps_changes_no_lifetime() {
    let world = world(10);
    world.token('a').await.unwrap();
    for hours in [1, -1] {
        let now = world.clock.now() + SignedDuration::from_hours(hours);
        world.clock.set(now);
        assert_eq!(world.token('a').await.unwrap(), "Bearer token-1");
    }
    world.later(56);
    assert_eq!(world.token('a').await.unwrap(), "Bearer token-2");
}

#[tokio::test]
async fn a_refused_token_is_fetched_anew_once_for_all() {
    let world = world(10);
    let first = world
        .exchange
        .for_session(&secret('a'), "cart-service")
        .await
        .unwrap();
    assert!(world.exchange.refused(&first));
    assert_eq!(world.token('a').await.unwrap(), "Bearer token-2");
    // Another request that held the first one is told late.
    assert!(world.exchange.refused(&first));
    assert_eq!(world.token('a').await.unwrap(), "Bearer token-2");
}

#[tokio::test]
async fn a_service_that_refuses_every_token_costs_one_a_second() {
    let world = world(10);
    let next = async || {
        let secret = secret('a');
        let grant = world.exchange.for_session(&secret, "cart-service");
        grant.await.unwrap()
    };
    assert!(world.exchange.refused(&next().await));
    for _ in 0..10 {
        assert!(!world.exchange.refused(&next().await));
    }
    assert_eq!(world.token('a').await.unwrap(), "Bearer token-2");
    world.later(1);
    assert!(world.exchange.refused(&next().await));
    assert_eq!(world.token('a').await.unwrap(), "Bearer token-3");
}

#[tokio::test]
async fn the_next_token_leaves_the_one_at_hand_alone_until_it_is_there() {
    let world = world(10);
    let first = world
        .exchange
        .for_session(&secret('a'), "cart-service")
        .await
        .unwrap();
    world.fake.fail_next(ExchangeError::Late);
    world.exchange.next(&first).await.unwrap_err();
    assert_eq!(world.token('a').await.unwrap(), "Bearer token-1");
    world.exchange.next(&first).await.unwrap();
    assert_eq!(world.token('a').await.unwrap(), "Bearer token-3");
    // Whoever held the first one as well shares it.
    world.exchange.next(&first).await.unwrap();
    assert_eq!(world.fake.calls(), 3);
}

/// Until the follower has heard what was said. Time passes by itself.
async fn until_told(condition: impl Fn() -> bool) {
    while !condition() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_is_asked_or_used_before_it_is_known_what_is_revoked() {
    let (world, spoken) = world_that_follows(10, OnStale::UntilExpiry);
    for _ in 0..3 {
        let refused = world.token('a').await;
        assert!(
            matches!(refused, Err(ExchangeError::RevocationsUnknown(_))),
            "{refused:?}"
        );
    }
    let refused = world.exchange.anonymous("cart-service").await;
    assert!(matches!(refused, Err(ExchangeError::RevocationsUnknown(_))));
    assert_eq!(world.fake.calls(), 0);
    spoken.open();
    until_told(|| world.exchange.revocations().is_ready()).await;
    assert_eq!(world.token('a').await.unwrap(), "Bearer token-1");
}

#[tokio::test(start_paused = true)]
async fn tokens_of_a_revoked_subject_and_of_a_revoked_key_are_fetched_anew() {
    let (world, spoken) = world_that_follows(10, OnStale::UntilExpiry);
    spoken.open();
    until_told(|| world.exchange.revocations().is_ready()).await;
    world.token('a').await.unwrap();
    world.token('b').await.unwrap();
    world.exchange.anonymous("cart-service").await.unwrap();

    world.later(2);
    spoken.revoke_subject("usr_a", world.clock.now());
    until_told(|| world.exchange.revocations().len() == 1).await;
    assert_eq!(world.token('a').await.unwrap(), "Bearer token-4");
    assert_eq!(world.token('b').await.unwrap(), "Bearer token-2");

    *world.fake.key_id.lock().unwrap() = "kid-2";
    spoken.revoke_key("kid-1");
    until_told(|| world.exchange.revocations().len() == 2).await;
    assert_eq!(world.token('a').await.unwrap(), "Bearer token-5");
    assert_eq!(world.token('b').await.unwrap(), "Bearer token-6");
    let anonymous = world.exchange.anonymous("cart-service").await.unwrap();
    assert_eq!(anonymous.token().header_value(), "Bearer token-7");
    assert_eq!(world.exchange.inner.metrics.revoked.get(), 4);
}

#[tokio::test(start_paused = true)]
async fn an_auth_service_that_signs_with_a_revoked_key_signs_nobody_out() {
    let (world, spoken) = world_that_follows(10, OnStale::UntilExpiry);
    spoken.open();
    until_told(|| world.exchange.revocations().is_ready()).await;
    spoken.revoke_key("kid-1");
    until_told(|| world.exchange.revocations().len() == 1).await;
    let refused = world.token('a').await;
    assert!(
        matches!(refused, Err(ExchangeError::Superseded)),
        "{refused:?}"
    );
    assert_eq!(world.fake.calls(), ATTEMPTS);
    *world.fake.key_id.lock().unwrap() = "kid-2";
    assert!(world.token('a').await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_silent_feed_refuses_or_lets_tokens_live_out_as_told() {
    for (on_stale, is_used) in [(OnStale::UntilExpiry, true), (OnStale::Refuse, false)] {
        let (world, spoken) = world_that_follows(10, on_stale);
        spoken.open();
        until_told(|| world.exchange.revocations().is_ready()).await;
        spoken.heartbeat();
        assert_eq!(world.token('a').await.unwrap(), "Bearer token-1");
        spoken.close();
        world.later(4);
        let answer = world.token('a').await;
        assert_eq!(answer.is_ok(), is_used, "{on_stale:?} {answer:?}");

        // Nothing negative was remembered, and the token is still there.
        spoken.open();
        until_told(|| world.exchange.revocations().state() == FeedState::Following).await;
        assert_eq!(world.token('a').await.unwrap(), "Bearer token-1");
        assert_eq!(world.fake.calls(), 1);

        // Too old to be used, whatever the feed says.
        spoken.close();
        world.later(56);
        assert_eq!(world.token('a').await.is_ok(), is_used);
        assert!(world.fake.calls() <= 2);
    }
}

/// FT-10: everybody comes back at once, with nothing cached, after an outage.
#[tokio::test]
async fn five_thousand_sessions_come_back_without_a_herd() {
    const SESSIONS: usize = 5_000;
    let settings = ExchangeSettings {
        concurrency: 64,
        ..ExchangeSettings::default()
    };
    let world = world_with(0, &settings);
    let secrets: Vec<SessionSecret> = (0..SESSIONS).map(numbered).collect();
    // Away: each is refused once.
    for _ in 0..SESSIONS {
        world
            .fake
            .fail_next(ExchangeError::Away(Arc::new(tonic::Status::unavailable(
                "away",
            ))));
    }
    world.fake.answers.add_permits(SESSIONS);
    for secret in &secrets {
        let answer = world.exchange.for_session(secret, "cart-service").await;
        assert!(matches!(answer, Err(ExchangeError::Away(_))));
    }
    assert_eq!(world.fake.calls(), SESSIONS);

    // Back: four requests of every session at once.
    let waiting: Vec<_> = (0..4 * SESSIONS)
        .map(|number| {
            let (exchange, secret) = (world.exchange.clone(), secrets[number % SESSIONS].clone());
            tokio::spawn(async move {
                loop {
                    match exchange.for_session(&secret, "cart-service").await {
                        Ok(grant) => return grant,
                        // As `Retry-After` asks for.
                        Err(ExchangeError::Overloaded) => tokio::task::yield_now().await,
                        Err(error) => panic!("{error}"),
                    }
                }
            })
        })
        .collect();
    let most = world.fake.clone();
    until(|| most.calls() > SESSIONS).await;
    for _ in 0..1_000 {
        tokio::task::yield_now().await;
    }
    assert_eq!(most.calls(), SESSIONS + 64, "at once at the auth service");
    world.fake.answers.add_permits(SESSIONS);
    for one in waiting {
        one.await.unwrap();
    }
    assert_eq!(world.fake.calls(), 2 * SESSIONS, "one exchange a session");
}

fn numbered(number: usize) -> SessionSecret {
    use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&number.to_be_bytes());
    SessionSecret::parse(&URL_SAFE_NO_PAD.encode(bytes)).unwrap()
}
