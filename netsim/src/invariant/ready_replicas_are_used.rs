//! A part with a ready, reachable replica is always used: no answer lacks it, and no request fails for it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use rocoin::bundle::{Manifest, Part};
use rocoin::id::{Digest, NodeId, PartId};
use rocoin::inference::Mode;
use rocoin::time::{Duration, Instant};

use super::Invariant;
use crate::fact::{AskId, Entry, Fact, HostId, Outcome, Reply};
use crate::model::Model;
use crate::physics::Physics;

/// Nothing has disturbed coordinator and replica for so long, and the replica has been ready all the while: word of it has
/// got around.
const SETTLED: Duration = Duration::from_secs(20);
/// A doubt that is no older is an excuse; a request takes no longer.
const LATELY: Duration = Duration::from_secs(15);
/// A deadline shorter than this may be missed by a busy replica.
const PATIENT: Duration = Duration::from_millis(900);
/// In mode hedged the last replica is asked at half of it.
const PATIENT_HEDGED: Duration = Duration::from_secs(2);

#[derive(Debug)]
struct Asked {
    coordinator: HostId,
    at: Instant,
    min_parts: usize,
}

/// A part with a ready, reachable replica is always used.
#[derive(Debug)]
pub(super) struct ReadyReplicasAreUsed {
    manifests: BTreeMap<Digest, Arc<Manifest>>,
    /// Students ready at each host, and since when.
    ready: BTreeMap<HostId, BTreeMap<Digest, Instant>>,
    /// The artifacts on each disk that are not damaged: without its manifest nobody can answer with a bundle.
    sound: BTreeMap<HostId, BTreeSet<Digest>>,
    asked: BTreeMap<(AskId, u32), Asked>,
    /// When each node last doubted a member.
    doubted: BTreeMap<(HostId, NodeId), Instant>,
    /// Whether each host has more to run than it can at once, and since when that is so.
    busy: BTreeMap<HostId, (bool, Instant)>,
}

impl ReadyReplicasAreUsed {
    pub(super) fn new(models: &[Arc<Model>]) -> Self {
        let manifests = models.iter().map(|m| (m.digest(), Arc::clone(m.manifest()))).collect();
        let (ready, sound, asked, doubted, busy) = Default::default();
        Self { manifests, ready, sound, asked, doubted, busy }
    }

    /// A host that could have answered for the part, had it been asked.
    fn replica(&self, (bundle, part): (Digest, PartId), asked: &Asked, physics: &Physics) -> Option<HostId> {
        let coordinator = asked.coordinator;
        let students = &self.manifests.get(&bundle)?.parts.get(usize::from(part.0))?.students;
        let digests: BTreeSet<_> = students.iter().map(|card| card.digest).collect();
        let settled = |since: &Instant| physics.now().since(*since) >= SETTLED;
        let holds = |ready: &BTreeMap<Digest, Instant>| digests.iter().any(|d| ready.get(d).is_some_and(settled));
        self.ready
            .iter()
            .filter(|(_, ready)| holds(ready))
            .map(|(host, _)| *host)
            .filter(|host| !physics.had_bad_luck_since(coordinator, *host, asked.at))
            .filter(|host| physics.are_calm(*host, coordinator, SETTLED) && physics.is_quick(*host, SETTLED))
            .find(|host| self.is_at_hand(*host, asked, physics))
    }

    /// Whether a coordinator is right to say that no replica answered for enough parts.
    fn judge_error(&self, ask: AskId, asked: &Asked, outcome: Outcome, physics: &Physics) -> Result<(), String> {
        let coordinator = asked.coordinator;
        if physics.has_copies() {
            return Ok(()); // What two devices say under one name misleads everybody about which bundle is served.
        }
        let covered = |(bundle, manifest): (&Digest, &Arc<Manifest>)| {
            let has_replica = |part: &&Part| self.replica((*bundle, part.part), asked, physics).is_some();
            manifest.parts.iter().filter(has_replica).count()
        };
        let is_known = |bundle: &Digest| self.sound.get(&coordinator).is_some_and(|sound| sound.contains(bundle));
        let known = || self.manifests.iter().filter(|(bundle, _)| is_known(bundle));
        let parts = match outcome {
            Outcome::NoReplica | Outcome::NotServing => known().map(covered).max(),
            // Which bundle it asked for is not told: perhaps one that takes its time. Then it does not turn to another.
            Outcome::Deadline => known().filter(|(_, manifest)| self.is_loaded(manifest)).map(covered).min(),
            Outcome::Complete | Outcome::Degraded | Outcome::Overloaded => None,
            Outcome::Draining | Outcome::BadInput | Outcome::Lost => None,
        };
        match parts {
            Some(parts) if parts >= asked.min_parts => Err(format!(
                "{coordinator} answers request {} with {outcome:?}, though {parts} parts are ready, well and open to it, all for {SETTLED:?}",
                ask.0
            )),
            _ => Ok(()),
        }
    }

