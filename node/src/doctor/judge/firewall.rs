//! Which firewall could be in the way, and how it is told to let the mesh in.

use super::listen_port;
use crate::doctor::facts::{Facts, Firewall, FirewallTool};
use crate::doctor::finding::{Area, Code, Finding};

const AREA: Area = Area::Firewall;

pub(super) fn judge(facts: &Facts) -> Vec<Finding> {
    let port = listen_port(facts);
    let relevant: Vec<&Firewall> = facts.firewalls.iter().filter(|f| f.active != Some(false)).collect();
    if relevant.is_empty() {
        return vec![Finding::well(AREA, Code::FirewallNone, "no firewall of this device filters what comes in")];
    }
    let one = |firewall: &&Firewall| {
        let name = firewall.tool.name();
        let finding = match firewall.active {
            Some(_) => Finding::notice(AREA, Code::FirewallActive, format!("{name} filters what comes in")).because(
                "others reach this node only where a rule lets them; the mesh needs its TCP port, and mDNS UDP port 5353",
            ),
            None => Finding::notice(AREA, Code::FirewallUnknown, format!("{name} is installed; whether it filters could not be read"))
                .because("its rules are root's to read: `sudo rocoin doctor` tells"),
        };
        finding.mend_all(openings(firewall, port))
    };
    relevant.iter().map(one).collect()
}

/// The commands that open the mesh's ports in this firewall.
pub(super) fn openings(firewall: &Firewall, port: Option<u16>) -> Vec<String> {
    commands(firewall.tool, firewall.chain.as_deref(), port)
}

/// The same, for a tool and the chain that its rules are in.
pub(super) fn commands(tool: FirewallTool, chain: Option<&str>, port: Option<u16>) -> Vec<String> {
    let port = port.map_or_else(|| "PORT".to_owned(), |port| port.to_string());
    match tool {
        FirewallTool::Ufw => vec![format!("sudo ufw allow {port}/tcp && sudo ufw allow 5353/udp")],
        FirewallTool::Firewalld => vec![format!(
            "sudo firewall-cmd --permanent --add-port={port}/tcp --add-service=mdns && sudo firewall-cmd --reload"
        )],
        FirewallTool::Nft => {
            let chain = chain.unwrap_or("inet filter input");
            vec![
                format!("sudo nft insert rule {chain} tcp dport {port} accept"),
                format!("sudo nft insert rule {chain} udp dport 5353 accept"),
            ]
        }
        FirewallTool::Iptables => vec![
            format!(
                "sudo iptables -I INPUT -p tcp --dport {port} -j ACCEPT && sudo iptables -I INPUT -p udp --dport 5353 -j ACCEPT"
            ),
            format!(
                "sudo ip6tables -I INPUT -p tcp --dport {port} -j ACCEPT && sudo ip6tables -I INPUT -p udp --dport 5353 -j ACCEPT"
            ),
        ],
    }
}

impl FirewallTool {
    fn name(self) -> &'static str {
        match self {
            Self::Ufw => "ufw",
            Self::Firewalld => "firewalld",
            Self::Nft => "nftables",
            Self::Iptables => "iptables",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{codes, remedies};
    use super::*;
    use crate::doctor::facts::{Bind, Port};

    fn facts(active: Option<bool>, tool: FirewallTool) -> Facts {
        let ports = vec![Port { address: "/ip4/0.0.0.0/tcp/4470".to_owned(), port: 4470, bind: Bind::Free }];
        Facts { firewalls: vec![Firewall { tool, active, chain: None }], ports, ..Facts::default() }
    }

    #[test]
    fn a_firewall_is_named_unless_it_is_known_to_filter_nothing() {
        for (active, expected) in
            [(Some(true), Code::FirewallActive), (None, Code::FirewallUnknown), (Some(false), Code::FirewallNone)]
        {
            assert_eq!(codes(&judge(&facts(active, FirewallTool::Ufw))), [expected]);
        }
        assert_eq!(codes(&judge(&Facts::default())), [Code::FirewallNone]);
    }

    #[test]
    fn each_tool_is_told_of_both_ports_by_its_own_command() {
        for (tool, command) in [
            (FirewallTool::Ufw, "ufw allow 4470/tcp"),
            (FirewallTool::Firewalld, "--add-port=4470/tcp"),
            (FirewallTool::Nft, "nft insert rule inet filter input tcp dport 4470 accept"),
            (FirewallTool::Iptables, "iptables -I INPUT -p tcp --dport 4470 -j ACCEPT"),
        ] {
            let text = remedies(&judge(&facts(Some(true), tool)));
            assert!(text.contains(command) && (text.contains("5353") || text.contains("mdns")), "{text}");
        }
    }

    #[test]
    fn rules_go_where_the_machine_has_its_own() {
        let firewall =
            Firewall { tool: FirewallTool::Nft, active: Some(true), chain: Some("ip mine incoming".to_owned()) };
        assert_eq!(openings(&firewall, None)[0], "sudo nft insert rule ip mine incoming tcp dport PORT accept");
    }
}
