//! What every request needs, built once.

use std::sync::Arc;

use arc_swap::ArcSwapOption;
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
    pub(crate) in_flight: Semaphore,
    pub(crate) auth: AuthClient,
    pub(crate) exchange: Exchange,
    /// Empty until every upstream's descriptors are loaded, then whole.
    pub(crate) routes: ArcSwapOption<RouteTable>,
    pub(crate) metrics: GatewayMetrics,
}

/// How handlers hold it.
pub(crate) type Shared = Arc<Gateway>;

impl Gateway {
    /// Whether browsers reach it over TLS under any of its names.
    pub(crate) fn has_https(&self) -> bool {
        self.public_origins.iter().any(PublicOrigin::is_https)
    }
}
