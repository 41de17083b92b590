//! What only somebody who knows all programs can check.

mod settings;
