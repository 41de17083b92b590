use jiff::Timestamp;
use token_verifier::ManualClock;

use super::*;
use crate::entropy::OsEntropy;
use crate::fixtures::start;
use crate::key_encryption::KeyEncryptionKey;
use crate::signing_keys::load_or_create;
use crate::store::sqlite::SqliteStore;

const SCHEDULE: Schedule = Schedule {
    rotate_every: Duration::from_secs(24 * 60 * 60),
    publish_before: Duration::from_secs(600),
    retire_after: Duration::from_secs(360),
};

struct World {
    _directory: tempfile::TempDir,
    store: SqliteStore,
    clock: ManualClock,
    key: secrecy::SecretString,
}

impl World {
    async fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("auth.db");
        Self {
            store: SqliteStore::open(&path).await.unwrap(),
            _directory: directory,
            clock: ManualClock::at(start()),
            key: "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8".into(),
        }
    }

    fn ring(&self) -> KeyRing {
        KeyEncryptionKey::parse(&self.key).unwrap().into()
    }

    async fn keeper(&self) -> Keeper {
        let keys = load_or_create(&self.store, &self.ring(), self.clock.now()).await;
        let keys = SharedSigningKeys::good_for(keys.unwrap(), Duration::from_secs(295));
        self.keeper_with(keys, self.ring())
    }

    fn keeper_with(&self, keys: SharedSigningKeys, key_ring: KeyRing) -> Keeper {
        Keeper::new(KeeperParts {
            store: Arc::new(self.store.clone()),
            keys,
            key_ring,
            schedule: SCHEDULE,
            clock: Arc::new(self.clock.clone()),
            metrics: KeyMetrics::default(),
        })
    }

    /// Time goes by in minutes; what signs at the end.
    async fn pass(&self, keeper: &Keeper, minutes: u64) -> String {
        for _ in 0..minutes {
            self.clock.advance(Duration::from_secs(60));
            keeper.round().await.unwrap();
        }
        signs(keeper)
    }
}

fn signs(keeper: &Keeper) -> String {
    keeper.parts.keys.signer().unwrap().kid().to_owned()
}

async fn states(keeper: &Keeper) -> Vec<SigningKeyState> {
    let keys = keeper.list().await.unwrap();
    keys.into_iter().map(|key| key.record.state).collect()
}

#[tokio::test]
async fn a_key_goes_through_its_life_by_itself() {
    use SigningKeyState::{Active, Retiring, Upcoming};
    let world = World::new().await;
    let keeper = world.keeper().await;
    let first = signs(&keeper);
    assert_eq!(world.pass(&keeper, 24 * 60 - 11).await, first);
    assert_eq!(states(&keeper).await, [Active]);
    assert_eq!(world.pass(&keeper, 1).await, first);
    assert_eq!(states(&keeper).await, [Active, Upcoming]);
    assert_eq!(world.pass(&keeper, 9).await, first);
    assert_ne!(world.pass(&keeper, 1).await, first);
    assert_eq!(states(&keeper).await, [Retiring, Active]);
    world.pass(&keeper, 5).await;
    assert_eq!(states(&keeper).await, [Retiring, Active]);
    world.pass(&keeper, 1).await;
    assert_eq!(states(&keeper).await, [Active]);
}

#[tokio::test]
async fn a_clock_that_is_set_by_hours_brings_nothing_forward() {
    let world = World::new().await;
    let keeper = world.keeper().await;
    let first = signs(&keeper);
    keeper.rotate().await.unwrap();
    for seconds in [3600, -3600, 7200_i64] {
        let now: Timestamp = start();
        world
            .clock
            .set(now + jiff::SignedDuration::from_secs(seconds));
        keeper.round().await.unwrap();
        assert_eq!(signs(&keeper), first);
    }
    assert_ne!(world.pass(&keeper, 10).await, first);
}

#[tokio::test]
async fn rotating_twice_publishes_one_key_and_says_when_it_signs() {
    let world = World::new().await;
    let keeper = world.keeper().await;
    let Rotated { upcoming, is_new } = keeper.rotate().await.unwrap();
    assert!(is_new);
    assert_eq!(
        upcoming.next_change_at,
        Some(start() + SCHEDULE.publish_before)
    );
    let again = keeper.rotate().await.unwrap();
    assert_eq!(again.upcoming.record, upcoming.record);
    assert!(!again.is_new);
    let jwks = keeper.parts.keys.current().jwks().body().clone();
    assert!(String::from_utf8_lossy(&jwks).contains(&upcoming.record.kid));
}

#[tokio::test]
async fn nobody_publishes_more_than_verifiers_hold() {
    let world = World::new().await;
    let keeper = world.keeper().await;
    let mut active = signs(&keeper);
    for _ in 0..MAX_PUBLISHED - 1 {
        let next = keeper.rotate().await.unwrap().upcoming.record.kid;
        let activated = world.store.activate_key(&next, Some(&active), start());
        assert!(activated.await.unwrap());
        active = next;
    }
    let refused = keeper.rotate().await.unwrap_err();
    assert!(matches!(refused, KeeperError::TooMany), "{refused}");
    world.clock.advance(SCHEDULE.rotate_every);
    let records = world.store.load_all().await.unwrap();
    let stopped = {
        let sightings = keeper.sightings.lock().await;
        let ages = sightings.ages(&records, world.clock.monotonic());
        keeper.stopped(&ages, &[], &records)
    };
    assert_eq!(stopped, Some(Stopped::Full));
    let replaced = keeper.revoke(&active).await.unwrap().record.kid;
    assert_eq!(signs(&keeper), replaced, "an emergency needs no room");
}

