//! The machines' settings, together.

use crate::bugs::Bugs;
use crate::inference::{coordinator, replica};
use crate::{deployment, leadership, membership};

/// The machines' settings, each as its own module documents it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Config {
    /// The failure detector's timing.
    pub membership: membership::Config,
    /// Patience of the election, and what is asked of a plan.
    pub leadership: leadership::Config,
    /// How much the node may keep.
    pub deployment: deployment::Config,
    /// Limits of the requests it takes.
    pub coordinator: coordinator::Config,
    /// Limits of the work it does for others.
    pub replica: replica::Config,
    /// Known bugs that are switched on, in all machines.
    pub bugs: Bugs,
}

impl Config {
    /// The same, with every machine told of the known bugs.
    pub(super) fn with_bugs_told(mut self) -> Self {
        self.membership.bugs = self.bugs;
        self.leadership.bugs = self.bugs;
        self.deployment.bugs = self.bugs;
        self.coordinator.bugs = self.bugs;
        self
    }
}
