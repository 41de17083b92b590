//! The processes that are measured: Latchkey's own, configured as anybody would,
//! and the bare pair that they are held against.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::Context;
use auth_service::{
    KeyEncryptionKeySource,
    jwks::PublicJwk,
    limits::Quota,
    workload::{Permission, WorkloadSettings},
};
use axum::{Json, Router, extract::State, http::StatusCode, routing::get};
use chassis::{
    SystemClock, grpc, revocations::RevocationSettings, shutdown, sqlite, telemetry,
    verifier::TokenSettings, workload::WorkloadKey,
};
use gateway::config::{Access, UpstreamSettings};
use proto::profile::v1::{
    FILE_DESCRIPTOR_SET, GetProfileRequest, GetProfileResponse, Profile, UpdateProfileRequest,
    UpdateProfileResponse,
    profile_service_client::ProfileServiceClient,
    profile_service_server::{ProfileService, ProfileServiceServer},
};
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;
use tonic::{Request, Response, Status, transport::Channel};

/// One process. `data` is the directory that all of them keep their files in.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) enum Role {
    /// The auth service.
    Auth {
        grpc: SocketAddr,
        http: SocketAddr,
        data: PathBuf,
    },
    /// The profile service.
    Profile {
        listen: SocketAddr,
        auth: SocketAddr,
        jwks: SocketAddr,
        data: PathBuf,
    },
    /// The cart service.
    Cart {
        listen: SocketAddr,
        auth: SocketAddr,
        jwks: SocketAddr,
        data: PathBuf,
    },
    /// A gateway in front of some services.
    Gateway {
        listen: SocketAddr,
        auth: SocketAddr,
        upstreams: Vec<Upstream>,
        anyone: bool,
        data: PathBuf,
    },
    /// A tonic service that answers with the same row and asks nobody for a token.
    BareProfile {
        listen: SocketAddr,
        data: PathBuf,
        subject: String,
    },
    /// An axum server that calls the bare service, and nothing else.
    BareGateway {
        listen: SocketAddr,
        profile: SocketAddr,
    },
}

/// A service behind a gateway.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Upstream {
    name: String,
    audience: String,
    address: SocketAddr,
}

impl Upstream {
    /// The profile service, or what stands in its place.
    pub(crate) fn profile(address: SocketAddr) -> Self {
        Self {
            name: "profile".to_owned(),
            audience: profile_service::AUDIENCE.to_owned(),
            address,
        }
    }

    /// The cart service.
    pub(crate) fn cart(address: SocketAddr) -> Self {
        Self {
            name: "cart".to_owned(),
            audience: cart_service::AUDIENCE.to_owned(),
            address,
        }
    }
}

/// Reads a role from the command line.
pub(crate) fn parse(json: &str) -> Result<Role, serde_json::Error> {
    serde_json::from_str(json)
}

pub(crate) const ISSUER: &str = "http://localhost:8081";
/// The measuring program's own name among the auth service's workloads.
pub(crate) const MEASURER: &str = "bench";

impl Role {
    /// Serves until the process is told to stop.
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let settings = telemetry::TelemetrySettings {
            filter: "warn".into(),
            ..Default::default()
        };
        telemetry::init("bench", &settings)?;
        match self {
            Self::Auth { grpc, http, data } => auth(grpc, http, &data).await,
            Self::Profile {
                listen,
                auth,
                jwks,
                data,
            } => profile(listen, auth, jwks, &data).await,
            Self::Cart {
                listen,
                auth,
                jwks,
                data,
            } => cart(listen, auth, jwks, &data).await,
            Self::Gateway {
                listen,
                auth,
                upstreams,
                anyone,
                data,
            } => {
                let access = if anyone {
                    Access::Anyone
                } else {
                    Access::Guest
                };
                gateway(listen, auth, upstreams, access, &data).await
            }
            Self::BareProfile {
                listen,
                data,
                subject,
            } => bare_profile(listen, &data, subject).await,
            Self::BareGateway { listen, profile } => bare_gateway(listen, profile).await,
        }
    }
}

/// Operations ports are not measured; any free one will do.
const ANY: ([u8; 4], u16) = ([127, 0, 0, 1], 0);

