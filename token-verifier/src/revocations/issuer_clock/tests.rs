use proptest::prelude::*;

use super::*;

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// An issuer whose wall clock shows an hour when ours shows nothing.
fn says(moment: Duration) -> i64 {
    3_600_000_000 + micros(moment)
}

#[test]
fn a_prompt_answer_says_the_time() {
    let mut clock = IssuerClock::default();
    assert_eq!(clock.offset_us(), None);
    let sent_at = clock.answered(says(ms(15)), ms(10), ms(20));
    assert_eq!(sent_at, ms(10));
    assert_eq!(clock.offset_us(), Some(3_600_000_000 - 5_000));
}

#[test]
fn a_message_out_of_a_buffer_is_old_and_sets_nothing_back() {
    let mut clock = IssuerClock::default();
    clock.answered(says(ms(10)), ms(10), ms(10));
    let sent_at = clock.told(says(ms(1_000)), ms(61_000));
    assert_eq!(sent_at, ms(1_000));
    let lost = 3_600_000_000 - clock.offset_us().unwrap();
    assert!(lost <= 61_000_000 / i64::from(SLOWEST), "{lost}");
}

#[test]
fn an_issuer_set_forwards_is_followed_at_once() {
    let mut clock = IssuerClock::default();
    clock.answered(says(ms(5)), ms(0), ms(10));
    let stepped = says(ms(1_000)) + 3_600_000_000;
    let sent_at = clock.told(stepped, ms(1_000));
    assert!(sent_at >= ms(980) && sent_at <= ms(1_000), "{sent_at:?}");
    assert_eq!(clock.offset_us(), Some(stepped - 1_000_000));
}

#[test]
fn an_issuer_set_back_is_followed_once_it_is_asked() {
    let mut clock = IssuerClock::default();
    clock.answered(says(ms(0)), ms(0), ms(0));
    let back = |moment| says(moment) - 3_600_000_000;
    // This might as well be an hour late.
    assert_eq!(clock.told(back(ms(1_000)), ms(1_000)), ms(0));
    let sent_at = clock.answered(back(ms(1_150)), ms(1_100), ms(1_200));
    assert_eq!(sent_at, ms(1_100));
    assert_eq!(clock.offset_us(), Some(-50_000));
}

#[test]
fn a_slow_answer_does_not_spoil_what_a_prompt_one_said() {
    let mut clock = IssuerClock::default();
    clock.answered(says(ms(0)), ms(0), ms(0));
    let sent_at = clock.answered(says(ms(1_500)), ms(1_000), ms(2_000));
    assert_eq!(sent_at, ms(1_500));
}

proptest! {
    /// Clocks of one speed, messages of any delay: the time is never ahead of the issuer's,
    /// and no message is taken for younger than it is.
    #[test]
    fn is_never_ahead_and_believes_nothing_younger_than_it_is(
        messages in prop::collection::vec((0..5_000_u64, 0..5_000_u64, any::<bool>()), 1..50)
    ) {
        let mut clock = IssuerClock::default();
        let mut now = ms(0);
        clock.answered(says(now), now, now);
        for (to_there, from_there, is_answer) in messages {
            let sent_at = now + ms(to_there);
            let arrived_at = sent_at + ms(from_there);
            let earliest = if is_answer {
                clock.answered(says(sent_at), now, arrived_at)
            } else {
                clock.told(says(sent_at), arrived_at)
            };
            prop_assert!(earliest <= sent_at);
            prop_assert!(clock.offset_us().unwrap() <= 3_600_000_000);
            now = arrived_at;
        }
    }
}
