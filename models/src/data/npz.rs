//! NumPy's `.npz` with `x_train`, `y_train`, `x_test`, `y_test`.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use ndarray::ArrayD;
use ndarray_npy::ReadableElement;
use rocoin::id::Digest;

use super::{DataError, Pixels, Raw, Split};
use crate::npy::{self, Npz};

type Reader = Npz<BufReader<File>>;

/// Bytes of one array: sixteen times the largest of the usual small data sets, as 32-bit floats.
const ARRAY_BYTES_MAX: u64 = 10 << 30;

/// Reads the four arrays.
pub(super) fn load(file: &Path) -> Result<Raw, DataError> {
    let bytes = std::fs::read(file).map_err(|error| DataError::Io { file: file.to_owned(), error })?;
    if bytes.is_empty() {
        return Err(DataError::Empty { file: file.to_owned() });
    }
    let opened = File::open(file).map_err(|error| DataError::Io { file: file.to_owned(), error })?;
    let mut reader =
        Npz::open(BufReader::new(opened), ARRAY_BYTES_MAX).map_err(|error| problem(file, &error.to_string()))?;
    Ok(Raw {
        train: split(file, &mut reader, "x_train", "y_train")?,
        test: split(file, &mut reader, "x_test", "y_test")?,
        sha256: Digest::of(&bytes).to_string(),
        label_sources: [file.to_owned(), file.to_owned()],
        names: None,
    })
}

fn split(file: &Path, reader: &mut Reader, images: &str, labels: &str) -> Result<Split, DataError> {
    let (dimensions, pixels) = pixels(file, reader, images)?;
    let labels = classes(file, reader, labels)?;
    let Some((&count, shape)) = dimensions.split_first().filter(|(_, shape)| (2..=3).contains(&shape.len())) else {
        return Err(problem(
            file,
            &format!("{images} has shape {dimensions:?}; it takes [N,C,H,W], [N,H,W] or [N,C,L]"),
        ));
    };
    if dimensions.contains(&0) {
        return Err(DataError::Empty { file: file.to_owned() });
    }
    if count != labels.len() {
        return Err(DataError::Counts { file: file.to_owned(), images: count, labels: labels.len() });
    }
    if let Pixels::F32(values) = &pixels
        && let Some(at) = values.iter().position(|value| !value.is_finite())
    {
        let image = at / shape.iter().product::<usize>();
        return Err(DataError::NotFinite { file: file.to_owned(), array: images.to_owned(), image });
    }
    Ok(Split { shape: shape.to_vec(), labels, pixels })
}

fn pixels(file: &Path, reader: &mut Reader, name: &str) -> Result<(Vec<usize>, Pixels), DataError> {
    let npy = member(file, reader, name)?;
    if let Some(array) = read::<u8>(file, &npy, name)? {
        return Ok((array.shape().to_vec(), Pixels::U8(array.iter().copied().collect())));
    }
    if let Some(array) = read::<f32>(file, &npy, name)? {
        return Ok((array.shape().to_vec(), Pixels::F32(array.iter().copied().collect())));
    }
    Err(problem(file, &format!("{name} is neither uint8 nor float32; convert it with .astype(numpy.float32)")))
}

fn classes(file: &Path, reader: &mut Reader, name: &str) -> Result<Vec<u16>, DataError> {
    let npy = member(file, reader, name)?;
    macro_rules! first_that_reads {
        ($($kind:ty),*) => {$(
            if let Some(array) = read::<$kind>(file, &npy, name)? {
                let flat = array.ndim() == 1 || (array.ndim() == 2 && array.shape()[1] == 1);
                if !flat {
                    return Err(problem(file, &format!("{name} has shape {:?}; it takes one number an image, [N]", array.shape())));
                }
                return array.iter().enumerate().map(|(image, &label)| {
                    u16::try_from(label).map_err(|_| problem(file, &format!("{name} of image {image} is {label}, which is no class")))
                }).collect();
            }
        )*};
    }
    first_that_reads!(u8, i64, i32, u16, i16, u32, u64, i8);
    Err(problem(file, &format!("{name} holds no integers; convert it with .astype(numpy.int64)")))
}

/// One array's bytes.
fn member(file: &Path, reader: &mut Reader, name: &str) -> Result<Vec<u8>, DataError> {
    reader.npy(name).map_err(|error| problem(file, &error.to_string()))
}

/// The array, or `None` if its elements are of another kind.
fn read<T: ReadableElement>(file: &Path, npy: &[u8], name: &str) -> Result<Option<ArrayD<T>>, DataError> {
    npy::array(npy).map_err(|error| problem(file, &format!("array {name}: {error}")))
}

fn problem(file: &Path, problem: &str) -> DataError {
    DataError::Format { file: file.to_owned(), problem: problem.to_owned() }
}
