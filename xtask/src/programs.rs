//! Where things are, and building the programs that suites start.

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::Context;

use crate::run::run;

const PACKAGES: [&str; 5] = [
    "latchkey",
    "gateway",
    "auth-service",
    "cart-service",
    "profile-service",
];

/// The workspace's root.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("xtask/ lies in the workspace's root")
}

/// Where cargo builds: wherever it built this.
pub(crate) fn target() -> anyhow::Result<PathBuf> {
    let this = env::current_exe().context("cannot tell where this program is")?;
    let target = this
        .ancestors()
        .nth(2)
        .context("this program is in no target directory")?;
    Ok(target.to_path_buf())
}

pub(crate) fn cargo() -> Command {
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(root());
    cargo
}

/// Builds what suites start; the folder with the programs.
pub(crate) fn build() -> anyhow::Result<PathBuf> {
    let mut build = cargo();
    build.args(["build", "--locked"]);
    for package in PACKAGES {
        build.args(["--package", package]);
    }
    run(&mut build)?;
    Ok(target()?.join("debug"))
}
