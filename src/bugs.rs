//! Known bugs that can be switched on, to show that the simulator's invariants catch them. For tests of the tests alone.
//!
//! Without the cargo feature `known-bugs`, which no build of the program has, [`Bugs::has`] is always false and the compiler
//! removes what it guards.

use serde::{Deserialize, Serialize};

macro_rules! bugs {
    ($($(#[doc = $doc:literal])+ $variant:ident = $name:literal),+ $(,)?) => {
        /// A bug that somebody could make.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(rename_all = "kebab-case")]
        pub enum Bug {
            $($(#[doc = $doc])+ $variant),+
        }

        impl Bug {
            /// Every one.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// As commands and docs write it.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name),+
                }
            }

            /// What it does wrong.
            pub const fn description(self) -> &'static str {
                match self {
                    $(Self::$variant => concat!($($doc),+)),+
                }
            }
        }
    };
}

bugs! {
    /// A farewell leaves no tombstone, so that old gossip brings back who left.
    ForgetTombstone = "forget-tombstone",
    /// Another's verdict "down" is believed without asking the member.
    BelieveVerdict = "believe-verdict",
    /// An accused member does not refute.
    NeverRefute = "never-refute",
    /// Who leads does not yield to a greater claim.
    NeverYield = "never-yield",
    /// Members held down are planned with.
    PlanWithDown = "plan-with-down",
    /// A plan of the same term is adopted even if its epoch is smaller.
    CompareTermsOnly = "compare-terms-only",
    /// The store confirms a write before it is synced.
    SkipSync = "skip-sync",
    /// A start does not raise the generation.
    ReuseGeneration = "reuse-generation",
    /// A plan is adopted before it is on disk.
    AdoptUnwritten = "adopt-unwritten",
    /// A start does not read back the plan.
    ForgetPlan = "forget-plan",
    /// A start does not read back which bundle is to be served.
    ForgetDeployment = "forget-deployment",
    /// A plan is made as if memory were unbounded.
    IgnoreMemory = "ignore-memory",
    /// A student is loaded though the memory does not suffice for it and those that are loaded.
    LoadBeyondMemory = "load-beyond-memory",
    /// Who leads goes on planning for the first bundle that it heard of.
    KeepFirstBundle = "keep-first-bundle",
    /// The students of the old plan are unloaded before those of the new one are ready.
    UnloadEarly = "unload-early",
    /// An artifact's hash is not checked.
    SkipHash = "skip-hash",
    /// A request has no timer for its deadline.
    NoDeadline = "no-deadline",
    /// The replicas to ask are looked up anew with a new plan only.
    StaleRouting = "stale-routing",
    /// Requests are taken without a limit.
    UnboundedRequests = "unbounded-requests",
    /// A second answer for a part is added to the first.
    DoubleMerge = "double-merge",
    /// An open request goes on with another bundle and keeps the parts it has.
    MixBundles = "mix-bundles",
    /// Parts are added as they came, not in part order.
    MergeAsCame = "merge-as-came",
    /// Mode hedged never asks the next replica while the first is merely silent.
    HedgeNeverFires = "hedge-never-fires",
    /// Of two replicas that disagree, the first is taken for the majority.
    MajorityOfTwo = "majority-of-two",
    /// The majority of the replicas that answered is named as outvoted.
    BlameTheMany = "blame-the-many",
    /// A request that was answered is answered once more.
    AnswerTwice = "answer-twice",
    /// A request that comes to its deadline without enough parts is dropped without a word.
    NeverAnswer = "never-answer",
    /// A new plan has the epoch of the one before, and is adopted all the same.
    AcceptEqualEpoch = "accept-equal-epoch",
    /// What a plan changes is applied to whatever plan is known, and what comes out is not checked.
    ChangeAnyPlan = "change-any-plan",
    /// Who leads and is outbid does not claim again.
    NeverClaimAgain = "never-claim-again",
    /// What is not loaded is deleted from the disk, though the plan's bundle contains it.
    DiscardNeeded = "discard-needed",
    /// What is not loaded is deleted from the disk, though another bundle was deployed meanwhile and its first copy is here.
    DiscardWanted = "discard-wanted",
    /// The second part is asked of nobody.
    NeverAskPart = "never-ask-part",
    /// A message that comes too late counts as much as one that nobody sound sends.
    BlameTheLate = "blame-the-late",
    /// Requests are counted from one, so that a copy of this device takes answers to its requests for its own.
    CountFromOne = "count-from-one",
    /// A student's file that could not be loaded is still told of once the plan has moved on.
    KeepFailedFile = "keep-failed-file",
    /// While the planned bundle lacks replicas only the one that answered before is looked at, not all that is loaded.
    ForgetThirdBundle = "forget-third-bundle",
    /// A suspicion that another has waited out ends as soon as one's own probe fails.
    VerdictAtOnce = "verdict-at-once",
}

/// Which bugs are switched on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Bugs(u64);

impl Bugs {
    /// This one alone.
    pub const fn only(bug: Bug) -> Self {
        Self(1 << bug as u64)
    }

    /// Whether it is switched on; never without the feature `known-bugs`.
    #[inline]
    pub const fn has(self, bug: Bug) -> bool {
        cfg!(feature = "known-bugs") && self.0 & (1 << bug as u64) != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bug_that_was_switched_on_is_on_with_the_feature_and_no_other_ever() {
        let bugs = Bugs::only(Bug::SkipHash);
        assert_eq!(bugs.has(Bug::SkipHash), cfg!(feature = "known-bugs"));
        assert!(!bugs.has(Bug::SkipSync));
        assert!(Bug::ALL.iter().all(|bug| !Bugs::default().has(*bug)));
    }

    #[test]
    fn every_bug_has_a_name_and_a_place_of_its_own() {
        let names: std::collections::BTreeSet<_> = Bug::ALL.iter().map(|bug| bug.name()).collect();
        assert_eq!(names.len(), Bug::ALL.len());
        assert!(Bug::ALL.len() <= 64, "one bit each");
    }
}
