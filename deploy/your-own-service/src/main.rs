use std::error::Error;

use chassis::revocations::RevocationSettings;
use tokio::net::TcpListener;

const AUTH: &str = "http://127.0.0.1:50051";
const JWKS: &str = "http://127.0.0.1:8081/.well-known/jwks.json";
/// Who this program is to the auth service.
const KEY: &str = "deploy/local/data/workloads/greeter.pem";

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    let listener = TcpListener::bind("127.0.0.1:50054").await?;
    let feed = RevocationSettings::new(AUTH, "greeter", KEY.into());
    greeter::serve(listener, JWKS, feed).await
}
