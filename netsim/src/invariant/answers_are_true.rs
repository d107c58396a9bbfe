//! One answer is from one bundle, asked for as the client wanted, and equals the merge of the students it names, each of which its replica ran
//! for it. And an error is none that cannot be.
//!
//! Where a host lies the logits cannot be right; but what mode `verify` calls verified is never a lie.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use rocoin::id::{Digest, NodeId, PartId};
use rocoin::inference::Mode;
use rocoin::time::Instant;

use super::Invariant;
use crate::fact::{AskId, Entry, Fact, HostId, Outcome, Reply};
use crate::model::Model;
use crate::physics::Physics;

/// One answer is from one bundle, and equals the merge of the students it names.
#[derive(Debug)]
pub(super) struct AnswersAreTrue {
    models: BTreeMap<Digest, Arc<Model>>,
    asked: BTreeMap<(AskId, u32), Asked>,
    /// When each host last ran each student on each image.
    ran: BTreeMap<(HostId, Digest, usize), Instant>,
}

#[derive(Debug)]
struct Asked {
    image: usize,
    min_parts: usize,
    mode: Mode,
    at: Instant,
}

impl AnswersAreTrue {
    pub(super) fn new(models: &[Arc<Model>]) -> Self {
        Self {
            models: models.iter().map(|m| (m.digest(), Arc::clone(m))).collect(),
            asked: BTreeMap::new(),
            ran: BTreeMap::new(),
        }
    }

    fn judge(
        &self,
        &Asked { image, min_parts, mode, at: since }: &Asked,
        answer: &Answer<'_>,
        physics: &Physics,
    ) -> Result<(), String> {
        let model = self.models.get(&answer.bundle).ok_or("it is from a bundle that does not exist")?;
        if answer.mode != mode {
            return Err(format!("its replicas were asked in mode {:?}, and {mode:?} was wanted", answer.mode));
        }
        let named: BTreeSet<_> = answer.parts.iter().map(|(part, ..)| part).chain(answer.missing).collect();
        let all = answer.parts.len() + answer.missing.len();
        if named.len() != all || all != model.manifest().parts.len() {
            return Err(format!("it names {} of {} parts", named.len(), model.manifest().parts.len()));
        }
        if answer.parts.len() < min_parts {
            return Err(format!("it has {} parts, and {min_parts} were the least", answer.parts.len()));
        }
        for (part, student, _) in answer.parts {
            match model.manifest().student(*student) {
                Some((holds, _)) if holds == *part => {}
                Some((holds, _)) => return Err(format!("the student named for part {part} holds part {holds}")),
                None => return Err(format!("part {part} is from another bundle than {:?}", answer.bundle)),
            }
        }
        let ran = |replica: &NodeId, student: &Digest| {
            let last = |host| self.ran.get(&(host, *student, image));
            physics.hosts_of(*replica).filter_map(last).any(|at| *at >= since)
        };
        if let Some((part, _, replica)) = answer.parts.iter().find(|(_, student, replica)| !ran(replica, student)) {
            return Err(format!("it has part {part} of {}, which did not run its student for it", replica.short()));
        }
        if let Some((part, _, replica)) = answer
            .parts
            .iter()
            .find(|(part, _, replica)| answer.verified.contains(part) && physics.has_only_lied_since(*replica, since))
        {
            return Err(format!("part {part} is called verified, and {} lies", replica.short()));
        }
        if answer.parts.iter().any(|(_, _, replica)| physics.lied_since(*replica, since)) {
            return Ok(());
        }
        let students: Vec<_> = answer.parts.iter().map(|(part, student, _)| (*part, *student)).collect();
        let merged = model.merged(image, &students).ok_or("it names a student without answers")?;
        if merged.as_slice() == answer.logits {
            return Ok(());
        }
        Err(format!("its logits are {:?}; those of its parts together are {merged:?}", answer.logits))
    }
}

struct Answer<'a> {
    logits: &'a [f32],
    bundle: Digest,
    mode: Mode,
    parts: &'a [(PartId, Digest, NodeId)],
    missing: &'a [PartId],
    verified: &'a [PartId],
}

