//! The peers met so far and where: one of the ways to find the mesh again.

use std::path::Path;

use libp2p::{Multiaddr, PeerId};
use serde::{Deserialize, Serialize};

use super::StateDir;
use crate::files::{FileError, read_bounded, write_atomic};

/// Bytes of the file at most: some hundred peers.
const BYTES_MAX: u64 = 1 << 18;

/// A peer met before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RememberedPeer {
    /// Who.
    pub peer: PeerId,
    /// Where it was reachable.
    pub addresses: Vec<Multiaddr>,
}

#[derive(Serialize, Deserialize)]
struct Line {
    peer: String,
    addresses: Vec<Multiaddr>,
}

impl StateDir {
    /// The peers met before; none if the file is absent or damaged, since nothing depends on it.
    pub fn remembered(&self) -> Vec<RememberedPeer> {
        read(self.path())
    }

    /// Keeps the peers for the next start.
    ///
    /// # Errors
    /// [`FileError`]; the older file is then as it was.
    pub fn remember(&self, peers: &[RememberedPeer]) -> Result<(), FileError> {
        let path = peers_path(self.path());
        let lines: Vec<_> =
            peers.iter().map(|p| Line { peer: p.peer.to_string(), addresses: p.addresses.clone() }).collect();
        let json = serde_json::to_vec_pretty(&lines)
            .map_err(|e| FileError::Content { path: path.clone(), what: e.to_string() })?;
        write_atomic(&path, &json)
    }
}

/// The peers that a folder's file tells of.
pub(super) fn read(folder: &Path) -> Vec<RememberedPeer> {
    read_bounded(&peers_path(folder), BYTES_MAX).map(|bytes| parse(&bytes)).unwrap_or_default()
}

/// The peers in a file's bytes.
pub(crate) fn parse(bytes: &[u8]) -> Vec<RememberedPeer> {
    let lines: Vec<Line> = serde_json::from_slice(bytes).unwrap_or_default();
    let peer = |line: Line| Some(RememberedPeer { peer: line.peer.parse().ok()?, addresses: line.addresses });
    lines.into_iter().filter_map(peer).collect()
}

fn peers_path(folder: &Path) -> std::path::PathBuf {
    folder.join("peers.json")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::Identity;

    #[test]
    fn peers_are_remembered_and_a_damaged_file_is_none() {
        let dir = tempfile::tempdir().unwrap();
        let (state, _) = StateDir::open(dir.path()).unwrap();
        assert_eq!(state.remembered(), []);
        let peer = Identity::generate().peer();
        let peers = [RememberedPeer { peer, addresses: vec!["/ip4/10.0.0.1/tcp/4001".parse().unwrap()] }];
        state.remember(&peers).unwrap();
        assert_eq!(state.remembered(), peers);
        std::fs::write(peers_path(dir.path()), b"[{").unwrap();
        assert_eq!(state.remembered(), []);
    }
}
