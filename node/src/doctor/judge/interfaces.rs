//! Which interfaces other nodes can be met on.

use crate::doctor::facts::{Facts, Family, Interface};
use crate::doctor::finding::{Area, Code, Finding};

const AREA: Area = Area::Interfaces;

pub(super) fn judge(facts: &Facts) -> Vec<Finding> {
    let outward = facts.interfaces.iter().filter(|interface| !interface.loopback);
    let mut findings: Vec<Finding> = outward.map(interface).collect();
    if !facts.interfaces.iter().any(Interface::is_usable) {
        let none = Finding::wrong(AREA, Code::NoInterface, "no interface leads to other devices")
            .because(
                "each is down, without an address, or loopback, so that this device can meet nodes on itself alone",
            )
            .mend("connect a network, then look: ip address");
        findings.push(none);
    }
    findings
}

fn interface(interface: &Interface) -> Finding {
    let name = &interface.name;
    if !interface.up {
        return Finding::notice(AREA, Code::InterfaceDown, format!("{name} is down"))
            .because(
                "switched off, without a cable, or without a radio link; of no matter if it is not meant to be used",
            )
            .mend(format!("sudo ip link set dev {name} up"));
    }
    if interface.addresses.is_empty() {
        return Finding::notice(AREA, Code::InterfaceWithoutAddress, format!("{name} is up and has no address"))
            .because("nobody gave it one: no DHCP server answered, or it is a part of a bridge")
            .mend(format!("sudo dhcpcd {name}    # or: sudo ip address add 192.168.1.7/24 dev {name}"));
    }
    let addresses = listing(interface);
    if interface.for_containers {
        return Finding::well(AREA, Code::InterfaceForContainers, format!("{name}: {addresses}"))
            .because("for containers or virtual machines on this device; not looked at any further");
    }
    if interface.usable_families().is_empty() {
        return Finding::notice(
            AREA,
            Code::InterfaceLinkLocalOnly,
            format!("{name} has link-local addresses alone: {addresses}"),
        )
        .because(
            "such an address means something only together with an interface's name, so nodes neither tell nor use it",
        )
        .mend(format!("sudo dhcpcd {name}    # or: sudo ip address add 192.168.1.7/24 dev {name}"));
    }
    if interface.point_to_point {
        return Finding::notice(AREA, Code::InterfaceTunnel, format!("{name} goes to one other end: {addresses}"))
            .because("multicast rarely passes a tunnel or modem link")
            .mend("name a node beyond it: rocoin node --peer /ip4/ADDRESS/tcp/PORT");
    }
    if !interface.multicast {
        return Finding::wrong(
            AREA,
            Code::InterfaceWithoutMulticast,
            format!("{name} has multicast switched off: {addresses}"),
        )
        .because("nodes on it are not found by themselves")
        .mend(format!("sudo ip link set dev {name} multicast on"))
        .mend("or name a node: rocoin node --peer /ip4/ADDRESS/tcp/PORT");
    }
    Finding::well(AREA, Code::InterfaceUsable, format!("{name}: {addresses}"))
}

fn listing(interface: &Interface) -> String {
    interface.addresses.iter().map(|a| a.ip.to_string()).collect::<Vec<_>>().join(", ")
}

impl Interface {
    /// The families in which it has an address that others can use.
    pub(crate) fn usable_families(&self) -> Vec<Family> {
        let has = |family| self.addresses.iter().any(|a| !a.is_link_local() && Family::of(a.ip) == family);
        [Family::V4, Family::V6].into_iter().filter(|family| has(*family)).collect()
    }

    /// Whether other devices' nodes can be met there.
    pub(crate) fn is_usable(&self) -> bool {
        self.up && !self.loopback && !self.for_containers && !self.usable_families().is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{codes, ethernet, remedies};
    use super::*;

    fn with(change: impl FnOnce(&mut Interface)) -> Facts {
        let mut interface = ethernet();
        change(&mut interface);
        Facts { interfaces: vec![interface], ..Facts::default() }
    }

    #[test]
    fn an_interface_with_addresses_and_multicast_is_well() {
        assert_eq!(codes(&judge(&with(|_| {}))), [Code::InterfaceUsable]);
    }

    #[test]
    fn what_keeps_an_interface_from_use_is_named_with_the_command_that_mends_it() {
        type Change = fn(&mut Interface);
        let cases: [(Change, &[Code], &str); 6] = [
            (|i| i.up = false, &[Code::InterfaceDown, Code::NoInterface], "ip link set dev eth0 up"),
            (|i| i.addresses.clear(), &[Code::InterfaceWithoutAddress, Code::NoInterface], "dhcpcd eth0"),
            (
                |i| i.addresses.retain(|a| a.is_link_local()),
                &[Code::InterfaceLinkLocalOnly, Code::NoInterface],
                "dhcpcd eth0",
            ),
            (|i| i.multicast = false, &[Code::InterfaceWithoutMulticast], "ip link set dev eth0 multicast on"),
            (|i| i.point_to_point = true, &[Code::InterfaceTunnel], "--peer"),
            (|i| i.for_containers = true, &[Code::InterfaceForContainers, Code::NoInterface], "ip address"),
        ];
        for (change, expected, remedy) in cases {
            let findings = judge(&with(change));
            assert_eq!(codes(&findings), expected);
            assert!(remedies(&findings).contains(remedy), "{findings:?}");
        }
    }

    #[test]
    fn a_device_with_loopback_alone_has_no_network() {
        let facts = with(|i| i.loopback = true);
        assert_eq!(codes(&judge(&facts)), [Code::NoInterface]);
    }
}
