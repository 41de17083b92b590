//! Settings: a TOML file, under the environment, under the command line. Every value
//! remembers where it came from, and every mistake is collected, so that a person
//! fixes a file once and not once a start.
//!
//! - The file is named by `--config` or `LATCHKEY_CONFIG`; none is searched for.
//! - `LATCHKEY_TOKENS__ISSUER` is `tokens.issuer`: upper case, `__` between levels.
//!   *Every* variable that starts with `LATCHKEY_` is a setting, so a misspelt one is
//!   a mistake like a misspelt key. The exception are the variables that Kubernetes
//!   injects for a service called `latchkey…` (`LATCHKEY_GATEWAY_SERVICE_HOST`,
//!   `LATCHKEY_GATEWAY_PORT`, …), which nobody here asked for.
//! - `--set tokens.issuer=http://localhost:8081` overrides both. Names that a variable
//!   cannot spell (`upstreams.cart-service.address`) can be set here.
//!
//! Values from the environment and the command line are TOML when they parse as TOML,
//! else strings: `5`, `true`, `["a", "b"]` and `127.0.0.1:8080` mean what they look like.
//!
//! ```
//! use chassis::settings::{self, Sources};
//!
//! let sources = Sources::from_toml("cart.toml", "listen = '127.0.0.1:50052'\nlimt = 3");
//! let mistakes = settings::read(sources, |section| {
//!     section.required::<std::net::SocketAddr>("listen")
//! });
//! assert_eq!(
//!     mistakes.unwrap_err().to_string(),
//!     "limt: unknown setting (cart.toml:2)",
//! );
//! ```

use std::process::ExitCode;

mod command_line;
mod environment;
mod problems;
mod section;
mod sources;
mod tree;
mod units;

pub use command_line::CommandLine;
pub use problems::Problems;
pub use section::{Effective, Section};
pub use sources::Sources;

/// What a program exits with when its settings are wrong: `EX_USAGE` of `sysexits.h`.
pub const EXIT_BAD_SETTINGS: u8 = 64;

/// Gathers a program's settings from its file, `environment` and command line.
///
/// # Errors
///
/// When the file cannot be read or is no TOML. Mistakes elsewhere are kept for
/// [`read`], so that they are reported together with those of the content.
pub fn load(
    program: &str,
    command_line: &CommandLine,
    environment: impl Iterator<Item = (String, String)>,
) -> Result<Sources, Problems> {
    sources::load(program, command_line, environment)
}

/// Turns settings into a program's configuration.
///
/// # Errors
///
/// All mistakes: those found in loading, those that `read` reports, and every key
/// that `read` did not ask for.
pub fn read<C>(
    sources: Sources,
    read: impl FnOnce(&mut Section<'_>) -> Option<C>,
) -> Result<C, Problems> {
    read_effective(sources, read).map(|(config, _)| config)
}

/// [`read`], with the effective settings beside the configuration.
///
/// # Errors
///
/// As [`read`].
pub fn read_effective<C>(
    sources: Sources,
    read: impl FnOnce(&mut Section<'_>) -> Option<C>,
) -> Result<(C, Effective), Problems> {
    section::read_all(sources, read)
}

/// All of the above for a program's `main`: on mistakes all of them are printed and
/// the exit code is [`EXIT_BAD_SETTINGS`]; with `--print-config` the effective
/// settings are printed, secrets redacted, and the exit code is success.
///
/// # Errors
///
/// The code to leave `main` with, when there is nothing to run.
pub fn from_process<C>(
    program: &str,
    command_line: &CommandLine,
    read: impl FnOnce(&mut Section<'_>) -> Option<C>,
) -> Result<C, ExitCode> {
    let environment = environment::utf8(std::env::vars_os());
    let config =
        load(program, command_line, environment).and_then(|sources| read_effective(sources, read));
    match config {
        Err(problems) => {
            report(program, &problems);
            Err(ExitCode::from(EXIT_BAD_SETTINGS))
        }
        Ok((_, effective)) if command_line.print_config => {
            print(&effective);
            Err(ExitCode::SUCCESS)
        }
        Ok((config, _)) => Ok(config),
    }
}

fn report(program: &str, problems: &Problems) {
    use std::io::Write;
    // Nothing is left to do when the terminal is gone.
    let _ = writeln!(
        std::io::stderr(),
        "{program}: the settings are wrong:\n{problems}"
    );
}

fn print(effective: &Effective) {
    use std::io::Write;
    let _ = write!(std::io::stdout(), "{effective}");
}

#[cfg(test)]
mod tests;
