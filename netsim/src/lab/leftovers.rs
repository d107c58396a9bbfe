//! What a lab that was killed left behind: found by its names, removed by the next.

use std::fs;
use std::process::Command;

use super::{hosts, starve};

/// How the names of the lab's folders begin; the process follows.
const FOLDERS: &str = "rocoin-lab";

/// How the names of this process's folders begin.
pub(super) fn folder_prefix() -> String {
    format!("{FOLDERS}-{}-", std::process::id())
}

/// Removes namespaces, cgroups and folders of processes that are gone, and what still runs in them. What cannot be removed is left to
/// the next.
pub fn sweep() {
    hosts::sweep();
    starve::sweep();
    let Ok(folder) = fs::read_dir(std::env::temp_dir()) else { return };
    for entry in folder.filter_map(Result::ok) {
        if hosts::is_abandoned(&entry.file_name().to_string_lossy(), FOLDERS) {
            let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
            let within = mounts.lines().filter_map(|line| line.split(' ').nth(1));
            for mount in within.filter(|mount| entry.path().to_str().is_some_and(|path| mount.starts_with(path))) {
                let _ = Command::new("umount").arg(mount).output();
            }
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}
