//! Hosts that are network namespaces, on a switch that is one too.
//!
//! Each host has one interface, `eth0`, with an IPv4 and an IPv6 address, loopback, and a route for multicast. Its other end is a
//! port of the switch. The switch's bridges are *islands*: hosts on one island reach each other, hosts on different ones do not. All
//! start on island 0. A port can be given a rate ([`Hosts::limit_rate`]), a bad line ([`Hosts::impair`]), or no island at all
//! ([`Hosts::cut`]: everything is lost, and no end notices).
//!
//! Nothing is ever made in the machine's own network. All is removed when [`Hosts`] is dropped; what a killed process left behind
//! is removed by the next one that makes hosts.

mod ip;
mod leftovers;
mod line;
mod namespace;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub(super) use self::ip::run;
pub(super) use self::leftovers::is_abandoned;
pub use self::leftovers::sweep;
use self::line::BadLine;
pub use self::line::{Impairment, Line};
pub use self::namespace::Namespace;
use super::LabError;

/// Hosts at most. More would want a larger network than their addresses are of.
pub const HOSTS_MAX: usize = 200;
/// Islands at most.
pub const ISLANDS: usize = 8;
/// How the names of the lab's namespaces begin; the process and a number follow.
const PREFIX: &str = "rocoin-lab";
/// What a rate's token bucket lets through at once: two full frames, or what comes in so many ms if that is more. A line has no bucket at
/// all: a larger one would make the first of what is sent come as on a quick line, and tell the sender that it is on one.
const BURST_BYTES_MIN: u64 = 3_200;
const BURST_MS: u64 = 5;
/// How long a frame may wait for its turn before it is lost, as in the queue of a cheap router.
const QUEUE_MS: u64 = 200;

/// One host.
#[derive(Debug)]
pub struct Host {
    number: usize,
    namespace: Arc<Namespace>,
}

impl Host {
    /// Its IPv4 address, in a /24.
    pub fn v4(&self) -> String {
        format!("10.77.0.{}", self.number + 1)
    }

    /// Its IPv6 address, in a /64.
    pub fn v6(&self) -> String {
        format!("fd77::{:x}", self.number + 1)
    }

    /// Where its processes run.
    pub fn namespace(&self) -> &Arc<Namespace> {
        &self.namespace
    }

    /// A command that runs there.
    pub fn command(&self, program: impl AsRef<Path>) -> Command {
        self.namespace.command_of(program.as_ref())
    }

    /// Runs `ip -n HOST …` and gives what it prints: for what has no function of its own.
    ///
    /// # Errors
    /// [`LabError::Command`].
    pub fn ip(&self, arguments: &[&str]) -> Result<String, LabError> {
        ip::ip(self.namespace.name(), arguments)
    }

    /// What went through its interface since it was made, both ways.
    ///
    /// # Errors
    /// [`LabError::Command`]; [`LabError::Unknown`] if `ip` prints something else than it used to.
    pub fn traffic(&self) -> Result<Traffic, LabError> {
        let text = self.ip(&["-s", "-j", "link", "show", "dev", "eth0"])?;
        let value: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
        let count = |way: &str, what: &str| value[0]["stats64"][way][what].as_u64();
        let sum = |what: &str| Some(count("rx", what)? + count("tx", what)?);
        let multicast_bytes = self.namespace.within(multicast_bytes)?;
        let traffic = |(bytes, packets)| Traffic { bytes, packets, multicast_bytes };
        let counted = sum("bytes").zip(sum("packets")).map(traffic);
        counted.ok_or_else(|| LabError::Unknown(format!("`ip -s -j link` printed no counters: {text}")))
    }
}

/// What an interface counted, sent and received.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Bytes of frames.
    pub bytes: u64,
    /// Frames.
    pub packets: u64,
    /// Bytes of multicast packets, both families, without the frames' headers; of these the most is finding each other.
    pub multicast_bytes: u64,
}

/// What the namespace that this thread is in sent and received by multicast.
fn multicast_bytes() -> u64 {
    let read = |name: &str| std::fs::read_to_string(format!("/proc/thread-self/net/{name}")).unwrap_or_default();
    // The fourth version's counters are a line of names and a line of numbers.
    let (netstat, snmp6) = (read("netstat"), read("snmp6"));
    let mut lines = netstat.lines().filter_map(|line| line.strip_prefix("IpExt:"));
    let (names, numbers) = (lines.next().unwrap_or_default(), lines.next().unwrap_or_default());
    let v4 = names.split_whitespace().zip(numbers.split_whitespace());
    let v6 = snmp6.lines().filter_map(|line| line.split_once(char::is_whitespace));
    let wanted = ["InMcastOctets", "OutMcastOctets", "Ip6InMcastOctets", "Ip6OutMcastOctets"];
    v4.chain(v6).filter(|(name, _)| wanted.contains(name)).filter_map(|(_, n)| n.trim().parse::<u64>().ok()).sum()
}

