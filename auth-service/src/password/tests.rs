use std::num::NonZeroUsize;
use std::sync::Arc;

use super::phc::Memory;
use super::policy::{Context, PolicyError, check, check_length};
use super::*;
use crate::email::Email;
use crate::entropy::OsEntropy;
use crate::fixtures::CountingEntropy;

fn password(text: &str) -> Password {
    Password::received(text.to_owned())
}

fn pool(cost: HashCost, permits: usize, queue: usize) -> HashingPool {
    let permits = NonZeroUsize::new(permits).unwrap();
    HashingPool::new(
        HashingSettings {
            cost,
            permits,
            queue,
        },
        Arc::new(OsEntropy),
    )
    .unwrap()
}

fn cheap() -> HashingPool {
    pool(HashCost::insecure_for_tests(), 2, 8)
}

#[track_caller]
fn check_policy(text: &str, expected: Result<(), PolicyError>) {
    let email = Email::parse("Margarete.Holt@example.com").unwrap();
    let context = Context {
        email: Some(&email),
        display_name: "Grete Oakley",
    };
    assert_eq!(check(&password(text), &context), expected, "{text:.40}");
}

#[test]
fn length_is_counted_in_characters() {
    use PolicyError::{Empty, TooLong, TooShort};
    check_policy("", Err(Empty));
    check_policy("kd83nf0", Err(TooShort));
    check_policy("kd83nf0s", Ok(()));
    check_policy("ééééééé", Err(TooShort));
    check_policy("üéßñøåæł", Ok(()));
    check_policy(&"q7".repeat(128), Ok(()));
    check_policy(&"q7".repeat(129), Err(TooLong));
    // 256 characters of four bytes each are the most there can be.
    check_policy(&"🜁".repeat(256), Ok(()));
    check_policy(&"🜁".repeat(257), Err(TooLong));
}

#[test]
fn a_megabyte_is_refused_before_anything_else() {
    let huge = password(&"a".repeat(1 << 20));
    assert_eq!(check_length(&huge), Err(PolicyError::TooLong));
}

#[test]
fn no_composition_rules() {
    check_policy("violet otter lamp", Ok(()));
    check_policy("        ", Ok(()));
    check_policy("83920174659", Ok(()));
}

#[test]
fn context_words_are_refused() {
    for text in [
        "latchkey",
        "LatchKey2024",
        "margarete.holt",
        "margarete.holt@example.com",
        "Margarete.Holt1!",
        "grete oakley",
        "oakley1234",
    ] {
        check_policy(text, Err(PolicyError::Context));
    }
    check_policy("latchkey but much longer", Ok(()));
    check_policy("seven oakleys in a row", Ok(()));
}

/// LP-08: the list is shipped, long enough, and each entry is refused in any case.
#[test]
fn common_passwords_are_refused() {
    let list = common::all();
    assert!(list.len() >= 3000, "{}", list.len());
    assert!(list.is_sorted(), "the search needs it sorted");
    let context = Context::default();
    for entry in list {
        assert_eq!(*entry, entry.to_lowercase(), "would never be found");
        for text in [(*entry).to_owned(), entry.to_uppercase()] {
            assert_eq!(
                check(&password(&text), &context),
                Err(PolicyError::Common),
                "{text}"
            );
        }
    }
}

/// LP-06: bcrypt would take these pairs for the same.
#[tokio::test]
async fn every_character_counts() {
    let pool = cheap();
    for length in [64, 72, 73, 128, 256] {
        let (one, other) = ("a".repeat(length - 1) + "x", "a".repeat(length - 1) + "y");
        let hash = pool.hash(password(&one)).await.unwrap();
        assert!(
            pool.verify(password(&one), Some(hash.clone()))
                .await
                .unwrap()
        );
        assert!(
            !pool.verify(password(&other), Some(hash)).await.unwrap(),
            "{length}"
        );
    }
}

