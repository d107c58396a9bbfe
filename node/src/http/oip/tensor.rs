//! The one input tensor: a batch of images, however its numbers came.

use rocoin::blob::Blob;
use rocoin::bundle::InputSpec;

use super::{BATCH_MAX, Numbers};

/// An input tensor as a client sent it; nothing of it is checked yet.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tensor<'a> {
    /// Has to be the model's input.
    pub(crate) name: &'a str,
    /// `FP32` or `UINT8`.
    pub(crate) datatype: &'a str,
    /// One image's, with or without a leading batch.
    pub(crate) shape: &'a [i64],
    /// Its numbers, row-major.
    pub(crate) data: Data<'a>,
}

/// A tensor's numbers, in one of the forms that the protocol has for them.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Data<'a> {
    /// Of JSON's lists.
    Json(&'a Numbers),
    /// Little-endian, without gaps: the binary tensor extension, and gRPC's raw contents.
    Raw(&'a [u8]),
    /// gRPC's contents of `FP32`.
    Floats(&'a [f32]),
    /// gRPC's contents of `UINT8`.
    Whole(&'a [u32]),
}

/// What is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Datatype {
    Fp32,
    Uint8,
}

impl Datatype {
    const fn name(self) -> &'static str {
        match self {
            Self::Fp32 => "FP32",
            Self::Uint8 => "UINT8",
        }
    }
}

impl Tensor<'_> {
    /// The images of the batch, each little-endian `f32` as the model takes it.
    ///
    /// # Errors
    /// What does not fit, and what would.
    pub(crate) fn images(&self, input: &InputSpec) -> Result<Vec<Blob>, String> {
        if self.name != input.name {
            return Err(format!("inputs[0].name is {:?}; this model takes {:?}", self.name, input.name));
        }
        let datatype = match self.datatype {
            "FP32" => Datatype::Fp32,
            "UINT8" => Datatype::Uint8,
            other => return Err(format!("inputs[0].datatype is {other:?}; FP32 and UINT8 are taken")),
        };
        let batch = batch(self.shape, &input.shape)?;
        let values = self.data.values(datatype, batch * input.elements())?;
        if let Some(at) = values.iter().position(|value| !value.is_finite()) {
            return Err(not_finite(at, &values[at]));
        }
        Ok(values.chunks(input.elements().max(1)).map(Blob::from_floats).collect())
    }
}

/// How many images a tensor of that shape holds.
fn batch(shape: &[i64], image: &[usize]) -> Result<usize, String> {
    let is_image = |shape: &[i64]| shape.iter().map(|&n| usize::try_from(n).ok()).eq(image.iter().map(|&n| Some(n)));
    if is_image(shape) {
        return Ok(1);
    }
    let wrong = || format!("inputs[0].shape is {shape:?}; this model takes {image:?} with a batch in front: [1, …]");
    let [batch, rest @ ..] = shape else { return Err(wrong()) };
    if !is_image(rest) {
        return Err(wrong());
    }
    match usize::try_from(*batch) {
        Ok(batch @ 1..=BATCH_MAX) => Ok(batch),
        _ => Err(format!("inputs[0].shape is {shape:?}; a batch has 1 to {BATCH_MAX} images")),
    }
}

