//! Bundles and members to tell stories with.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::bundle::{
    Combination, DataCard, InputSpec, Manifest, Merge, Part, Preprocess, SCHEMA, StudentCard, StudentRef, TeacherCard,
};
use crate::fleet::Capability;
use crate::id::{Digest, NodeId, PartId};

/// Bytes of memory that one student of a [`Bundle`] needs.
pub(crate) const STUDENT_MEMORY: u64 = 1_000_000;

pub(crate) fn id(n: u8) -> NodeId {
    NodeId([n; 32])
}

/// A device with room for `students` of them.
pub(crate) fn capability(students: u64) -> Capability {
    Capability {
        flops_per_s: 1e9,
        memory_bytes: students * STUDENT_MEMORY,
        link_bits_per_s: 1e8,
        link_delay_s: 1e-4,
        failure_probability: 0.05,
    }
}

/// A bundle with its files.
#[derive(Debug, Clone)]
pub(crate) struct Bundle {
    pub(crate) digest: Digest,
    pub(crate) manifest: Arc<Manifest>,
    /// Manifest included.
    pub(crate) files: BTreeMap<Digest, Vec<u8>>,
}

impl Bundle {
    pub(crate) fn students(&self) -> Vec<Digest> {
        self.manifest.parts.iter().map(|p| p.students[0].digest).collect()
    }
}

/// One student of `bytes` bytes a part; `seed` tells bundles apart.
pub(crate) fn bundle(parts: u16, bytes: usize, seed: u8) -> Bundle {
    let mut files = BTreeMap::new();
    let parts: Vec<_> = (0..parts)
        .map(|k| {
            let file: Vec<u8> =
                (0..bytes).map(|i| u8::try_from(i % 251).unwrap() ^ seed ^ k.to_le_bytes()[0]).collect();
            let digest = Digest::of(&file);
            files.insert(digest, file);
            let student = StudentCard {
                arch: "wrn-10-1".to_owned(),
                precision: "f32".to_owned(),
                file: format!("{k}.onnx"),
                digest,
                bytes: bytes as u64,
                memory_bytes: STUDENT_MEMORY,
                flops: 1_000_000,
                params: 1,
            };
            Part { part: PartId(k), filters: vec![usize::from(k)], students: vec![student] }
        })
        .collect();
    let manifest = Manifest {
        schema: SCHEMA.to_owned(),
        name: "clothes".to_owned(),
        version: seed.to_string(),
        classes: 2,
        labels: vec!["shirt".to_owned(), "shoe".to_owned()],
        input: InputSpec {
            name: "image".to_owned(),
            shape: vec![1, 28, 28],
            dtype: "FP32".to_owned(),
            preprocess: Preprocess { scale: 1.0, mean: vec![0.0], std: vec![1.0] },
        },
        teacher: TeacherCard { sha256: "0".repeat(64), accuracy: 0.9 },
        data: DataCard { name: "clothes".to_owned(), sha256: "0".repeat(64) },
        accuracy: combinations(u16::try_from(parts.len()).unwrap()),
        parts,
        merge: Merge { kind: "sum".to_owned(), bias: vec![0.0, 0.0] },
        training: serde_json::Value::Null,
    };
    let bytes = serde_json::to_vec(&manifest).unwrap();
    let digest = Digest::of(&bytes);
    files.insert(digest, bytes);
    Bundle { digest, manifest: Arc::new(manifest), files }
}

fn combinations(parts: u16) -> Vec<Combination> {
    let student = |part| StudentRef { part: PartId(part), arch: "wrn-10-1".to_owned(), precision: "f32".to_owned() };
    (0..1_u32 << parts)
        .map(|present| Combination {
            students: (0..parts).filter(|part| present >> part & 1 == 1).map(student).collect(),
            accuracy: 0.5 + 0.1 * f64::from(present.count_ones()) / f64::from(parts),
            samples: 100,
        })
        .collect()
}
