//! The profile service as its callers see it: over real sockets, with real tokens.

#![expect(
    clippy::unwrap_used,
    reason = "clippy knows tests by their attribute, and helpers of tests have none"
)]

mod authentication;
mod bad_input;
mod calls;
mod harness;
mod merge;
mod raw;
mod revocation;
mod running;
