//! Running commands so that a person can follow.

use std::{
    io::{BufRead, BufReader},
    process::{Command, Stdio},
};

use anyhow::{Context, bail};

use crate::summary::Summary;

/// Runs `command` to its end; anything but success is an error.
pub(crate) fn run(command: &mut Command) -> anyhow::Result<()> {
    let shown = show(command);
    let status = command
        .status()
        .with_context(|| format!("cannot run {shown}"))?;
    if !status.success() {
        bail!("{shown}: {status}");
    }
    Ok(())
}

/// Runs a test runner, passes its output on and counts what it reports.
///
/// A runner that fails without a failed test is broken, and so is one that ran none.
pub(crate) fn count(command: &mut Command) -> anyhow::Result<Summary> {
    let shown = show(command);
    let mut child = command
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot run {shown}"))?;
    let output = child
        .stdout
        .take()
        .expect("stdout is piped two lines above");
    let mut summary = Summary::default();
    for line in BufReader::new(output).split(b'\n') {
        let line = line.with_context(|| format!("cannot read from {shown}"))?;
        let line = String::from_utf8_lossy(&line);
        println!("{line}");
        summary += Summary::from_line(&line);
    }
    let status = child
        .wait()
        .with_context(|| format!("cannot wait for {shown}"))?;
    let ran_nothing = summary.passed + summary.failed + summary.skipped == 0;
    if (!status.success() && summary.failed == 0) || ran_nothing {
        eprintln!("xtask: {shown}: {status}, and no failed test to show for it");
        summary += Summary::BROKEN;
    }
    Ok(summary)
}

/// Whether `command` can be run and succeeds; its output is nobody's business.
pub(crate) fn succeeds(command: &mut Command) -> bool {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// What `command` prints, when it succeeds.
pub(crate) fn output(command: &mut Command) -> Option<String> {
    let output = command
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .ok()?;
    output
        .status
        .success()
        .then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

fn show(command: &Command) -> String {
    let words: Vec<_> = [command.get_program()]
        .into_iter()
        .chain(command.get_args())
        .map(|word| word.to_string_lossy())
        .collect();
    let shown = words.join(" ");
    eprintln!("$ {shown}");
    shown
}
