//! NumPy's `.npy` and `.npz`, read with care: what a header announces is compared with what there is before any room is made for it.
//!
//! The formats themselves are `ndarray-npy`'s and `zip`'s. Writing is not done here.

use std::io::{Read, Seek};

use ndarray::ArrayD;
use ndarray_npy::{ReadNpyError, ReadNpyExt as _, ReadableElement};
use py_literal::Value;
use zip::ZipArchive;

const MAGIC: &[u8; 6] = b"\x93NUMPY";
/// Bytes of a header; NumPy reads no longer one either, unless it is told to.
const HEADER_BYTES_MAX: usize = 10_000;
/// Brackets of a header. A type's name and a shape need a few; the reader calls itself for each.
const BRACKETS_MAX: usize = 64;
/// Arrays of an `.npz`.
const ARRAYS_MAX: usize = 4096;

/// A file that is none. Nothing was kept.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NpyError {
    /// Not a readable archive.
    #[error("it is no .npz ({0})")]
    Archive(String),
    /// The archive has no such array.
    #[error("array {0} is not in it")]
    Absent(String),
    /// An array that is larger than anything that belongs there.
    #[error("array {name} has more than the {max} bytes that belong there")]
    TooLarge {
        /// Which.
        name: String,
        /// The bound, bytes.
        max: u64,
    },
    /// Not a readable array.
    #[error("{0}")]
    Array(String),
}

/// The arrays of an `.npz`.
#[derive(Debug)]
pub struct Npz<R> {
    archive: ZipArchive<R>,
    bytes_max: u64,
}

impl<R: Read + Seek> Npz<R> {
    /// Opens an archive whose arrays have at most `bytes_max` bytes each.
    ///
    /// # Errors
    /// [`NpyError::Archive`].
    pub fn open(reader: R, bytes_max: u64) -> Result<Self, NpyError> {
        let archive = ZipArchive::new(reader).map_err(|e| NpyError::Archive(e.to_string()))?;
        if archive.len() > ARRAYS_MAX {
            return Err(NpyError::Archive(format!("it has {} files, more than {ARRAYS_MAX}", archive.len())));
        }
        Ok(Self { archive, bytes_max })
    }

    /// The arrays' names.
    pub fn names(&self) -> Vec<String> {
        self.archive.file_names().map(|name| name.strip_suffix(".npy").unwrap_or(name).to_owned()).collect()
    }

    /// One array as a `.npy` file's bytes, for [`array()`].
    ///
    /// # Errors
    /// [`NpyError::Absent`], [`NpyError::TooLarge`], [`NpyError::Archive`].
    pub fn npy(&mut self, name: &str) -> Result<Vec<u8>, NpyError> {
        let index = self.archive.index_for_name(&format!("{name}.npy")).or_else(|| self.archive.index_for_name(name));
        let index = index.ok_or_else(|| NpyError::Absent(name.to_owned()))?;
        let file = self.archive.by_index(index).map_err(|e| NpyError::Archive(e.to_string()))?;
        let mut bytes = Vec::new();
        file.take(self.bytes_max.saturating_add(1))
            .read_to_end(&mut bytes)
            .map_err(|e| NpyError::Archive(e.to_string()))?;
        if bytes.len() as u64 > self.bytes_max {
            return Err(NpyError::TooLarge { name: name.to_owned(), max: self.bytes_max });
        }
        Ok(bytes)
    }
}

/// The array of a `.npy` file; `None` if its elements are of another kind.
///
/// # Errors
/// [`NpyError::Array`].
pub fn array<T: ReadableElement>(npy: &[u8]) -> Result<Option<ArrayD<T>>, NpyError> {
    check(npy).map_err(NpyError::Array)?;
    match ArrayD::read_npy(npy) {
        Ok(array) => Ok(Some(array)),
        Err(ReadNpyError::WrongDescriptor(_)) => Ok(None),
        Err(error) => Err(NpyError::Array(error.to_string())),
    }
}

