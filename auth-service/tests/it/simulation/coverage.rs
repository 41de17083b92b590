//! What really happened, so that a simulation that breaks nothing does not pass.

use std::collections::BTreeMap;

/// How often, by name.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Coverage(BTreeMap<&'static str, u64>);

impl Coverage {
    pub(super) fn count(&mut self, what: &'static str) {
        *self.0.entry(what).or_default() += 1;
    }

    pub(super) fn add(&mut self, other: &Self) {
        for (what, times) in &other.0 {
            *self.0.entry(what).or_default() += times;
        }
    }

    /// What happened less often than `least`, of all that must happen.
    pub(super) fn lacks(&self, least: u64) -> Vec<(&'static str, u64)> {
        let times = |what| self.0.get(what).copied().unwrap_or_default();
        let all = REQUIRED.iter().map(|what| (*what, times(*what)));
        all.filter(|(_, times)| *times < least).collect()
    }
}

/// Every fault, and every path that only a fault opens.
const REQUIRED: &[&str] = &[
    "partition",
    "connection cut",
    "auth service restart",
    "database away",
    "follower restart",
    "follower stopped",
    "follower clock +1 h",
    "follower clock -1 h",
    "issuer clock +1 h",
    "issuer clock -1 h",
    "log moved",
    "burst of revocations",
    "slow watcher dropped",
    "message duplicated",
    "message reordered",
    "message repeated late",
    "session revoked",
    "subject revoked",
    "account disabled",
    "key revoked",
    "key rotated",
    "resumed",
    "snapshot",
    "resync gap",
    "resync late",
    "resync silent",
    "resync opening",
    "exchange failed",
    "exchange overtaken by a revocation",
    "served",
    "refused as revoked",
    "refused as unavailable",
    "refused as expired",
    "served while stale",
];
