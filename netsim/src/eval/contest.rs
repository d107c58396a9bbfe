//! Who is compared: the same planner with each method's strategy, and each method's students.

use rocoin::fleet::Fleet;
use rocoin::planner::{AccuracyTable, Plan, PlanError, PlanOptions, Strategy, Student, Students, plan};
use serde::Serialize;

use super::standing::Standing;

/// A way to answer on a fleet; `docs/method.md` says whose each is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rival {
    /// The teacher, whole, on the best single device.
    Teacher,
    /// Equal students, one device each, no replica.
    Nonn,
    /// The same, each student sized to its device.
    HetNonn,
    /// RoCoIn's groups; parts and students given out greedily.
    RocoinG,
    /// Follow-the-leader and Kuhn–Munkres.
    Rocoin,
    /// One whole small model on every device.
    Replication,
    /// The search, and a head that has seen parts missing.
    Ours,
}

impl Rival {
    /// Every one, ours last.
    pub const ALL: [Self; 7] =
        [Self::Teacher, Self::Nonn, Self::HetNonn, Self::RocoinG, Self::Rocoin, Self::Replication, Self::Ours];

    /// For people.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Teacher => "teacher, one device",
            Self::Nonn => "NoNN",
            Self::HetNonn => "HetNoNN",
            Self::RocoinG => "RoCoIn-G",
            Self::Rocoin => "RoCoIn",
            Self::Replication => "full replication",
            Self::Ours => "ours",
        }
    }

    /// How the planner is to go about it.
    pub const fn strategy(self) -> Strategy {
        match self {
            Self::Teacher | Self::Nonn => Strategy::Nonn,
            Self::HetNonn => Strategy::HetNonn,
            Self::RocoinG => Strategy::RocoinG,
            // With one part there is one group: every device that has the memory.
            Self::Rocoin | Self::Replication => Strategy::Rocoin,
            Self::Ours => Strategy::Search,
        }
    }
}

/// Each method's students, with their measured accuracies.
#[derive(Debug, Clone)]
pub struct Contest {
    /// Under a head that was trained with part dropout.
    pub ours: Students,
    /// The same students under a head that has never seen a part missing: what the methods after RoCoIn and NoNN use. Without it they
    /// have ours, which is to their advantage where parts go missing.
    pub plain: Option<Students>,
    /// Students of NoNN's own division, under such a head, for the methods after NoNN. Without them they have the plain ones.
    pub nonn: Option<Students>,
    /// One part only: a whole small model, or several sizes of it.
    pub whole: Option<Students>,
    /// One part, one student: the teacher.
    pub teacher: Option<Students>,
}

/// A rival's plan for a fleet.
#[derive(Debug, Clone)]
pub struct Entry<'a> {
    /// As the planner reports it.
    pub plan: Plan,
    /// What is left of it when devices fail.
    pub standing: Standing<'a>,
}

impl Contest {
    /// A teacher of these costs as the only student of an only part.
    ///
    /// # Errors
    /// As [`Students::without_accuracy`] and [`AccuracyTable::from_fn`]; one part of one student meets neither.
    pub fn teacher(
        flops: u64,
        memory_bytes: u64,
        accuracy: f64,
        elements: usize,
        classes: usize,
    ) -> Result<Students, PlanError> {
        let student = Student { arch: "teacher".to_owned(), precision: "f32".to_owned(), flops, memory_bytes };
        let mut students = Students::without_accuracy(vec![vec![student]], elements, classes)?;
        students.accuracy = Some(AccuracyTable::from_fn(&students.parts, |_| accuracy)?);
        Ok(students)
    }

    /// The students a rival uses; `None` if they are not there.
    pub fn students(&self, rival: Rival) -> Option<&Students> {
        match rival {
            Rival::Ours => Some(&self.ours),
            Rival::Nonn | Rival::HetNonn => self.nonn.as_ref().or_else(|| self.students(Rival::Rocoin)),
            Rival::RocoinG | Rival::Rocoin => Some(self.plain.as_ref().unwrap_or(&self.ours)),
            Rival::Replication => self.whole.as_ref(),
            Rival::Teacher => self.teacher.as_ref(),
        }
    }

    /// Those who have students.
    pub fn rivals(&self) -> Vec<Rival> {
        Rival::ALL.into_iter().filter(|rival| self.students(*rival).is_some()).collect()
    }

