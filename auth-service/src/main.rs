//! The auth service as a program of its own.

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use auth_service::{Config, Listeners, serve};
use chassis::settings::{self, CommandLine};
use clap::Parser;
use token_verifier::SystemClock;

const PROGRAM: &str = "auth-service";

/// Accounts, sessions, tokens and signing keys of Latchkey.
#[derive(Debug, Parser)]
#[command(name = PROGRAM, version)]
struct Arguments {
    #[command(flatten)]
    command_line: CommandLine,
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let config = match settings::from_process(PROGRAM, &arguments.command_line, Config::read) {
        Ok(config) => config,
        Err(exit_code) => return exit_code,
    };
    match run(config).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(
                error = &*error as &dyn std::error::Error,
                "stopped: {error:#}"
            );
            // Before telemetry there is no log to read.
            eprintln!("{PROGRAM}: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(config: Config) -> anyhow::Result<()> {
    chassis::telemetry::init(PROGRAM, &config.telemetry).context("cannot start logging")?;
    let shutdown = chassis::shutdown::on_signal();
    let listeners = Listeners::bind(&config).await?;
    tracing::info!(
        grpc.listen = %listeners.grpc.local_addr()?,
        http.listen = %listeners.http.local_addr()?,
        operations.listen = %listeners.operations.local_addr()?,
        "serving accounts, sessions and tokens"
    );
    serve(config, listeners, Arc::new(SystemClock), shutdown).await?;
    Ok(())
}
