use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};

use super::*;
use crate::entropy::OsEntropy;
use crate::key_encryption::KeyEncryptionKey;

fn key_encryption_key() -> KeyRing {
    KeyEncryptionKey::generate(&OsEntropy).into()
}

fn record(kek: &KeyRing, state: SigningKeyState) -> SigningKeyRecord {
    SigningKey::generate(kek, state, Timestamp::UNIX_EPOCH)
        .unwrap()
        .1
}

fn published_kids(keys: &SigningKeys) -> Vec<String> {
    let jwks: serde_json::Value = serde_json::from_slice(keys.jwks().body()).unwrap();
    let kid = |key: &serde_json::Value| key["kid"].as_str().unwrap().to_owned();
    jwks["keys"].as_array().unwrap().iter().map(kid).collect()
}

#[test]
fn active_key_signs_and_all_are_published_in_one_order() {
    let kek = key_encryption_key();
    let states = [
        SigningKeyState::Retiring,
        SigningKeyState::Active,
        SigningKeyState::Upcoming,
    ];
    let mut records: Vec<_> = states.iter().map(|state| record(&kek, *state)).collect();
    let keys = SigningKeys::from_records(&records, &kek).unwrap();
    assert_eq!(keys.signer().unwrap().kid(), records[1].kid);

    records.reverse();
    let again = SigningKeys::from_records(&records, &kek).unwrap();
    assert_eq!(again.jwks().body(), keys.jwks().body());
    let mut kids: Vec<String> = records.iter().map(|record| record.kid.clone()).collect();
    kids.sort();
    assert_eq!(published_kids(&keys), kids);
}

#[test]
fn signs_a_compact_jws_under_its_public_key() {
    let kek = key_encryption_key();
    let (key, record) =
        SigningKey::generate(&kek, SigningKeyState::Active, Timestamp::UNIX_EPOCH).unwrap();
    let token = key
        .sign(&serde_json::json!({ "sub": "anonymous" }))
        .unwrap();
    let (message, signature) = token.rsplit_once('.').unwrap();
    UnparsedPublicKey::new(&ED25519, &record.public_key)
        .verify(
            message.as_bytes(),
            &URL_SAFE_NO_PAD.decode(signature).unwrap(),
        )
        .unwrap();
    let header = URL_SAFE_NO_PAD
        .decode(token.split('.').next().unwrap())
        .unwrap();
    let header: serde_json::Value = serde_json::from_slice(&header).unwrap();
    let expected = serde_json::json!({ "typ": "at+jwt", "alg": "EdDSA", "kid": record.kid });
    assert_eq!(header, expected);
}

#[test]
fn makes_pkcs8_of_version_1() {
    let kek = key_encryption_key();
    let record = record(&kek, SigningKeyState::Active);
    let private_key = kek.decrypt(&record.encrypted_private_key).unwrap();
    assert_eq!(
        private_key.len(),
        48,
        "version 1 has no public key at its end"
    );
}

#[test]
fn needs_exactly_one_active_key() {
    let kek = key_encryption_key();
    let (one, two) = (
        record(&kek, SigningKeyState::Active),
        record(&kek, SigningKeyState::Active),
    );
    let retiring = record(&kek, SigningKeyState::Retiring);
    for (records, expected) in [(vec![], 0), (vec![retiring], 0), (vec![one, two], 2)] {
        let refused = SigningKeys::from_records(&records, &kek).unwrap_err();
        assert!(
            matches!(refused, SigningKeyError::NotOneActive { found } if found == expected),
            "{refused}"
        );
    }
}

