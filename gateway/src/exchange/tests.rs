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
use tokio::sync::Semaphore;

use super::*;

/// An auth service whose answers come when the test says so.
struct Fake {
    calls: AtomicUsize,
    /// Each answer takes a permit.
    answers: Semaphore,
    /// What comes instead of a token, first call first.
    failures: Mutex<VecDeque<ExchangeError>>,
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
        let id = format!("session-of-{}", &secret.expose()[..1]);
        self.answer(Some(IssuedSession {
            kind: SessionKind::User,
            id,
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

fn world_with(answers: usize, settings: &ExchangeSettings) -> World {
    let fake = Arc::new(Fake {
        calls: AtomicUsize::new(0),
        answers: Semaphore::new(answers),
        failures: Mutex::default(),
    });
    let clock = ManualClock::at(Timestamp::UNIX_EPOCH);
    let exchange = Exchange::new(
        fake.clone(),
        vec!["cart-service".into(), "profile-service".into()],
        settings,
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
    let token = exchange
        .for_session(&secret(letter), "cart-service")
        .await?
        .token;
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
    world.later(1);
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
    world.fake.answers.add_permits(1);
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
