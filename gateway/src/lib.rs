//! The gateway: the only part of Latchkey that a browser can reach.
//!
//! A request comes in with an opaque cookie and goes on to a service with a token for
//! that service alone, or not at all. `/auth/**` is written by hand (`auth`),
//! `/api/**` follows from the services' descriptors (`api`), everything else is a page.
//!
//! What holds: no service can be called without an `exchange::UpstreamToken`, which
//! only `exchange` makes, and none is used that has been revoked, or while that is not
//! known; of a client's headers its language and trace alone reach a
//! service; no token reaches a client; an outage is a 503 that leaves the cookie alone.

mod api;
mod auth;
mod auth_client;
mod client_address;
pub mod config;
mod cookie;
mod credential;
mod csrf;
mod descriptors;
mod error;
mod exchange;
mod gateway;
mod lease;
mod metrics;
mod middleware;
mod pages;
mod path;
mod public_origin;
mod router;
mod routes;
mod task;
mod transcode;
mod upstream;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use chassis::{
    Clock,
    grpc::ConnectOptions,
    http::{Counters, Places},
    metrics::Metrics,
    readiness::{Gate, Readiness},
    revocations::SignedFeed,
    vital::{Lost, Vital},
    workload::{AssertionSigner, WorkloadKey},
};
use futures::stream::{FuturesUnordered, StreamExt as _};
use prost_reflect::DescriptorPool;
use token_verifier::Revocations;
use tokio::{net::TcpListener, sync::Semaphore};
use tokio_util::sync::CancellationToken;
use tonic::transport::Channel;

pub use crate::config::Config;
use crate::{
    auth_client::AuthClient,
    config::{AuthSettings, PublicOrigin, Source, UpstreamSettings},
    exchange::{Exchange, ExchangeMetrics},
    gateway::{Gateway, Routes, Shared},
    metrics::GatewayMetrics,
    routes::{RouteProblems, RouteTable},
    upstream::Upstream,
};

/// Whose assertions the auth service accepts: those addressed to it.
const AUTH_AUDIENCE: &str = "auth-service";

/// The gateway's sockets.
pub struct Listeners {
    /// For browsers.
    pub public: TcpListener,
    /// For probers and scrapers.
    pub operations: TcpListener,
}

impl Listeners {
    /// Binds what the settings say.
    ///
    /// # Errors
    ///
    /// When an address is taken or not ours.
    pub async fn bind(config: &Config) -> Result<Self, ServeError> {
        Ok(Self {
            public: bind(config.listen).await?,
            operations: bind(config.operations_listen).await?,
        })
    }
}

async fn bind(address: SocketAddr) -> Result<TcpListener, ServeError> {
    TcpListener::bind(address)
        .await
        .map_err(|source| ServeError::Bind { address, source })
}

