//! The gateway as a program of its own.

use std::{process::ExitCode, sync::Arc};

use chassis::{SystemClock, settings, settings::CommandLine, shutdown, telemetry};
use clap::Parser;
use gateway::{Config, Listeners};

/// The only part of Latchkey that a browser can reach.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(flatten)]
    settings: CommandLine,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let config = match settings::from_process("gateway", &arguments.settings, Config::read) {
        Ok(config) => config,
        Err(code) => return code,
    };
    match start(config) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // With every cause, on one line.
            tracing::error!("gateway stops: {error:#}");
            ExitCode::FAILURE
        }
    }
}

#[tokio::main]
async fn start(config: Config) -> anyhow::Result<()> {
    telemetry::init("gateway", &config.telemetry)?;
    let shutdown = shutdown::on_signal();
    let listeners = Listeners::bind(&config).await?;
    tracing::info!(
        listen = %listeners.public.local_addr()?,
        operations = %listeners.operations.local_addr()?,
        "gateway listens"
    );
    gateway::serve(config, listeners, Arc::new(SystemClock), shutdown).await?;
    Ok(())
}
