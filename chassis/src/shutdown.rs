//! Stopping: one signal drains, a second one ends the process at once.

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// What a process killed by SIGINT exits with, by the shell's convention (128 + 2).
const EXIT_AFTER_SECOND_SIGNAL: i32 = 130;

/// A token that is cancelled by the first SIGTERM or SIGINT. A second signal ends
/// the process at once: somebody who presses Ctrl-C twice means it.
///
/// # Panics
///
/// Outside a tokio runtime, or when the system has no room for a signal handler.
#[must_use]
pub fn on_signal() -> CancellationToken {
    // Installed before anything is spawned, so a signal that comes early is not lost.
    let mut signals = Signals::install();
    let shutdown = CancellationToken::new();
    let token = shutdown.clone();
    tokio::spawn(async move {
        let name = signals.next().await;
        tracing::info!(signal = name, "{name} received, draining");
        token.cancel();
        let name = signals.next().await;
        tracing::warn!(signal = name, "second {name} received, leaving at once");
        std::process::exit(EXIT_AFTER_SECOND_SIGNAL);
    });
    shutdown
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn install() -> Self {
        let install = |kind| signal(kind).expect("SIGTERM and SIGINT may be caught");
        Self {
            terminate: install(SignalKind::terminate()),
            interrupt: install(SignalKind::interrupt()),
        }
    }

    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}
