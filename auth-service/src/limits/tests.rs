use proptest::prelude::*;

use super::*;
use crate::fixtures::{HOME, World, at, start};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

fn email(text: &str) -> Email {
    Email::parse(text).unwrap()
}

fn millis(count: u64) -> Duration {
    Duration::from_millis(count)
}

/// Counts guesses that are let through; each stays counted.
async fn guesses(world: &World, address: &str, source: &str, tries: usize) -> usize {
    let mut allowed = 0;
    for _ in 0..tries {
        match world
            .limits
            .guess(&email(address), &at(source), start())
            .await
        {
            Ok(_wrong) => allowed += 1,
            Err(LimitError::TooMany { retry_after }) => assert!(!retry_after.is_zero()),
            Err(other) => panic!("{other}"),
        }
    }
    allowed
}

#[test]
fn a_bucket_holds_its_burst_and_refills() {
    let quota = Quota::new(3, millis(100));
    let mut bucket = Bucket::full(start());
    for _ in 0..3 {
        bucket = bucket.take(quota, start()).unwrap();
    }
    assert_eq!(bucket.take(quota, start()), Err(millis(100)));
    assert_eq!(bucket.take(quota, start() + millis(99)), Err(millis(1)));
    let bucket = bucket.take(quota, start() + millis(100)).unwrap();
    assert!(bucket.take(quota, start() + millis(100)).is_err());
}

#[test]
fn giving_back_never_overfills() {
    let quota = Quota::new(2, millis(100));
    let full = Bucket::full(start());
    assert_eq!(full.give_back(quota, start()), full);
    let taken = full.take(quota, start()).unwrap();
    assert_eq!(taken.give_back(quota, start()), full);
}

#[test]
fn a_clock_that_jumped_makes_nobody_wait_longer_than_an_empty_bucket() {
    let quota = Quota::new(2, millis(100));
    let tomorrow = start() + DAY;
    let bucket = Bucket::full(tomorrow).take(quota, tomorrow).unwrap();
    assert_eq!(bucket.take(quota, start()), Err(millis(100)));
}

#[test]
fn no_quota_overflows() {
    let largest = Quota::new(u32::MAX, Duration::MAX);
    let (early, late) = (Timestamp::MIN, Timestamp::MAX);
    for now in [early, start(), late] {
        for bucket in [
            Bucket::full(now),
            Bucket::from_millis(i64::MIN),
            Bucket::from_millis(i64::MAX),
        ] {
            let _ = bucket.give_back(largest, now);
            assert_eq!(
                bucket.take(largest, now).is_err(),
                bucket.as_millis() == i64::MAX
            );
        }
    }
    let once = Quota::new(1, Duration::MAX);
    let taken = Bucket::full(late).take(once, late).unwrap();
    assert!(taken.take(once, late).is_err());
    assert!(taken.take(once, early).is_err(), "a clock that went back");
}

proptest! {
    /// However the attempts fall, no more pass in a span than the burst and what
    /// refilled, and whoever waits as long as told gets through.
    #[test]
    fn a_bucket_keeps_to_its_quota(
        burst in 1u32..20,
        refill in 1u64..1000,
        gaps in prop::collection::vec(0u64..500, 1..200),
    ) {
        let quota = Quota::new(burst, millis(refill));
        let (mut now, mut passed) = (start(), 0u64);
        let mut bucket = Bucket::full(now);
        for gap in gaps {
            now += jiff::SignedDuration::from_millis(gap as i64);
            match bucket.take(quota, now) {
                Ok(taken) => (bucket, passed) = (taken, passed + 1),
                Err(wait) => {
                    prop_assert!(bucket.take(quota, now + wait - millis(1)).is_err());
                    prop_assert!(bucket.take(quota, now + wait).is_ok());
                }
            }
            let elapsed = now.duration_since(start()).as_millis() as u64;
            prop_assert!(passed <= u64::from(burst) + elapsed / refill);
        }
    }
}

#[tokio::test]
async fn one_source_gets_five_tries_at_an_account() {
    let world = World::new().await;
    assert_eq!(guesses(&world, "ann@example.com", HOME, 30).await, 5);
    // Which leaves other accounts and other sources alone.
    assert_eq!(guesses(&world, "bob@example.com", HOME, 1).await, 1);
    assert_eq!(
        guesses(&world, "ann@example.com", "198.51.100.1", 1).await,
        1
    );
}

