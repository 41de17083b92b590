//! Placeholder.
pub mod account;
pub mod accounts;
pub mod email;
pub mod entropy;
pub mod limits;
pub mod password;
pub mod session;
pub mod sessions;
pub mod store;
