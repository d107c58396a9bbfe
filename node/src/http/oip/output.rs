//! What an answer holds: `logits` and `label`, or the likeliest classes.

use rocoin::bundle::Manifest;

/// An output that a client wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wanted {
    output: Kind,
    /// Classification extension: so many of the likeliest classes instead of the logits.
    classes: Option<usize>,
    /// As bytes; as JSON otherwise.
    pub(crate) binary: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Logits,
    Label,
}

impl Kind {
    const fn name(self) -> &'static str {
        match self {
            Self::Logits => "logits",
            Self::Label => "label",
        }
    }
}

impl Wanted {
    /// The output of that name.
    ///
    /// # Errors
    /// If there is none, or its classes are not what can be told.
    pub(crate) fn new(name: &str, classes: Option<usize>, binary: bool) -> Result<Self, String> {
        let output = match name {
            "logits" => Kind::Logits,
            "label" => Kind::Label,
            other => return Err(format!("outputs has {other:?}; this model gives \"logits\" and \"label\"")),
        };
        if output == Kind::Label && classes.is_some() {
            return Err("classification is of \"logits\" alone".to_owned());
        }
        Ok(Self { output, classes, binary })
    }

    /// The outputs that a request names; none named: all.
    ///
    /// # Errors
    /// Of the first that cannot be told, or one named twice: an answer holds each output once at most.
    pub(crate) fn list(named: impl Iterator<Item = Result<Self, String>>, binary: bool) -> Result<Vec<Self>, String> {
        let mut wanted: Vec<Self> = Vec::new();
        for output in named {
            let output = output?;
            if wanted.iter().any(|other| other.output == output.output) {
                return Err(format!("outputs has {:?} twice", output.output.name()));
            }
            wanted.push(output);
        }
        Ok(if wanted.is_empty() { Self::all(binary) } else { wanted })
    }

    /// Every output, as it is.
    fn all(binary: bool) -> Vec<Self> {
        [Kind::Logits, Kind::Label].map(|output| Self { output, classes: None, binary }).to_vec()
    }

    /// This output of a batch: its logits one image after the other.
    pub(crate) fn of(&self, batch: &[&[f32]], manifest: &Manifest) -> Output {
        let mut shape = vec![batch.len()];
        let values = match (self.output, self.classes) {
            (Kind::Logits, None) => {
                shape.push(manifest.classes);
                Values::Floats(batch.concat())
            }
            (Kind::Logits, Some(classes)) => {
                let classes = classes.min(manifest.classes);
                shape.push(classes);
                Values::Texts(batch.iter().flat_map(|logits| likeliest(logits, manifest, classes)).collect())
            }
            (Kind::Label, _) => {
                let label = |logits: &&[f32]| order(logits).first().map(|&class| label(manifest, class));
                Values::Texts(batch.iter().map(|logits| label(logits).unwrap_or_default()).collect())
            }
        };
        Output { name: self.output.name(), shape, values, binary: self.binary }
    }
}

/// A tensor of an answer.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Output {
    /// `logits` or `label`.
    pub(crate) name: &'static str,
    /// With the batch in front.
    pub(crate) shape: Vec<usize>,
    /// Row-major.
    pub(crate) values: Values,
    /// Whether it was wanted as bytes.
    pub(crate) binary: bool,
}

/// A tensor's elements.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Values {
    /// `FP32`.
    Floats(Vec<f32>),
    /// `BYTES`.
    Texts(Vec<String>),
}

impl Values {
    /// As the protocol calls it.
    pub(crate) const fn datatype(&self) -> &'static str {
        match self {
            Self::Floats(_) => "FP32",
            Self::Texts(_) => "BYTES",
        }
    }

    /// Little-endian; before each text its length, 4 bytes.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        match self {
            Self::Floats(values) => values.iter().flat_map(|value| value.to_le_bytes()).collect(),
            Self::Texts(texts) => texts.iter().flat_map(|text| sized(text)).collect(),
        }
    }
}

fn sized(text: &str) -> Vec<u8> {
    let length = u32::try_from(text.len()).unwrap_or(u32::MAX);
    [&length.to_le_bytes(), text.as_bytes()].concat()
}

/// Classes, likeliest first; of equals the first one first.
fn order(logits: &[f32]) -> Vec<usize> {
    let mut classes: Vec<usize> = (0..logits.len()).collect();
    classes.sort_by(|&a, &b| logits[b].total_cmp(&logits[a]));
    classes
}

fn label(manifest: &Manifest, class: usize) -> String {
    manifest.labels.get(class).cloned().unwrap_or_default()
}

/// `logit:class:label`, as the classification extension writes it.
fn likeliest(logits: &[f32], manifest: &Manifest, classes: usize) -> Vec<String> {
    let text = |class: usize| format!("{:.6}:{class}:{}", logits[class], label(manifest, class));
    order(logits).into_iter().take(classes).map(text).collect()
}
