//! Whether nodes can find each other by multicast, on each interface and in each family.

use std::net::IpAddr;

use super::firewall::openings;
use super::listen_port;
use crate::doctor::facts::{
    Asked, Connect, Facts, Family, FirewallTool, Handshake, Heard, Interface, Multicast, Reached,
};
use crate::doctor::finding::{Area, Code, Finding};

const AREA: Area = Area::Multicast;
/// What to do where multicast does not pass and cannot be made to.
const NAME_A_NODE: &str =
    "name any node of the mesh: rocoin node --peer /ip4/ADDRESS/tcp/PORT    # where multicast does not pass";

pub(super) fn judge(facts: &Facts) -> Vec<Finding> {
    let mut findings: Vec<Finding> = facts.multicast.iter().map(|asked| one(asked, facts)).collect();
    if findings.is_empty() {
        let off = Finding::notice(AREA, Code::MulticastOff, "no interface to ask by multicast on")
            .because("nodes do not find each other by themselves here")
            .mend(NAME_A_NODE);
        findings.push(off);
    }
    findings
}

fn one(asked: &Multicast, facts: &Facts) -> Finding {
    let place = format!("{}, {}", asked.interface, asked.family);
    match &asked.outcome {
        Asked::NoSocket { why, taken: true } => {
            Finding::wrong(AREA, Code::MdnsPortTaken, format!("{place}: UDP port 5353 is taken ({why})"))
                .because("another program has it and does not share it; a node cannot use mDNS beside it")
                .mend("see who it is: sudo ss -lunp 'sport = :5353'    # then let it share the port, or stop it")
                .mend(NAME_A_NODE)
        }
        Asked::NoSocket { why, taken: false } => {
            Finding::wrong(AREA, Code::MdnsNoSocket, format!("{place}: UDP port 5353 cannot be listened on ({why})"))
                .because("without it a node neither finds others nor is found")
                .mend(NAME_A_NODE)
        }
        Asked::NotSent { why } => {
            Finding::wrong(AREA, Code::MulticastNotSent, format!("{place}: nothing can be sent ({why})"))
                .because("the system has no way for multicast there, or a firewall of this device forbids it")
                .mend(route(asked))
                .mend(NAME_A_NODE)
        }
        Asked::Sent { echo: false, peers, .. } if peers.is_empty() => Finding::wrong(
            AREA,
            Code::MulticastNoEcho,
            format!("{place}: this device does not hear even its own question"),
        )
        .because("what is sent by multicast comes back to its sender, so a firewall of this device drops UDP port 5353")
        .mend_all(firewall_remedies(facts)),
        Asked::Sent { peers, others, .. } => heard(&place, asked, peers, others, facts),
    }
}

fn heard(place: &str, asked: &Multicast, peers: &[Heard], others: &[IpAddr], facts: &Facts) -> Finding {
    let away: Vec<_> = peers.iter().filter(|p| !p.here).collect();
    if !away.is_empty() {
        let names: Vec<_> = away.iter().map(|p| format!("{} ({})", p.from, short(&p.peer))).collect();
        let what = format!("{place}: heard {} other node{}: {}", away.len(), plural(away.len()), names.join(", "));
        return Finding::well(AREA, Code::MulticastHeard, what);
    }
    if let Some(met) = met_beside(asked, facts) {
        return Finding::wrong(AREA, Code::MulticastNotPassing, format!("{place}: {met} is there, but does not answer here"))
            .because(
                "it is in the same network and was reached, so multicast is lost on the way: an access point that keeps its clients \
                 apart or turns multicast off, a switch with IGMP snooping and no querier, or a firewall on that device; or that \
                 node was started with --no-mdns",
            )
            .mend("there: rocoin doctor    # it says whether its firewall drops UDP port 5353")
            .mend("switch off client isolation (AP isolation, guest mode) and IGMP snooping in the access point or switch")
            .mend(NAME_A_NODE);
    }
    if !others.is_empty() {
        let what = format!("{place}: {} other device{} heard, none of them a node", others.len(), plural(others.len()));
        return Finding::notice(AREA, Code::MulticastOthersOnly, what)
            .because(
                "multicast passes here; either no other node runs in this network, or it was started with --no-mdns",
            )
            .mend("start a node on another device, or look from there: rocoin doctor");
    }
    if peers.is_empty() {
        return Finding::notice(AREA, Code::MulticastSilent, format!("{place}: nobody answered"))
            .because(
                "either this device is alone there, or multicast does not pass: client isolation of an access point, IGMP snooping \
                 without a querier, a firewall on the others",
            )
            .mend("look at one address of another node: rocoin doctor --against ADDRESS:PORT")
            .mend(NAME_A_NODE);
    }
    Finding::notice(AREA, Code::MulticastOwnOnly, format!("{place}: only nodes on this device answered"))
        .because("either no other device is there, or multicast does not pass between it and this one")
        .mend("look at one address of another node: rocoin doctor --against ADDRESS:PORT")
}

