use tokio::sync::oneshot::{self, error::TryRecvError};

use super::*;

struct Program {
    until: CancellationToken,
    program: CancellationToken,
    vital: Vital,
}

impl Program {
    fn new() -> Self {
        let (until, program) = (CancellationToken::new(), CancellationToken::new());
        Self {
            vital: Vital::new(until.clone(), program.clone()),
            until,
            program,
        }
    }

    /// Starts work, and says when its loss was noticed.
    fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) -> oneshot::Receiver<()> {
        let (say, noticed) = oneshot::channel();
        let on_loss = || say.send(()).unwrap();
        self.vital.spawn("the work", work, on_loss);
        noticed
    }
}

#[tokio::test]
async fn lost_work_stops_the_program() {
    let works: [fn(); 2] = [|| panic!("a bug"), || ()];
    for work in works {
        let program = Program::new();
        let noticed = program.spawn(async move { work() });
        program.program.cancelled().await;
        noticed.await.unwrap();
        assert_eq!(program.vital.check(), Err(Lost("the work")));
        assert!(!program.until.is_cancelled());
    }
}

#[tokio::test]
async fn what_is_stopped_is_not_lost() {
    let program = Program::new();
    let (held, mut dropped) = oneshot::channel::<()>();
    let noticed = program.spawn(async move {
        let _held = held;
        std::future::pending().await
    });
    program.until.cancel();
    program.vital.stopped().await;
    assert_eq!(dropped.try_recv(), Err(TryRecvError::Closed));
    noticed.await.unwrap_err();
    assert_eq!(program.vital.check(), Ok(()));
    assert!(!program.program.is_cancelled());
}
