//! What it costs to ask whether a token is revoked.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use anyhow::ensure;
use chassis::{Clock, SystemClock};
use token_verifier::{
    Expectations, FollowOptions, KeySet, Keys, OnStale, RevocationKeys, Revocations, TokenVerifier,
};

use super::log;
use crate::{
    auth::{AuthClient, AuthProcess},
    client,
    processes::machine,
    roles::ISSUER,
};

const AUDIENCE: &str = profile_service::AUDIENCE;
/// Each of so many look-ups, of which the median is told.
const ROUNDS: usize = 15;
const LOOKUPS: usize = 400_000;
/// Different tokens to ask about in turn: more than the processor's caches remember of a
/// large table.
const TOKENS: u32 = 1 << 17;
const HOUR: Duration = Duration::from_secs(3600);

/// Measures and prints.
pub(super) async fn run(entries: u32) -> anyhow::Result<()> {
    let data = tempfile::tempdir()?;
    let auth = AuthProcess::start(data.path()).await?;
    let calls = AuthClient::connect(auth.grpc, data.path())?;
    let token = calls.token(&calls.guest().await?, AUDIENCE).await?;
    let jwks = client::request(
        auth.http.port(),
        "GET",
        "/.well-known/jwks.json",
        None,
        None,
    );
    let keys = Keys::fixed(KeySet::from_json(jwks.await?.body().as_bytes())?);
    // Nothing else is to run meanwhile.
    drop((calls, auth));

    let until_expiry = FollowOptions::default;
    let refuse = || {
        until_expiry()
            .on_stale(OnStale::Refuse)
            .heartbeat_timeout(HOUR)
    };
    let (none, _) = log::follow(until_expiry(), 0)?;
    let (many, taken) = log::follow(until_expiry(), entries)?;
    println!("the check, {LOOKUPS} at a time, {}", machine()?);
    println!(
        "a snapshot of {entries} entries was taken in within {:.0} ms",
        taken.as_secs_f64() * 1e3
    );
    println!("{:<56} {:>8} {:>8} {:>8}", "", "p50 ns", "least", "most");
    print_checks(&none, "nothing is revoked", 0)?;
    print_checks(&many, &format!("{entries} are"), entries)?;
    let (careful, _) = log::follow(refuse(), entries)?;
    print_checks(&careful, &format!("{entries} are, `refuse`"), entries)?;

    let verifier = TokenVerifier::new(expectations(), keys, Arc::new(SystemClock));
    print_verify("verify, no feed", &verifier, &token)?;
    for (name, revocations) in [
        ("verify, nothing is revoked", none),
        ("verify, many are", many),
        ("verify, many are, `refuse`", careful),
    ] {
        let verifier = verifier.clone().with_revocations(revocations);
        print_verify(name, &verifier, &token)?;
    }
    Ok(())
}

fn expectations() -> Expectations {
    Expectations {
        issuer: ISSUER.to_owned(),
        audience: AUDIENCE.to_owned(),
    }
}

/// Of sessions that are not revoked, and of those that are.
fn print_checks(revocations: &Revocations, name: &str, entries: u32) -> anyhow::Result<()> {
    let good: Vec<_> = (entries..entries + TOKENS).map(log::keys_of).collect();
    ensure!(revocations.check(&good[0]).is_ok());
    print_row(&format!("{name}: one good token"), || {
        black_box(revocations.check(black_box(&good[0]))).is_ok()
    });
    print_in_turn(revocations, &format!("{name}: good tokens in turn"), &good);
    if entries == 0 {
        return Ok(());
    }
    // Spread over the log: neighbours in it are none in the table either way.
    let step = (entries / TOKENS).max(1) as usize;
    let revoked: Vec<_> = (0..entries).step_by(step).map(log::keys_of).collect();
    ensure!(revocations.check(&revoked[0]).is_err());
    print_row(&format!("{name}: one revoked token"), || {
        black_box(revocations.check(black_box(&revoked[0]))).is_err()
    });
    print_in_turn(
        revocations,
        &format!("{name}: revoked tokens in turn"),
        &revoked,
    );
    Ok(())
}

fn print_in_turn(revocations: &Revocations, name: &str, tokens: &[RevocationKeys]) {
    let mut tokens = tokens.iter().cycle();
    print_row(name, || {
        let token = tokens.next();
        token.is_some_and(|token| black_box(revocations.check(black_box(token))).is_ok())
    });
}

fn print_verify(name: &str, verifier: &TokenVerifier, token: &str) -> anyhow::Result<()> {
    verifier.verify(token)?;
    print_row(name, || {
        black_box(verifier.verify(black_box(token))).is_ok()
    });
    Ok(())
}

/// The nanoseconds that one call takes, by rounds.
fn print_row(name: &str, mut call: impl FnMut() -> bool) {
    let mut rounds: Vec<f64> = (0..ROUNDS).map(|_| round(&mut call)).collect();
    rounds.sort_by(f64::total_cmp);
    let (least, most) = (rounds[0], rounds[ROUNDS - 1]);
    println!(
        "{name:<56} {:>8.1} {least:>8.1} {most:>8.1}",
        rounds[ROUNDS / 2]
    );
}

fn round(call: &mut impl FnMut() -> bool) -> f64 {
    let began = SystemClock.monotonic();
    for _ in 0..LOOKUPS {
        black_box(call());
    }
    (SystemClock.monotonic() - began).as_secs_f64() * 1e9 / LOOKUPS as f64
}
