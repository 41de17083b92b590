//! What Latchkey's four programs share and nothing else: settings, telemetry,
//! servers with limits, health, workload identity, SQLite, signals.
//!
//! No business lives here. A program is `serve(config, listeners, clock, shutdown)`;
//! this crate gives it the parts it would otherwise write a fourth time.
#![warn(missing_docs)]

pub mod grpc;
pub mod http;
pub mod metrics;
pub mod operations;
pub mod readiness;
pub mod request_id;
pub mod revocations;
pub mod settings;
pub mod shutdown;
pub mod sqlite;
pub mod status;
pub mod telemetry;
pub mod trace_context;
pub mod verifier;
pub mod vital;
pub mod workload;

pub use token_verifier::{Clock, ManualClock, SystemClock};
