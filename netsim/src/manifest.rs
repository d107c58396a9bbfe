//! The manifest of a bundle that is made up: what all such bundles have in common.

use rocoin::bundle::{
    Combination, DataCard, InputSpec, Manifest, Merge, Part, Preprocess, SCHEMA, StudentRef, TeacherCard,
};
use rocoin::id::PartId;

/// Of every made-up student.
pub(crate) const PRECISION: &str = "f32";

/// What differs between made-up bundles.
#[derive(Debug)]
pub(crate) struct MadeUpManifest<'a> {
    pub(crate) name: &'a str,
    pub(crate) version: String,
    /// Channels, height, width.
    pub(crate) shape: [usize; 3],
    pub(crate) classes: usize,
    pub(crate) parts: Vec<Part>,
    pub(crate) accuracy: Vec<Combination>,
}

impl From<MadeUpManifest<'_>> for Manifest {
    fn from(made_up: MadeUpManifest<'_>) -> Self {
        let MadeUpManifest { name, version, shape, classes, parts, accuracy } = made_up;
        Self {
            schema: SCHEMA.to_owned(),
            name: name.to_owned(),
            version,
            classes,
            labels: (0..classes).map(|class| format!("class {class}")).collect(),
            input: InputSpec {
                name: "image".to_owned(),
                shape: shape.to_vec(),
                dtype: "FP32".to_owned(),
                preprocess: Preprocess { scale: 1.0, mean: vec![0.0], std: vec![1.0] },
            },
            teacher: TeacherCard { sha256: String::new(), accuracy: 0.99 },
            data: DataCard { name: name.to_owned(), sha256: String::new() },
            parts,
            merge: Merge { kind: "sum".to_owned(), bias: vec![0.0; classes] },
            accuracy,
            training: serde_json::Value::Null,
        }
    }
}

/// A made-up student, as a combination names it.
pub(crate) fn student_ref(part: u16, arch: &str) -> StudentRef {
    StudentRef { part: PartId(part), arch: arch.to_owned(), precision: PRECISION.to_owned() }
}
