//! The generated service in place of a channel: all of gRPC but the socket.

use proto::auth::v1::revocation_service_server::{RevocationService, RevocationServiceServer};
use tokio_stream::StreamExt as _;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Request, Response};

use super::*;
use crate::revocations::fixtures::{LOG, at_ms, heartbeat, key_set, opening};

struct Served(Vec<WatchResponse>);

#[tonic::async_trait]
impl RevocationService for Served {
    type WatchStream = ReceiverStream<Result<WatchResponse, Status>>;

    async fn watch(
        &self,
        request: Request<WatchRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        if request.get_ref().after_seq == 13 {
            return Err(Status::unavailable("stopping"));
        }
        let (sender, receiver) = tokio::sync::mpsc::channel(8);
        for message in &self.0 {
            sender.try_send(Ok(message.clone())).unwrap();
        }
        Ok(Response::new(ReceiverStream::new(receiver)))
    }
}

fn feed(messages: Vec<WatchResponse>) -> impl Feed {
    GrpcFeed::new(RevocationServiceServer::new(Served(messages)))
}

#[tokio::test]
async fn brings_the_services_messages() {
    let messages = vec![opening(LOG, 0, 0, at_ms(0)), heartbeat(0, at_ms(1))];
    let mut feed = feed(messages.clone());
    let stream = feed.watch(WatchRequest::default()).await.unwrap();
    let brought: Vec<_> = stream.map(Result::unwrap).collect().await;
    assert_eq!(brought, messages);
}

#[tokio::test]
async fn a_refusal_is_a_refusal() {
    let mut feed = feed(Vec::new());
    let request = WatchRequest {
        log_id: LOG.to_owned(),
        after_seq: 13,
    };
    let refused = feed.watch(request).await.err().unwrap();
    assert_eq!(refused.code(), Code::Unavailable);
}

#[tokio::test]
async fn a_message_too_large_ends_the_stream() {
    let huge = key_set(&"x".repeat(MAX_MESSAGE_BYTES + 1));
    let mut feed = feed(vec![opening(LOG, 0, 0, at_ms(0)), huge]);
    let mut stream = feed.watch(WatchRequest::default()).await.unwrap();
    assert!(stream.next().await.unwrap().is_ok());
    let refused = stream.next().await.unwrap().unwrap_err();
    assert_eq!(refused.code(), Code::OutOfRange);
}
