//! What many watchers of the revocation log cost, and whether one that does not read
//! holds up the others.

mod watcher;

use std::time::Duration;

use anyhow::Context;
use proto::auth::v1::{WatchRequest, WatchResponse};
use tempfile::TempDir;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, sleep_until, timeout};
use tonic::{Code, Streaming};

use self::watcher::{Seen, Watchers};
use crate::{
    auth::{AuthClient, AuthProcess, Guest},
    distribution::{Distribution, HEAD},
    processes::{cpu_seconds, machine},
};

/// Enough that a watcher which does not read its snapshot stops the sending of it: more
/// than all windows and buffers on the way hold.
const LOG: u32 = 200_000;
/// One revocation after the other.
const PACE: Duration = Duration::from_millis(20);
/// For what the auth service does with nothing to tell.
const IDLE: Duration = Duration::from_secs(5);
/// Revocations under way at once in a burst.
const BURST: usize = 16;
const STUCK: usize = 10;
/// Until they have got all that fits on the way to them.
const STUCK_AFTER: Duration = Duration::from_secs(3);
/// The auth service waits 10 s for a watcher to take anything.
const DROPPED_AFTER: Duration = Duration::from_secs(20);
const PATIENCE: Duration = Duration::from_secs(120);

/// Measures and prints.
pub(super) async fn run(revocations: u32) -> anyhow::Result<()> {
    let stage = Stage::set(revocations as usize).await?;
    println!(
        "{revocations} revocations, one each {} ms, {}",
        PACE.as_millis(),
        machine()?
    );
    println!(
        "{:<36} {HEAD:>26} {:>16} {:>14} {:>8}",
        "", "CPU s per 1000", "CPU s idle/s", "resyncs"
    );
    for watchers in [0, 1, 100] {
        stage.measure(watchers, 0).await?;
    }
    stage.measure(100, STUCK).await?;
    stage.measure(1000, 0).await?;
    stage.burst(1000).await?;
    println!("afterwards {}", machine()?);
    Ok(())
}

struct Stage {
    auth: AuthProcess,
    calls: AuthClient,
    revocations: usize,
    data: TempDir,
}

impl Stage {
    async fn set(revocations: usize) -> anyhow::Result<Self> {
        let data = tempfile::tempdir()?;
        let auth = AuthProcess::with_log(data.path(), LOG).await?;
        Ok(Self {
            calls: AuthClient::connect(auth.grpc, data.path())?,
            auth,
            revocations,
            data,
        })
    }

    /// Revokes at a steady pace while so many watch, and others do not read.
    async fn measure(&self, watchers: usize, stuck: usize) -> anyhow::Result<()> {
        let guests = self.calls.guests(self.revocations).await?;
        let watching = self.watchers(watchers).await?;
        let idle = self.idle().await?;
        let stuck = self.stuck(stuck).await?;
        let stuck_since = Instant::now();
        if !stuck.is_empty() {
            sleep(STUCK_AFTER).await;
        }
        let used = cpu_seconds(&self.auth.process)?;
        self.revoke_paced(&guests).await?;
        let seen = watching.finish().await?;
        let used = cpu_seconds(&self.auth.process)? - used;
        let per_thousand = used * 1000.0 / self.revocations as f64;
        let name = match stuck.len() {
            0 => format!("{watchers} watchers"),
            stuck => format!("{watchers} watchers, {stuck} that never read"),
        };
        print_row(&name, &seen, per_thousand, idle);
        if !stuck.is_empty() {
            sleep_until(stuck_since + DROPPED_AFTER).await;
            print_dropped(stuck).await?;
        }
        Ok(())
    }

