//! Revocation under everything that can go wrong, with a scheduler that a seed fixes.
//!
//! The auth service's database, its instances and the network are simulated; the
//! followers, their tables and the verifiers are the real ones, on clocks that are moved
//! by hand. Nothing sleeps and nothing is left to chance but the seed, so a failure prints
//! its seed and comes again with
//!
//! ```console
//! $ LATCHKEY_SIM_SEED=1234 cargo test -p auth-service --test it simulation
//! ```
//!
//! What must hold is in `simulation/referee.rs`. That it would be noticed if it did not is
//! shown with deliberate mistakes: `simulation/sabotage.rs`.

mod coverage;
mod database;
mod faults;
mod inspection;
mod network;
mod node;
mod referee;
mod rng;
mod sabotage;
mod schedule;
mod server;
mod traffic;
mod world;

use self::coverage::Coverage;
use self::sabotage::Sabotage;

const SEEDS: u64 = 3_000;

/// How often each fault must have happened over all seeds.
const LEAST: u64 = SEEDS / 20;

/// Each mistake is to be found within so many seeds.
const SEEDS_TO_A_MISTAKE: u64 = 300;

const VARIABLE: &str = "LATCHKEY_SIM_SEED";

#[test]
fn no_revoked_token_is_served_and_no_good_one_refused() {
    if let Some(seed) = chosen_seed() {
        let (outcome, coverage) = world::tell(seed);
        println!("{coverage:#?}");
        outcome.unwrap_or_else(|violation| panic!("seed {seed}: {violation}"));
        return;
    }
    let mut total = Coverage::default();
    for seed in 0..SEEDS {
        let (outcome, coverage) = world::run(seed, None);
        if let Err(violation) = outcome {
            panic!("{violation}\nreplay it with {VARIABLE}={seed}");
        }
        total.add(&coverage);
    }
    let rare = total.lacks(LEAST);
    assert!(rare.is_empty(), "too rare to prove anything: {rare:?}");
}

#[test]
fn a_seed_is_played_the_same_way_twice() {
    for seed in 0..5 {
        let (_, first) = world::run(seed, None);
        let (_, second) = world::run(seed, None);
        assert_eq!(first, second);
    }
}

#[test]
fn every_deliberate_mistake_is_found() {
    for sabotage in Sabotage::ALL {
        let found = (0..SEEDS_TO_A_MISTAKE).find_map(|seed| {
            let (outcome, _) = world::run(seed, Some(sabotage));
            let violation = outcome.err()?;
            violation
                .contains(sabotage.harm())
                .then_some((seed, violation))
        });
        let (seed, violation) = found.unwrap_or_else(|| panic!("nobody noticed {sabotage:?}"));
        println!("{sabotage:?}: seed {seed}: {violation}");
    }
}

fn chosen_seed() -> Option<u64> {
    let seed = std::env::var(VARIABLE).ok()?;
    Some(seed.parse().expect("the seed is a number"))
}
