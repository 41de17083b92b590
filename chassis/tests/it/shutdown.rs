use std::os::unix::process::ExitStatusExt;
use std::process::Stdio;

use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, ChildStderr, Command};

/// Set in the process that waits for signals: this test binary, run again.
const CHILD: &str = "CHASSIS_TEST_WAITS_FOR_SIGNALS";

#[tokio::test]
async fn one_signal_drains_and_a_second_ends_the_process() {
    if std::env::var_os(CHILD).is_some() {
        return wait_for_signals().await;
    }
    for signal in ["TERM", "INT"] {
        let (mut child, mut lines) = start();
        until(&mut lines, "waiting").await;
        kill(&child, signal).await;
        until(&mut lines, "draining").await;
        assert_eq!(child.try_wait().unwrap(), None, "still draining");
        kill(&child, signal).await;
        let status = child.wait().await.unwrap();
        assert_eq!((status.code(), status.signal()), (Some(130), None));
    }
}

async fn wait_for_signals() {
    let shutdown = chassis::shutdown::on_signal();
    eprintln!("waiting");
    shutdown.cancelled().await;
    eprintln!("draining");
    std::future::pending().await
}

type Lines = tokio::io::Lines<BufReader<ChildStderr>>;

fn start() -> (Child, Lines) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["one_signal_drains", "--nocapture"])
        .env(CHILD, "1")
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stderr.take().unwrap()).lines();
    (child, lines)
}

async fn until(lines: &mut Lines, expected: &str) {
    while lines.next_line().await.unwrap().unwrap() != expected {}
}

async fn kill(child: &Child, signal: &str) {
    let id = child.id().unwrap().to_string();
    let status = Command::new("kill")
        .args(["-s", signal, &id])
        .status()
        .await
        .unwrap();
    assert!(status.success());
}
