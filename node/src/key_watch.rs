//! The key file of a running node: a change of it, and the end of the previous key, take effect without a restart.
//!
//! A file that cannot be read, or is no key file, changes nothing: a node never lets go of a key for a slip of the hand.

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use tokio::time::{MissedTickBehavior, interval};

use crate::fleet_key::{KeyFile, Keyring};
use crate::network::KeyChanger;

/// The file is read so often; it is a few hundred bytes. Ours.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Watches until the network ends.
pub(crate) fn start(path: PathBuf, keys: Keyring, network: KeyChanger) {
    tokio::spawn(watch(path, keys, network));
}

async fn watch(path: PathBuf, mut keys: Keyring, network: KeyChanger) {
    let mut looks = interval(LOOK_EVERY);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut file = None;
    let mut told = None;
    while !network.is_over() {
        looks.tick().await;
        match look(path.clone()).await {
            Ok(found) => (file, told) = (Some(found), None),
            Err(trouble) if told.as_ref() != Some(&trouble) => {
                tracing::warn!("the fleet key stays as it is: {trouble}");
                told = Some(trouble);
            }
            Err(_) => {}
        }
        // The file that was read last: the previous key ends at its time even if the file is out of reach.
        let Some(file) = &file else { continue };
        let now = file.keyring(SystemTime::now()).after(&keys);
        if now != keys {
            keys = now;
            network.change(keys).await;
        }
    }
}

async fn look(path: PathBuf) -> Result<KeyFile, String> {
    let read = tokio::task::spawn_blocking(move || KeyFile::load(&path));
    read.await.map_err(|e| e.to_string())?.map_err(|e| e.to_string())
}
