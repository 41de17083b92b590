//! The way to the auth service that every subcommand takes, and what it says when
//! it refuses.

use std::{process::ExitCode, sync::Arc};

use anyhow::Context;
use chassis::{
    SystemClock, grpc,
    workload::{AssertionLayer, AssertionSigner, AttachAssertion, WorkloadKey},
};
use tonic::{Code, Status, transport::Channel};
use tower::Layer as _;

use crate::{
    addresses::Addresses,
    command_line,
    data_dir::{COMMAND_WORKLOAD, DataDir},
};

/// Who assertions for the auth service are made out to.
const AUTH_AUDIENCE: &str = "auth-service";

/// A channel on which every call is signed.
pub(crate) type Auth = AttachAssertion<Channel>;

/// Reads the key and says where to; nobody is called yet.
pub(crate) fn open(arguments: &command_line::Connection) -> anyhow::Result<Auth> {
    let (address, name, key) = match (&arguments.auth_address, &arguments.workload_key) {
        (Some(address), Some(file)) => (
            address.clone(),
            arguments.workload_name.as_str(),
            WorkloadKey::load(file)?,
        ),
        _ => {
            let data_dir = DataDir::existing(&arguments.data_dir)?;
            let addresses = Addresses::read(&data_dir.addresses())?;
            let key = WorkloadKey::load(&data_dir.workload_key(COMMAND_WORKLOAD))?;
            (
                format!("http://{}", addresses.auth_grpc),
                COMMAND_WORKLOAD,
                key,
            )
        }
    };
    let signer = AssertionSigner::new(name, key, AUTH_AUDIENCE, Arc::new(SystemClock));
    let channel = grpc::connect(&address, grpc::ConnectOptions::default())
        .context("cannot call the auth service")?;
    Ok(AssertionLayer::new(signer).layer(channel))
}

/// What the auth service answered instead of doing it, in its own words and without
/// tonic's metadata.
#[derive(Debug, thiserror::Error)]
#[error("{}", self.sentence())]
pub(crate) struct Refused {
    code: Code,
    reason: Option<String>,
    message: String,
    violations: Vec<(String, String)>,
}

impl From<Status> for Refused {
    fn from(status: Status) -> Self {
        Self {
            code: status.code(),
            reason: chassis::status::reason_of(&status),
            violations: chassis::status::violations_of(&status),
            message: status.message().to_owned(),
        }
    }
}

impl Refused {
    fn sentence(&self) -> String {
        // Without a reason of ours it never got there, or another program answered.
        let Some(reason) = &self.reason else {
            return format!(
                "no answer from the auth service ({:?}: {})",
                self.code, self.message
            );
        };
        let violations: String = self
            .violations
            .iter()
            .map(|(field, problem)| format!("; {field} {problem}"))
            .collect();
        format!(
            "the auth service answered {reason}: {}{violations}",
            self.message
        )
    }

    /// What a script branches on; the help texts list them.
    pub(crate) fn exit_code(&self) -> ExitCode {
        match self.code {
            Code::NotFound => ExitCode::from(3),
            // Everything here may be run again: ending what is over changes nothing.
            Code::Unavailable
            | Code::DeadlineExceeded
            | Code::Cancelled
            | Code::ResourceExhausted => ExitCode::from(4),
            _ => ExitCode::FAILURE,
        }
    }
}

#[cfg(test)]
mod tests;