    /// Accuracy of the most accurate combination that each of `rivals` has, the least of them.
    pub fn common_best(&self, rivals: &[Rival]) -> f64 {
        let best = |rival: &Rival| Some(self.students(*rival)?.accuracy.as_ref()?.best());
        rivals.iter().filter_map(best).fold(1.0, f64::min)
    }

    /// Its plan; `None` if it has no students, or the fleet has no room for every part. With `accuracy_min` (0 to 1), the fastest plan of
    /// at least that expected accuracy, and none where it cannot reach it.
    pub fn enter(&self, rival: Rival, fleet: &Fleet, accuracy_min: Option<f64>) -> Option<Entry<'_>> {
        let students = self.students(rival)?;
        let table = students.accuracy.as_ref()?;
        let mut options = PlanOptions { strategy: rival.strategy(), ..fleet.plan.clone() };
        if let Some(least) = accuracy_min {
            options.accuracy_drop_max = 100.0 * (table.best() - least);
        }
        let plan = plan(&Fleet { plan: options, ..fleet.clone() }, students).ok()?;
        let reached =
            accuracy_min.is_none_or(|least| plan.expected_accuracy.is_some_and(|found| found >= least - 1e-9));
        reached.then(|| Entry { standing: Standing::new(&plan, table), plan })
    }

    /// Our plan against a rival's: no less accurate, and no group less reliable than the rival's least reliable one or than is asked for.
    pub fn answer(&self, theirs: &Entry<'_>, fleet: &Fleet) -> Option<Entry<'_>> {
        let mut fleet = fleet.clone();
        let least_reliable = theirs.plan.groups.iter().map(|group| group.failure_probability).fold(0.0, f64::max);
        fleet.plan.group_failure_max = fleet.plan.group_failure_max.max(least_reliable);
        self.enter(Rival::Ours, &fleet, theirs.plan.expected_accuracy)
    }
}

#[cfg(test)]
mod tests {
    use super::super::Setting;
    use super::super::fixture::contest;
    use super::*;

    fn held(entry: &Entry<'_>) -> Vec<usize> {
        entry.plan.groups.iter().map(|group| group.replicas.len()).collect()
    }

    #[test]
    fn each_rival_holds_what_its_method_says() {
        let (contest, fleet) = (contest(), Setting { memory_bytes: (1e6, 1e6), ..Setting::PAPER }.fleet(1, 0));
        let enter = |rival| contest.enter(rival, &fleet, None).unwrap();
        assert_eq!(held(&enter(Rival::Teacher)), [1]);
        assert_eq!(held(&enter(Rival::Nonn)), [1, 1, 1, 1]);
        assert_eq!(held(&enter(Rival::HetNonn)), [1, 1, 1, 1]);
        assert_eq!(held(&enter(Rival::Rocoin)).iter().sum::<usize>(), 8);
        assert_eq!(held(&enter(Rival::RocoinG)).iter().sum::<usize>(), 8);
        assert_eq!(held(&enter(Rival::Replication)), [8]);
    }

    #[test]
    fn who_cannot_be_accurate_enough_has_no_plan() {
        let (contest, fleet) = (contest(), Setting::BOARDS.fleet(1, 0));
        assert!(contest.enter(Rival::Ours, &fleet, Some(0.92)).is_some());
        assert!(contest.enter(Rival::Ours, &fleet, Some(0.95)).is_none());
        let expected = |least| contest.enter(Rival::Ours, &fleet, least).unwrap().plan.expected_accuracy.unwrap();
        assert!(expected(Some(0.928)) >= 0.928);
    }

    #[test]
    fn who_has_no_students_is_left_out() {
        let alone = Contest { plain: None, nonn: None, whole: None, teacher: None, ..contest() };
        assert!(!alone.rivals().contains(&Rival::Replication) && !alone.rivals().contains(&Rival::Teacher));
        assert_eq!(alone.students(Rival::Rocoin), Some(&alone.ours));
        assert_eq!(alone.students(Rival::Nonn), Some(&alone.ours));
        let trained = contest();
        assert_eq!(trained.students(Rival::HetNonn), trained.nonn.as_ref());
        assert_eq!(trained.students(Rival::RocoinG), trained.plain.as_ref());
        assert_eq!(contest().rivals(), Rival::ALL);
    }
}
