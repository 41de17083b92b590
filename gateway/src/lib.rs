//! The gateway: the only part of Latchkey that a browser can reach.

mod client_address;
mod cookie;
mod credential;
mod csrf;
mod exchange;
mod path;
mod public_origin;

pub use client_address::Network;
pub use exchange::UpstreamToken;
pub use public_origin::{PublicOrigin, PublicOriginError};
