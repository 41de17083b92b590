use super::*;

#[test]
fn ready_when_all_gates_are_open() {
    let readiness = Readiness::new();
    assert!(readiness.is_ready());
    let keys = readiness.gate("keys");
    let store = readiness.gate("store");
    assert_eq!(readiness.not_ready_names(), ["keys", "store"]);
    keys.set(true);
    assert!(!readiness.is_ready());
    assert_eq!(readiness.not_ready_names(), ["store"]);
    store.set(true);
    assert!(readiness.is_ready());
    assert!(readiness.not_ready_names().is_empty());
}

#[test]
fn a_stop_is_final() {
    let readiness = Readiness::new();
    let keys = readiness.gate("keys");
    readiness.stop();
    keys.set(true);
    assert!(!readiness.is_ready());
    assert_eq!(readiness.not_ready_names(), ["stopping"]);
}

#[tokio::test]
async fn waiters_see_the_change() {
    let readiness = Readiness::new();
    let gate = readiness.gate("keys");
    let waiting = tokio::spawn({
        let readiness = readiness.clone();
        async move { readiness.ready().await }
    });
    gate.set(true);
    waiting.await.unwrap();
}
