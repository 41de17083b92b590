//! The hub and its watchers on a log in memory, in paused time.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use chassis::metrics::Metrics;
use chassis::readiness::Readiness;
use futures::StreamExt as _;
use jiff::Timestamp;
use prost::Message as _;
use proto::auth::v1::WatchResponse;
use proto::auth::v1::watch_response::Event;
use token_verifier::ManualClock;
use tokio::sync::Notify;

use super::*;
use crate::entropy::OsEntropy;
use crate::fixtures::start;
use crate::key_encryption::{KeyEncryptionKey, KeyRing};
use crate::revocations::stream::{WatchEnd, WatchStream};
use crate::revocations::{Head, LogId, Revocation, RevocationTarget};
use crate::signing_keys::{SigningKey, SigningKeys};
use crate::store::SigningKeyState;

#[derive(Default)]
struct MemoryLog {
    entries: Mutex<Vec<Revocation>>,
    is_away: AtomicBool,
    appended: Notify,
}

impl MemoryLog {
    fn append(&self, count: u64) {
        let mut entries = self.entries.lock().unwrap();
        for _ in 0..count {
            let seq = entries.len() as u64 + 1;
            entries.push(Revocation {
                seq,
                target: RevocationTarget::Key(format!("key-{seq}")),
                revoked_at: start(),
                expires_at_s: 0,
            });
        }
        self.appended.notify_one();
    }

    fn check(&self) -> Result<(), StoreError> {
        if self.is_away.load(Ordering::Relaxed) {
            return Err(StoreError::Unavailable("away".into()));
        }
        Ok(())
    }
}

#[async_trait]
impl RevocationLog for MemoryLog {
    async fn head(&self) -> Result<Head, StoreError> {
        self.check()?;
        let seq = self.entries.lock().unwrap().len() as u64;
        let log_id = LogId::new("memory");
        Ok(Head { log_id, seq })
    }

    async fn read_after(&self, seq: u64, limit: u32) -> Result<Vec<Revocation>, StoreError> {
        self.check()?;
        let entries = self.entries.lock().unwrap();
        let later = entries.iter().skip(seq as usize);
        Ok(later.take(limit as usize).cloned().collect())
    }

    async fn drop_expired_revocations(&self, _: Timestamp, _: u32) -> Result<u64, StoreError> {
        unreachable!("the hub drops nothing")
    }

    async fn note_time(&self, _: Timestamp) -> Result<(), StoreError> {
        unreachable!("that is for maintenance")
    }

    async fn appended(&self) {
        self.appended.notified().await;
    }
}

struct World {
    log: Arc<MemoryLog>,
    hub: Hub,
    clock: ManualClock,
    keys: SharedSigningKeys,
    stop: CancellationToken,
    metrics: Metrics,
    readiness: Readiness,
}

fn keys() -> SigningKeys {
    let key_ring = KeyRing::from(KeyEncryptionKey::generate(&OsEntropy));
    let (_, record) = SigningKey::generate(&key_ring, SigningKeyState::Active, start()).unwrap();
    SigningKeys::from_records(&[record], &key_ring).unwrap()
}

impl World {
    async fn new() -> Self {
        let (log, clock) = (Arc::new(MemoryLog::default()), ManualClock::at(start()));
        let (metrics, readiness) = (Metrics::new("test"), Readiness::new());
        let (keys, stop) = (SharedSigningKeys::new(keys()), CancellationToken::new());
        let hub = Hub::new(HubParts {
            log: Arc::clone(&log) as Arc<dyn RevocationLog>,
            keys: keys.clone(),
            clock: Arc::new(clock.clone()),
            metrics: AuthMetrics::register(&metrics),
            stop: stop.clone(),
        });
        tokio::spawn(hub.clone().run(readiness.gate("revocations")));
        Self {
            log,
            hub,
            clock,
            keys,
            stop,
            metrics,
            readiness,
        }
    }

    async fn watch(&self, after_seq: u64) -> WatchStream {
        let log_id = "memory".to_owned();
        let resume = Resume { log_id, after_seq };
        self.hub.watch(resume).await.unwrap()
    }

    /// Lets both clocks go on.
    async fn pass(&self, time: Duration) {
        self.clock.advance(time);
        tokio::time::sleep(time).await;
    }
}

async fn event(stream: &mut WatchStream) -> Event {
    decoded(stream.next().await.unwrap().unwrap())
}

/// The next batch as it came, past everything else.
async fn encoded_batch(stream: &mut WatchStream) -> Bytes {
    loop {
        let message = stream.next().await.unwrap().unwrap();
        if let Event::Batch(_) = decoded(message.clone()) {
            return message;
        }
    }
}

/// The bounds of the next batch.
async fn batch(stream: &mut WatchStream) -> (u64, u64, usize) {
    let Event::Batch(batch) = decoded(encoded_batch(stream).await) else {
        unreachable!("it is a batch")
    };
    (batch.after_seq, batch.through_seq, batch.revocations.len())
}

fn decoded(message: Bytes) -> Event {
    WatchResponse::decode(message).unwrap().event.unwrap()
}

async fn end(stream: &mut WatchStream) -> WatchEnd {
    while let Some(message) = stream.next().await {
        if let Err(end) = message {
            assert!(stream.next().await.is_none());
            return end;
        }
    }
    panic!("it ended without a word");
}

/// What has come by now.
async fn come(stream: &mut WatchStream) -> Vec<Event> {
    let mut events = Vec::new();
    let soon = Duration::from_millis(1);
    while let Ok(Some(Ok(message))) = tokio::time::timeout(soon, stream.next()).await {
        events.push(decoded(message));
    }
    events
}

