//! The flags that every program has.

use std::fmt;
use std::path::PathBuf;

/// Flatten this into a program's own `clap` arguments.
#[derive(Clone, Default, clap::Args)]
pub struct CommandLine {
    /// Settings file (TOML); `LATCHKEY_CONFIG` does the same.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// Sets one value, over file and environment: `--set telemetry.format=json`.
    #[arg(long, value_name = "KEY=VALUE")]
    pub set: Vec<String>,

    /// Prints the effective settings, secrets redacted, and leaves.
    #[arg(long)]
    pub print_config: bool,

    #[arg(skip)]
    pub(super) overrides: Vec<Override>,
}

/// A value that a program's own flag sets.
#[derive(Clone)]
pub(super) struct Override {
    pub(super) key: String,
    pub(super) value: toml::Value,
    pub(super) flag: &'static str,
}

impl CommandLine {
    /// Lets a program's own flag set a value, over everything else. Mistakes in the
    /// value will name `flag`.
    #[must_use]
    pub fn with(mut self, key: &str, value: impl Into<toml::Value>, flag: &'static str) -> Self {
        self.overrides.push(Override {
            key: key.to_owned(),
            value: value.into(),
            flag,
        });
        self
    }
}

/// Shows no values: somebody may set a secret here, although it is no place for one.
impl fmt::Debug for CommandLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CommandLine")
            .field("config", &self.config)
            .field("print_config", &self.print_config)
            .finish_non_exhaustive()
    }
}
