//! A folder a class: `train/CLASS/…` and `test/CLASS/…`, PNG or JPEG.

use std::path::{Path, PathBuf};

use image::{DynamicImage, ImageReader};
use sha2::{Digest as _, Sha256};

use super::{DataError, Pixels, Raw, Split};

const PARTS: [&str; 2] = ["train", "test"];
const EXTENSIONS: [&str; 3] = ["png", "jpg", "jpeg"];

/// The folders of both parts.
#[derive(Debug)]
pub(super) struct Folders([PathBuf; 2]);

impl Folders {
    /// Both, if one of them is there.
    ///
    /// # Errors
    /// [`DataError::Missing`] if the other is not.
    pub(super) fn find(directory: &Path) -> Result<Option<Self>, DataError> {
        let folders = PARTS.map(|part| directory.join(part));
        if !folders.iter().any(|folder| folder.is_dir()) {
            return Ok(None);
        }
        match PARTS.iter().zip(&folders).find(|(_, folder)| !folder.is_dir()) {
            Some((part, _)) => {
                Err(DataError::Missing { directory: directory.to_owned(), missing: format!("the folder {part}") })
            }
            None => Ok(Some(Self(folders))),
        }
    }
}

/// Reads every image, in order of classes and names. The classes are the folders of the training part.
pub(super) fn load(Folders([train, test]): &Folders) -> Result<Raw, DataError> {
    let classes: Vec<String> = entries(train)?.iter().map(|class| name(class)).collect();
    let mut hash = Sha256::new();
    let (train_images, test_images) = (read(train, &classes, &mut hash)?, read(test, &classes, &mut hash)?);
    // One with colour makes all of them images of three channels.
    let has_color = train_images.iter().chain(&test_images).any(|labelled| labelled.image.color().has_color());
    let size = train_images.first().map(|first| (first.image.width(), first.image.height()));
    let split = |folder: &Path, images: Vec<Labelled>| {
        let Some((width, height)) = size else { return Err(DataError::Empty { file: folder.to_owned() }) };
        if images.is_empty() {
            return Err(DataError::Empty { file: folder.to_owned() });
        }
        let (mut labels, mut pixels) = (Vec::new(), Vec::new());
        for Labelled { file, class, image } in images {
            if (image.width(), image.height()) != (width, height) {
                let problem = format!(
                    "it is {} pixels wide and {} high, while the first image is {width} and {height}; scale all to one size first",
                    image.width(),
                    image.height()
                );
                return Err(DataError::Format { file, problem });
            }
            labels.push(class);
            push_channels_first(&mut pixels, &image, has_color);
        }
        let channels = if has_color { 3 } else { 1 };
        let shape = vec![channels, height as usize, width as usize];
        Ok(Split { shape, labels, pixels: Pixels::U8(pixels) })
    };
    Ok(Raw {
        train: split(train, train_images)?,
        test: split(test, test_images)?,
        sha256: rocoin::id::Digest(hash.finalize().into()).to_string(),
        label_sources: [train.clone(), test.clone()],
        names: Some(classes),
    })
}

struct Labelled {
    file: PathBuf,
    class: u16,
    image: DynamicImage,
}

fn read(part: &Path, classes: &[String], hash: &mut Sha256) -> Result<Vec<Labelled>, DataError> {
    let mut images = Vec::new();
    for folder in entries(part)? {
        let class = classes.iter().position(|class| *class == name(&folder));
        let class = class.and_then(|class| u16::try_from(class).ok()).ok_or_else(|| DataError::Format {
            file: folder.clone(),
            problem: format!("there is no class of that name in {}", PARTS[0]),
        })?;
        for file in entries(&folder)? {
            let bytes = std::fs::read(&file).map_err(|error| DataError::Io { file: file.clone(), error })?;
            hash.update(&bytes);
            let image = decode(&file, &bytes)?;
            images.push(Labelled { file, class, image });
        }
    }
    Ok(images)
}

fn decode(file: &Path, bytes: &[u8]) -> Result<DynamicImage, DataError> {
    let problem = |problem: String| DataError::Format { file: file.to_owned(), problem };
    let extension = file.extension().map(|extension| extension.to_string_lossy().to_ascii_lowercase());
    if !extension.is_some_and(|extension| EXTENSIONS.contains(&extension.as_str())) {
        return Err(problem("a folder of a class holds PNG and JPEG files alone".to_owned()));
    }
    if bytes.is_empty() {
        return Err(DataError::Empty { file: file.to_owned() });
    }
    let reader = ImageReader::new(std::io::Cursor::new(bytes)).with_guessed_format();
    let reader = reader.map_err(|error| DataError::Io { file: file.to_owned(), error })?;
    reader.decode().map_err(|error| problem(format!("it cannot be read as an image: {error}")))
}

fn push_channels_first(pixels: &mut Vec<u8>, image: &DynamicImage, has_color: bool) {
    if !has_color {
        return pixels.extend(image.to_luma8().into_raw());
    }
    let rgb = image.to_rgb8();
    for channel in 0..3 {
        pixels.extend(rgb.pixels().map(|pixel| pixel.0[channel]));
    }
}

/// What a folder holds, by name; hidden files are left out.
fn entries(folder: &Path) -> Result<Vec<PathBuf>, DataError> {
    let io = |error| DataError::Io { file: folder.to_owned(), error };
    let found: Result<Vec<_>, _> = std::fs::read_dir(folder).map_err(io)?.collect();
    let mut found: Vec<PathBuf> = found.map_err(io)?.into_iter().map(|entry| entry.path()).collect();
    found.retain(|path| !name(path).starts_with('.'));
    found.sort();
    Ok(found)
}

fn name(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}
