use std::collections::HashSet;

use super::*;
use crate::entropy::OsEntropy;
use crate::fixtures::{at, start};

const TTLS: SessionTtls = SessionTtls {
    user_idle: Duration::from_secs(1000),
    user_absolute: Duration::from_secs(5000),
    guest_idle: Duration::from_secs(100),
    guest_absolute: Duration::from_secs(500),
};

fn subject(kind: &str) -> Subject {
    Subject::parse(&format!("{kind}_{}", uuid_v4(&OsEntropy))).unwrap()
}

fn user(now: Timestamp) -> Session {
    Session::user(
        subject("usr"),
        at("192.0.2.7"),
        None,
        now,
        &TTLS,
        &OsEntropy,
    )
}

fn guest(now: Timestamp) -> Session {
    Session::guest(at("192.0.2.7"), now, &TTLS, &OsEntropy)
}

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

#[test]
fn new_sessions_say_what_they_are() {
    let user = user(start());
    assert_eq!(
        (user.kind, user.authenticated_at),
        (SessionKind::User, Some(start()))
    );
    assert_eq!(user.amr, ["pwd"]);
    let guest = guest(start());
    assert_eq!(
        (guest.kind, guest.authenticated_at),
        (SessionKind::Guest, None)
    );
    assert!(guest.subject.as_str().starts_with("gst_") && guest.amr.is_empty());
}

#[test]
fn idle_and_absolute_limit_both_hold() {
    #[track_caller]
    fn check(session: &Session, after: u64, live: bool) {
        assert_eq!(
            session.is_live(start() + seconds(after)),
            live,
            "after {after} s"
        );
    }
    check(&user(start()), 999, true);
    check(&user(start()), 1000, false);
    check(&guest(start()), 99, true);
    check(&guest(start()), 100, false);
}

#[test]
fn use_never_extends_the_absolute_limit() {
    let mut session = user(start());
    let mut now = start();
    while session.is_live(now) {
        if let Some(touch) = session.touch(now, &TTLS) {
            session = session.touched(touch);
        }
        assert!(session.expires_at <= session.absolute_expires_at);
        now += SignedDuration::from_secs(60);
    }
    assert!(now >= start() + TTLS.user_absolute);
    assert!(now < start() + TTLS.user_absolute + seconds(60));
}

#[test]
fn touch_is_due_after_a_twentieth_of_the_idle_limit() {
    let session = user(start());
    assert_eq!(session.touch(start() + seconds(49), &TTLS), None);
    let touch = session.touch(start() + seconds(50), &TTLS).unwrap();
    assert_eq!(touch.last_seen_at, start() + seconds(50));
    assert_eq!(touch.expires_at, start() + seconds(1050));
}

#[test]
fn touch_is_due_after_an_hour_at_the_latest() {
    let ttls = SessionTtls::default();
    let session = Session::user(subject("usr"), at(""), None, start(), &ttls, &OsEntropy);
    assert_eq!(session.touch(start() + seconds(3599), &ttls), None);
    assert!(session.touch(start() + seconds(3600), &ttls).is_some());
}

#[test]
fn a_session_that_is_over_is_not_touched() {
    let session = user(start());
    assert_eq!(session.touch(start() + seconds(1000), &TTLS), None);
    assert_eq!(session.touch(start() + seconds(9000), &TTLS), None);
}

#[test]
fn a_clock_that_went_back_changes_nothing() {
    let session = user(start());
    let earlier = start() - seconds(3600);
    assert!(session.is_live(earlier));
    assert_eq!(session.touch(earlier, &TTLS), None);
}

#[test]
fn default_limits_are_ordered() {
    let ttls = SessionTtls::default();
    assert!(ttls.guest_idle < ttls.user_idle && ttls.user_idle < ttls.user_absolute);
    assert!(ttls.guest_absolute < ttls.user_absolute);
}

#[test]
fn sign_in_ends_guests_and_own_sessions_and_no_others() {
    let person = subject("usr");
    let guest = guest(start());
    let of_guest = Some(guest.subject.clone());
    let own = |prior_subject: Option<Subject>| Session {
        subject: person.clone(),
        prior_subject,
        ..user(start())
    };
    #[track_caller]
    fn check(current: Option<&Session>, subject: &Subject, expected: Succession) {
        assert_eq!(succession(current, subject), expected);
    }
    check(None, &person, Succession::Fresh);
    check(
        Some(&guest),
        &person,
        Succession::Replaces {
            prior_subject: of_guest.clone(),
        },
    );
    check(
        Some(&own(None)),
        &person,
        Succession::Replaces {
            prior_subject: None,
        },
    );
    // The merge that no service has served yet goes along.
    check(
        Some(&own(of_guest.clone())),
        &person,
        Succession::Replaces {
            prior_subject: of_guest,
        },
    );
    check(Some(&user(start())), &person, Succession::OtherPerson);
}

