//! Each node that was asked about: how far the way to it is open, step by step.

use std::net::SocketAddr;

use super::multicast::short;
use crate::doctor::facts::{
    Connect, Facts, Family, Greeting, Handshake, Http, IdentityFile, KeyFile, Met, Path, Reached, Target, is_link_local,
};
use crate::doctor::finding::{Area, Code, Finding};
use crate::network::PROTOCOL;

const AREA: Area = Area::Target;
/// Opens a port on the other device, whatever firewall that has.
const OPEN_THERE: &str =
    "there, to see its firewall and the command that opens it: rocoin doctor --listen /ip4/0.0.0.0/tcp/";

pub(super) fn judge(facts: &Facts) -> Vec<Finding> {
    facts.targets.iter().flat_map(|target| one(target, facts)).collect()
}

fn one(target: &Target, facts: &Facts) -> Vec<Finding> {
    match &target.outcome {
        Reached::Unresolved { why } => {
            let finding = Finding::wrong(AREA, Code::TargetUnresolved, format!("{}: the name has no address ({why})", target.given))
                .because("a node wants addresses, not names, in --peer; this name is known neither to this device nor to its DNS server")
                .mend("find out its address: there, ip address    # then rocoin doctor --against ADDRESS:PORT");
            vec![finding]
        }
        Reached::Http { url, http: answer } => vec![http(url, answer)],
        Reached::Mesh { paths } => paths.iter().map(|path| path_finding(path, target, facts)).collect(),
    }
}

fn path_finding(path: &Path, target: &Target, facts: &Facts) -> Finding {
    let address = path.address;
    if is_link_local(address.ip()) {
        return Finding::wrong(AREA, Code::TargetLinkLocal, format!("{address}: a link-local address"))
            .because("it means something only together with an interface's name, which an address for --peer has no place for")
            .mend("use another address of that device: there, ip address");
    }
    match &path.connect {
        Connect::NoRoute => no_route(address, facts),
        Connect::Unreachable => Finding::wrong(AREA, Code::TargetUnreachable, format!("{address}: said to be out of reach"))
            .because(
                "a route leads there, but nobody has that address (the device is off, or has another address now), or a firewall on \
                 that device answers so",
            )
            .mend(format!("is it there? ping {}", address.ip()))
            .mend(format!("{OPEN_THERE}{}", address.port())),
        Connect::Refused => Finding::wrong(AREA, Code::TargetRefused, format!("{address}: nobody listens there"))
            .because("the device answers and refuses: no node runs there, it has another port, or it listens on another address")
            .mend(format!("there: rocoin node --listen /{}/tcp/{}", unspecified(address), address.port()))
            .mend(format!("there, to see what listens: sudo ss -ltnp 'sport = :{}'", address.port())),
        Connect::TimedOut => Finding::wrong(AREA, Code::TargetTimedOut, format!("{address}: no answer at all"))
            .because("a firewall on the way or on that device drops what is sent there, the device is off, or it has another address")
            .mend(format!("is it there? ping {}", address.ip()))
            .mend(format!("{OPEN_THERE}{}", address.port())),
        Connect::Failed { why } => Finding::wrong(AREA, Code::TargetConnectFailed, format!("{address}: no connection ({why})"))
            .because("neither refused nor silent: this device, or a firewall of it, does not let the connection out")
            .mend(format!("see the way it would take: ip route get {}", address.ip())),
        Connect::Connected { round_trip_ms, greeting, handshake } => connected(path, *round_trip_ms, greeting, handshake, target, facts),
    }
}

