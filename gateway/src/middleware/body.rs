//! Reading a request's body: bounded in length and time, never buffered beyond need.

use std::{error::Error as StdError, time::Duration};

use axum::body::Body;
use bytes::Bytes;
use http_body::Body as _;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use serde::de::DeserializeOwned;

use crate::error::Error;

/// The whole body, if it is at most `limit` bytes long and arrives in time.
pub(crate) async fn read(body: Body, limit: usize, timeout: Duration) -> Result<Bytes, Error> {
    // A declared length is believed when it is too long; nothing is read then.
    if body.size_hint().lower() > u64::try_from(limit).unwrap_or(u64::MAX) {
        return Err(Error::BodyTooLarge);
    }
    match tokio::time::timeout(timeout, Limited::new(body, limit).collect()).await {
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) => Err(broken(error)),
        Err(_elapsed) => Err(Error::BodyLate),
    }
}

fn broken(error: Box<dyn StdError + Send + Sync>) -> Error {
    if error.is::<LengthLimitError>() {
        Error::BodyTooLarge
    } else {
        Error::BodyBroken(error)
    }
}

/// A JSON object without unknown or repeated members (the types' `deny_unknown_fields`
/// and serde's derive see to that) and with nothing after it.
pub(crate) fn json<T: DeserializeOwned>(body: &Bytes) -> Result<T, Error> {
    serde_json::from_slice(body).map_err(Error::Json)
}
