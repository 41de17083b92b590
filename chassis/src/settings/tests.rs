use std::net::SocketAddr;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use super::*;

mod layers;
mod secrets;

#[derive(Debug, PartialEq)]
struct Config {
    listen: SocketAddr,
    workers: u32,
    names: Vec<String>,
    timeout: Duration,
    body: usize,
    mode: Mode,
    upstreams: Vec<(String, String)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Deserialize, serde::Serialize)]
#[serde(rename_all = "snake_case")]
enum Mode {
    Anyone,
    User,
}

fn config(section: &mut Section<'_>) -> Option<Config> {
    let listen = section.required("listen");
    let workers = section.value("workers", 4);
    let names = section.value("names", Vec::new());
    let (timeout, body, mode) = section.section("limits", |limits| {
        (
            limits.duration("timeout", Duration::from_secs(60)),
            limits.size("body", 64 << 10),
            limits.value("mode", Mode::User),
        )
    });
    let upstreams = section.entries("upstreams", |name, upstream| {
        let address: Option<String> = upstream.required("address");
        if address
            .as_deref()
            .is_some_and(|address| !address.starts_with("http://"))
        {
            upstream.problem("address", "not a URL");
        }
        Some((name.to_owned(), address?))
    });
    Some(Config {
        listen: listen?,
        workers,
        names,
        timeout,
        body,
        mode,
        upstreams: upstreams.into_iter().collect::<Option<_>>()?,
    })
}

#[track_caller]
fn check(text: &str, expected: &str) {
    let result = read(Sources::from_toml("g.toml", text), config);
    let problems = match result {
        Ok(config) => panic!("{text:?} was accepted: {config:?}"),
        Err(problems) => problems.to_string(),
    };
    assert_eq!(problems, expected, "{text:?}");
}

const LISTEN: &str = "listen = '127.0.0.1:1'\n";

#[test]
fn reads_everything() {
    let text = "
        listen = '127.0.0.1:8080'
        workers = 2
        names = ['a', 'b']
        [limits]
        timeout = '500ms'
        body = '4MiB'
        mode = 'anyone'
        [upstreams.cart]
        address = 'http://c'
        [upstreams.profile]
        address = 'http://p'
    ";
    let config = read(Sources::from_toml("g.toml", text), config).unwrap();
    let upstream = |name: &str, address: &str| (name.to_owned(), address.to_owned());
    let expected = Config {
        listen: "127.0.0.1:8080".parse().unwrap(),
        workers: 2,
        names: vec!["a".to_owned(), "b".to_owned()],
        timeout: Duration::from_millis(500),
        body: 4 << 20,
        mode: Mode::Anyone,
        upstreams: vec![
            upstream("cart", "http://c"),
            upstream("profile", "http://p"),
        ],
    };
    assert_eq!(config, expected);
}

#[test]
fn defaults_stand_where_nothing_is_written() {
    let config = read(Sources::from_toml("g.toml", LISTEN), config).unwrap();
    assert_eq!(
        (config.workers, config.body, config.mode),
        (4, 64 << 10, Mode::User)
    );
    assert!(config.upstreams.is_empty());
}

#[test]
fn names_what_is_missing_and_where_it_could_be() {
    check(
        "",
        "listen: required, but not set in g.toml or LATCHKEY_LISTEN",
    );
    check(
        &format!("{LISTEN}[upstreams.cart]"),
        "upstreams.cart.address: required, but not set in g.toml or \
         LATCHKEY_UPSTREAMS__CART__ADDRESS",
    );
}

#[test]
fn names_what_has_the_wrong_type() {
    check(
        "listen = 'nowhere'",
        "listen: invalid socket address syntax (g.toml:1)",
    );
    check(
        &format!("{LISTEN}workers = -1"),
        "workers: invalid value: integer `-1`, expected u32 (g.toml:2)",
    );
    check(
        &format!("{LISTEN}names = 'a'"),
        "names: invalid type: string \"a\", expected a sequence (g.toml:2)",
    );
    check(
        &format!("{LISTEN}limits = 3"),
        "limits: must be a section (g.toml:2)",
    );
    check(
        &format!("{LISTEN}[limits]\nmode = 'guest'"),
        "limits.mode: unknown variant `guest`, expected `anyone` or `user` (g.toml:3)",
    );
    check(
        &format!("{LISTEN}[upstreams]\ncart = 'http://c'"),
        "upstreams.cart: must be a section (g.toml:3)",
    );
}

#[test]
fn names_bad_units() {
    for text in [
        "'5'",
        "'s'",
        "'1.5s'",
        "'5 s'",
        "'5y'",
        "''",
        "5",
        "true",
        "'-5s'",
        "'99999999999999999d'",
    ] {
        check(
            &format!("{LISTEN}limits.timeout = {text}"),
            "limits.timeout: not a duration like 500ms, 60s, 5m, 2h or 7d (g.toml:2)",
        );
    }
    for text in ["'5kb'", "'KiB'", "'-1'", "1.5", "''", "'99999999999999GiB'"] {
        check(
            &format!("{LISTEN}limits.body = {text}"),
            "limits.body: not a size like 512, 64KiB or 4MiB (g.toml:2)",
        );
    }
}

#[test]
fn names_unknown_keys_and_guesses() {
    check(
        &format!("{LISTEN}worker = 3"),
        "worker: unknown setting; did you mean `workers`? (g.toml:2)",
    );
    check(
        &format!("{LISTEN}colour = 3"),
        "colour: unknown setting (g.toml:2)",
    );
    check(
        &format!("{LISTEN}[limits]\ntimout = '1s'"),
        "limits.timout: unknown setting; did you mean `timeout`? (g.toml:3)",
    );
    check(
        &format!("{LISTEN}[nothing.here]\na = 1"),
        "nothing: unknown setting (g.toml:2)",
    );
}

#[test]
fn reports_all_mistakes_at_once() {
    check(
        "wrokers = 3\n[limits]\ntimeout = 'soon'\n[upstreams.cart]\naddress = 'cart:1'",
        "listen: required, but not set in g.toml or LATCHKEY_LISTEN\n\
         limits.timeout: not a duration like 500ms, 60s, 5m, 2h or 7d (g.toml:3)\n\
         upstreams.cart.address: not a URL (g.toml:5)\n\
         wrokers: unknown setting; did you mean `workers`? (g.toml:1)",
    );
}

#[test]
fn names_every_line_that_is_no_toml() {
    let problems = read(
        Sources::from_toml("g.toml", "a = \nlisten = 'x'\nb = = 2\n"),
        |_| Some(()),
    );
    let text = problems.unwrap_err().to_string();
    assert!(
        text.contains("(g.toml:1)") && text.contains("(g.toml:3)"),
        "{text}"
    );
    let twice = read(Sources::from_toml("g.toml", "a = 1\na = 2"), |_| Some(()));
    let text = twice.unwrap_err().to_string();
    assert!(
        text.contains("duplicate key") && text.contains("(g.toml:2)"),
        "{text}"
    );
}

#[test]
fn a_refusal_without_reason_is_a_bug_not_a_start() {
    let refused = read(Sources::default(), |_| None::<()>);
    assert!(refused.unwrap_err().to_string().contains("bug"));
}

#[test]
fn messages_stay_on_their_lines() {
    let sources = Sources::from_toml("g.toml", "\"a\\nb\\u001b[2J\" = 1");
    let text = read(sources, |_| Some(())).unwrap_err().to_string();
    assert!(!text.contains(char::is_control), "{text:?}");
}
