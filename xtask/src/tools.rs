//! What the tests need from the system, found or installed.

use std::{
    cell::OnceCell,
    env,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, bail};

use crate::run::{output, run, succeeds};

/// What the pinned versions of playwright-core and jose run on: Debian 12's node.
const OLDEST_NODE: u32 = 18;

const CHROMIUM_NAMES: [&str; 3] = ["chromium", "chromium-browser", "google-chrome"];

/// The system's package manager, as far as we may use it.
#[derive(Default)]
pub(crate) struct System {
    updated: OnceCell<()>,
}

impl System {
    /// The browser's executable.
    pub(crate) fn chromium(&self) -> anyhow::Result<PathBuf> {
        let found = || CHROMIUM_NAMES.into_iter().find_map(find);
        self.need("Chromium", &["chromium"], found)
    }

    /// Checks for node and npm.
    pub(crate) fn node(&self) -> anyhow::Result<()> {
        let what = format!("node {OLDEST_NODE} or newer, and npm");
        self.need(&what, &["nodejs", "npm"], || {
            let version = output(Command::new("node").arg("--version"))?;
            let major: u32 = version
                .trim()
                .strip_prefix('v')?
                .split('.')
                .next()?
                .parse()
                .ok()?;
            (major >= OLDEST_NODE && find("npm").is_some()).then_some(())
        })
    }

    /// Checks for Python with virtual environments.
    pub(crate) fn python(&self) -> anyhow::Result<()> {
        self.need("python3 with venv", &["python3", "python3-venv"], || {
            succeeds(Command::new("python3").args(["-c", "import venv, ensurepip"])).then_some(())
        })
    }

    /// grpcurl, if it is here or the system has a package of it.
    pub(crate) fn grpcurl(&self) -> Option<PathBuf> {
        let found = find("grpcurl");
        if found.is_some() || !has_package("grpcurl") {
            return found;
        }
        self.install(&["grpcurl"]).ok()?;
        find("grpcurl")
    }

    fn need<T>(
        &self,
        what: &str,
        packages: &[&str],
        found: impl Fn() -> Option<T>,
    ) -> anyhow::Result<T> {
        if let Some(found) = found() {
            return Ok(found);
        }
        let by_hand = || {
            let packages = packages.join(" ");
            format!("the tests need {what}: install it (on Debian: apt-get install {packages})")
        };
        eprintln!(
            "xtask: {what} is missing; installing {}",
            packages.join(", ")
        );
        self.install(packages).with_context(by_hand)?;
        found().with_context(by_hand)
    }

    fn install(&self, packages: &[&str]) -> anyhow::Result<()> {
        if self.updated.get().is_none() {
            run(as_root("apt-get")?.arg("update"))?;
            let _ = self.updated.set(());
        }
        run(as_root("apt-get")?
            .args(["install", "-y", "--no-install-recommends"])
            .args(packages))
    }
}

/// A command that may change the system, or the reason why there is none.
fn as_root(program: &str) -> anyhow::Result<Command> {
    let Some(program) = find(program) else {
        bail!("there is no {program} here");
    };
    let is_root = output(Command::new("id").arg("-u")).is_some_and(|id| id.trim() == "0");
    let mut command = if is_root {
        Command::new("env")
    } else if succeeds(Command::new("sudo").args(["-n", "true"])) {
        let mut sudo = Command::new("sudo");
        sudo.args(["-n", "env"]);
        sudo
    } else {
        bail!("neither root nor sudo without a password");
    };
    command.arg("DEBIAN_FRONTEND=noninteractive").arg(program);
    Ok(command)
}

fn has_package(name: &str) -> bool {
    let candidate = |policy: String| {
        let line = policy
            .lines()
            .find_map(|line| line.trim().strip_prefix("Candidate:"));
        line.is_some_and(|version| version.trim() != "(none)")
    };
    output(Command::new("apt-cache").args(["policy", name])).is_some_and(candidate)
}

/// The first executable of that name on the path.
pub(crate) fn find(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path)
        .map(|dir| dir.join(name))
        .find(|file| is_executable(file))
}

fn is_executable(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    file.metadata()
        .is_ok_and(|data| data.is_file() && data.permissions().mode() & 0o111 != 0)
}
