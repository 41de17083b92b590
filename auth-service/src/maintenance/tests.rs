use token_verifier::ManualClock;

use super::*;
use crate::fixtures::{World, start};
use crate::revocations::entry::ENTRY_LIFE;
use crate::store::SessionStore as _;

const HOUR: SignedDuration = SignedDuration::from_hours(1);

/// FT-06: a clock that is ahead for a while drops nothing that is needed when it is right.
#[test]
fn purges_by_the_earlier_of_two_clocks() {
    let clock = ManualClock::at(start());
    let started = Started::now(&clock);
    clock.advance(HOUR);
    assert_eq!(started.cautious_now(&clock), start() + HOUR);
    clock.set(start() + HOUR * 3);
    assert_eq!(started.cautious_now(&clock), start() + HOUR);
    clock.set(start());
    assert_eq!(started.cautious_now(&clock), start());
}

async fn maintained(world: &World) -> Maintenance {
    Maintenance {
        sessions: world.sessions.clone(),
        limits: world.limits.clone(),
        log: Arc::new(world.store.clone()),
        keys: Arc::new(world.store.clone()),
        clock: Arc::new(world.clock.clone()),
        metrics: AuthMetrics::default(),
    }
}

#[tokio::test]
async fn drops_revocations_once_no_token_can_be_alive() {
    let world = World::new().await;
    let maintenance = maintained(&world).await;
    let started = Started::now(&world.clock);
    let (_, opened) = world.register("ann@example.com").await;
    let ended = world
        .store
        .end_session(&opened.secret.hash(), start())
        .await
        .unwrap();
    assert!(ended.is_some());
    let left = async || world.store.read_after(0, 10).await.unwrap().len();

    world.clock.set(start() + HOUR);
    maintenance.purge(started).await;
    assert_eq!(left().await, 1, "an hour by the clock that was set");
    world.clock.set(start());
    world.clock.advance(ENTRY_LIFE);
    maintenance.purge(started).await;
    assert_eq!(left().await, 1);
    world.clock.advance(Duration::from_secs(1));
    maintenance.purge(started).await;
    assert_eq!(left().await, 0);
}

#[tokio::test]
async fn notes_a_clock_that_goes_ahead_and_no_more_than_that() {
    let world = World::new().await;
    let maintenance = maintained(&world).await;
    let mut noted = None;
    maintenance.note_time(&mut noted).await;
    assert_eq!(noted, Some(start()));
    world
        .clock
        .advance(NOTE_TIME_EVERY - SignedDuration::from_secs(1));
    maintenance.note_time(&mut noted).await;
    assert_eq!(noted, Some(start()));
    world.clock.set(start() + HOUR);
    maintenance.note_time(&mut noted).await;
    assert_eq!(noted, Some(start() + HOUR));
    world.clock.set(start());
    maintenance.note_time(&mut noted).await;
    assert_eq!(noted, Some(start() + HOUR));
}
