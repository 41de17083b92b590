//! A client of gRPC server reflection.
//!
//! `v1` and `v1alpha` differ in nothing but the name, so there is one client that
//! says either. It asks one question at a time over one stream.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use http::uri::PathAndQuery;
use prost::Message;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Request, Status, Streaming, client::Grpc, transport::Channel};
use tonic_reflection::pb::v1::{
    FileDescriptorResponse, ServerReflectionRequest, ServerReflectionResponse,
    server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
};

use super::{DescriptorsError, Limits, is_routed_name};
use crate::upstream::BytesCodec;

const V1: &str = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo";
const V1_ALPHA: &str = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo";

/// An encoded `FileDescriptorSet` of every service that the server lists.
pub(super) async fn load(channel: Channel, limits: &Limits) -> Result<Vec<u8>, DescriptorsError> {
    match load_with(V1, channel.clone(), limits).await {
        Err(DescriptorsError::Reflection(status)) if status.code() == Code::Unimplemented => {
            load_with(V1_ALPHA, channel, limits).await
        }
        other => other,
    }
}

async fn load_with(
    rpc: &'static str,
    channel: Channel,
    limits: &Limits,
) -> Result<Vec<u8>, DescriptorsError> {
    let mut conversation = Conversation::open(rpc, channel, limits).await?;
    let mut files = Files {
        limits,
        bytes: 0,
        by_name: BTreeMap::new(),
        wanted: BTreeSet::new(),
    };
    for service in conversation.list_services().await? {
        let answer = conversation
            .ask(MessageRequest::FileContainingSymbol(service))
            .await?;
        files.add(answer)?;
    }
    while let Some(name) = files.wanted.pop_first() {
        let answer = conversation
            .ask(MessageRequest::FileByFilename(name.clone()))
            .await?;
        files.add(answer)?;
        // Asking again would not help, and a server that always answers with something
        // else would keep us here.
        if !files.by_name.contains_key(&name) {
            return Err(DescriptorsError::Missing { name });
        }
    }
    Ok(files.encode())
}

struct Conversation<'a> {
    questions: mpsc::Sender<Bytes>,
    answers: Streaming<Bytes>,
    limits: &'a Limits,
}

impl<'a> Conversation<'a> {
    async fn open(
        rpc: &'static str,
        channel: Channel,
        limits: &'a Limits,
    ) -> Result<Self, DescriptorsError> {
        let (questions, outgoing) = mpsc::channel(1);
        // Some servers send their headers only with the first answer.
        let first = encode(MessageRequest::ListServices(String::new()));
        questions
            .try_send(first)
            .expect("an empty channel has room for one");
        let mut grpc = Grpc::new(channel).max_decoding_message_size(limits.bytes);
        grpc.ready().await.map_err(|error| {
            refused(Status::unavailable(format!(
                "the service cannot be reached: {error}"
            )))
        })?;
        let request = Request::new(ReceiverStream::new(outgoing));
        let answers = grpc
            .streaming(
                request,
                PathAndQuery::from_static(rpc),
                BytesCodec::default(),
            )
            .await
            .map_err(refused)?
            .into_inner();
        Ok(Self {
            questions,
            answers,
            limits,
        })
    }

    /// The answer to the question that `open` asked.
    async fn list_services(&mut self) -> Result<Vec<String>, DescriptorsError> {
        let MessageResponse::ListServicesResponse(list) = self.answer().await? else {
            return Err(DescriptorsError::Unexpected);
        };
        let names: Vec<String> = list
            .service
            .into_iter()
            .map(|service| service.name)
            .filter(|name| is_routed_name(name))
            .collect();
        if names.len() > self.limits.files {
            return Err(DescriptorsError::TooManyFiles {
                limit: self.limits.files,
            });
        }
        Ok(names)
    }

