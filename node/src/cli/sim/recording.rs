//! A run's history and picture, as files.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Args;
use rocoin_netsim::fact::Entry;
use rocoin_netsim::history;
use rocoin_netsim::picture::{Captions, Picture};
use rocoin_netsim::run::Report;

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
    pub(super) fn new(wanted: &'a Wanted) -> anyhow::Result<Self> {
        let history = match wanted.history.as_deref() {
            None => None,
            Some(path) => {
                let file = File::create(path).with_context(|| format!("cannot write {}", path.display()))?;
                Some((path, BufWriter::new(file)))
            }
        };
        let picture = wanted.svg.as_deref().map(|path| (path, Picture::default()));
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

    pub(super) fn finish(self, title: &str, subtitle: &str, report: &Report) -> anyhow::Result<()> {
        let cannot = |path: &Path| format!("cannot write {}", path.display());
        if let Some((path, mut file)) = self.history {
            let written = self.failed.map_or_else(|| file.flush(), Err);
            written.with_context(|| cannot(path))?;
        }
        if let Some((path, picture)) = self.picture {
            let violation = report.violation.as_ref().map(|v| (v.at, v.invariant));
            let svg = picture.svg(Captions { title, subtitle, violation });
            std::fs::write(path, svg).with_context(|| cannot(path))?;
        }
        Ok(())
    }
}
