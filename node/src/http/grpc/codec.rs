//! Reading inference requests: how much of a message there is to decode is looked at before anything of it is.
//!
//! Two bytes may stand for an empty tensor, or for an empty text, which takes a hundred times as much in memory: so a message of many
//! small fields is refused. What a request really has many of are numbers, and those are packed into one field.

use std::marker::PhantomData;

use prost::Message;
use prost::bytes::Buf as _;
use tonic::Status;
use tonic::codec::{Codec, DecodeBuf, Decoder};
use tonic_prost::ProstEncoder;

use crate::http::oip::messages::ModelInferRequest;

/// Fields of a message, and of each of its tensors. Ours: some ten times what any request needs.
const FIELDS_MAX: usize = 256;
/// Bytes of a tensor's shape: a hundred dimensions.
const SHAPE_BYTES_MAX: usize = 1 << 10;
/// The numbers of the fields in which there are fields: `inputs` and `outputs`, and a tensor's shape.
const TENSORS: [u64; 2] = [5, 6];
const SHAPE: u64 = 3;

/// Decodes inference requests and encodes `A`.
pub(super) struct InferCodec<A>(PhantomData<A>);

impl<A> Default for InferCodec<A> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<A: Message + 'static> Codec for InferCodec<A> {
    type Encode = A;
    type Decode = ModelInferRequest;
    type Encoder = ProstEncoder<A>;
    type Decoder = InferDecoder;

    fn encoder(&mut self) -> ProstEncoder<A> {
        ProstEncoder::default()
    }

    fn decoder(&mut self) -> InferDecoder {
        InferDecoder
    }
}

/// The half of [`InferCodec`] that reads.
#[derive(Debug)]
pub(super) struct InferDecoder;

impl Decoder for InferDecoder {
    type Item = ModelInferRequest;
    type Error = Status;

    fn decode(&mut self, bytes: &mut DecodeBuf<'_>) -> Result<Option<ModelInferRequest>, Status> {
        let message = bytes.copy_to_bytes(bytes.remaining());
        decode(&message).map(Some).map_err(Status::invalid_argument)
    }
}

/// A request of these bytes.
///
/// # Errors
/// What is wrong with them.
pub(super) fn decode(bytes: &[u8]) -> Result<ModelInferRequest, String> {
    look(bytes, "the message", |number, content| {
        if !TENSORS.contains(&number) {
            return Ok(());
        }
        look(content, "a tensor", |number, content| match content.len() {
            length if number == SHAPE && length > SHAPE_BYTES_MAX => {
                Err(format!("a tensor's shape has {length} bytes; no shape has so many dimensions"))
            }
            _ => Ok(()),
        })
    })?;
    ModelInferRequest::decode(bytes).map_err(|e| e.to_string())
}

/// Shows each field of a message, its number and what is in it, if they are not too many.
fn look(mut rest: &[u8], what: &str, each: impl Fn(u64, &[u8]) -> Result<(), String>) -> Result<(), String> {
    for _ in 0..FIELDS_MAX {
        if rest.is_empty() {
            return Ok(());
        }
        let (number, content) = field(&mut rest).ok_or_else(|| format!("{what} breaks off, or is none"))?;
        each(number, content)?;
    }
    if rest.is_empty() { Ok(()) } else { Err(format!("{what} has more than {FIELDS_MAX} fields")) }
}

/// Takes the next field off: its number and its content, which is empty if it is one number.
fn field<'a>(rest: &mut &'a [u8]) -> Option<(u64, &'a [u8])> {
    const LENGTH: u64 = 2;
    let key = varint(rest)?;
    let skipped = match key & 7 {
        0 => {
            varint(rest)?;
            0
        }
        1 => 8,
        LENGTH => usize::try_from(varint(rest)?).ok()?,
        5 => 4,
        _ => return None,
    };
    let content;
    (content, *rest) = rest.split_at_checked(skipped)?;
    Some((key >> 3, if key & 7 == LENGTH { content } else { &[] }))
}

fn varint(rest: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..u64::BITS).step_by(7) {
        let (byte, behind) = rest.split_first()?;
        *rest = behind;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::oip::messages::{InferInputContents, InferInputTensor};

    fn request() -> ModelInferRequest {
        let contents = InferInputContents { fp32_contents: vec![0.5; 10_000], ..InferInputContents::default() };
        let input = InferInputTensor { shape: vec![1, -1, i64::MAX], contents: Some(contents), ..Default::default() };
        let (inputs, raw_input_contents) = (vec![input; 3], vec![vec![7; 10_000]; 3]);
        ModelInferRequest { id: "mine".to_owned(), inputs, raw_input_contents, ..Default::default() }
    }

    #[test]
    fn an_ordinary_request_is_read_however_many_numbers_it_has() {
        let request = request();
        assert_eq!(decode(&request.encode_to_vec()), Ok(request));
    }

    #[test]
    fn messages_that_would_grow_in_memory_are_refused() {
        let shape = vec![1; SHAPE_BYTES_MAX + 1];
        let inputs = vec![InferInputTensor { shape, ..Default::default() }];
        for (message, told) in [
            ([0x2a, 0].repeat(FIELDS_MAX + 1), "the message has more than 256 fields"),
            ([0x3a, 0].repeat(1 << 20), "the message has more than 256 fields"),
            ([[0x2a, 0xfe, 7].as_slice(), &[0x18, 0].repeat(511)].concat(), "a tensor has more than 256 fields"),
            (ModelInferRequest { inputs, ..Default::default() }.encode_to_vec(), "no shape has so many dimensions"),
        ] {
            let error = decode(&message).unwrap_err();
            assert!(error.contains(told), "{error}");
        }
        assert!(decode(&[0x2a, 0].repeat(FIELDS_MAX)).is_ok());
    }

    #[test]
    fn what_breaks_off_anywhere_is_refused() {
        let whole = request().encode_to_vec();
        for length in [1, 3, 5, 100, whole.len() - 1] {
            assert!(decode(&whole[..length]).is_err(), "{length}");
        }
        assert!(decode(&[0xff; 64]).is_err());
    }
}
