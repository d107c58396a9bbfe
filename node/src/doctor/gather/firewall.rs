//! Which firewalls are installed here, and whether they filter, as far as this user may know.
//!
//! Only commands that read are run, each with a time-out.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use tokio::time::timeout;

use crate::doctor::facts::{Firewall, FirewallTool};

/// For a command that reads rules.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(2);
/// A command that has closed its output ends within this.
const LAST_MOMENT: Duration = Duration::from_millis(100);
/// Bytes of rules that are read; what comes after is not looked at.
const OUTPUT_BYTES_MAX: u64 = 1 << 20;
/// Where they are beside `PATH`, which for an ordinary user often lacks these.
const SBIN: [&str; 3] = ["/usr/sbin", "/sbin", "/usr/local/sbin"];

/// Those that are installed. Where ufw or firewalld filters, the rules below it are its own, and not told once more.
pub(super) async fn installed() -> Vec<Firewall> {
    let (ufw, firewalld, nft, iptables) = tokio::join!(ufw(), firewalld(), nft(), iptables());
    let above: Vec<Firewall> = [ufw, firewalld].into_iter().flatten().collect();
    if above.iter().any(|f| f.active == Some(true)) {
        return above;
    }
    above.into_iter().chain([nft, iptables].into_iter().flatten()).collect()
}

async fn ufw() -> Option<Firewall> {
    find("ufw")?;
    let conf = std::fs::read_to_string("/etc/ufw/ufw.conf").ok();
    let active = conf.map(|text| text.lines().any(|line| line.trim().eq_ignore_ascii_case("ENABLED=yes")));
    Some(Firewall { tool: FirewallTool::Ufw, active, chain: None })
}

async fn firewalld() -> Option<Firewall> {
    let command = find("firewall-cmd")?;
    let active = output(&command, &["--state"]).await.map(|(done, _)| done);
    Some(Firewall { tool: FirewallTool::Firewalld, active, chain: None })
}

async fn nft() -> Option<Firewall> {
    let command = find("nft")?;
    let rules = output(&command, &["list", "ruleset"]).await.filter(|(done, _)| *done);
    let chain = rules.as_ref().map(|(_, text)| filtering_chain(text));
    Some(Firewall { tool: FirewallTool::Nft, active: chain.as_ref().map(Option::is_some), chain: chain.flatten() })
}

async fn iptables() -> Option<Firewall> {
    let command = find("iptables")?;
    let rules = output(&command, &["-w", "1", "-S", "INPUT"]).await.filter(|(done, _)| *done);
    Some(Firewall { tool: FirewallTool::Iptables, active: rules.map(|(_, text)| drops(&text)), chain: None })
}

/// The chain that what comes in goes through, if something may be dropped there: `inet filter input`.
fn filtering_chain(rules: &str) -> Option<String> {
    let (mut table, mut chain, mut is_input) = (String::new(), String::new(), false);
    for line in rules.lines().map(str::trim) {
        if let Some(name) = line.strip_prefix("table ") {
            table = name.trim_end_matches('{').trim().to_owned();
        } else if let Some(name) = line.strip_prefix("chain ") {
            chain = name.trim_end_matches('{').trim().to_owned();
            is_input = false;
        }
        is_input |= line.contains("hook input");
        let drops = line.contains("policy drop") || line.ends_with("drop") || line.contains("reject");
        if is_input && drops {
            return Some(format!("{table} {chain}"));
        }
    }
    None
}

/// Whether an iptables chain may drop something.
fn drops(rules: &str) -> bool {
    rules.lines().any(|line| {
        line.contains("-P INPUT DROP")
            || ((line.contains("-j DROP") || line.contains("-j REJECT")) && line.starts_with("-A"))
    })
}

fn find(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(SBIN.iter().map(PathBuf::from));
    folders.map(|folder| folder.join(name)).find(|file| file.is_file())
}

/// Whether it ended well, and what it printed; `None` if it could not be run or took too long.
async fn output(command: &Path, arguments: &[&str]) -> Option<(bool, String)> {
    let mut command = Command::new(command);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().ok()?;
    let printed = child.stdout.take()?;
    let read = tokio::task::spawn_blocking(move || {
        let mut bytes = Vec::new();
        let _ = printed.take(OUTPUT_BYTES_MAX).read_to_end(&mut bytes);
        bytes
    });
    let bytes = timeout(COMMAND_TIMEOUT, read).await;
    // What has not ended by now is of no use any more.
    let ended = child.try_wait().ok().flatten();
    let status = match ended {
        Some(status) => status,
        None => {
            tokio::time::sleep(LAST_MOMENT).await;
            let _ = child.kill();
            child.wait().ok()?
        }
    };
    Some((status.success(), String::from_utf8_lossy(&bytes.ok()?.ok()?).into_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_chain_that_drops_what_comes_in_is_named() {
        let rules = "table inet mine {\n chain forward {\n type filter hook forward priority 0; policy drop;\n }\n chain incoming {\n \
                     type filter hook input priority filter; policy drop;\n tcp dport 22 accept\n }\n}\n";
        assert_eq!(filtering_chain(rules), Some("inet mine incoming".to_owned()));
        let open = rules.replace("policy drop;\n tcp", "policy accept;\n tcp");
        assert_eq!(filtering_chain(&open), None);
        let rejecting = open.replace("tcp dport 22 accept", "reject with icmp type port-unreachable");
        assert_eq!(filtering_chain(&rejecting), Some("inet mine incoming".to_owned()));
        assert_eq!(filtering_chain(""), None);
    }

    #[test]
    fn an_iptables_chain_filters_by_policy_or_by_rule() {
        assert!(drops("-P INPUT DROP\n-A INPUT -i lo -j ACCEPT"));
        assert!(drops("-P INPUT ACCEPT\n-A INPUT -p udp -j DROP"));
        assert!(!drops("-P INPUT ACCEPT\n-A INPUT -i lo -j ACCEPT"));
    }
}
