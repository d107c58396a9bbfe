//! `rocoin sim reproduce --freeze`: a seed's world as a scenario file.

use std::path::Path;

use rocoin_netsim::scenario::{Title, freeze};

use super::recording::unwritable;
use super::world::Worlds;
use crate::config::ConfigError;

/// Writes the world of this seed; the scenario is called as the file.
///
/// # Errors
/// A world that cannot be stated, or a file that cannot be written.
pub(super) fn write(worlds: &Worlds, seed: u64, path: &Path) -> Result<(), ConfigError> {
    let cannot = |why: String| ConfigError::Wrong(format!("cannot freeze seed {seed} as {}: {why}", path.display()));
    let (name, description) = (name_of(path), format!("A frozen world: {}", worlds.title(seed)));
    let title = Title { name: &name, description: &description };
    let text = freeze(&worlds.plan(seed), title, worlds.expect()).map_err(|error| cannot(error.to_string()))?;
    std::fs::write(path, text).map_err(|error| unwritable(path, &error))
}

/// The file's name, in the letters that a scenario's may have.
fn name_of(path: &Path) -> String {
    let stem = path.file_stem().map(|stem| stem.to_string_lossy().to_lowercase()).unwrap_or_default();
    let plain = |c: char| if c.is_ascii_lowercase() || c.is_ascii_digit() { c } else { '-' };
    if stem.is_empty() { "frozen".to_owned() } else { stem.chars().map(plain).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn history(worlds: &Worlds, seed: u64) -> String {
        let mut lines = String::new();
        rocoin_netsim::run::run(worlds.plan(seed), &mut |entry| lines += &rocoin_netsim::history::line(entry));
        lines
    }

    #[test]
    fn a_frozen_seed_is_a_scenario_of_the_file_s_name_with_the_same_history() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("Lost_claim.toml");
        let swarm = Worlds::open(None, None).unwrap().in_mode(Some(rocoin::inference::Mode::Hedged));
        write(&swarm, 5, &path).unwrap();
        let frozen = Worlds::open(path.to_str(), None).unwrap();
        assert_eq!(frozen.seed(), Some(5));
        assert_eq!(frozen.title(5), "lost-claim, seed 5");
        assert!(history(&frozen, 5) == history(&swarm, 5));
    }

    #[test]
    fn a_scenario_is_frozen_with_the_hosts_of_the_seed_and_what_it_expects() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("disk.toml");
        let shipped = Worlds::open(Some("slow-disk"), None).unwrap();
        write(&shipped, 3, &path).unwrap();
        let frozen = Worlds::open(path.to_str(), None).unwrap();
        assert_eq!(frozen.plan(8).setup.hosts, shipped.plan(3).setup.hosts);
        assert_eq!(frozen.expect(), shipped.expect());
    }

    #[test]
    fn a_file_that_cannot_be_written_is_named() {
        let error = write(&Worlds::open(None, None).unwrap(), 5, Path::new("/nowhere/at/all.toml")).unwrap_err();
        assert!(error.to_string().contains("/nowhere/at/all.toml"), "{error}");
    }
}
