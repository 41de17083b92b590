//! A gRPC codec that leaves messages as they are.

use bytes::{Buf, Bytes};
use chassis::grpc::Encoded;
use tonic::{
    Status,
    codec::{DecodeBuf, Decoder},
};

/// Bytes in, bytes out.
pub(crate) type BytesCodec = Encoded<BytesDecoder>;

/// Bytes in.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct BytesDecoder;

impl Decoder for BytesDecoder {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(buffer.copy_to_bytes(buffer.remaining())))
    }
}
