//! Verifies Latchkey's access tokens locally, in any tonic or tower HTTP service.
//!
//! An access token is a short-lived JWT after [RFC 9068], signed by the auth service for
//! exactly one audience. This crate finds the issuer's key by the token's `kid`, checks
//! type, algorithm, signature, issuer, audience and times, and hands the handler a
//! [`VerifiedToken`], which nothing else can make. A request never waits for another
//! process: keys are fetched off its path, and tokens already seen are remembered.
//!
//! ```no_run
//! use std::sync::Arc;
//! use token_verifier::{Expectations, Keys, RemoteOptions, SystemClock, TokenVerifier, VerifyTokenLayer};
//!
//! # async fn example(routes: tonic::service::Routes) -> Result<(), Box<dyn std::error::Error>> {
//! let (keys, driver) = Keys::remote(RemoteOptions::new("http://localhost:8081/.well-known/jwks.json")?);
//! tokio::spawn(driver);
//! let expectations = Expectations {
//!     issuer: "http://localhost:8081".to_owned(),
//!     audience: "cart-service".to_owned(),
//! };
//! let verifier = TokenVerifier::new(expectations, keys, Arc::new(SystemClock));
//! let guard = VerifyTokenLayer::new(verifier);
//! tonic::transport::Server::builder().layer(guard).add_routes(routes).serve("[::1]:50052".parse()?).await?;
//! # Ok(())
//! # }
//! ```
//!
//! In a handler, [`caller`] says who calls:
//!
//! ```
//! # struct GetCartRequest;
//! # fn get_cart(request: &tonic::Request<GetCartRequest>) -> Result<(), tonic::Status> {
//! let subject = token_verifier::caller(request)?.subject();
//! # Ok(())
//! # }
//! ```
//!
//! # What is believed
//!
//! - `typ` must say `at+jwt`; a token of any other kind is refused, whoever signed it.
//! - The algorithm is the key's, Ed25519 or ES256. The token's `alg` must agree and decides
//!   nothing.
//! - Keys come from the configured address alone. A token that brings or points to a key
//!   (`jwk`, `jku`, `x5c`, `x5u`) is refused.
//! - `aud` must name this service and no other, as a string or an array of one.
//! - `exp`, `iat` and `nbf` are whole seconds, and clocks may differ by [`LEEWAY`]: a
//!   token is accepted until 5 s after its `exp`.
//! - Base64url and JSON are read strictly: one spelling, no member twice, bounded in
//!   length and depth.
//!
//! # When a token ends
//!
//! So does what it opened: see [`VerifyTokenLayer`](VerifyTokenLayer#open-streams).
//!
//! # When a session ends
//!
//! Then its tokens are refused here before they expire: [`Revocations`] follows the auth
//! service's log of what is revoked, and [`TokenVerifier::with_revocations`] asks it at
//! every use of a token, in memory and without a lock.
//!
//! ```no_run
//! # use std::sync::Arc;
//! # use token_verifier::{FollowOptions, GrpcFeed, Revocations, SystemClock, TokenVerifier};
//! # async fn example(verifier: TokenVerifier, channel: tonic::transport::Channel) {
//! let feed = GrpcFeed::new(channel); // one that signs its calls
//! let (revocations, driver) =
//!     Revocations::follow(feed, FollowOptions::default(), Arc::new(SystemClock));
//! tokio::spawn(driver);
//! let verifier = verifier.with_revocations(revocations);
//! # }
//! ```
//!
//! - Before the first snapshot nothing is accepted: tokens are refused as
//!   [`VerifyError::RevocationsUnavailable`], which callers see as `UNAVAILABLE` or 503.
//! - While the feed is silent, what is known counts: a session that ends meanwhile is
//!   served until its token expires. With [`OnStale::Refuse`] nothing is accepted once
//!   [`FollowOptions::heartbeat_timeout`] has passed without proof that nothing is missing.
//! - A token is refused for its session, its subject or its key, never for its text:
//!   signed again or spelled differently, it is still a token of that session.
//! - `exp`, `iat` and `nbf` are judged by the auth service's clock, as the feed last told it,
//!   and our monotonic one since. So once the feed has spoken, setting this machine's wall
//!   clock changes nothing about tokens. Until then, and without [`Revocations`], the wall
//!   clock counts; the age of [saved keys](RemoteOptions::saved_at) is always told by it.
//! - That clock is believed, right or wrong. If it is set, tokens are judged by the new time
//!   from the next message on: those issued before may be refused, as expired or from the
//!   future, until their callers have new ones. What is open already stays open for as long
//!   as its token had when it was let in or renewed. Auth services whose clocks differ
//!   by more than [`LEEWAY`] refuse each other's tokens in this way.
//! - Time in which this machine is suspended counts where [`SystemClock`] can tell.
//!
//! # When keys are away
//!
//! The last good set is kept ([`RemoteOptions::max_stale`]), on disk too if there is a place
//! for it ([`RemoteOptions::saved_at`]). Without one, tokens are refused as
//! [`VerifyError::KeysUnavailable`], which callers see as `UNAVAILABLE` or 503: an outage
//! of ours is never a reason to sign anybody out.
//!
//! [RFC 9068]: https://www.rfc-editor.org/rfc/rfc9068

#![warn(missing_docs, missing_debug_implementations)]

mod algorithm;
mod bearer;
mod by_session;
mod claims;
mod clock;
mod error;
mod guard;
mod guarded_body;
mod json;
mod key_set;
mod keys;
mod layer;
mod open_paths;
mod open_streams;
mod refusal;
mod remote;
mod renewal;
mod revocations;
mod service;
mod subject;
#[cfg(feature = "testing")]
pub mod testing;
mod unverified;
mod verified;
mod verifier;

pub use algorithm::Algorithm;
pub use claims::{Actor, ClaimsError};
pub use clock::{Clock, ManualClock, SystemClock};
pub use error::VerifyError;
pub use guarded_body::{GuardedBody, TokenEnded};
pub use json::JsonError;
pub use key_set::{JwksError, KeySet};
pub use keys::Keys;
pub use layer::VerifyTokenLayer;
pub use remote::{FetchError, RemoteError, RemoteOptions};
pub use revocations::{
    Feed, FeedState, FollowOptions, FollowerHandle, GrpcFeed, OnStale, OnStaleError, Resync,
    RevocationError, RevocationKeys, Revocations, Subscription,
};
// The machine without its table, for simulations.
#[doc(hidden)]
pub use revocations::{Effects, Follower, Revoked, Target};
pub use service::{ResponseFuture, VerifyToken};
pub use subject::{Subject, SubjectError, SubjectKind};
pub use unverified::MalformedToken;
pub use verified::{VerifiedToken, caller};
pub use verifier::{Expectations, LEEWAY, TokenVerifier};
