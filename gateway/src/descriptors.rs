//! What the gateway knows of a service: its descriptors, from a file or over gRPC
//! server reflection.
//!
//! Descriptors come from outside, so they are bounded in number, size and time, and
//! the well-known types are always the ones compiled in here: a service cannot say
//! what a `google.protobuf.Timestamp` is.

mod reflection;

use std::{io, path::PathBuf, time::Duration};

use prost::Message;
use prost_reflect::{DescriptorError, DescriptorPool, ServiceDescriptor};
use rand::RngExt;
use tonic::{Status, transport::Channel};

/// Where a service's descriptors come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A file that holds an encoded `google.protobuf.FileDescriptorSet` with imports.
    File(PathBuf),
    /// The service itself, over `grpc.reflection.v1` or, failing that, `v1alpha`.
    Reflection,
}

/// How much of a service's description is accepted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// All files with everything they import.
    pub(crate) files: usize,
    /// All files together, in bytes.
    pub(crate) bytes: usize,
    /// One whole attempt.
    pub(crate) time: Duration,
}

impl Default for Limits {
    /// Far more than any service seen (googleapis has whole clouds in 4 MiB), and
    /// little enough to be read while a gateway starts.
    fn default() -> Self {
        Self {
            files: 1024,
            bytes: 8 * 1024 * 1024,
            time: Duration::from_secs(10),
        }
    }
}

/// Why a service's descriptors could not be had.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DescriptorsError {
    #[error("cannot read {}", path.display())]
    File { path: PathBuf, source: io::Error },
    #[error("the descriptors are larger than {limit} bytes")]
    TooLarge { limit: usize },
    #[error("the descriptors are more than {limit} files")]
    TooManyFiles { limit: usize },
    #[error("the service did not describe itself within {} ms", limit.as_millis())]
    TooSlow { limit: Duration },
    #[error("the service's reflection answered {:?}: {}", .0.code(), .0.message())]
    Reflection(#[source] Status),
    #[error("the service's reflection ended before it answered")]
    Ended,
    #[error("the service's reflection answered something else than was asked")]
    Unexpected,
    #[error("the service does not describe `{name}`, which it needs")]
    Missing { name: String },
    #[error("an answer is not a file descriptor")]
    Undecodable(#[source] prost::DecodeError),
    #[error("the descriptors do not fit together")]
    Invalid(#[source] Box<DescriptorError>),
    #[error("there is no service in the descriptors")]
    NoService,
}

/// Reads the descriptors once.
pub(crate) async fn load(
    source: &Source,
    channel: Channel,
    limits: &Limits,
) -> Result<DescriptorPool, DescriptorsError> {
    let encoded = match source {
        Source::File(path) => read_file(path, limits).await?,
        Source::Reflection => tokio::time::timeout(limits.time, reflection::load(channel, limits))
            .await
            .map_err(|_elapsed| DescriptorsError::TooSlow { limit: limits.time })??,
    };
    pool(&encoded)
}

/// Asks a service for its descriptors until it answers with some that can be used: it
/// may start later than the gateway, or be replaced by a version that is in order.
///
/// Never gives up; whoever waits for it also waits for the end of the program.
pub(crate) async fn load_with_retry(
    name: &str,
    source: Source,
    channel: Channel,
    limits: Limits,
) -> DescriptorPool {
    let mut pause = FIRST_PAUSE;
    loop {
        match load(&source, channel.clone(), &limits).await {
            Ok(pool) => return pool,
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(
                    upstream.name = name,
                    error,
                    "no routes to {name} yet: its descriptors are missing"
                );
            }
        }
        // Gateways that lost the same service should not all ask at the same moment.
        let jitter = rand::rng().random_range(0.75..1.25);
        tokio::time::sleep(pause.mul_f64(jitter)).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

async fn read_file(path: &PathBuf, limits: &Limits) -> Result<Vec<u8>, DescriptorsError> {
    use tokio::io::AsyncReadExt;

    let failed = |source| DescriptorsError::File {
        path: path.clone(),
        source,
    };
    let file = tokio::fs::File::open(path).await.map_err(failed)?;
    let mut encoded = Vec::new();
    // One byte more than allowed tells a file that fits from one that does not.
    let ceiling = u64::try_from(limits.bytes)
        .unwrap_or(u64::MAX)
        .saturating_add(1);
    file.take(ceiling)
        .read_to_end(&mut encoded)
        .await
        .map_err(failed)?;
    if encoded.len() > limits.bytes {
        return Err(DescriptorsError::TooLarge {
            limit: limits.bytes,
        });
    }
    Ok(encoded)
}

/// The pool of an encoded `FileDescriptorSet`. Options that no one here knows, and
/// `google.api.http` among them, are kept.
pub(crate) fn pool(encoded: &[u8]) -> Result<DescriptorPool, DescriptorsError> {
    // Starts with the well-known types; files of the same name are skipped.
    let mut pool = DescriptorPool::global();
    // Decoded once by prost first: its error is ours to show, while prost-reflect's
    // decoder of descriptors is the same one.
    prost_types::FileDescriptorSet::decode(encoded).map_err(DescriptorsError::Undecodable)?;
    pool.decode_file_descriptor_set(encoded)
        .map_err(|error| DescriptorsError::Invalid(Box::new(error)))?;
    if !pool.services().any(|service| is_routed(&service)) {
        return Err(DescriptorsError::NoService);
    }
    Ok(pool)
}

/// Reflection, health and Google's own are never reachable through the gateway.
pub(crate) fn is_routed(service: &ServiceDescriptor) -> bool {
    is_routed_name(service.full_name())
}

fn is_routed_name(service: &str) -> bool {
    !service.starts_with("grpc.") && !service.starts_with("google.")
}

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
