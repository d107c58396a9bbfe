//! `rocoin infer`: images in, labels and probabilities out.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use clap::Args;
use image::imageops::FilterType;
use ndarray::{ArrayD, Axis};
use rocoin::inference::Mode;
use rocoin_models::npy;
use rocoin_netsim::harness::{Client, ClientError, Question, Reply};
use serde_json::{Value, json};

use super::target::Target;
use crate::files::read_bounded;

/// Deadlines are told in whole milliseconds: with less than one left nobody can be asked.
const LEFT_MIN: Duration = Duration::from_millis(1);
/// Bytes of a .npy file; every image of it is asked about one after the other.
const NPY_BYTES_MAX: u64 = 1 << 30;

/// Asks a mesh about images
#[derive(Debug, Args)]
pub struct InferArgs {
    /// PNG or JPEG images, or .npy arrays ([C,H,W], or [N,C,H,W] for several) as the data set has them
    #[arg(required = true, value_name = "FILE")]
    inputs: Vec<PathBuf>,
    #[command(flatten)]
    target: Target,
    /// The model's name [default: the one that is served]
    #[arg(long)]
    model: Option<String>,
    /// How long an answer may take
    #[arg(long, value_name = "MS", default_value_t = 2000, value_parser = clap::value_parser!(u64).range(1..=60_000))]
    deadline_ms: u64,
    /// No answer with fewer parts than this
    #[arg(long, value_name = "N", default_value_t = 1)]
    min_parts: usize,
    /// How replicas are asked: all, hedged or verify [default: as the node was told]
    #[arg(long)]
    mode: Option<Mode>,
    /// Another node to ask in the time that is left, should the first be gone, not ready or too slow
    #[arg(long, value_name = "HOST:PORT")]
    retry_node: Option<String>,
    /// Print a JSON array (schema rocoin.infer/1 each)
    #[arg(long)]
    json: bool,
}

/// Runs the command.
///
/// # Errors
/// If an input cannot be read or does not fit the model, or a request is not answered.
pub fn run(args: &InferArgs) -> anyhow::Result<()> {
    let client = args.target.client()?.in_mode(args.mode);
    let model = match &args.model {
        Some(model) => model.clone(),
        None => client.status()?.bundle.context("no bundle is being served; deploy one with `rocoin deploy`")?.name,
    };
    let shape = shape(&client.model(&model)?)?;
    let retry = args.retry_node.as_deref().map(|node| args.target.client_of(node)).transpose()?;
    let retry = retry.map(|client| client.in_mode(args.mode));
    let mut answers = Vec::new();
    for input in &args.inputs {
        for (i, image) in read(input, &shape)?.into_iter().enumerate() {
            let question = Question {
                model: &model,
                image: &image,
                shape: &shape,
                deadline: Duration::from_millis(args.deadline_ms),
                min_parts: args.min_parts,
            };
            let reply = ask(&client, retry.as_ref(), question)?;
            if args.json {
                answers.push(object(input, i, &reply));
            } else {
                writeln!(std::io::stdout(), "{}", line(input, &reply))?;
            }
        }
    }
    if args.json {
        writeln!(std::io::stdout(), "{}", Value::Array(answers))?;
    }
    Ok(())
}

/// Asks one node, and another one in the time that is left if that can help.
fn ask(first: &Client, other: Option<&Client>, question: Question<'_>) -> Result<Reply, ClientError> {
    let start = Instant::now();
    let error = match first.infer(&question) {
        Ok(reply) => return Ok(reply),
        Err(error) => error,
    };
    let left = question.deadline.saturating_sub(start.elapsed());
    match other {
        Some(other) if another_may_help(&error) && left >= LEFT_MIN => {
            other.infer(&Question { deadline: left, ..question })
        }
        _ => Err(error),
    }
}

/// A node that is gone, not ready or too slow says nothing about the others; a wrong request is wrong everywhere.
fn another_may_help(error: &ClientError) -> bool {
    matches!(error, ClientError::Unreachable { .. } | ClientError::Refused { status: 503 | 504, .. })
}

fn shape(metadata: &Value) -> anyhow::Result<Vec<usize>> {
    let shape: Vec<i64> = serde_json::from_value(metadata["inputs"][0]["shape"].clone())
        .context("the node does not say what shape its model takes")?;
    // In front is the batch, −1.
    let image = shape.iter().skip(1).map(|&length| usize::try_from(length));
    image.collect::<Result<_, _>>().with_context(|| format!("the node says that its model takes {shape:?}"))
}

