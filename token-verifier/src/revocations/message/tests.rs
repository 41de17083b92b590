use proto::auth::v1::SubjectRevocation;

use super::*;
use crate::revocations::fixtures::{START_S, START_US, key, revoked, session, subject};

fn batch(after_seq: u64, through_seq: u64, revocations: Vec<Revocation>) -> RevocationBatch {
    RevocationBatch {
        after_seq,
        through_seq,
        revocations,
    }
}

#[test]
fn reads_each_kind() {
    let revocations = vec![
        session(5, 77),
        subject(7, "usr_1", START_S),
        key(8, "kid-1"),
    ];
    let read = read_batch(&batch(4, 9, revocations)).unwrap();
    let targets: Vec<Target> = read.iter().map(|revoked| revoked.target).collect();
    let of_subject = Target::Subject {
        name: subject_name("usr_1"),
        issued_before_s: u32::try_from(START_S).unwrap(),
    };
    let expected = [
        Target::Session(77),
        of_subject,
        Target::Key(key_name("kid-1")),
    ];
    assert_eq!(targets, expected);
}

#[track_caller]
fn refuses(batch: &RevocationBatch, why: &str) {
    match read_batch(batch) {
        Err(Resync::Malformed(reason)) => assert!(reason.contains(why), "{reason}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn refuses_numbers_out_of_order() {
    refuses(&batch(5, 4, vec![]), "ends before");
    refuses(&batch(4, 9, vec![session(4, 1)]), "order");
    refuses(&batch(4, 9, vec![session(10, 1)]), "order");
    refuses(&batch(4, 9, vec![session(6, 1), session(6, 2)]), "order");
    refuses(&batch(4, 9, vec![session(6, 1), session(5, 2)]), "order");
}

#[test]
fn refuses_targets_that_are_none() {
    let refuses = |target, why| refuses(&batch(0, 1, vec![revoked(1, target)]), why);
    refuses(None, "nothing we know");
    for length in [0, 15, 17, 36] {
        refuses(
            Some(revocation::Target::SessionId(vec![7; length])),
            "no UUID",
        );
    }
    for name in [String::new(), "x".repeat(MAX_NAME_BYTES + 1)] {
        refuses(Some(revocation::Target::KeyId(name.clone())), "name");
        let of_subject = SubjectRevocation {
            subject: name,
            issued_before_s: START_S,
        };
        refuses(Some(revocation::Target::Subject(of_subject)), "name");
    }
}

#[test]
fn refuses_times_that_are_none() {
    for time in [i64::MIN, -1, 0, i64::from(u32::MAX) + 1, i64::MAX] {
        let expires = Revocation {
            expires_at_s: time,
            ..session(1, 1)
        };
        refuses(&batch(0, 1, vec![expires]), "time");
        refuses(&batch(0, 1, vec![subject(1, "usr_1", time)]), "time");
    }
    for time in [i64::MIN, -1, 0, LAST_US + 1, i64::MAX] {
        let revoked_at = Revocation {
            revoked_at_us: time,
            ..session(1, 1)
        };
        refuses(&batch(0, 1, vec![revoked_at]), "time");
        assert!(check_time(time).is_err());
    }
    let reversed = Revocation {
        expires_at_s: START_S - 1,
        ..session(1, 1)
    };
    refuses(&batch(0, 1, vec![reversed]), "over before");
}

#[test]
fn refuses_openings_that_are_none() {
    let good = Opening {
        log_id: "log".to_owned(),
        after_seq: 3,
        head_seq: 3,
        now_us: START_US,
    };
    assert!(check_opening(&good).is_ok());
    let wrong = [
        Opening {
            log_id: String::new(),
            ..good.clone()
        },
        Opening {
            log_id: "x".repeat(MAX_LOG_ID_BYTES + 1),
            ..good.clone()
        },
        Opening {
            after_seq: 4,
            ..good.clone()
        },
        Opening { now_us: 0, ..good },
    ];
    for opening in wrong {
        assert!(
            matches!(check_opening(&opening), Err(Resync::Malformed(_))),
            "{opening:?}"
        );
    }
}
