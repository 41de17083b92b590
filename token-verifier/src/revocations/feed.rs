//! Where revocations come from: a stream of [`WatchResponse`]s.

use std::fmt;

use bytes::Bytes;
use http_body::Body;
use proto::auth::v1::revocation_service_client::RevocationServiceClient;
use proto::auth::v1::{WatchRequest, WatchResponse};
use tokio_stream::Stream;
use tonic::Status;
use tonic::client::GrpcService;

/// A batch is at most 1 MiB, a JWKS document at most 64 KiB. Whatever is larger is not the
/// feed, and is refused before it is in memory.
const MAX_MESSAGE_BYTES: usize = 4 * 1024 * 1024;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Opens streams of the revocation log.
pub trait Feed: Send + 'static {
    /// Asks for the log from where `request` says. Called again whenever a stream has
    /// ended.
    fn watch(
        &mut self,
        request: WatchRequest,
    ) -> impl Future<
        Output = Result<impl Stream<Item = Result<WatchResponse, Status>> + Send + Unpin, Status>,
    > + Send;
}

/// The auth service's feed, over a channel that signs its calls with the workload's
/// assertion.
pub struct GrpcFeed<S> {
    client: RevocationServiceClient<S>,
}

impl<S> GrpcFeed<S>
where
    S: GrpcService<tonic::body::Body>,
    S::Error: Into<BoxError>,
    S::ResponseBody: Body<Data = Bytes> + Send + 'static,
    <S::ResponseBody as Body>::Error: Into<BoxError> + Send,
{
    /// The feed of the auth service behind `channel`.
    #[must_use]
    pub fn new(channel: S) -> Self {
        let client =
            RevocationServiceClient::new(channel).max_decoding_message_size(MAX_MESSAGE_BYTES);
        Self { client }
    }
}

impl<S> Feed for GrpcFeed<S>
where
    S: GrpcService<tonic::body::Body> + Send + 'static,
    S::Error: Into<BoxError>,
    S::Future: Send,
    S::ResponseBody: Body<Data = Bytes> + Send + 'static,
    <S::ResponseBody as Body>::Error: Into<BoxError> + Send,
{
    async fn watch(
        &mut self,
        request: WatchRequest,
    ) -> Result<impl Stream<Item = Result<WatchResponse, Status>> + Send + Unpin, Status> {
        Ok(self.client.watch(request).await?.into_inner())
    }
}

impl<S> fmt::Debug for GrpcFeed<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GrpcFeed").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