#[tokio::test]
async fn a_revoked_key_signs_no_more_and_is_not_found_again() {
    let world = World::new().await;
    let keeper = world.keeper().await;
    let other = world.keeper().await;
    let first = signs(&keeper);
    let mut changed = keeper.parts.keys.changed();
    let active = keeper.revoke(&first).await.unwrap();
    assert!(changed.has_changed().unwrap());
    changed.mark_unchanged();
    assert_eq!(signs(&keeper), active.record.kid);
    let jwks = keeper.parts.keys.current().jwks().body().clone();
    assert!(!String::from_utf8_lossy(&jwks).contains(&first));

    assert_eq!(signs(&other), first, "it has not looked yet");
    other.parts.keys.drop_signer(&active.record.kid);
    assert_eq!(signs(&other), first, "that is another key");
    other.parts.keys.drop_signer(&first);
    assert!(other.parts.keys.signer().is_none());
    other.round().await.unwrap();
    assert_eq!(signs(&other), active.record.kid);
    let refused = other.revoke(&first).await.unwrap_err();
    assert!(matches!(refused, KeeperError::NotFound { .. }), "{refused}");
}

#[tokio::test]
async fn who_cannot_decrypt_the_next_key_stops_before_the_last_one_is_gone() {
    let world = World::new().await;
    let keeper = world.keeper().await;
    let first = signs(&keeper);
    let keys = load_or_create(&world.store, &world.ring(), start()).await;
    let keys = SharedSigningKeys::good_for(keys.unwrap(), Duration::from_secs(295));
    let stranger = KeyRing::from(KeyEncryptionKey::generate(&OsEntropy));
    let behind = world.keeper_with(keys, stranger);

    keeper.rotate().await.unwrap();
    behind.round().await.unwrap();
    let second = world.pass(&keeper, 10).await;
    behind.round().await.unwrap();
    assert_eq!(signs(&behind), first);
    let jwks = behind.parts.keys.current().jwks().body().clone();
    assert!(String::from_utf8_lossy(&jwks).contains(&second));

    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(296)).await;
    tokio::time::resume();
    behind.round().await.unwrap();
    let jwks = behind.parts.keys.current().jwks().body().clone();
    assert!(String::from_utf8_lossy(&jwks).contains(&first));
    assert!(
        behind.parts.keys.signer().is_none(),
        "what it signs now would outlive the key"
    );
}

#[tokio::test]
async fn a_newer_release_s_key_keeps_nobody_from_signing() {
    let world = World::new().await;
    let keeper = world.keeper().await;
    let first = signs(&keeper);
    let made = SigningKey::generate(&world.ring(), SigningKeyState::Upcoming, start());
    let (_, mut newer) = made.unwrap();
    newer.algorithm = "ES256".to_owned();
    assert!(
        world
            .store
            .insert_upcoming(&newer, &first, 9)
            .await
            .unwrap()
    );
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(296)).await;
    tokio::time::resume();
    assert_eq!(world.pass(&keeper, 1).await, first);
    let again = world.keeper().await;
    assert_eq!(world.pass(&again, 1).await, first, "it starts beside it");
}

#[tokio::test]
async fn keys_that_nobody_confirms_stop_signing_and_come_back() {
    let world = World::new().await;
    let keeper = world.keeper().await;
    let signer = || keeper.parts.keys.signer();
    // Not before: a database is not to be waited for in a time that runs by itself.
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(294)).await;
    assert!(signer().is_some());
    tokio::time::advance(Duration::from_secs(2)).await;
    assert!(signer().is_none(), "it may have been deleted by now");
    tokio::time::resume();
    keeper.round().await.unwrap();
    assert!(signer().is_some());
}

#[tokio::test]
async fn a_lost_database_keeps_what_was_read() {
    let world = World::new().await;
    let keeper = world.keeper().await;
    let first = signs(&keeper);
    world.store.close().await;
    let refused = keeper.round().await.unwrap_err();
    assert!(matches!(refused, KeeperError::Store(_)), "{refused}");
    assert_eq!(signs(&keeper), first);
}

#[tokio::test]
async fn a_key_that_cannot_be_used_here_keeps_no_other_step_from_being_taken() {
    let world = World::new().await;
    let keeper = world.keeper().await;
    let stranger = KeyRing::from(KeyEncryptionKey::generate(&OsEntropy));
    let made = SigningKey::generate(&stranger, SigningKeyState::Upcoming, start());
    let (_, lost) = made.unwrap();
    let first = signs(&keeper);
    assert!(world.store.insert_upcoming(&lost, &first, 9).await.unwrap());
    assert_eq!(world.pass(&keeper, 12).await, first);
    let told = keeper.stopped.lock().unwrap().clone();
    assert_eq!(told, Some(Stopped::Unusable(lost.kid.clone())));
    keeper.revoke(&lost.kid).await.unwrap();
    world.pass(&keeper, 1).await;
    assert_eq!(*keeper.stopped.lock().unwrap(), None);
}

#[tokio::test]
async fn a_keeper_that_is_woken_reads_at_once() {
    let world = World::new().await;
    let keeper = world.keeper().await;
    let other = world.keeper().await;
    let first = signs(&keeper);
    let day = Duration::from_secs(24 * 60 * 60);
    let readiness = chassis::readiness::Readiness::new();
    let run = tokio::spawn(other.clone().run(day, readiness.gate("keys")));
    let mut changed = other.parts.keys.changed();
    let next = keeper.revoke(&first).await.unwrap().record.kid;
    other.parts.keys.read_again();
    while other
        .parts
        .keys
        .signer()
        .is_none_or(|key| key.kid() != next)
    {
        changed.changed().await.unwrap();
    }
    run.abort();
    assert!(run.await.unwrap_err().is_cancelled());
}
