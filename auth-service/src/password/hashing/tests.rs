use super::*;
use crate::entropy::OsEntropy;

fn password(text: &str) -> Password {
    Password::received(text.to_owned())
}

fn pool(cost: HashCost, permits: usize, queue: usize) -> HashingPool {
    let permits = NonZeroUsize::new(permits).unwrap();
    HashingPool::new(
        HashingSettings {
            cost,
            permits,
            queue,
        },
        Arc::new(OsEntropy),
    )
    .unwrap()
}

/// Work that runs until it is told to stop.
fn blocker() -> (
    std::sync::mpsc::Sender<()>,
    impl FnOnce(&mut Memory) -> Result<(), BoxedError>,
) {
    let (release, wait) = std::sync::mpsc::channel();
    (release, move |_: &mut Memory| Ok(wait.recv()?))
}

async fn until(pool: &HashingPool, waiting: usize, running: usize) {
    while (pool.stats().waiting, pool.stats().running) != (waiting, running) {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_full_queue_sheds() {
    let pool = pool(HashCost::insecure_for_tests(), 1, 1);
    let (release, work) = blocker();
    let running = tokio::spawn({
        let pool = pool.clone();
        async move { pool.run(work).await }
    });
    until(&pool, 0, 1).await;
    let waiting = tokio::spawn({
        let pool = pool.clone();
        async move { pool.verify(password("x"), None).await }
    });
    until(&pool, 1, 1).await;

    let shed = pool.hash(password("hunter22")).await;
    assert!(matches!(shed, Err(HashingError::Shed { retry_after }) if !retry_after.is_zero()));
    assert_eq!(
        pool.stats(),
        HashingStats {
            waiting: 1,
            running: 1,
            shed: 1
        }
    );

    release.send(()).unwrap();
    running.await.unwrap().unwrap();
    assert!(!waiting.await.unwrap().unwrap());
    assert!(pool.hash(password("hunter22")).await.is_ok());
    assert_eq!(
        pool.stats(),
        HashingStats {
            waiting: 0,
            running: 0,
            shed: 1
        }
    );
}

#[tokio::test]
async fn a_caller_that_goes_away_leaks_no_permit() {
    let pool = pool(HashCost::insecure_for_tests(), 1, 1);
    let (release, work) = blocker();
    let running = tokio::spawn({
        let pool = pool.clone();
        async move { pool.run(work).await }
    });
    until(&pool, 0, 1).await;
    let waiting = tokio::spawn({
        let pool = pool.clone();
        async move { pool.verify(password("x"), None).await }
    });
    until(&pool, 1, 1).await;

    waiting.abort();
    until(&pool, 0, 1).await;
    // The work goes on without its caller, and so does its permit.
    running.abort();
    assert!(running.await.is_err());
    assert_eq!(pool.stats().running, 1);
    release.send(()).unwrap();
    until(&pool, 0, 0).await;
    assert!(pool.hash(password("hunter22")).await.is_ok());
}

#[tokio::test]
async fn a_panic_is_an_error_and_leaks_no_permit() {
    let pool = pool(HashCost::insecure_for_tests(), 1, 0);
    let failed = pool
        .run(|_| -> Result<(), _> { panic!("seen in a test") })
        .await;
    assert!(matches!(failed, Err(HashingError::Failed(_))));
    assert!(pool.hash(password("hunter22")).await.is_ok());
}
