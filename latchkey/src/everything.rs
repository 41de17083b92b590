//! Every part in one process, each behind its own sockets and called over them:
//! what runs here is what runs on many machines.

use std::{future::Future, net::SocketAddr, path::Path, sync::Arc};

use anyhow::{Context, bail};
use auth_service::{
    KeyEncryptionKeySource,
    jwks::PublicJwk,
    workload::{Permission, WorkloadSettings},
};
use chassis::{
    Clock, SystemClock,
    revocations::RevocationSettings,
    telemetry::{self, Format, TelemetrySettings},
    verifier::TokenSettings,
    workload::WorkloadKey,
};
use gateway::config::{Access, UpstreamSettings};
use tokio::{net::TcpListener, task::JoinSet};
use tokio_util::sync::CancellationToken;

use crate::{
    addresses::Addresses,
    command_line::Everything,
    data_dir::{COMMAND_WORKLOAD, DataDir, GATEWAY_WORKLOAD},
};

pub(crate) async fn run(arguments: Everything) -> anyhow::Result<()> {
    // Development keys and open reflection are for this machine alone.
    if !arguments.listen.ip().is_loopback() {
        bail!("--listen takes a loopback address; deploy/ shows how to serve others");
    }
    let format = if arguments.log_json {
        Format::Json
    } else {
        Format::Human
    };
    telemetry::init(
        "latchkey",
        &TelemetrySettings {
            format,
            filter: arguments.log.clone(),
        },
    )?;
    let data_dir = DataDir::open(&arguments.data_dir)?;
    let listeners = Listeners::bind(&arguments).await?;
    let addresses = listeners.addresses()?;

    let shutdown = chassis::shutdown::on_signal();
    let mut parts = Parts::new(shutdown);
    parts.start(&data_dir, &addresses, listeners)?;

    addresses.write(&data_dir.addresses())?;
    if let Some(file) = &arguments.ports_file {
        addresses.write(file)?;
    }
    println!(
        "Latchkey keeps its data in {}\n",
        display(&arguments.data_dir)
    );
    println!("{}", addresses.table());
    parts.join().await
}

fn display(path: &Path) -> String {
    std::path::absolute(path)
        .unwrap_or_else(|_| path.to_path_buf())
        .display()
        .to_string()
}

/// Every socket, bound before anything is served: a taken port stops the start.
struct Listeners {
    gateway: gateway::Listeners,
    auth: auth_service::Listeners,
    cart: cart_service::Listeners,
    profile: profile_service::Listeners,
}

impl Listeners {
    async fn bind(arguments: &Everything) -> anyhow::Result<Self> {
        let port = |port| if arguments.ephemeral { 0 } else { port };
        let listen = if arguments.ephemeral {
            SocketAddr::new(arguments.listen.ip(), 0)
        } else {
            arguments.listen
        };
        Ok(Self {
            gateway: gateway::Listeners {
                public: bind(listen).await?,
                operations: local(port(9090)).await?,
            },
            auth: auth_service::Listeners {
                grpc: local(port(50051)).await?,
                http: local(port(8081)).await?,
                operations: local(port(9091)).await?,
            },
            cart: cart_service::Listeners {
                grpc: local(port(50052)).await?,
                operations: local(port(9092)).await?,
            },
            profile: profile_service::Listeners {
                grpc: local(port(50053)).await?,
                operations: local(port(9093)).await?,
            },
        })
    }

    fn addresses(&self) -> anyhow::Result<Addresses> {
        Ok(Addresses {
            gateway: self.gateway.public.local_addr()?,
            gateway_operations: self.gateway.operations.local_addr()?,
            auth_grpc: self.auth.grpc.local_addr()?,
            auth_http: self.auth.http.local_addr()?,
            auth_operations: self.auth.operations.local_addr()?,
            cart: self.cart.grpc.local_addr()?,
            cart_operations: self.cart.operations.local_addr()?,
            profile: self.profile.grpc.local_addr()?,
            profile_operations: self.profile.operations.local_addr()?,
        })
    }
}

async fn local(port: u16) -> anyhow::Result<TcpListener> {
    bind(SocketAddr::from(([127, 0, 0, 1], port))).await
}

async fn bind(address: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| {
        format!(
            "cannot listen on {address}; is another latchkey running? `--ephemeral` lets the \
             system choose every port"
        )
    })
}

/// What is running. If one part ends, the others are asked to.
struct Parts {
    shutdown: CancellationToken,
    running: JoinSet<anyhow::Result<()>>,
}

impl Parts {
    fn new(shutdown: CancellationToken) -> Self {
        Self {
            shutdown,
            running: JoinSet::new(),
        }
    }

