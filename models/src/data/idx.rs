//! MNIST's IDX files: a magic number, big-endian dimensions, bytes; each file plain or gzipped.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;
use rocoin::id::Digest;

use super::{DataError, Pixels, Raw, Split};

/// Two zero bytes, 8 = unsigned byte, then the number of dimensions.
const MAGIC_BYTES: [u8; 3] = [0, 0, 8];
const NAMES: [&str; 4] =
    ["train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"];

/// Where the four files are, in the order of [`NAMES`], which is the order of the digest.
pub(super) struct Files([PathBuf; 4]);

impl Files {
    /// The four files among `present`; `None` if there is none of them.
    pub(super) fn find(directory: &Path, present: &[PathBuf]) -> Result<Option<Self>, DataError> {
        let find = |name: &str| {
            let gzipped = format!("{name}.gz");
            present.iter().find(|path| path.file_name().is_some_and(|file| file == name || file == gzipped.as_str()))
        };
        let found = NAMES.map(find);
        if found.iter().all(Option::is_none) {
            return Ok(None);
        }
        let mut files = Vec::with_capacity(NAMES.len());
        for (name, file) in NAMES.iter().zip(found) {
            let missing =
                || DataError::Missing { directory: directory.to_owned(), missing: format!("{name} (or {name}.gz)") };
            files.push(file.ok_or_else(missing)?.clone());
        }
        Ok(files.try_into().ok().map(Self))
    }
}

/// Reads all four files.
pub(super) fn load(files: &Files) -> Result<Raw, DataError> {
    let [train_images, train_labels, test_images, test_labels] = &files.0;
    let mut bytes_of_all = Vec::new();
    for file in &files.0 {
        bytes_of_all.extend_from_slice(&std::fs::read(file).map_err(|error| io_error(file, error))?);
    }
    Ok(Raw {
        train: load_idx(train_images, train_labels)?,
        test: load_idx(test_images, test_labels)?,
        sha256: Digest::of(&bytes_of_all).to_string(),
        label_sources: [train_labels.clone(), test_labels.clone()],
        names: None,
    })
}

/// Reads one pair of IDX files, `.gz` or not: images `[N,H,W]` and their labels `[N]`.
///
/// # Errors
/// [`DataError`], naming the file.
pub fn load_idx(images: &Path, labels: &Path) -> Result<Split, DataError> {
    let (shape, pixels) = read(images, 3)?;
    let (counts, classes) = read(labels, 1)?;
    if shape[0] != counts[0] {
        return Err(DataError::Counts { file: labels.to_owned(), images: shape[0], labels: counts[0] });
    }
    let labels = classes.into_iter().map(u16::from).collect();
    Ok(Split { shape: vec![1, shape[1], shape[2]], labels, pixels: Pixels::U8(pixels) })
}

/// Dimensions and bytes of one file, exactly as many as its header announces.
fn read(file: &Path, rank: usize) -> Result<(Vec<usize>, Vec<u8>), DataError> {
    let mut reader = open(file)?;
    let mut header = [0; 4];
    fill(&mut reader, &mut header, file, 4 + 4 * rank as u64)?;
    if header[..3] != MAGIC_BYTES || usize::from(header[3]) != rank {
        let problem = format!(
            "it starts with {header:02x?}, while an IDX file of {} starts with [00, 00, 08, {rank:02x}]",
            if rank == 1 { "labels" } else { "images" }
        );
        return Err(DataError::Format { file: file.to_owned(), problem });
    }
    let mut shape = Vec::with_capacity(rank);
    for _ in 0..rank {
        let mut dimension = [0; 4];
        fill(&mut reader, &mut dimension, file, 4 + 4 * rank as u64)?;
        shape.push(u32::from_be_bytes(dimension));
    }
    if shape.contains(&0) {
        return Err(DataError::Empty { file: file.to_owned() });
    }
    let expected = shape.iter().try_fold(1_u64, |product, &dimension| product.checked_mul(dimension.into()));
    let problem = || DataError::Format { file: file.to_owned(), problem: format!("its header announces {shape:?}") };
    let expected = expected.filter(|&bytes| bytes < u64::MAX).ok_or_else(problem)?;
    let mut bytes = Vec::new();
    reader.take(expected + 1).read_to_end(&mut bytes).map_err(|error| cut_off(file, error, expected))?;
    if bytes.len() as u64 != expected {
        return Err(DataError::Length { file: file.to_owned(), expected, found: bytes.len() as u64 });
    }
    Ok((shape.into_iter().map(|dimension| dimension as usize).collect(), bytes))
}

fn open(file: &Path) -> Result<Box<dyn Read>, DataError> {
    let opened = File::open(file).map_err(|error| io_error(file, error))?;
    if opened.metadata().map_err(|error| io_error(file, error))?.len() == 0 {
        return Err(DataError::Empty { file: file.to_owned() });
    }
    let reader = BufReader::new(opened);
    let gzipped = file.extension().is_some_and(|extension| extension == "gz");
    Ok(if gzipped { Box::new(MultiGzDecoder::new(reader)) } else { Box::new(reader) })
}

fn fill(reader: &mut dyn Read, buffer: &mut [u8], file: &Path, expected: u64) -> Result<(), DataError> {
    reader.read_exact(buffer).map_err(|error| cut_off(file, error, expected))
}

fn cut_off(file: &Path, error: std::io::Error, expected: u64) -> DataError {
    use std::io::ErrorKind::{InvalidData, InvalidInput, UnexpectedEof};
    let kind = error.kind();
    let problem = if kind == UnexpectedEof {
        format!("it ends before the {expected} bytes it should hold; it is cut off, get it again")
    } else if kind == InvalidInput || kind == InvalidData {
        format!("it is no sound gzip ({error})")
    } else {
        return io_error(file, error);
    };
    DataError::Format { file: file.to_owned(), problem }
}

fn io_error(file: &Path, error: std::io::Error) -> DataError {
    DataError::Io { file: file.to_owned(), error }
}