#[test]
fn session_ids_are_read_in_their_canonical_form_alone() {
    let id = user(start()).id;
    let text = id.to_string();
    assert_eq!(SessionId::parse(&text), Some(id));
    assert_eq!(text.as_bytes()[14], b'7', "a UUIDv7");
    for bad in [
        text.to_uppercase()
            .replace(|c: char| c.is_ascii_digit(), "A"),
        text.replace('-', ""),
        format!("{{{text}}}"),
        format!("urn:uuid:{text}"),
        format!("{text} "),
        String::new(),
        "' OR 1=1 --".to_owned(),
    ] {
        assert_eq!(SessionId::parse(&bad), None, "{bad}");
    }
}

#[test]
fn secrets_survive_the_cookie() {
    let secret = SessionSecret::generate(&OsEntropy);
    let text = secret.reveal();
    assert_eq!(text.len(), SECRET_CHARS);
    assert_eq!(
        SessionSecret::parse(&text).map(|read| read.hash()),
        Some(secret.hash())
    );
}

#[test]
fn refuses_what_cannot_be_a_secret() {
    let good = "A".repeat(43);
    assert!(SessionSecret::parse(&good).is_some());
    for bad in [
        String::new(),
        "A".repeat(42),
        "A".repeat(44),
        format!("{}=", "A".repeat(43)),
        format!("{}=", "A".repeat(42)),
        format!("{}+", "A".repeat(42)),
        format!("{}/", "A".repeat(42)),
        format!("{} ", "A".repeat(42)),
        format!("{}\0", "A".repeat(42)),
        // The last character carries four bits; the two others must be zero.
        format!("{}B", "A".repeat(42)),
        format!("{}é", "A".repeat(41)),
        "%00".repeat(14) + "A",
        "A".repeat(65_536),
        "\r\nSET x y\r\n".repeat(4)[..43].to_owned(),
    ] {
        assert!(SessionSecret::parse(&bad).is_none(), "{bad:.60}");
    }
}

#[test]
fn secrets_print_nothing() {
    let secret = SessionSecret::generate(&OsEntropy);
    assert_eq!(
        format!("{secret:?} {:?}", secret.hash()),
        "SessionSecret(..) SecretHash(..)"
    );
}

/// CS-02: two thousand secrets look like noise.
#[test]
fn secrets_are_random() {
    const COUNT: usize = 2000;
    let secrets: Vec<[u8; 32]> = (0..COUNT)
        .map(|_| {
            let text = SessionSecret::generate(&OsEntropy).reveal();
            let engine = base64::engine::general_purpose::URL_SAFE_NO_PAD;
            base64::Engine::decode(&engine, &*text)
                .unwrap()
                .try_into()
                .unwrap()
        })
        .collect();
    assert_eq!(secrets.iter().collect::<HashSet<_>>().len(), COUNT);
    // No part is shared: four bytes at either end repeat with probability below 1e-3.
    let heads: HashSet<_> = secrets.iter().map(|secret| &secret[..4]).collect();
    let tails: HashSet<_> = secrets.iter().map(|secret| &secret[28..]).collect();
    assert!(heads.len() >= COUNT - 1 && tails.len() >= COUNT - 1);
    // Sum over 256 bits of (ones - n/2)^2 / (n/4): chi-squared with 256 degrees of
    // freedom, mean 256, standard deviation 22.6; six of those are one in a billion.
    let chi_squared: f64 = (0..256)
        .map(|bit| {
            let ones = secrets
                .iter()
                .filter(|secret| secret[bit / 8] >> (bit % 8) & 1 == 1);
            let difference = ones.count() as f64 - COUNT as f64 / 2.0;
            difference * difference / (COUNT as f64 / 4.0)
        })
        .sum();
    assert!(
        (256.0 - 136.0..256.0 + 136.0).contains(&chi_squared),
        "{chi_squared}"
    );
}

#[test]
fn clients_are_cut_to_size() {
    let client = Client::new(
        "::ffff:192.0.2.1",
        &format!("a\r\n\u{1b}[1m{}", "é".repeat(200)),
    );
    assert_eq!(client.address(), "192.0.2.1");
    assert!(client.user_agent().len() <= MAX_USER_AGENT_BYTES);
    assert!(client.user_agent().starts_with("a[1mé"));
    assert_eq!(Client::new("not an address", "").address(), "");
    assert_eq!(format!("{client:?}"), "Client(..)");
    // What a store gives back is what it was given.
    assert_eq!(Client::new(client.address(), client.user_agent()), client);
}
