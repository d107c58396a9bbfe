//! Whether this device is fit to run students.

use crate::doctor::facts::{BundleNeeds, Facts, Hardware, StateFolder, WriteTest};
use crate::doctor::finding::{Area, Code, Finding};

const AREA: Area = Area::Device;
/// A disk with less is near its end. Ours: room for the ready-made bundle many times over.
const DISK_LOW_BYTES: u64 = 128 << 20;
/// A node writes its promises before it acts on them; slower than this delays every new plan by a tenth of a second. Ours.
const SYNC_SLOW_MS: f64 = 100.0;
/// A node gives students half of what is available, unless told otherwise.
const SHARE_FOR_STUDENTS: u64 = 2;

pub(super) fn judge(facts: &Facts) -> Vec<Finding> {
    let hardware = &facts.hardware;
    let mut findings = vec![memory(hardware), cpu(hardware), rate(hardware)];
    findings.extend(load(hardware));
    findings.extend(disk(&facts.state));
    findings
}

fn memory(hardware: &Hardware) -> Finding {
    let Some(available) = hardware.memory_available_bytes else {
        return Finding::notice(AREA, Code::MemoryUnknown, "the system does not say how much memory is available")
            .because("a node takes 256 MiB for students then")
            .mend("tell it: rocoin node --memory-bytes BYTES");
    };
    let share = available / SHARE_FOR_STUDENTS;
    let room = format!("{} of memory available, half of it for students", mebi(available));
    let Some(bundle) = hardware.bundles.iter().max_by_key(|b| b.whole_bytes) else {
        return Finding::well(AREA, Code::MemoryEnough, room)
            .because("no bundle is known here yet, so what students need is not either");
    };
    let BundleNeeds { name, version, least_bytes, whole_bytes } = bundle;
    if share < *least_bytes {
        return Finding::wrong(
            AREA,
            Code::MemoryShort,
            format!(
                "{room}: too little for any student of {name} {version}, which need {} at least",
                mebi(*least_bytes)
            ),
        )
        .because("the plan will give this device nothing to do")
        .mend("end what takes memory: ps aux --sort=-rss | head")
        .mend("or distil smaller students: rocoin distill --zoo wrn-10-1 …");
    }
    if share < *whole_bytes {
        return Finding::notice(
            AREA,
            Code::MemoryTight,
            format!("{room}: enough for some parts of {name} {version}, not for all ({})", mebi(*whole_bytes)),
        )
        .because("should other devices fail, this one cannot take over all of their parts");
    }
    Finding::well(
        AREA,
        Code::MemoryEnough,
        format!("{room}; all parts of {name} {version} need {}", mebi(*whole_bytes)),
    )
}

fn cpu(hardware: &Hardware) -> Finding {
    let Hardware { cores, architecture, cpu_features, cpu_features_lacking, .. } = hardware;
    let cores = format!("{cores} core{} ({architecture})", super::multicast::plural(*cores));
    if cpu_features_lacking.is_empty() {
        return Finding::well(AREA, Code::CpuFit, format!("{cores}, with {}", listed(cpu_features)));
    }
    Finding::notice(AREA, Code::CpuPlain, format!("{cores}, without {}", listed(cpu_features_lacking)))
        .because("students run all the same, some times slower; the plan counts with the rate that is measured")
}

fn listed(names: &[String]) -> String {
    if names.is_empty() { "its ordinary instructions".to_owned() } else { names.join(", ") }
}

fn rate(hardware: &Hardware) -> Finding {
    match hardware.flops_per_s {
        Some(rate) => Finding::well(AREA, Code::Calibrated, format!("measured at {:.2} GFLOP/s", rate / 1e9)),
        None => Finding::well(AREA, Code::NotCalibrated, "not measured yet; the first start of a node does it"),
    }
}

fn load(hardware: &Hardware) -> Option<Finding> {
    let load = hardware.load?;
    let cores = hardware.cores.max(1) as f64;
    if load <= cores {
        return Some(Finding::well(AREA, Code::LoadLow, format!("a load of {load:.1} in the last minute")));
    }
    let busy =
        Finding::notice(AREA, Code::LoadHigh, format!("a load of {load:.1} in the last minute, more than its cores"))
            .because("students wait for their turn, and probes may be answered late")
            .mend("see what it is: top");
    Some(busy)
}

