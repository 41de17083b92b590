//! How soon a revocation is in force everywhere, and what it costs to know of it.

mod check;
mod log;
mod memory;
mod refusal;
mod watchers;

use anyhow::ensure;
use clap::{Args, ValueEnum};
use tokio::process::Command;

/// What to measure.
#[derive(Args)]
pub(crate) struct Revocation {
    /// One part. All of them, each as a process of its own, unless given.
    #[arg(value_enum)]
    part: Option<Part>,
    #[command(flatten)]
    size: Size,
}

/// How much of it.
#[derive(Args, Clone, Copy)]
struct Size {
    /// Logouts for each place and condition.
    #[arg(long, default_value_t = 300, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    logouts: u32,
    /// Connections of the load, each with one request under way.
    #[arg(long, default_value_t = 32, value_parser = clap::value_parser!(u16).range(2..=1024))]
    connections: u16,
    /// Live revocations that look-ups and memory are measured with.
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u32).range(1000..=10_000_000))]
    entries: u32,
    /// Revocations that watchers are told of.
    #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    revocations: u32,
}

#[derive(Clone, Copy, ValueEnum)]
enum Part {
    /// From a logout to its refusal at another gateway and at the services.
    Refusal,
    /// What a look-up costs.
    Check,
    /// What a follower holds in memory, and how long a snapshot takes.
    Memory,
    /// What many watchers cost the auth service, and each other.
    Watchers,
}

impl Revocation {
    /// Starts what is needed, measures, prints, and stops everything.
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        match self.part {
            None => self.run_all().await,
            Some(Part::Refusal) => refusal::run(self.size.logouts, self.size.connections).await,
            Some(Part::Check) => check::run(self.size.entries).await,
            Some(Part::Memory) => memory::run(self.size.entries).await,
            Some(Part::Watchers) => watchers::run(self.size.revocations).await,
        }
    }

    /// No part finds what another left in memory.
    async fn run_all(&self) -> anyhow::Result<()> {
        for part in Part::value_variants() {
            let name = part.to_possible_value().expect("no part is hidden");
            let mut command = Command::new(std::env::current_exe()?);
            command.args(["revocation", name.get_name()]);
            command.args(self.size.arguments());
            let status = command.kill_on_drop(true).status().await?;
            ensure!(status.success(), "{} ended with {status}", name.get_name());
            println!();
        }
        Ok(())
    }
}

impl Size {
    fn arguments(self) -> [String; 4] {
        [
            format!("--logouts={}", self.logouts),
            format!("--connections={}", self.connections),
            format!("--entries={}", self.entries),
            format!("--revocations={}", self.revocations),
        ]
    }
}
