//! The parts put together, and stopped in order.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use chassis::grpc::GrpcServer;
use chassis::http::Counters;
use chassis::metrics::Metrics;
use chassis::readiness::{Gate, Readiness};
use chassis::vital::{Lost, Vital};
use proto::auth::v1::FILE_DESCRIPTOR_SET;
use thiserror::Error;
use token_verifier::Clock;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::accounts::{Accounts, AccountsParts};
use crate::config::{Config, KeyEncryptionKeySource};
use crate::entropy::{Entropy, OsEntropy};
use crate::grpc::{self, Api};
use crate::http;
use crate::key_encryption::{KeyEncryptionKey, KeyEncryptionKeyError, KeyRing};
use crate::limits::Limits;
use crate::maintenance::{self, Maintenance};
use crate::metrics::{AuthMetrics, HashingMetric};
use crate::operator::Operator;
use crate::password::{HashingError, HashingPool};
use crate::revocations::{Hub, HubParts};
use crate::sessions::Sessions;
use crate::signing_keys::{self, Keeper, KeeperParts, KeyMetrics, SharedSigningKeys, StartError};
use crate::store::sqlite::{OpenError, SqliteStore};
use crate::tokens::{Tokens, TokensParts};
use crate::workload::{GuardLayer, Workloads, WorkloadsError};

/// Name in logs and metrics.
const PROGRAM: &str = "auth-service";

/// The three doors, open already.
#[derive(Debug)]
pub struct Listeners {
    /// `latchkey.auth.v1`.
    pub grpc: TcpListener,
    /// The JWKS.
    pub http: TcpListener,
    /// Health and metrics.
    pub operations: TcpListener,
}

/// An address that cannot be listened at.
#[derive(Debug, Error)]
#[error("cannot listen at {address} ({setting})")]
pub struct BindError {
    address: SocketAddr,
    setting: &'static str,
    source: io::Error,
}

impl Listeners {
    /// Opens them where the settings say.
    pub async fn bind(config: &Config) -> Result<Self, BindError> {
        Ok(Self {
            grpc: bind("grpc_listen", config.grpc_listen).await?,
            http: bind("http_listen", config.http_listen).await?,
            operations: bind("operations_listen", config.operations_listen).await?,
        })
    }
}

async fn bind(setting: &'static str, address: SocketAddr) -> Result<TcpListener, BindError> {
    TcpListener::bind(address)
        .await
        .map_err(|source| BindError {
            address,
            setting,
            source,
        })
}

