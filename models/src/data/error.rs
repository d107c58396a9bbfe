//! What can be wrong with data.

use std::io;
use std::path::PathBuf;

/// Data that cannot be used. Nothing was kept of it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataError {
    /// The file system says no.
    #[error("{}: {error}", file.display())]
    Io {
        /// Which.
        file: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// None of the forms that data can have.
    #[error(
        "{}: no data found here; it takes a directory with train-images-idx3-ubyte, train-labels-idx1-ubyte, \
         t10k-images-idx3-ubyte and t10k-labels-idx1-ubyte (each with or without .gz), with CIFAR's binary batches \
         (data_batch_1.bin …), with train/CLASS/*.png and test/CLASS/*.png, or an .npz with x_train, y_train, x_test and y_test",
        directory.display()
    )]
    Unrecognised {
        /// Which.
        directory: PathBuf,
    },
    /// Several `.npz` files.
    #[error("{}: there are several .npz files; name the one to use", directory.display())]
    Ambiguous {
        /// Which.
        directory: PathBuf,
    },
    /// Some of the files that belong together are there, others not.
    #[error("{}: {missing} is missing; put it beside the others", directory.display())]
    Missing {
        /// Where.
        directory: PathBuf,
        /// Which file.
        missing: String,
    },
    /// No bytes, or no image.
    #[error("{}: it is empty; get it again", file.display())]
    Empty {
        /// Which.
        file: PathBuf,
    },
    /// The first bytes are not the format's.
    #[error("{}: {problem}; is it the right file?", file.display())]
    Format {
        /// Which.
        file: PathBuf,
        /// What was found and what is expected.
        problem: String,
    },
    /// Fewer or more bytes than the header announces.
    #[error("{}: its header announces {expected} bytes, but there are {found}; the file is damaged, get it again", file.display())]
    Length {
        /// Which.
        file: PathBuf,
        /// By the header.
        expected: u64,
        /// What is there (`expected + 1`: more than announced).
        found: u64,
    },
    /// Not one label an image.
    #[error("{}: {labels} labels for {images} images; these files do not belong together", file.display())]
    Counts {
        /// The label file.
        file: PathBuf,
        /// Images of the image file.
        images: usize,
        /// Labels of the label file.
        labels: usize,
    },
    /// A label no class has.
    #[error(
        "{}: image {image} has label {label}, but there are {classes} classes (0 to {}); correct the labels, or list every \
         class in {}",
        file.display(), classes - 1, super::LABELS_FILE
    )]
    LabelOutOfRange {
        /// The label file.
        file: PathBuf,
        /// Which image, from 0.
        image: usize,
        /// Its label.
        label: i64,
        /// How many classes there are.
        classes: usize,
    },
    /// Training and test images differ.
    #[error("{}: test images have shape {test:?}, training images {train:?}; both must be the same", file.display())]
    ShapesDiffer {
        /// Where the test part is from.
        file: PathBuf,
        /// Of a training image.
        train: Vec<usize>,
        /// Of a test image.
        test: Vec<usize>,
    },
    /// A pixel that is not a number.
    #[error("{}: {array} of image {image} holds a value that is not finite; remove the image or repair it", file.display())]
    NotFinite {
        /// Which.
        file: PathBuf,
        /// Which array.
        array: String,
        /// Which image, from 0.
        image: usize,
    },
    /// A validation set that leaves nothing to train on, or nothing to choose by.
    #[error("--validation {asked}: the training part has {images} images; ask for at least 1 and fewer than that")]
    Validation {
        /// What was asked.
        asked: String,
        /// What is there.
        images: usize,
    },
}
