use chassis::settings::{Sources, read};

use super::*;

const LEAST: &str = r#"
workload_key_file = "gateway.pem"
[auth]
address = "http://127.0.0.1:50051"
[upstreams.cart]
address = "http://127.0.0.1:50052"
audience = "cart-service"
access = "guest"
"#;

fn config(text: &str) -> Result<Config, String> {
    read(Sources::from_toml("gateway.toml", text), Config::read).map_err(|e| e.to_string())
}

#[test]
fn little_is_enough() {
    let config = config(LEAST).unwrap();
    assert_eq!(config.listen.to_string(), "127.0.0.1:8080");
    assert_eq!(config.workload_name, "gateway");
    assert_eq!(config.upstreams[0].access, Access::Guest);
    assert!(matches!(
        config.upstreams[0].descriptors,
        Source::Reflection
    ));
    assert_eq!(config.limits.body_bytes, 64 * 1024);
}

#[test]
fn all_mistakes_are_reported_with_their_names() {
    let text = r#"
listen = "0.0.0.0:8080"
trusted_proxies = ["10.0.0.0/8", "10.0.0.0/99"]
[auth]
address = "localhost"
[upstreams.cart]
address = "http://127.0.0.1:50052"
access = "everybody"
[limits]
requests_in_flight = 0
typo = 1
"#;
    let problems = config(text).unwrap_err();
    for name in [
        "public_origins",
        "trusted_proxies",
        "auth.address",
        "workload_key_file",
        "upstreams.cart.audience",
        "upstreams.cart.access",
        "limits.requests_in_flight",
        "limits.typo",
    ] {
        assert!(
            problems.contains(&format!("{name}:")),
            "{name} is missing in:\n{problems}"
        );
    }
}

#[test]
fn plain_http_beyond_loopback_does_not_start() {
    let text = format!("public_origins = ['http://shop.example']\n{LEAST}");
    let problems = config(&text).unwrap_err();
    assert!(
        problems.contains("keep the session cookie off plain http"),
        "{problems}"
    );
    let text = format!("listen = '0.0.0.0:80'\npublic_origins = ['https://shop.example']\n{LEAST}");
    assert_eq!(config(&text).unwrap().public_origins.len(), 1);
}
