//! The measured processes from outside: started, and asked what they have used.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr},
};

use anyhow::Context;
use tokio::{
    net::TcpListener,
    process::{Child, Command},
};

use crate::roles::Role;

/// The unit of `/proc/<pid>/stat`: Linux shows programs a hundred of them a second,
/// whatever the kernel counts by.
const TICKS_PER_SECOND: f64 = 100.0;

/// Starts this program in another role. Dropping the child ends it.
pub(crate) fn start(role: &Role) -> anyhow::Result<Child> {
    let process = Command::new(std::env::current_exe()?)
        .args(["role", &serde_json::to_string(role)?])
        .kill_on_drop(true)
        .spawn()?;
    Ok(process)
}

/// Addresses that were free a moment ago.
pub(crate) async fn free_addresses<const N: usize>() -> anyhow::Result<[SocketAddr; N]> {
    let mut listeners = Vec::with_capacity(N);
    for _ in 0..N {
        listeners.push(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?);
    }
    let addresses: Vec<SocketAddr> = listeners
        .iter()
        .map(TcpListener::local_addr)
        .collect::<Result<_, _>>()?;
    addresses
        .try_into()
        .ok()
        .context("as many addresses as listeners")
}

/// What else goes on, for the reader of a table.
pub(crate) fn machine() -> anyhow::Result<String> {
    Ok(format!(
        "processors: {}, load average: {}",
        std::thread::available_parallelism()?,
        fs::read_to_string("/proc/loadavg")
            .unwrap_or_default()
            .trim(),
    ))
}

/// Seconds of processor time that a process has used, its own and the kernel's for it.
pub(crate) fn cpu_seconds(process: &Child) -> anyhow::Result<f64> {
    let pid = process.id().context("the process has ended")?;
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    ticks(&stat)
        .map(|ticks| ticks as f64 / TICKS_PER_SECOND)
        .with_context(|| format!("not what proc(5) describes: {stat}"))
}

/// Fields 14 and 15; the second is the program's name, which may hold spaces.
fn ticks(stat: &str) -> Option<u64> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut times = fields.split_ascii_whitespace().skip(11);
    let user: u64 = times.next()?.parse().ok()?;
    let system: u64 = times.next()?.parse().ok()?;
    Some(user + system)
}

/// Bytes of this process in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Memory {
    /// Now.
    pub(crate) resident: u64,
    /// At most so far.
    pub(crate) peak: u64,
}

impl Memory {
    /// As the kernel counts it.
    pub(crate) fn now() -> anyhow::Result<Self> {
        Self::read(&fs::read_to_string("/proc/self/status")?)
            .context("not what proc(5) describes: /proc/self/status")
    }

    fn read(status: &str) -> Option<Self> {
        let bytes = |name| {
            let line = status.lines().find_map(|line| line.strip_prefix(name))?;
            let kib: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
            Some(kib * 1024)
        };
        Some(Self {
            resident: bytes("VmRSS:")?,
            peak: bytes("VmHWM:")?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn adds_user_and_system_time() {
        let stat = "7 (a) b) S 1 2 3 4 5 6 7 8 9 10 30 12 0 0 20 0";
        assert_eq!(ticks(stat), Some(42));
        assert_eq!(ticks("7 (a"), None);
    }

    #[test]
    fn reads_memory_in_bytes() {
        let memory = Memory::read("VmHWM:\t    20 kB\nVmRSS:\t    16 kB\n").unwrap();
        assert_eq!((memory.resident, memory.peak), (16 * 1024, 20 * 1024));
        assert_eq!(Memory::read("VmRSS:\t1 kB\n"), None);
    }
}
