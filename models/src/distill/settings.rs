//! Everything that a distillation's students depend on, and nothing else: `config.json` of the work folder.

use rocoin::bundle::Preprocess;
use rocoin::planner::knowledge::Division;
use serde::{Deserialize, Serialize};

use crate::data::Validation;
use crate::teacher::Layout;
use crate::train::student::TrainOptions;

/// The schema of `config.json`.
pub(super) const SCHEMA: &str = "rocoin.distill/1";

/// What the students depend on. Two runs with equal settings can share their products, whatever machine they run on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Always `rocoin.distill/1`.
    pub schema: String,
    /// SHA-256 of the teacher's file.
    pub teacher: String,
    /// The teacher's feature map, by name.
    pub feature_tensor: String,
    /// Where the teacher's input has its channels.
    pub layout: Layout,
    /// What is done to an image before the teacher sees it; `None`: nothing.
    pub teacher_preprocess: Option<Preprocess>,
    /// SHA-256 of the data's files.
    pub data: String,
    /// `[C,H,W]` or `[C,L]`.
    pub shape: Vec<usize>,
    /// Number of classes.
    pub classes: usize,
    /// Which training images are kept back.
    pub validation: Validation,
    /// What the students do to an image first.
    pub preprocess: Preprocess,
    /// Augmented views of every training image.
    pub views: u32,
    /// How the teacher's filters are divided.
    #[serde(default)]
    pub division: Division,
    /// One a knowledge part.
    pub shares: Vec<Share>,
    /// How each student is trained; its seed is that of everything drawn.
    pub train: TrainOptions,
}

/// What one knowledge part gets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Share {
    /// How many of the teacher's filters; of an equal part, where the division finds the sizes by itself.
    pub filters: usize,
    /// Architectures of its students, smallest first.
    pub students: Vec<String>,
}

impl Settings {
    /// Names of the fields in which `other` differs.
    pub(super) fn differences(&self, other: &Self) -> Vec<String> {
        let fields = |settings: &Self| serde_json::to_value(settings).unwrap_or_default();
        let (ours, theirs) = (fields(self), fields(other));
        let keys = ours.as_object().into_iter().flat_map(|fields| fields.keys());
        keys.filter(|key| ours[key.as_str()] != theirs[key.as_str()]).cloned().collect()
    }
}
