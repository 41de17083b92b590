//! How many requests at once, and for how long.

use axum::{
    extract::{Request, State},
    middleware::Next,
    response::Response,
};

use super::admission;
use crate::{error::Error, gateway::Shared};

/// Sheds what is too much and ends what takes too long. A streamed answer counts until
/// its head is ready; from there the upstream's own deadline holds.
pub(crate) async fn limit(
    State(gateway): State<Shared>,
    request: Request,
    next: Next,
) -> Result<Response, Error> {
    let address = admission::client_of(&gateway, &request);
    let _place = gateway
        .in_flight
        .take(address)
        .map_err(|_cap| Error::Overloaded)?;
    tokio::time::timeout(gateway.limits.request_timeout, next.run(request))
        .await
        .map_err(|_| Error::Late)
}
