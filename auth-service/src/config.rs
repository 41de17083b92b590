//! The auth service's settings, read once and passed down by value.

use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::Duration;

use chassis::grpc::GrpcLimits;
use chassis::http::Limits as HttpLimits;
use chassis::settings::Section;
use chassis::telemetry::TelemetrySettings;
use secrecy::SecretString;

use crate::access_token;
use crate::http::DEFAULT_MAX_AGE;
use crate::jwks::PublicJwk;
use crate::limits::{LimitSettings, Quota};
use crate::password::{HashCost, HashingSettings};
use crate::session::SessionTtls;
use crate::workload::{self, Permission, WorkloadSettings, Workloads};

mod keys;

pub use keys::KeySettings;
use keys::{read_key_encryption_key, read_previous_keys};

/// A token lives whole seconds, and verifiers allow five for clocks.
const MIN_ACCESS_TOKEN_TTL: Duration = Duration::from_secs(10);
/// Verifiers fetch again before it is over; more often is a load, more rarely a
/// rotation that takes days.
const JWKS_MAX_AGE: std::ops::RangeInclusive<Duration> =
    Duration::from_secs(1)..=Duration::from_secs(24 * 60 * 60);
/// The longest a session may last. Browsers keep no cookie much longer, and an instant
/// further off may not exist.
const MAX_SESSION_TTL: Duration = Duration::from_secs(365 * 24 * 60 * 60);
/// Each permit is a thread with a hash's memory, 19 MiB at the default cost; no machine
/// has the cores for more.
const MAX_HASHING_PERMITS: usize = 1024;
/// Each place holds a request and its password, and the last one waits for all before it:
/// nobody is still there when a longer queue comes to an end.
const MAX_HASHING_QUEUE: usize = 65_536;
/// Far more assertions than a workload signs while one of them is good; each takes some
/// tens of bytes.
const MAX_REPLAY_CAPACITY: usize = 1 << 24;
/// What the settings under `deploy/` and `cargo run` use.
const DEFAULT_ISSUER: &str = "http://localhost:8081";
const DEFAULT_AUDIENCES: [&str; 2] = ["cart-service", "profile-service"];

/// Everything that can be set.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where `latchkey.auth.v1` is served.
    pub grpc_listen: SocketAddr,
    /// Where the JWKS is served.
    pub http_listen: SocketAddr,
    /// Where `/livez`, `/readyz` and `/metrics` are served.
    pub operations_listen: SocketAddr,
    /// The `iss` of every token, and what verifiers are told to expect.
    pub issuer: String,
    /// The SQLite file.
    pub database: PathBuf,
    /// What private keys are encrypted under.
    pub key_encryption_key: KeyEncryptionKeySource,
    /// Files of the keys that private keys may still be encrypted under from before. At
    /// start those are encrypted anew; afterwards the files are not needed.
    pub previous_key_encryption_key_files: Vec<PathBuf>,
    /// The life of a signing key.
    pub keys: KeySettings,
    /// How long an access token lives.
    pub access_token_ttl: Duration,
    /// How long a copy of the JWKS is good.
    pub jwks_max_age: Duration,
    /// The services that tokens are made for.
    pub audiences: Vec<String>,
    /// Whether gRPC reflection answers.
    pub reflection: bool,
    /// How long sessions last.
    pub sessions: SessionTtls,
    /// How passwords are hashed.
    pub passwords: HashingSettings,
    /// How many wrong passwords, registrations and guests there may be.
    pub limits: LimitSettings,
    /// The programs that may call, and what.
    pub workloads: Vec<WorkloadSettings>,
    /// Assertions remembered of each workload.
    pub replay_capacity: usize,
    /// What a caller may cost.
    pub grpc: GrpcLimits,
    /// What somebody who fetches the JWKS may cost.
    pub http: HttpLimits,
    /// Logs.
    pub telemetry: TelemetrySettings,
}