fn disk(state: &StateFolder) -> Vec<Finding> {
    let path = &state.path;
    let free = state.disk_free_bytes.map_or_else(|| "an unknown amount".to_owned(), mebi);
    let finding = match &state.write {
        Some(WriteTest::Full) => Finding::wrong(AREA, Code::DiskFull, format!("the disk of {path} is full"))
            .because("a node cannot keep its promises (terms, plans) or students, and does not start")
            .mend(format!("make room; see what takes it: du -xh -d1 {path} /var | sort -h | tail"))
            .mend("or keep the state elsewhere: rocoin node --state-dir DIR"),
        Some(WriteTest::Failed { why }) => {
            Finding::wrong(AREA, Code::FolderUnwritable, format!("nothing can be written to {path} ({why})"))
                .because("a node keeps its identity and its promises there")
                .mend(format!("sudo chown -R $USER {path}    # or give another: rocoin node --state-dir DIR"))
        }
        Some(WriteTest::Written { .. }) | None if state.disk_free_bytes.is_some_and(|free| free < DISK_LOW_BYTES) => {
            Finding::notice(AREA, Code::DiskLow, format!("{free} free on the disk of {path}"))
                .because("students of a new bundle may not fit")
                .mend("make room, or bound what a node keeps: rocoin node --storage-bytes-max BYTES")
        }
        Some(WriteTest::Written { sync_ms }) if *sync_ms > SYNC_SLOW_MS => Finding::notice(
            AREA,
            Code::DiskSlow,
            format!("{free} free on the disk of {path}, but writing takes {sync_ms:.0} ms"),
        )
        .because("a node writes what it promises before it acts on it, so new plans are that much later")
        .mend("a better SD card, or the state elsewhere: rocoin node --state-dir DIR"),
        Some(WriteTest::Written { sync_ms }) => Finding::well(
            AREA,
            Code::DiskWritable,
            format!("{free} free on the disk of {path}; written and synced in {sync_ms:.0} ms"),
        ),
        None => return Vec::new(),
    };
    vec![finding]
}

fn mebi(bytes: u64) -> String {
    if bytes >= 10 << 30 {
        format!("{} GiB", bytes >> 30)
    } else {
        format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20))
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::codes;
    use super::*;

    fn hardware(change: impl FnOnce(&mut Hardware)) -> Hardware {
        let bundle =
            BundleNeeds { name: "f".to_owned(), version: "1".to_owned(), least_bytes: 1 << 20, whole_bytes: 8 << 20 };
        let mut hardware = Hardware {
            cores: 4,
            memory_available_bytes: Some(1 << 30),
            load: Some(0.5),
            architecture: "x86_64".to_owned(),
            cpu_features: vec!["avx2".to_owned()],
            cpu_features_lacking: Vec::new(),
            flops_per_s: Some(4e9),
            bundles: vec![bundle],
        };
        change(&mut hardware);
        hardware
    }

    #[test]
    fn memory_is_held_against_what_students_need() {
        for (available, expected) in [
            (Some(1 << 30), Code::MemoryEnough),
            (Some(8 << 20), Code::MemoryTight),
            (Some(1 << 20), Code::MemoryShort),
            (None, Code::MemoryUnknown),
        ] {
            assert_eq!(memory(&hardware(|h| h.memory_available_bytes = available)).code, expected);
        }
        assert_eq!(memory(&hardware(|h| h.bundles.clear())).code, Code::MemoryEnough);
    }

    #[test]
    fn lacking_instructions_and_much_load_are_notices() {
        assert_eq!(cpu(&hardware(|_| {})).code, Code::CpuFit);
        assert_eq!(cpu(&hardware(|h| h.cpu_features_lacking = vec!["fma".to_owned()])).code, Code::CpuPlain);
        assert_eq!(rate(&hardware(|_| {})).code, Code::Calibrated);
        assert_eq!(rate(&hardware(|h| h.flops_per_s = None)).code, Code::NotCalibrated);
        assert_eq!(load(&hardware(|_| {})).unwrap().code, Code::LoadLow);
        assert_eq!(load(&hardware(|h| h.load = Some(4.5))).unwrap().code, Code::LoadHigh);
        assert_eq!(load(&hardware(|h| h.load = None)), None);
    }

    #[test]
    fn a_disk_is_full_low_slow_or_well() {
        let state = |free: u64, write| StateFolder { disk_free_bytes: Some(free), write, ..StateFolder::default() };
        for (free, write, expected) in [
            (1 << 40, WriteTest::Written { sync_ms: 2.0 }, Code::DiskWritable),
            (1 << 40, WriteTest::Written { sync_ms: 500.0 }, Code::DiskSlow),
            (1 << 20, WriteTest::Written { sync_ms: 2.0 }, Code::DiskLow),
            (0, WriteTest::Full, Code::DiskFull),
            (1 << 40, WriteTest::Failed { why: "denied".to_owned() }, Code::FolderUnwritable),
        ] {
            assert_eq!(codes(&disk(&state(free, Some(write)))), [expected]);
        }
        assert_eq!(disk(&state(1 << 40, None)), []);
    }
}