/// Why the service did not start, or did not stop in order.
#[derive(Debug, Error)]
pub enum ServeError {
    /// There is no key-encryption key.
    #[error("no key-encryption key")]
    KeyEncryptionKey(#[from] KeyEncryptionKeyError),
    /// The database cannot be used.
    #[error("cannot open the database")]
    Store(#[from] OpenError),
    /// There are no signing keys.
    #[error("no signing keys")]
    SigningKeys(#[from] StartError),
    /// The settings' workloads cannot be used.
    #[error("the workloads cannot be used")]
    Workloads(#[from] WorkloadsError),
    /// No password can be hashed.
    #[error("cannot start the hashing pool")]
    Hashing(#[from] HashingError),
    /// The gRPC server.
    #[error("serving gRPC failed")]
    Grpc(#[source] chassis::grpc::GrpcServeError),
    /// The HTTP server.
    #[error("serving the JWKS failed")]
    Http(#[source] chassis::http::ServeError),
    /// A part without which it must not serve.
    #[error(transparent)]
    Lost(#[from] Lost),
}

/// Runs the service until `shutdown`, then lets running calls end and closes the
/// database.
pub async fn serve(
    config: Config,
    listeners: Listeners,
    clock: Arc<dyn Clock>,
    shutdown: CancellationToken,
) -> Result<(), ServeError> {
    let metrics = Metrics::new(PROGRAM);
    let readiness = Readiness::new();
    // Whichever way this function ends, the tasks that it started end too.
    let stop = CancellationToken::new();
    let _stop_tasks = stop.clone().drop_guard();
    // First up and last down: a prober sees what is missing, and the drain.
    tokio::spawn(chassis::operations::serve(
        listeners.operations,
        metrics.clone(),
        readiness.clone(),
        stop.clone(),
    ));
    let gates = Gates::new(&readiness);
    // One server that fails takes the other down with it, and ends what watches.
    let stop_serving = shutdown.child_token();
    let parts = Parts::open(&config, clock, &metrics, stop_serving.clone()).await?;
    let rounds = stop.child_token();
    let vital = Vital::new(rounds.clone(), shutdown);
    parts.start(&vital, &config, gates, &readiness);
    let doors = (listeners.grpc, listeners.http);
    let served = parts
        .serve(&config, doors, metrics, readiness, stop_serving)
        .await;
    rounds.cancel();
    vital.stopped().await;
    parts.store.close().await;
    served?;
    Ok(vital.check()?)
}

/// What must be there before callers are sent here.
struct Gates {
    database: Gate,
    keys: Gate,
    revocations: Gate,
}

impl Gates {
    fn new(readiness: &Readiness) -> Self {
        Self {
            database: readiness.gate("database"),
            keys: readiness.gate("keys"),
            revocations: readiness.gate("revocations"),
        }
    }
}

/// What the servers and the maintenance share.
struct Parts {
    store: SqliteStore,
    limits: Limits,
    keys: SharedSigningKeys,
    clock: Arc<dyn Clock>,
    api: Api,
    workloads: Workloads,
}

impl Parts {
    async fn open(
        config: &Config,
        clock: Arc<dyn Clock>,
        metrics: &Metrics,
        stop: CancellationToken,
    ) -> Result<Self, ServeError> {
        let entropy: Arc<dyn Entropy> = Arc::new(OsEntropy);
        let workloads = Workloads::new(&config.workloads, config.replay_capacity)?;
        if config.workloads.is_empty() {
            tracing::warn!("the settings name no workload: nobody may call this service");
        }
        let key_ring = key_ring(config, &*entropy)?;
        let store = SqliteStore::open(&config.database).await?;
        let keys = signing_keys::load_or_create(&store, &key_ring, clock.now()).await?;
        let keys = SharedSigningKeys::good_for(keys, keys_good_for(config));
        let keeper = Keeper::new(KeeperParts {
            store: Arc::new(store.clone()),
            keys: keys.clone(),
            key_ring,
            schedule: config.keys.schedule(config.jwks_max_age),
            clock: Arc::clone(&clock),
            metrics: KeyMetrics::register(metrics),
        });
        let limits = Limits::new(Arc::new(store.clone()), config.limits);
        let api = api(
            config,
            (&store, &limits, &keys, &keeper),
            (&clock, &entropy),
            metrics,
            stop,
        )?;
        Ok(Self {
            store,
            limits,
            keys,
            clock,
            api,
            workloads,
        })
    }

    /// What goes on beside the servers. Should some of it be lost, the service ends.
    fn start(&self, vital: &Vital, config: &Config, gates: Gates, readiness: &Readiness) {
        gates.database.set(true);
        gates.keys.set(true);
        let stop = || {
            let readiness = readiness.clone();
            move || readiness.stop()
        };
        let maintenance = maintenance::run(self.maintenance(), gates.database);
        vital.spawn("maintenance", maintenance, stop());
        let keeper = self.api.keys.clone();
        let keeper = keeper.run(config.keys.refresh_every, gates.keys);
        vital.spawn("who looks after the keys", keeper, stop());
        let hub = self.api.hub.clone().run(gates.revocations);
        vital.spawn("who tells of revocations", hub, stop());
    }

    fn maintenance(&self) -> Maintenance {
        Maintenance {
            sessions: self.api.sessions.clone(),
            limits: self.limits.clone(),
            log: Arc::new(self.store.clone()),
            keys: Arc::new(self.store.clone()),
            clock: Arc::clone(&self.clock),
            metrics: self.api.metrics.clone(),
        }
    }

    async fn serve(
        &self,
        config: &Config,
        (grpc_listener, http_listener): (TcpListener, TcpListener),
        metrics: Metrics,
        readiness: Readiness,
        stop: CancellationToken,
    ) -> Result<(), ServeError> {
        let guard = GuardLayer::new(
            self.workloads.clone(),
            Arc::clone(&self.clock),
            self.api.metrics.clone(),
        );
        let mut http_limits = config.http.clone();
        http_limits.counters = Counters::register(&metrics, "http");
        let grpc = GrpcServer::new(PROGRAM, metrics, readiness)
            .limits(config.grpc.clone())
            .reflection(FILE_DESCRIPTOR_SET, config.reflection)
            .serve(
                grpc_listener,
                grpc::routes(self.api.clone()),
                guard,
                stop.clone(),
            );
        let router = http::router(self.keys.clone(), config.jwks_max_age);
        let http = chassis::http::serve(http_listener, router, http_limits, stop.clone());
        let (grpc, http) = tokio::join!(
            ended(&stop, async { grpc.await.map_err(ServeError::Grpc) }),
            ended(&stop, async { http.await.map_err(ServeError::Http) }),
        );
        grpc.and(http)
    }
}

/// However it ends, it is the end for all.
async fn ended<T>(stop: &CancellationToken, served: impl Future<Output = T>) -> T {
    let result = served.await;
    stop.cancel();
    result
}

/// For how long keys that the store no longer confirms may sign: another instance may
/// have retired one just after it was read, and what it signs at last must expire
/// before it is deleted.
fn keys_good_for(config: &Config) -> Duration {
    let leeway = token_verifier::LEEWAY.unsigned_abs();
    config
        .keys
        .retire_after
        .saturating_sub(config.access_token_ttl + leeway)
}

fn key_ring(config: &Config, entropy: &dyn Entropy) -> Result<KeyRing, KeyEncryptionKeyError> {
    let mut previous = Vec::new();
    for file in &config.previous_key_encryption_key_files {
        match KeyEncryptionKey::load_previous(file)? {
            Some(key) => previous.push(key),
            // If the key that signs needs it, that is refused where it shows.
            None => tracing::warn!(
                "{}: there is no such previous key-encryption key; take it out of the settings",
                file.display()
            ),
        }
    }
    Ok(KeyRing::new(key_encryption_key(config, entropy)?, previous))
}

fn key_encryption_key(
    config: &Config,
    entropy: &dyn Entropy,
) -> Result<KeyEncryptionKey, KeyEncryptionKeyError> {
    match &config.key_encryption_key {
        KeyEncryptionKeySource::File(path) => KeyEncryptionKey::load_or_create(path, entropy),
        KeyEncryptionKeySource::Value(text) => KeyEncryptionKey::parse(text),
    }
}

fn api(
    config: &Config,
    (store, limits, keys, keeper): (&SqliteStore, &Limits, &SharedSigningKeys, &Keeper),
    (clock, entropy): (&Arc<dyn Clock>, &Arc<dyn Entropy>),
    metrics: &Metrics,
    stop: CancellationToken,
) -> Result<Api, HashingError> {
    let counters = AuthMetrics::register(metrics);
    let hashing = HashingPool::new(config.passwords, Arc::clone(entropy))?;
    HashingMetric::register(metrics, &hashing);
    let sessions = Sessions::new(
        Arc::new(store.clone()),
        limits.clone(),
        config.sessions,
        Arc::clone(entropy),
        Arc::clone(clock),
    );
    let accounts = Accounts::new(AccountsParts {
        accounts: Arc::new(store.clone()),
        sessions: Arc::new(store.clone()),
        limits: limits.clone(),
        hashing,
        ttls: config.sessions,
        entropy: Arc::clone(entropy),
        clock: Arc::clone(clock),
    });
    let tokens = Tokens::new(TokensParts {
        sessions: sessions.clone(),
        keys: keys.clone(),
        issuer: config.issuer.clone(),
        audiences: config.audiences.clone(),
        ttl: config.access_token_ttl,
        entropy: Arc::clone(entropy),
        clock: Arc::clone(clock),
    });
    let hub = Hub::new(HubParts {
        log: Arc::new(store.clone()),
        keys: keys.clone(),
        clock: Arc::clone(clock),
        metrics: counters.clone(),
        stop,
    });
    let operator = Operator::new(
        Arc::new(store.clone()),
        Arc::new(store.clone()),
        Arc::clone(clock),
    );
    Ok(Api {
        accounts,
        sessions,
        tokens,
        operator,
        keys: keeper.clone(),
        hub,
        metrics: counters,
    })
}