#[tokio::test(start_paused = true)]
async fn a_stream_opens_catches_up_and_follows() {
    let world = World::new().await;
    world.log.append(5000);
    let mut stream = world.watch(1).await;
    let Event::Opening(opening) = event(&mut stream).await else {
        panic!("no opening");
    };
    assert_eq!((opening.after_seq, opening.head_seq), (1, 5000));
    let Event::KeySet(key_set) = event(&mut stream).await else {
        panic!("no keys");
    };
    assert_eq!(key_set.jwks, **world.keys.current().jwks().body());
    assert_eq!(batch(&mut stream).await, (1, 4097, 4096));
    assert_eq!(batch(&mut stream).await, (4097, 5000, 903));
    world.log.append(1);
    assert_eq!(batch(&mut stream).await, (5000, 5001, 1));
    world.log.append(2);
    assert_eq!(batch(&mut stream).await, (5001, 5003, 2));
    let before = Instant::now();
    world.log.append(2000);
    assert_eq!(batch(&mut stream).await, (5003, 6027, 1024));
    assert_eq!(batch(&mut stream).await, (6027, 7003, 976));
    assert_eq!(Instant::now(), before, "no part of it waits");
}

#[tokio::test(start_paused = true)]
async fn a_slow_watcher_is_dropped_and_the_others_do_not_notice() {
    let world = World::new().await;
    let mut slow = world.watch(0).await;
    let mut quick = world.watch(0).await;
    for n in 0..2 * RING as u64 {
        world.log.append(1);
        assert_eq!(batch(&mut quick).await, (n, n + 1, 1));
    }
    assert!(matches!(end(&mut slow).await, WatchEnd::TooSlow));
    let text = world.metrics.encode();
    assert!(text.contains("revocation_watchers_dropped_total{program=\"test\"} 1"));
    assert!(text.contains("revocation_watchers{program=\"test\"} 1"));
}

#[tokio::test(start_paused = true)]
async fn a_watcher_that_takes_nothing_is_dropped_after_a_while() {
    let world = World::new().await;
    world.log.append(50_000);
    let mut stalled = world.watch(0).await;
    world.pass(Duration::from_secs(11)).await;
    assert!(matches!(end(&mut stalled).await, WatchEnd::TooSlow));
}

#[tokio::test(start_paused = true)]
async fn there_is_no_heartbeat_while_the_log_cannot_be_read() {
    let world = World::new().await;
    let mut stream = world.watch(0).await;
    let is_heartbeat = |event: &Event| matches!(event, Event::Heartbeat(_));
    let heartbeats = async |stream: &mut WatchStream, seconds: u32| {
        let mut heard = 0;
        for _ in 0..seconds * 4 {
            world.pass(POLL_INTERVAL).await;
            heard += come(stream)
                .await
                .iter()
                .filter(|it| is_heartbeat(it))
                .count();
        }
        heard
    };
    heartbeats(&mut stream, 2).await;
    assert!((4..=6).contains(&heartbeats(&mut stream, 5).await));
    assert!(world.readiness.is_ready());
    world.log.is_away.store(true, Ordering::Relaxed);
    heartbeats(&mut stream, 1).await;
    assert_eq!(heartbeats(&mut stream, 5).await, 0);
    assert!(!world.readiness.is_ready());
    world.log.is_away.store(false, Ordering::Relaxed);
    assert!(heartbeats(&mut stream, 2).await >= 1);
    assert!(world.readiness.is_ready());
}

#[tokio::test(start_paused = true)]
async fn new_keys_are_told() {
    let world = World::new().await;
    let mut stream = world.watch(0).await;
    world.pass(POLL_INTERVAL).await;
    come(&mut stream).await;
    world.keys.replace(keys());
    let Event::KeySet(key_set) = event(&mut stream).await else {
        panic!("no keys");
    };
    assert_eq!(key_set.jwks, **world.keys.current().jwks().body());
}

#[tokio::test(start_paused = true)]
async fn another_log_and_the_end_of_the_service_end_streams() {
    let world = World::new().await;
    world.log.append(3);
    let mut stream = world.watch(0).await;
    assert_eq!(batch(&mut stream).await, (0, 3, 3));
    world.pass(POLL_INTERVAL * 2).await;
    come(&mut stream).await;
    world.log.entries.lock().unwrap().pop();
    assert!(matches!(end(&mut stream).await, WatchEnd::Replaced));
    let mut stream = world.watch(3).await;
    let Event::Opening(opening) = event(&mut stream).await else {
        panic!("no opening");
    };
    assert_eq!((opening.after_seq, opening.head_seq), (0, 2));
    world.stop.cancel();
    assert!(matches!(end(&mut stream).await, WatchEnd::Stopping));
}

#[tokio::test(start_paused = true)]
async fn a_watcher_that_goes_leaves_nothing() {
    let world = World::new().await;
    let mut stream = world.watch(0).await;
    event(&mut stream).await;
    drop(stream);
    world.pass(POLL_INTERVAL).await;
    assert_eq!(world.hub.0.ring.receiver_count(), 0);
}

/// A thousand watchers share each message's bytes.
#[tokio::test(start_paused = true)]
async fn a_thousand_watchers_hear_the_same_bytes() {
    let world = World::new().await;
    let mut streams = Vec::new();
    for _ in 0..1000 {
        let mut stream = world.watch(0).await;
        event(&mut stream).await;
        event(&mut stream).await;
        streams.push(stream);
    }
    world.log.append(1);
    let mut heard = Vec::new();
    for stream in &mut streams {
        heard.push(encoded_batch(stream).await);
    }
    let first = heard[0].as_ptr();
    assert!(heard.iter().all(|bytes| bytes.as_ptr() == first));
}
