//! What a follower of a long log holds in memory, and how long its snapshot takes.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use chassis::{SystemClock, revocations::RevocationSettings};
use token_verifier::{FeedState, FollowOptions, Revocations};
use tokio::time::timeout;

use crate::{
    auth::{AuthClient, AuthProcess},
    processes::{Memory, machine},
    roles::{MEASURER, key_file},
};

const PATIENCE: Duration = Duration::from_secs(120);

/// Measures and prints.
pub(super) async fn run(entries: u32) -> anyhow::Result<()> {
    let data = tempfile::tempdir()?;
    let auth = AuthProcess::with_log(data.path(), entries).await?;
    // What a first call takes is not the follower's.
    AuthClient::connect(auth.grpc, data.path())?.guest().await?;
    let key = key_file(data.path(), MEASURER);
    let settings = RevocationSettings::new(&format!("http://{}", auth.grpc), MEASURER, key);

    let before = Memory::now()?;
    let began = Instant::now();
    let feed = settings.feed(Arc::new(SystemClock))?;
    let options = FollowOptions::default();
    let (revocations, driver) = Revocations::follow(feed, options, Arc::new(SystemClock));
    let driver = tokio::spawn(driver);
    following(&revocations).await?;
    let taken = began.elapsed();
    let after = Memory::now()?;
    ensure!(
        revocations.len() == entries as usize,
        "{} entries of {entries}",
        revocations.len()
    );
    driver.abort();

    println!(
        "a follower of a log with {entries} live entries, {}",
        machine()?
    );
    let each = |bytes: u64| bytes as f64 / f64::from(entries);
    let tables = revocations.memory_bytes() as u64;
    println!("{:<44} {:>8.1} bytes an entry", "tables", each(tables));
    let grown = after.resident.saturating_sub(before.resident);
    println!(
        "{:<44} {:>8.1} bytes an entry",
        "the process grew by",
        each(grown)
    );
    let peak = after.peak.saturating_sub(before.resident);
    println!(
        "{:<44} {:>8.1} bytes an entry",
        "and while it grew, at most by",
        each(peak)
    );
    println!(
        "{:<44} {:>8.0} ms",
        "from the first call to the whole snapshot",
        taken.as_secs_f64() * 1e3
    );
    Ok(())
}

async fn following(revocations: &Revocations) -> anyhow::Result<()> {
    let mut state = revocations.changed();
    let following = state.wait_for(|state| *state == FeedState::Following);
    timeout(PATIENCE, following)
        .await
        .context("no snapshot came")??;
    Ok(())
}
