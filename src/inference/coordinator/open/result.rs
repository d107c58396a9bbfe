//! What an open request comes to: its answer, and who disagreed.

use super::super::votes::{self, Verdict};
use super::{Open, Reply, part_id};
use crate::bugs::Bug;
use crate::id::{Epoch, NodeId};
use crate::inference::{Answer, Disagreement, Mode, PartAnswer, merge};

impl Open {
    /// The answer from what there is by now.
    pub(in super::super) fn answer(&self, epoch: Option<Epoch>) -> Answer {
        let verdicts = self.verdicts();
        let present = || verdicts.iter().map(|(part, verdict)| (*part, &self.parts[*part].replies[verdict.winner]));
        let mut replies: Vec<&Reply> = present().map(|(_, reply)| reply).collect();
        if self.bugs.has(Bug::MergeAsCame) {
            replies.sort_by_key(|reply| reply.after);
        }
        let part_answer = |(part, &Reply { student, replica, after, run, .. }): (usize, &Reply)| PartAnswer {
            part: part_id(part),
            student,
            replica,
            after,
            run,
        };
        Answer {
            logits: merge(&self.routing.bias, replies.iter().map(|reply| reply.logits.as_slice())),
            bundle: self.routing.bundle,
            epoch,
            parts: present().map(part_answer).collect(),
            missing: (0..self.parts.len()).filter(|&part| self.lacks(part)).map(part_id).collect(),
            mode: self.mode,
            asked: self.asked,
            hedges: self.hedges,
            verified: verdicts.iter().filter(|(_, v)| v.verified).map(|(part, _)| part_id(*part)).collect(),
            disagreements: self.disagreements_of(&verdicts),
            tries: self.attempts.tries(self.started).collect(),
        }
    }

    /// Whose answers differed from others.
    pub(in super::super) fn disagreements(&self) -> Vec<Disagreement> {
        self.disagreements_of(&self.verdicts())
    }

    /// Whose answers a majority of at least three bears out.
    pub(in super::super) fn confirmed(&self) -> Vec<NodeId> {
        let verdicts = self.verdicts();
        let replicas =
            verdicts.iter().flat_map(|(part, verdict)| verdict.confirmed.iter().map(|at| self.by(*part, *at)));
        replicas.collect()
    }

    pub(in super::super) fn hedges(&self) -> u32 {
        self.hedges
    }

    pub(in super::super) fn mode(&self) -> Mode {
        self.mode
    }

    fn disagreements_of(&self, verdicts: &[(usize, Verdict)]) -> Vec<Disagreement> {
        let mut all = Vec::new();
        for (part, verdict) in verdicts {
            let named = |at: &usize, outvoted: bool| {
                let (part, replica) = (part_id(*part), self.by(*part, *at));
                Disagreement { part, replica, outvoted }
            };
            all.extend(verdict.outvoted.iter().map(|at| named(at, true)));
            all.extend(verdict.disputed.iter().map(|at| named(at, false)));
        }
        all
    }

    fn by(&self, part: usize, at: usize) -> NodeId {
        self.parts[part].replies[at].replica
    }

    /// Of each part that was answered, in part order.
    fn verdicts(&self) -> Vec<(usize, Verdict)> {
        let answered = (0..self.parts.len()).filter(|&part| !self.lacks(part));
        let verdict = |part| match self.mode {
            Mode::All | Mode::Hedged => Verdict::default(),
            Mode::Verify => votes::judge(&self.votes(part), self.bugs),
        };
        answered.map(|part| (part, verdict(part))).collect()
    }
}
