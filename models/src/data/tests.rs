use std::fs;
use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use ndarray::{Array, Array1, ArrayD};
use ndarray_npy::NpzWriter;
use tempfile::TempDir;

use super::*;

fn idx(shape: &[u32], values: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0, 0, 8, u8::try_from(shape.len()).unwrap()];
    shape.iter().for_each(|size| bytes.extend(size.to_be_bytes()));
    bytes.extend(values);
    bytes
}

/// Six training images and four test images of 2×3, three classes.
fn idx_files() -> [(&'static str, Vec<u8>); 4] {
    let images = |count: u8| (0..count * 6).collect::<Vec<u8>>();
    [
        ("train-images-idx3-ubyte", idx(&[6, 2, 3], &images(6))),
        ("train-labels-idx1-ubyte", idx(&[6], &[0, 1, 2, 0, 1, 2])),
        ("t10k-images-idx3-ubyte", idx(&[4, 2, 3], &images(4))),
        ("t10k-labels-idx1-ubyte", idx(&[4], &[2, 1, 0, 2])),
    ]
}

fn folder(files: &[(&str, Vec<u8>)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    files.iter().for_each(|(name, bytes)| fs::write(folder.path().join(name), bytes).unwrap());
    folder
}

/// Loads the good files with one of them replaced, and gives the message.
fn refused(name: &str, bytes: Vec<u8>) -> String {
    let folder = folder(&idx_files());
    fs::write(folder.path().join(name), bytes).unwrap();
    let message = Dataset::load(folder.path()).unwrap_err().to_string();
    assert!(message.contains(name), "the file is not named: {message}");
    message
}

fn gzipped(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn idx_files_are_read_as_images_of_one_channel() {
    let folder = folder(&idx_files());
    let data = Dataset::load(folder.path()).unwrap();
    assert_eq!((data.shape(), data.classes, data.train.len(), data.test.len()), ([1, 2, 3].as_slice(), 3, 6, 4));
    assert_eq!(data.labels, ["0", "1", "2"]);
    assert_eq!(data.train.image_vec(1), [6.0, 7.0, 8.0, 9.0, 10.0, 11.0]);
    assert_eq!(data.test.label(0), 2);
}

#[test]
fn gzipped_files_hold_the_same_data() {
    let plain = folder(&idx_files());
    let gz = tempfile::tempdir().unwrap();
    for (name, bytes) in idx_files() {
        fs::write(gz.path().join(format!("{name}.gz")), gzipped(&bytes)).unwrap();
    }
    let (plain, gz) = (Dataset::load(plain.path()).unwrap(), Dataset::load(gz.path()).unwrap());
    assert_eq!((plain.train, plain.test), (gz.train, gz.test));
    assert_ne!(plain.sha256, gz.sha256);
}

#[test]
fn class_names_are_taken_from_the_labels_file() {
    let folder = folder(&idx_files());
    fs::write(folder.path().join(LABELS_FILE), "shirt\nshoe\nbag\nhat\n").unwrap();
    let data = Dataset::load(folder.path()).unwrap();
    assert_eq!((data.classes, data.labels[3].as_str()), (4, "hat"));
}

#[test]
fn damaged_idx_files_are_refused_by_name() {
    let [(images, good_images), (labels, good_labels), ..] = idx_files();
    assert!(refused(images, Vec::new()).contains("empty"));
    assert!(refused(images, good_images[..20].to_vec()).contains("announces 36 bytes, but there are 4"));
    assert!(refused(images, good_images[..10].to_vec()).contains("cut off"));
    assert!(refused(images, [good_images.clone(), vec![0]].concat()).contains("damaged"));
    assert!(refused(images, good_labels).contains("IDX file of images"));
    assert!(refused(images, b"<html>404</html>".to_vec()).contains("is it the right file"));
    assert!(refused(labels, good_images).contains("IDX file of labels"));
    assert!(refused(images, idx(&[0, 2, 3], &[])).contains("empty"));
    assert!(refused(images, idx(&[u32::MAX, u32::MAX, u32::MAX], &[])).contains("announces"));
}

#[test]
fn wrong_labels_are_refused_by_image() {
    let message = refused("train-labels-idx1-ubyte", idx(&[5], &[0; 5]));
    assert!(message.contains("5 labels for 6 images"), "{message}");
    let message = refused("t10k-labels-idx1-ubyte", idx(&[4], &[0, 1, 7, 2]));
    assert!(message.contains("image 2 has label 7, but there are 3 classes (0 to 2)"), "{message}");
}

#[test]
fn a_damaged_gzip_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    for (name, bytes) in idx_files() {
        let gz = gzipped(&bytes);
        fs::write(folder.path().join(format!("{name}.gz")), &gz[..gz.len() - 12]).unwrap();
    }
    let message = Dataset::load(folder.path()).unwrap_err().to_string();
    assert!(message.contains("train-images-idx3-ubyte.gz"), "{message}");
}

#[test]
fn a_missing_file_and_a_folder_without_data_are_told_apart() {
    let some = folder(&idx_files()[..3]);
    let message = Dataset::load(some.path()).unwrap_err().to_string();
    assert!(message.contains("t10k-labels-idx1-ubyte (or t10k-labels-idx1-ubyte.gz) is missing"), "{message}");
    assert!(matches!(Dataset::load(folder(&[]).path()), Err(DataError::Unrecognised { .. })));
    assert!(matches!(Dataset::load(Path::new("no/such/place")), Err(DataError::Io { .. })));
}

/// An `.npz` with these training arrays; the test part is the same.
fn npz<T, L>(images: ArrayD<T>, labels: Vec<L>) -> TempDir
where
    T: ndarray_npy::WritableElement,
    L: ndarray_npy::WritableElement,
{
    let folder = tempfile::tempdir().unwrap();
    let mut writer = NpzWriter::new_compressed(fs::File::create(folder.path().join("data.npz")).unwrap());
    let labels = Array1::from(labels);
    for part in ["train", "test"] {
        writer.add_array(format!("x_{part}"), &images).unwrap();
        writer.add_array(format!("y_{part}"), &labels).unwrap();
    }
    writer.finish().unwrap();
    folder
}

fn floats(shape: &[usize]) -> ArrayD<f32> {
    let count: usize = shape.iter().product();
    Array::from_iter((0..count).map(|i| i as f32 / 4.0)).into_shape_with_order(shape).unwrap()
}

#[test]
fn an_npz_holds_images_or_series() {
    let data = Dataset::load(npz(floats(&[4, 3, 2, 2]), vec![0_i64, 1, 0, 1]).path()).unwrap();
    assert_eq!((data.shape(), data.classes), ([3, 2, 2].as_slice(), 2));
    assert_eq!(data.train.image_vec(1)[0], 3.0);
    let series = Dataset::load(npz(floats(&[4, 2, 9]), vec![0_u8, 1, 0, 1]).path()).unwrap();
    assert_eq!(series.shape(), [2, 9]);
    assert_eq!(series.into_images().shape(), [1, 2, 9]);
}

#[test]
fn bytes_of_an_npz_stay_bytes_and_any_integer_is_a_label() {
    let bytes = Array::from_iter(0..16_u8).into_shape_with_order(vec![4, 2, 2]).unwrap();
    let data = Dataset::load(npz(bytes, vec![0_i32, 1, 1, 2]).path()).unwrap();
    assert_eq!(data.train.pixels, Pixels::U8((0..16).collect()));
    let path = npz(floats(&[2, 2, 2]), vec![1_u64, 0]);
    assert_eq!(Dataset::load(&path.path().join("data.npz")).unwrap().name, "data");
}

#[test]
fn wrong_npz_files_are_refused_with_the_array_s_name() {
    let message = |folder: TempDir| Dataset::load(folder.path()).unwrap_err().to_string();
    assert!(message(npz(floats(&[4, 2]), vec![0_u8; 4])).contains("x_train has shape [4, 2]"));
    assert!(message(npz(floats(&[4, 2, 2]), vec![0_u8; 3])).contains("3 labels for 4 images"));
    assert!(message(npz(floats(&[1, 2, 2]), vec![-1_i64])).contains("y_train of image 0 is -1"));
    assert!(message(npz(floats(&[1, 2, 2]), vec![0.5_f32])).contains("y_train holds no integers"));
    assert!(message(npz(floats(&[1, 2, 2]).mapv(f64::from), vec![0_u8])).contains("neither uint8 nor float32"));
    let mut holed = floats(&[3, 2, 2]);
    holed[[2, 0, 1]] = f32::NAN;
    assert!(message(npz(holed, vec![0_u8, 1, 0])).contains("x_train of image 2"));
    assert!(message(folder(&[("data.npz", b"PK nothing".to_vec())])).contains("no .npz"));
    assert!(message(folder(&[("data.npz", Vec::new())])).contains("empty"));
    let without = tempfile::tempdir().unwrap();
    let mut writer = NpzWriter::new(fs::File::create(without.path().join("a.npz")).unwrap());
    writer.add_array("images", &floats(&[2, 2, 2])).unwrap();
    writer.finish().unwrap();
    assert!(message(without).contains("array x_train"));
}

fn labelled(labels: Vec<u16>) -> Split {
    Split { shape: vec![1, 1, 1], pixels: Pixels::U8(vec![0; labels.len()]), labels }
}

#[test]
fn a_stratified_holdout_takes_every_class_in_its_share() {
    let split = labelled((0..100).map(|i| u16::from(i % 10 >= 6)).collect());
    let holdout = Holdout::new(&split, Validation::Stratified(10), 7).unwrap();
    let of_class = |class| holdout.validation.iter().filter(|&&i| split.label(i) == class).count();
    assert_eq!((of_class(0), of_class(1)), (6, 4));
    assert_eq!(holdout, Holdout::new(&split, Validation::Stratified(10), 7).unwrap());
    assert_ne!(holdout, Holdout::new(&split, Validation::Stratified(10), 8).unwrap());
    let mut all = [holdout.train, holdout.validation].concat();
    all.sort_unstable();
    assert_eq!(all, (0..100).collect::<Vec<_>>());
}

#[test]
fn the_default_holdout_is_a_tenth_and_the_last_images_can_be_asked_for() {
    let split = labelled((0..50).map(|i| i % 3).collect());
    assert_eq!(Holdout::new(&split, Validation::Default, 0).unwrap().validation.len(), 5);
    let last = Holdout::new(&split, "last:3".parse().unwrap(), 0).unwrap();
    assert_eq!((last.validation, last.train.len()), (vec![47, 48, 49], 47));
    assert_eq!("20".parse(), Ok(Validation::Stratified(20)));
    assert!("last:".parse::<Validation>().is_err() && "all".parse::<Validation>().is_err());
}

#[test]
fn a_holdout_that_leaves_nothing_is_refused() {
    let split = labelled(vec![0, 1, 0, 1]);
    for validation in [Validation::Stratified(0), Validation::Stratified(4), Validation::Last(9)] {
        assert!(matches!(Holdout::new(&split, validation, 0), Err(DataError::Validation { .. })));
    }
}

#[test]
fn channel_statistics_are_of_the_images_named() {
    let pixels = Pixels::F32(vec![0.0, 2.0, 5.0, 5.0, 100.0, 100.0, 100.0, 100.0]);
    let split = Split { shape: vec![2, 2], labels: vec![0, 0], pixels };
    assert_eq!(split.channel_statistics(&[0]), (vec![1.0, 5.0], vec![1.0, 1.0]));
}

/// CIFAR-10 with two images a batch: a label, then the image's number in red, green and blue.
fn cifar_files() -> Vec<(&'static str, Vec<u8>)> {
    let batch = |labels: [u8; 2]| {
        let record =
            |label: u8| [vec![label], vec![label; 1024], vec![100 + label; 1024], vec![200 + label; 1024]].concat();
        labels.map(record).concat()
    };
    let train = ["data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin", "data_batch_4.bin", "data_batch_5.bin"];
    let train = train.into_iter().zip(0..).map(|(name, n)| (name, batch([n, n + 5])));
    train.chain([("test_batch.bin", batch([9, 0]))]).collect()
}

#[test]
fn cifars_batches_are_read_in_order_as_images_of_three_channels() {
    let folder = folder(&cifar_files());
    let data = Dataset::load(folder.path()).unwrap();
    assert_eq!((data.shape(), data.classes, data.train.len(), data.test.len()), ([3, 32, 32].as_slice(), 10, 10, 2));
    assert_eq!((data.train.label(2), data.train.label(3), data.test.label(0)), (1, 6, 9));
    let image = data.train.image_vec(3);
    assert_eq!([image[0], image[1024], image[2048], image[3071]], [6.0, 106.0, 206.0, 206.0]);
    assert_eq!(data.labels[9], "9");
    fs::write(folder.path().join("batches.meta.txt"), "a\nb\nc\nd\ne\nf\ng\nh\ni\nj\n\n").unwrap();
    assert_eq!(Dataset::load(folder.path()).unwrap().labels[9], "j");
}

#[test]
fn cifar_100_is_told_by_its_fine_labels() {
    let record = |coarse: u8, fine: u8| [vec![coarse, fine], vec![7; 3072]].concat();
    let folder = folder(&[("train.bin", [record(3, 99), record(0, 0)].concat()), ("test.bin", record(1, 5))]);
    let data = Dataset::load(folder.path()).unwrap();
    assert_eq!((data.classes, data.train.label(0), data.test.label(0)), (100, 99, 5));
}

#[test]
fn damaged_cifar_batches_are_refused_by_name() {
    let refused = |name: &str, bytes: Option<Vec<u8>>| {
        let folder = folder(&cifar_files());
        match bytes {
            Some(bytes) => fs::write(folder.path().join(name), bytes).unwrap(),
            None => fs::remove_file(folder.path().join(name)).unwrap(),
        }
        let message = Dataset::load(folder.path()).unwrap_err().to_string();
        assert!(message.contains(name), "the file is not named: {message}");
        message
    };
    assert!(refused("data_batch_3.bin", None).contains("is missing"));
    assert!(refused("data_batch_3.bin", Some(Vec::new())).contains("empty"));
    assert!(refused("test_batch.bin", Some(vec![0; 3000])).contains("3073 for each image"));
    let wrong = [vec![10], vec![0; 3072]].concat();
    assert!(refused("test_batch.bin", Some(wrong)).contains("image 0 has label 10, but there are 10 classes"));
}

/// Two classes, two training images and one test image each, 4 wide and 2 high.
fn class_folders(write: impl Fn(&Path, u8)) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let files = [
        "train/cat/a.png",
        "train/cat/b.png",
        "train/dog/a.png",
        "train/dog/b.png",
        "test/cat/1.png",
        "test/dog/1.png",
    ];
    for (file, n) in files.iter().zip(0..) {
        let path = folder.path().join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        write(&path, n);
    }
    folder
}

fn grey(path: &Path, n: u8) {
    image::GrayImage::from_pixel(4, 2, image::Luma([n])).save(path).unwrap();
}

#[test]
fn a_folder_a_class_is_read_in_order_of_names() {
    let folder = class_folders(grey);
    fs::write(folder.path().join("train/.hidden"), "").unwrap();
    let data = Dataset::load(folder.path()).unwrap();
    assert_eq!((data.shape(), data.labels.clone()), ([1, 2, 4].as_slice(), vec!["cat".to_owned(), "dog".to_owned()]));
    assert_eq!((data.train.labels.clone(), data.test.labels.clone()), (vec![0, 0, 1, 1], vec![0, 1]));
    assert_eq!(data.train.image_vec(2), [2.0; 8]);
}

#[test]
fn one_image_with_colour_makes_all_of_them_images_of_three_channels() {
    let folder = class_folders(grey);
    image::RgbImage::from_pixel(4, 2, image::Rgb([10, 20, 30])).save(folder.path().join("train/dog/a.png")).unwrap();
    let data = Dataset::load(folder.path()).unwrap();
    assert_eq!(data.shape(), [3, 2, 4]);
    assert_eq!(data.train.image_vec(2), [[10.0; 8], [20.0; 8], [30.0; 8]].concat());
    assert_eq!(data.train.image_vec(3), [3.0; 24]);
}

#[test]
fn folders_that_make_no_data_set_are_refused_by_name() {
    let refused = |spoil: &dyn Fn(&Path)| {
        let folder = class_folders(grey);
        spoil(folder.path());
        Dataset::load(folder.path()).unwrap_err().to_string()
    };
    let large = |folder: &Path| image::GrayImage::new(5, 2).save(folder.join("train/dog/b.png")).unwrap();
    assert!(refused(&large).contains("dog/b.png: it is 5 pixels wide and 2 high, while the first image is 4 and 2"));
    let text = |folder: &Path| fs::write(folder.join("test/cat/notes.txt"), "x").unwrap();
    assert!(refused(&text).contains("notes.txt: a folder of a class holds PNG and JPEG files alone"));
    let cut_off = |folder: &Path| fs::write(folder.join("test/cat/1.png"), "x").unwrap();
    assert!(refused(&cut_off).contains("1.png: it cannot be read as an image"));
    let unknown = |folder: &Path| fs::create_dir(folder.join("test/bird")).unwrap();
    assert!(refused(&unknown).contains("bird: there is no class of that name in train"));
    let gone = |folder: &Path| fs::remove_dir_all(folder.join("test")).unwrap();
    assert!(refused(&gone).contains("the folder test is missing"));
    let empty = |folder: &Path| {
        fs::remove_dir_all(folder.join("test")).unwrap();
        fs::create_dir(folder.join("test")).unwrap();
    };
    assert!(refused(&empty).contains("empty"));
}
