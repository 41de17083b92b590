use chassis::settings::{Sources, read};

use super::*;

const JWK: &str =
    r#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;
const KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";

fn config(text: &str) -> Result<Config, String> {
    let minimal = "database = 'auth.db'\nkey_encryption_key_file = 'key'\n";
    read(
        Sources::from_toml("auth.toml", &format!("{minimal}{text}")),
        Config::read,
    )
    .map_err(|problems| problems.to_string())
}

#[track_caller]
fn check_refused(text: &str, expected: &str) {
    let problems = config(text).expect_err(text);
    assert!(problems.contains(expected), "{problems}");
}

#[test]
fn two_settings_are_enough() {
    let config = config("").unwrap();
    assert_eq!(config.grpc_listen.to_string(), "127.0.0.1:50051");
    assert_eq!(config.http_listen.to_string(), "127.0.0.1:8081");
    assert_eq!(config.operations_listen.to_string(), "127.0.0.1:9091");
    assert_eq!(config.issuer, "http://localhost:8081");
    assert_eq!(config.access_token_ttl, Duration::from_secs(60));
    assert_eq!(config.audiences, ["cart-service", "profile-service"]);
    assert!(config.workloads.is_empty() && config.reflection);
}

#[test]
fn every_knob_is_read() {
    let config = config(&format!(
        r#"
        grpc_listen = "127.0.0.1:1"
        http_listen = "127.0.0.1:2"
        operations_listen = "127.0.0.1:3"
        issuer = "https://auth.example"
        access_token_ttl = "5m"
        jwks_max_age = "1m"
        audiences = ["orders"]
        reflection = false
        replay_capacity = 7
        [sessions]
        user_idle = "1h"
        user_absolute = "1d"
        guest_idle = "1m"
        guest_absolute = "2m"
        [passwords]
        memory_kib = 32768
        iterations = 3
        parallelism = 1
        permits = 3
        queue = 5
        [limits.account]
        burst = 9
        refill = "2m"
        [workloads.gateway]
        public_key = '{JWK}'
        may = ["accounts", "sessions", "exchange"]
        [telemetry]
        format = "json"
        "#
    ))
    .unwrap();
    assert_eq!(config.grpc_listen.port(), 1);
    assert_eq!(config.http_listen.port(), 2);
    assert_eq!(config.operations_listen.port(), 3);
    assert_eq!(config.issuer, "https://auth.example");
    assert_eq!(config.access_token_ttl, access_token::MAX_TTL);
    assert_eq!(config.jwks_max_age, Duration::from_secs(60));
    assert_eq!(config.audiences, ["orders"]);
    assert!(!config.reflection);
    assert_eq!(config.replay_capacity, 7);
    assert_eq!(config.sessions.guest_absolute, Duration::from_secs(120));
    assert_eq!(
        (config.passwords.permits.get(), config.passwords.queue),
        (3, 5)
    );
    assert_eq!(config.passwords.cost, HashCost::new(32768, 3, 1).unwrap());
    assert_eq!(
        config.limits.account,
        Quota::new(9, Duration::from_secs(120))
    );
    assert_eq!(config.workloads[0].name, "gateway");
    assert_eq!(config.workloads[0].may.len(), 3);
}

#[test]
fn all_mistakes_show_at_once() {
    let text = r#"
        issuer = "localhost"
        access_token_ttl = "301s"
        audiences = []
        unheard_of = 1
        [sessions]
        user_idle = "31d"
        [workloads.gateway]
        may = ["everything"]
    "#;
    let sources = Sources::from_toml("auth.toml", text);
    let problems = read(sources, Config::read).unwrap_err().to_string();
    for name in [
        "database:",
        "key_encryption_key_file:",
        "issuer:",
        "access_token_ttl:",
        "audiences:",
        "unheard_of:",
        "sessions.user_idle:",
        "workloads.gateway.may:",
        "workloads.gateway.public_key:",
    ] {
        assert!(problems.contains(name), "{name} in {problems}");
    }
}

#[test]
fn token_lifetime_has_its_bounds() {
    for wrong in ["301s", "1h", "9s", "0s", "60500ms"] {
        check_refused(
            &format!("access_token_ttl = '{wrong}'"),
            "access_token_ttl: must be",
        );
    }
    for right in ["10s", "60s", "300s"] {
        config(&format!("access_token_ttl = '{right}'")).unwrap();
    }
}

#[test]
fn audiences_are_names_and_never_this_service() {
    check_refused(
        "audiences = ['auth-service']",
        "no token is made for auth-service itself",
    );
    check_refused("audiences = ['*']", "is not a service's name");
    check_refused("audiences = ['a', 'a']", "a is named twice");
    check_refused("audiences = []", "at least one");
}

#[test]
fn issuer_is_a_url() {
    for wrong in [
        "",
        "auth",
        "ftp://a",
        "http://",
        "http://a/?b",
        "http://a/#b",
        "http://u@a",
    ] {
        check_refused(&format!("issuer = '{wrong}'"), "issuer: must be");
    }
    config("issuer = 'https://auth.example/tenant'").unwrap();
}