#[tokio::test]
async fn all_sources_together_get_twenty() {
    let world = World::new().await;
    let mut allowed = 0;
    for host in 1..=20 {
        allowed += guesses(&world, "ann@example.com", &format!("198.51.100.{host}"), 5).await;
    }
    assert_eq!(allowed, 20);
}

#[tokio::test]
async fn a_patient_botnet_gets_fifty_and_then_one_an_hour() {
    let world = World::new().await;
    let mut allowed = 0;
    for hour in 0..12u32 {
        let now = start() + HOUR * hour;
        for host in 0..100 {
            let source = at(&format!("10.0.{hour}.{host}"));
            allowed += usize::from(
                world
                    .limits
                    .guess(&email("ann@example.com"), &source, now)
                    .await
                    .is_ok(),
            );
        }
    }
    assert_eq!(allowed, 50 + 11);
}

#[tokio::test]
async fn a_denied_guess_costs_the_account_nothing() {
    let world = World::new().await;
    guesses(&world, "ann@example.com", "198.51.100.1", 1000).await;
    for host in 2..5 {
        let source = format!("198.51.100.{host}");
        assert_eq!(guesses(&world, "ann@example.com", &source, 5).await, 5);
    }
}

#[tokio::test]
async fn one_source_gets_fifty_over_all_accounts() {
    let world = World::new().await;
    let mut allowed = 0;
    for person in 0..40 {
        allowed += guesses(&world, &format!("p{person}@example.com"), HOME, 2).await;
    }
    assert_eq!(allowed, 50);
}

#[tokio::test]
async fn everybody_together_is_limited() {
    let world = World::new().await;
    let settings = LimitSettings {
        everything: Quota::new(7, DAY),
        ..LimitSettings::default()
    };
    let limits = Limits::new(Arc::new(world.store.clone()), settings);
    let mut allowed = 0;
    for host in 0..20 {
        let (email, source) = (
            email(&format!("p{host}@b.c")),
            at(&format!("10.0.0.{host}")),
        );
        allowed += usize::from(limits.guess(&email, &source, start()).await.is_ok());
    }
    assert_eq!(allowed, 7);
}

/// LP-05: the same bucket however it is written.
#[tokio::test]
async fn variants_share_buckets() {
    let world = World::new().await;
    let mut allowed = 0;
    for variant in [
        "ann@b.c",
        "ANN@b.c",
        " ann@B.C ",
        "ａnn@b.c",
        "ann＠b.c",
        "Ann@b.c",
        "aNN@b.c",
    ] {
        allowed += guesses(&world, variant, HOME, 1).await;
    }
    assert_eq!(allowed, 5);

    let mut allowed = 0;
    for host in 0..20 {
        allowed += guesses(&world, "bob@b.c", &format!("2001:db8:1:2::{host:x}"), 1).await;
    }
    assert_eq!(allowed, 5, "one customer has a /64");
    assert_eq!(guesses(&world, "bob@b.c", "2001:db8:1:3::1", 1).await, 1);

    assert_eq!(guesses(&world, "eve@b.c", "203.0.113.9", 3).await, 3);
    assert_eq!(guesses(&world, "eve@b.c", "::ffff:203.0.113.9", 3).await, 2);
}

