//! `examples/verify-stdin.rs`, which outside suites drive, as they drive it.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::stage::{AUDIENCE, ISSUER, Stage, now};

/// Beside this test binary's directory, where `cargo test` puts it.
fn program() -> PathBuf {
    let mut path = std::env::current_exe().unwrap();
    path.pop();
    path.pop();
    path.push("examples/verify-stdin");
    assert!(
        path.exists(),
        "`cargo test -p token-verifier` builds the examples, too"
    );
    path
}

fn command(jwks: &str) -> Command {
    let mut command = Command::new(program());
    let now = now().as_second().to_string();
    command
        .args([
            "--jwks",
            jwks,
            "--issuer",
            ISSUER,
            "--audience",
            AUDIENCE,
            "--now",
            &now,
        ])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    command
}

#[test]
fn answers_each_line_with_one_line() {
    let stage = Stage::new();
    let jwks = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(jwks.path(), stage.issuer.jwks_json()).unwrap();
    let good = stage.token();
    let mut input = Vec::new();
    for line in [
        good.as_bytes(),
        b"",
        format!("{good}\r").as_bytes(),
        format!("{good} ").as_bytes(),
        b"\xff\xfe",
        b"a.b",
        "x".repeat(9_000).as_bytes(),
        "y".repeat(1_000_000).as_bytes(),
        stage.with_claim("exp", now().as_second() - 10).as_bytes(),
        stage.with_claim("aud", "profile-service").as_bytes(),
        good.as_bytes(),
    ] {
        input.extend(line);
        input.push(b'\n');
    }
    // The last line has no end.
    input.extend(good.as_bytes());
    let mut child = command(jwks.path().to_str().unwrap()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(&input).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    let answers = String::from_utf8(output.stdout).unwrap();
    let expected = [
        "ok",
        "missing",
        "ok",
        "malformed",
        "malformed",
        "malformed",
        "too_large",
        "too_large",
        "expired",
        "wrong_audience",
        "ok",
        "ok",
    ];
    assert_eq!(answers.lines().collect::<Vec<_>>(), expected);
}

#[test]
fn refuses_a_bad_key_set_and_bad_arguments() {
    let jwks = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(jwks.path(), r#"{"keys":[]}"#).unwrap();
    for jwks in [
        jwks.path().to_str().unwrap(),
        "/no/such/file",
        "https://issuer/jwks",
    ] {
        let output = command(jwks).output().unwrap();
        assert_eq!(output.status.code(), Some(64), "{jwks}");
    }
    let output = Command::new(program()).arg("--jwks").output().unwrap();
    assert_eq!(output.status.code(), Some(64));
}
