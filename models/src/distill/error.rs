//! Why a distillation did not end in a bundle.

use std::io;
use std::path::PathBuf;

use rocoin::planner::PARTS_MAX;

use crate::bundle_dir::BundleError;
use crate::data::DataError;
use crate::evaluate::PartialLogitsError;
use crate::session::SessionError;
use crate::teacher::TeacherError;
use crate::train::head::HeadError;
use crate::train::student::TrainError;
use crate::train::views::ViewsError;
use crate::zoo::export::ExportError;

/// A distillation that stopped. What its work folder holds by then stays usable; there is no bundle under its name.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DistillError {
    /// The data.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The teacher.
    #[error(transparent)]
    Teacher(#[from] TeacherError),
    /// The teacher's answers on disk.
    #[error(transparent)]
    Views(#[from] ViewsError),
    /// A student.
    #[error(transparent)]
    Train(#[from] TrainError),
    /// The head.
    #[error(transparent)]
    Head(#[from] HeadError),
    /// Writing a student as ONNX.
    #[error(transparent)]
    Export(#[from] ExportError),
    /// Running an exported student.
    #[error("an exported student does not run: {0}")]
    Session(#[from] SessionError),
    /// Writing the bundle.
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// Writing the partial logits.
    #[error(transparent)]
    PartialLogits(#[from] PartialLogitsError),
    /// The teacher's classes are not the data's.
    #[error(
        "the teacher tells {teacher} classes apart, the data has {data} (its labels.txt, or its largest label and one more); give data with \
         the teacher's classes, or list all {teacher} in labels.txt beside the data"
    )]
    Classes {
        /// Of the teacher.
        teacher: usize,
        /// Of the data.
        data: usize,
    },
    /// None, more than filters, or more than a plan can have.
    #[error(
        "--parts {parts}: the teacher's last feature map has {filters} filters and a plan has at most {PARTS_MAX} parts, so 1 to {} \
         are possible", filters.min(&PARTS_MAX)
    )]
    Parts {
        /// K.
        parts: usize,
        /// M.
        filters: usize,
    },
    /// A part that is not there.
    #[error("--part {part}: there are {parts} parts, numbered from 0")]
    NoSuchPart {
        /// Asked for.
        part: usize,
        /// K.
        parts: usize,
    },
    /// Options that contradict each other.
    #[error("{0}")]
    Options(String),
    /// No students can be planned for the fleet.
    #[error("--fleet: {0}")]
    Fleet(#[from] rocoin::planner::PlanError),
    /// The work folder is there already.
    #[error("{} is there already: --resume goes on where it ended; to start afresh, delete it or give another --out", path.display())]
    WorkExists {
        /// The work folder.
        path: PathBuf,
    },
    /// The work folder was made with other settings.
    #[error(
        "{} was made with other settings ({} differ), so what it holds cannot be used; repeat its options (see config.json in it), or \
         give another --out", path.display(), differences.join(", ")
    )]
    WorkDiffers {
        /// The work folder.
        path: PathBuf,
        /// Fields of `config.json`.
        differences: Vec<String>,
    },
    /// Another process works there.
    #[error("{}: another rocoin distill is at work in it; wait for it, or give another --out", path.display())]
    WorkBusy {
        /// The work folder.
        path: PathBuf,
    },
    /// No work folder.
    #[error("{}: this is no work folder of rocoin distill; it has no config.json", path.display())]
    NoWork {
        /// Where one was expected.
        path: PathBuf,
    },
    /// Students that nobody has trained yet.
    #[error("not all students are trained: {}; train their parts with --part first", missing.join(", "))]
    Unfinished {
        /// Part and architecture of each.
        missing: Vec<String>,
    },
    /// A file of the work folder is not readable as what it is.
    #[error("{}: {error}; delete it, and it is made again", path.display())]
    Json {
        /// Which.
        path: PathBuf,
        /// Why.
        error: serde_json::Error,
    },
    /// A bundle whose manifest does not say how its students were trained.
    #[error(
        "{}: its manifest does not say how its students were trained ({reason}), which the head needs to be trained in the same way; give a \
         bundle that rocoin distill made", path.display()
    )]
    NotDistilled {
        /// The bundle.
        path: PathBuf,
        /// What is wrong with `training.settings`.
        reason: String,
    },
    /// A student's file whose head cannot be told from the rest, or that does not run.
    #[error("{}: {file}: {reason}; give a bundle that rocoin distill made", path.display())]
    NoHead {
        /// The bundle.
        path: PathBuf,
        /// The student's.
        file: String,
        /// Why.
        reason: String,
    },
    /// A bundle with quantised students.
    #[error(
        "{}: {} is quantised, and its head with it; train the head of the bundle it was made from, then rocoin quantize that", path.display(),
        files.join(", ")
    )]
    Quantised {
        /// The bundle.
        path: PathBuf,
        /// Files of the students.
        files: Vec<String>,
    },
    /// The file system says no.
    #[error("{}: {error}; what is finished is kept, --resume goes on from there", path.display())]
    Io {
        /// Where.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// An exported student does not compute what the trained one does.
    #[error(
        "part {part}, {arch}: the exported student differs from the trained one by {relative:.1e} of the largest logit on {images} real \
         images (at most {limit:.0e} is allowed); nothing was written. This is a defect of the export: please report it"
    )]
    ExportDiffers {
        /// The part.
        part: usize,
        /// The architecture.
        arch: String,
        /// Largest difference over largest logit.
        relative: f32,
        /// What is allowed.
        limit: f32,
        /// How many were compared.
        images: usize,
    },
}
