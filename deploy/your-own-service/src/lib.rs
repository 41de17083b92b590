//! Greets whoever calls, by the subject of their verified token.

use std::{error::Error, sync::Arc};

use chassis::revocations::RevocationSettings;
use token_verifier::{
    Expectations, FollowOptions, Keys, RemoteOptions, Revocations, SystemClock, TokenVerifier,
    VerifyTokenLayer,
};
use tokio::net::TcpListener;
use tonic::{
    Request, Response, Status,
    transport::{Server, server::TcpIncoming},
};
use v1::{
    GreetRequest, GreetResponse,
    greeter_service_server::{GreeterService, GreeterServiceServer},
};

pub mod v1 {
    tonic::include_proto!("example.greeter.v1");
}

const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/greeter.bin"));

struct Greeter;

#[tonic::async_trait]
impl GreeterService for Greeter {
    async fn greet(
        &self,
        request: Request<GreetRequest>,
    ) -> Result<Response<GreetResponse>, Status> {
        let subject = token_verifier::caller(&request)?.subject().clone();
        let greeting = match request.into_inner().salutation.as_str() {
            "" => format!("Hello, {subject}"),
            salutation => format!("{salutation}, {subject}"),
        };
        Ok(Response::new(GreetResponse { greeting }))
    }
}

pub async fn serve(
    listener: TcpListener,
    jwks_url: &str,
    feed: RevocationSettings,
) -> Result<(), Box<dyn Error + Send + Sync>> {
    let clock = Arc::new(SystemClock);
    let (keys, fetching) = Keys::remote(RemoteOptions::new(jwks_url)?);
    tokio::spawn(fetching);
    let options = FollowOptions::default().keys(keys.clone());
    let (revocations, following) =
        Revocations::follow(feed.feed(clock.clone())?, options, clock.clone());
    tokio::spawn(following);
    let expectations = Expectations {
        issuer: "http://localhost:8081".to_owned(),
        audience: "greeter".to_owned(),
    };
    let verifier = TokenVerifier::new(expectations, keys, clock).with_revocations(revocations);
    // Where the gateway learns what there is to call; older grpcurls ask in v1alpha.
    let reflection = || {
        tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(DESCRIPTORS)
    };
    Server::builder()
        .layer(VerifyTokenLayer::new(verifier))
        .add_service(reflection().build_v1()?)
        .add_service(reflection().build_v1alpha()?)
        .add_service(GreeterServiceServer::new(Greeter))
        .serve_with_incoming(TcpIncoming::from(listener))
        .await?;
    Ok(())
}
