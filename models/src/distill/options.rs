//! What `rocoin distill` is asked for.

use std::path::PathBuf;

use rocoin::fleet::Fleet;
use rocoin::planner::knowledge::Division;
use rocoin::planner::zoo::Architecture;

use crate::data::Validation;
use crate::teacher::TeacherOptions;
use crate::train::student::TrainOptions;

/// Views of every training image that are kept on disk, unless there are fewer epochs: each is worth the teacher's feature maps
/// of all images as f16 (690 MB for Fashion-MNIST and 128 filters of 7×7).
pub const VIEWS_DEFAULT: u32 = 8;

/// A distillation.
#[derive(Debug, Clone)]
pub struct DistillOptions {
    /// Into how many parts, of which sizes, with which students.
    pub choice: Choice,
    /// How the teacher's filters are divided.
    pub division: Division,
    /// Which training images are kept back.
    pub validation: Validation,
    /// What cannot be found out about the teacher; its `preprocess` applies to the students too, and where it is `None`, they
    /// standardise images by the training images' mean and deviation.
    pub teacher: TeacherOptions,
    /// Augmented views of every training image; `None`: [`VIEWS_DEFAULT`], or one an epoch if that is fewer.
    pub views: Option<u32>,
    /// How each student is trained; its seed is that of everything drawn.
    pub train: TrainOptions,
    /// Go on in the work folder that is there.
    pub resume: bool,
    /// Train this part's students alone and stop.
    pub part: Option<usize>,
    /// The rest.
    pub finish: FinishOptions,
}

/// What is needed to make a bundle of trained students.
#[derive(Debug, Clone)]
pub struct FinishOptions {
    /// The teacher's ONNX file.
    pub teacher: PathBuf,
    /// What [`crate::data::Dataset::load`] takes.
    pub data: PathBuf,
    /// Where the bundle is to be; the work folder is beside it.
    pub out: PathBuf,
    /// q: how often a part is left out while the head is trained.
    pub part_dropout: f32,
    /// Threads, and so students trained side by side.
    pub jobs: usize,
    /// The model's name; `None`: the data's, or that of the bundle whose head is trained anew.
    pub name: Option<String>,
    /// Dotted numbers; `None`: 1, or that of the bundle whose head is trained anew.
    pub version: Option<String>,
    /// Put the bundle in the place of what is there.
    pub replace: bool,
    /// The command line, for the manifest.
    pub command: String,
}

/// Who decides into how many parts, of which sizes, and with which students.
#[derive(Debug, Clone)]
pub enum Choice {
    /// The user: K parts of equal size, each with all these architectures.
    Fixed {
        /// K.
        parts: usize,
        /// At least one.
        zoo: Vec<Architecture>,
    },
    /// The planner, for a fleet.
    Planned {
        /// Its `[plan]` may say K.
        fleet: Fleet,
        /// Every part gets all of these; where it is empty, the planner chooses one for each part.
        zoo: Vec<Architecture>,
    },
}
