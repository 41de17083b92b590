//! Keeps a follower at a feed: watches, and watches again.

use std::time::Duration;

use rand::RngExt as _;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout};
use tokio_stream::{Stream, StreamExt as _};

use proto::auth::v1::WatchResponse;
use tonic::Status;

use super::feed::Feed;
use super::handle::FollowerHandle;
use super::resync::Resync;

/// How long a stream must have lasted for the next to be asked for soon: one that is given
/// up right after its opening, time and again, is asked for ever more seldom.
const GOOD_STREAM: Duration = Duration::from_secs(2);

/// The pause after a stream that did its work. An auth service that restarts is back within
/// a moment, and another one is there already.
const FIRST_PAUSE: Duration = Duration::from_millis(50);

/// The longest, so that recovery takes a second or two after the longest outage.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// The shortest: the driver never spins.
const SHORTEST_PAUSE: Duration = Duration::from_millis(1);

/// How long to wait for an answer, and for the next part of a snapshot: an auth service with
/// a thousand followers to bring up lets some of them wait.
const CATCH_UP_PATIENCE: Duration = Duration::from_secs(10);

/// How many messages to take in before others have a turn, however fast they come.
const MESSAGES_PER_TURN: usize = 16;

pub(super) async fn drive(mut feed: impl Feed, mut handle: FollowerHandle) {
    let mut pause = FIRST_PAUSE;
    loop {
        let began_at = Instant::now();
        let resync = follow(&mut feed, &mut handle).await;
        handle.disconnected();
        log(&resync);
        handle.report_resync(&resync);
        if began_at.elapsed() >= GOOD_STREAM {
            pause = FIRST_PAUSE;
        }
        rest(&mut handle, pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

fn log(resync: &Resync) {
    let cause = std::error::Error::source(resync);
    let reason = resync.reason();
    if resync.is_alarming() {
        tracing::warn!(reason, cause, "watching revocations anew: {resync}");
    } else {
        tracing::debug!(reason, cause, "watching revocations anew: {resync}");
    }
}

/// One stream, to its end.
async fn follow(feed: &mut impl Feed, handle: &mut FollowerHandle) -> Resync {
    let request = handle.request();
    let answer = while_ticking(handle, timeout(CATCH_UP_PATIENCE, feed.watch(request))).await;
    match answer {
        Ok(Ok(stream)) => take_in(stream, handle).await,
        Ok(Err(status)) => Resync::Failed(Box::new(status)),
        Err(_) => Resync::Silent,
    }
}

async fn take_in(
    mut stream: impl Stream<Item = Result<WatchResponse, Status>> + Unpin,
    handle: &mut FollowerHandle,
) -> Resync {
    let mut progress = (handle.through(), Instant::now());
    loop {
        for _ in 0..MESSAGES_PER_TURN {
            let patience = patience(handle, progress.1);
            let next = while_ticking(handle, timeout(patience, stream.next())).await;
            let response = match next {
                Ok(Some(Ok(response))) => response,
                Ok(Some(Err(status))) => return Resync::Failed(Box::new(status)),
                Ok(None) => return Resync::Ended,
                Err(_) => return Resync::Silent,
            };
            if let Err(resync) = handle.apply(response) {
                return resync;
            }
            if handle.through() != progress.0 {
                progress = (handle.through(), Instant::now());
            }
        }
        tokio::task::yield_now().await;
    }
}

/// How long to wait for the next message. Until all that the opening promised is there, only
/// what goes on in the log counts: a feed that has nothing but heartbeats is no use.
fn patience(handle: &FollowerHandle, progress_at: Instant) -> Duration {
    if handle.is_caught_up() {
        return handle.heartbeat_timeout();
    }
    let patience = handle.heartbeat_timeout().max(CATCH_UP_PATIENCE);
    patience.saturating_sub(progress_at.elapsed())
}

/// A random part of `pause`, so that followers which lost the same auth service do not come
/// back in step.
async fn rest(handle: &mut FollowerHandle, pause: Duration) {
    let part = rand::rng().random_range(0.0..1.0);
    let pause = pause.mul_f64(part).max(SHORTEST_PAUSE);
    while_ticking(handle, sleep(pause)).await;
}

/// Awaits `work` and lets time have its effects meanwhile.
async fn while_ticking<T>(handle: &mut FollowerHandle, work: impl Future<Output = T>) -> T {
    let period = handle.heartbeat_timeout() / 16;
    let mut ticks = interval(period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks.reset_at(Instant::now() + period);
    tokio::pin!(work);
    loop {
        tokio::select! {
            biased;
            done = &mut work => return done,
            _ = ticks.tick() => handle.tick(),
        }
    }
}

#[cfg(test)]
mod tests;
