//! The gateway: the only part of Latchkey that a browser can reach.

mod exchange;

pub use exchange::UpstreamToken;
