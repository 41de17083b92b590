//! Measurements, as ratios within one run: machines differ, and the same machine
//! differs from minute to minute. README.md beside this says how to read them.

mod auth;
mod client;
mod distribution;
mod hop;
mod load;
mod processes;
mod revocation;
mod roles;

use clap::{Parser, Subcommand};

use crate::{hop::Hop, revocation::Revocation, roles::Role};

#[derive(Parser)]
#[command(about = "Measures what Latchkey costs and how soon it acts, on loopback")]
struct CommandLine {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// What authentication costs on one hop from HTTP to gRPC.
    Hop(Hop),
    /// How soon a revocation is in force everywhere, and what it costs to know of it.
    Revocation(Revocation),
    /// One of the processes that are measured; started by the others.
    #[command(hide = true)]
    Role {
        /// Which, as JSON.
        #[arg(value_parser = roles::parse)]
        role: Role,
    },
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    match CommandLine::parse().command {
        Command::Hop(hop) => hop.run().await,
        Command::Revocation(revocation) => revocation.run().await,
        Command::Role { role } => role.run().await,
    }
}