    /// Whether any student of a bundle is ready anywhere.
    fn is_loaded(&self, manifest: &Manifest) -> bool {
        let mut students = manifest.parts.iter().flat_map(|part| &part.students);
        students.any(|card| self.ready.values().any(|ready| ready.contains_key(&card.digest)))
    }

    /// Whether the coordinator had no reason not to ask it, and it none not to answer: a suspicion, be it a wrong one, is a reason.
    fn is_at_hand(&self, replica: HostId, asked: &Asked, physics: &Physics) -> bool {
        let Some(body) = physics.body(replica) else { return false };
        let doubted = self.doubted.get(&(asked.coordinator, body.node));
        let is_doubted = doubted.is_some_and(|at| physics.now().since(*at) < LATELY);
        let was_busy = self.busy.get(&replica).is_some_and(|(busy, since)| *busy || *since >= asked.at);
        // Two devices of one name are taken for one.
        let is_copy = physics.is_copy(replica) || physics.is_copy(asked.coordinator);
        !is_copy && !is_doubted && !was_busy
    }
}

impl Invariant for ReadyReplicasAreUsed {
    fn name(&self) -> &'static str {
        "ready-replicas-are-used"
    }

    fn observe(&mut self, entry: &Entry, physics: &Physics) -> Result<(), String> {
        match &entry.fact {
            Fact::Started { host, .. } | Fact::Stopped { host, .. } => {
                self.ready.remove(host);
                self.busy.remove(host);
            }
            Fact::Ready { host, students } => {
                let before = self.ready.remove(host).unwrap_or_default();
                let since = |student: &Digest| (*student, before.get(student).copied().unwrap_or(entry.at));
                self.ready.insert(*host, students.iter().map(since).collect());
            }
            Fact::Stored { host, sound, .. } => {
                self.sound.insert(*host, sound.iter().copied().collect());
            }
            Fact::Routable { host, member, .. } => {
                self.doubted.insert((*host, *member), entry.at);
            }
            Fact::Busy { host, busy } => {
                self.busy.insert(*host, (*busy, entry.at));
            }
            Fact::Asked { ask, host, tries, deadline, min_parts, mode, .. } if *deadline >= patience(*mode) => {
                let asked = Asked { coordinator: *host, at: entry.at, min_parts: *min_parts };
                self.asked.insert((*ask, *tries), asked);
            }
            Fact::Answered { ask, host, tries, reply } => {
                let Some(asked) = self.asked.remove(&(*ask, *tries)) else { return Ok(()) };
                match reply {
                    Reply::Answer { bundle, missing, .. } => {
                        for part in missing {
                            if let Some(replica) = self.replica((*bundle, *part), &asked, physics) {
                                let what =
                                    format!("request {} without part {part}, though {replica} is ready with it", ask.0);
                                return Err(format!("{host} answers {what}, well and open to it, all for {SETTLED:?}"));
                            }
                        }
                    }
                    Reply::Error { outcome, .. } => return self.judge_error(*ask, &asked, *outcome, physics),
                }
            }
            _ => {}
        }
        Ok(())
    }
}

fn patience(mode: Mode) -> Duration {
    match mode {
        Mode::All | Mode::Verify => PATIENT,
        Mode::Hedged => PATIENT_HEDGED,
    }
}

#[cfg(test)]
mod tests {

    use super::super::synthetic::*;
    use super::*;

    fn judge_degraded(ready_at: f64, fault: Option<(f64, Fact)>) -> Result<(), String> {
        let reply = |model: &Model| Reply::Answer {
            logits: Vec::new(),
            bundle: model.digest(),
            mode: Mode::All,
            parts: Vec::new(),
            missing: vec![PartId(1)],
            verified: Vec::new(),
            outvoted: Vec::new(),
        };
        judge_reply(reply, ready_at, fault)
    }

    fn judge_error(outcome: Outcome, fault: Option<(f64, Fact)>) -> Result<(), String> {
        judge_reply(|_| Reply::Error { outcome, text: String::new() }, 5.0, fault)
    }

