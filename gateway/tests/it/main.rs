//! The gateway over real sockets, before an auth service and a cart service that the
//! tests can hang, break and question.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod admission;
mod api;
mod auth;
mod csrf;
mod fake_auth;
mod fake_cart;
mod harness;
mod outage;
mod pages;
mod real;
mod relay;
mod revocation;
mod stop;
mod third_service;
mod ticks;