#[test]
fn refuses_rows_whose_parts_do_not_belong_together() {
    let kek = key_encryption_key();
    let (good, other) = (
        record(&kek, SigningKeyState::Active),
        record(&kek, SigningKeyState::Active),
    );
    let refused = |change: &dyn Fn(&mut SigningKeyRecord)| {
        let mut changed = good.clone();
        change(&mut changed);
        SigningKeys::from_records(&[changed], &kek).unwrap_err()
    };
    let error = refused(&|record| record.kid = other.kid.clone());
    assert!(
        matches!(
            error,
            SigningKeyError::Mismatch {
                part: "public key",
                ..
            }
        ),
        "{error}"
    );
    let error = refused(&|record| {
        record.encrypted_private_key = other.encrypted_private_key.clone();
    });
    assert!(
        matches!(
            error,
            SigningKeyError::Mismatch {
                part: "private key",
                ..
            }
        ),
        "{error}"
    );
    let error = refused(&|record| record.algorithm = "ES256".to_owned());
    assert!(
        matches!(error, SigningKeyError::Algorithm { .. }),
        "{error}"
    );
    let error = refused(&|record| record.public_key = vec![0; 32]);
    assert!(
        matches!(error, SigningKeyError::PublicKey { .. }),
        "{error}"
    );
    let error = refused(&|record| record.encrypted_private_key = kek.encrypt(b"not it").unwrap());
    assert!(
        matches!(error, SigningKeyError::PrivateKey { .. }),
        "{error}"
    );
}

#[test]
fn a_row_that_cannot_be_read_costs_only_itself() {
    let kek = key_encryption_key();
    let (active, next) = (
        record(&kek, SigningKeyState::Active),
        record(&kek, SigningKeyState::Active),
    );
    let mut newer = record(&kek, SigningKeyState::Upcoming);
    newer.algorithm = "ES256".to_owned();
    let rows = [active.clone(), newer.clone()];
    let keys = SigningKeys::from_records(&rows, &kek).unwrap();
    assert_eq!(keys.signer().unwrap().kid(), active.kid);
    assert_eq!(published_kids(&keys), [active.kid.as_str()]);
    assert!(keys.sign_for(&rows));

    let mut retiring = active;
    retiring.state = SigningKeyState::Retiring;
    let rows = [retiring, newer, next.clone()];
    let (keys, problem) = keys.followed_by(&rows, &kek);
    assert!(problem.is_none(), "{problem:?}");
    assert_eq!(keys.signer().unwrap().kid(), next.kid);
    assert_eq!(published_kids(&keys).len(), 2);
}

#[test]
fn says_which_key_another_key_encryption_key_cannot_open() {
    let record = record(&key_encryption_key(), SigningKeyState::Active);
    let error = SigningKeys::from_records(std::slice::from_ref(&record), &key_encryption_key());
    let error = error.unwrap_err();
    assert!(
        matches!(&error, SigningKeyError::Decryption { kid, source: DecryptError::OtherKey { .. } }
            if *kid == record.kid),
        "{error}"
    );
}

#[test]
fn readers_keep_what_they_read_when_keys_are_replaced() {
    let kek = key_encryption_key();
    let load =
        || SigningKeys::from_records(&[record(&kek, SigningKeyState::Active)], &kek).unwrap();
    let shared = SharedSigningKeys::new(load());
    let before = shared.current();
    shared.replace(load());
    assert_ne!(
        before.signer().unwrap().kid(),
        shared.current().signer().unwrap().kid()
    );
}

#[test]
fn prints_no_private_key() {
    let kek = key_encryption_key();
    let record = record(&kek, SigningKeyState::Active);
    let private_key = kek.decrypt(&record.encrypted_private_key).unwrap();
    let keys = SigningKeys::from_records(std::slice::from_ref(&record), &kek).unwrap();
    let printed = format!("{keys:?} {record:?}");
    // The seed is the last 32 bytes of the document.
    let seed = &private_key[16..];
    assert!(!printed.contains(&URL_SAFE_NO_PAD.encode(seed)));
    assert!(!printed.contains(&format!("{seed:?}")));
    assert!(!String::from_utf8_lossy(keys.jwks().body()).contains("\"d\""));
}
