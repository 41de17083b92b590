//! The profile service as its callers see it: over real sockets, with real tokens.

mod authentication;
mod bad_input;
mod calls;
mod harness;
mod merge;
mod raw;
mod running;
