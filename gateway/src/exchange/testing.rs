//! A revocation feed that a test speaks.

use std::sync::{Arc, Mutex, MutexGuard};

use chassis::{Clock as _, ManualClock};
use futures::{Stream, stream};
use jiff::Timestamp;
use proto::auth::v1::{
    Heartbeat, Opening, Revocation, RevocationBatch, SubjectRevocation, WatchRequest,
    WatchResponse, revocation::Target, watch_response::Event,
};
use token_verifier::{Feed, FollowOptions, OnStale, Revocations};
use tokio::sync::mpsc;
use tonic::Status;

type Told = Result<WatchResponse, Status>;

/// The auth service's end of a feed. Closed until it is opened.
#[derive(Clone)]
pub(crate) struct Spoken {
    clock: ManualClock,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    is_open: bool,
    head: u64,
    listener: Option<mpsc::UnboundedSender<Told>>,
}

impl Feed for Spoken {
    async fn watch(
        &mut self,
        request: WatchRequest,
    ) -> Result<impl Stream<Item = Told> + Send + Unpin, Status> {
        let mut state = self.state();
        if !state.is_open {
            return Err(Status::unavailable("closed"));
        }
        let (send, mut receive) = mpsc::unbounded_channel();
        state.listener = Some(send);
        state.say(Event::Opening(Opening {
            log_id: "log".into(),
            after_seq: request.after_seq,
            head_seq: state.head,
            now_us: self.clock.now().as_microsecond(),
        }));
        Ok(stream::poll_fn(move |context| receive.poll_recv(context)))
    }
}

/// A follower, and who speaks to it. Needs a runtime.
pub(crate) fn followed(clock: &ManualClock, on_stale: OnStale) -> (Revocations, Spoken) {
    let spoken = Spoken {
        clock: clock.clone(),
        state: Arc::default(),
    };
    let options = FollowOptions::default().on_stale(on_stale);
    let (revocations, driver) =
        Revocations::follow(spoken.clone(), options, Arc::new(clock.clone()));
    tokio::spawn(driver);
    (revocations, spoken)
}

impl Spoken {
    /// Whoever asks gets an answer from here on.
    pub(crate) fn open(&self) {
        self.state().is_open = true;
    }

    /// Nobody hears anything from here on.
    pub(crate) fn close(&self) {
        let mut state = self.state();
        state.is_open = false;
        state.listener = None;
    }

    pub(crate) fn heartbeat(&self) {
        let state = self.state();
        state.say(Event::Heartbeat(Heartbeat {
            head_seq: state.head,
            now_us: self.clock.now().as_microsecond(),
        }));
    }

    pub(crate) fn revoke_subject(&self, subject: &str, issued_before: Timestamp) {
        self.revoke(Target::Subject(SubjectRevocation {
            subject: subject.into(),
            issued_before_s: issued_before.as_second(),
        }));
    }

    pub(crate) fn revoke_key(&self, key_id: &str) {
        self.revoke(Target::KeyId(key_id.into()));
    }

    fn revoke(&self, target: Target) {
        let now = self.clock.now();
        let mut state = self.state();
        let after_seq = state.head;
        state.head += 1;
        state.say(Event::Batch(RevocationBatch {
            after_seq,
            through_seq: state.head,
            revocations: vec![Revocation {
                seq: state.head,
                target: Some(target),
                revoked_at_us: now.as_microsecond(),
                expires_at_s: now.as_second() + 360,
            }],
        }));
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }
}

impl State {
    fn say(&self, event: Event) {
        if let Some(listener) = &self.listener {
            // A follower that has gone asks again.
            let _ = listener.send(Ok(WatchResponse { event: Some(event) }));
        }
    }
}
