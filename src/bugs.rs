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
    /// The store confirms a write before it is synced.
    SkipSync = "skip-sync",
    /// A start does not raise the generation.
    ReuseGeneration = "reuse-generation",
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
