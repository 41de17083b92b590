use std::str::FromStr;

use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions, Connection};
use tonic::Code;

use crate::support::{Auth, PASSWORD, check_refused};

pub(crate) async fn other_program(auth: &Auth) -> SqliteConnection {
    let url = format!("sqlite:{}", auth.home.path("auth.db").display());
    SqliteConnectOptions::from_str(&url)
        .unwrap()
        .connect()
        .await
        .unwrap()
}

#[tokio::test]
async fn a_locked_database_is_an_outage_and_never_a_logout() {
    let auth = Auth::start().await;
    let mut gateway = auth.gateway();
    let secret = gateway
        .register("ada@example.com")
        .await
        .session
        .unwrap()
        .session_secret;
    let mut other = other_program(&auth).await;
    sqlx::query("BEGIN IMMEDIATE")
        .execute(&mut other)
        .await
        .unwrap();

    let (guest, login) = {
        let (mut one, mut two) = (gateway.clone(), gateway.clone());
        let login = async move { two.login("ada@example.com", PASSWORD).await };
        tokio::join!(async move { one.guest().await }, login)
    };
    let status = check_refused(guest, Code::Unavailable, "STORE_UNAVAILABLE");
    assert!(chassis::status::retry_delay_of(&status).is_some());
    check_refused(login, Code::Unavailable, "STORE_UNAVAILABLE");
    gateway
        .exchange(&secret, "cart-service")
        .await
        .expect("reading needs no lock");

    sqlx::query("ROLLBACK").execute(&mut other).await.unwrap();
    other.close().await.unwrap();
    gateway
        .guest()
        .await
        .expect("it recovers without a restart");
    auth.stop().await;
}

#[tokio::test]
async fn a_lost_database_never_says_that_a_session_is_over() {
    let auth = Auth::start().await;
    let mut gateway = auth.gateway();
    let secret = gateway.guest().await.unwrap().session_secret;
    let mut other = other_program(&auth).await;
    sqlx::query("ALTER TABLE sessions RENAME TO lost")
        .execute(&mut other)
        .await
        .unwrap();
    let status = gateway.exchange(&secret, "cart-service").await.unwrap_err();
    assert!(
        matches!(status.code(), Code::Internal | Code::Unavailable),
        "{status:?}"
    );
    assert!(!status.message().contains("sessions"), "{status:?}");
    sqlx::query("ALTER TABLE lost RENAME TO sessions")
        .execute(&mut other)
        .await
        .unwrap();
    gateway
        .exchange(&secret, "cart-service")
        .await
        .expect("nothing negative was kept");
    auth.stop().await;
}