fn no_route(address: SocketAddr, facts: &Facts) -> Finding {
    let family = Family::of(address.ip());
    let has = facts.interfaces.iter().any(|i| i.up && !i.loopback && i.usable_families().contains(&family));
    if has {
        return Finding::wrong(AREA, Code::TargetNoRoute, format!("{address}: no route to it"))
            .because("this device is in another network and knows no router that leads there, or the device does not answer to its address")
            .mend(format!("see the way it would take: ip route get {}", address.ip()))
            .mend("put both into one network, or add a route: sudo ip route add NETWORK via ROUTER");
    }
    let other = if family == Family::V4 { Family::V6 } else { Family::V4 };
    Finding::wrong(AREA, Code::TargetFamilyMissing, format!("{address}: this device has no {family} address"))
        .because(format!("an {family} address cannot be reached without one"))
        .mend(format!(
            "use that device's {other} address: there, ip -{} address",
            if other == Family::V4 { 4 } else { 6 }
        ))
        .mend(format!("or give this device an {family} address"))
}

fn connected(
    path: &Path,
    round_trip_ms: f64,
    greeting: &Greeting,
    handshake: &Handshake,
    target: &Target,
    facts: &Facts,
) -> Finding {
    let address = path.address;
    match (handshake, greeting) {
        (Handshake::Done(met), _) => handshaken(address, met, round_trip_ms, target, facts),
        (_, Greeting::Other { text }) => {
            Finding::wrong(AREA, Code::TargetOtherService, format!("{address}: something else listens there (it says {text:?})"))
                .because("a node says no such thing")
                .mend("find the node's own port: there, cat ~/.local/state/rocoin/port")
        }
        (_, Greeting::NodesHttp | Greeting::OtherHttp) => {
            let whose = if *greeting == Greeting::NodesHttp { "a node's HTTP interface" } else { "a web server" };
            Finding::wrong(AREA, Code::TargetIsHttp, format!("{address}: that is {whose}, not where nodes meet"))
                .because("a node has two ports: one for nodes (--listen), one for clients (--http)")
                .mend("find the node's own port: there, cat ~/.local/state/rocoin/port")
                .mend(format!("to look at its HTTP interface: rocoin doctor --against http://{address}"))
        }
        (Handshake::NotTried, _) => {
            Finding::notice(AREA, Code::TargetKeyNeeded, format!("{address}: something listens ({round_trip_ms:.1} ms away); who, was not asked"))
                .because("without the fleet key, or --open, there is no handshake to try")
                .mend("rocoin doctor --fleet-key-file FILE --against …")
        }
        (Handshake::Failed { why }, Greeting::Nonce) if matches!(facts.key, KeyFile::Open) => {
            Finding::wrong(AREA, Code::TargetOtherKey, format!("{address}: it wants a fleet key, and this device was told there is none"))
                .because(format!("it begins as a private network does; without the key the handshake fails ({why})"))
                .mend("copy that fleet's key here, and: rocoin node --fleet-key-file FILE    # instead of --open")
        }
        (Handshake::Failed { why }, Greeting::Nonce) => {
            Finding::wrong(AREA, Code::TargetOtherKey, format!("{address}: no handshake; probably another fleet key"))
                .because(format!(
                    "it begins as a node of a private network does, and then makes no sense, which is how another key looks ({why}). \
                     Or it is a private libp2p network that is not rocoin's"
                ))
                .mend(key_comparison(&facts.key))
                .mend("copy the right one: scp -p FILE DEVICE:    # over its key file: a running node takes it up by itself")
        }
        (Handshake::Failed { why }, Greeting::Nothing | Greeting::Closed) if matches!(facts.key, KeyFile::Usable { .. }) => {
            Finding::wrong(AREA, Code::TargetNoKeyThere, format!("{address}: no handshake; it does not begin as a node with a fleet key does"))
                .because(format!("either that node was started with --open, or it is not a rocoin node, or it has no connection to spare ({why})"))
                .mend("there: rocoin node --fleet-key-file FILE    # instead of --open")
                .mend(format!("there, to see what listens: sudo ss -ltnp 'sport = :{}'", address.port()))
        }
        (Handshake::Failed { why }, Greeting::Nothing | Greeting::Closed) => {
            Finding::wrong(AREA, Code::TargetNoHandshake, format!("{address}: connected ({round_trip_ms:.1} ms), but no handshake ({why})"))
                .because("it is not a rocoin node, hangs, or has no connection to spare")
                .mend(format!("there, to see what listens: sudo ss -ltnp 'sport = :{}'", address.port()))
        }
    }
}