/// Where a workload's private key is.
pub(crate) fn key_file(data: &Path, workload: &str) -> PathBuf {
    data.join(format!("{workload}.pem"))
}

/// Where the auth service keeps its rows.
pub(crate) fn auth_database(data: &Path) -> PathBuf {
    data.join("auth.db")
}

async fn auth(grpc: SocketAddr, http: SocketAddr, data: &Path) -> anyhow::Result<()> {
    use Permission::{Accounts, Exchange, Sessions, Watch};
    let workloads = [
        ("gateway", vec![Accounts, Sessions, Exchange, Watch]),
        (profile_service::AUDIENCE, vec![Watch]),
        (cart_service::AUDIENCE, vec![Watch]),
        (MEASURER, vec![Sessions, Exchange, Watch]),
    ];
    let workloads = workloads.map(|(name, may)| workload(data, name, may));
    let mut config = auth_service::Config {
        grpc_listen: grpc,
        http_listen: http,
        operations_listen: ANY.into(),
        issuer: ISSUER.to_owned(),
        workloads: workloads.into_iter().collect::<Result<_, _>>()?,
        ..auth_service::Config::new(
            auth_database(data),
            KeyEncryptionKeySource::File(data.join("key-encryption-key")),
        )
    };
    // All guests and all connections come from one address here.
    config.limits.guest = Quota::new(1_000_000, Duration::from_millis(1));
    allow_one_address(&mut config.grpc.http);
    let listeners = auth_service::Listeners::bind(&config).await?;
    Ok(auth_service::serve(
        config,
        listeners,
        Arc::new(SystemClock),
        shutdown::on_signal(),
    )
    .await?)
}

fn workload(data: &Path, name: &str, may: Vec<Permission>) -> anyhow::Result<WorkloadSettings> {
    let key = WorkloadKey::load_or_create(&key_file(data, name))?;
    Ok(WorkloadSettings {
        name: name.to_owned(),
        public_key: PublicJwk::from_json(&key.public_jwk())?,
        may,
    })
}

fn allow_one_address(limits: &mut chassis::http::Limits) {
    limits.max_connections = limits.max_connections.max(4096);
    limits.max_connections_per_address = limits.max_connections;
}

async fn profile(
    listen: SocketAddr,
    auth: SocketAddr,
    jwks: SocketAddr,
    data: &Path,
) -> anyhow::Result<()> {
    let tokens = tokens(profile_service::AUDIENCE, auth, jwks, data)?;
    let config = profile_service::Config {
        listen,
        operations_listen: ANY.into(),
        ..profile_service::Config::new(profile_database(data), tokens)
    };
    let listeners = profile_service::Listeners::bind(&config).await?;
    Ok(profile_service::serve(
        config,
        listeners,
        Arc::new(SystemClock),
        shutdown::on_signal(),
    )
    .await?)
}

async fn cart(
    listen: SocketAddr,
    auth: SocketAddr,
    jwks: SocketAddr,
    data: &Path,
) -> anyhow::Result<()> {
    let tokens = tokens(cart_service::AUDIENCE, auth, jwks, data)?;
    let config = cart_service::Config {
        listen,
        operations_listen: ANY.into(),
        ..cart_service::Config::new(data.join("cart.db"), tokens)
    };
    let listeners = cart_service::Listeners::bind(&config).await?;
    Ok(cart_service::serve(
        config,
        listeners,
        Arc::new(SystemClock),
        shutdown::on_signal(),
    )
    .await?)
}

fn tokens(
    audience: &str,
    auth: SocketAddr,
    jwks: SocketAddr,
    data: &Path,
) -> anyhow::Result<TokenSettings> {
    let revocations = RevocationSettings::new(
        &format!("http://{auth}"),
        audience,
        key_file(data, audience),
    );
    Ok(TokenSettings::new(
        ISSUER,
        audience,
        &format!("http://{jwks}/.well-known/jwks.json"),
        data.join(format!("{audience}.jwks.json")),
        revocations,
    )?)
}

fn profile_database(data: &Path) -> PathBuf {
    data.join("profile.db")
}

