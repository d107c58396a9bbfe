//! What a start finds: identity, generation and durable state, which live and die together.

use std::fmt;
use std::path::{Path, PathBuf};

use rocoin::id::{Generation, NodeId};
use rocoin::node::Durable;

use super::durable;
use crate::files::{FileError, read_bounded, write_atomic};
use crate::identity::Identity;

/// What a start begins with.
#[derive(Debug)]
pub struct Boot {
    /// Who this device is.
    pub identity: Identity,
    /// Which start this is; already on disk.
    pub generation: Generation,
    /// What the node knew when it stopped.
    pub durable: Durable,
    /// Whether an older identity was given up.
    pub lost: Option<IdentityLost>,
}

/// An identity whose terms and epochs are gone would contradict itself, so it was given up.
#[derive(Debug)]
pub struct IdentityLost {
    /// The identity given up.
    pub old: NodeId,
    /// What was missing or damaged.
    pub why: FileError,
}

impl fmt::Display for IdentityLost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "gave up the identity {}, because what it had promised is lost ({})", self.old.short(), self.why)
    }
}

impl Boot {
    /// Reads the folder and raises the generation. A folder without an identity is a new node's.
    pub(super) fn load(folder: &Path) -> Result<Self, FileError> {
        let paths = Paths::new(folder);
        let identity = match Identity::load(&paths.identity) {
            Ok(identity) => identity,
            Err(e) if e.is_absent() => return Self::create(&paths, None),
            Err(e) => return Err(e),
        };
        match read_generation(&paths.generation).and_then(|g| Ok((g, durable::read(&paths.durable)?))) {
            Ok((generation, durable)) => {
                let generation = Generation(generation.0 + 1);
                write_generation(&paths.generation, generation)?;
                Ok(Self { identity, generation, durable, lost: None })
            }
            Err(why) if why.is_lost() => Self::create(&paths, Some(IdentityLost { old: identity.node(), why })),
            // What cannot be read now may be there still: the identity is not given up for it.
            Err(why) => Err(why),
        }
    }

    /// The identity is written last: without it the rest counts for nothing.
    fn create(paths: &Paths, lost: Option<IdentityLost>) -> Result<Self, FileError> {
        if lost.is_some() {
            std::fs::remove_file(&paths.identity).map_err(crate::files::failed("remove", &paths.identity))?;
        }
        let boot =
            Self { identity: Identity::generate(), generation: Generation(1), durable: Durable::default(), lost };
        durable::write(&paths.durable, &boot.durable)?;
        write_generation(&paths.generation, boot.generation)?;
        boot.identity.save(&paths.identity)?;
        Ok(boot)
    }
}

struct Paths {
    identity: PathBuf,
    generation: PathBuf,
    durable: PathBuf,
}

impl Paths {
    fn new(folder: &Path) -> Self {
        Self {
            identity: identity_path(folder),
            generation: folder.join("generation"),
            durable: super::durable_path(folder),
        }
    }
}

pub(super) fn identity_path(folder: &Path) -> PathBuf {
    folder.join("identity.key")
}

fn read_generation(path: &Path) -> Result<Generation, FileError> {
    let damaged = || FileError::Content { path: path.to_owned(), what: "it is no number".to_owned() };
    let text = String::from_utf8(read_bounded(path, 64)?).map_err(|_| damaged())?;
    match text.strip_suffix('\n').map(str::parse) {
        Some(Ok(generation)) if generation < u64::MAX => Ok(Generation(generation)),
        Some(_) | None => Err(damaged()),
    }
}

fn write_generation(path: &Path, generation: Generation) -> Result<(), FileError> {
    write_atomic(path, format!("{}\n", generation.0).as_bytes())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn the_generation_rises_at_each_start_and_the_identity_stays() {
        let dir = tempfile::tempdir().unwrap();
        let first = Boot::load(dir.path()).unwrap();
        let second = Boot::load(dir.path()).unwrap();
        assert_eq!(first.identity.node(), second.identity.node());
        assert_eq!((first.generation, second.generation), (Generation(1), Generation(2)));
    }

    #[test]
    fn missing_or_damaged_state_costs_the_identity_and_says_so() {
        for (file, damage) in
            [("durable", None), ("durable", Some("junk")), ("generation", None), ("generation", Some("x"))]
        {
            let dir = tempfile::tempdir().unwrap();
            let first = Boot::load(dir.path()).unwrap();
            match damage {
                Some(junk) => fs::write(dir.path().join(file), junk).unwrap(),
                None => fs::remove_file(dir.path().join(file)).unwrap(),
            }
            let second = Boot::load(dir.path()).unwrap();
            assert_ne!(first.identity.node(), second.identity.node(), "{file}");
            assert_eq!(second.lost.unwrap().old, first.identity.node());
            assert!(Boot::load(dir.path()).unwrap().lost.is_none());
        }
    }

    #[test]
    fn a_start_that_was_killed_before_the_identity_was_written_starts_anew() {
        let dir = tempfile::tempdir().unwrap();
        let _ = Boot::load(dir.path()).unwrap();
        fs::remove_file(dir.path().join("identity.key")).unwrap();
        let boot = Boot::load(dir.path()).unwrap();
        assert_eq!(boot.generation, Generation(1));
        assert!(boot.lost.is_none());
    }
}
