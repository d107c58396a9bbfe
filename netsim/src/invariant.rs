//! What must always hold, whatever goes wrong: each a judge of the facts, one file each.

#![allow(clippy::wildcard_enum_match_arm, reason = "an invariant reads the few facts that concern it")]

mod answers_are_true;
mod calm_meshes_agree;
mod counters_never_fall;
mod epochs_are_unique;
mod nobody_live_is_held_down;
mod nobody_sound_is_cut_off;
mod nobody_well_is_given_up;
mod one_outcome_each;
mod only_true_bytes_are_stored;
mod plans_are_sound;
mod plans_only_grow;
mod queues_are_bounded;
mod ready_replicas_are_used;
mod recent;
mod replaced_before_unloaded;
mod students_fit_memory;
mod students_survive;
mod the_dead_stay_dead;
mod the_honest_are_not_outvoted;

#[cfg(test)]
mod synthetic;

use std::fmt;
use std::sync::Arc;

use rocoin::time::Instant;

#[cfg(test)]
pub(crate) use self::recent::RECENT_MAX;
pub(crate) use self::recent::Recent;
use crate::fact::Entry;
use crate::model::Model;
use crate::physics::Physics;

/// Something that must always hold.
pub trait Invariant: fmt::Debug {
    /// As violations name it.
    fn name(&self) -> &'static str;

    /// Judges the next fact; `physics` has taken it in already.
    ///
    /// # Errors
    /// The evidence, for people, if the invariant does not hold.
    fn observe(&mut self, entry: &Entry, physics: &Physics) -> Result<(), String>;
}

/// An invariant that did not hold.
#[derive(Debug, Clone)]
pub struct Violation {
    /// Its name.
    pub invariant: &'static str,
    /// What shows it.
    pub evidence: String,
    /// World time.
    pub at: Instant,
    /// What happened last, oldest first.
    pub recent: Vec<Entry>,
}

/// All invariants, and what they judge by.
#[derive(Debug)]
pub struct Checker {
    physics: Physics,
    invariants: Vec<Box<dyn Invariant>>,
    recent: Recent,
}

impl Checker {
    /// Every invariant, for a mesh that may serve these bundles.
    pub fn new(models: &[Arc<Model>]) -> Self {
        let invariants: Vec<Box<dyn Invariant>> = vec![
            Box::new(counters_never_fall::CountersNeverFall::default()),
            Box::new(plans_only_grow::PlansOnlyGrow::default()),
            Box::new(epochs_are_unique::EpochsAreUnique::default()),
            Box::new(plans_are_sound::PlansAreSound::new(models)),
            Box::new(answers_are_true::AnswersAreTrue::new(models)),
            Box::new(one_outcome_each::OneOutcomeEach::default()),
            Box::new(ready_replicas_are_used::ReadyReplicasAreUsed::new(models)),
            Box::new(the_honest_are_not_outvoted::TheHonestAreNotOutvoted::default()),
            Box::new(the_dead_stay_dead::TheDeadStayDead::default()),
            Box::new(nobody_live_is_held_down::NobodyLiveIsHeldDown::default()),
            Box::new(nobody_well_is_given_up::NobodyWellIsGivenUp),
            Box::new(nobody_sound_is_cut_off::NobodySoundIsCutOff),
            Box::new(calm_meshes_agree::CalmMeshesAgree::default()),
            Box::new(replaced_before_unloaded::ReplacedBeforeUnloaded::new(models)),
            Box::new(only_true_bytes_are_stored::OnlyTrueBytesAreStored),
            Box::new(queues_are_bounded::QueuesAreBounded),
            Box::new(students_fit_memory::StudentsFitMemory::new(models)),
            Box::new(students_survive::StudentsSurvive::new(models)),
        ];
        Self { physics: Physics::default(), invariants, recent: Recent::default() }
    }

    /// The names of all invariants.
    pub fn names(&self) -> Vec<&'static str> {
        self.invariants.iter().map(|invariant| invariant.name()).collect()
    }

    /// What the world is really like.
    pub fn physics(&self) -> &Physics {
        &self.physics
    }

    /// Judges the next fact.
    ///
    /// # Errors
    /// The first invariant that does not hold.
    pub fn observe(&mut self, entry: Entry) -> Result<(), Violation> {
        self.physics.observe(&entry);
        let physics = &self.physics;
        let broken = self.invariants.iter_mut().find_map(|i| Some((i.name(), i.observe(&entry, physics).err()?)));
        self.recent.observe(entry);
        match broken {
            None => Ok(()),
            Some((name, evidence)) => Err(self.violation(name, evidence)),
        }
    }

    /// A violation as of now.
    pub fn violation(&self, invariant: &'static str, evidence: String) -> Violation {
        Violation { invariant, evidence, at: self.physics.now(), recent: self.recent.entries() }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "VIOLATION at {:.6} s: {}", seconds(self.at), self.invariant)?;
        writeln!(f, "  {}", self.evidence)?;
        writeln!(f, "what happened last:")?;
        for entry in &self.recent {
            let fact = serde_json::to_string(&entry.fact).map_err(|_| fmt::Error)?;
            writeln!(f, "  {:>11.6} {fact}", seconds(entry.at))?;
        }
        Ok(())
    }
}

pub(crate) fn seconds(at: Instant) -> f64 {
    at.since(Instant::ZERO).as_secs_f64()
}
