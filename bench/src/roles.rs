//! The processes that are measured: Latchkey's own, configured as anybody would,
//! and the bare pair that they are held against.

use std::{net::SocketAddr, path::PathBuf, sync::Arc};

use anyhow::Context;
use auth_service::{
    KeyEncryptionKeySource,
    jwks::PublicJwk,
    workload::{Permission, WorkloadSettings},
};
use axum::{Json, Router, extract::State, http::StatusCode, routing::get};
use chassis::{
    SystemClock, grpc, shutdown, sqlite, telemetry, verifier::TokenSettings, workload::WorkloadKey,
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

/// One process.
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
        jwks: SocketAddr,
        database: PathBuf,
    },
    /// A gateway in front of one profile service.
    Gateway {
        listen: SocketAddr,
        auth: SocketAddr,
        profile: SocketAddr,
        anyone: bool,
        key: PathBuf,
    },
    /// A tonic service that answers with the same row and asks nobody for a token.
    BareProfile {
        listen: SocketAddr,
        database: PathBuf,
        subject: String,
    },
    /// An axum server that calls the bare service, and nothing else.
    BareGateway {
        listen: SocketAddr,
        profile: SocketAddr,
    },
}

/// Reads a role from the command line.
pub(crate) fn parse(json: &str) -> Result<Role, serde_json::Error> {
    serde_json::from_str(json)
}

const ISSUER: &str = "http://localhost:8081";
const AUDIENCE: &str = "profile-service";

impl Role {
    /// Serves until the process is told to stop.
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let settings = telemetry::TelemetrySettings {
            filter: "warn".into(),
            ..Default::default()
        };
        telemetry::init("bench", &settings)?;
        match self {
            Self::Auth { grpc, http, data } => auth(grpc, http, data).await,
            Self::Profile {
                listen,
                jwks,
                database,
            } => profile(listen, jwks, database).await,
            Self::Gateway {
                listen,
                auth,
                profile,
                anyone,
                key,
            } => {
                let access = if anyone {
                    Access::Anyone
                } else {
                    Access::Guest
                };
                gateway(listen, auth, profile, access, key).await
            }
            Self::BareProfile {
                listen,
                database,
                subject,
            } => bare_profile(listen, database, subject).await,
            Self::BareGateway { listen, profile } => bare_gateway(listen, profile).await,
        }
    }
}

/// Operations ports are not measured; any free one will do.
const ANY: ([u8; 4], u16) = ([127, 0, 0, 1], 0);

async fn auth(grpc: SocketAddr, http: SocketAddr, data: PathBuf) -> anyhow::Result<()> {
    let key = WorkloadKey::load_or_create(&data.join("gateway.pem"))?;
    let workload = WorkloadSettings {
        name: "gateway".to_owned(),
        public_key: PublicJwk::from_json(&key.public_jwk())?,
        may: vec![
            Permission::Accounts,
            Permission::Sessions,
            Permission::Exchange,
        ],
    };
    let config = auth_service::Config {
        grpc_listen: grpc,
        http_listen: http,
        operations_listen: ANY.into(),
        issuer: ISSUER.to_owned(),
        workloads: vec![workload],
        ..auth_service::Config::new(
            data.join("auth.db"),
            KeyEncryptionKeySource::File(data.join("key-encryption-key")),
        )
    };
    let listeners = auth_service::Listeners::bind(&config).await?;
    Ok(auth_service::serve(
        config,
        listeners,
        Arc::new(SystemClock),
        shutdown::on_signal(),
    )
    .await?)
}

async fn profile(listen: SocketAddr, jwks: SocketAddr, database: PathBuf) -> anyhow::Result<()> {
    let jwks_url = format!("http://{jwks}/.well-known/jwks.json");
    let config = profile_service::Config {
        listen,
        operations_listen: ANY.into(),
        ..profile_service::Config::new(database, TokenSettings::new(ISSUER, AUDIENCE, &jwks_url)?)
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

async fn gateway(
    listen: SocketAddr,
    auth: SocketAddr,
    profile: SocketAddr,
    access: Access,
    key: PathBuf,
) -> anyhow::Result<()> {
    let upstream = UpstreamSettings::new("profile", &format!("http://{profile}"), AUDIENCE, access);
    let mut config = gateway::Config {
        listen,
        operations_listen: ANY.into(),
        upstreams: vec![upstream],
        ..gateway::Config::new(&format!("http://{auth}"), key)
    };
    // All load comes from one address here.
    config.limits.http.max_connections_per_address = config.limits.http.max_connections;
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

async fn bare_profile(
    listen: SocketAddr,
    database: PathBuf,
    subject: String,
) -> anyhow::Result<()> {
    let database = sqlite::open(&database).await?;
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
