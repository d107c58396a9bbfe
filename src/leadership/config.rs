//! How patient the machine is, and what it asks of a plan.

use crate::bugs::Bugs;
use crate::planner::PlanOptions;
use crate::time::Duration;

/// How patient the machine is, and what it asks of a plan.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// The view must have been stable for so long before anybody claims. Shorter replans sooner after a leader's
    /// death; longer makes fewer rival claims at a cold start.
    pub hold_off: Duration,
    /// From a change of the view to the new plan. Shorter restores a lost part sooner; longer makes one plan of
    /// several changes.
    pub settle: Duration,
    /// Nothing is planned with fewer members than this. 1 lets every side of a partition serve.
    pub min_members: usize,
    /// What is asked of a plan.
    pub plan: PlanOptions,
    /// Known bugs that are switched on.
    pub bugs: Bugs,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            hold_off: Duration::from_millis(600), // design: two probe periods
            settle: Duration::from_millis(200), // ours: a kill of several devices is confirmed within one probe period
            min_members: 1,
            plan: PlanOptions::default(),
            bugs: Bugs::default(),
        }
    }
}
