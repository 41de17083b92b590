//! What a client sees of each error: the one file here that names status codes.

#[cfg(test)]
mod tests;

use std::{error::Error, time::Duration};

use chassis::status::{invalid, retry_after, status};
use tonic::{Code, Status};

use crate::{
    cart::CartError,
    grpc::CallError,
    store::{ChangeError, StoreError},
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
                "a cart needs the session of a person or a guest",
            ),
            CallError::Change(ChangeError::GuestMerged) => status(
                Code::FailedPrecondition,
                "GUEST_MERGED",
                "the guest has signed in: the cart is in the account now",
            ),
            CallError::Change(ChangeError::Refused(error)) => refused(error),
            CallError::Change(ChangeError::Store(error)) => store(&error),
            CallError::Total(error) => internal(&error),
        }
    }
}

fn refused(error: CartError) -> Status {
    let (code, reason) = match error {
        CartError::QuantityLimit => (Code::FailedPrecondition, "QUANTITY_LIMIT"),
        CartError::Full => (Code::FailedPrecondition, "CART_FULL"),
        CartError::LineNotFound => (Code::NotFound, "LINE_NOT_FOUND"),
        // Only a stored cart can be that, and then the store has said so first.
        CartError::DuplicateLine => return internal(&error),
    };
    status(code, reason, &error.to_string())
}

fn store(error: &StoreError) -> Status {
    match error {
        StoreError::Unavailable(_) => {
            tracing::error!(
                reason = "store_unavailable",
                error = chain(error),
                "cannot serve a cart"
            );
            retry_after(
                Code::Unavailable,
                "STORE_UNAVAILABLE",
                "carts are not available at the moment",
                STORE_RETRY_AFTER,
            )
        }
        StoreError::Broken(_) | StoreError::Damaged { .. } => internal(error),
    }
}

fn internal(error: &dyn Error) -> Status {
    tracing::error!(
        reason = "internal",
        error = chain(error),
        "cannot serve a cart"
    );
    status(Code::Internal, "INTERNAL", "internal error")
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
