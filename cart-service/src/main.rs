//! The cart service as a program of its own: settings, telemetry, doors, serve, drain.

use std::{process::ExitCode, sync::Arc};

use anyhow::Context;
use cart_service::{Config, Listeners, PROGRAM, serve};
use chassis::{SystemClock, settings, shutdown, telemetry};
use clap::Parser;

/// A cart per subject, over gRPC.
#[derive(Parser)]
#[command(name = PROGRAM, version)]
struct Arguments {
    #[command(flatten)]
    settings: settings::CommandLine,
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let config = match settings::from_process(PROGRAM, &arguments.settings, Config::read) {
        Ok(config) => config,
        Err(code) => return code,
    };
    match run(config).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("stopped: {error:#}");
            // Before telemetry there is no log to read.
            eprintln!("{PROGRAM}: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(config: Config) -> anyhow::Result<()> {
    telemetry::init(PROGRAM, &config.telemetry).context("cannot start logging")?;
    let listeners = Listeners::bind(&config).await?;
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        listen = %listeners.grpc.local_addr()?,
        operations.listen = %listeners.operations.local_addr()?,
        "serving"
    );
    serve(
        config,
        listeners,
        Arc::new(SystemClock),
        shutdown::on_signal(),
    )
    .await?;
    tracing::info!("stopped in order");
    Ok(())
}
