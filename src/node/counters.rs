//! What all machines counted, under one name each.

use std::collections::BTreeMap;

use super::Node;
use crate::inference::{coordinator, replica};
use crate::{deployment, leadership, membership};

/// Adds every counter of one machine. A counter that is not listed does not compile.
macro_rules! count {
    ($all:ident, $machine:literal, $counters:expr => $module:ident { $($what:ident),+ $(,)? }) => {
        let $module::Counters { $($what),+ } = $counters;
        $($all.insert(concat!($machine, "_", stringify!($what)).to_owned(), $what);)+
    };
}

impl Node {
    pub(super) fn counters(&self) -> BTreeMap<String, u64> {
        let mut all = BTreeMap::new();
        count!(all, "membership", self.membership.counters() => membership {
            sent, received, messages_refused, records_refused, updates_refused, members_refused, updates_dropped,
            relays_refused, probes_failed, refutations, stalls, digests,
        });
        count!(all, "leadership", self.leadership.counters() => leadership {
            claims_made, plans_made, term_jumps_refused, claims_stale, plans_stale, plans_malformed, changes_refused,
            persist_failures,
        });
        count!(all, "deployment", self.stock.counters() => deployment {
            chunks_received, chunks_sent, messages_refused, reads_refused, wrong_hashes, store_failures, load_failures,
        });
        count!(all, "coordinator", self.coordinator.counters() => coordinator {
            late, restarts, unexpected, bad_answers, failovers, hedges, outvoted, disputed,
        });
        count!(all, "replica", self.replicas.counters() => replica {
            expired, cancelled, repeated, refused, unexpected,
        });
        all.insert("conduct_cut_off".to_owned(), self.conduct.cut_off);
        all
    }
}
