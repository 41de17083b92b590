//! The revocation log as verifiers follow it.
//!
//! Transactions that end sessions append to the log (`store`); from there it goes to
//! whoever watches. What is told, to whom and in which order is pure: [`cursor`] is a
//! place in the log, [`tail`] what everybody is told, [`watcher`] what one of them needs
//! before that and instead of it. `hub` runs them on the store, the clock and channels.

pub mod cursor;
pub mod entry;
mod hub;
mod stream;
pub mod tail;
pub mod watcher;
mod wire;

pub use cursor::{Batch, Cursor};
pub use entry::{Head, LogId, NewRevocation, Revocation, RevocationKind, RevocationTarget};
pub(crate) use hub::{Hub, HubParts};
pub(crate) use stream::WatchEnd;
pub use tail::Tail;
pub use watcher::{Opening, Resume, Watcher};