fn handshaken(address: SocketAddr, met: &Met, round_trip_ms: f64, target: &Target, facts: &Facts) -> Finding {
    let name = met.node.map_or_else(|| short(&met.peer), |node| node.short());
    if let Some(expected) = target.expected_peer.as_ref().filter(|expected| **expected != met.peer) {
        return Finding::wrong(AREA, Code::TargetOtherPeer, format!("{address}: another node is there: {}", met.peer))
            .because(format!(
                "the address names {expected}; that device took a new identity, or another device has its address now"
            ))
            .mend("leave out /p2p/… in --peer, or put the new name there");
    }
    if let IdentityFile::Usable { peer, .. } = &facts.state.identity
        && *peer == met.peer
    {
        return same_identity(address, target, facts);
    }
    if let Some(protocol) = met.protocol.as_ref().filter(|protocol| *protocol != PROTOCOL) {
        let agent = met.agent.as_deref().unwrap_or("unknown program");
        return Finding::wrong(
            AREA,
            Code::TargetOtherVersion,
            format!("{address}: {name} speaks {protocol} ({agent}), and this program {PROTOCOL}"),
        )
        .because("versions that differ in the protocol refuse each other")
        .mend("install the same version of rocoin on both devices: rocoin --version");
    }
    if met.turned_away {
        return Finding::wrong(AREA, Code::TargetTurnedAway, format!("{address}: {name} ended the connection after the handshake"))
            .because(
                "the key is right. It lets in only nodes that it was told of (--allow), which this command is not one of; or it has no \
                 connection to spare (--connections-max)",
            )
            .mend(own_id(&facts.state.identity));
    }
    let Some(lane_ms) = met.lane_ms else {
        return Finding::wrong(
            AREA,
            Code::TargetNoLane,
            format!("{address}: {name} is there, but opens no lane for the mesh"),
        )
        .because("it hangs, is overloaded, or is another program of this network's")
        .mend("there: rocoin status    # does it answer?");
    };
    let what = format!(
        "{address}: met {name}; {round_trip_ms:.1} ms to connect, {lane_ms:.1} ms for the control lane to answer"
    );
    Finding::well(AREA, Code::TargetMet, what)
}

fn same_identity(address: SocketAddr, target: &Target, facts: &Facts) -> Finding {
    if target.here || facts.interfaces.iter().any(|i| i.addresses.iter().any(|a| a.ip == address.ip())) {
        return Finding::well(AREA, Code::TargetIsThisNode, format!("{address}: that is the node that runs here"));
    }
    Finding::wrong(AREA, Code::TargetSameIdentity, format!("{address}: it has the same identity as this device"))
        .because("one state folder is a copy of the other, as when an SD card was cloned; neither leads, and one takes the other's place")
        .mend(format!("on one of the two, with its node stopped: rm -r {}    # the node is a new one then", shown(&facts.state.path)))
}

fn shown(path: &str) -> &str {
    if path.is_empty() { "STATE-DIR" } else { path }
}

fn own_id(identity: &IdentityFile) -> String {
    match identity {
        IdentityFile::Usable { node, .. } => format!("there, with --allow: rocoin node --allow …,{node}"),
        IdentityFile::Absent | IdentityFile::Unusable { .. } => {
            "start this node once, and give its id to --allow there".to_owned()
        }
    }
}

fn key_comparison(key: &KeyFile) -> String {
    match key {
        KeyFile::Usable { fingerprint, path, .. } => format!(
            "compare: here the key's fingerprint is {fingerprint} ({path}); there: rocoin doctor --fleet-key-file FILE"
        ),
        KeyFile::NotGiven
        | KeyFile::Open
        | KeyFile::Absent { .. }
        | KeyFile::ReadableByOthers { .. }
        | KeyFile::Unreadable { .. }
        | KeyFile::Damaged { .. } => "give this fleet's key: rocoin doctor --fleet-key-file FILE".to_owned(),
    }
}

