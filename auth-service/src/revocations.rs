//! The revocation log as verifiers follow it.
//!
//! Transactions that end sessions append to the log (`store`); from there it goes to
//! whoever watches. What a watcher is told, in which order, is pure: [`entry`].

pub mod entry;

pub use entry::{Head, LogId, NewRevocation, Revocation, RevocationKind, RevocationTarget};