/// That the header is no longer and announces no more than there is.
fn check(npy: &[u8]) -> Result<(), String> {
    let (magic, rest) = npy.split_first_chunk::<6>().ok_or("it ends within its first bytes")?;
    if magic != MAGIC {
        return Err("it does not begin as a .npy does".to_owned());
    }
    let (length, rest) = match rest {
        [1, _, a, b, rest @ ..] => (usize::from(u16::from_le_bytes([*a, *b])), rest),
        [2 | 3, _, a, b, c, d, rest @ ..] => {
            (usize::try_from(u32::from_le_bytes([*a, *b, *c, *d])).unwrap_or(usize::MAX), rest)
        }
        _ => return Err("its header is cut off, or of a version that is not known".to_owned()),
    };
    if length > HEADER_BYTES_MAX {
        return Err(format!("its header has {length} bytes, more than {HEADER_BYTES_MAX}"));
    }
    let (header, data) = rest.split_at_checked(length).ok_or("it ends within its header")?;
    if header.iter().filter(|byte| b"([{".contains(byte)).count() > BRACKETS_MAX {
        return Err("its header is nested as no shape or type is".to_owned());
    }
    let header = std::str::from_utf8(header).map_err(|_| "its header is no text")?;
    let shape = shape(header.trim()).ok_or("its header tells no shape")?;
    let elements = shape.iter().try_fold(1_usize, |product, length| product.checked_mul(*length));
    // An element has at least a byte.
    if elements.is_none_or(|elements| elements > data.len()) {
        return Err(format!(
            "its header announces the shape {shape:?}, which is more than the {} bytes there are",
            data.len()
        ));
    }
    Ok(())
}

fn shape(header: &str) -> Option<Vec<usize>> {
    let Ok(Value::Dict(entries)) = header.parse::<Value>() else { return None };
    let is_shape = |key: &Value| matches!(key, Value::String(key) if key == "shape");
    let (_, shape) = entries.into_iter().find(|(key, _)| is_shape(key))?;
    let (Value::Tuple(lengths) | Value::List(lengths)) = shape else { return None };
    let length =
        |value: &Value| if let Value::Integer(length) = value { length.to_string().parse().ok() } else { None };
    lengths.iter().map(length).collect()
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use ndarray::Array2;
    use ndarray_npy::{NpzWriter, WriteNpyExt as _};

    use super::*;

    fn npy() -> Vec<u8> {
        let mut bytes = Vec::new();
        Array2::from_shape_fn((2, 3), |(i, j)| (3 * i + j) as f32).write_npy(&mut bytes).unwrap();
        bytes
    }

    /// A `.npy` with this header, and nothing behind it but `data`.
    fn with_header(header: &str, data: &[u8]) -> Vec<u8> {
        let length = u32::try_from(header.len()).unwrap().to_le_bytes();
        [&MAGIC[..], &[2, 0], &length, header.as_bytes(), data].concat()
    }

    #[test]
    fn an_array_is_read_and_one_of_another_kind_is_none() {
        let read = array::<f32>(&npy()).unwrap().unwrap();
        assert_eq!((read.shape(), read[[1, 2]]), (&[2, 3][..], 5.0));
        assert!(array::<u8>(&npy()).unwrap().is_none());
    }

    #[test]
    fn an_archive_tells_its_arrays_and_which_are_lacking_or_too_large() {
        let mut writer = NpzWriter::new_compressed(Cursor::new(Vec::new()));
        writer.add_array("zeros", &Array2::<u8>::zeros((100, 100))).unwrap();
        let bytes = writer.finish().unwrap().into_inner();
        let mut npz = Npz::open(Cursor::new(&bytes), 20_000).unwrap();
        assert_eq!(npz.names(), ["zeros"]);
        assert_eq!(array::<u8>(&npz.npy("zeros").unwrap()).unwrap().unwrap().shape(), [100, 100]);
        assert!(matches!(npz.npy("ones"), Err(NpyError::Absent(_))));
        let mut npz = Npz::open(Cursor::new(&bytes), 5_000).unwrap();
        assert!(matches!(npz.npy("zeros"), Err(NpyError::TooLarge { max: 5_000, .. })), "however small it is packed");
    }

    #[test]
    fn a_header_that_announces_more_than_there_is_makes_no_room_for_it() {
        for shape in ["(1000000000000,)", "(4294967296, 4294967296)", "(13,)"] {
            let header = format!("{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}, }}\n");
            let error = array::<u8>(&with_header(&header, &[0; 12])).unwrap_err().to_string();
            assert!(error.contains("more than the 12 bytes"), "{error}");
        }
        let long = [&MAGIC[..], &[2, 0, 255, 255, 255, 255], &[b' '; 100]].concat();
        assert!(array::<u8>(&long).unwrap_err().to_string().contains("its header has 4294967295 bytes"));
    }

    #[test]
    fn a_header_that_is_nested_without_end_is_refused() {
        let nested = "(".repeat(9_000);
        assert!(array::<u8>(&with_header(&nested, &[])).unwrap_err().to_string().contains("nested"));
    }

    #[test]
    fn an_array_cut_anywhere_is_an_error() {
        let whole = npy();
        for length in 0..whole.len() {
            assert!(array::<f32>(&whole[..length]).is_err(), "cut at {length}");
        }
    }
}
