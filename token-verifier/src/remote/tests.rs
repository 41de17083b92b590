//! When the driver fetches, in paused time and without sockets.

use std::sync::Mutex;

use serde_json::json;
use tokio::time::{advance, sleep};

use super::*;
use crate::VerifyError;
use crate::keys::Keys;
use crate::testing::TestIssuer;

/// What the issuer does next.
#[derive(Clone)]
enum Answer {
    Document { body: String, max_age: u64 },
    Unchanged,
    Status(u16),
    Silence,
}

use Answer::{Silence, Status, Unchanged};

/// An issuer whose answer the test can change, and who notes when it was asked.
#[derive(Clone)]
struct Issuer {
    answer: Arc<Mutex<Answer>>,
    asked: Arc<Mutex<Vec<Asked>>>,
}

/// When it was asked, and with what `If-None-Match`.
type Asked = (Instant, Option<HeaderValue>);

impl Fetch for Issuer {
    async fn fetch(&self, etag: Option<&HeaderValue>) -> Result<Fetched, FetchError> {
        self.asked
            .lock()
            .unwrap()
            .push((Instant::now(), etag.cloned()));
        let answer = self.answer.lock().unwrap().clone();
        match answer {
            Answer::Document { body, max_age } => Ok(Fetched {
                max_age: Some(Duration::from_secs(max_age)),
                content: Content::Document {
                    bytes: body.into(),
                    etag: Some(HeaderValue::from_static("\"1\"")),
                },
            }),
            Unchanged => Ok(Fetched {
                max_age: None,
                content: Content::Unchanged,
            }),
            Status(status) => Err(FetchError::Status(StatusCode::from_u16(status).unwrap())),
            Silence => std::future::pending().await,
        }
    }
}

impl Issuer {
    fn says(&self, answer: Answer) {
        *self.answer.lock().unwrap() = answer;
    }

    fn count(&self) -> usize {
        self.asked.lock().unwrap().len()
    }

    fn gaps(&self) -> Vec<Duration> {
        let asked = self.asked.lock().unwrap();
        asked.windows(2).map(|pair| pair[1].0 - pair[0].0).collect()
    }
}

mod restart;

const INTERVAL: Duration = Duration::from_secs(15);

fn keys_of(issuer: &TestIssuer) -> Answer {
    let body = issuer.jwks_json();
    Answer::Document { body, max_age: 600 }
}

fn document(body: &str) -> Answer {
    let body = body.to_owned();
    Answer::Document { body, max_age: 600 }
}

fn options() -> RemoteOptions {
    RemoteOptions::new("http://issuer/jwks").unwrap()
}

/// Keys whose driver runs, and the issuer that it asks.
fn start(answer: Answer, options: RemoteOptions) -> (Keys, Issuer) {
    let issuer = Issuer {
        answer: Arc::new(Mutex::new(answer)),
        asked: Arc::default(),
    };
    let shared = Arc::new(Shared::lasting(options.lifetime()));
    tokio::spawn(drive_with(options, Arc::clone(&shared), issuer.clone()));
    (Keys::sharing(shared), issuer)
}

/// Lets (virtual) time pass while a stranger invents a `kid` every 10 ms.
async fn flood(keys: &Keys, time: Duration) {
    let until = Instant::now() + time;
    let mut n = 0;
    while Instant::now() < until {
        n += 1;
        let _ = keys.find(&format!("invented-{n}"));
        sleep(Duration::from_millis(10)).await;
    }
}

async fn pass(time: Duration) {
    sleep(time).await;
}

#[track_caller]
fn finds(keys: &Keys, issuer: &TestIssuer) {
    assert!(keys.find(issuer.kid()).is_ok());
}

#[tokio::test(start_paused = true)]
async fn fetches_at_start() {
    let signer = TestIssuer::new("i");
    let (keys, issuer) = start(keys_of(&signer), options());
    assert!(!keys.is_ready());
    assert!(matches!(
        keys.find(signer.kid()),
        Err(VerifyError::KeysUnavailable)
    ));
    pass(Duration::from_millis(1)).await;
    assert!(keys.is_ready());
    finds(&keys, &signer);
    assert_eq!(issuer.count(), 1);
}