/// Where the key-encryption key comes from.
#[derive(Clone, Debug)]
pub enum KeyEncryptionKeySource {
    /// A file, which is made with a new key if it is absent.
    File(PathBuf),
    /// The key itself, in base64url. Prints as nothing.
    Value(SecretString),
}

impl Config {
    /// The defaults, for somebody who embeds the service. Nobody may call it yet.
    pub fn new(database: PathBuf, key_encryption_key: KeyEncryptionKeySource) -> Self {
        Self {
            grpc_listen: local(50051),
            http_listen: local(8081),
            operations_listen: local(9091),
            issuer: DEFAULT_ISSUER.to_owned(),
            database,
            key_encryption_key,
            previous_key_encryption_key_files: Vec::new(),
            keys: KeySettings::default(),
            access_token_ttl: access_token::DEFAULT_TTL,
            jwks_max_age: DEFAULT_MAX_AGE,
            audiences: DEFAULT_AUDIENCES.map(str::to_owned).to_vec(),
            reflection: true,
            sessions: SessionTtls::default(),
            passwords: HashingSettings::default(),
            limits: LimitSettings::default(),
            workloads: Vec::new(),
            replay_capacity: workload::DEFAULT_REPLAY_CAPACITY,
            grpc: GrpcLimits::default(),
            http: HttpLimits::default(),
            telemetry: TelemetrySettings::default(),
        }
    }

    /// Reads the settings. `None` when something is wrong, which `section` then knows.
    pub fn read(section: &mut Section<'_>) -> Option<Self> {
        // Everything is read before anything is given up, so that all mistakes show.
        let database = read_database(section);
        let key_encryption_key = read_key_encryption_key(section);
        let defaults = Self::new(PathBuf::new(), KeyEncryptionKeySource::File(PathBuf::new()));
        let access_token_ttl = read_access_token_ttl(section);
        let jwks_max_age = read_jwks_max_age(section);
        let rest = Self {
            grpc_listen: section.value("grpc_listen", defaults.grpc_listen),
            http_listen: section.value("http_listen", defaults.http_listen),
            operations_listen: section.value("operations_listen", defaults.operations_listen),
            issuer: read_issuer(section),
            previous_key_encryption_key_files: read_previous_keys(section),
            keys: section.section("keys", |section| {
                KeySettings::read(section, jwks_max_age, access_token_ttl)
            }),
            access_token_ttl,
            jwks_max_age,
            audiences: read_audiences(section),
            reflection: section.value("reflection", defaults.reflection),
            sessions: section.section("sessions", read_sessions),
            passwords: section.section("passwords", read_passwords),
            limits: section.section("limits", read_limits),
            workloads: read_workloads(section),
            replay_capacity: read_replay_capacity(section),
            grpc: section.section("grpc", |section| defaults.grpc.clone().read(section)),
            http: section.section("http", |section| defaults.http.clone().read(section)),
            telemetry: section.section("telemetry", TelemetrySettings::read),
            ..defaults
        };
        Some(Self {
            database: database?,
            key_encryption_key: key_encryption_key?,
            ..rest
        })
    }
}

