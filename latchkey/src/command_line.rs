//! What can be typed.

use std::{net::SocketAddr, path::PathBuf};

use clap::{Args, Parser, Subcommand};

use crate::data_dir::COMMAND_WORKLOAD;

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
    Token(Token),
    /// Show, rotate and revoke the keys that sign access tokens.
    #[command(subcommand, after_help = EXIT_CODES)]
    Keys(Keys),
    /// End sessions by hand.
    #[command(subcommand, after_help = EXIT_CODES)]
    Sessions(Sessions),
    /// Shut people out, and let them in again.
    #[command(subcommand, after_help = EXIT_CODES)]
    Accounts(Accounts),
    /// Make a workload's private key and print its public JWK.
    WorkloadKey(WorkloadKey),
}

const EXIT_CODES: &str = "\
Exit codes: 0 done; 1 refused, or a mistake on this side; 2 a mistake in the command line; \
3 there is no such session, account or key; 4 no answer, or none for now: run it again.";

/// How a subcommand reaches the auth service, and as whom.
#[derive(Debug, Args)]
#[command(next_help_heading = "Connection")]
pub(crate) struct Connection {
    /// The data directory of a running `latchkey`, which says the rest.
    #[arg(
        long,
        value_name = "DIR",
        default_value = ".latchkey",
        conflicts_with = "auth_address"
    )]
    pub(crate) data_dir: PathBuf,

    /// An auth service that runs elsewhere, for example `http://localhost:50051`.
    #[arg(long, value_name = "ADDRESS", requires = "workload_key")]
    pub(crate) auth_address: Option<String>,

    /// The workload that its settings let call.
    #[arg(long, value_name = "NAME", default_value = COMMAND_WORKLOAD, requires = "auth_address")]
    pub(crate) workload_name: String,

    /// That workload's private key, as `latchkey workload-key` makes one.
    #[arg(long, value_name = "FILE", requires = "auth_address")]
    pub(crate) workload_key: Option<PathBuf>,
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

    #[command(flatten)]
    pub(crate) connection: Connection,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Keys {
    /// All signing keys, oldest first.
    #[command(after_help = EXIT_CODES)]
    List(ListKeys),
    /// Publish a new key at once; it signs as soon as every verifier can know it.
    ///
    /// While one is on its way already, this shows that one.
    #[command(after_help = EXIT_CODES)]
    Rotate(RotateKeys),
    /// Drop a key that is known to others: no verifier believes it from here on.
    ///
    /// Nobody is signed out; every token that it signed is refused, and made anew
    /// by another key when it is next asked for.
    #[command(after_help = EXIT_CODES)]
    Revoke(RevokeKey),
}

#[derive(Debug, Args)]
pub(crate) struct ListKeys {
    /// Print a JSON array instead of a table.
    #[arg(long)]
    pub(crate) json: bool,

    #[command(flatten)]
    pub(crate) connection: Connection,
}

#[derive(Debug, Args)]
pub(crate) struct RotateKeys {
    #[command(flatten)]
    pub(crate) connection: Connection,
}

#[derive(Debug, Args)]
pub(crate) struct RevokeKey {
    /// The key's id, as `keys list` shows it.
    #[arg(value_name = "KID", allow_hyphen_values = true)]
    pub(crate) kid: String,

    #[command(flatten)]
    pub(crate) connection: Connection,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Sessions {
    /// End one session, or all of a subject, and refuse their tokens.
    #[command(after_help = EXIT_CODES)]
    Revoke(RevokeSessions),
}

#[derive(Debug, Args)]
pub(crate) struct RevokeSessions {
    #[command(flatten)]
    pub(crate) which: WhichSessions,

    #[command(flatten)]
    pub(crate) connection: Connection,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct WhichSessions {
    /// The session with this id: the `sid` of its tokens.
    #[arg(long, value_name = "SID")]
    pub(crate) id: Option<String>,

    /// Every session of this subject: `usr_…` or `gst_…`.
    #[arg(long, value_name = "SUBJECT")]
    pub(crate) subject: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Accounts {
    /// End every session of an account, and refuse it at sign-in.
    #[command(after_help = EXIT_CODES)]
    Disable(WhichAccount),
    /// Let a disabled account sign in again.
    #[command(after_help = EXIT_CODES)]
    Enable(WhichAccount),
}

#[derive(Debug, Args)]
pub(crate) struct WhichAccount {
    #[command(flatten)]
    pub(crate) account: AccountName,

    #[command(flatten)]
    pub(crate) connection: Connection,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct AccountName {
    /// The e-mail address that it signs in with.
    #[arg(long)]
    pub(crate) email: Option<String>,

    /// Its subject: `usr_…`.
    #[arg(long)]
    pub(crate) subject: Option<String>,
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

#[cfg(test)]
mod tests;
