//! A run's history and picture, as files.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};

use clap::Args;
use rocoin_netsim::fact::Entry;
use rocoin_netsim::history;
use rocoin_netsim::picture::{Captions, Picture};
use rocoin_netsim::run::Report;

use crate::config::ConfigError;

/// What is wanted of a run besides its outcome.
#[derive(Debug, Clone, Default, Args)]
pub(super) struct Wanted {
    /// Write every fact of the run, one JSON object a line
    #[arg(long, value_name = "FILE")]
    history: Option<PathBuf>,
    /// Draw the run: faults, leaders, epochs, members, parts served and requests over time
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
}

impl Wanted {
    pub(super) fn is_any(&self) -> bool {
        self.history.is_some() || self.svg.is_some()
    }
}

/// Gathers what is wanted while a run goes on.
#[derive(Debug)]
pub(super) struct Recording<'a> {
    history: Option<(&'a Path, BufWriter<File>)>,
    picture: Option<(&'a Path, Picture)>,
    failed: Option<std::io::Error>,
}

impl<'a> Recording<'a> {
    /// Makes the files at once: what cannot be written is told before the run.
    pub(super) fn new(wanted: &'a Wanted) -> Result<Self, ConfigError> {
        let create = |path: &'a Path| File::create(path).map_err(|error| unwritable(path, &error));
        let history = wanted.history.as_deref().map(|path| create(path).map(|file| (path, BufWriter::new(file))));
        let history = history.transpose()?;
        let picture = wanted.svg.as_deref().map(|path| create(path).map(|_| (path, Picture::default()))).transpose()?;
        Ok(Self { history, picture, failed: None })
    }

    pub(super) fn observe(&mut self, entry: &Entry) {
        if let Some((_, file)) = &mut self.history
            && self.failed.is_none()
        {
            self.failed = file.write_all(history::line(entry).as_bytes()).err();
        }
        if let Some((_, picture)) = &mut self.picture {
            picture.observe(entry);
        }
    }

    pub(super) fn finish(self, title: &str, subtitle: &str, report: &Report) -> Result<(), ConfigError> {
        if let Some((path, mut file)) = self.history {
            let written = self.failed.map_or_else(|| file.flush(), Err);
            written.map_err(|error| unwritable(path, &error))?;
        }
        if let Some((path, picture)) = self.picture {
            let violation = report.violation.as_ref().map(|v| (v.at, v.invariant));
            let svg = picture.svg(Captions { title, subtitle, violation });
            std::fs::write(path, svg).map_err(|error| unwritable(path, &error))?;
        }
        Ok(())
    }
}

pub(super) fn unwritable(path: &Path, error: &std::io::Error) -> ConfigError {
    ConfigError::Wrong(format!(
        "cannot write {}: {error}; name a file in a folder that you may write to",
        path.display()
    ))
}
