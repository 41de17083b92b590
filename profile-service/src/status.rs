//! What a client sees of each error: the one file here that names status codes.

#[cfg(test)]
mod tests;

use std::{error::Error, time::Duration};

use chassis::status::{invalid, retry_after, status};
use tonic::{Code, Status};

use crate::{
    grpc::CallError,
    store::{StoreError, UpdateError},
};

/// How long a client is asked to wait for the store: longer than a lock or a restart
/// takes, shorter than a person's patience.
const STORE_RETRY_AFTER: Duration = Duration::from_secs(1);

impl From<CallError> for Status {
    fn from(error: CallError) -> Self {
        match error {
            CallError::Invalid(violations) => invalid(violations),
            CallError::SessionRequired => status(
                Code::PermissionDenied,
                "SESSION_REQUIRED",
                "a profile needs the session of a person or a guest",
            ),
            CallError::Update(UpdateError::GuestMerged) => status(
                Code::FailedPrecondition,
                "GUEST_MERGED",
                "the guest has signed in: the profile is in the account now",
            ),
            CallError::Update(UpdateError::Store(error)) => store(&error),
        }
    }
}

fn store(error: &StoreError) -> Status {
    let error_chain = chain(error);
    match error {
        StoreError::Unavailable(_) => {
            tracing::error!(
                reason = "store_unavailable",
                error = error_chain,
                "cannot serve a profile"
            );
            retry_after(
                Code::Unavailable,
                "STORE_UNAVAILABLE",
                "profiles are not available at the moment",
                STORE_RETRY_AFTER,
            )
        }
        StoreError::Broken(_) => {
            tracing::error!(
                reason = "internal",
                error = error_chain,
                "cannot serve a profile"
            );
            status(Code::Internal, "INTERNAL", "internal error")
        }
    }
}

/// The error and its causes in one line, for the log.
fn chain(error: &dyn Error) -> String {
    let mut line = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        line = format!("{line}: {cause}");
        source = cause.source();
    }
    line
}
