//! Where a session is tried, over a connection that stays open.

use std::net::SocketAddr;

use anyhow::{Context, bail};
use chassis::grpc;
use proto::{
    cart::v1::{GetCartRequest, cart_service_client::CartServiceClient},
    profile::v1::{GetProfileRequest, profile_service_client::ProfileServiceClient},
};
use tonic::{Code, Request, Status, metadata::AsciiMetadataValue, transport::Channel};

use crate::{
    auth::Guest,
    load::{Connection, Target},
};

/// The gateway's reason for giving up what it had begun.
const ENDED: &[u8] = b"AUTHORIZATION_ENDED";

/// One place that must refuse.
pub(super) enum Door {
    /// A gateway, by the session's cookie.
    Gateway(Connection, SocketAddr),
    /// The cart service, by the token.
    Cart(CartServiceClient<Channel>),
    /// The profile service, by the token.
    Profile(ProfileServiceClient<Channel>),
}

/// A session and what it has been given.
pub(super) struct Visitor {
    pub(super) guest: Guest,
    pub(super) cart_token: String,
    pub(super) profile_token: String,
}

impl Door {
    /// The gateway that listens there.
    pub(super) async fn gateway(address: SocketAddr) -> anyhow::Result<Self> {
        let connection = Connection::open(address).await?;
        Ok(Self::Gateway(connection, address))
    }

    /// The cart service that listens there.
    pub(super) fn cart(address: SocketAddr) -> anyhow::Result<Self> {
        Ok(Self::Cart(CartServiceClient::new(channel(address)?)))
    }

    /// The profile service that listens there.
    pub(super) fn profile(address: SocketAddr) -> anyhow::Result<Self> {
        Ok(Self::Profile(ProfileServiceClient::new(channel(address)?)))
    }

    /// Whether the visitor gets what is theirs. Anything but that or a refusal is an error.
    pub(super) async fn serves(&mut self, visitor: &Visitor) -> anyhow::Result<bool> {
        match self {
            Self::Gateway(connection, address) => {
                let answer = connection.ask(&visitor.request(address.port())).await?;
                let subject = visitor.guest.subject.as_bytes();
                match answer.status {
                    // Without a session the same path answers to `anonymous`.
                    200 => Ok(contains(answer.body, subject)),
                    401 => Ok(false),
                    // What was under way when the session ended.
                    503 if contains(answer.body, ENDED) => Ok(false),
                    status => bail!("{status}: {}", String::from_utf8_lossy(answer.body)),
                }
            }
            Self::Cart(client) => {
                let request = with_token(GetCartRequest {}, &visitor.cart_token)?;
                is_served(client.get_cart(request).await)
            }
            Self::Profile(client) => {
                let request = with_token(GetProfileRequest {}, &visitor.profile_token)?;
                is_served(client.get_profile(request).await)
            }
        }
    }
}

impl Visitor {
    /// The session's cookie, as a header has it.
    pub(super) fn cookie(&self) -> String {
        format!("__Host-Http-session={}", self.guest.secret)
    }

    /// The logout, as it goes over the wire to a gateway's port.
    pub(super) fn logout(&self, port: u16) -> Vec<u8> {
        format!(
            "POST /auth/logout HTTP/1.1\r\nHost: localhost:{port}\r\n\
             Origin: http://localhost:{port}\r\nCookie: {}\r\nContent-Length: 0\r\n\r\n",
            self.cookie()
        )
        .into_bytes()
    }

    fn request(&self, port: u16) -> Vec<u8> {
        Target::get("", port, "/api/profile", Some(&self.cookie())).request
    }
}

fn contains(body: &[u8], text: &[u8]) -> bool {
    body.windows(text.len()).any(|part| part == text)
}

fn channel(address: SocketAddr) -> anyhow::Result<Channel> {
    let options = grpc::ConnectOptions::default();
    Ok(grpc::connect(&format!("http://{address}"), options)?)
}

fn with_token<T>(message: T, token: &str) -> anyhow::Result<Request<T>> {
    let mut request = Request::new(message);
    let value: AsciiMetadataValue = format!("Bearer {token}").parse().context("no header")?;
    request.metadata_mut().insert("authorization", value);
    Ok(request)
}

fn is_served<T>(answer: Result<T, Status>) -> anyhow::Result<bool> {
    match answer {
        Ok(_) => Ok(true),
        Err(status) if status.code() == Code::Unauthenticated => Ok(false),
        Err(status) => Err(status.into()),
    }
}
