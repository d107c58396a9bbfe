//! What members are called in what commands print: by name, and by id where a name alone would not say which.

use rocoin::id::NodeId;
use rocoin::node::MemberSnapshot;

/// The members that a node knows, to be named.
#[derive(Debug, Clone, Copy)]
pub(super) struct Names<'a>(pub(super) &'a [MemberSnapshot]);

impl Names<'_> {
    /// One member's; no other has the same. A stranger, and one without a name, is called by its id.
    pub(super) fn of(self, id: NodeId) -> String {
        let member = self.0.iter().find(|m| m.node == id);
        let Some(name) = member.map(|m| m.name.as_str()).filter(|name| !name.trim().is_empty()) else {
            return id.short();
        };
        // Two devices set up alike, or one that gives itself another's name.
        let is_shared = self.0.iter().any(|m| m.name == name && m.node != id);
        let printable: String = name.chars().map(|c| if c.is_control() { '?' } else { c }).collect();
        if is_shared || printable != name { format!("{printable}({})", id.short()) } else { printable }
    }

    /// Several members', with commas.
    pub(super) fn list(self, ids: &[NodeId]) -> String {
        ids.iter().map(|id| self.of(*id)).collect::<Vec<_>>().join(", ")
    }
}
