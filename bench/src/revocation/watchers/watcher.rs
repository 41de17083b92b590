//! Watchers that note when each revocation reached them.

use std::time::Duration;

use anyhow::{Context, bail};
use chassis::{Clock, SystemClock};
use proto::auth::v1::{RevocationBatch, WatchRequest, WatchResponse, watch_response::Event};
use tokio::{sync::oneshot, task::JoinSet, time::timeout};

use super::PATIENCE;
use crate::auth::AuthClient;

/// The log's end, as a request to go on from there.
pub(super) async fn head(calls: &AuthClient) -> anyhow::Result<WatchRequest> {
    let mut stream = calls.watch(WatchRequest::default()).await?;
    let first = stream.message().await?.and_then(|message| message.event);
    let Some(Event::Opening(opening)) = first else {
        bail!("the stream began with {first:?}");
    };
    Ok(WatchRequest {
        log_id: opening.log_id,
        after_seq: opening.head_seq,
    })
}

pub(super) fn is_heartbeat(message: &WatchResponse) -> bool {
    matches!(message.event, Some(Event::Heartbeat(_)))
}

/// What all watchers saw.
#[derive(Default)]
pub(super) struct Seen {
    /// From each revocation, before its commit, to each watcher that read of it. Both
    /// processes ask the same clock.
    pub(super) after: Vec<Duration>,
    /// Streams that ended before all was told, and were asked for again.
    pub(super) resyncs: u32,
}

/// Each with a connection of its own, going on from the same place in the log.
pub(super) struct Watchers {
    from: WatchRequest,
    expected: usize,
    tasks: JoinSet<anyhow::Result<Seen>>,
}

impl Watchers {
    pub(super) fn new(from: WatchRequest, expected: usize) -> Self {
        let tasks = JoinSet::new();
        Self {
            from,
            expected,
            tasks,
        }
    }

    /// Adds one, which watches when this returns.
    pub(super) async fn add(&mut self, calls: AuthClient) -> anyhow::Result<()> {
        let (opened, is_open) = oneshot::channel();
        let (from, expected) = (self.from.clone(), self.expected);
        self.tasks.spawn(watch(calls, from, expected, opened));
        is_open.await.context("a watcher was refused")
    }

    /// Waits until each has read of every revocation.
    pub(super) async fn finish(mut self) -> anyhow::Result<Seen> {
        let mut all = Seen::default();
        let join = async {
            while let Some(seen) = self.tasks.join_next().await {
                let seen = seen??;
                all.after.extend(seen.after);
                all.resyncs += seen.resyncs;
            }
            anyhow::Ok(())
        };
        timeout(PATIENCE, join)
            .await
            .context("revocations are missing")??;
        Ok(all)
    }
}

async fn watch(
    calls: AuthClient,
    mut from: WatchRequest,
    expected: usize,
    opened: oneshot::Sender<()>,
) -> anyhow::Result<Seen> {
    let mut seen = Seen::default();
    let mut opened = Some(opened);
    loop {
        let mut stream = calls.watch(from.clone()).await?;
        while let Ok(Some(message)) = stream.message().await {
            match message.event {
                Some(Event::Batch(batch)) => note(&mut seen, &mut from, &batch),
                Some(Event::Opening(_)) => {
                    // It fails if the measurement is being given up.
                    let _ = opened.take().map(|opened| opened.send(()));
                }
                _ => {}
            }
            if seen.after.len() >= expected {
                return Ok(seen);
            }
        }
        seen.resyncs += 1;
    }
}

fn note(seen: &mut Seen, from: &mut WatchRequest, batch: &RevocationBatch) {
    let now_us = SystemClock.now().as_microsecond();
    from.after_seq = batch.through_seq;
    seen.after
        .extend(batch.revocations.iter().map(|revocation| {
            let us = now_us.saturating_sub(revocation.revoked_at_us);
            Duration::from_micros(u64::try_from(us).unwrap_or_default())
        }));
}