impl Data<'_> {
    /// Exactly `count` numbers.
    fn values(self, datatype: Datatype, count: usize) -> Result<Vec<f32>, String> {
        let counted = |found: usize| {
            if found == count {
                return Ok(());
            }
            Err(format!("inputs[0].data has {found} numbers; its shape has {count}"))
        };
        match (self, datatype) {
            (Self::Json(numbers), _) => {
                let numbers = numbers.as_slice();
                counted(numbers.len())?;
                numbers.iter().enumerate().map(|(at, number)| narrow(at, *number, datatype)).collect()
            }
            (Self::Raw(bytes), _) => raw(bytes, datatype, count),
            (Self::Floats(values), Datatype::Fp32) => {
                counted(values.len())?;
                Ok(values.to_vec())
            }
            (Self::Whole(values), Datatype::Uint8) => {
                counted(values.len())?;
                let byte = |(at, &value): (usize, &u32)| {
                    u8::try_from(value).map(f32::from).map_err(|_| not_a_byte(at, &value))
                };
                values.iter().enumerate().map(byte).collect()
            }
            (Self::Floats(_), Datatype::Uint8) | (Self::Whole(_), Datatype::Fp32) => {
                let (name, field) = match datatype {
                    Datatype::Fp32 => (datatype.name(), "fp32_contents"),
                    Datatype::Uint8 => (datatype.name(), "uint_contents"),
                };
                Err(format!("inputs[0].datatype is {name}, and its numbers are not in {field}"))
            }
        }
    }
}

fn raw(bytes: &[u8], datatype: Datatype, count: usize) -> Result<Vec<f32>, String> {
    let width = match datatype {
        Datatype::Fp32 => size_of::<f32>(),
        Datatype::Uint8 => size_of::<u8>(),
    };
    if bytes.len() != count * width {
        let (found, name) = (bytes.len(), datatype.name());
        return Err(format!("inputs[0] has {found} bytes; its shape has {count} numbers of {width} bytes ({name})"));
    }
    Ok(match datatype {
        Datatype::Fp32 => bytes.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect(),
        Datatype::Uint8 => bytes.iter().map(|&byte| f32::from(byte)).collect(),
    })
}

/// JSON's number as the tensor's, the one at that place.
fn narrow(place: usize, number: f64, datatype: Datatype) -> Result<f32, String> {
    if datatype == Datatype::Uint8 && !(number.fract() == 0.0 && (0.0..=255.0).contains(&number)) {
        return Err(not_a_byte(place, &number));
    }
    #[expect(clippy::cast_possible_truncation, reason = "tensors are f32; what overflows is refused")]
    let value = number as f32;
    if value.is_finite() { Ok(value) } else { Err(not_finite(place, &format_args!("{number:e}"))) }
}

fn not_finite(place: usize, value: &dyn std::fmt::Display) -> String {
    format!("inputs[0].data: number {place}, counted from 0, is {value}, which is no finite FP32")
}

fn not_a_byte(place: usize, value: &dyn std::fmt::Display) -> String {
    format!("inputs[0].data: number {place}, counted from 0, is {value}, which is no UINT8")
}

#[cfg(test)]
mod tests {
    use rocoin::bundle::Preprocess;

    use super::*;

    fn numbers(json: &str) -> Numbers {
        serde_json::from_str(json).unwrap()
    }

    fn input() -> InputSpec {
        let preprocess = Preprocess { scale: 1.0, mean: vec![0.0], std: vec![1.0] };
        InputSpec { name: "image".to_owned(), shape: vec![1, 2], dtype: "FP32".to_owned(), preprocess }
    }

