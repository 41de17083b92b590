//! What concerns a whole process: its logger and its signals.

mod shutdown;
mod telemetry;
