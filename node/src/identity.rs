//! Who this device is: an ed25519 key pair, whose public key is the node's id.

use std::path::Path;

use libp2p::PeerId;
use libp2p::identity::{Keypair, PublicKey, ed25519};
use rocoin::id::NodeId;

use crate::files::{FileError, read_secret, write_atomic};

/// The device's key pair.
#[derive(Clone)]
pub struct Identity {
    keypair: Keypair,
    node: NodeId,
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Identity({:?})", self.node)
    }
}

impl Identity {
    /// A new identity, from the system's entropy.
    pub fn generate() -> Self {
        Self::from_ed25519(ed25519::Keypair::generate())
    }

    /// Reads the key file: one line of 64 hexadecimal digits, the secret seed.
    ///
    /// # Errors
    /// [`FileError`]: absent, readable by others, or not of that form.
    pub fn load(path: &Path) -> Result<Self, FileError> {
        let text = read_secret(path)?;
        // A digest has the same form; parsing it as one keeps a single reader of hexadecimal digits.
        let seed = text.trim_end().parse::<rocoin::id::Digest>().ok();
        let secret = seed.and_then(|mut seed| ed25519::SecretKey::try_from_bytes(&mut seed.0).ok());
        match secret {
            Some(secret) => Ok(Self::from_ed25519(ed25519::Keypair::from(secret))),
            None => Err(FileError::Content {
                path: path.to_owned(),
                what: "it is no identity key; restore it, or remove it and this node takes a new identity".to_owned(),
            }),
        }
    }

    /// Writes the key file, mode 0600.
    ///
    /// # Errors
    /// [`FileError::Io`]; an older file is then as it was.
    pub fn save(&self, path: &Path) -> Result<(), FileError> {
        let mut seed = rocoin::id::Digest([0; 32]);
        if let Ok(keypair) = self.keypair.clone().try_into_ed25519() {
            seed.0.copy_from_slice(keypair.secret().as_ref());
        }
        write_atomic(path, format!("{seed}\n").as_bytes())
    }

    /// The node's id.
    pub fn node(&self) -> NodeId {
        self.node
    }

    /// The node's id as libp2p has it.
    pub fn peer(&self) -> PeerId {
        self.keypair.public().to_peer_id()
    }

    pub(crate) fn keypair(&self) -> &Keypair {
        &self.keypair
    }

    fn from_ed25519(keypair: ed25519::Keypair) -> Self {
        let node = NodeId(keypair.public().to_bytes());
        Self { keypair: keypair.into(), node }
    }
}

/// The node behind a libp2p peer id; `None` if its key is not ed25519.
pub fn node_of(peer: &PeerId) -> Option<NodeId> {
    let key = PublicKey::try_decode_protobuf(peer.as_ref().digest()).ok()?;
    Some(NodeId(key.try_into_ed25519().ok()?.to_bytes()))
}

/// A node's libp2p peer id; `None` if the bytes are no public key.
pub fn peer_of(node: NodeId) -> Option<PeerId> {
    let key = ed25519::PublicKey::try_from_bytes(&node.0).ok()?;
    Some(PublicKey::from(key).to_peer_id())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn node_and_peer_ids_are_two_forms_of_one_key() {
        let identity = Identity::generate();
        assert_eq!(node_of(&identity.peer()), Some(identity.node()));
        assert_eq!(peer_of(identity.node()), Some(identity.peer()));
    }

    #[test]
    fn an_identity_is_the_same_after_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("identity.key");
        let identity = Identity::generate();
        identity.save(&path).unwrap();
        assert_eq!(Identity::load(&path).unwrap().node(), identity.node());
    }

    #[test]
    fn a_file_that_is_no_key_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("identity.key");
        write_atomic(&path, b"not a key\n").unwrap();
        assert!(matches!(Identity::load(&path), Err(FileError::Content { .. })));
    }
}
