//! What the tests share: the program, a small bundle, meshes that serve it, and load.

pub(crate) mod bundle;
mod fleet;
mod load;

use std::path::PathBuf;
use std::time::Duration;

pub(crate) use bundle::{Bundle, bundle, image, newer_bundle};
pub(crate) use fleet::{agreed, epoch, holders, one_of_each_part, serving, start, well_options};
pub(crate) use load::Load;

/// Long against everything that is awaited, on a machine that does other things too.
pub(crate) const PATIENCE: Duration = Duration::from_secs(90);

/// The program under test: `ROCOIN_BIN`, or what cargo built beside this test.
pub(crate) fn binary() -> PathBuf {
    if let Some(path) = std::env::var_os("ROCOIN_BIN") {
        return path.into();
    }
    let test = std::env::current_exe().unwrap();
    let path = test.parent().and_then(|deps| deps.parent()).unwrap().join("rocoin");
    assert!(path.exists(), "{} is not there: run `cargo build --workspace --bins` first", path.display());
    path
}
