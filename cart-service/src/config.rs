//! The settings of this program. Every mistake in them is reported at once.

#[cfg(test)]
mod tests;

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
};

use chassis::{
    grpc::GrpcLimits, settings::Section, telemetry::TelemetrySettings, verifier::TokenSettings,
};

/// This service's name as an audience: tokens for any other are refused.
pub const AUDIENCE: &str = "cart-service";

const LISTEN: SocketAddr = loopback(50052);
const OPERATIONS_LISTEN: SocketAddr = loopback(9092);
/// Below the directory in which the program is started.
const DATABASE: &str = "cart.db";
/// On, because people debug with grpcurl. It shows what the `.proto` files say.
const REFLECTION: bool = true;

/// Everything that can be set.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where gRPC is served.
    pub listen: SocketAddr,
    /// Where `/livez`, `/readyz` and `/metrics` are served.
    pub operations_listen: SocketAddr,
    /// The SQLite file. Made if it is not there.
    pub database: PathBuf,
    /// Whether gRPC reflection answers.
    pub reflection: bool,
    /// Bounds of the gRPC server.
    pub limits: GrpcLimits,
    /// Whose tokens are accepted.
    pub tokens: TokenSettings,
    /// How to log.
    pub telemetry: TelemetrySettings,
}

impl Config {
    /// The defaults, for somebody who embeds the service.
    pub fn new(database: PathBuf, tokens: TokenSettings) -> Self {
        Self {
            listen: LISTEN,
            operations_listen: OPERATIONS_LISTEN,
            database,
            reflection: REFLECTION,
            limits: GrpcLimits::default(),
            tokens,
            telemetry: TelemetrySettings::default(),
        }
    }

    /// Reads the settings; `None` after a mistake, which the section has noted.
    pub fn read(section: &mut Section<'_>) -> Option<Self> {
        let listen = section.value("listen", LISTEN);
        let operations_listen = section.value("operations_listen", OPERATIONS_LISTEN);
        let database = section.path("database").unwrap_or_else(|| DATABASE.into());
        let reflection = section.value("reflection", REFLECTION);
        let limits = section.section("limits", |limits| GrpcLimits::default().read(limits));
        let tokens = section.section("tokens", |tokens| TokenSettings::read(tokens, AUDIENCE));
        let telemetry = section.section("telemetry", TelemetrySettings::read);
        Some(Self {
            listen,
            operations_listen,
            database,
            reflection,
            limits,
            tokens: tokens?,
            telemetry,
        })
    }
}

const fn loopback(port: u16) -> SocketAddr {
    SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), port)
}
