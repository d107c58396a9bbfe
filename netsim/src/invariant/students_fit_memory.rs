//! The students that a node has loaded or is loading fit its memory together, whatever plans come one after the other.

use std::collections::BTreeMap;
use std::sync::Arc;

use rocoin::id::Digest;

use super::Invariant;
use crate::fact::{Entry, Fact};
use crate::model::Model;
use crate::physics::Physics;

/// The students that a node has in memory fit it together.
#[derive(Debug)]
pub(super) struct StudentsFitMemory {
    /// Bytes of RAM that each student takes.
    sizes: BTreeMap<Digest, u64>,
}

impl StudentsFitMemory {
    pub(super) fn new(models: &[Arc<Model>]) -> Self {
        let cards = models.iter().flat_map(|model| &model.manifest().parts).flat_map(|part| &part.students);
        Self { sizes: cards.map(|card| (card.digest, card.memory_bytes)).collect() }
    }
}

impl Invariant for StudentsFitMemory {
    fn name(&self) -> &'static str {
        "students-fit-memory"
    }

    fn observe(&mut self, entry: &Entry, physics: &Physics) -> Result<(), String> {
        let Fact::InMemory { host, students } = &entry.fact else { return Ok(()) };
        // A plan is made for what the other device of that name said it has.
        let Some(body) = physics.body(*host).filter(|body| !physics.was_cloned(body.node)) else { return Ok(()) };
        let used: u64 = students.iter().filter_map(|student| self.sizes.get(student)).sum();
        if used > body.memory_bytes {
            return Err(format!(
                "{host} has {} students in memory that take {used} bytes, and there are {}",
                students.len(),
                body.memory_bytes
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::synthetic::*;
    use super::*;

    #[test]
    fn students_that_fit_together_pass_and_more_do_not() {
        let model = Arc::new(Model::synthetic(3, 0));
        let students: Vec<_> = model.manifest().parts.iter().map(|part| &part.students[0]).collect();
        let judge_loaded = |count: usize| {
            let mut start = started(0, 1);
            if let Fact::Started { memory_bytes, .. } = &mut start {
                *memory_bytes = 2 * students[0].memory_bytes;
            }
            let students = students[..count].iter().map(|card| card.digest).collect();
            let loaded = Fact::InMemory { host: host(0), students };
            judge(&mut StudentsFitMemory::new(&[Arc::clone(&model)]), vec![(0.0, start), (1.0, loaded)])
        };
        assert_eq!(judge_loaded(2), Ok(()));
        assert!(judge_loaded(3).unwrap_err().contains("3 students"));
    }
}
