//! Starting and stopping.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use gateway::config::{Access, UpstreamSettings};

use crate::harness::{eventually, world, world_unready, world_with};

#[tokio::test]
async fn a_stop_under_load_fails_no_request() {
    let world = world().await;
    let ann = world.sign_in("ann@example.com").await;
    let stopped = AtomicBool::new(false);
    let answered = AtomicUsize::new(0);
    let client = async || {
        while !stopped.load(Ordering::SeqCst) {
            match world.ask("GET", "/api/cart").cookie(&ann).try_send().await {
                Ok(answer) => {
                    assert_eq!(answer.status, 200, "{answer:?}");
                    answered.fetch_add(1, Ordering::SeqCst);
                }
                // The listener is closed: nothing was sent, so nothing failed.
                Err(error) => assert!(error.is_connect(), "{error:?}"),
            }
        }
    };
    let stopping = async {
        eventually(async || answered.load(Ordering::SeqCst) > 50).await;
        world.shutdown.cancel();
        eventually(async || world.served.is_finished()).await;
        stopped.store(true, Ordering::SeqCst);
    };
    tokio::join!(client(), client(), client(), client(), stopping);
    assert!(world.served.await.unwrap().is_ok());
}

#[tokio::test]
async fn a_request_under_way_is_finished() {
    let world = world().await;
    world.cart.set_open(false);
    let (answer, ()) = tokio::join!(world.get("/api/cart"), async {
        eventually(async || world.cart.seen().len() == 1).await;
        world.shutdown.cancel();
        eventually(async || !world.is_ready().await).await;
        world.cart.set_open(true);
    });
    assert_eq!(answer.status, 200);
    assert!(world.served.await.unwrap().is_ok());
}

#[tokio::test]
async fn a_service_that_is_not_up_yet_takes_nothing_from_the_others() {
    let world = world_unready(|config| {
        config.upstreams.push(UpstreamSettings::new(
            "late",
            // Nobody listens on the discard port here.
            "http://127.0.0.1:9",
            "late-service",
            Access::Anyone,
        ));
    })
    .await;
    eventually(async || world.get("/api/cart").await.status == 200).await;
    assert!(!world.is_ready().await);
    let answer = world.get("/api/late").await;
    assert_eq!(
        (answer.status.as_u16(), answer.reason().as_str()),
        (503, "NOT_READY")
    );
    assert!(answer.headers.contains_key(http::header::RETRY_AFTER));
    assert_eq!(world.get("/auth/session").await.status, 200);
    assert_eq!(world.get("/").await.status, 200);
}

#[tokio::test]
async fn services_whose_routes_contradict_each_other_do_not_become_ready() {
    let world = world_unready(|config| {
        let mut twin = config.upstreams[0].clone();
        twin.name = "twin".into();
        config.upstreams.push(twin);
    })
    .await;
    // The first one's routes stay.
    eventually(async || world.get("/api/cart").await.status == 200).await;
    assert!(!world.is_ready().await);
}

#[tokio::test]
async fn two_gateways_can_run_in_one_process() {
    let (one, two) = tokio::join!(world(), world_with(|_| {}));
    assert_eq!(one.get("/api/cart").await.status, 200);
    assert_eq!(two.get("/api/cart").await.status, 200);
}
