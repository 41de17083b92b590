use chassis::settings::{self, Sources};

use super::Config;

fn read(text: &str) -> Result<Config, String> {
    let sources = Sources::from_toml("profile-service.toml", text);
    settings::read(sources, Config::read).map_err(|problems| problems.to_string())
}

#[test]
fn everything_has_a_default() {
    let config = read("").unwrap();
    assert_eq!(config.listen.to_string(), "127.0.0.1:50053");
    assert_eq!(config.operations_listen.to_string(), "127.0.0.1:9093");
    assert_eq!(config.database.to_str(), Some("profile.db"));
    assert_eq!(config.tokens.audience, "profile-service");
    assert!(config.reflection);
}

#[test]
fn every_setting_is_read() {
    let config = read(
        "listen = '[::1]:1'
         operations_listen = '127.0.0.2:2'
         database = '/var/lib/profile/profile.db'
         reflection = false
         [limits]
         deadline = '5s'
         [tokens]
         issuer = 'https://id.example'
         audience = 'profile-blue'
         jwks_url = 'http://auth.internal:8081/keys'
         [telemetry]
         format = 'json'",
    )
    .unwrap();
    assert_eq!(config.listen.to_string(), "[::1]:1");
    assert_eq!(config.operations_listen.to_string(), "127.0.0.2:2");
    assert_eq!(
        config.database.to_str(),
        Some("/var/lib/profile/profile.db")
    );
    assert_eq!(config.limits.deadline.as_secs(), 5);
    assert_eq!(config.tokens.issuer, "https://id.example");
    assert_eq!(config.tokens.audience, "profile-blue");
    assert_eq!(config.tokens.jwks_url, "http://auth.internal:8081/keys");
    assert!(!config.reflection);
}

#[test]
fn all_mistakes_are_reported_at_once() {
    let problems = read(
        "listen = 'everywhere'
         database = ''
         reflection = 'perhaps'
         databse = 'profile.db'
         [tokens]
         issuer = ''
         jwks_url = 'ftp://keys'",
    )
    .unwrap_err();
    let names = [
        "listen",
        "database",
        "reflection",
        "databse",
        "tokens.issuer",
        "tokens.jwks_url",
    ];
    for name in names {
        assert!(
            problems.contains(&format!("{name}:")),
            "{name} is missing in\n{problems}"
        );
    }
    assert_eq!(problems.lines().count(), names.len(), "{problems}");
}
