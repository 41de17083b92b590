//! The auth service, alone or with a long log, and what the measuring program asks of it.

use std::{net::SocketAddr, path::Path, sync::Arc, time::Duration};

use anyhow::Context;
use chassis::{
    Clock, SystemClock, grpc, sqlite,
    workload::{AssertionLayer, AssertionSigner, AttachAssertion, WorkloadKey},
};
use proto::auth::v1::{
    ClientInfo, CreateGuestSessionRequest, EndSessionRequest, ExchangeSessionRequest, WatchRequest,
    WatchResponse, revocation_service_client::RevocationServiceClient,
    session_service_client::SessionServiceClient, token_service_client::TokenServiceClient,
};
use tokio::process::Child;
use tonic::{Streaming, transport::Channel};
use tower::Layer as _;

use crate::{
    client,
    processes::{free_addresses, start},
    roles::{MEASURER, Role, auth_database, key_file},
};

/// Longer than any measurement takes.
const LIFE_OF_AN_ENTRY: Duration = Duration::from_secs(3600);

/// An auth service as a process of its own.
pub(crate) struct AuthProcess {
    pub(crate) process: Child,
    pub(crate) grpc: SocketAddr,
    pub(crate) http: SocketAddr,
}

impl AuthProcess {
    /// One that is ready, with its files in `data`.
    pub(crate) async fn start(data: &Path) -> anyhow::Result<Self> {
        let [grpc, http] = free_addresses().await?;
        let data = data.to_path_buf();
        let process = start(&Role::Auth { grpc, http, data })?;
        client::wait_for(http.port(), "/.well-known/jwks.json").await?;
        Ok(Self {
            process,
            grpc,
            http,
        })
    }

    /// One whose log has so many entries already, as after as many logouts.
    pub(crate) async fn with_log(data: &Path, entries: u32) -> anyhow::Result<Self> {
        // The first start makes the tables.
        Self::start(data).await?.process.kill().await?;
        append(&auth_database(data), entries).await?;
        Self::start(data).await
    }
}

async fn append(database: &Path, entries: u32) -> anyhow::Result<()> {
    let database = sqlite::open(database).await?;
    let now = SystemClock.now();
    let expires_at_s = now.as_second() + LIFE_OF_AN_ENTRY.as_secs().cast_signed();
    sqlx::query(
        "WITH RECURSIVE numbers (number) AS \
             (SELECT 1 UNION ALL SELECT number + 1 FROM numbers WHERE number < ?) \
         INSERT INTO revocations (kind, session_id, revoked_at_us, expires_at_s) \
         SELECT 'session', randomblob(16), ?, ? FROM numbers",
    )
    .bind(entries)
    .bind(now.as_microsecond())
    .bind(expires_at_s)
    .execute(database.writer())
    .await?;
    database.close().await;
    Ok(())
}

/// Whoever has not signed in.
#[derive(Clone)]
pub(crate) struct Guest {
    pub(crate) secret: String,
    pub(crate) subject: String,
}

/// Calls as the measuring program's own workload. Clones share a connection.
#[derive(Clone)]
pub(crate) struct AuthClient {
    channel: AttachAssertion<Channel>,
}

impl AuthClient {
    /// A client with a connection of its own, which stands once it is used.
    pub(crate) fn connect(address: SocketAddr, data: &Path) -> anyhow::Result<Self> {
        let key = WorkloadKey::load(&key_file(data, MEASURER))?;
        let signer = AssertionSigner::new(MEASURER, key, "auth-service", Arc::new(SystemClock));
        let channel = grpc::connect(
            &format!("http://{address}"),
            grpc::ConnectOptions::default(),
        )?;
        Ok(Self {
            channel: AssertionLayer::new(signer).layer(channel),
        })
    }

    fn sessions(&self) -> SessionServiceClient<AttachAssertion<Channel>> {
        SessionServiceClient::new(self.channel.clone())
    }

    /// A new guest.
    pub(crate) async fn guest(&self) -> anyhow::Result<Guest> {
        let client = ClientInfo {
            address: "127.0.0.1".to_owned(),
            user_agent: "bench".to_owned(),
        };
        let request = CreateGuestSessionRequest {
            client: Some(client),
        };
        let answer = self.sessions().create_guest_session(request).await?;
        let new = answer.into_inner().session.context("no session")?;
        Ok(Guest {
            secret: new.session_secret,
            subject: new.session.context("a session without itself")?.subject,
        })
    }

    /// So many guests.
    pub(crate) async fn guests(&self, count: usize) -> anyhow::Result<Vec<Guest>> {
        let mut guests = Vec::with_capacity(count);
        for _ in 0..count {
            guests.push(self.guest().await?);
        }
        Ok(guests)
    }

    /// A token of the guest's for one service.
    pub(crate) async fn token(&self, guest: &Guest, audience: &str) -> anyhow::Result<String> {
        let request = ExchangeSessionRequest {
            session_secret: guest.secret.clone(),
            audience: audience.to_owned(),
        };
        let mut tokens = TokenServiceClient::new(self.channel.clone());
        Ok(tokens
            .exchange_session(request)
            .await?
            .into_inner()
            .access_token)
    }

    /// Ends the guest's session.
    pub(crate) async fn end(&self, guest: &Guest) -> anyhow::Result<()> {
        let session_secret = guest.secret.clone();
        let request = EndSessionRequest { session_secret };
        self.sessions().end_session(request).await?;
        Ok(())
    }

    /// The revocation log from a point on.
    pub(crate) async fn watch(
        &self,
        request: WatchRequest,
    ) -> Result<Streaming<WatchResponse>, tonic::Status> {
        let mut client = RevocationServiceClient::new(self.channel.clone());
        Ok(client.watch(request).await?.into_inner())
    }
}