#[tokio::test(start_paused = true)]
async fn refreshes_before_the_document_goes_stale() {
    let signer = TestIssuer::new("i");
    for (max_age, least, most) in [(600, 450, 540), (0, 15, 17), (1 << 40, 2_700, 3_240)] {
        let body = signer.jwks_json();
        let (_keys, issuer) = start(Answer::Document { body, max_age }, options());
        pass(Duration::from_secs(12_000)).await;
        assert!(issuer.count() > 2, "{max_age}");
        for gap in issuer.gaps() {
            assert!(
                (least..=most).contains(&gap.as_secs()),
                "{max_age}: {gap:?}"
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn names_the_document_it_holds_and_keeps_it_on_304() {
    let signer = TestIssuer::new("i");
    let max_stale = Duration::from_secs(1_000);
    let (keys, issuer) = start(keys_of(&signer), options().max_stale(max_stale));
    pass(Duration::from_secs(1)).await;
    issuer.says(Unchanged);
    pass(Duration::from_secs(10_000)).await;
    finds(&keys, &signer);
    let asked = issuer.asked.lock().unwrap();
    assert_eq!(asked[0].1, None);
    assert!(asked.len() > 10);
    assert!(
        asked[1..]
            .iter()
            .all(|(_, etag)| etag.as_ref().unwrap() == "\"1\"")
    );
}

#[tokio::test(start_paused = true)]
async fn retries_quickly_while_there_are_no_keys() {
    let signer = TestIssuer::new("i");
    let (keys, issuer) = start(Status(503), options());
    pass(Duration::from_secs(1)).await;
    assert!((3..=4).contains(&issuer.count()), "{}", issuer.count());
    pass(Duration::from_secs(300)).await;
    assert!(
        issuer
            .gaps()
            .into_iter()
            .all(|gap| gap < INTERVAL.mul_f64(1.11))
    );
    assert!(
        issuer
            .gaps()
            .into_iter()
            .rev()
            .take(10)
            .all(|gap| gap >= INTERVAL)
    );
    issuer.says(keys_of(&signer));
    pass(INTERVAL.mul_f64(1.1)).await;
    finds(&keys, &signer);
}

#[tokio::test(start_paused = true)]
async fn a_flood_without_keys_adds_no_fetch() {
    let (keys, issuer) = start(Status(500), options());
    flood(&keys, Duration::from_secs(300)).await;
    let flooded = issuer.count();
    assert!(flooded <= 7 + 300 / 15, "{flooded}");
}

// TJ-21, DS-07: whatever the fetches bring.
#[tokio::test(start_paused = true)]
async fn a_flood_of_invented_kids_costs_one_fetch_per_interval() {
    let signer = TestIssuer::new("i");
    let with_secret = json!({"keys": [{"kty": "oct", "kid": "x", "k": "AA"}]}).to_string();
    for answer in [
        keys_of(&signer),
        document(r#"{"keys":[]}"#),
        document("{\"keys\":["),
        document(&with_secret),
        Status(500),
        Status(302),
        Silence,
    ] {
        let (keys, issuer) = start(keys_of(&signer), options());
        pass(Duration::from_secs(1)).await;
        issuer.says(answer);
        flood(&keys, Duration::from_secs(120)).await;
        assert!(
            issuer.gaps().into_iter().all(|gap| gap >= INTERVAL),
            "{:?}",
            issuer.gaps()
        );
        assert!((4..=9).contains(&issuer.count()), "{}", issuer.count());
        // TJ-22: and the good key is still there.
        finds(&keys, &signer);
    }
}

#[tokio::test(start_paused = true)]
async fn never_has_two_fetches_under_way() {
    let signer = TestIssuer::new("i");
    let options = options().timeout(Duration::from_secs(60));
    let (keys, issuer) = start(keys_of(&signer), options);
    pass(Duration::from_secs(30)).await;
    issuer.says(Silence);
    flood(&keys, Duration::from_secs(50)).await;
    assert_eq!(issuer.count(), 2);
}

// TJ-24.
#[tokio::test(start_paused = true)]
async fn a_flood_cannot_lock_out_a_new_key_for_longer_than_the_interval() {
    let (old, new) = (TestIssuer::new("i"), TestIssuer::new("i"));
    let (keys, issuer) = start(keys_of(&old), options());
    flood(&keys, Duration::from_secs(47)).await;
    let both = json!({"keys": [old.jwk(), new.jwk()]}).to_string();
    issuer.says(document(&both));
    assert!(keys.find(new.kid()).is_err());
    flood(&keys, INTERVAL.mul_f64(1.1)).await;
    finds(&keys, &new);
    finds(&keys, &old);
}

#[tokio::test(start_paused = true)]
async fn an_unknown_kid_is_fetched_for_at_once_when_the_last_fetch_is_long_ago() {
    let (old, new) = (TestIssuer::new("i"), TestIssuer::new("i"));
    let (keys, issuer) = start(keys_of(&old), options());
    pass(Duration::from_secs(60)).await;
    issuer.says(keys_of(&new));
    assert!(matches!(keys.find(new.kid()), Err(VerifyError::UnknownKid)));
    pass(Duration::from_millis(1)).await;
    finds(&keys, &new);
    // And the withdrawn key is gone.
    assert!(matches!(keys.find(old.kid()), Err(VerifyError::UnknownKid)));
}

// TJ-22.
#[tokio::test(start_paused = true)]
async fn bad_answers_leave_the_last_good_set_until_it_is_too_old() {
    let signer = TestIssuer::new("i");
    for answer in [
        Status(500),
        Silence,
        document("{\"keys\":[]}"),
        document("garbage"),
    ] {
        let max_stale = Duration::from_secs(3_600);
        let (keys, issuer) = start(keys_of(&signer), options().max_stale(max_stale));
        pass(Duration::from_secs(1)).await;
        issuer.says(answer);
        pass(Duration::from_secs(3_590)).await;
        finds(&keys, &signer);
        assert!(keys.is_ready());
        pass(Duration::from_secs(10)).await;
        assert!(!keys.is_ready());
        assert!(matches!(
            keys.find(signer.kid()),
            Err(VerifyError::KeysUnavailable)
        ));
        // And recovers by itself.
        issuer.says(keys_of(&signer));
        pass(Duration::from_secs(70)).await;
        finds(&keys, &signer);
    }
}

// TJ-23.
#[tokio::test(start_paused = true)]
async fn poisoned_sets_replace_nothing() {
    let (good, evil) = (TestIssuer::new("i"), TestIssuer::new("i"));
    let mut private = evil.jwk();
    private["d"] = "AA".into();
    let mut same_name = evil.jwk();
    same_name["kid"] = good.kid().into();
    for keys_member in [
        json!([private]),
        json!([evil.jwk(), {"kty": "oct", "kid": "x"}]),
        json!([good.jwk(), same_name]),
        json!(vec![evil.jwk(); 40]),
    ] {
        let (keys, issuer) = start(keys_of(&good), options());
        pass(Duration::from_secs(20)).await;
        issuer.says(document(&json!({ "keys": keys_member }).to_string()));
        assert!(keys.find(evil.kid()).is_err());
        pass(Duration::from_secs(1)).await;
        assert_eq!(issuer.count(), 2);
        assert!(keys.find(evil.kid()).is_err());
        finds(&keys, &good);
    }
}

#[tokio::test(start_paused = true)]
async fn keys_end_even_if_the_driver_is_gone() {
    let signer = TestIssuer::new("i");
    let shared = Arc::new(Shared::lasting(Duration::from_secs(9)));
    let keys = Keys::sharing(Arc::clone(&shared));
    shared.install(signer.key_set(), None);
    assert!(keys.is_ready());
    advance(Duration::from_secs(9)).await;
    assert!(!keys.is_ready());
}

#[tokio::test(start_paused = true)]
async fn tells_of_every_fetch() {
    let signer = TestIssuer::new("i");
    let outcomes = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&outcomes);
    let options = options().on_fetch(move |outcome| {
        let text = outcome.map_or_else(ToString::to_string, |()| "ok".to_owned());
        seen.lock().unwrap().push(text);
    });
    let (_keys, issuer) = start(Silence, options);
    pass(Duration::from_millis(5_100)).await;
    issuer.says(Status(404));
    pass(Duration::from_millis(500)).await;
    issuer.says(keys_of(&signer));
    pass(Duration::from_secs(2)).await;
    let expected = [
        "no complete answer in time",
        "the issuer answered 404 Not Found",
        "ok",
    ];
    assert_eq!(*outcomes.lock().unwrap(), expected);
}

#[test]
fn takes_only_plain_http_addresses() {
    for url in [
        "http://localhost:8081/.well-known/jwks.json",
        "http://[::1]:80/",
        "http://h",
    ] {
        assert!(RemoteOptions::new(url).is_ok(), "{url}");
    }
    for (url, message) in [
        ("https://issuer/jwks", r#"must begin with http://, "https""#),
        ("file:///etc/passwd", "not an absolute URL"),
        ("ftp://issuer/jwks", r#"must begin with http://, "ftp""#),
        ("issuer/jwks", "not an absolute URL"),
        ("/jwks", "not an absolute URL"),
        ("", "not an absolute URL"),
        ("http://", "not an absolute URL"),
        (
            "http://user:secret@issuer/jwks",
            "must not contain credentials",
        ),
    ] {
        let error = RemoteOptions::new(url).unwrap_err().to_string();
        assert!(error.contains(message), "{url}: {error}");
        assert!(!error.contains("secret"));
    }
}

#[tokio::test(start_paused = true)]
async fn never_spins_whatever_the_interval() {
    let signer = TestIssuer::new("i");
    for answer in [Status(500), keys_of(&signer)] {
        let (keys, issuer) = start(answer, options().min_interval(Duration::ZERO));
        flood(&keys, Duration::from_secs(5)).await;
        issuer.says(Status(500));
        flood(&keys, Duration::from_secs(5)).await;
        let gaps = issuer.gaps();
        assert!(gaps.len() > 10, "{gaps:?}");
        assert!(gaps.iter().all(|gap| *gap >= FIRST_RETRY), "{gaps:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn never_spins_when_keys_are_stale_at_once() {
    let signer = TestIssuer::new("i");
    let options = options()
        .min_interval(Duration::ZERO)
        .max_stale(Duration::ZERO);
    let (_keys, issuer) = start(keys_of(&signer), options);
    pass(Duration::from_secs(5)).await;
    let gaps = issuer.gaps();
    assert!(gaps.iter().all(|gap| *gap >= FIRST_RETRY), "{gaps:?}");
}
