use std::os::unix::fs::PermissionsExt;

use serde_json::{Value, json};

use super::*;
use crate::entropy::OsEntropy;

const SECRET: &[u8] = b"a private key in PKCS#8";

fn key() -> KeyEncryptionKey {
    KeyEncryptionKey::generate(&OsEntropy)
}

/// A copy of `jwe` with its header changed by `change`.
fn with_header(jwe: &str, change: impl FnOnce(&mut Value)) -> String {
    let (header, rest) = jwe.split_once('.').unwrap();
    let mut header: Value =
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(header).unwrap()).unwrap();
    change(&mut header);
    format!("{}.{rest}", URL_SAFE_NO_PAD.encode(header.to_string()))
}

fn header_of(jwe: &str) -> Value {
    let (header, _) = jwe.split_once('.').unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(header).unwrap()).unwrap()
}

#[test]
fn decrypts_what_it_encrypted() {
    let key = key();
    let jwe = key.encrypt(SECRET).unwrap();
    assert_eq!(*key.decrypt(&jwe).unwrap(), SECRET);
    let header = header_of(&jwe);
    assert_eq!(
        (&header["alg"], &header["enc"]),
        (&json!("A256GCMKW"), &json!("A256GCM"))
    );
    assert_eq!(header["kid"], json!(key.kid()));
}

#[test]
fn encrypts_differently_each_time() {
    let key = key();
    assert_ne!(key.encrypt(SECRET).unwrap(), key.encrypt(SECRET).unwrap());
}

#[test]
fn names_both_keys_when_the_key_is_another() {
    let (right, wrong) = (key(), key());
    let error = wrong.decrypt(&right.encrypt(SECRET).unwrap()).unwrap_err();
    assert!(
        matches!(&error, DecryptError::OtherKey { expected, found }
            if expected == wrong.kid() && found == right.kid()),
        "{error}"
    );
}

#[test]
fn refuses_a_header_that_was_changed_to_name_this_key() {
    let (right, wrong) = (key(), key());
    let jwe = with_header(&right.encrypt(SECRET).unwrap(), |header| {
        header["kid"] = json!(wrong.kid());
    });
    assert!(matches!(
        wrong.decrypt(&jwe),
        Err(DecryptError::Authentication(_))
    ));
}

#[test]
fn refuses_every_changed_character() {
    let key = key();
    let jwe = key.encrypt(SECRET).unwrap();
    for position in 0..jwe.len() {
        let mut changed = jwe.clone().into_bytes();
        changed[position] = if changed[position] == b'A' {
            b'B'
        } else {
            b'A'
        };
        let changed = String::from_utf8(changed).unwrap();
        assert!(key.decrypt(&changed).is_err(), "position {position}");
    }
}

#[test]
fn refuses_other_algorithms_and_headers() {
    let key = key();
    let jwe = key.encrypt(SECRET).unwrap();
    let refused = |change: fn(&mut Value)| {
        let changed = with_header(&jwe, change);
        assert!(
            matches!(key.decrypt(&changed), Err(DecryptError::Format(_))),
            "{changed}"
        );
    };
    refused(|header| header["alg"] = json!("dir"));
    refused(|header| header["alg"] = json!("A128GCMKW"));
    refused(|header| header["enc"] = json!("A128GCM"));
    refused(|header| header["zip"] = json!("DEF"));
    refused(|header| header["crit"] = json!(["exp"]));
    refused(|header| header["tag"] = json!("AA"));
    refused(|header| header["iv"] = json!("AA"));
    refused(|header| header["kid"] = json!(1));
}

#[test]
fn refuses_what_is_no_jwe() {
    let key = key();
    let jwe = key.encrypt(SECRET).unwrap();
    let short_tag = &jwe[..jwe.len() - 20];
    let long = "A".repeat(MAX_JWE_LENGTH + 1);
    let six_parts = format!("{jwe}.");
    for text in [
        "",
        "....",
        "a.b.c.d.e",
        "é.é.é.é.é",
        short_tag,
        &long,
        &six_parts,
    ] {
        assert!(
            matches!(key.decrypt(text), Err(DecryptError::Format(_))),
            "{text}"
        );
    }
}

