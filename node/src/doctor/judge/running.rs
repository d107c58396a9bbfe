//! The node that runs on the state folder, and what it sees.

use crate::doctor::facts::{Facts, Http, IdentityFile, Member, Running};
use crate::doctor::finding::{Area, Code, Finding};

const AREA: Area = Area::Node;
/// Members that are named; of more, the number alone.
const NAMED_MAX: usize = 8;

pub(super) fn judge(facts: &Facts) -> Vec<Finding> {
    let Running { http: Some(http), url, members } = &facts.running else { return Vec::new() };
    match http {
        Http::Node { node, .. } if !is_ours(*node, &facts.state.identity) => {
            let finding = Finding::notice(
                AREA,
                Code::NodeHttpOther,
                format!("a node runs on this state folder, but {url} is another node's"),
            )
            .because("more than one node runs on this device")
            .mend("give the HTTP interface of this one: rocoin doctor --http HOST:PORT");
            vec![finding]
        }
        Http::Node { name, alive: 0, others: 0, .. } => {
            let alone = Finding::notice(AREA, Code::NodeAlone, format!("{name} runs, and has met no other node"))
                .because("what is said above about interfaces, multicast and firewall tells why, if there are others")
                .mend("look at the way to one of them: rocoin doctor --against ADDRESS:PORT");
            vec![alone]
        }
        Http::Node { name, alive, others, .. } => {
            let mut findings = vec![Finding::well(
                AREA,
                Code::NodeRuns,
                format!("{name} runs and sees {alive} of {others} other members alive"),
            )];
            findings.extend(lost(members));
            findings
        }
        Http::Unreachable { why } => vec![silent(url, why)],
        Http::Unauthorized => vec![silent(url, "it wants another token: give --http-token-file")],
        Http::NotANode { status } => vec![silent(url, &format!("something else answers there, with {status}"))],
    }
}

fn is_ours(node: rocoin::id::NodeId, identity: &IdentityFile) -> bool {
    match identity {
        IdentityFile::Usable { node: ours, .. } => *ours == node,
        IdentityFile::Absent | IdentityFile::Unusable { .. } => true,
    }
}

fn lost(members: &[Member]) -> Option<Finding> {
    let away: Vec<String> = members
        .iter()
        .filter(|m| !m.routable)
        .map(|m| format!("{} ({})", if m.name.is_empty() { m.node.short() } else { m.name.clone() }, m.state))
        .collect();
    if away.is_empty() {
        return None;
    }
    let named = away[..away.len().min(NAMED_MAX)].join(", ");
    let finding = Finding::notice(AREA, Code::NodeMembersLost, format!("{} not reached: {named}", away.len()))
        .because("switched off, left, or out of reach; a member that is down for long is forgotten")
        .mend("look at the way to one of them: rocoin doctor --against ADDRESS:PORT");
    Some(finding)
}

fn silent(url: &str, why: &str) -> Finding {
    Finding::notice(
        AREA,
        Code::NodeHttpSilent,
        format!("a node runs here; what it sees could not be asked at {url} ({why})"),
    )
    .because("its HTTP interface is elsewhere, or it hangs")
    .mend("rocoin doctor --http HOST:PORT    # as the node was started")
}

#[cfg(test)]
mod tests {
    use rocoin::id::NodeId;

    use super::super::tests::codes;
    use super::*;
    use crate::doctor::facts::StateFolder;

    fn node(alive: usize, others: usize) -> Http {
        Http::Node { node: NodeId([1; 32]), name: "pi".to_owned(), alive, others, ahead_s: None }
    }

    fn facts(http: Http, members: Vec<Member>) -> Facts {
        let identity = IdentityFile::Usable { node: NodeId([1; 32]), peer: "12D3".to_owned() };
        let running = Running { http: Some(http), url: "127.0.0.1:8470".to_owned(), members };
        Facts { running, state: StateFolder { identity, ..StateFolder::default() }, ..Facts::default() }
    }

    #[test]
    fn what_a_running_node_sees_is_told() {
        let member =
            |routable| Member { name: String::new(), node: NodeId([2; 32]), state: "down".to_owned(), routable };
        for (http, members, expected) in [
            (node(2, 2), vec![member(true), member(true)], vec![Code::NodeRuns]),
            (node(1, 2), vec![member(true), member(false)], vec![Code::NodeRuns, Code::NodeMembersLost]),
            (node(0, 0), vec![], vec![Code::NodeAlone]),
            (Http::Unreachable { why: "refused".to_owned() }, vec![], vec![Code::NodeHttpSilent]),
            (Http::Unauthorized, vec![], vec![Code::NodeHttpSilent]),
            (Http::NotANode { status: 404 }, vec![], vec![Code::NodeHttpSilent]),
        ] {
            assert_eq!(codes(&judge(&facts(http, members))), expected);
        }
    }

    #[test]
    fn another_nodes_answer_is_not_taken_for_this_ones() {
        let mut facts = facts(node(1, 1), vec![]);
        facts.state.identity = IdentityFile::Usable { node: NodeId([9; 32]), peer: "12D3".to_owned() };
        assert_eq!(codes(&judge(&facts)), [Code::NodeHttpOther]);
    }

    #[test]
    fn where_no_node_runs_nothing_is_said() {
        assert_eq!(judge(&Facts::default()), []);
    }
}