/// LP-07: exactly as received.
#[tokio::test]
async fn bytes_are_taken_as_received() {
    let pool = cheap();
    for (one, other) in [
        ("password\0a", "password\0b"),
        ("password\0", "password"),
        ("caf\u{e9} noir", "cafe\u{301} noir"),
        (" leading", "leading"),
        ("trailing ", "trailing"),
        ("Capital!", "capital!"),
        ("\u{feff}bom-and-all", "bom-and-all"),
    ] {
        let hash = pool.hash(password(one)).await.unwrap();
        assert!(
            pool.verify(password(one), Some(hash.clone()))
                .await
                .unwrap()
        );
        assert!(
            !pool.verify(password(other), Some(hash)).await.unwrap(),
            "{other:?}"
        );
    }
}

/// LP-01.
#[test]
fn default_cost_is_the_recommended_one() {
    let hash = HashCost::default()
        .hash(&password("hunter22"), &OsEntropy, &mut Memory::default())
        .unwrap();
    let text = hash.to_phc();
    assert!(
        text.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"),
        "{text}"
    );
    let salt = text.split('$').nth(4).unwrap();
    assert_eq!(salt.len(), 22, "16 bytes in base64");
    assert_eq!(PasswordHash::parse(&text).unwrap(), hash);
}

#[test]
fn salts_come_from_the_entropy_passed_in() {
    let cost = HashCost::insecure_for_tests();
    let (one, same) = (CountingEntropy::default(), CountingEntropy::default());
    // One memory for all: what a hash leaves in it must not show in the next.
    let mut memory = Memory::default();
    let first = cost.hash(&password("hunter22"), &one, &mut memory).unwrap();
    assert_eq!(
        first,
        cost.hash(&password("hunter22"), &same, &mut memory)
            .unwrap()
    );
    assert_ne!(
        first,
        cost.hash(&password("hunter22"), &one, &mut memory).unwrap()
    );
}

#[test]
fn costs_below_the_recommendation_are_refused() {
    assert_eq!(HashCost::new(19_456, 2, 1), Ok(HashCost::DEFAULT));
    assert!(HashCost::new(65_536, 3, 4).is_ok());
    for (m, t, p) in [(19_455, 2, 1), (19_456, 1, 1), (19_456, 2, 0), (0, 0, 0)] {
        assert_eq!(HashCost::new(m, t, p), Err(HashCostError::TooCheap));
    }
    for (m, t, p) in [(u32::MAX, 2, 1), (19_456, 1000, 1), (19_456, 2, 255)] {
        assert_eq!(HashCost::new(m, t, p), Err(HashCostError::TooDear));
    }
}

#[test]
fn a_raised_cost_asks_for_a_new_hash() {
    let pool = |m, t, p| pool(HashCost::new(m, t, p).unwrap(), 1, 1);
    let hash = HashCost::DEFAULT
        .hash(&password("hunter22"), &OsEntropy, &mut Memory::default())
        .unwrap();
    assert!(!pool(19_456, 2, 1).needs_rehash(&hash));
    assert!(pool(19_457, 2, 1).needs_rehash(&hash));
    assert!(pool(19_456, 3, 1).needs_rehash(&hash));
}

#[test]
fn a_hash_from_a_bad_row_is_an_error() {
    for text in [
        "",
        "hunter22",
        "$argon2i$v=19$m=19456,t=2,p=1$c29tZXNhbHQxMjM0NTY$aGFzaGhhc2hoYXNoaGFzaA",
        "$argon2id$v=19$m=4294967295,t=2,p=1$c29tZXNhbHQxMjM0NTY$aGFzaGhhc2hoYXNoaGFzaA",
        "$2b$12$abcdefghijklmnopqrstuv",
    ] {
        assert!(PasswordHash::parse(text).is_err(), "{text}");
    }
}

#[tokio::test]
async fn nobody_has_a_password() {
    let pool = cheap();
    assert!(!pool.verify(password(""), None).await.unwrap());
    assert!(!pool.verify(password("hunter22"), None).await.unwrap());
}

#[test]
fn nothing_is_printed() {
    let hash = HashCost::insecure_for_tests()
        .hash(&password("hunter22"), &OsEntropy, &mut Memory::default())
        .unwrap();
    assert_eq!(
        format!("{:?} {hash:?}", password("hunter22")),
        "Password(..) PasswordHash(..)"
    );
}