    /// One answer of `n0` while `n1` is ready with the second of two parts.
    fn judge_reply(reply: impl Fn(&Model) -> Reply, ready_at: f64, fault: Option<(f64, Fact)>) -> Result<(), String> {
        let model = Arc::new(Model::synthetic(2, 0));
        let student = model.manifest().parts[1].students[0].digest;
        let other = Arc::new(Model::synthetic(2, 1));
        let (reply, held) = (reply(&model), vec![model.digest(), other.digest()]);
        let mut facts = vec![(0.0, started(0, 1)), (0.0, started(1, 1))];
        facts.push((0.0, Fact::Stored { host: host(0), sound: held.clone(), held }));
        facts.push((ready_at, Fact::Ready { host: host(1), students: vec![student] }));
        facts.extend(fault);
        facts.push((40.0, asked(1, 0)));
        facts.sort_by(|(a, _), (b, _)| a.total_cmp(b));
        facts.push((42.0, Fact::Answered { ask: AskId(1), host: host(0), tries: 0, reply }));
        judge(&mut ReadyReplicasAreUsed::new(&[model, other]), facts)
    }

    #[test]
    fn a_part_that_somebody_has_long_been_ready_with_must_not_lack() {
        assert!(judge_degraded(5.0, None).unwrap_err().contains("n1 is ready"));
    }

    #[test]
    fn it_may_if_the_replica_is_new_or_was_out_of_reach() {
        assert_eq!(judge_degraded(30.0, None), Ok(()));
        assert_eq!(judge_degraded(5.0, Some((30.0, Fact::Link { host: host(1), up: false }))), Ok(()));
        assert_eq!(judge_degraded(5.0, Some((30.0, Fact::Slowed { host: host(1), factor: 9.0 }))), Ok(()));
    }

    #[test]
    fn who_says_that_nobody_answers_or_serves_must_be_right() {
        for outcome in [Outcome::NoReplica, Outcome::NotServing, Outcome::Deadline] {
            assert!(judge_error(outcome, None).unwrap_err().contains("1 parts are ready"), "{outcome:?}");
            let gone = Fact::Stored { host: host(0), held: Vec::new(), sound: Vec::new() };
            assert_eq!(judge_error(outcome, Some((1.0, gone))), Ok(()), "it cannot know the bundle");
        }
        assert_eq!(judge_error(Outcome::Overloaded, None), Ok(()));
        let other = Model::synthetic(2, 1).manifest().parts[0].students[0].digest;
        let newer = || (35.0, Fact::Ready { host: host(2), students: vec![other] });
        assert_eq!(judge_error(Outcome::Deadline, Some(newer())), Ok(()), "it may have asked for another bundle");
        assert!(judge_error(Outcome::NoReplica, Some(newer())).is_err());
    }

    #[test]
    fn a_message_that_is_late_excuses_what_was_asked_before_it_came() {
        let until = |s| Instant::ZERO + Duration::from_secs_f64(s);
        let late = |until| Some((39.0, Fact::Late { from: host(1), to: host(0), until }));
        assert_eq!(judge_degraded(5.0, late(until(40.5))), Ok(()));
        assert!(judge_degraded(5.0, late(until(39.8))).is_err());
    }

    #[test]
    fn a_copy_excuses_what_it_is_to_answer_itself_and_nothing_that_others_are() {
        let copy = |h: u8, of: u8| {
            let mut start = started(h, 1);
            if let Fact::Started { node: name, .. } = &mut start {
                *name = node(of);
            }
            (30.0, start)
        };
        assert_eq!(judge_degraded(5.0, Some(copy(3, 1))), Ok(()));
        assert!(judge_degraded(5.0, Some(copy(3, 4))).is_err(), "it is no copy");
        assert_eq!(judge_error(Outcome::NoReplica, Some(copy(3, 1))), Ok(()));
    }

    #[test]
    fn a_queue_excuses_while_it_lasts() {
        let busy = |at, busy| (at, Fact::Busy { host: host(1), busy });
        assert_eq!(judge_degraded(5.0, Some(busy(30.0, true))), Ok(()));
        assert_eq!(judge_degraded(5.0, Some(busy(41.0, false))), Ok(()), "it ended meanwhile");
        assert!(judge_degraded(5.0, Some(busy(39.0, false))).is_err(), "it was over");
    }

    #[test]
    fn a_run_that_failed_and_a_message_that_vanished_excuse_this_request_and_this_replica_alone() {
        let failed = |at, h| judge_degraded(5.0, Some((at, Fact::RunFailed { host: host(h) })));
        assert_eq!(failed(41.0, 1), Ok(()));
        assert!(failed(39.0, 1).is_err(), "it was another request");
        assert!(failed(41.0, 0).is_err(), "it was elsewhere");
        let vanished = |from, to| judge_degraded(5.0, Some((41.0, Fact::Vanished { from: host(from), to: host(to) })));
        assert_eq!((vanished(0, 1), vanished(1, 0)), (Ok(()), Ok(())));
        assert!(vanished(1, 2).is_err());
    }
}
