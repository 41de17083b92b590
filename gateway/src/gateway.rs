//! What every request needs, built once.

use std::sync::Arc;

use arc_swap::ArcSwap;
use chassis::http::Places;
use tokio::sync::Semaphore;

use crate::{
    auth_client::AuthClient, client_address::Network, config::Limits, exchange::Exchange,
    metrics::GatewayMetrics, public_origin::PublicOrigin, routes::RouteTable,
};

/// The gateway's shared state.
pub(crate) struct Gateway {
    pub(crate) public_origins: Vec<PublicOrigin>,
    pub(crate) trusted_proxies: Vec<Network>,
    pub(crate) limits: Limits,
    pub(crate) in_flight: Places,
    /// Changes that run to their end whatever their client does.
    pub(crate) changes: Arc<Semaphore>,
    pub(crate) auth: AuthClient,
    pub(crate) exchange: Exchange,
    pub(crate) routes: ArcSwap<Routes>,
    pub(crate) metrics: GatewayMetrics,
}

/// The services' routes as far as they are known.
#[derive(Default)]
pub(crate) struct Routes {
    pub(crate) table: RouteTable,
    /// Whether every service's are. Until then a path that is not in the table may be
    /// one of a service that is not up yet.
    pub(crate) complete: bool,
}

/// How handlers hold it.
pub(crate) type Shared = Arc<Gateway>;

impl Gateway {
    /// Whether browsers reach it over TLS under any of its names.
    pub(crate) fn has_https(&self) -> bool {
        self.public_origins.iter().any(PublicOrigin::is_https)
    }
}
