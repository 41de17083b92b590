//! The settings files under deploy/, read by the programs they are for.

use std::{fs, path::Path};

use chassis::{
    settings::{Section, Sources, read_effective},
    workload::WorkloadKey,
};

fn text_of(file: &str) -> String {
    let deploy = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy");
    fs::read_to_string(deploy.join(file)).expect("deploy/ has this file")
}

/// What the program would run with, one setting a line with its origin.
fn effective<C>(sources: Sources, read: impl FnOnce(&mut Section<'_>) -> Option<C>) -> String {
    match read_effective(sources, read) {
        Ok((_, effective)) => effective.to_string(),
        Err(problems) => panic!("{problems}"),
    }
}

/// Both files are accepted, and the sample names every setting that is read.
fn check<C>(
    program: &str,
    prepare: impl Fn(Sources) -> Sources,
    read: impl Fn(&mut Section<'_>) -> Option<C>,
) {
    let file = |folder: &str| {
        let name = format!("{folder}/{program}.toml");
        prepare(Sources::from_toml(&name, &text_of(&name)))
    };
    effective(file("local"), &read);
    let sample = effective(file("settings"), &read);
    let missing: Vec<&str> = sample
        .lines()
        .filter(|line| line.ends_with("# default"))
        .collect();
    assert!(
        missing.is_empty(),
        "deploy/settings/{program}.toml lacks {missing:#?}"
    );
}

#[test]
fn gateway() {
    check("gateway", |sources| sources, gateway::Config::read);
}

#[test]
fn auth_service() {
    let directory = tempfile::tempdir().unwrap();
    let workloads = ["gateway", "cart-service", "profile-service", "latchkey"];
    let keys = workloads.map(|workload| {
        let jwk = directory.path().join(workload);
        fs::write(&jwk, WorkloadKey::generate().unwrap().public_jwk()).unwrap();
        format!("workloads.{workload}.public_key_file={}", jwk.display())
    });
    check(
        "auth-service",
        |sources| keys.iter().fold(sources, |sources, key| sources.with(key)),
        auth_service::Config::read,
    );
}

#[test]
fn cart_service() {
    check(
        "cart-service",
        |sources| sources,
        cart_service::Config::read,
    );
}

#[test]
fn profile_service() {
    check(
        "profile-service",
        |sources| sources,
        profile_service::Config::read,
    );
}
