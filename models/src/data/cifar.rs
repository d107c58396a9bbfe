//! CIFAR's binary batches: one record an image, a byte for each label and then the red, green and blue values, row by row.

use std::path::{Path, PathBuf};

use rocoin::id::Digest;

use super::{DataError, Pixels, Raw, Split, names_in};

/// Channels, height, width.
const SHAPE: [usize; 3] = [3, 32, 32];
const IMAGE_BYTES: usize = SHAPE[0] * SHAPE[1] * SHAPE[2];

/// One of the two sets, as its files tell it.
#[derive(Debug)]
struct Form {
    train: &'static [&'static str],
    test: &'static str,
    /// Bytes before the pixels; the last of them is the class.
    label_bytes: usize,
    classes: usize,
    /// Beside the batches: the class names.
    names: &'static str,
}

const FORMS: [Form; 2] = [
    Form {
        train: &["data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin", "data_batch_4.bin", "data_batch_5.bin"],
        test: "test_batch.bin",
        label_bytes: 1,
        classes: 10,
        names: "batches.meta.txt",
    },
    // The coarse label comes first.
    Form { train: &["train.bin"], test: "test.bin", label_bytes: 2, classes: 100, names: "fine_label_names.txt" },
];

/// Where the batches of one set are, in the order of the digest.
#[derive(Debug)]
pub(super) struct Files {
    form: &'static Form,
    train: Vec<PathBuf>,
    test: PathBuf,
    names: PathBuf,
}

impl Files {
    /// The batches of CIFAR-10 or CIFAR-100 among `present`; `None` if there is none of them.
    pub(super) fn find(directory: &Path, present: &[PathBuf]) -> Result<Option<Self>, DataError> {
        let is_there = |name: &&str| present.contains(&directory.join(name));
        let all = |form: &'static Form| form.train.iter().copied().chain([form.test]);
        let Some(form) = FORMS.iter().find(|form| all(form).any(|name| is_there(&name))) else { return Ok(None) };
        if let Some(missing) = all(form).find(|name| !is_there(name)) {
            return Err(DataError::Missing { directory: directory.to_owned(), missing: missing.to_owned() });
        }
        let path = |name: &&str| directory.join(name);
        let (train, test, names) = (form.train.iter().map(path).collect(), path(&form.test), path(&form.names));
        Ok(Some(Self { form, train, test, names }))
    }
}

/// Reads every batch.
pub(super) fn load(files: &Files) -> Result<Raw, DataError> {
    let Files { form, train, test, names } = files;
    let mut bytes_of_all = Vec::new();
    let mut read = |batches: &[PathBuf]| {
        let mut split = Split { shape: SHAPE.to_vec(), labels: Vec::new(), pixels: Pixels::U8(Vec::new()) };
        for file in batches {
            let bytes = std::fs::read(file).map_err(|error| DataError::Io { file: file.clone(), error })?;
            append(&mut split, file, &bytes, form)?;
            bytes_of_all.extend(bytes);
        }
        Ok(split)
    };
    let (train_split, test_split) = (read(train)?, read(std::slice::from_ref(test))?);
    let names = names_in(names)?.unwrap_or_else(|| (0..form.classes).map(|class| class.to_string()).collect());
    Ok(Raw {
        train: train_split,
        test: test_split,
        sha256: Digest::of(&bytes_of_all).to_string(),
        label_sources: [train[0].clone(), test.clone()],
        names: Some(names),
    })
}

fn append(split: &mut Split, file: &Path, bytes: &[u8], form: &Form) -> Result<(), DataError> {
    let record = form.label_bytes + IMAGE_BYTES;
    if bytes.is_empty() {
        return Err(DataError::Empty { file: file.to_owned() });
    }
    if !bytes.len().is_multiple_of(record) {
        let problem = format!(
            "it has {} bytes, while a batch has {record} for each image; it is cut off, or of another set",
            bytes.len()
        );
        return Err(DataError::Format { file: file.to_owned(), problem });
    }
    let Split { labels, pixels: Pixels::U8(pixels), .. } = split else { return Ok(()) };
    for (image, record) in bytes.chunks_exact(record).enumerate() {
        let (label, image_pixels) = record.split_at(form.label_bytes);
        let label = u16::from(label[form.label_bytes - 1]);
        if usize::from(label) >= form.classes {
            let (file, classes) = (file.to_owned(), form.classes);
            return Err(DataError::LabelOutOfRange { file, image, label: label.into(), classes });
        }
        labels.push(label);
        pixels.extend_from_slice(image_pixels);
    }
    Ok(())
}