#[test]
fn prints_no_key() {
    let key = key();
    let secret = URL_SAFE_NO_PAD.encode(*key.key);
    assert!(!format!("{key:?}").contains(&secret));
    assert!(format!("{key:?}").contains(key.kid()));
}

#[test]
fn reads_a_key_from_a_setting() {
    let text = SecretString::from(URL_SAFE_NO_PAD.encode([7; 32]));
    assert_eq!(*KeyEncryptionKey::parse(&text).unwrap().key, [7; 32]);
    let long = URL_SAFE_NO_PAD.encode([7; 33]);
    let short = URL_SAFE_NO_PAD.encode([7; 31]);
    for text in [
        "",
        "hunter2",
        &long,
        &short,
        "+".repeat(43).as_str(),
        "B".repeat(43).as_str(),
    ] {
        let refused = KeyEncryptionKey::parse(&SecretString::from(text));
        assert!(
            matches!(refused, Err(KeyEncryptionKeyError::Malformed)),
            "{text}"
        );
    }
}

#[test]
fn makes_the_file_once_for_its_owner_alone() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("key");
    let made = KeyEncryptionKey::load_or_create(&path, &OsEntropy).unwrap();
    let read = KeyEncryptionKey::load_or_create(&path, &OsEntropy).unwrap();
    assert_eq!(made.key, read.key);
    assert_eq!(
        fs::metadata(&path).unwrap().permissions().mode() & 0o7777,
        0o600
    );
    assert_eq!(
        fs::read_dir(directory.path()).unwrap().count(),
        1,
        "no temporary file stays"
    );
}

#[test]
fn concurrent_first_starts_agree() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("key");
    let load = || KeyEncryptionKey::load_or_create(&path, &OsEntropy).unwrap();
    let kids: Vec<String> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8)
            .map(|_| scope.spawn(|| load().kid().to_owned()))
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect()
    });
    assert!(kids.iter().all(|kid| *kid == kids[0]), "{kids:?}");
}

#[test]
fn refuses_a_file_that_others_can_read() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("key");
    KeyEncryptionKey::load_or_create(&path, &OsEntropy).unwrap();
    for mode in [0o640, 0o604, 0o660, 0o620, 0o610] {
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        let refused = KeyEncryptionKey::load_or_create(&path, &OsEntropy);
        assert!(
            matches!(refused, Err(KeyEncryptionKeyError::Exposed { .. })),
            "{mode:o}"
        );
    }
    fs::set_permissions(&path, fs::Permissions::from_mode(0o400)).unwrap();
    KeyEncryptionKey::load_or_create(&path, &OsEntropy).unwrap();
}

#[test]
fn refuses_a_file_that_is_no_key_and_leaves_it() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("key");
    for content in [
        "",
        "short",
        &"A".repeat(44),
        &"\n".repeat(44),
        &"A".repeat(4096),
    ] {
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        assert!(KeyEncryptionKey::load_or_create(&path, &OsEntropy).is_err());
        assert_eq!(fs::read_to_string(&path).unwrap(), content);
    }
    let refused = KeyEncryptionKey::load_or_create(directory.path(), &OsEntropy);
    assert!(matches!(
        refused,
        Err(KeyEncryptionKeyError::NotAKeyFile(_))
    ));
}

#[test]
fn says_where_the_file_could_not_be_made() {
    let error =
        KeyEncryptionKey::load_or_create(Path::new("/proc/none/key"), &OsEntropy).unwrap_err();
    assert_eq!(
        error.to_string(),
        "/proc/none/key: cannot create the key-encryption key"
    );
}