    fn tensor<'a>(shape: &'a [i64], datatype: &'a str, data: Data<'a>) -> Tensor<'a> {
        Tensor { name: "image", datatype, shape, data }
    }

    #[test]
    fn every_form_of_the_same_numbers_is_the_same_batch() {
        let expected = vec![Blob::from_floats(&[1.0, 2.0]), Blob::from_floats(&[3.0, 4.0])];
        let floats = [1.0_f32, 2.0, 3.0, 4.0];
        let raw: Vec<u8> = floats.iter().flat_map(|value| value.to_le_bytes()).collect();
        let (flat, nested) = (numbers("[1, 2, 3, 4]"), numbers("[[[1.0, 2.0]], [[3.0, 4.0]]]"));
        for (datatype, data) in [
            ("FP32", Data::Json(&flat)),
            ("FP32", Data::Json(&nested)),
            ("FP32", Data::Raw(&raw)),
            ("FP32", Data::Floats(&floats)),
            ("UINT8", Data::Json(&flat)),
            ("UINT8", Data::Raw(&[1, 2, 3, 4])),
            ("UINT8", Data::Whole(&[1, 2, 3, 4])),
        ] {
            assert_eq!(tensor(&[2, 1, 2], datatype, data).images(&input()).unwrap(), expected, "{datatype} {data:?}");
        }
    }

    #[test]
    fn one_image_needs_no_batch_in_front() {
        for shape in [[1, 2].as_slice(), &[1, 1, 2]] {
            let images = tensor(shape, "FP32", Data::Floats(&[5.0, 6.0])).images(&input()).unwrap();
            assert_eq!(images, [Blob::from_floats(&[5.0, 6.0])]);
        }
    }

    #[test]
    fn numbers_that_do_not_fit_the_shape_or_an_fp32_are_told() {
        for (json, told) in [
            ("[1, 2, 3]", "has 3 numbers; its shape has 2"),
            ("[0, 1e39]", "number 1, counted from 0, is 1e39, which is no finite FP32"),
        ] {
            let error = tensor(&[1, 2], "FP32", Data::Json(&numbers(json))).images(&input()).unwrap_err();
            assert!(error.contains(told), "{error}");
        }
    }

    #[test]
    fn each_misfit_is_told() {
        let bytes = [0; 8];
        let infinite = [f32::INFINITY, 0.0];
        let cases = [
            (tensor(&[], "FP32", Data::Raw(&bytes)), "inputs[0].shape is []"),
            (tensor(&[1, 3], "FP32", Data::Raw(&bytes)), "inputs[0].shape is [1, 3]"),
            (tensor(&[-1, 1, 2], "FP32", Data::Raw(&bytes)), "a batch has 1 to 64 images"),
            (tensor(&[0, 1, 2], "FP32", Data::Raw(&[])), "a batch has 1 to 64 images"),
            (tensor(&[65, 1, 2], "FP32", Data::Raw(&bytes)), "a batch has 1 to 64 images"),
            (tensor(&[i64::MAX, 1, 2], "FP32", Data::Raw(&bytes)), "a batch has 1 to 64 images"),
            (tensor(&[1, i64::MAX, i64::MAX], "FP32", Data::Raw(&bytes)), "this model takes [1, 2]"),
            (tensor(&[1, 2], "FP16", Data::Raw(&bytes)), "\"FP16\"; FP32 and UINT8 are taken"),
            (tensor(&[1, 2], "BF16", Data::Raw(&bytes)), "\"BF16\""),
            (tensor(&[1, 2], "", Data::Raw(&bytes)), "inputs[0].datatype is \"\""),
            (tensor(&[2, 1, 2], "FP32", Data::Raw(&bytes)), "has 8 bytes; its shape has 4 numbers of 4 bytes"),
            (tensor(&[1, 2], "UINT8", Data::Raw(&bytes)), "2 numbers of 1 bytes (UINT8)"),
            (tensor(&[1, 2], "FP32", Data::Floats(&[1.0])), "has 1 numbers; its shape has 2"),
            (tensor(&[1, 2], "FP32", Data::Floats(&infinite)), "number 0, counted from 0, is inf"),
            (tensor(&[1, 2], "UINT8", Data::Whole(&[1, 256])), "number 1, counted from 0, is 256"),
            (tensor(&[1, 2], "UINT8", Data::Floats(&[1.0, 2.0])), "not in uint_contents"),
            (tensor(&[1, 2], "FP32", Data::Whole(&[1, 2])), "not in fp32_contents"),
        ];
        for (tensor, told) in cases {
            let error = tensor.images(&input()).unwrap_err();
            assert!(error.contains(told), "{tensor:?}: {error}");
        }
    }

    #[test]
    fn a_number_that_is_no_byte_is_no_uint8() {
        for data in ["[0, 256]", "[0, -1]", "[0, 0.5]"] {
            let data = numbers(data);
            let error = tensor(&[1, 2], "UINT8", Data::Json(&data)).images(&input()).unwrap_err();
            assert!(error.contains("which is no UINT8"), "{error}");
        }
    }
}
