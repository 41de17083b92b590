use chassis::settings::{self, Sources};
use token_verifier::OnStale;

use super::Config;

fn read(text: &str) -> Result<Config, String> {
    let sources = Sources::from_toml("cart-service.toml", text);
    settings::read(sources, Config::read).map_err(|problems| problems.to_string())
}

#[test]
fn everything_has_a_default() {
    let config = read("").unwrap();
    assert_eq!(config.listen.to_string(), "127.0.0.1:50052");
    assert_eq!(config.operations_listen.to_string(), "127.0.0.1:9092");
    assert_eq!(config.database.to_str(), Some("cart.db"));
    assert_eq!(config.tokens.audience, "cart-service");
    assert_eq!(
        config.tokens.saved_jwks.to_str(),
        Some("cart-service.jwks.json")
    );
    let revocations = config.tokens.revocations;
    assert_eq!(revocations.auth_address, "http://localhost:50051");
    assert_eq!(revocations.workload_name, "cart-service");
    assert_eq!(
        revocations.workload_key_file.to_str(),
        Some("cart-service.pem")
    );
    assert!(config.reflection);
}

#[test]
fn every_setting_is_read() {
    let config = read(
        "listen = '[::1]:1'
         operations_listen = '127.0.0.2:2'
         database = '/var/lib/cart/cart.db'
         reflection = false
         [limits]
         deadline = '5s'
         [tokens]
         issuer = 'https://id.example'
         audience = 'cart-blue'
         jwks_url = 'http://auth.internal:8081/keys'
         saved_jwks = '/var/lib/cart/keys.json'
         [tokens.revocations]
         auth_address = 'http://auth.internal:50051'
         workload_name = 'cart-blue-1'
         workload_key_file = '/etc/cart/workload.pem'
         on_stale = 'refuse'
         heartbeat_timeout = '5s'
         [telemetry]
         format = 'json'",
    )
    .unwrap();
    assert_eq!(config.listen.to_string(), "[::1]:1");
    assert_eq!(config.operations_listen.to_string(), "127.0.0.2:2");
    assert_eq!(config.database.to_str(), Some("/var/lib/cart/cart.db"));
    assert_eq!(config.limits.deadline.as_secs(), 5);
    assert_eq!(config.tokens.issuer, "https://id.example");
    assert_eq!(config.tokens.audience, "cart-blue");
    assert_eq!(config.tokens.jwks_url, "http://auth.internal:8081/keys");
    assert_eq!(
        config.tokens.saved_jwks.to_str(),
        Some("/var/lib/cart/keys.json")
    );
    let revocations = config.tokens.revocations;
    assert_eq!(revocations.auth_address, "http://auth.internal:50051");
    assert_eq!(revocations.workload_name, "cart-blue-1");
    assert_eq!(
        revocations.workload_key_file.to_str(),
        Some("/etc/cart/workload.pem")
    );
    assert_eq!(revocations.stale.on_stale, OnStale::Refuse);
    assert_eq!(revocations.stale.heartbeat_timeout.as_secs(), 5);
    assert!(!config.reflection);
}

#[test]
fn all_mistakes_are_reported_at_once() {
    let problems = read(
        "listen = 'everywhere'
         database = ''
         reflection = 'perhaps'
         databse = 'cart.db'
         [tokens]
         issuer = ''
         jwks_url = 'ftp://keys'
         [tokens.revocations]
         auth_address = 'auth.internal'
         on_stale = 'hope'
         heartbeat_timeout = '1s'",
    )
    .unwrap_err();
    let names = [
        "listen",
        "database",
        "reflection",
        "databse",
        "tokens.issuer",
        "tokens.jwks_url",
        "tokens.revocations.auth_address",
        "tokens.revocations.on_stale",
        "tokens.revocations.heartbeat_timeout",
    ];
    for name in names {
        assert!(
            problems.contains(&format!("{name}:")),
            "{name} is missing in\n{problems}"
        );
    }
    assert_eq!(problems.lines().count(), names.len(), "{problems}");
}
