//! What watches over a request after it was let in: that its token is still good.
//!
//! A call that is answered at once costs a look at the clock. What is watched is set up
//! when the handler first has to wait, or when a response turns out to be more than one
//! piece.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use pin_project_lite::pin_project;
use tokio::time::{Instant, Sleep, sleep};

use crate::VerifyError;
use crate::open_streams::OpenStream;
use crate::revocations::Subscription;
use crate::verified::{Lease, VerifiedToken};
use crate::verifier::TokenVerifier;

/// The guard of one request.
pub(crate) struct Guard {
    verifier: Arc<TokenVerifier>,
    lease: Lease,
    /// In which protocol to say that it is over.
    pub(crate) is_grpc: bool,
    watch: Option<Pin<Box<Watch>>>,
}

pin_project! {
    /// Who wakes the request's task when its token may have ended, or lives longer.
    struct Watch {
        subscription: Option<Subscription>,
        open: Option<OpenStream>,
        #[pin]
        expiry: Sleep,
    }
}

impl Guard {
    pub(crate) fn new(verifier: Arc<TokenVerifier>, token: VerifiedToken, is_grpc: bool) -> Self {
        Self {
            lease: verifier.lease(token),
            verifier,
            is_grpc,
            watch: None,
        }
    }

    /// Looks now, if it watches at all: what was let in a moment ago is not asked again.
    pub(crate) fn check(&mut self) -> Result<(), VerifyError> {
        let Some(watch) = &mut self.watch else {
            return Ok(());
        };
        watch.as_mut().take_newer(&self.verifier, &mut self.lease);
        self.verifier.recheck(&self.lease)
    }

    /// Begins to watch: from here on [`check`](Self::check) looks, and newer tokens count.
    pub(crate) fn watch(&mut self) {
        self.watching();
    }

    pub(crate) fn is_watching(&self) -> bool {
        self.watch.is_some()
    }

    /// Ready with the reason once the token has ended; otherwise whoever can end it, and
    /// the clock, will wake the task.
    pub(crate) fn poll_ended(&mut self, cx: &mut Context<'_>) -> Poll<VerifyError> {
        self.watching();
        let Some(watch) = &mut self.watch else {
            return Poll::Pending;
        };
        watch.as_mut().listen(cx);
        watch.as_mut().take_newer(&self.verifier, &mut self.lease);
        if let Poll::Ready(error) = watch.as_mut().poll_revoked(cx) {
            return Poll::Ready(error);
        }
        loop {
            if let Err(error) = self.verifier.recheck(&self.lease) {
                return Poll::Ready(error);
            }
            if watch.as_mut().project().expiry.poll(cx).is_pending() {
                return Poll::Pending;
            }
            // The timer is tokio's, the token's end our clock's.
            let remaining = remaining(&self.verifier, &self.lease);
            watch.as_mut().expire_in(remaining);
        }
    }

    fn watching(&mut self) {
        let Self {
            verifier, lease, ..
        } = self;
        self.watch
            .get_or_insert_with(|| Box::pin(Watch::over(verifier, lease)));
    }
}

impl std::fmt::Debug for Guard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Guard")
            .field("lease", &self.lease)
            .field("is_watching", &self.watch.is_some())
            .finish_non_exhaustive()
    }
}

impl Watch {
    fn over(verifier: &TokenVerifier, lease: &Lease) -> Self {
        Self {
            subscription: subscribe(verifier, &lease.token),
            open: verifier.open_streams().add(lease),
            expiry: sleep(remaining(verifier, lease)),
        }
    }

    fn listen(self: Pin<&mut Self>, cx: &mut Context<'_>) {
        if let Some(open) = self.project().open {
            open.listen(cx.waker());
        }
    }

    /// Goes on under the session's newer token, if there is one: with that it lives, and
    /// with that it ends.
    fn take_newer(mut self: Pin<&mut Self>, verifier: &TokenVerifier, lease: &mut Lease) {
        let this = self.as_mut().project();
        let Some(newer) = this.open.as_ref().and_then(OpenStream::take_newer) else {
            return;
        };
        *lease = newer;
        *this.subscription = subscribe(verifier, &lease.token);
        self.expire_in(remaining(verifier, lease));
    }

    fn poll_revoked(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<VerifyError> {
        match self.project().subscription {
            Some(subscription) => subscription.poll_ended(cx).map(Into::into),
            None => Poll::Pending,
        }
    }

    fn expire_in(self: Pin<&mut Self>, remaining: Duration) {
        self.project().expiry.reset(Instant::now() + remaining);
    }
}

fn subscribe(verifier: &TokenVerifier, token: &VerifiedToken) -> Option<Subscription> {
    let revocations = verifier.revocations()?;
    Some(revocations.subscribe(*token.revocation_keys()))
}

/// How long the token still counts, and a moment more, so that the timer never fires early
/// and goes round in circles.
fn remaining(verifier: &TokenVerifier, lease: &Lease) -> Duration {
    const MOMENT: Duration = Duration::from_millis(1);
    verifier.remaining(lease).saturating_add(MOMENT)
}
