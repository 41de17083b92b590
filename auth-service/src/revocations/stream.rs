//! One watcher's stream: a task of its own that ends with the call, or ends it.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures::Stream;
use tokio::sync::{broadcast, mpsc, oneshot};

use super::hub::{News, Published, Shared};
use super::watcher::Told;
use super::{Resume, Watcher, wire};
use crate::store::StoreError;

/// How long a watcher may take nothing at all.
const PATIENCE: Duration = Duration::from_secs(10);
/// Entries in one batch of a snapshot: some 300 KiB, well below what a gRPC client takes
/// in one message.
const SNAPSHOT_BATCH: u32 = 4096;
/// Messages between the task and the connection. The ring is where a watcher may lag.
const AHEAD: usize = 1;

/// Why a stream ends though its watcher is still there.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WatchEnd {
    /// It took too little for too long.
    #[error("the watcher is too slow")]
    TooSlow,
    /// This instance stops.
    #[error("the service stops")]
    Stopping,
    /// The log is not the one that the stream began with.
    #[error("the revocation log was replaced")]
    Replaced,
    /// The log cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Encoded messages, and at last why there are no more.
pub(crate) struct WatchStream {
    messages: mpsc::Receiver<Bytes>,
    end: oneshot::Receiver<WatchEnd>,
    is_over: bool,
}

impl Stream for WatchStream {
    type Item = Result<Bytes, WatchEnd>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.is_over {
            return Poll::Ready(None);
        }
        if let Some(message) = std::task::ready!(self.messages.poll_recv(context)) {
            return Poll::Ready(Some(Ok(message)));
        }
        // The task is over. Without a word it was aborted with the runtime.
        let end = std::task::ready!(Pin::new(&mut self.end).poll(context));
        self.is_over = true;
        Poll::Ready(Some(Err(end.unwrap_or(WatchEnd::Stopping))))
    }
}

/// What is over when the watcher is gone.
enum Over {
    Ended(WatchEnd),
    WatcherGone,
}

impl<E: Into<WatchEnd>> From<E> for Over {
    fn from(end: E) -> Self {
        Self::Ended(end.into())
    }
}

/// Subscribes before the head is read: what comes later is in the ring.
pub(super) async fn open(hub: Arc<Shared>, resume: Resume) -> Result<WatchStream, StoreError> {
    let ring = hub.ring.subscribe();
    // Before the head is read: what was revoked until then is in it.
    let now = hub.parts.clock.now();
    let (watcher, opening) = Watcher::open(&resume, hub.parts.log.head().await?);
    let opening = wire::opening(opening, now);
    let (messages, receiver) = mpsc::channel(AHEAD);
    let (say_end, end) = oneshot::channel();
    let mut task = Task {
        hub,
        watcher,
        ring,
        messages,
    };
    tokio::spawn(async move {
        if let Over::Ended(end) = task.run(opening).await {
            // It fails if the watcher has gone.
            let _ = say_end.send(end);
        }
    });
    Ok(WatchStream {
        messages: receiver,
        end,
        is_over: false,
    })
}

struct Task {
    hub: Arc<Shared>,
    watcher: Watcher,
    ring: broadcast::Receiver<Arc<Published>>,
    messages: mpsc::Sender<Bytes>,
}

impl Task {
    async fn run(&mut self, opening: Bytes) -> Over {
        let _counted = self.hub.parts.metrics.revocation_watcher();
        let stop = self.hub.parts.stop.clone();
        let over = match stop.run_until_cancelled(self.tell(opening)).await {
            Some(Err(over)) => over,
            None => Over::Ended(WatchEnd::Stopping),
        };
        if let Over::Ended(WatchEnd::TooSlow) = &over {
            self.hub.parts.metrics.revocation_watcher_dropped();
            tracing::warn!("a watcher of the revocation log is too slow and was dropped");
        }
        over
    }

    /// Until the watcher goes, whatever is waited for: one that has gone must not stand in
    /// the way of those who wait for the same.
    async fn tell(&mut self, opening: Bytes) -> Result<std::convert::Infallible, Over> {
        let messages = self.messages.clone();
        tokio::select! {
            over = self.tell_on(opening) => over,
            () = messages.closed() => Err(Over::WatcherGone),
        }
    }

    async fn tell_on(&mut self, opening: Bytes) -> Result<std::convert::Infallible, Over> {
        self.send(opening).await?;
        self.send_keys().await?;
        loop {
            self.catch_up().await?;
            match self.ring.recv().await {
                Ok(published) => self.pass_on(&published).await?,
                Err(broadcast::error::RecvError::Lagged(_)) => {
                    return Err(WatchEnd::TooSlow.into());
                }
                Err(broadcast::error::RecvError::Closed) => return Err(WatchEnd::Stopping.into()),
            }
        }
    }

    async fn catch_up(&mut self) -> Result<(), Over> {
        while let Some(seq) = self.watcher.must_read() {
            let message = {
                let _permit = self.hub.catch_ups.acquire().await;
                let entries = self.hub.parts.log.read_after(seq, SNAPSHOT_BATCH).await;
                let entries = entries.map_err(WatchEnd::Store)?;
                wire::batch(&self.watcher.read(entries, SNAPSHOT_BATCH))
            };
            self.send(message).await?;
        }
        Ok(())
    }

    async fn pass_on(&mut self, published: &Published) -> Result<(), Over> {
        let told = match &published.news {
            News::Batch(batch) => self.watcher.batch(batch),
            News::Heartbeat(head_seq) => self.watcher.heartbeat(*head_seq, published.at.elapsed()),
            News::KeySet => return self.send_keys().await,
            News::Replaced => return Err(WatchEnd::Replaced.into()),
        };
        match told {
            Told::Pass => self.send(published.encoded.clone()).await,
            Told::Cut(batch) => self.send(wire::batch(&batch)).await,
            Told::Known | Told::Gap => Ok(()),
        }
    }

    async fn send_keys(&mut self) -> Result<(), Over> {
        let key_set = Bytes::clone(&self.hub.key_set.load());
        self.send(key_set).await
    }

    async fn send(&mut self, message: Bytes) -> Result<(), Over> {
        match tokio::time::timeout(PATIENCE, self.messages.send(message)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(Over::WatcherGone),
            Err(_) => Err(WatchEnd::TooSlow.into()),
        }
    }
}
