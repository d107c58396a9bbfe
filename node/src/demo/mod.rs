//! `rocoin demo`: a mesh of eight processes on this machine answers real images while its nodes are killed, frozen and
//! cut apart.
//!
//! Everything is real: the processes are this very program, the students are those of a bundle, the images are test
//! images, the faults are signals and the nodes' own fault switch. Only the devices' speeds are emulated: each run of a
//! student is stretched to what a slower device would take.

mod checks;
mod fleet;
mod observer;
mod report;
mod screen;
mod steps;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use rocoin_models::bundle_dir::BundleDir;
use rocoin_models::data::load_idx;
use rocoin_netsim::harness::{Images, Load, LoadOptions, Mesh, is_redundant};

use self::observer::Observer;
pub use self::report::{Report, StepReport};
use self::screen::Screen;
use self::steps::Stage;
use crate::interrupt::Interrupt;

/// From the first process until every part is served.
const SERVED_WITHIN: Duration = Duration::from_secs(60);

/// What the demo runs on.
#[derive(Debug, Clone)]
pub struct DemoOptions {
    /// A bundle, with test images in its folder `test`.
    pub bundle: PathBuf,
    /// Whether to draw the live table.
    pub table: bool,
}

/// Runs the whole demo. The processes and their folders are gone when this returns.
///
/// # Errors
/// If the mesh cannot be started, or Ctrl-C was pressed. Requests that fail are in the report, not an error.
pub fn run(options: &DemoOptions) -> anyhow::Result<Report> {
    let interrupt = Interrupt::listen()?;
    let bundle = BundleDir::open(&options.bundle)?;
    let images = Arc::new(test_images(&options.bundle, &bundle)?);
    let screen = Screen::new(options.table);
    screen.say(&format!(
        "Starting {} nodes of unequal speed with the bundle {} {} ({} parts) …",
        fleet::NODES,
        bundle.manifest().name,
        bundle.manifest().version,
        bundle.manifest().parts.len()
    ));
    let mut mesh = Mesh::new(&std::env::current_exe().context("cannot find this program's file")?)?;
    mesh.start_all(fleet::devices())?;
    interrupt.check()?;
    mesh.deploy(&options.bundle)?;
    let parts = bundle.manifest().parts.len();
    mesh.wait("every part is held twice", SERVED_WITHIN, |status| {
        if interrupt.check().is_err() { Ok(()) } else { is_redundant(status, parts) }
    })?;
    interrupt.check()?;
    let load = Load::start(images, bundle.manifest().name.clone(), LoadOptions::default(), mesh.clients()?);
    let stage = Stage { mesh, load, observer: Observer::default(), interrupt, screen, parts };
    let steps = stage.play()?;
    Ok(Report::new(steps, fleet::NODES, parts, bundle.manifest().teacher.accuracy))
}

/// The test images in the folder `test` of a bundle.
pub(crate) fn test_images(folder: &Path, bundle: &BundleDir) -> anyhow::Result<Images> {
    let test = folder.join("test");
    let split = load_idx(&test.join("t10k-images-idx3-ubyte.gz"), &test.join("t10k-labels-idx1-ubyte.gz"))
        .with_context(|| format!("this needs the bundle's test images in {}", test.display()))?;
    ensure!(
        split.shape == bundle.manifest().input.shape,
        "the images in {} have shape {:?}; the bundle takes {:?}",
        test.display(),
        split.shape,
        bundle.manifest().input.shape
    );
    let images = (0..split.len()).map(|i| (split.image_vec(i), split.label(i))).collect();
    Images::new(split.shape, images).with_context(|| format!("there are no images in {}", test.display()))
}