#[tokio::test]
async fn sources_that_are_none_share_one_bucket() {
    let world = World::new().await;
    let mut allowed = 0;
    for source in [
        "",
        "unix",
        "999.1.1.1",
        "127.0.0.1:80",
        "1' OR '1'='1",
        "x\r\ny",
        "\0",
    ] {
        allowed += guesses(&world, "ann@b.c", source, 1).await;
    }
    assert_eq!(allowed, 5);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_parallel_burst_gets_no_further() {
    let world = World::new().await;
    let tasks: Vec<_> = (0..60)
        .map(|_| {
            let limits = world.limits.clone();
            tokio::spawn(async move { limits.guess(&email("ann@b.c"), &at(HOME), start()).await })
        })
        .collect();
    let mut allowed = 0;
    for task in tasks {
        allowed += usize::from(task.await.unwrap().is_ok());
    }
    assert_eq!(allowed, 5);
}

#[tokio::test]
async fn a_right_guess_is_given_back() {
    let world = World::new().await;
    for _ in 0..30 {
        let attempt = world
            .limits
            .guess(&email("ann@b.c"), &at(HOME), start())
            .await
            .unwrap();
        world.limits.guessed_right(&attempt, start()).await.unwrap();
    }
    for _ in 0..30 {
        let attempt = world
            .limits
            .guess(&email("bob@b.c"), &at(HOME), start())
            .await
            .unwrap();
        world.limits.not_tried(&attempt, start()).await.unwrap();
    }
    assert_eq!(guesses(&world, "ann@b.c", HOME, 10).await, 5);
}

#[tokio::test]
async fn strangers_do_not_lock_a_known_source_out() {
    let world = World::new().await;
    world
        .limits
        .registered(&email("ann@b.c"), &at(HOME), start())
        .await
        .unwrap();
    for host in 0..100 {
        guesses(&world, "ann@b.c", &format!("10.0.0.{host}"), 5).await;
    }
    assert_eq!(
        guesses(&world, "ann@b.c", "10.0.1.1", 5).await,
        0,
        "strangers are limited"
    );
    assert_eq!(
        guesses(&world, "ann@b.c", HOME, 10).await,
        5,
        "the owner is at home"
    );
    assert_eq!(
        guesses(&world, "bob@b.c", HOME, 5).await,
        5,
        "home is unknown to others"
    );
}

#[tokio::test]
async fn an_account_remembers_ten_sources() {
    let world = World::new().await;
    let account = BucketKey::account(&email("ann@b.c"));
    for host in 0..15 {
        let (source, now) = (at(&format!("10.0.0.{host}")), start() + millis(host));
        world
            .limits
            .registered(&email("ann@b.c"), &source, now)
            .await
            .unwrap();
    }
    for host in 0..15 {
        let source = BucketKey::source(&at(&format!("10.0.0.{host}")));
        let known = world
            .store
            .is_known_source(&account, &source)
            .await
            .unwrap();
        assert_eq!(known, host >= 5, "{host}");
    }
}

#[tokio::test]
async fn a_restart_forgives_nothing() {
    let world = World::new().await;
    assert_eq!(guesses(&world, "ann@b.c", HOME, 5).await, 5);
    let world = world
        .restarted(crate::password::HashCost::insecure_for_tests())
        .await;
    assert_eq!(guesses(&world, "ann@b.c", HOME, 5).await, 0);
}

#[tokio::test]
async fn full_buckets_are_dropped_in_batches_and_others_stay() {
    let world = World::new().await;
    for host in 0..10 {
        world
            .limits
            .guest(&at(&format!("10.0.0.{host}")), start())
            .await
            .unwrap();
    }
    assert_eq!(guesses(&world, "ann@b.c", HOME, 5).await, 5);
    // A guest's bucket is full again after a second, the pair's after five minutes.
    let later = start() + millis(1500);
    assert_eq!(world.limits.purge(later, 4).await.unwrap(), 4);
    let rest = world.limits.purge(later, 100).await.unwrap();
    assert!((6..10).contains(&rest), "{rest}");
    assert_eq!(guesses(&world, "ann@b.c", HOME, 5).await, 0);
    world.limits.purge(start() + 60 * DAY, 100).await.unwrap();
    let left: i64 = sqlx::query_scalar("SELECT count(*) FROM limit_buckets")
        .fetch_one(world.store.writer())
        .await
        .unwrap();
    assert_eq!(left, 0);
}

#[tokio::test]
async fn guests_and_registrations_are_limited_per_source() {
    let world = World::new().await;
    let (mut guests, mut registrations) = (0, 0);
    for _ in 0..150 {
        guests += usize::from(world.limits.guest(&at(HOME), start()).await.is_ok());
        let registration = world.limits.registration(&at(HOME), start()).await;
        registrations += usize::from(registration.is_ok());
    }
    assert_eq!((guests, registrations), (100, 20));
    assert!(world.limits.guest(&at("192.0.2.99"), start()).await.is_ok());
}

#[tokio::test]
async fn no_address_stands_in_the_tables() {
    let world = World::new().await;
    guesses(&world, "canary@example.com", HOME, 3).await;
    world
        .limits
        .registered(&email("canary@example.com"), &at(HOME), start())
        .await
        .unwrap();
    for (path, bytes) in world.files() {
        for needle in [b"canary".as_slice(), HOME.as_bytes()] {
            assert!(
                !bytes.windows(needle.len()).any(|part| part == needle),
                "{path:?}"
            );
        }
    }
}

#[test]
fn keys_of_different_parts_differ() {
    assert_ne!(BucketKey::of(&[b"ab", b"c"]), BucketKey::of(&[b"a", b"bc"]));
    assert_ne!(BucketKey::of(&[b"a"]), BucketKey::of(&[b"a", b""]));
}
