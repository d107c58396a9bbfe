//! Whether a node could listen where it is told to.

use super::multicast::short;
use crate::doctor::facts::{Bind, Facts, Holder, Port};
use crate::doctor::finding::{Area, Code, Finding};

const AREA: Area = Area::Ports;

pub(super) fn judge(facts: &Facts) -> Vec<Finding> {
    let mut findings: Vec<Finding> = facts.ports.iter().map(one).collect();
    if facts.ports.iter().all(|port| port.port == 0) {
        let moving = Finding::notice(AREA, Code::PortNotFixed, "the first start takes a free port, and keeps it")
            .because("a firewall rule, and --peer on other devices, want a port that is known before")
            .mend("rocoin node --listen /ip4/0.0.0.0/tcp/4470,/ip6/::/tcp/4470");
        findings.push(moving);
    }
    findings
}

fn one(port: &Port) -> Finding {
    let Port { address, port, bind } = port;
    let see_who = format!("see who it is: sudo ss -ltnp 'sport = :{port}'");
    match bind {
        Bind::Free => Finding::well(AREA, Code::PortFree, format!("{address} can be listened on")),
        Bind::Taken { by: Holder::ThisNode } => {
            Finding::well(AREA, Code::PortHeldByThisNode, format!("{address} is held by the node that runs here"))
        }
        Bind::Taken { by: Holder::Node { peer } } => {
            Finding::wrong(AREA, Code::PortTakenByNode, format!("{address} is taken by another node ({})", short(peer)))
                .because("a node of the same fleet, with another state folder, listens there")
                .mend(see_who)
                .mend("give this one another port: rocoin node --listen /ip4/0.0.0.0/tcp/4471")
        }
        Bind::Taken { by: Holder::Unknown } => Finding::wrong(AREA, Code::PortTaken, format!("{address} is taken"))
            .because("another program has the port, or a node of another fleet")
            .mend(see_who)
            .mend("give this one another port: rocoin node --listen /ip4/0.0.0.0/tcp/4471"),
        Bind::NotPermitted => Finding::wrong(AREA, Code::PortNotPermitted, format!("{address} may not be listened on"))
            .because("ports below 1024 are root's")
            .mend("take a port from 1024 on: rocoin node --listen /ip4/0.0.0.0/tcp/4470"),
        Bind::NotHere => {
            Finding::wrong(AREA, Code::PortAddressNotHere, format!("{address} is not an address of this device"))
                .because("no interface has it (now)")
                .mend("see which there are: ip address")
                .mend(format!("or listen on all: rocoin node --listen /ip4/0.0.0.0/tcp/{port}"))
        }
        Bind::NotTcp => {
            Finding::wrong(AREA, Code::PortNotTcp, format!("{address} is not of the form a node can listen on"))
                .because("it has to be /ip4/ADDRESS/tcp/PORT or /ip6/ADDRESS/tcp/PORT")
                .mend("rocoin node --listen /ip4/0.0.0.0/tcp/4470")
        }
        Bind::Failed { why } => {
            Finding::wrong(AREA, Code::PortFailed, format!("{address} cannot be listened on ({why})"))
                .mend("leave out that address, or give another: rocoin node --listen /ip4/0.0.0.0/tcp/4470")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{codes, remedies};
    use super::*;

    fn facts(bind: Bind) -> Facts {
        let ports = vec![Port { address: "/ip4/0.0.0.0/tcp/4470".to_owned(), port: 4470, bind }];
        Facts { ports, ..Facts::default() }
    }

    #[test]
    fn each_way_to_fail_at_listening_is_told_apart() {
        let node = Holder::Node { peer: "12D3KooWabcdefgh".to_owned() };
        for (bind, expected) in [
            (Bind::Free, Code::PortFree),
            (Bind::Taken { by: Holder::ThisNode }, Code::PortHeldByThisNode),
            (Bind::Taken { by: node }, Code::PortTakenByNode),
            (Bind::Taken { by: Holder::Unknown }, Code::PortTaken),
            (Bind::NotPermitted, Code::PortNotPermitted),
            (Bind::NotHere, Code::PortAddressNotHere),
            (Bind::NotTcp, Code::PortNotTcp),
            (Bind::Failed { why: "no memory".to_owned() }, Code::PortFailed),
        ] {
            assert_eq!(codes(&judge(&facts(bind))), [expected]);
        }
    }

    #[test]
    fn who_has_a_taken_port_can_be_asked_by_the_command_given() {
        assert!(remedies(&judge(&facts(Bind::Taken { by: Holder::Unknown }))).contains("sport = :4470"));
    }

    #[test]
    fn a_port_that_is_not_known_before_is_mentioned() {
        assert_eq!(codes(&judge(&Facts::default())), [Code::PortNotFixed]);
    }
}
