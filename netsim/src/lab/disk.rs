//! A small disk for a node's state, which can be filled: a file system in memory, mounted over its state folder.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::LabError;
use super::hosts::run;

/// Bytes of such a disk: the bundle, the state, and some.
const BYTES: u64 = 64 << 20;
/// What fills it.
const FILLER: &str = "filled-by-the-lab";

/// A small disk. It is unmounted when this is dropped; nothing may use it then.
#[derive(Debug)]
pub struct SmallDisk(PathBuf);

impl SmallDisk {
    /// Mounts one over a folder, which is made. Needs root.
    ///
    /// # Errors
    /// [`LabError`].
    pub fn mount(folder: &Path) -> Result<Self, LabError> {
        fs::create_dir_all(folder).map_err(LabError::system(format!("create {}", folder.display())))?;
        let size = format!("size={BYTES},mode=0700");
        run(Command::new("mount").args(["-t", "tmpfs", "-o", &size, "rocoin-lab"]).arg(folder), "")?;
        Ok(Self(folder.to_owned()))
    }

    /// Leaves no byte free.
    ///
    /// # Errors
    /// [`LabError::System`] if there is room left.
    pub fn fill(&self) -> Result<(), LabError> {
        let path = self.0.join(FILLER);
        let refused = LabError::system(format!("fill {}", self.0.display()));
        let mut file = match File::create(&path) {
            Ok(file) => file,
            Err(e) => return Err(refused(e)),
        };
        // Large pieces first, then what is left in small ones.
        for piece in [1 << 16, 1 << 12] {
            let mut written = 0;
            while written < BYTES && file.write_all(&vec![0; piece]).is_ok() {
                written += piece as u64;
            }
        }
        Ok(())
    }

    /// Gives back what [`Self::fill`] took.
    ///
    /// # Errors
    /// [`LabError::System`].
    pub fn free(&self) -> Result<(), LabError> {
        fs::remove_file(self.0.join(FILLER)).map_err(LabError::system(format!("free {}", self.0.display())))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily, if somebody still has a file open there.
        let _ = Command::new("umount").arg("-l").arg(&self.0).output();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_takes_nothing_until_it_is_freed() {
        let dir = tempfile::tempdir().unwrap();
        let disk = match SmallDisk::mount(&dir.path().join("state")) {
            Ok(disk) => disk,
            Err(reason) => {
                eprintln!("skipped: nothing can be mounted here: {reason}");
                return;
            }
        };
        let file = dir.path().join("state/file");
        disk.fill().unwrap();
        assert!(fs::write(&file, vec![1; 1 << 13]).is_err());
        disk.free().unwrap();
        // The kernel gives the room back when it comes to it.
        let write = || fs::write(&file, vec![1; 1 << 13]).map_err(|e| e.to_string());
        crate::harness::wait_until("there is room again", std::time::Duration::from_secs(20), write).unwrap();
        drop(disk);
        assert!(!file.exists());
    }
}
