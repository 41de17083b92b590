//! A codec for messages that go out as they are: somebody has encoded them already.

use bytes::{BufMut as _, Bytes};
use tonic::Status;
use tonic::codec::{Codec, Decoder, EncodeBuf, Encoder};

/// Sends bytes as they are, and reads what comes with `D`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Encoded<D>(pub D);

/// Sends bytes as they are.
#[derive(Clone, Copy, Debug, Default)]
pub struct BytesEncoder;

impl<D> Codec for Encoded<D>
where
    D: Decoder<Error = Status> + Clone + Send + 'static,
    D::Item: Send + 'static,
{
    type Encode = Bytes;
    type Decode = D::Item;
    type Encoder = BytesEncoder;
    type Decoder = D;

    fn encoder(&mut self) -> BytesEncoder {
        BytesEncoder
    }

    fn decoder(&mut self) -> D {
        self.0.clone()
    }
}

impl Encoder for BytesEncoder {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, message: Bytes, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put(message);
        Ok(())
    }
}