/// The images of a file, each row-major with the model's shape.
fn read(path: &Path, shape: &[usize]) -> anyhow::Result<Vec<Vec<f32>>> {
    if path.extension().is_some_and(|e| e == "npy") {
        return read_npy(path, shape);
    }
    let [channels, height, width] = *shape else {
        bail!("the model takes {shape:?}, which is no image; give a .npy file");
    };
    let image = image::open(path).with_context(|| format!("cannot read {} as an image", path.display()))?;
    let (w, h) = (u32::try_from(width)?, u32::try_from(height)?);
    let image = image.resize_exact(w, h, FilterType::Triangle);
    match channels {
        1 => Ok(vec![image.to_luma8().into_raw().into_iter().map(f32::from).collect()]),
        3 => {
            let pixels = image.to_rgb8().into_raw();
            let plane = |c: usize| pixels.iter().skip(c).step_by(3).map(|p| f32::from(*p)).collect::<Vec<_>>();
            Ok(vec![(0..3).flat_map(plane).collect()])
        }
        other => bail!("the model takes {other} channels; give a .npy file"),
    }
}

fn read_npy(path: &Path, shape: &[usize]) -> anyhow::Result<Vec<Vec<f32>>> {
    let bytes = read_bounded(path, NPY_BYTES_MAX)?;
    let what = || format!("{} is no .npy array of f32 or u8", path.display());
    let array: ArrayD<f32> = match npy::array(&bytes).with_context(what)? {
        Some(array) => array,
        None => npy::array::<u8>(&bytes).with_context(what)?.with_context(what)?.mapv(f32::from),
    };
    let found = array.shape().to_vec();
    let array = if found == shape { array.insert_axis(Axis(0)) } else { array };
    ensure!(
        array.shape()[1.min(array.ndim())..] == *shape,
        "{} has shape {found:?}; the model takes {shape:?}, or several of them",
        path.display()
    );
    Ok(array.outer_iter().map(|image| image.iter().copied().collect()).collect())
}

fn probabilities(logits: &[f32]) -> Vec<f32> {
    let greatest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let powers: Vec<f32> = logits.iter().map(|logit| (logit - greatest).exp()).collect();
    let sum: f32 = powers.iter().sum();
    powers.into_iter().map(|power| power / sum).collect()
}

fn line(input: &Path, reply: &Reply) -> String {
    let share = probabilities(&reply.logits)[reply.class] * 100.0;
    let parts = if reply.is_degraded() {
        format!("degraded, without parts {:?}", reply.parts_missing)
    } else {
        "complete".to_owned()
    };
    let took = reply.took.as_secs_f64() * 1e3;
    format!("{}: {} ({share:.1} %), {parts}, {took:.1} ms", input.display(), reply.label)
}

fn object(input: &Path, index: usize, reply: &Reply) -> Value {
    let mut object = json!({
        "schema": "rocoin.infer/1",
        "file": input,
        "index": index,
        "class": reply.class,
        "label": reply.label,
        "probabilities": probabilities(&reply.logits),
        "logits": reply.logits,
        "degraded": reply.is_degraded(),
        "parts_used": reply.parts_used,
        "parts_missing": reply.parts_missing,
        "replicas": reply.replicas,
        "epoch": reply.epoch,
        "mode": reply.mode,
        "replicas_asked": reply.replicas_asked,
        "took_ms": reply.took.as_secs_f64() * 1e3,
    });
    if let Some(hedges) = reply.hedges {
        object["hedges"] = json!(hedges);
    }
    if let Some(verified) = &reply.verified_parts {
        object["verified_parts"] = json!(verified);
        object["disagreements"] = json!(reply.disagreements);
    }
    object
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_node_is_asked_only_where_it_can_help() {
        let refused = |status| ClientError::Refused { url: String::new(), status, message: String::new() };
        assert!([503, 504].into_iter().all(|status| another_may_help(&refused(status))));
        assert!(![400, 401, 404, 413, 500].into_iter().any(|status| another_may_help(&refused(status))));
        assert!(another_may_help(&ClientError::Unreachable { url: String::new(), reason: String::new() }));
    }

    #[test]
    fn probabilities_sum_to_one_even_for_great_logits() {
        let p = probabilities(&[1000.0, 999.0, -1000.0]);
        assert!((p.iter().sum::<f32>() - 1.0).abs() < 1e-6);
        assert!(p[0] > p[1] && p[2] == 0.0);
    }
}
