//! What the gateway is told at its start.

use std::{fmt::Display, net::SocketAddr, path::PathBuf, str::FromStr, time::Duration};

use chassis::{revocations::StaleSettings, settings::Section, telemetry::TelemetrySettings};
use http::Uri;

pub use crate::{
    client_address::Network, descriptors::Source, exchange::ExchangeSettings,
    public_origin::PublicOrigin, upstream::Access,
};

const DEFAULT_LISTEN: SocketAddr = SocketAddr::new(LOOPBACK, 8080);
const DEFAULT_WORKLOAD_NAME: &str = "gateway";
const DEFAULT_OPERATIONS_LISTEN: SocketAddr = SocketAddr::new(LOOPBACK, 9090);
const LOOPBACK: std::net::IpAddr = std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

/// Longer than the auth service lets a password wait for its turn to be hashed.
const DEFAULT_AUTH_TIMEOUT: Duration = Duration::from_secs(10);
/// Nobody waits longer for a page.
const DEFAULT_UPSTREAM_TIMEOUT: Duration = Duration::from_secs(10);
/// Its token is renewed while it goes on, so the token is no reason to end it.
const DEFAULT_STREAM_TIMEOUT: Duration = Duration::from_secs(60 * 60);
/// gRPC's own default for a received message.
const DEFAULT_MAX_RESPONSE: usize = 4 * 1024 * 1024;

/// The gateway's settings.
#[derive(Clone, Debug)]
pub struct Config {
    /// The public listener.
    pub listen: SocketAddr,
    /// `/livez`, `/readyz` and `/metrics`; never public.
    pub operations_listen: SocketAddr,
    /// Under which addresses browsers know the gateway. Empty on loopback: then
    /// `http://localhost:PORT` and its two addresses.
    pub public_origins: Vec<PublicOrigin>,
    /// Whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<Network>,
    /// The auth service.
    pub auth: AuthSettings,
    /// This program's name among the auth service's workloads, without `svc_`.
    pub workload_name: String,
    /// Its private key; made on first start if there is none.
    pub workload_key_file: PathBuf,
    /// The services behind the gateway.
    pub upstreams: Vec<UpstreamSettings>,
    /// The cache of access tokens.
    pub exchange: ExchangeSettings,
    /// What happens to them when the revocation feed falls silent.
    pub revocations: StaleSettings,
    /// What a client may take.
    pub limits: Limits,
    /// Logs.
    pub telemetry: TelemetrySettings,
}

/// Where the auth service is.
#[derive(Clone, Debug)]
pub struct AuthSettings {
    /// Its gRPC address, for example `http://127.0.0.1:50051`.
    pub address: String,
    /// The longest that `/auth/**` waits for it.
    pub timeout: Duration,
}

/// A service behind the gateway.
#[derive(Clone, Debug)]
pub struct UpstreamSettings {
    /// Its name here, in logs and in metrics.
    pub name: String,
    /// Its gRPC address.
    pub address: String,
    /// Whom its tokens are for.
    pub audience: String,
    /// Who may call it.
    pub access: Access,
    /// Where its descriptors come from.
    pub descriptors: Source,
    /// The longest that one call may take.
    pub timeout: Duration,
    /// The longest that one stream of answers may go on.
    pub stream_timeout: Duration,
    /// The largest message that it may answer with.
    pub max_response_bytes: usize,
}

/// What a client may take of our memory and time.
#[derive(Clone, Debug)]
pub struct Limits {
    /// The longest body on `/api/**`.
    pub body_bytes: usize,
    /// How long a body may take to arrive.
    pub body_timeout: Duration,
    /// From a request's head to its answer's head.
    pub request_timeout: Duration,
    /// Requests without an answer yet; more are refused with 503.
    pub requests_in_flight: usize,
    /// The same, from one IPv4 address or IPv6 /64: bodies that trickle in from one
    /// place must not take every other client's turn.
    pub requests_in_flight_per_address: usize,
    /// Connections, heads, streams, and how a stop waits for requests under way.
    pub http: chassis::http::Limits,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            // A cart line or a profile is below one kilobyte.
            body_bytes: 64 * 1024,
            body_timeout: Duration::from_secs(10),
            request_timeout: Duration::from_secs(30),
            // Each holds a body at most, so this bounds them at 64 MiB.
            requests_in_flight: 1024,
            requests_in_flight_per_address: 128,
            http: chassis::http::Limits::default(),
        }
    }
}

impl Config {
    /// The defaults, for somebody who embeds the gateway: no service is behind it yet.
    pub fn new(auth_address: &str, workload_key_file: PathBuf) -> Self {
        Self {
            listen: DEFAULT_LISTEN,
            operations_listen: DEFAULT_OPERATIONS_LISTEN,
            public_origins: Vec::new(),
            trusted_proxies: Vec::new(),
            auth: AuthSettings {
                address: auth_address.to_owned(),
                timeout: DEFAULT_AUTH_TIMEOUT,
            },
            workload_name: DEFAULT_WORKLOAD_NAME.to_owned(),
            workload_key_file,
            upstreams: Vec::new(),
            exchange: ExchangeSettings::default(),
            revocations: StaleSettings::default(),
            limits: Limits::default(),
            telemetry: TelemetrySettings::default(),
        }
    }