#[test]
fn key_encryption_key_is_a_file_or_a_value_and_prints_as_nothing() {
    let read_text = |text: String| {
        read(Sources::from_toml("auth.toml", &text), Config::read)
            .map_err(|problems| problems.to_string())
    };
    let config = read_text(format!("database = 'd'\nkey_encryption_key = '{KEY}'")).unwrap();
    assert!(matches!(
        config.key_encryption_key,
        KeyEncryptionKeySource::Value(_)
    ));
    assert!(!format!("{config:?}").contains(KEY));
    check_refused(&format!("key_encryption_key = '{KEY}'"), "not both");
    let problems = read_text("database = 'd'\nkey_encryption_key = 'hunter2'".to_owned());
    let problems = problems.unwrap_err();
    assert!(problems.contains("key_encryption_key: ") && !problems.contains("hunter2"));
}

#[test]
fn workload_keys_come_from_one_place_and_are_good() {
    let workload = |key: &str| format!("[workloads.gateway]\nmay = []\n{key}\n");
    check_refused(&workload(""), "one of them is required");
    check_refused(
        &workload(&format!("public_key = '{JWK}'\npublic_key_file = 'f'")),
        "not both",
    );
    check_refused(&workload("public_key = '{}'"), "not a public Ed25519 JWK");
    check_refused(
        &workload("public_key_file = '/nonexistent/jwk'"),
        "/nonexistent/jwk",
    );
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("gateway.jwk");
    std::fs::write(&path, format!("{JWK}\n")).unwrap();
    let read = config(&workload(&format!(
        "public_key_file = '{}'",
        path.display()
    )))
    .unwrap();
    assert_eq!(
        read.workloads[0].public_key,
        PublicJwk::from_json(JWK).unwrap()
    );
    let twice = format!(
        "{}[workloads.other]\nmay = []\npublic_key = '{JWK}'",
        workload(&format!("public_key = '{JWK}'"))
    );
    check_refused(&twice, "have the same public key");
}

#[test]
fn weak_hashing_and_empty_limits_are_refused() {
    let cost = "iterations = 2\nparallelism = 1";
    check_refused(
        &format!("[passwords]\nmemory_kib = 8\n{cost}"),
        "passwords.memory_kib",
    );
    check_refused(
        "[passwords]\nmemory_kib = 65536",
        "passwords.iterations: required",
    );
    check_refused("[limits.guest]\nburst = 5", "limits.guest.refill: required");
    check_refused(
        "[limits.guest]\nrefill = '1s'",
        "limits.guest.burst: required",
    );
    check_refused("[passwords]\npermits = 0", "passwords.permits");
    check_refused(
        "[limits.guest]\nrefill = '1s'\nburst = 0",
        "limits.guest.burst",
    );
    check_refused(
        "[limits.guest]\nburst = 1\nrefill = '0s'",
        "limits.guest.refill",
    );
    check_refused("replay_capacity = 0", "replay_capacity");
}

#[test]
fn absurd_amounts_are_refused_and_the_largest_sane_ones_taken() {
    for (section, key, largest, absurd) in [
        ("[passwords]", "queue", "65536", "65537"),
        ("[passwords]", "queue", "65536", "9223372036854775807"),
        ("[passwords]", "permits", "1024", "1025"),
        ("[sessions]", "user_absolute", "'365d'", "'366d'"),
        ("[sessions]", "guest_absolute", "'365d'", "'8761h'"),
        ("", "replay_capacity", "16777216", "16777217"),
    ] {
        config(&format!("{section}\n{key} = {largest}")).unwrap();
        check_refused(
            &format!("{section}\n{key} = {absurd}"),
            &format!("{key}: must be at most"),
        );
    }
}

#[test]
fn a_key_is_published_for_twice_the_max_age_unless_told_otherwise() {
    let schedule = |text: &str| {
        let config = config(text).unwrap();
        config.keys.schedule(config.jwks_max_age)
    };
    assert_eq!(schedule("").publish_before, Duration::from_secs(600));
    let short = schedule("jwks_max_age = '1s'\n[keys]\nretire_after = '90s'");
    assert_eq!(short.publish_before, Duration::from_secs(2));
    assert_eq!(short.retire_after, Duration::from_secs(90));
    let all = config(
        "previous_key_encryption_key_files = ['old', 'older']\n\
         [keys]\nrotate_every = '1d'\npublish_before = '1h'\nrefresh_every = '2s'",
    );
    let all = all.unwrap();
    assert_eq!(all.previous_key_encryption_key_files.len(), 2);
    assert_eq!(all.keys.rotate_every, Duration::from_secs(86_400));
    assert_eq!(all.keys.publish_before, Some(Duration::from_secs(3600)));
    assert_eq!(all.keys.refresh_every, Duration::from_secs(2));
}

#[test]
fn absurd_spans_of_keys_are_refused() {
    check_refused(
        "[keys]\npublish_before = '9m'",
        "must be at least twice jwks_max_age",
    );
    check_refused("[keys]\nrotate_every = '366d'", "at most 365d");
    check_refused("[keys]\nrotate_every = '19m'", "twice publish_before");
    check_refused(
        "[keys]\nretire_after = '89s'",
        "30s longer than access_token_ttl",
    );
    check_refused("[keys]\nretire_after = '2d'", "at most 1d");
    check_refused("[keys]\nrefresh_every = '1ms'", "10ms to 2s");
    check_refused("previous_key_encryption_key_files = ['']", "is empty");
}
