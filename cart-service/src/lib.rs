//! The cart service: a cart per subject, over gRPC, for callers with an access token.
//!
//! Who calls comes from the verified token (`owner`), the rules of a cart from `cart`,
//! what it costs from `products`. `store` keeps carts and takes over a guest's cart at
//! the first request after signing in. `grpc` is the door, `status` what goes back out.

mod cart;
mod config;
mod grpc;
mod merges;
mod owner;
mod products;
mod status;
mod store;

use std::{io, net::SocketAddr, sync::Arc};

use chassis::{
    Clock, grpc::GrpcServer, metrics::Metrics, operations, readiness::Readiness,
    revocations::RevocationsError, verifier, vital::Vital,
};
use proto::cart::v1::FILE_DESCRIPTOR_SET;
use token_verifier::VerifyTokenLayer;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;

pub use crate::{
    config::{AUDIENCE, Config},
    store::sqlite::OpenError,
};
use crate::{grpc::CartGrpc, merges::Merges, products::Products, store::sqlite::SqliteCartStore};

/// This program's name in logs, metrics and messages.
pub const PROGRAM: &str = "cart-service";

/// The two doors, open already.
#[derive(Debug)]
pub struct Listeners {
    /// gRPC.
    pub grpc: TcpListener,
    /// Health and metrics.
    pub operations: TcpListener,
}

/// An address that cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}")]
pub struct BindError {
    address: SocketAddr,
    source: io::Error,
}

impl Listeners {
    /// Binds the addresses in the settings.
    pub async fn bind(config: &Config) -> Result<Self, BindError> {
        let (grpc, operations) = (
            bind(config.listen).await?,
            bind(config.operations_listen).await?,
        );
        Ok(Self { grpc, operations })
    }
}

async fn bind(address: SocketAddr) -> Result<TcpListener, BindError> {
    TcpListener::bind(address)
        .await
        .map_err(|source| BindError { address, source })
}

/// Why serving ended otherwise than asked, or never began.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The database.
    #[error("cannot open the carts")]
    Store(#[from] OpenError),
    /// Who this program is to the auth service, or where that is.
    #[error("cannot follow revocations")]
    Revocations(#[from] RevocationsError),
    /// The gRPC server.
    #[error("cannot serve gRPC")]
    Grpc(#[from] chassis::grpc::GrpcServeError),
    /// A part without which it must not serve.
    #[error(transparent)]
    Lost(#[from] chassis::vital::Lost),
}

/// Serves until `shutdown`, then lets running calls end and closes the database.
pub async fn serve(
    config: Config,
    listeners: Listeners,
    clock: Arc<dyn Clock>,
    shutdown: CancellationToken,
) -> Result<(), ServeError> {
    let metrics = Metrics::new(PROGRAM);
    let readiness = Readiness::new();
    let database = readiness.gate("database");
    // Not `shutdown`: health, keys and revocations are needed until the last running call has ended.
    // Dropped however this function ends, so that no task outlives it.
    let drained = CancellationToken::new();
    let _drained = drained.clone().drop_guard();
    tokio::spawn(operations::serve(
        listeners.operations,
        metrics.clone(),
        readiness.clone(),
        drained.clone(),
    ));
    let vital = Vital::new(drained, shutdown.clone());
    let verifier = verifier::start(
        config.tokens,
        Arc::clone(&clock),
        &metrics,
        &readiness,
        &vital,
    )?;

    let store = SqliteCartStore::open(&config.database).await?;
    database.set(true);
    let grpc = CartGrpc {
        store: Arc::new(store.clone()),
        products: Products::SHOP,
        merges: Merges::register(&metrics),
        clock,
    };
    let mut guard = VerifyTokenLayer::new(verifier);
    if !config.reflection {
        guard = guard.close_reflection();
    }
    let served = GrpcServer::new(PROGRAM, metrics, readiness)
        .limits(config.limits)
        .reflection(FILE_DESCRIPTOR_SET, config.reflection)
        .serve(
            listeners.grpc,
            Routes::new(grpc.into_server()),
            guard,
            shutdown,
        )
        .await;
    store.close().await;
    served?;
    Ok(vital.check()?)
}