fn unspecified(address: SocketAddr) -> &'static str {
    if address.is_ipv4() { "ip4/0.0.0.0" } else { "ip6/::" }
}

fn http(url: &str, answer: &Http) -> Finding {
    match answer {
        Http::Unreachable { why } => Finding::wrong(
            AREA,
            Code::TargetHttpUnreachable,
            format!("{url} does not answer ({why})"),
        )
        .because(
            "a node's HTTP interface is on loopback unless it was told otherwise, so that no other device reaches it",
        )
        .mend("there: rocoin node --http 0.0.0.0:8470 --http-token-file FILE"),
        Http::Unauthorized => {
            Finding::wrong(AREA, Code::TargetHttpUnauthorized, format!("{url} wants another token, or one at all"))
                .mend("rocoin doctor --http-token-file FILE --against …")
        }
        Http::NotANode { status } => {
            Finding::wrong(AREA, Code::TargetHttpNotANode, format!("{url} is not a node's (it says {status})"))
                .mend("find the node's: there, rocoin status")
        }
        Http::Node { node, name, alive, others, .. } => {
            let what = format!("{url}: {name} ({}) sees {alive} of {others} other members alive", node.short());
            Finding::well(AREA, Code::TargetHttpAnswers, what)
        }
    }
}

#[cfg(test)]
mod tests {
    use rocoin::id::NodeId;

    use super::super::tests::{codes, connected, ethernet, http_node, met, remedies, target};
    use super::*;
    use crate::doctor::facts::StateFolder;

    const ADDRESS: &str = "192.168.1.9:4470";

    fn facts(connect: Connect) -> Facts {
        let key = KeyFile::Usable { path: "fleet.key".to_owned(), fingerprint: "f00d".to_owned(), previous: None };
        Facts { interfaces: vec![ethernet()], targets: vec![target(ADDRESS, connect)], key, ..Facts::default() }
    }

    fn failed(greeting: Greeting) -> Connect {
        connected(greeting, Handshake::Failed { why: "reset".to_owned() })
    }

    fn changed(change: impl FnOnce(&mut Met)) -> Connect {
        let Connect::Connected { handshake: Handshake::Done(mut node), .. } = met() else { unreachable!("met") };
        change(&mut node);
        connected(Greeting::Nonce, Handshake::Done(node))
    }

    #[test]
    fn each_step_that_fails_is_told_apart() {
        for (connect, expected, remedy) in [
            (Connect::NoRoute, Code::TargetNoRoute, "ip route get 192.168.1.9"),
            (Connect::Unreachable, Code::TargetUnreachable, "ping 192.168.1.9"),
            (Connect::Refused, Code::TargetRefused, "--listen /ip4/0.0.0.0/tcp/4470"),
            (Connect::TimedOut, Code::TargetTimedOut, "ping 192.168.1.9"),
            (Connect::Failed { why: "denied".to_owned() }, Code::TargetConnectFailed, "ip route get"),
            (connected(Greeting::Nonce, Handshake::NotTried), Code::TargetKeyNeeded, "--fleet-key-file"),
            (failed(Greeting::Nonce), Code::TargetOtherKey, "f00d"),
            (failed(Greeting::Nothing), Code::TargetNoKeyThere, "--fleet-key-file"),
            (failed(Greeting::Other { text: "SSH-2.0".to_owned() }), Code::TargetOtherService, "rocoin/port"),
            (failed(Greeting::NodesHttp), Code::TargetIsHttp, "http://192.168.1.9:4470"),
            (failed(Greeting::OtherHttp), Code::TargetIsHttp, "rocoin/port"),
            (changed(|m| m.protocol = Some("rocoin/99".to_owned())), Code::TargetOtherVersion, "same version"),
            (changed(|m| m.turned_away = true), Code::TargetTurnedAway, "--allow"),
            (changed(|m| m.lane_ms = None), Code::TargetNoLane, "rocoin status"),
        ] {
            let findings = judge(&facts(connect));
            assert_eq!(codes(&findings), [expected]);
            assert!(remedies(&findings).contains(remedy), "{findings:?}");
        }
        assert_eq!(codes(&judge(&facts(met()))), [Code::TargetMet]);
    }