impl Invariant for AnswersAreTrue {
    fn name(&self) -> &'static str {
        "answers-are-true"
    }

    fn observe(&mut self, entry: &Entry, physics: &Physics) -> Result<(), String> {
        match &entry.fact {
            Fact::Asked { ask, tries, image, min_parts, mode, .. } => {
                let asked = Asked { image: *image, min_parts: *min_parts, mode: *mode, at: entry.at };
                self.asked.insert((*ask, *tries), asked);
            }
            Fact::Ran { host, student, image } => {
                self.ran.insert((*host, *student, *image), entry.at);
            }
            Fact::Answered { ask, host, tries, reply } => {
                let Some(asked) = self.asked.remove(&(*ask, *tries)) else { return Ok(()) };
                let wrong = |why: String| format!("the answer of {host} to request {} is wrong: {why}", ask.0);
                match reply {
                    Reply::Answer { logits, bundle, mode, parts, missing, verified, .. } => {
                        let answer = Answer { logits, bundle: *bundle, mode: *mode, parts, missing, verified };
                        self.judge(&asked, &answer, physics).map_err(wrong)?;
                    }
                    Reply::Error { outcome: Outcome::BadInput, text } => {
                        return Err(wrong(format!("it calls the input bad, which it is not: {text}")));
                    }
                    Reply::Error { outcome: Outcome::Draining, .. } if !physics.is_leaving(*host) => {
                        return Err(wrong("it says that it leaves, and was not told to".to_owned()));
                    }
                    Reply::Error { .. } => {}
                }
            }
            _ => {}
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::synthetic::*;
    use super::*;

    fn judge_answer(
        at: f64,
        change: impl FnOnce(&mut Vec<f32>, &mut Vec<(PartId, Digest, NodeId)>, &mut Vec<PartId>),
    ) -> Result<(), String> {
        judge_verified(at, change, None, Vec::new())
    }

    fn judge_verified(
        at: f64,
        change: impl FnOnce(&mut Vec<f32>, &mut Vec<(PartId, Digest, NodeId)>, &mut Vec<PartId>),
        liar: Option<u8>,
        verified: Vec<PartId>,
    ) -> Result<(), String> {
        let models = [Arc::new(Model::synthetic(2, 0)), Arc::new(Model::synthetic(2, 1))];
        let student = |part: usize| models[0].manifest().parts[part].students[0].digest;
        let mut parts = vec![(PartId(0), student(0), node(0)), (PartId(1), student(1), node(1))];
        let mut logits = models[0].merged(5, &[(PartId(0), student(0)), (PartId(1), student(1))]).unwrap();
        let mut missing = Vec::new();
        change(&mut logits, &mut parts, &mut missing);
        let (bundle, outvoted, mode) = (models[0].digest(), Vec::new(), Mode::All);
        let reply = Reply::Answer { logits, bundle, mode, parts, missing, verified, outvoted };
        let answered = Fact::Answered { ask: AskId(1), host: host(0), tries: 0, reply };
        let mut facts = vec![(0.0, started(0, 1)), (0.0, started(1, 1))];
        facts.extend(liar.map(|liar| (5.0, Fact::Lies { host: host(liar), lies: true })));
        facts.push((10.0, asked(1, 5)));
        let ran = |h, part| Fact::Ran { host: host(h), student: student(part), image: 5 };
        facts.extend([(10.5, ran(0, 0)), (10.5, ran(1, 1)), (10.0 + at, answered)]);
        facts.sort_by(|(a, _), (b, _)| a.total_cmp(b));
        judge(&mut AnswersAreTrue::new(&models), facts)
    }

    #[test]
    fn the_merge_of_the_students_named_passes() {
        assert_eq!(judge_answer(1.0, |_, _, _| ()), Ok(()));
    }

    #[test]
    fn every_other_answer_is_a_violation() {
        let other = Model::synthetic(2, 1).manifest().parts[1].students[0].digest;
        for (result, what) in [
            (judge_answer(1.0, |logits, _, _| logits[0] += 0.5), "together are"),
            (judge_answer(1.0, |_, parts, _| parts.truncate(1)), "names 1 of 2"),
            (judge_answer(1.0, |_, parts, _| parts[1].0 = PartId(0)), "names 1 of 2"),
            (judge_answer(1.0, |_, parts, _| parts[1].1 = other), "another bundle"),
            (judge_answer(1.0, |_, parts, _| parts[0].2 = node(1)), "did not run"),
            (judge_answer(0.4, |_, _, _| ()), "did not run"),
        ] {
            let evidence = result.unwrap_err();
            assert!(evidence.contains(what), "{evidence}");
        }
    }

    #[test]
    fn a_lie_is_a_violation_only_if_it_is_called_verified() {
        let lie = |logits: &mut Vec<f32>, _: &mut Vec<_>, _: &mut Vec<_>| logits[0] += 0.5;
        assert_eq!(judge_verified(1.0, lie, Some(1), Vec::new()), Ok(()));
        assert_eq!(judge_verified(1.0, lie, Some(1), vec![PartId(0)]), Ok(()), "part 1 is the liar's");
        assert!(judge_verified(1.0, lie, Some(1), vec![PartId(1)]).unwrap_err().contains("lies"));
        assert!(judge_verified(1.0, lie, Some(2), Vec::new()).unwrap_err().contains("together are"));
    }

    fn judge_reply(reply: Reply, before: Option<Fact>) -> Result<(), String> {
        let answered = Fact::Answered { ask: AskId(1), host: host(0), tries: 0, reply };
        let facts = [started(0, 1)].into_iter().chain(before).chain([asked(1, 5), answered]);
        judge(&mut AnswersAreTrue::new(&[]), facts.map(|fact| (1.0, fact)).collect())
    }

    #[test]
    fn an_error_that_cannot_be_is_a_violation() {
        let error = |outcome| Reply::Error { outcome, text: String::new() };
        assert!(judge_reply(error(Outcome::BadInput), None).unwrap_err().contains("bad"));
        assert!(judge_reply(error(Outcome::Draining), None).unwrap_err().contains("leaves"));
        assert_eq!(judge_reply(error(Outcome::Draining), Some(Fact::Leaving { host: host(0) })), Ok(()));
        assert_eq!(judge_reply(error(Outcome::NoReplica), None), Ok(()));
    }
}