/// Why the gateway does not serve, or stopped otherwise than asked.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// A socket cannot be had.
    #[error("cannot listen on {address}")]
    Bind {
        /// Where.
        address: SocketAddr,
        /// Why not.
        source: std::io::Error,
    },
    /// A socket does not know its own address.
    #[error("the public listener has no address")]
    Listener(#[source] std::io::Error),
    /// The settings name no public origin, and none can be guessed.
    #[error("no public origin is set, and the listener is not on loopback")]
    NoPublicOrigin,
    /// The workload key cannot be read or made.
    #[error("no workload key")]
    WorkloadKey(#[source] chassis::workload::KeyFileError),
    /// An address of the settings cannot be used.
    #[error("the address of {name} cannot be used")]
    Address {
        /// Of which service.
        name: String,
        /// Why not.
        source: chassis::grpc::ConnectError,
    },
    /// A descriptor file cannot be used.
    #[error("the descriptors of {name} cannot be used")]
    Descriptors {
        /// Of which service.
        name: String,
        /// Why not.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The services' annotations contradict each other.
    #[error("the services' routes do not fit together:\n{0}")]
    Routes(String),
    /// The server stopped with requests under way.
    #[error(transparent)]
    Http(#[from] chassis::http::ServeError),
    /// A part without which it must not serve.
    #[error(transparent)]
    Lost(#[from] Lost),
}

/// Serves until `shutdown`, then finishes what is under way.
///
/// `/auth/**` and the pages are there at once, each service's part of `/api/**` as soon
/// as its descriptors are loaded. Until all are, `/readyz` and unknown paths answer 503.
///
/// # Errors
///
/// See [`ServeError`].
pub async fn serve(
    config: Config,
    listeners: Listeners,
    clock: Arc<dyn Clock>,
    shutdown: CancellationToken,
) -> Result<(), ServeError> {
    let metrics = Metrics::new("gateway");
    let readiness = Readiness::new();
    let descriptors_loaded = readiness.gate("descriptors");
    let upstreams = connect_all(&config.upstreams)?;
    let pools = read_files(&upstreams).await?;
    let address = listeners
        .public
        .local_addr()
        .map_err(ServeError::Listener)?;
    let (auth, feed) = connect_auth(&config, clock.clone())?;
    // Not `shutdown`: probers must see that the gateway is stopping, and what is still under
    // way must hear of revocations. Dropped however this function ends.
    let drained = CancellationToken::new();
    let _drained = drained.clone().drop_guard();
    let vital = Vital::new(drained.clone(), shutdown.clone());
    let revocations = chassis::revocations::follow(
        feed,
        &config.revocations,
        // The gateway verifies no token, so it needs no keys.
        None,
        clock.clone(),
        &metrics,
        &readiness,
        &vital,
    );
    let exchange = exchange(&config, &auth, revocations, clock, &metrics);
    let gateway = Arc::new(build(&config, address, auth, exchange, &metrics)?);

    let loading = load_routes(gateway.clone(), upstreams, pools, descriptors_loaded);
    let loading = tokio::spawn(shutdown.clone().run_until_cancelled_owned(loading));

    let operations = tokio::spawn(chassis::operations::serve(
        listeners.operations,
        metrics.clone(),
        readiness.clone(),
        drained.clone(),
    ));
    let stop = shutdown.clone();
    tokio::spawn(async move {
        stop.cancelled().await;
        readiness.stop();
    });

    let counters = Counters::register(&metrics, "public");
    let limits = chassis::http::Limits {
        counters,
        ..config.limits.http
    };
    let served =
        chassis::http::serve(listeners.public, router::router(gateway), limits, shutdown).await;
    drained.cancel();
    loading.abort();
    if let Ok(Err(error)) = operations.await {
        tracing::warn!(error = %error, "the operations port was cut off");
    }
    served?;
    Ok(vital.check()?)
}

/// The auth service twice: for questions, and for what it pushes.
fn connect_auth(
    config: &Config,
    clock: Arc<dyn Clock>,
) -> Result<(AuthClient, SignedFeed), ServeError> {
    let key =
        WorkloadKey::load_or_create(&config.workload_key_file).map_err(ServeError::WorkloadKey)?;
    let signer = AssertionSigner::new(&config.workload_name, key, AUTH_AUDIENCE, clock);
    let AuthSettings { address, timeout } = &config.auth;
    let channel = connect("auth-service", address, *timeout)?;
    let feed = chassis::revocations::feed(address, signer.clone(), &config.revocations);
    let feed = feed.map_err(|source| ServeError::Address {
        name: "auth-service".to_owned(),
        source,
    })?;
    Ok((AuthClient::new(channel, signer, *timeout), feed))
}

fn exchange(
    config: &Config,
    auth: &AuthClient,
    revocations: Revocations,
    clock: Arc<dyn Clock>,
    metrics: &Metrics,
) -> Exchange {
    let audiences = config.upstreams.iter();
    Exchange::new(
        Arc::new(auth.clone()),
        audiences
            .map(|upstream| upstream.audience.as_str().into())
            .collect(),
        &config.exchange,
        revocations,
        clock,
        ExchangeMetrics::register(metrics),
    )
}

fn build(
    config: &Config,
    address: SocketAddr,
    auth: AuthClient,
    exchange: Exchange,
    metrics: &Metrics,
) -> Result<Gateway, ServeError> {
    Ok(Gateway {
        public_origins: public_origins(config, address)?,
        trusted_proxies: config.trusted_proxies.clone(),
        in_flight: Places::new(
            config.limits.requests_in_flight,
            config.limits.requests_in_flight_per_address,
        ),
        changes: Arc::new(Semaphore::new(config.limits.requests_in_flight)),
        limits: config.limits.clone(),
        auth,
        exchange,
        routes: ArcSwap::default(),
        metrics: GatewayMetrics::register(metrics),
    })
}

/// Only loopback has names that need no setting.
fn public_origins(config: &Config, address: SocketAddr) -> Result<Vec<PublicOrigin>, ServeError> {
    match &config.public_origins[..] {
        [] if address.ip().is_loopback() => Ok(PublicOrigin::loopback(address.port())),
        [] => Err(ServeError::NoPublicOrigin),
        origins => Ok(origins.to_vec()),
    }
}

fn connect(name: &str, address: &str, timeout: Duration) -> Result<Channel, ServeError> {
    let options = ConnectOptions {
        request_timeout: timeout,
        ..ConnectOptions::default()
    };
    chassis::grpc::connect(address, options).map_err(|source| ServeError::Address {
        name: name.to_owned(),
        source,
    })
}

type Connected = (Arc<Upstream>, Source);

fn connect_all(settings: &[UpstreamSettings]) -> Result<Vec<Connected>, ServeError> {
    settings
        .iter()
        .map(|settings| {
            let upstream = Upstream {
                name: settings.name.clone(),
                audience: settings.audience.clone(),
                access: settings.access,
                channel: connect(&settings.name, &settings.address, settings.timeout)?,
                timeout: settings.timeout,
                stream_timeout: settings.stream_timeout,
                max_response_bytes: settings.max_response_bytes,
            };
            Ok((Arc::new(upstream), settings.descriptors.clone()))
        })
        .collect()
}

/// A file that cannot be used stops the start: unlike a service, it will not come up.
async fn read_files(upstreams: &[Connected]) -> Result<Vec<Option<DescriptorPool>>, ServeError> {
    let mut pools = Vec::with_capacity(upstreams.len());
    for (upstream, source) in upstreams {
        pools.push(match source {
            Source::Reflection => None,
            Source::File(_) => Some(read_file(upstream, source).await?),
        });
    }
    Ok(pools)
}

async fn read_file(upstream: &Upstream, source: &Source) -> Result<DescriptorPool, ServeError> {
    descriptors::load(
        source,
        upstream.channel.clone(),
        &descriptors::Limits::default(),
    )
    .await
    .map_err(|source| ServeError::Descriptors {
        name: upstream.name.clone(),
        source: source.into(),
    })
}

/// Asks the services that describe themselves, all at once, and puts each one's routes
/// in place as soon as they are known: one that is down takes nothing from the others.
async fn load_routes(
    gateway: Shared,
    upstreams: Vec<Connected>,
    pools: Vec<Option<DescriptorPool>>,
    loaded: Gate,
) {
    let mut missing: FuturesUnordered<_> = upstreams
        .into_iter()
        .zip(pools)
        .map(|((upstream, source), pool)| describe(upstream, source, pool))
        .collect();
    let mut known = Vec::new();
    let mut contradicted = false;
    // Without any service there is nothing to wait for.
    install(&gateway, &known, missing.is_empty());
    while let Some(described) = missing.next().await {
        known.push(described);
        if !install(&gateway, &known, missing.is_empty() && !contradicted) {
            // The others' routes stay; which of two was meant is not ours to guess, so
            // the gateway does not become ready.
            contradicted = true;
            known.pop();
        }
    }
    loaded.set(!contradicted);
}

type Described = (Arc<Upstream>, DescriptorPool);

async fn describe(
    upstream: Arc<Upstream>,
    source: Source,
    pool: Option<DescriptorPool>,
) -> Described {
    let pool = match pool {
        Some(pool) => pool,
        None => {
            let limits = descriptors::Limits::default();
            let channel = upstream.channel.clone();
            descriptors::load_with_retry(&upstream.name, source, channel, limits).await
        }
    };
    (upstream, pool)
}

/// Puts the table of these services in place, in one step. False if they contradict
/// each other; then the old one stays.
fn install(gateway: &Gateway, known: &[Described], complete: bool) -> bool {
    match RouteTable::build(known.to_vec()) {
        Ok(table) => {
            tracing::info!(
                routes = table.len(),
                services = known.len(),
                complete,
                "{} routes of {} services are in place",
                table.len(),
                known.len()
            );
            gateway.routes.store(Arc::new(Routes { table, complete }));
            true
        }
        Err(problems) => {
            report(&problems);
            false
        }
    }
}

fn report(problems: &RouteProblems) {
    tracing::error!(
        reason = "routes_contradict",
        "the services' routes do not fit together:\n{problems}"
    );
}
