//! The auth service over real sockets and a real database, as its callers see it.

#![expect(clippy::unwrap_used, reason = "helpers of tests are tests")]

mod accounts;
mod assertions;
mod bad_input;
mod http;
mod operator;
mod outage;
mod restart;
mod rotation;
mod sessions;
mod simulation;
mod start;
mod support;
mod tokens;
mod watch;
