//! Measurements, as ratios within one run: machines differ, and the same machine
//! differs from minute to minute. README.md beside this says how to read them.

mod client;
mod hop;
mod load;
mod roles;

use clap::{Parser, Subcommand};

use crate::{hop::Hop, roles::Role};

#[derive(Parser)]
#[command(about = "Measures Latchkey beside a bare axum → tonic hop, on loopback")]
struct CommandLine {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// What authentication costs on one hop from HTTP to gRPC.
    Hop(Hop),
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
        Command::Role { role } => role.run().await,
    }
}
