//! The answers to a batch, and what is told beside them.

use std::collections::BTreeSet;
use std::sync::Arc;

use rocoin::bundle::Manifest;
use rocoin::id::PartId;
use rocoin::inference::{Answer, Disagreement, Mode, PartAnswer, Try};
use serde_json::{Value, json};

use super::{Output, Wanted};

/// One answer an image, all from one bundle.
#[derive(Debug, Clone)]
pub(crate) struct Answers {
    /// The bundle's.
    pub(crate) manifest: Arc<Manifest>,
    /// In the order of the images; at least one.
    pub(crate) answers: Vec<Answer>,
    /// Whether to say what became of every replica that was asked.
    pub(crate) explain: bool,
}

impl Answers {
    /// The outputs that are wanted, in that order.
    pub(crate) fn outputs(&self, wanted: &[Wanted]) -> Vec<Output> {
        let logits: Vec<&[f32]> = self.answers.iter().map(|answer| answer.logits.as_slice()).collect();
        wanted.iter().map(|output| output.of(&logits, &self.manifest)).collect()
    }

    /// The response parameters: of one image all that is known; of several what holds for all, and `images`, one object each.
    pub(crate) fn parameters(&self) -> Value {
        match self.answers.as_slice() {
            [answer] => self.told(answer),
            answers => {
                let missing: BTreeSet<PartId> = answers.iter().flat_map(|a| a.missing.iter().copied()).collect();
                let used: BTreeSet<PartId> = answers.iter().flat_map(|a| a.parts.iter().map(|p| p.part)).collect();
                json!({
                    "degraded": !missing.is_empty(),
                    "parts_used": used.difference(&missing).map(|part| part.0).collect::<Vec<_>>(),
                    "parts_missing": missing.iter().map(|part| part.0).collect::<Vec<_>>(),
                    "epoch": answers.last().and_then(|a| a.epoch).map(|epoch| epoch.to_string()),
                    "mode": answers.first().map(|a| a.mode),
                    "replicas_asked": answers.iter().map(|a| a.asked).sum::<u32>(),
                    "images": answers.iter().map(|answer| self.told(answer)).collect::<Vec<_>>(),
                })
            }
        }
    }

    fn told(&self, answer: &Answer) -> Value {
        let mut told = parameters(answer);
        if self.explain {
            told["tries"] = answer.tries.iter().map(one_try).collect();
        }
        told
    }
}

fn parameters(answer: &Answer) -> Value {
    let used: Vec<u16> = answer.parts.iter().map(|p| p.part.0).collect();
    let missing: Vec<u16> = answer.missing.iter().map(|p| p.0).collect();
    let replicas: Vec<String> = answer.parts.iter().map(|p| p.replica.to_string()).collect();
    let [after, run] = [|p: &PartAnswer| p.after, |p: &PartAnswer| p.run]
        .map(|of| answer.parts.iter().map(|p| of(p).as_micros()).collect::<Vec<_>>());
    let mut parameters = json!({
        "degraded": answer.is_degraded(),
        "parts_used": used,
        "parts_missing": missing,
        "replicas": replicas,
        "after_us": after,
        "run_us": run,
        "epoch": answer.epoch.map(|e| e.to_string()),
        "mode": answer.mode,
        "replicas_asked": answer.asked,
    });
    match answer.mode {
        Mode::All => {}
        Mode::Hedged => parameters["hedges"] = json!(answer.hedges),
        Mode::Verify => {
            parameters["verified_parts"] = json!(answer.verified.iter().map(|part| part.0).collect::<Vec<_>>());
            parameters["disagreements"] = answer.disagreements.iter().map(disagreement).collect();
        }
    }
    parameters
}

fn disagreement(disagreement: &Disagreement) -> Value {
    let Disagreement { part, replica, outvoted } = disagreement;
    json!({ "part": part.0, "replica": replica.to_string(), "outvoted": outvoted })
}

fn one_try(one: &Try) -> Value {
    let Try { part, replica, asked, ended, fate } = one;
    json!({
        "part": part.0,
        "replica": replica.to_string(),
        "asked_us": asked.as_micros(),
        "ended_us": ended.map(|at| at.as_micros()),
        "fate": fate,
    })
}
