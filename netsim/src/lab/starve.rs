//! Starving nodes of processor time.
//!
//! Where cgroups are writable, each node is put into one of its own that may use a small share of one core, together with a process
//! that always wants all of it: so the node stands still for most of each second, whether it has work or not. Elsewhere the node is
//! stopped and continued by signals in the same rhythm.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde::Serialize;

/// The rhythm: the longest that the kernel takes.
const PERIOD: Duration = Duration::from_secs(1);
/// How much of it there is to use.
const SHARE: Duration = Duration::from_millis(50);
/// Where cgroups of version 1 with the processor's controller are, and those of version 2.
const VERSION_1: &str = "/sys/fs/cgroup/cpu";
const VERSION_2: &str = "/sys/fs/cgroup";
/// How the lab's groups begin; process and number follow.
const PREFIX: &str = "rocoin-lab";

/// How it is done here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Starving {
    /// By a cgroup.
    Cgroup,
    /// By SIGSTOP and SIGCONT.
    Signals,
}

/// Processes that starve until this is dropped.
#[derive(Debug)]
pub struct Starved {
    groups: Vec<Group>,
    rhythms: Vec<Rhythm>,
}

impl Starved {
    /// Starves these processes.
    pub fn new(pids: &[u32]) -> Self {
        let mut starved = Self { groups: Vec::new(), rhythms: Vec::new() };
        for pid in pids {
            match Group::new(*pid) {
                Ok(group) => starved.groups.push(group),
                Err(_) => starved.rhythms.push(Rhythm::new(*pid)),
            }
        }
        starved
    }

    /// How it is done.
    pub fn by(&self) -> Starving {
        if self.rhythms.is_empty() { Starving::Cgroup } else { Starving::Signals }
    }
}

/// A cgroup with one process in it, and one that burns what there is.
#[derive(Debug)]
struct Group {
    folder: PathBuf,
    burner: Option<Child>,
}

impl Group {
    fn new(pid: u32) -> io::Result<Self> {
        static SERIAL: AtomicUsize = AtomicUsize::new(0);
        let name = format!("{PREFIX}-{}-{}", std::process::id(), SERIAL.fetch_add(1, Ordering::Relaxed));
        let (period, share) = (PERIOD.as_micros(), SHARE.as_micros());
        let is_first = Path::new(VERSION_1).join("cpu.cfs_quota_us").exists();
        let folder = Path::new(if is_first { VERSION_1 } else { VERSION_2 }).join(name);
        fs::create_dir(&folder)?;
        let mut group = Self { folder, burner: None };
        if is_first {
            group.write("cpu.cfs_period_us", &period.to_string())?;
            group.write("cpu.cfs_quota_us", &share.to_string())?;
        } else {
            group.write("cpu.max", &format!("{share} {period}"))?;
        }
        let burner = Command::new("sh").args(["-c", "while :; do :; done"]).stdin(Stdio::null()).spawn()?;
        let burning = burner.id();
        group.burner = Some(burner);
        for pid in [burning, pid] {
            group.write("cgroup.procs", &pid.to_string())?;
        }
        Ok(group)
    }

    fn write(&self, file: &str, text: &str) -> io::Result<()> {
        fs::write(self.folder.join(file), text)
    }

    /// Back to where processes are by default, and away with it.
    fn dissolve(&mut self) -> io::Result<()> {
        if let Some(mut burner) = self.burner.take() {
            burner.kill()?;
            burner.wait()?;
        }
        dissolve(&self.folder)
    }
}

/// Moves what is in a group to its parent and removes it.
fn dissolve(group: &Path) -> io::Result<()> {
    let above = group.parent().unwrap_or(Path::new(VERSION_2)).join("cgroup.procs");
    for pid in fs::read_to_string(group.join("cgroup.procs"))?.lines() {
        // A process may have ended meanwhile.
        let _ = fs::write(&above, pid);
    }
    fs::remove_dir(group)
}

impl Drop for Group {
    fn drop(&mut self) {
        let _ = self.dissolve();
    }
}

/// A thread that stops and continues a process.
#[derive(Debug)]
struct Rhythm {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Rhythm {
    fn new(pid: u32) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            let Ok(pid) = i32::try_from(pid).map(Pid::from_raw) else { return };
            while !told.load(Ordering::Relaxed) {
                for (signal, time) in [(Signal::SIGSTOP, PERIOD.saturating_sub(SHARE)), (Signal::SIGCONT, SHARE)] {
                    if kill(pid, signal).is_err() {
                        return;
                    }
                    std::thread::sleep(time);
                }
            }
        });
        Self { stop, thread: Some(thread) }
    }
}

impl Drop for Rhythm {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Removes the groups of processes that are gone, and kills those that burn in them.
pub(super) fn sweep() {
    for root in [VERSION_1, VERSION_2] {
        let Ok(folder) = fs::read_dir(root) else { continue };
        for group in folder.filter_map(Result::ok) {
            let name = group.file_name();
            if super::hosts::is_abandoned(&name.to_string_lossy(), PREFIX) {
                for pid in fs::read_to_string(group.path().join("cgroup.procs")).unwrap_or_default().lines() {
                    let _ = pid.parse().map(|pid| kill(Pid::from_raw(pid), Signal::SIGKILL));
                }
                let _ = fs::remove_dir(group.path());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Processor time of a process, in ticks; `None` once it is gone.
    fn ticks(pid: u32) -> Option<u64> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
        Some(fields.get(11)?.parse::<u64>().ok()? + fields.get(12)?.parse::<u64>().ok()?)
    }

    #[test]
    fn a_process_by_signals_stands_still_and_runs_on_afterwards() {
        let mut busy = Command::new("sh").args(["-c", "while :; do :; done"]).spawn().unwrap();
        let is_stopped = || {
            let stat = fs::read_to_string(format!("/proc/{}/stat", busy.id())).unwrap();
            stat.rsplit_once(')').unwrap().1.trim_start().starts_with('T')
        };
        let rhythm = Rhythm::new(busy.id());
        crate::harness::wait_until("it is stopped", Duration::from_secs(20), || {
            is_stopped().then_some(()).ok_or_else(|| "it runs".to_owned())
        })
        .unwrap();
        drop(rhythm);
        assert!(!is_stopped());
        let before = ticks(busy.id());
        crate::harness::wait_until("it runs on", Duration::from_secs(20), || {
            (ticks(busy.id()) > before).then_some(()).ok_or_else(|| "it stands still".to_owned())
        })
        .unwrap();
        busy.kill().unwrap();
        busy.wait().unwrap();
    }

    #[test]
    fn a_group_is_gone_when_it_is_dropped_and_its_process_lives_on() {
        let mut sleeper = Command::new("sleep").arg("600").spawn().unwrap();
        match Group::new(sleeper.id()) {
            Ok(group) => {
                let folder = group.folder.clone();
                assert!(fs::read_to_string(folder.join("cgroup.procs")).unwrap().contains(&sleeper.id().to_string()));
                drop(group);
                assert!(!folder.exists() && sleeper.try_wait().unwrap().is_none());
            }
            Err(reason) => eprintln!("skipped: no cgroups here: {reason}"),
        }
        sleeper.kill().unwrap();
        sleeper.wait().unwrap();
    }
}
