//! Several instances on one store under random schedules: readings that are acted on
//! late, commands, clock steps, restarts.

use proptest::prelude::*;

use super::*;

const INSTANCES: usize = 3;

#[derive(Clone, Debug)]
enum Event {
    /// True time passes, in seconds.
    Pass(u64),
    /// An instance reads and plans.
    Read(usize),
    /// It does what it planned when it read last, however long ago.
    Act(usize),
    /// Somebody wants a new key.
    Rotate(usize),
    /// Somebody drops the key that signs.
    Revoke(usize),
    /// An instance's wall clock is off by this from now on, in seconds.
    Step(usize, i64),
    /// An instance forgets everything but the store.
    Restart(usize),
}

#[derive(Default)]
struct Instance {
    sightings: Sightings,
    started_at: u64,
    wall_off: i64,
    planned: Vec<Step>,
}

/// What the model knows better than any row: true instants.
struct Truth {
    kid: String,
    published_at: u64,
    /// Since when it does not sign any more.
    stopped_at: Option<u64>,
}

struct World {
    now: u64,
    made: u32,
    rows: Vec<SigningKeyRecord>,
    truths: Vec<Truth>,
    instances: [Instance; INSTANCES],
}

impl World {
    fn new() -> Self {
        let mut world = Self {
            now: 0,
            made: 0,
            rows: Vec::new(),
            truths: Vec::new(),
            instances: Default::default(),
        };
        world.insert(SigningKeyState::Active, 0);
        world
    }

    fn wall(&self, instance: usize) -> u64 {
        // The model starts an hour late so that clocks can be slow.
        (3 * 3600 + self.now)
            .checked_add_signed(self.instances[instance].wall_off)
            .unwrap()
    }

    fn insert(&mut self, state: SigningKeyState, instance: usize) {
        self.made += 1;
        let kid = format!("key-{}", self.made);
        self.rows.push(record(&kid, state, self.wall(instance)));
        self.truths.push(Truth {
            kid,
            published_at: self.now,
            stopped_at: None,
        });
    }

    fn truth(&mut self, kid: &str) -> &mut Truth {
        self.truths.iter_mut().find(|it| it.kid == kid).unwrap()
    }

    fn row(&mut self, kid: &str, state: SigningKeyState) -> Option<&mut SigningKeyRecord> {
        self.rows
            .iter_mut()
            .find(|it| it.kid == kid && it.state == state)
    }

    fn has(&self, state: SigningKeyState) -> bool {
        self.rows.iter().any(|row| row.state == state)
    }

    fn happen(&mut self, event: &Event) {
        match *event {
            Event::Pass(seconds) => self.now += seconds,
            Event::Read(instance) => self.read(instance),
            Event::Act(instance) => {
                for step in std::mem::take(&mut self.instances[instance].planned) {
                    self.take(step, instance);
                }
            }
            Event::Rotate(instance) if !self.has(SigningKeyState::Upcoming) => {
                self.insert(SigningKeyState::Upcoming, instance);
            }
            Event::Rotate(_) => {}
            Event::Revoke(instance) => self.revoke(instance),
            Event::Step(instance, by) => self.instances[instance].wall_off = by,
            Event::Restart(instance) => {
                self.instances[instance] = Instance {
                    started_at: self.now,
                    ..Instance::default()
                };
            }
        }
    }

    fn read(&mut self, index: usize) {
        let wall = at(self.wall(index));
        let instance = &mut self.instances[index];
        let monotonic = Duration::from_secs(self.now - instance.started_at);
        instance.sightings.note(&self.rows, wall, monotonic);
        let ages = instance.sightings.ages(&self.rows, monotonic);
        instance.planned = plan(&ages, &SCHEDULE);
    }

    /// As the store does: only where the rows are as expected.
    fn take(&mut self, step: Step, instance: usize) {
        match step {
            Step::CreateActive => panic!("there always is an active key"),
            Step::Publish { active } => {
                let expected = self.row(&active, SigningKeyState::Active).is_some();
                if expected && !self.has(SigningKeyState::Upcoming) {
                    self.insert(SigningKeyState::Upcoming, instance);
                }
            }
            Step::Activate { kid, retires } => {
                let retires = retires.unwrap();
                if self.row(&retires, SigningKeyState::Active).is_none()
                    || self.row(&kid, SigningKeyState::Upcoming).is_none()
                {
                    return;
                }
                self.row(&retires, SigningKeyState::Active).unwrap().state =
                    SigningKeyState::Retiring;
                self.row(&kid, SigningKeyState::Upcoming).unwrap().state = SigningKeyState::Active;
                let now = self.now;
                self.truth(&retires).stopped_at = Some(now);
                let published = now - self.truth(&kid).published_at;
                assert!(published >= SCHEDULE.publish_before.as_secs(), "early");
            }
            Step::Delete { kid } => {
                if self.row(&kid, SigningKeyState::Retiring).is_none() {
                    return;
                }
                self.rows.retain(|row| row.kid != kid);
                let now = self.now;
                let stopped = self.truth(&kid).stopped_at.unwrap();
                assert!(
                    now - stopped >= SCHEDULE.retire_after.as_secs(),
                    "deleted early"
                );
            }
        }
    }

    fn revoke(&mut self, instance: usize) {
        self.rows.retain(|row| row.state != SigningKeyState::Active);
        let upcoming = |row: &&mut SigningKeyRecord| row.state == SigningKeyState::Upcoming;
        match self.rows.iter_mut().find(upcoming) {
            Some(row) => row.state = SigningKeyState::Active,
            None => self.insert(SigningKeyState::Active, instance),
        }
    }

    fn check(&self) {
        let active = |row: &&SigningKeyRecord| row.state == SigningKeyState::Active;
        assert_eq!(self.rows.iter().filter(active).count(), 1);
        assert!(self.rows.len() <= MAX_PUBLISHED);
    }
}

fn usual() -> impl Strategy<Value = Event> {
    let instance = 0..INSTANCES;
    prop_oneof![
        4 => prop_oneof![0..3_u64, 0..900_u64, 0..100_000_u64].prop_map(Event::Pass),
        6 => instance.clone().prop_map(Event::Read),
        6 => instance.clone().prop_map(Event::Act),
        1 => instance.clone().prop_map(Event::Rotate),
        1 => instance.prop_map(Event::Revoke),
    ]
}

fn check_world(events: &[Event]) {
    let mut world = World::new();
    // Every process reads before it serves.
    (0..INSTANCES).for_each(|instance| world.read(instance));
    for event in events {
        world.happen(event);
        world.check();
    }
    // Left alone, it comes to rest with what the schedule wants.
    for _ in 0..4 {
        for event in [Event::Pass(1000), Event::Read(0), Event::Act(0)] {
            world.happen(&event);
            world.check();
        }
    }
    assert!(!world.has(SigningKeyState::Retiring) || world.rows.len() <= 3);
}

proptest! {
    /// Together: a process that begins while its clock is wrong believes that clock.
    #[test]
    fn clocks_that_step_by_hours_and_restarts_bring_nothing_forward(
        events in prop::collection::vec(
            prop_oneof![
                8 => usual(),
                1 => (0..INSTANCES, -3600..3600_i64).prop_map(|(i, by)| Event::Step(i, by)),
                1 => (0..INSTANCES).prop_map(Event::Restart),
            ],
            1..200,
        )
    ) {
        check_world(&events);
    }
}
