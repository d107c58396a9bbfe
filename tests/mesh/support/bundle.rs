//! A bundle of real students, small and untrained: what the mesh does to their answers is tested, not how good they are.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use rocoin::bundle::{
    Combination, DataCard, InputSpec, Manifest, Merge, Part, Preprocess, SCHEMA, StudentCard, StudentRef, TeacherCard,
};
use rocoin::id::{Digest, NodeId, PartId};
use rocoin::inference::merge;
use rocoin::node::NodeSnapshot;
use rocoin_models::bundle_dir::{BundleDir, BundleWriter};
use rocoin_models::session::Session;
use rocoin_models::zoo::export::export_student;
use rocoin_models::zoo::{PartialHead, Student};
use rocoin_netsim::harness::Reply;
use tempfile::TempDir;

const NAME: &str = "tiny";
const SHAPE: [usize; 3] = [1, 8, 8];
const CLASSES: usize = 4;
const PARTS: usize = 3;
const FILTERS: usize = 4;
const ARCHITECTURES: [&str; 2] = ["wrn-10-1", "wrn-16-1"];

/// A bundle on disk, and its students in this process.
pub(crate) struct Bundle {
    dir: TempDir,
    opened: BundleDir,
    /// By part, then as in the manifest.
    sessions: Vec<Vec<Session>>,
}

/// The bundle that most tests serve, made once.
pub(crate) fn bundle() -> &'static Bundle {
    static BUNDLE: OnceLock<Bundle> = OnceLock::new();
    BUNDLE.get_or_init(|| Bundle::make("1", 1))
}

/// The same model's next version, with other students.
pub(crate) fn newer_bundle() -> &'static Bundle {
    static BUNDLE: OnceLock<Bundle> = OnceLock::new();
    BUNDLE.get_or_init(|| Bundle::make("2", 2))
}

/// The `n`-th of many different images.
pub(crate) fn image(n: u64) -> Vec<f32> {
    let mut random = Noise(n + 1);
    (0..SHAPE.iter().product()).map(|_| (255.0 * random.unit()).round()).collect()
}

impl Bundle {
    fn make(version: &str, seed: u64) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let out = dir.path().join("bundle");
        let writer = BundleWriter::create(&out, false).unwrap();
        let (mut parts, mut sessions) = (Vec::new(), Vec::new());
        for part in 0..PARTS {
            let (mut cards, mut loaded) = (Vec::new(), Vec::new());
            for (i, arch) in ARCHITECTURES.iter().enumerate() {
                let seed = seed * 1000 + (part * 10 + i) as u64;
                let (card, onnx) = student(arch, part, seed);
                writer.write(&card.file, &onnx).unwrap();
                loaded.push(Session::load(&onnx, &SHAPE).unwrap());
                cards.push(card);
            }
            let filters = (part * FILTERS..(part + 1) * FILTERS).collect();
            parts.push(Part { part: PartId(u16::try_from(part).unwrap()), filters, students: cards });
            sessions.push(loaded);
        }
        let opened = writer.finish(&manifest(version, parts)).unwrap();
        Self { dir, opened, sessions }
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.dir.path().join("bundle")
    }

    pub(crate) fn name(&self) -> &str {
        &self.manifest().name
    }

    pub(crate) fn manifest(&self) -> &Manifest {
        self.opened.manifest()
    }

    pub(crate) fn digest(&self) -> Digest {
        self.opened.digest()
    }

    pub(crate) fn parts(&self) -> usize {
        PARTS
    }

    /// How long one run of the smallest student takes at a rate of 1 FLOP/s.
    pub(crate) fn smallest_flops(&self) -> f64 {
        self.manifest().parts.iter().flat_map(|p| &p.students).map(|s| s.flops).min().unwrap() as f64
    }

    /// What the bundle's students say in this process, merged; of each part used the student that `replica_holds` names.
    pub(crate) fn merged(&self, image: &[f32], students: &[(usize, &str)]) -> Vec<f32> {
        let partials: Vec<Vec<f32>> = students
            .iter()
            .map(|(part, arch)| {
                let at = ARCHITECTURES.iter().position(|a| a == arch).unwrap();
                self.sessions[*part][at].run(image).unwrap()
            })
            .collect();
        merge(&self.manifest().merge.bias, partials.iter().map(Vec::as_slice))
    }

    /// What this reply has to be, if the plan seen in `status` held when it was given.
    pub(crate) fn expected(&self, image: &[f32], reply: &Reply, status: &NodeSnapshot) -> Vec<f32> {
        let students: Vec<(usize, &str)> = reply
            .parts_used
            .iter()
            .map(|part| {
                let part = usize::try_from(*part).unwrap();
                (part, status.parts[part].student.as_deref().unwrap())
            })
            .collect();
        self.merged(image, &students)
    }
}

