//! Removing namespaces: at the end, and those of processes that were killed before they could.

use std::fs;
use std::path::Path;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::namespace::FOLDER;
use super::{PREFIX, ip};

/// Removes the namespaces of processes that are gone, and what still runs in them; the names of those removed.
pub fn sweep() -> Vec<String> {
    let Ok(folder) = fs::read_dir(FOLDER) else { return Vec::new() };
    let names = folder.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let abandoned: Vec<String> = names.filter(|name| is_abandoned(name, PREFIX)).collect();
    abandoned.iter().for_each(|name| remove(name));
    abandoned
}

/// Kills what runs in a namespace and removes it. What cannot be removed now is found by a later [`sweep`].
pub(super) fn remove(name: &str) {
    let inside = ip::netns(&["pids", name]).unwrap_or_default();
    for pid in inside.lines().filter_map(|line| line.trim().parse().ok()) {
        let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
    }
    let _ = ip::netns(&["del", name]);
}

/// Whether this is the name of something that a process made which is gone: the prefix, the process, and more.
pub(in crate::lab) fn is_abandoned(name: &str, prefix: &str) -> bool {
    owner(name, prefix).is_some_and(|pid| !runs(pid))
}

fn owner(name: &str, prefix: &str) -> Option<u32> {
    name.strip_prefix(prefix)?.strip_prefix('-')?.split('-').next()?.parse().ok()
}

fn runs(pid: u32) -> bool {
    Path::new("/proc").join(pid.to_string()).exists()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_namespace_tells_by_its_name_who_made_it_and_others_are_left_alone() {
        assert_eq!(owner("rocoin-lab-4711-0-switch", PREFIX), Some(4711));
        assert_eq!(owner("rocoin-lab-4711-12-3", PREFIX), Some(4711));
        for other in ["rocoin-lab", "rocoin-labour-1-2", "docker0", "rocoin-lab-x-1"] {
            assert_eq!(owner(other, PREFIX), None, "{other}");
        }
    }

    #[test]
    fn a_process_that_runs_keeps_its_namespaces() {
        assert!(runs(std::process::id()));
        // No process has the greatest number there is.
        assert!(!runs(u32::MAX));
    }
}
