//! Work that outlives the request that started it, and still belongs to its trace.

use chassis::{request_id::RequestId, trace_context::TraceContext};
use tokio::task::JoinHandle;
use tracing::Instrument as _;

/// Starts a task that logs and calls as part of the current request.
pub(crate) fn spawn<T: Send + 'static>(
    work: impl Future<Output = T> + Send + 'static,
) -> JoinHandle<T> {
    let id = RequestId::current().unwrap_or_default();
    let trace = TraceContext::current().unwrap_or_default();
    tokio::spawn(
        id.scope(trace.scope(work))
            .instrument(tracing::Span::current()),
    )
}