fn local(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

fn read_database(section: &mut Section<'_>) -> Option<PathBuf> {
    if !section.has("database") {
        // Reports that it is required.
        return section.required("database");
    }
    section.path("database")
}

fn read_issuer(section: &mut Section<'_>) -> String {
    let issuer = section.value("issuer", DEFAULT_ISSUER.to_owned());
    if !is_issuer(&issuer) {
        section.problem(
            "issuer",
            "must be an http or https URL without query or fragment",
        );
    }
    issuer
}

/// RFC 8414 (2), and plain HTTP for loopback and meshes.
fn is_issuer(text: &str) -> bool {
    let Ok(uri) = text.parse::<http::Uri>() else {
        return false;
    };
    matches!(uri.scheme_str(), Some("http" | "https"))
        && uri
            .authority()
            .is_some_and(|authority| !authority.as_str().contains('@'))
        && !text.contains(['?', '#'])
}

fn read_access_token_ttl(section: &mut Section<'_>) -> Duration {
    let ttl = section.duration("access_token_ttl", access_token::DEFAULT_TTL);
    if !(MIN_ACCESS_TOKEN_TTL..=access_token::MAX_TTL).contains(&ttl) || ttl.subsec_nanos() != 0 {
        section.problem("access_token_ttl", "must be 10s to 300s, in whole seconds");
    }
    ttl
}

fn read_jwks_max_age(section: &mut Section<'_>) -> Duration {
    let max_age = section.duration("jwks_max_age", DEFAULT_MAX_AGE);
    if !JWKS_MAX_AGE.contains(&max_age) || max_age.subsec_nanos() != 0 {
        section.problem("jwks_max_age", "must be 1s to 1d, in whole seconds");
    }
    max_age
}

fn read_audiences(section: &mut Section<'_>) -> Vec<String> {
    let audiences = section.value("audiences", DEFAULT_AUDIENCES.map(str::to_owned).to_vec());
    if audiences.is_empty() {
        section.problem("audiences", "must name at least one service");
    }
    for (index, audience) in audiences.iter().enumerate() {
        if !workload::is_workload_name(audience) {
            section.problem("audiences", format!("{audience:?} is not a service's name"));
        }
        if audience == workload::AUDIENCE {
            // A token for this door must be an assertion and nothing else.
            section.problem(
                "audiences",
                format!("no token is made for {audience} itself"),
            );
        }
        if audiences[..index].contains(audience) {
            section.problem("audiences", format!("{audience} is named twice"));
        }
    }
    audiences
}

fn read_sessions(section: &mut Section<'_>) -> SessionTtls {
    let defaults = SessionTtls::default();
    let ttls = SessionTtls {
        user_idle: section.duration("user_idle", defaults.user_idle),
        user_absolute: section.duration("user_absolute", defaults.user_absolute),
        guest_idle: section.duration("guest_idle", defaults.guest_idle),
        guest_absolute: section.duration("guest_absolute", defaults.guest_absolute),
    };
    check_absolute(section, "user_absolute", ttls.user_absolute);
    check_absolute(section, "guest_absolute", ttls.guest_absolute);
    check_idle(section, "user_idle", ttls.user_idle, ttls.user_absolute);
    check_idle(section, "guest_idle", ttls.guest_idle, ttls.guest_absolute);
    ttls
}

fn check_absolute(section: &mut Section<'_>, key: &str, absolute: Duration) {
    if absolute > MAX_SESSION_TTL {
        section.problem(key, "must be at most 365d");
    }
}

fn check_idle(section: &mut Section<'_>, key: &str, idle: Duration, absolute: Duration) {
    if idle < Duration::from_secs(1) {
        section.problem(key, "must be at least 1s");
    }
    if idle > absolute {
        section.problem(key, "must not be longer than the absolute limit");
    }
}

fn read_passwords(section: &mut Section<'_>) -> HashingSettings {
    let defaults = HashingSettings::default();
    let cost = read_cost(section).unwrap_or(defaults.cost);
    let permits = section.value("permits", defaults.permits.get());
    let permits = NonZeroUsize::new(permits).unwrap_or_else(|| {
        section.problem("permits", "must be at least 1");
        defaults.permits
    });
    if permits.get() > MAX_HASHING_PERMITS {
        section.problem("permits", format!("must be at most {MAX_HASHING_PERMITS}"));
    }
    let queue = section.value("queue", defaults.queue);
    if queue > MAX_HASHING_QUEUE {
        section.problem("queue", format!("must be at most {MAX_HASHING_QUEUE}"));
    }
    HashingSettings {
        cost,
        permits,
        queue,
    }
}

/// A cost is given whole or not at all: its three numbers are chosen together.
fn read_cost(section: &mut Section<'_>) -> Option<HashCost> {
    let keys = ["memory_kib", "iterations", "parallelism"];
    if !keys.iter().any(|key| section.has(key)) {
        // Asked for all the same, so that a misspelt one is told the right name.
        let _ = keys.map(|key| section.optional::<u32>(key));
        return None;
    }
    let [memory_kib, iterations, parallelism] = keys.map(|key| section.required::<u32>(key));
    match HashCost::new(memory_kib?, iterations?, parallelism?) {
        Ok(cost) => Some(cost),
        Err(error) => {
            section.problem("memory_kib", error);
            None
        }
    }
}

fn read_limits(section: &mut Section<'_>) -> LimitSettings {
    let defaults = LimitSettings::default();
    LimitSettings {
        account_and_source: read_quota(section, "account_and_source", defaults.account_and_source),
        known_source: read_quota(section, "known_source", defaults.known_source),
        account: read_quota(section, "account", defaults.account),
        account_long: read_quota(section, "account_long", defaults.account_long),
        source: read_quota(section, "source", defaults.source),
        everything: read_quota(section, "everything", defaults.everything),
        registration: read_quota(section, "registration", defaults.registration),
        guest: read_quota(section, "guest", defaults.guest),
    }
}

fn read_quota(section: &mut Section<'_>, key: &str, default: Quota) -> Quota {
    section.section(key, |section| {
        if !section.has("burst") && !section.has("refill") {
            return default;
        }
        let burst = section.required("burst").unwrap_or(1);
        if burst == 0 {
            section.problem("burst", "must be at least 1");
        }
        if !section.has("refill") {
            section.required::<String>("refill");
            return default;
        }
        let refill = section.duration("refill", Duration::from_secs(1));
        if refill < Duration::from_millis(1) {
            section.problem("refill", "must be at least 1ms");
        }
        Quota::new(burst, refill)
    })
}

fn read_replay_capacity(section: &mut Section<'_>) -> usize {
    let capacity = section.value("replay_capacity", workload::DEFAULT_REPLAY_CAPACITY);
    if capacity == 0 {
        section.problem("replay_capacity", "must be at least 1");
    }
    if capacity > MAX_REPLAY_CAPACITY {
        section.problem(
            "replay_capacity",
            format!("must be at most {MAX_REPLAY_CAPACITY}"),
        );
    }
    capacity
}

fn read_workloads(section: &mut Section<'_>) -> Vec<WorkloadSettings> {
    let workloads = section.entries("workloads", read_workload);
    let workloads: Vec<_> = workloads.into_iter().flatten().collect();
    if let Err(error) = Workloads::new(&workloads, 1) {
        section.problem("workloads", error);
    }
    workloads
}

fn read_workload(name: &str, section: &mut Section<'_>) -> Option<WorkloadSettings> {
    let may: Option<Vec<Permission>> = section.required("may");
    let public_key = read_public_key(section);
    Some(WorkloadSettings {
        name: name.to_owned(),
        public_key: public_key?,
        may: may?,
    })
}

fn read_public_key(section: &mut Section<'_>) -> Option<PublicJwk> {
    const VALUE: &str = "public_key";
    const FILE: &str = "public_key_file";
    let (key, json) = match (section.has(VALUE), section.has(FILE)) {
        (true, false) => (VALUE, section.optional::<String>(VALUE)?),
        (false, true) => {
            let path = section.path(FILE)?;
            let read = read_small_file(&path);
            let json = read.inspect_err(|error| {
                section.problem(FILE, format!("{}: {error}", path.display()));
            });
            (FILE, json.ok()?)
        }
        (both, _) => {
            let (_, _): (Option<String>, _) = (section.optional(VALUE), section.path(FILE));
            let rather = if both {
                "not both"
            } else {
                "one of them is required"
            };
            section.problem(VALUE, format!("set this or {FILE}: {rather}"));
            return None;
        }
    };
    PublicJwk::from_json(&json)
        .inspect_err(|error| section.problem(key, error))
        .ok()
}

/// A JWK has some 200 bytes; a device or a log has no end.
fn read_small_file(path: &Path) -> std::io::Result<String> {
    use std::io::Read;
    let mut text = String::new();
    std::fs::File::open(path)?
        .take(4096)
        .read_to_string(&mut text)?;
    Ok(text)
}

#[cfg(test)]
mod tests;