/// A target in this interface's network that a handshake was done with, so that its multicast should be heard.
fn met_beside(asked: &Multicast, facts: &Facts) -> Option<IpAddr> {
    let interface: &Interface = facts.interfaces.iter().find(|i| i.name == asked.interface)?;
    let beside = |ip: IpAddr| interface.addresses.iter().any(|a| Family::of(a.ip) == asked.family && a.is_beside(ip));
    let own = |ip: IpAddr| interface.addresses.iter().any(|a| a.ip == ip);
    let paths = facts.targets.iter().filter_map(|target| match &target.outcome {
        Reached::Mesh { paths } => Some(paths),
        Reached::Unresolved { .. } | Reached::Http { .. } => None,
    });
    let met = |connect: &Connect| matches!(connect, Connect::Connected { handshake: Handshake::Done(_), .. });
    paths.flatten().filter(|path| met(&path.connect)).map(|path| path.address.ip()).find(|ip| beside(*ip) && !own(*ip))
}

fn route(asked: &Multicast) -> String {
    match asked.family {
        Family::V4 => format!("sudo ip route add 224.0.0.0/4 dev {}", asked.interface),
        Family::V6 => format!("sudo ip -6 route add ff00::/8 dev {} table local", asked.interface),
    }
}

fn firewall_remedies(facts: &Facts) -> Vec<String> {
    let filtering = facts.firewalls.iter().filter(|f| f.active != Some(false));
    let remedies: Vec<String> = filtering.flat_map(|f| openings(f, listen_port(facts))).collect();
    if remedies.is_empty() { super::firewall::commands(FirewallTool::Nft, None, listen_port(facts)) } else { remedies }
}

pub(super) fn short(peer: &str) -> String {
    let tail: String = peer.chars().skip(peer.chars().count().saturating_sub(8)).collect();
    format!("…{tail}")
}

pub(super) fn plural(count: usize) -> &'static str {
    if count == 1 { "" } else { "s" }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{codes, ethernet, met, remedies, target};
    use super::*;
    use crate::doctor::facts::Firewall;

    fn facts(outcome: Asked) -> Facts {
        let multicast = vec![Multicast { interface: "eth0".to_owned(), family: Family::V4, outcome }];
        Facts { interfaces: vec![ethernet()], multicast, ..Facts::default() }
    }

    fn sent(echo: bool, peers: &[bool], others: &[&str]) -> Asked {
        let heard = |here: &bool| Heard {
            from: "192.168.1.9".parse().unwrap(),
            peer: "12D3KooWabcdefgh".to_owned(),
            addresses: Vec::new(),
            here: *here,
        };
        let others = others.iter().map(|ip| ip.parse().unwrap()).collect();
        Asked::Sent { echo, peers: peers.iter().map(heard).collect(), others }
    }

    #[test]
    fn what_was_heard_decides() {
        for (outcome, expected) in [
            (sent(true, &[true, false], &[]), Code::MulticastHeard),
            (sent(true, &[true], &[]), Code::MulticastOwnOnly),
            (sent(true, &[true], &["192.168.1.3"]), Code::MulticastOthersOnly),
            (sent(true, &[], &[]), Code::MulticastSilent),
            (sent(false, &[], &["192.168.1.3"]), Code::MulticastNoEcho),
            (Asked::NotSent { why: "unreachable".to_owned() }, Code::MulticastNotSent),
            (Asked::NoSocket { why: "in use".to_owned(), taken: true }, Code::MdnsPortTaken),
            (Asked::NoSocket { why: "denied".to_owned(), taken: false }, Code::MdnsNoSocket),
        ] {
            assert_eq!(codes(&judge(&facts(outcome))), [expected]);
        }
        assert_eq!(codes(&judge(&Facts::default())), [Code::MulticastOff]);
    }

    #[test]
    fn a_node_beside_this_one_that_is_reached_and_not_heard_shows_that_multicast_does_not_pass() {
        let mut facts = facts(sent(true, &[], &[]));
        facts.targets = vec![target("192.168.1.9:4470", met())];
        assert_eq!(codes(&judge(&facts)), [Code::MulticastNotPassing]);
        facts.targets = vec![target("10.0.0.9:4470", met())];
        assert_eq!(
            codes(&judge(&facts)),
            [Code::MulticastSilent],
            "another network's multicast is not to be heard here"
        );
    }

    #[test]
    fn a_question_that_does_not_come_back_is_the_firewalls_and_its_own_command_is_given() {
        let mut facts = facts(sent(false, &[], &[]));
        facts.firewalls = vec![Firewall { tool: FirewallTool::Ufw, active: Some(true), chain: None }];
        assert!(remedies(&judge(&facts)).contains("sudo ufw allow 5353/udp"));
        facts.firewalls.clear();
        assert!(remedies(&judge(&facts)).contains("nft"), "some command is given always");
    }

    #[test]
    fn nothing_sent_is_mended_by_a_route_of_the_family() {
        let mut facts = facts(Asked::NotSent { why: "unreachable".to_owned() });
        assert!(remedies(&judge(&facts)).contains("ip route add 224.0.0.0/4 dev eth0"));
        facts.multicast[0].family = Family::V6;
        assert!(remedies(&judge(&facts)).contains("ff00::/8"));
    }
}