    /// Reads everything, and reports every mistake.
    pub fn read(section: &mut Section<'_>) -> Option<Self> {
        let listen = section.value("listen", DEFAULT_LISTEN);
        let operations_listen = section.value("operations_listen", DEFAULT_OPERATIONS_LISTEN);
        let public_origins = parsed_list(section, "public_origins");
        if public_origins.is_empty() && !listen.ip().is_loopback() {
            section.problem(
                "public_origins",
                "required when `listen` is not a loopback address: browsers' names for this gateway",
            );
        }
        let trusted_proxies = parsed_list(section, "trusted_proxies");
        let auth = section.section("auth", AuthSettings::read);
        let workload_name = section.value("workload_name", DEFAULT_WORKLOAD_NAME.to_owned());
        let workload_key_file = section.path("workload_key_file");
        if workload_key_file.is_none() {
            section.problem("workload_key_file", "required: this program's own key");
        }
        let upstreams = section.entries("upstreams", UpstreamSettings::read);
        let exchange = section.section("exchange", read_exchange);
        let revocations = section.section("revocations", StaleSettings::read);
        let limits = section.section("limits", Limits::read);
        let telemetry = section.section("telemetry", TelemetrySettings::read);
        Some(Self {
            listen,
            operations_listen,
            public_origins,
            trusted_proxies,
            auth: auth?,
            workload_name,
            workload_key_file: workload_key_file?,
            upstreams: upstreams.into_iter().collect::<Option<_>>()?,
            exchange,
            revocations,
            limits,
            telemetry,
        })
    }
}

impl AuthSettings {
    fn read(section: &mut Section<'_>) -> Option<Self> {
        let address = address(section);
        let timeout = section.duration("timeout", DEFAULT_AUTH_TIMEOUT);
        Some(Self {
            address: address?,
            timeout,
        })
    }
}

impl UpstreamSettings {
    /// A service that describes itself by reflection, with default bounds.
    pub fn new(name: &str, address: &str, audience: &str, access: Access) -> Self {
        Self {
            name: name.to_owned(),
            address: address.to_owned(),
            audience: audience.to_owned(),
            access,
            descriptors: Source::Reflection,
            timeout: DEFAULT_UPSTREAM_TIMEOUT,
            stream_timeout: DEFAULT_STREAM_TIMEOUT,
            max_response_bytes: DEFAULT_MAX_RESPONSE,
        }
    }

    fn read(name: &str, section: &mut Section<'_>) -> Option<Self> {
        let address = address(section);
        let audience = section.required::<String>("audience");
        let access = read_access(section);
        let descriptors = match section
            .value("descriptors", "reflection".to_owned())
            .as_str()
        {
            "reflection" => Source::Reflection,
            file => Source::File(file.into()),
        };
        let timeout = section.duration("timeout", DEFAULT_UPSTREAM_TIMEOUT);
        let stream_timeout = section.duration("stream_timeout", DEFAULT_STREAM_TIMEOUT);
        let max_response_bytes = section.size("max_response", DEFAULT_MAX_RESPONSE);
        Some(Self {
            name: name.to_owned(),
            address: address?,
            audience: audience?,
            access: access?,
            descriptors,
            timeout,
            stream_timeout,
            max_response_bytes,
        })
    }
}

impl Limits {
    fn read(section: &mut Section<'_>) -> Self {
        let default = Self::default();
        Self {
            body_bytes: section.size("body", default.body_bytes),
            body_timeout: section.duration("body_timeout", default.body_timeout),
            request_timeout: section.duration("request_timeout", default.request_timeout),
            requests_in_flight: at_least_one(
                section,
                "requests_in_flight",
                default.requests_in_flight,
            ),
            requests_in_flight_per_address: at_least_one(
                section,
                "requests_in_flight_per_address",
                default.requests_in_flight_per_address,
            ),
            http: default.http.read(section),
        }
    }
}

fn read_exchange(section: &mut Section<'_>) -> ExchangeSettings {
    let default = ExchangeSettings::default();
    ExchangeSettings {
        cached_tokens: at_least_one(section, "cached_tokens", default.cached_tokens),
        concurrency: at_least_one(section, "concurrency", default.concurrency),
        queue: at_least_one(section, "queue", default.queue),
        timeout: section.duration("timeout", default.timeout),
    }
}

fn at_least_one(section: &mut Section<'_>, key: &str, default: usize) -> usize {
    let number = section.value(key, default);
    if !(1..=tokio::sync::Semaphore::MAX_PERMITS).contains(&number) {
        section.problem(key, "must be at least 1");
    }
    number
}

fn read_access(section: &mut Section<'_>) -> Option<Access> {
    match section.required::<String>("access")?.as_str() {
        "anyone" => Some(Access::Anyone),
        "guest" => Some(Access::Guest),
        "user" => Some(Access::User),
        _ => {
            section.problem("access", "must be `anyone`, `guest` or `user`");
            None
        }
    }
}

fn address(section: &mut Section<'_>) -> Option<String> {
    let text = section.required::<String>("address")?;
    let is_address = text.parse::<Uri>().is_ok_and(|uri| {
        uri.scheme_str() == Some("http") && uri.authority().is_some() && uri.path() == "/"
    });
    if !is_address {
        section.problem("address", "must be an address like http://127.0.0.1:50051");
        return None;
    }
    Some(text)
}

fn parsed_list<T: FromStr<Err: Display>>(section: &mut Section<'_>, key: &str) -> Vec<T> {
    let texts: Vec<String> = section.optional(key).unwrap_or_default();
    let mut parsed = Vec::with_capacity(texts.len());
    for text in texts {
        match text.parse() {
            Ok(one) => parsed.push(one),
            Err(error) => section.problem(key, format_args!("`{text}` is {error}")),
        }
    }
    parsed
}

#[cfg(test)]
mod tests;