/// Several hosts and their switch. Dropping it ends what runs on them and removes all of it.
#[derive(Debug)]
pub struct Hosts {
    hosts: Vec<Host>,
    switch: Namespace,
    ports: Mutex<BTreeMap<usize, Port>>,
}

/// The switch's side of one host.
#[derive(Debug, Default)]
struct Port {
    /// `None`: cut off.
    island: Option<usize>,
    bad_line: Option<BadLine>,
    is_limited: bool,
}

impl Hosts {
    /// Why there can be no hosts on this machine, if so.
    ///
    /// # Errors
    /// [`LabError::Unavailable`], with what to do.
    pub fn available() -> Result<(), LabError> {
        let lacks = |text: &str| Err(LabError::Unavailable(text.to_owned()));
        if !nix::unistd::geteuid().is_root() {
            return lacks("network namespaces need root; run it as root, or on loopback");
        }
        if Command::new("ip").arg("-V").output().is_err() {
            return lacks("there is no program `ip`; install iproute2");
        }
        if let Err(error) = Namespace::new(&format!("{}-probe", next_prefix())) {
            return lacks(&format!("this machine makes no network namespaces: {error}"));
        }
        Ok(())
    }

    /// So many hosts, all on island 0. What earlier processes left behind is removed first.
    ///
    /// # Errors
    /// [`LabError::Unavailable`], or what the system says; nothing is left of it then.
    pub fn new(count: usize) -> Result<Self, LabError> {
        Self::available()?;
        if count > HOSTS_MAX {
            return Err(LabError::Unknown(format!("{count} hosts; {HOSTS_MAX} are the most")));
        }
        sweep();
        let prefix = next_prefix();
        let switch = Namespace::new(&format!("{prefix}-switch"))?;
        let mut script = "link set lo up\n".to_owned();
        for island in 0..ISLANDS {
            // Without snooping multicast goes everywhere, as in a switch at home.
            script +=
                &format!("link add br{island} type bridge mcast_snooping 0 forward_delay 0\nlink set br{island} up\n");
        }
        ip::batch(switch.name(), &script)?;
        let mut hosts = Self { hosts: Vec::new(), switch, ports: Mutex::default() };
        for number in 0..count {
            let namespace = Arc::new(Namespace::new(&format!("{prefix}-{number}"))?);
            hosts.hosts.push(Host { number, namespace });
            hosts.connect(number)?;
        }
        Ok(hosts)
    }

    /// All of them.
    pub fn all(&self) -> &[Host] {
        &self.hosts
    }

    /// Moves hosts to an island, away from all that are not there.
    ///
    /// # Errors
    /// [`LabError`]; some may have been moved.
    pub fn join(&self, hosts: &[usize], island: usize) -> Result<(), LabError> {
        if island >= ISLANDS {
            return Err(LabError::Unknown(format!("island {island}; there are {ISLANDS}")));
        }
        self.attach(hosts, Some(island))
    }

    /// Takes hosts off every island. No end notices: the links stay up, and what is sent is lost.
    ///
    /// # Errors
    /// [`LabError`].
    pub fn cut(&self, hosts: &[usize]) -> Result<(), LabError> {
        self.attach(hosts, None)
    }

    /// Brings every host back to island 0, and ends all limits and impairments.
    ///
    /// # Errors
    /// [`LabError`].
    pub fn heal(&self) -> Result<(), LabError> {
        for host in 0..self.hosts.len() {
            self.impair(host, Impairment::default())?;
            self.limit_rate(host, None)?;
        }
        self.join(&(0..self.hosts.len()).collect::<Vec<_>>(), 0)
    }

