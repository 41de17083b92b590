//! What the project needs done besides building: `cargo xtask test`.
//!
//! Needs Rust and a C compiler. Everything else that the tests use it installs
//! itself, from the system's package manager and the language's own registries,
//! and says so; where it cannot, it says what to install and fails.

mod programs;
mod run;
mod suites;
mod summary;
mod tools;

use std::{env, process::ExitCode};

use anyhow::bail;

use crate::{suites::Suite, summary::Summary};

const USAGE: &str = "\
usage: cargo xtask test [rust|e2e|browser|interop]...

  rust      cargo test for the whole workspace, documentation examples included
  e2e       the four programs as processes, over real sockets, under faults and bad input
  browser   the pages in a real Chromium, against real processes
  interop   PyJWT, grpcio, jose and grpcurl against real processes

Without a name: all of them.";

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    match test(&arguments) {
        Ok(summary) => {
            println!("{summary}");
            if summary.failed == 0 {
                ExitCode::SUCCESS
            } else {
                ExitCode::FAILURE
            }
        }
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn test(arguments: &[String]) -> anyhow::Result<Summary> {
    let (Some("test"), names) = (
        arguments.first().map(String::as_str),
        arguments.iter().skip(1),
    ) else {
        bail!("{USAGE}");
    };
    let mut suites = Vec::new();
    for name in names {
        match Suite::named(name) {
            Some(suite) => suites.push(suite),
            None => bail!("no suite is called `{name}`\n\n{USAGE}"),
        }
    }
    if suites.is_empty() {
        suites = Suite::ALL.to_vec();
    }
    suites::run_all(&suites)
}
