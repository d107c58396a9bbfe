//! `partial_logits.npz`: see [`PartialLogits`].

use std::io::{Cursor, Read, Write};

use half::f16;
use ndarray::{Array1, Array2, ArrayD, Dimension};
use ndarray_npy::{NpzWriter, ReadDataError, ReadableElement, WritableElement, WriteDataError, WriteNpzError};
use py_literal::Value;
use rocoin::bundle::StudentRef;
use rocoin::id::PartId;

use super::PartialLogits;
use crate::npy::{self, NpyError, Npz};

const LABELS: &str = "labels";
/// NumPy's name of a little-endian float16.
const DESCRIPTOR: &str = "<f2";
/// Bytes of one array: a thousand classes for a hundred thousand images.
const ARRAY_BYTES_MAX: u64 = 256 << 20;

/// Partial logits that cannot be read or written. Nothing was kept.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PartialLogitsError {
    /// Not a readable `.npz`, or an array of the wrong kind.
    #[error("partial_logits.npz: {0}")]
    Read(#[from] NpyError),
    /// Writing failed.
    #[error("partial_logits.npz: {0}")]
    Write(#[from] WriteNpzError),
    /// An array's name or shape is not what it should be.
    #[error("partial_logits.npz: {0}")]
    Form(String),
}

impl PartialLogits {
    /// As the bytes of an `.npz`; logits are rounded to float16.
    ///
    /// # Errors
    /// [`PartialLogitsError::Write`]; [`PartialLogitsError::Form`] if a student has not one row an image.
    pub fn to_npz(&self) -> Result<Vec<u8>, PartialLogitsError> {
        let mut writer = NpzWriter::new_compressed(Cursor::new(Vec::new()));
        writer.add_array(LABELS, &Array1::from(self.labels.clone()))?;
        for (student, values) in &self.students {
            let halves = values.iter().map(|&value| Half(f16::from_f32(value))).collect();
            let array = Array2::from_shape_vec((self.images(), self.classes), halves)
                .map_err(|error| PartialLogitsError::Form(format!("{}: {error}", key(student))))?;
            writer.add_array(key(student), &array)?;
        }
        Ok(writer.finish()?.into_inner())
    }

    /// From the bytes of an `.npz`.
    ///
    /// # Errors
    /// [`PartialLogitsError::Read`], [`PartialLogitsError::Form`].
    pub fn from_npz(bytes: &[u8]) -> Result<Self, PartialLogitsError> {
        let mut reader = Npz::open(Cursor::new(bytes), ARRAY_BYTES_MAX)?;
        let labels: Array1<u16> = read(&mut reader, LABELS)?;
        let mut found = Self { classes: 0, labels: labels.to_vec(), students: Vec::new() };
        for name in reader.names().into_iter().filter(|name| name != LABELS) {
            let student =
                parse_key(&name).ok_or_else(|| PartialLogitsError::Form(format!("{name:?} names no student")))?;
            let array: Array2<Half> = read(&mut reader, &name)?;
            let classes = array.ncols();
            if array.nrows() != found.images() || (found.classes != 0 && found.classes != classes) {
                let shape = array.shape();
                return Err(PartialLogitsError::Form(format!(
                    "{name} has shape {shape:?}, unlike labels or other students"
                )));
            }
            found.classes = classes;
            found.students.push((student, array.iter().map(|half| half.0.to_f32()).collect()));
        }
        found.students.sort_by(|(a, _), (b, _)| a.cmp(b));
        Ok(found)
    }
}

/// One array, of as many dimensions as it has to have.
fn read<T: ReadableElement, D: Dimension>(
    reader: &mut Npz<Cursor<&[u8]>>,
    name: &str,
) -> Result<ndarray::Array<T, D>, PartialLogitsError> {
    let array: Option<ArrayD<T>> = npy::array(&reader.npy(name)?)?;
    let array = array.and_then(|array| array.into_dimensionality().ok());
    array.ok_or_else(|| {
        PartialLogitsError::Form(format!("{name} has not the type or the dimensions that it should have"))
    })
}

fn key(student: &StudentRef) -> String {
    format!("part{}_{}_{}", student.part, student.arch, student.precision)
}

fn parse_key(key: &str) -> Option<StudentRef> {
    let (part, rest) = key.strip_prefix("part")?.split_once('_')?;
    let (arch, precision) = rest.rsplit_once('_')?;
    Some(StudentRef { part: PartId(part.parse().ok()?), arch: arch.to_owned(), precision: precision.to_owned() })
}

/// A float16 that the `.npy` reader and writer know.
#[derive(Debug, Clone, Copy)]
struct Half(f16);

impl WritableElement for Half {
    fn type_descriptor() -> Value {
        Value::String(DESCRIPTOR.to_owned())
    }

    fn write<W: Write>(&self, mut writer: W) -> Result<(), WriteDataError> {
        Ok(writer.write_all(&self.0.to_le_bytes())?)
    }

    fn write_slice<W: Write>(slice: &[Self], mut writer: W) -> Result<(), WriteDataError> {
        slice.iter().try_for_each(|half| half.write(&mut writer))
    }
}

impl ReadableElement for Half {
    fn read_to_end_exact_vec<R: Read>(mut reader: R, kind: &Value, len: usize) -> Result<Vec<Self>, ReadDataError> {
        if *kind != Value::String(DESCRIPTOR.to_owned()) {
            return Err(ReadDataError::WrongDescriptor(kind.clone()));
        }
        let mut bytes = Vec::new();
        reader.read_to_end(&mut bytes)?;
        if bytes.len() < 2 * len {
            return Err(ReadDataError::MissingData);
        }
        if bytes.len() > 2 * len {
            return Err(ReadDataError::ExtraBytes(bytes.len() - 2 * len));
        }
        Ok(bytes.chunks_exact(2).map(|pair| Self(f16::from_le_bytes([pair[0], pair[1]]))).collect())
    }
}
