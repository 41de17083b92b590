//! What can be typed.

use std::{net::SocketAddr, path::PathBuf};

use clap::{Args, Parser, Subcommand};

/// Latchkey: sessions outside, short-lived tokens inside.
///
/// Without a subcommand: starts gateway, auth service, cart service and profile
/// service in one process, on SQLite and loopback, for trying out and for
/// development. For more than that, each is a program of its own: see deploy/.
#[derive(Debug, Parser)]
#[command(name = "latchkey", version, args_conflicts_with_subcommands = true)]
pub(crate) struct CommandLine {
    #[command(flatten)]
    pub(crate) everything: Everything,

    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Sign in and print an access token, for grpcurl.
    ///
    /// Works beside a running `latchkey` and against its data directory only:
    /// anywhere else the auth service knows no workload of this name.
    Token(Token),
    /// Make a workload's private key and print its public JWK.
    WorkloadKey(WorkloadKey),
}

#[derive(Debug, Args)]
pub(crate) struct Everything {
    /// Where databases, keys and addresses are kept; made if it is not there.
    #[arg(long, value_name = "DIR", default_value = ".latchkey")]
    pub(crate) data_dir: PathBuf,

    /// Where browsers connect: a loopback address.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
    pub(crate) listen: SocketAddr,

    /// Let the system choose every port, the gateway's included.
    #[arg(long, conflicts_with = "listen")]
    pub(crate) ephemeral: bool,

    /// Also write the addresses to this file, as JSON, once all are bound.
    #[arg(long, value_name = "FILE")]
    pub(crate) ports_file: Option<PathBuf>,

    /// What to log: a level, or `target=level` pairs with commas.
    #[arg(long, value_name = "FILTER", default_value = "warn")]
    pub(crate) log: String,

    /// Log JSON, one object a line, instead of text for people.
    #[arg(long)]
    pub(crate) log_json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Token {
    /// The service that the token is for, for example `cart-service`.
    #[arg(long)]
    pub(crate) audience: String,

    /// Be a new guest.
    #[arg(long, conflicts_with_all = ["email", "password_stdin"], required_unless_present = "email")]
    pub(crate) guest: bool,

    /// Be the person with this e-mail address; the password is asked for.
    #[arg(long)]
    pub(crate) email: Option<String>,

    /// Read the password from standard input instead of asking.
    #[arg(long, requires = "email")]
    pub(crate) password_stdin: bool,

    /// The data directory of the running `latchkey`.
    #[arg(long, value_name = "DIR", default_value = ".latchkey")]
    pub(crate) data_dir: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct WorkloadKey {
    /// The file to make, with mode 0600; an existing key is kept and shown.
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,

    /// Also write the public JWK to this file.
    #[arg(long, value_name = "FILE")]
    pub(crate) public: Option<PathBuf>,
}