    /// Revokes as fast as it goes.
    async fn burst(&self, watchers: usize) -> anyhow::Result<()> {
        let guests = self.calls.guests(self.revocations).await?;
        let watching = self.watchers(watchers).await?;
        let used = cpu_seconds(&self.auth.process)?;
        let began = Instant::now();
        self.revoke_at_once(guests).await?;
        let revoked = began.elapsed();
        let seen = watching.finish().await?;
        let used = cpu_seconds(&self.auth.process)? - used;
        let per_thousand = used * 1000.0 / self.revocations as f64;
        print_row(
            &format!("{watchers} watchers, a burst"),
            &seen,
            per_thousand,
            0.0,
        );
        println!(
            "the burst: {BURST} calls at a time, all revoked after {:.0} ms, \
             all known everywhere after {:.0} ms",
            revoked.as_secs_f64() * 1e3,
            began.elapsed().as_secs_f64() * 1e3,
        );
        Ok(())
    }

    async fn watchers(&self, count: usize) -> anyhow::Result<Watchers> {
        let head = watcher::head(&self.calls).await?;
        let mut watchers = Watchers::new(head, self.revocations);
        for _ in 0..count {
            let calls = AuthClient::connect(self.auth.grpc, self.data.path())?;
            watchers.add(calls).await?;
        }
        Ok(watchers)
    }

    /// Watchers that ask for all of the log and take none of it.
    async fn stuck(&self, count: usize) -> anyhow::Result<Vec<Streaming<WatchResponse>>> {
        let mut stuck = Vec::with_capacity(count);
        for _ in 0..count {
            let calls = AuthClient::connect(self.auth.grpc, self.data.path())?;
            stuck.push(calls.watch(WatchRequest::default()).await?);
        }
        Ok(stuck)
    }

    /// Seconds of processor time a second, with heartbeats alone.
    async fn idle(&self) -> anyhow::Result<f64> {
        // What opening the streams left to do is not idle.
        sleep(Duration::from_secs(1)).await;
        let used = cpu_seconds(&self.auth.process)?;
        sleep(IDLE).await;
        Ok((cpu_seconds(&self.auth.process)? - used) / IDLE.as_secs_f64())
    }

    async fn revoke_paced(&self, guests: &[Guest]) -> anyhow::Result<()> {
        let mut pace = interval(PACE);
        pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
        for guest in guests {
            pace.tick().await;
            self.calls.end(guest).await?;
        }
        Ok(())
    }

    async fn revoke_at_once(&self, guests: Vec<Guest>) -> anyhow::Result<()> {
        let share = guests.len().div_ceil(BURST);
        let calls = guests.chunks(share).map(|guests| async move {
            for guest in guests {
                self.calls.end(guest).await?;
            }
            anyhow::Ok(())
        });
        for ended in futures::future::join_all(calls).await {
            ended?;
        }
        Ok(())
    }
}

fn print_row(name: &str, seen: &Seen, per_thousand: f64, idle: f64) {
    let times: Distribution = seen.after.iter().copied().collect();
    let times = match times.count() {
        0 => format!("{:>26}", "-"),
        _ => times.to_string(),
    };
    println!(
        "{name:<36} {times} {per_thousand:>16.2} {idle:>14.3} {:>8}",
        seen.resyncs
    );
}

/// How the streams ended that nobody read.
async fn print_dropped(stuck: Vec<Streaming<WatchResponse>>) -> anyhow::Result<()> {
    let count = stuck.len();
    let mut dropped = 0;
    for stream in stuck {
        let end = timeout(PATIENCE, end_of(stream)).await.context("no end")?;
        dropped += usize::from(end == Some(Code::ResourceExhausted));
    }
    println!("of the {count} that never read, {dropped} were dropped as too slow");
    Ok(())
}

/// The code that ends the stream once it is read; none if the auth service was still
/// waiting and goes on.
async fn end_of(mut stream: Streaming<WatchResponse>) -> Option<Code> {
    let mut quiet = 0;
    while quiet < 2 {
        match stream.message().await {
            Ok(Some(message)) => quiet += usize::from(watcher::is_heartbeat(&message)),
            Ok(None) => return None,
            Err(status) => return Some(status.code()),
        }
    }
    None
}
