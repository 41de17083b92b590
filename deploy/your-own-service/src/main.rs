use std::error::Error;

use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    let listener = TcpListener::bind("127.0.0.1:50054").await?;
    greeter::serve(listener, "http://127.0.0.1:8081/.well-known/jwks.json").await
}
