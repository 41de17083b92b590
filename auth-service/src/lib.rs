//! The auth service: accounts, sessions, access tokens and the keys that sign them.
//!
//! The only part of Latchkey that holds a private key. Programs call it over gRPC
//! with an assertion of their own (`workload`, before every RPC in `grpc`), and
//! anybody may fetch the public keys (`http`). The nouns are pure: `account`,
//! `session`, `access_token`, `signing_keys`; `accounts`, `sessions`, `tokens` and
//! `operator` are what is done with them; `store` is where they rest; `status` is the border
//! to callers.

pub mod access_token;
pub mod account;
pub mod accounts;
mod config;
pub mod email;
pub mod entropy;
#[cfg(test)]
mod fixtures;
mod grpc;
pub mod http;
pub mod jwks;
pub mod key_encryption;
pub mod limits;
mod maintenance;
mod metrics;
pub mod operator;
pub mod password;
pub mod revocations;
mod server;
pub mod session;
pub mod sessions;
pub mod signing_keys;
mod status;
pub mod store;
pub mod tokens;
pub mod workload;

pub use config::{Config, KeyEncryptionKeySource, KeySettings};
pub use server::{BindError, Listeners, ServeError, serve};