async fn gateway(
    listen: SocketAddr,
    auth: SocketAddr,
    upstreams: Vec<Upstream>,
    access: Access,
    data: &Path,
) -> anyhow::Result<()> {
    let upstreams = upstreams.into_iter().map(|upstream| {
        let address = format!("http://{}", upstream.address);
        UpstreamSettings::new(&upstream.name, &address, &upstream.audience, access)
    });
    let mut config = gateway::Config {
        listen,
        operations_listen: ANY.into(),
        upstreams: upstreams.collect(),
        ..gateway::Config::new(&format!("http://{auth}"), key_file(data, "gateway"))
    };
    // All load comes from one address here.
    allow_one_address(&mut config.limits.http);
    let listeners = gateway::Listeners::bind(&config).await?;
    Ok(gateway::serve(
        config,
        listeners,
        Arc::new(SystemClock),
        shutdown::on_signal(),
    )
    .await?)
}

struct BareProfile {
    database: sqlite::Database,
    subject: String,
}

#[tonic::async_trait]
impl ProfileService for BareProfile {
    async fn get_profile(
        &self,
        _: Request<GetProfileRequest>,
    ) -> Result<Response<GetProfileResponse>, Status> {
        // The read that the profile service makes for a person without a guest behind.
        let row: (
            Option<String>,
            Option<String>,
            Option<String>,
            Option<String>,
        ) = sqlx::query_as(
            "SELECT display_name, theme, locale, currency FROM profiles WHERE subject = ?",
        )
        .bind(&self.subject)
        .fetch_one(self.database.readers())
        .await
        .map_err(|error| Status::unavailable(error.to_string()))?;
        let profile = Profile {
            subject: self.subject.clone(),
            display_name: row.0.unwrap_or_default(),
            theme: row.1.unwrap_or_else(|| "system".to_owned()),
            locale: row.2.unwrap_or_else(|| "en".to_owned()),
            currency: row.3.unwrap_or_else(|| "EUR".to_owned()),
        };
        Ok(Response::new(GetProfileResponse {
            profile: Some(profile),
        }))
    }

    async fn update_profile(
        &self,
        _: Request<UpdateProfileRequest>,
    ) -> Result<Response<UpdateProfileResponse>, Status> {
        Err(Status::unimplemented("nobody measures this"))
    }
}

async fn bare_profile(listen: SocketAddr, data: &Path, subject: String) -> anyhow::Result<()> {
    let database = sqlite::open(&profile_database(data)).await?;
    let reflection = tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(FILE_DESCRIPTOR_SET)
        .build_v1()?;
    let stop = shutdown::on_signal();
    tonic::transport::Server::builder()
        .tcp_nodelay(true)
        .add_service(reflection)
        .add_service(ProfileServiceServer::new(BareProfile { database, subject }))
        .serve_with_shutdown(listen, stop.cancelled_owned())
        .await?;
    Ok(())
}

/// What the gateway answers with, written by hand.
#[derive(Serialize)]
struct ProfileJson {
    subject: String,
    display_name: String,
    theme: String,
    locale: String,
    currency: String,
}

async fn bare_gateway(listen: SocketAddr, profile: SocketAddr) -> anyhow::Result<()> {
    let channel = grpc::connect(
        &format!("http://{profile}"),
        grpc::ConnectOptions::default(),
    )?;
    let router = Router::new()
        .route("/api/profile", get(bare_get_profile))
        .with_state(ProfileServiceClient::new(channel));
    let listener = TcpListener::bind(listen).await.context("cannot bind")?;
    let stop = shutdown::on_signal();
    axum::serve(listener, router)
        .with_graceful_shutdown(stop.cancelled_owned())
        .await?;
    Ok(())
}

async fn bare_get_profile(
    State(mut client): State<ProfileServiceClient<Channel>>,
) -> Result<Json<ProfileJson>, StatusCode> {
    let answer = client.get_profile(GetProfileRequest {}).await;
    let profile = answer
        .map_err(|_| StatusCode::BAD_GATEWAY)?
        .into_inner()
        .profile;
    let profile = profile.ok_or(StatusCode::BAD_GATEWAY)?;
    Ok(Json(ProfileJson {
        subject: profile.subject,
        display_name: profile.display_name,
        theme: profile.theme,
        locale: profile.locale,
        currency: profile.currency,
    }))
}
