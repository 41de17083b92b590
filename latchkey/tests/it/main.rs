//! What only somebody who knows all programs can check.

#![expect(clippy::unwrap_used, reason = "helpers of tests are tests")]

mod operator;
mod running;
mod settings;