    #[test]
    fn without_a_key_of_our_own_a_failed_handshake_says_less() {
        let mut facts = facts(failed(Greeting::Nothing));
        facts.key = KeyFile::Open;
        assert_eq!(codes(&judge(&facts)), [Code::TargetNoHandshake]);
        facts.targets = vec![target(ADDRESS, failed(Greeting::Nonce))];
        let findings = judge(&facts);
        assert_eq!(codes(&findings), [Code::TargetOtherKey]);
        assert!(findings[0].what.contains("wants a fleet key"), "{findings:?}");
    }

    #[test]
    fn an_address_of_a_family_that_this_device_lacks_is_not_a_missing_route() {
        let mut facts = facts(Connect::NoRoute);
        facts.interfaces[0].addresses.retain(|a| a.ip.is_ipv4());
        facts.targets = vec![target("[fd00::9]:4470", Connect::NoRoute)];
        let findings = judge(&facts);
        assert_eq!(codes(&findings), [Code::TargetFamilyMissing]);
        assert!(
            findings[0].what.contains("no IPv6 address") && remedies(&findings).contains("ip -4 address"),
            "{findings:?}"
        );
    }

    #[test]
    fn a_link_local_address_is_refused_however_it_went() {
        let mut facts = facts(met());
        facts.targets = vec![target("[fe80::9]:4470", met())];
        assert_eq!(codes(&judge(&facts)), [Code::TargetLinkLocal]);
    }

    #[test]
    fn our_own_identity_on_another_device_is_a_clone_and_on_this_one_is_this_node() {
        let mut facts = facts(met());
        let peer = "12D3KooWabcdefgh".to_owned();
        facts.state = StateFolder {
            path: "/var/lib/rocoin".to_owned(),
            identity: IdentityFile::Usable { node: NodeId([1; 32]), peer },
            ..StateFolder::default()
        };
        let findings = judge(&facts);
        assert_eq!(codes(&findings), [Code::TargetSameIdentity]);
        assert!(remedies(&findings).contains("rm -r /var/lib/rocoin"), "{findings:?}");
        facts.targets = vec![target("192.168.1.7:4470", met())];
        assert_eq!(codes(&judge(&facts)), [Code::TargetIsThisNode]);
    }

    #[test]
    fn another_node_than_the_address_names_is_told() {
        let mut facts = facts(met());
        facts.targets[0].expected_peer = Some("12D3KooWother".to_owned());
        assert_eq!(codes(&judge(&facts)), [Code::TargetOtherPeer]);
    }

    #[test]
    fn a_name_without_an_address_is_told() {
        let mut facts = facts(met());
        facts.targets[0].outcome = Reached::Unresolved { why: "no such host".to_owned() };
        assert_eq!(codes(&judge(&facts)), [Code::TargetUnresolved]);
    }

    #[test]
    fn each_answer_of_an_http_interface_is_told_apart() {
        for (http, expected) in [
            (Http::Unreachable { why: "refused".to_owned() }, Code::TargetHttpUnreachable),
            (Http::Unauthorized, Code::TargetHttpUnauthorized),
            (Http::NotANode { status: 404 }, Code::TargetHttpNotANode),
        ] {
            let mut target = http_node(None);
            target.outcome = Reached::Http { url: "http://a".to_owned(), http };
            assert_eq!(codes(&judge(&Facts { targets: vec![target], ..Facts::default() })), [expected]);
        }
        assert_eq!(
            codes(&judge(&Facts { targets: vec![http_node(None)], ..Facts::default() })),
            [Code::TargetHttpAnswers]
        );
    }
}
