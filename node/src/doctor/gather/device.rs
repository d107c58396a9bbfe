//! What the device has and what bundles ask of it.

use std::path::Path;

use rocoin::bundle::Manifest;

use crate::calibration;
use crate::device::memory_available_bytes;
use crate::doctor::facts::{BundleNeeds, Hardware};
use crate::store::Look;

/// Looks at the machine and at the bundles in the state folder.
pub(super) fn hardware(state_dir: &Path) -> Hardware {
    let (cpu_features, cpu_features_lacking) = cpu_features();
    Hardware {
        cores: std::thread::available_parallelism().map_or(1, usize::from),
        memory_available_bytes: memory_available_bytes(),
        load: load(&std::fs::read_to_string("/proc/loadavg").unwrap_or_default()),
        architecture: std::env::consts::ARCH.to_owned(),
        cpu_features,
        cpu_features_lacking,
        flops_per_s: calibration::kept_flops_per_s(state_dir),
        bundles: Look::at(state_dir).manifests().iter().filter_map(needs).collect(),
    }
}

fn load(loadavg: &str) -> Option<f64> {
    loadavg.split_whitespace().next()?.parse().ok()
}

fn needs(manifest: &Manifest) -> Option<BundleNeeds> {
    let largest = |part: &rocoin::bundle::Part| part.students.iter().map(|s| s.memory_bytes).max();
    let least_bytes = manifest.parts.iter().flat_map(|p| &p.students).map(|s| s.memory_bytes).min()?;
    let whole_bytes = manifest.parts.iter().filter_map(largest).fold(0, u64::saturating_add);
    Some(BundleNeeds { name: manifest.name.clone(), version: manifest.version.clone(), least_bytes, whole_bytes })
}

/// The vector instructions that running students gains by: those that are there, and those that are not.
#[cfg(target_arch = "x86_64")]
fn cpu_features() -> (Vec<String>, Vec<String>) {
    split([("avx2", is_x86_feature_detected!("avx2")), ("fma", is_x86_feature_detected!("fma"))])
}

/// The same.
#[cfg(target_arch = "aarch64")]
fn cpu_features() -> (Vec<String>, Vec<String>) {
    split([("neon", std::arch::is_aarch64_feature_detected!("neon"))])
}

/// The same; the kernel of a small ARM board lists them.
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
fn cpu_features() -> (Vec<String>, Vec<String>) {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let listed = text.lines().find_map(|line| line.strip_prefix("Features")).unwrap_or_default();
    split([("neon", listed.split_whitespace().any(|word| word == "neon"))])
}

fn split<const N: usize>(features: [(&str, bool); N]) -> (Vec<String>, Vec<String>) {
    let with = |wanted: bool| features.iter().filter(|(_, has)| *has == wanted).map(|(n, _)| (*n).to_owned()).collect();
    (with(true), with(false))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_minutes_load_is_the_first_number() {
        assert_eq!(load("0.42 0.36 0.30 1/123 4567\n"), Some(0.42));
        assert_eq!(load(""), None);
    }

    #[test]
    fn this_machine_is_described() {
        let dir = tempfile::tempdir().unwrap();
        let hardware = hardware(dir.path());
        assert!(hardware.cores >= 1 && hardware.bundles.is_empty() && hardware.flops_per_s.is_none(), "{hardware:?}");
        assert!(!(hardware.cpu_features.is_empty() && hardware.cpu_features_lacking.is_empty()), "{hardware:?}");
    }
}