    async fn ask(
        &mut self,
        question: MessageRequest,
    ) -> Result<FileDescriptorResponse, DescriptorsError> {
        let name = match &question {
            MessageRequest::FileContainingSymbol(name) | MessageRequest::FileByFilename(name) => {
                name.clone()
            }
            _ => String::new(),
        };
        self.questions
            .send(encode(question))
            .await
            .map_err(|_closed| DescriptorsError::Ended)?;
        let answer = match self.answer().await {
            // Some servers end the stream instead of answering that they know no such name.
            Err(DescriptorsError::Reflection(status)) if status.code() == Code::NotFound => {
                return Err(DescriptorsError::Missing { name });
            }
            answer => answer?,
        };
        match answer {
            MessageResponse::FileDescriptorResponse(files) => Ok(files),
            MessageResponse::ErrorResponse(error)
                if error.error_code == i32::from(Code::NotFound) =>
            {
                Err(DescriptorsError::Missing { name })
            }
            MessageResponse::ErrorResponse(error) => {
                let code = Code::from_i32(error.error_code);
                Err(refused(Status::new(code, error.error_message)))
            }
            _ => Err(DescriptorsError::Unexpected),
        }
    }

    async fn answer(&mut self) -> Result<MessageResponse, DescriptorsError> {
        let answer = self.answers.message().await.map_err(refused)?;
        let answer = answer.ok_or(DescriptorsError::Ended)?;
        ServerReflectionResponse::decode(answer)
            .map_err(DescriptorsError::Undecodable)?
            .message_response
            .ok_or(DescriptorsError::Unexpected)
    }
}

fn encode(question: MessageRequest) -> Bytes {
    let request = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(question),
    };
    request.encode_to_vec().into()
}

fn refused(status: Status) -> DescriptorsError {
    DescriptorsError::Reflection(status)
}

/// The files that have come so far, as they came, and the names of those they need.
struct Files<'a> {
    limits: &'a Limits,
    bytes: usize,
    by_name: BTreeMap<String, Vec<u8>>,
    wanted: BTreeSet<String>,
}

impl Files<'_> {
    fn add(&mut self, answer: FileDescriptorResponse) -> Result<(), DescriptorsError> {
        for encoded in answer.file_descriptor_proto {
            // Counted before anything else, and repeated files too: work is what is bounded.
            self.bytes = self.bytes.saturating_add(encoded.len());
            if self.bytes > self.limits.bytes {
                return Err(DescriptorsError::TooLarge {
                    limit: self.limits.bytes,
                });
            }
            let imports = FileImports::decode(&*encoded).map_err(DescriptorsError::Undecodable)?;
            self.wanted.remove(&imports.name);
            self.by_name.entry(imports.name).or_insert(encoded);
            self.want(imports.dependency);
            if self.by_name.len() + self.wanted.len() > self.limits.files {
                return Err(DescriptorsError::TooManyFiles {
                    limit: self.limits.files,
                });
            }
        }
        Ok(())
    }

    fn want(&mut self, names: Vec<String>) {
        for name in names {
            // The well-known types are compiled in; not every server can describe them.
            let known = self.by_name.contains_key(&name)
                || prost_reflect::DescriptorPool::global()
                    .get_file_by_name(&name)
                    .is_some();
            if !known {
                self.wanted.insert(name);
            }
        }
    }

    fn encode(self) -> Vec<u8> {
        EncodedFiles {
            file: self.by_name.into_values().collect(),
        }
        .encode_to_vec()
    }
}

/// What of a `google.protobuf.FileDescriptorProto` is needed to find the other files.
#[derive(Clone, PartialEq, prost::Message)]
struct FileImports {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, repeated, tag = "3")]
    dependency: Vec<String>,
}

/// A `google.protobuf.FileDescriptorSet` whose files stay encoded, and so keep the
/// options that prost does not know.
#[derive(Clone, PartialEq, prost::Message)]
struct EncodedFiles {
    #[prost(bytes = "vec", repeated, tag = "1")]
    file: Vec<Vec<u8>>,
}
