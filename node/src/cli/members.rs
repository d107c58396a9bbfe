//! How members are called, ordered and described to people, wherever a command shows them.

use std::cmp::Ordering;

use rocoin::id::NodeId;
use rocoin::membership::State;
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

/// A member's state in one word.
pub(super) fn state_of(member: &MemberSnapshot) -> &'static str {
    match (member.state, member.routable) {
        (State::Alive, true) => "alive",
        (State::Alive, false) => "unlinked",
        (State::Suspect, _) => "suspect",
        (State::Down, _) => "down",
    }
}

/// By name as people count: `pi-2` is before `pi-10`.
pub(super) fn by_name(a: &str, b: &str) -> Ordering {
    let (mut left, mut right) = (a.chars().peekable(), b.chars().peekable());
    loop {
        let (Some(x), Some(y)) = (left.peek().copied(), right.peek().copied()) else {
            return left.count().cmp(&right.count()).then_with(|| a.cmp(b));
        };
        if x.is_ascii_digit() && y.is_ascii_digit() {
            let number = |chars: &mut std::iter::Peekable<std::str::Chars<'_>>| {
                let digits: String = std::iter::from_fn(|| chars.next_if(char::is_ascii_digit)).collect();
                let significant = digits.trim_start_matches('0').to_owned();
                (significant.len(), significant)
            };
            match number(&mut left).cmp(&number(&mut right)) {
                Ordering::Equal => {}
                order @ (Ordering::Less | Ordering::Greater) => return order,
            }
            continue;
        }
        if x != y {
            return x.cmp(&y);
        }
        left.next();
        right.next();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_ordered_as_people_count() {
        let mut names = ["pi-10", "pi-2", "a", "pi-02", "pi", "pi-2b", "pi-10"];
        names.sort_by(|a, b| by_name(a, b));
        assert_eq!(names, ["a", "pi", "pi-02", "pi-2", "pi-2b", "pi-10", "pi-10"]);
    }
}
