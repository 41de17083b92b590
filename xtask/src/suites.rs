//! The suites, and what each of them needs.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{
    programs::{build, cargo, root, target},
    run::{count, run},
    summary::Summary,
    tools::System,
};

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Suite {
    Rust,
    EndToEnd,
    Interop,
    Browser,
}

impl Suite {
    /// In the order in which a person wants to hear of failures.
    pub(crate) const ALL: [Self; 4] = [Self::Rust, Self::EndToEnd, Self::Interop, Self::Browser];

    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|suite| suite.name() == name)
    }

    fn name(self) -> &'static str {
        match self {
            Self::Rust => "rust",
            Self::EndToEnd => "e2e",
            Self::Interop => "interop",
            Self::Browser => "browser",
        }
    }
}

/// Runs them all, even after one has failed: one run tells everything.
pub(crate) fn run_all(suites: &[Suite]) -> anyhow::Result<Summary> {
    let tools = Tools::find(suites)?;
    let mut total = Summary::default();
    let mut lines = Vec::new();
    for &suite in suites {
        eprintln!("\nxtask: {}", suite.name());
        let summary = run_one(suite, &tools).unwrap_or_else(|error| {
            eprintln!("xtask: {}: {error:#}", suite.name());
            Summary::BROKEN
        });
        lines.push(format!("{:8} {summary}", suite.name()));
        total += summary;
    }
    println!("\n{}", lines.join("\n"));
    Ok(total)
}

/// What was found or installed before the first suite ran.
struct Tools {
    chromium: Option<PathBuf>,
    grpcurl: Option<PathBuf>,
}

impl Tools {
    fn find(suites: &[Suite]) -> anyhow::Result<Self> {
        let system = System::default();
        let browser = suites.contains(&Suite::Browser);
        let interop = suites.contains(&Suite::Interop);
        if browser || interop || suites.contains(&Suite::EndToEnd) {
            system.node()?;
        }
        if interop {
            system.python()?;
        }
        Ok(Self {
            chromium: if browser {
                Some(system.chromium()?)
            } else {
                None
            },
            grpcurl: if interop { system.grpcurl() } else { None },
        })
    }
}

fn run_one(suite: Suite, tools: &Tools) -> anyhow::Result<Summary> {
    match suite {
        Suite::Rust => count(cargo().args(["test", "--workspace", "--locked", "--no-fail-fast"])),
        Suite::EndToEnd => count(&mut node_tests(&root().join("tests/e2e"), &build()?)?),
        Suite::Interop => interop(tools),
        Suite::Browser => browser(tools),
    }
}

fn browser(tools: &Tools) -> anyhow::Result<Summary> {
    let programs = build()?;
    let folder = root().join("tests/browser");
    npm_packages(&folder)?;
    let mut node = node_tests(&folder, &programs)?;
    node.env("XTASK_SCREENSHOTS", target()?.join("screenshots"));
    if let Some(chromium) = &tools.chromium {
        node.env("CHROMIUM", chromium);
    }
    count(&mut node)
}

fn interop(tools: &Tools) -> anyhow::Result<Summary> {
    let programs = build()?;
    let folder = root().join("tests/interop");
    npm_packages(&folder)?;
    let mut node = node_tests(&folder, &programs)?;
    match &tools.grpcurl {
        Some(grpcurl) => node.env("GRPCURL", grpcurl),
        None => node.env("GRPCURL", grpcurl_from_index(&folder)?),
    };
    let mut total = count(&mut node)?;

    let python = python_environment("python", &folder.join("python/requirements.txt"))?;
    total += count(
        Command::new(python.join("bin/python"))
            .arg(folder.join("python/run.py"))
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .env("PYTHONUNBUFFERED", "1")
            .env("XTASK_PROGRAMS", programs),
    )?;
    Ok(total)
}

/// Every `*.test.mjs` of the folder, one after the other: they share two cores.
fn node_tests(folder: &Path, programs: &Path) -> anyhow::Result<Command> {
    let mut files: Vec<_> = fs::read_dir(folder)?
        .map(|entry| entry.map(|entry| entry.file_name()))
        .collect::<Result<_, _>>()?;
    files.retain(|name| name.to_string_lossy().ends_with(".test.mjs"));
    files.sort();
    let mut node = Command::new("node");
    node.args(["--test", "--test-reporter=spec", "--test-concurrency=1"])
        .args(files)
        .current_dir(folder)
        .env("XTASK_PROGRAMS", programs);
    Ok(node)
}

/// Installs what the lock file says, unless that was done since it last changed.
fn npm_packages(folder: &Path) -> anyhow::Result<()> {
    let changed = |file: &str| {
        folder
            .join(file)
            .metadata()
            .and_then(|data| data.modified())
    };
    if let (Ok(installed), Ok(lock)) = (
        changed("node_modules/.package-lock.json"),
        changed("package-lock.json"),
    ) && installed >= lock
    {
        return Ok(());
    }
    run(Command::new("npm")
        .args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"])
        .current_dir(folder))
}

/// A virtual environment under the target directory with exactly these packages.
fn python_environment(name: &str, requirements: &Path) -> anyhow::Result<PathBuf> {
    let place = target()?.join("xtask").join(name);
    if !place.join("bin/pip").exists() {
        run(Command::new("python3").args(["-m", "venv"]).arg(&place))?;
    }
    run(Command::new(place.join("bin/pip"))
        .args([
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "--require-hashes",
        ])
        .arg("--requirement")
        .arg(requirements))?;
    Ok(place)
}

/// The system has none; its absence is told by the skipped tests and fails nothing.
fn grpcurl_from_index(folder: &Path) -> anyhow::Result<PathBuf> {
    let requirements = folder.join("python/requirements-grpcurl.txt");
    match python_environment("grpcurl", &requirements) {
        Ok(place) => Ok(place.join("bin/grpcurl")),
        Err(error) => {
            eprintln!("xtask: grpcurl cannot be had here, its tests are skipped: {error:#}");
            Ok(PathBuf::from("grpcurl"))
        }
    }
}
