//! What concerns a whole process: its logger and its signals.

#[cfg(test)]
mod shutdown;
#[cfg(test)]
mod telemetry;
