//! The fleet key: the secret that admits a device. It is libp2p's pre-shared key, in the usual key file's form.

use std::path::Path;

use libp2p::pnet::PreSharedKey;

use crate::files::{FileError, create_atomic, read_secret};

/// The secret that all devices of a fleet share.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FleetKey(PreSharedKey);

impl FleetKey {
    /// A new key, from the system's entropy.
    ///
    /// # Errors
    /// If the system has no entropy to give.
    pub fn generate() -> Result<Self, getrandom::Error> {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes)?;
        Ok(Self(PreSharedKey::new(bytes)))
    }

    /// Reads a key file (`/key/swarm/psk/1.0.0/`, base16).
    ///
    /// # Errors
    /// [`FileError`]: absent, readable by others, or not of that form.
    pub fn load(path: &Path) -> Result<Self, FileError> {
        let text = read_secret(path)?;
        text.parse().map(Self).map_err(|e: libp2p::pnet::KeyParseError| FileError::Content {
            path: path.to_owned(),
            what: format!("it is no fleet key ({e}); make one with `rocoin fleet init`, or copy the fleet's"),
        })
    }

    /// Writes a new key file, mode 0600. An existing file is never overwritten: the fleet could not be joined again.
    ///
    /// # Errors
    /// [`FileError::Io`].
    pub fn create(&self, path: &Path) -> Result<(), FileError> {
        create_atomic(path, self.0.to_key_file().as_bytes())
    }

    pub(crate) fn pre_shared(self) -> PreSharedKey {
        self.0
    }
}

impl std::fmt::Display for FleetKey {
    /// A fingerprint, which tells keys apart and gives nothing away.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fingerprint().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fleet_key_is_read_back_and_never_overwritten() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("fleet.key");
        let key = FleetKey::generate().unwrap();
        key.create(&path).unwrap();
        assert!(FleetKey::generate().unwrap().create(&path).is_err());
        assert_eq!(FleetKey::load(&path).unwrap(), key);
    }

    #[test]
    fn a_fleet_key_shows_its_fingerprint_only() {
        let key = FleetKey(PreSharedKey::new([7; 32]));
        assert!(!format!("{key} {key:?}").contains("0707"));
    }
}
