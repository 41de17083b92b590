//! The command people run. Alone it starts every part in one process, on SQLite
//! and loopback; its subcommands are for a person who debugs or deploys.

use std::process::ExitCode;

use clap::Parser;

use crate::{
    command_line::{Command, CommandLine},
    connection::Refused,
};

mod accounts;
mod addresses;
mod command_line;
mod connection;
mod data_dir;
mod everything;
mod keys;
mod sessions;
mod token;
mod workload_key;

fn main() -> ExitCode {
    let command_line = CommandLine::parse();
    match run(command_line) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("latchkey: {error:#}");
            error
                .downcast_ref::<Refused>()
                .map_or(ExitCode::FAILURE, Refused::exit_code)
        }
    }
}

#[tokio::main]
async fn run(command_line: CommandLine) -> anyhow::Result<()> {
    match command_line.command {
        None => everything::run(command_line.everything).await,
        Some(Command::Token(arguments)) => token::run(arguments).await,
        Some(Command::Keys(command)) => keys::run(command).await,
        Some(Command::Sessions(command)) => sessions::run(command).await,
        Some(Command::Accounts(command)) => accounts::run(command).await,
        Some(Command::WorkloadKey(arguments)) => workload_key::run(&arguments),
    }
}