    /// Limits what a host sends and what it receives, each to so many bit/s; `None`: as fast as the machine is.
    ///
    /// # Errors
    /// [`LabError::Command`].
    pub fn limit_rate(&self, host: usize, bits_per_s: Option<u64>) -> Result<(), LabError> {
        let namespace = self.host(host)?.namespace.name();
        let was_limited =
            std::mem::replace(&mut self.ports().entry(host).or_default().is_limited, bits_per_s.is_some());
        let port = port_name(host);
        for (namespace, device) in [(namespace, "eth0"), (self.switch.name(), &port)] {
            if let Some(rate) = bits_per_s {
                let burst = BURST_BYTES_MIN.max(rate / 8 * BURST_MS / 1000);
                let (rate, burst, latency) = (format!("{rate}bit"), burst.to_string(), format!("{QUEUE_MS}ms"));
                let limit = ["root", "tbf", "rate", &rate, "burst", &burst, "latency", &latency];
                ip::tc(namespace, &[&["qdisc", "replace", "dev", device], &limit[..]].concat())?;
            } else if was_limited {
                ip::tc(namespace, &["qdisc", "del", "dev", device, "root"])?;
            }
        }
        Ok(())
    }

    /// Makes a host's line bad, or good again with the default. It works on frames in user space, so it needs no `netem`, and the
    /// host's own interface is left as it is.
    ///
    /// # Errors
    /// [`LabError`]; the line is as it was.
    pub fn impair(&self, host: usize, impairment: Impairment) -> Result<(), LabError> {
        self.host(host)?;
        let mut ports = self.ports();
        let port = ports.entry(host).or_default();
        match (&port.bad_line, impairment.is_none()) {
            (None, true) => {}
            (Some(line), false) => line.set(impairment),
            (None, false) => {
                port.bad_line = Some(BadLine::new(&self.switch, host, port.island, impairment)?);
            }
            (Some(_), true) => {
                port.bad_line = None;
                self.to_island(&port_name(host), port.island)?;
            }
        }
        Ok(())
    }

    /// Pulls a host's plug, or puts it back: both ends notice that the link is down.
    ///
    /// # Errors
    /// [`LabError::Command`].
    pub fn plug(&self, host: usize, is_in: bool) -> Result<(), LabError> {
        self.host(host)?;
        let state = if is_in { "up" } else { "down" };
        ip::ip(self.switch.name(), &["link", "set", &port_name(host), state]).map(|_| ())
    }

    fn connect(&self, number: usize) -> Result<(), LabError> {
        let host = self.host(number)?;
        let (name, port) = (host.namespace.name(), port_name(number));
        ip::ip(self.switch.name(), &["link", "add", &port, "type", "veth", "peer", "name", "eth0", "netns", name])?;
        ip::batch(self.switch.name(), &format!("link set {port} up\n"))?;
        let (v4, v6) = (host.v4(), host.v6());
        ip::batch(
            name,
            &format!(
                "link set lo up\n\
                 link set eth0 up\n\
                 addr add {v4}/24 dev eth0\n\
                 addr add {v6}/64 dev eth0 nodad\n\
                 route add 224.0.0.0/4 dev eth0\n"
            ),
        )?;
        self.join(&[number], 0)
    }

    fn attach(&self, hosts: &[usize], island: Option<usize>) -> Result<(), LabError> {
        // All in one go, since each command takes its time on a busy machine.
        let (mut ports, mut script) = (self.ports(), String::new());
        let to = island.map_or("nomaster".to_owned(), |island| format!("master br{island}"));
        for host in hosts {
            self.host(*host)?;
            let port = ports.entry(*host).or_default();
            let device = port.bad_line.as_ref().map_or_else(|| port_name(*host), |line| line.far_end().to_owned());
            script += &format!("link set {device} {to}\n");
            port.island = island;
        }
        ip::batch(self.switch.name(), &script)
    }

    fn to_island(&self, device: &str, island: Option<usize>) -> Result<(), LabError> {
        line::to_island(&self.switch, device, island)
    }

    fn host(&self, host: usize) -> Result<&Host, LabError> {
        let count = self.hosts.len();
        self.hosts.get(host).ok_or_else(|| LabError::Unknown(format!("host {host}; there are {count}")))
    }

    fn ports(&self) -> MutexGuard<'_, BTreeMap<usize, Port>> {
        self.ports.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How the names of the next namespaces begin: this process, and a number that is new each time.
fn next_prefix() -> String {
    static SERIAL: AtomicUsize = AtomicUsize::new(0);
    format!("{PREFIX}-{}-{}", std::process::id(), SERIAL.fetch_add(1, Ordering::Relaxed))
}

/// What the switch calls a host's port.
fn port_name(host: usize) -> String {
    format!("port{host}")
}

#[cfg(test)]
mod tests;