/// Every artifact that a node keeps, with whether its bytes are those of its name.
pub(crate) fn artifacts(state: &Path) -> Vec<(PathBuf, bool)> {
    let Ok(entries) = std::fs::read_dir(state.join("artifacts")) else { return Vec::new() };
    entries
        .flatten()
        .filter_map(|entry| {
            let digest: Digest = entry.file_name().to_str()?.parse().ok()?;
            let sound = Digest::of(&std::fs::read(entry.path()).ok()?) == digest;
            Some((entry.path(), sound))
        })
        .collect()
}

/// The student files of the bundle in a node's state folder; flips a bit in the middle of each.
pub(crate) fn corrupt_students(state: &Path, bundle: &Bundle) -> usize {
    let students = bundle.manifest().parts.iter().flat_map(|p| &p.students);
    let mut corrupted = 0;
    for student in students {
        let path = state.join("artifacts").join(student.digest.to_string());
        let Ok(mut bytes) = std::fs::read(&path) else { continue };
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        std::fs::write(&path, bytes).unwrap();
        corrupted += 1;
    }
    corrupted
}

/// Whether `id` is ready with every part that the plan gives it.
pub(crate) fn is_ready(status: &NodeSnapshot, id: NodeId) -> bool {
    let mut planned = status.parts.iter().filter(|p| p.group.contains(&id)).peekable();
    planned.peek().is_some() && planned.all(|p| p.ready.contains(&id))
}

fn student(arch: &str, part: usize, seed: u64) -> (StudentCard, Vec<u8>) {
    let architecture: rocoin_models::zoo::Architecture = arch.parse().unwrap();
    let student = Student::new(architecture, &SHAPE, preprocess(), FILTERS, seed).unwrap();
    let mut random = Noise(seed + 7);
    let weight = (0..CLASSES * FILTERS).map(|_| random.unit() - 0.5).collect();
    let head = PartialHead { weight, constant: (0..CLASSES).map(|_| random.unit()).collect() };
    let onnx = export_student(&student, &head).unwrap();
    let cost = architecture.cost(&SHAPE, FILTERS, CLASSES);
    let card = StudentCard {
        arch: arch.to_owned(),
        precision: "f32".to_owned(),
        file: format!("part{part}-{arch}-f32.onnx"),
        digest: Digest::of(&onnx),
        bytes: onnx.len() as u64,
        memory_bytes: cost.memory_bytes,
        flops: cost.flops,
        params: cost.params,
    };
    (card, onnx)
}

fn manifest(version: &str, parts: Vec<Part>) -> Manifest {
    Manifest {
        schema: SCHEMA.to_owned(),
        name: NAME.to_owned(),
        version: version.to_owned(),
        classes: CLASSES,
        labels: (0..CLASSES).map(|class| format!("class {class}")).collect(),
        input: InputSpec {
            name: "image".to_owned(),
            shape: SHAPE.to_vec(),
            dtype: "FP32".to_owned(),
            preprocess: preprocess(),
        },
        teacher: TeacherCard { sha256: String::new(), accuracy: 0.5 },
        data: DataCard { name: "noise".to_owned(), sha256: String::new() },
        parts,
        merge: Merge { kind: "sum".to_owned(), bias: (0..CLASSES).map(|class| 0.25 * class as f32).collect() },
        accuracy: combinations(),
        training: serde_json::Value::Null,
    }
}

/// Made up, but growing with the parts and their sizes, as accuracies do.
fn combinations() -> Vec<Combination> {
    let choices = ARCHITECTURES.len() + 1;
    (0..choices.pow(u32::try_from(PARTS).unwrap()))
        .map(|n| {
            let choice = |part: usize| n / choices.pow(u32::try_from(part).unwrap()) % choices;
            let students: Vec<StudentRef> = (0..PARTS)
                .filter(|part| choice(*part) > 0)
                .map(|part| StudentRef {
                    part: PartId(u16::try_from(part).unwrap()),
                    arch: ARCHITECTURES[choice(part) - 1].to_owned(),
                    precision: "f32".to_owned(),
                })
                .collect();
            let larger = (0..PARTS).filter(|part| choice(*part) > 1).count();
            Combination { accuracy: 0.25 + 0.2 * students.len() as f64 + 0.01 * larger as f64, students, samples: 100 }
        })
        .collect()
}

fn preprocess() -> Preprocess {
    Preprocess { scale: 1.0 / 255.0, mean: vec![0.5], std: vec![0.25] }
}

/// Numbers that look random (a linear congruential generator with Knuth's constants), the same at each run.
struct Noise(u64);

impl Noise {
    /// In `[0, 1)`.
    fn unit(&mut self) -> f32 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 40) as f32 / (1 << 24) as f32
    }
}