    fn start(
        &mut self,
        data_dir: &DataDir,
        addresses: &Addresses,
        listeners: Listeners,
    ) -> anyhow::Result<()> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let stop = || self.shutdown.clone();
        let auth = auth_service::serve(
            auth_config(data_dir, addresses)?,
            listeners.auth,
            clock.clone(),
            stop(),
        );
        let cart = cart_service::serve(
            cart_config(data_dir, addresses)?,
            listeners.cart,
            clock.clone(),
            stop(),
        );
        let profile = profile_service::serve(
            profile_config(data_dir, addresses)?,
            listeners.profile,
            clock.clone(),
            stop(),
        );
        let gateway = gateway::serve(
            gateway_config(data_dir, addresses),
            listeners.gateway,
            clock.clone(),
            stop(),
        );
        self.spawn("auth service", auth);
        self.spawn("cart service", cart);
        self.spawn("profile service", profile);
        self.spawn("gateway", gateway);
        Ok(())
    }

    fn spawn<E>(
        &mut self,
        name: &'static str,
        serve: impl Future<Output = Result<(), E>> + Send + 'static,
    ) where
        E: std::error::Error + Send + Sync + 'static,
    {
        self.running
            .spawn(async move { serve.await.with_context(|| format!("the {name} stopped")) });
    }

    /// Waits until all have ended, and gives the first failure.
    async fn join(mut self) -> anyhow::Result<()> {
        let mut outcome = Ok(());
        while let Some(ended) = self.running.join_next().await {
            // Half a system only confuses.
            self.shutdown.cancel();
            outcome = outcome.and(ended.context("a part panicked").and_then(|ended| ended));
        }
        outcome
    }
}

fn issuer(addresses: &Addresses) -> String {
    format!("http://localhost:{}", addresses.auth_http.port())
}

fn auth_config(data_dir: &DataDir, addresses: &Addresses) -> anyhow::Result<auth_service::Config> {
    use Permission::{Accounts, Exchange, Operate, Sessions, Watch};
    let workload = |name: &str, may: &[Permission]| -> anyhow::Result<WorkloadSettings> {
        let key = WorkloadKey::load_or_create(&data_dir.workload_key(name))?;
        let public_key = PublicJwk::from_json(&key.public_jwk())?;
        Ok(WorkloadSettings {
            name: name.to_owned(),
            public_key,
            may: may.to_vec(),
        })
    };
    Ok(auth_service::Config {
        grpc_listen: addresses.auth_grpc,
        http_listen: addresses.auth_http,
        operations_listen: addresses.auth_operations,
        issuer: issuer(addresses),
        workloads: vec![
            workload(GATEWAY_WORKLOAD, &[Accounts, Sessions, Exchange, Watch])?,
            workload(cart_service::AUDIENCE, &[Watch])?,
            workload(profile_service::AUDIENCE, &[Watch])?,
            workload(COMMAND_WORKLOAD, &[Accounts, Sessions, Exchange, Operate])?,
        ],
        ..auth_service::Config::new(
            data_dir.database("auth"),
            KeyEncryptionKeySource::File(data_dir.key_encryption_key()),
        )
    })
}

fn tokens(
    data_dir: &DataDir,
    addresses: &Addresses,
    audience: &str,
) -> anyhow::Result<TokenSettings> {
    let jwks_url = format!("http://{}/.well-known/jwks.json", addresses.auth_http);
    let revocations = RevocationSettings::new(
        &format!("http://{}", addresses.auth_grpc),
        audience,
        data_dir.workload_key(audience),
    );
    Ok(TokenSettings::new(
        &issuer(addresses),
        audience,
        &jwks_url,
        data_dir.saved_jwks(audience),
        revocations,
    )?)
}

fn cart_config(data_dir: &DataDir, addresses: &Addresses) -> anyhow::Result<cart_service::Config> {
    Ok(cart_service::Config {
        listen: addresses.cart,
        operations_listen: addresses.cart_operations,
        ..cart_service::Config::new(
            data_dir.database("cart"),
            tokens(data_dir, addresses, cart_service::AUDIENCE)?,
        )
    })
}

fn profile_config(
    data_dir: &DataDir,
    addresses: &Addresses,
) -> anyhow::Result<profile_service::Config> {
    Ok(profile_service::Config {
        listen: addresses.profile,
        operations_listen: addresses.profile_operations,
        ..profile_service::Config::new(
            data_dir.database("profile"),
            tokens(data_dir, addresses, profile_service::AUDIENCE)?,
        )
    })
}

fn gateway_config(data_dir: &DataDir, addresses: &Addresses) -> gateway::Config {
    let upstream = |name: &str, address: SocketAddr, audience: &str| {
        UpstreamSettings::new(name, &format!("http://{address}"), audience, Access::Guest)
    };
    gateway::Config {
        listen: addresses.gateway,
        operations_listen: addresses.gateway_operations,
        upstreams: vec![
            upstream("cart", addresses.cart, cart_service::AUDIENCE),
            upstream("profile", addresses.profile, profile_service::AUDIENCE),
        ],
        ..gateway::Config::new(
            &format!("http://{}", addresses.auth_grpc),
            data_dir.workload_key(GATEWAY_WORKLOAD),
        )
    }
}
