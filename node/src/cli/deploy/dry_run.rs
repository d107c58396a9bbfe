//! `rocoin deploy --dry-run`: the bundle is checked as far as it can be here, a node is asked for its view, and what deploying would change
//! is shown. Nothing is sent to the mesh.

use std::fmt::Write as _;

use anyhow::{Context as _, bail};
use rocoin::bundle::Manifest;
use rocoin::id::Digest;
use rocoin::node::{NodeSnapshot, PartSnapshot};
use rocoin::planner::{Group, Students};
use rocoin_models::bundle_dir::BundleDir;
use rocoin_models::session::Session;
use serde_json::{Value, json};

use super::change::{Change, DeviceChange};
use crate::cli::members::Names;
use crate::cli::plan;
use crate::cli::target::Target;
use crate::cli::text::{aligned, megabytes, print, print_json};
use crate::http::BUNDLE_BYTES_MAX;

/// The schema of `--json`.
const SCHEMA: &str = "rocoin.deploy-plan/1";

/// Runs the command.
///
/// # Errors
/// A bundle that is not valid, a node that cannot be reached, a mesh that would not plan; and, after the plan was shown, one that is not
/// feasible, with the reasons.
pub(super) fn run(bundle: &BundleDir, target: &Target, json: bool) -> anyhow::Result<()> {
    check(bundle)?;
    let snapshot = target.client()?.status()?;
    let (digest, manifest) = (bundle.digest(), bundle.manifest());
    let change = Change::of(&snapshot, digest, manifest)?;
    if json {
        print_json(&to_json(&snapshot, digest, manifest, &change))?;
    } else {
        print(&page(&snapshot, manifest, &change))?;
    }
    if !change.plan.feasible {
        let reasons: String = change.plan.reasons.iter().map(|reason| format!("\n  - {reason}")).collect();
        bail!("the plan is not feasible; the mesh would serve the best effort that is shown:{reasons}");
    }
    Ok(())
}

/// What a node checks of an upload, and more: that each student runs in the engine and gives one number a class.
fn check(bundle: &BundleDir) -> anyhow::Result<()> {
    let manifest = bundle.manifest();
    Students::from_manifest(manifest).context("the bundle cannot be planned with")?;
    let bytes = super::tar(bundle)?.len();
    if bytes > BUNDLE_BYTES_MAX {
        bail!("the bundle is {bytes} bytes as a tar file; a node takes at most {BUNDLE_BYTES_MAX}");
    }
    let (shape, classes) = (&manifest.input.shape, manifest.classes);
    for card in manifest.parts.iter().flat_map(|part| &part.students) {
        let of_student = || format!("student {} of {}", card.file, bundle.path().display());
        let session = Session::load(&bundle.student(card)?, shape).with_context(of_student)?;
        let logits = session.run(&vec![0.0; session.input_len()]).with_context(of_student)?.len();
        if logits != classes {
            bail!("{}: it gives {logits} numbers, but the manifest has {classes} classes", of_student());
        }
    }
    Ok(())
}

/// Bytes of all students.
fn bundle_bytes(manifest: &Manifest) -> u64 {
    manifest.parts.iter().flat_map(|part| &part.students).map(|card| card.bytes).sum()
}

/// The names of a planned group's devices.
fn planned<'a>(change: &'a Change<'_>, group: &'a Group) -> Vec<&'a str> {
    group.replicas.iter().map(|replica| change.fleet.devices[replica.device].name.as_str()).collect()
}

fn to_json(snapshot: &NodeSnapshot, digest: Digest, manifest: &Manifest, change: &Change<'_>) -> Value {
    let names = Names(&snapshot.members);
    let now = |part: &PartSnapshot| {
        let devices: Vec<_> = part.group.iter().map(|node| names.of(*node)).collect();
        json!({"part": part.part, "student": part.student, "devices": devices})
    };
    let device = |device: &DeviceChange<'_>| {
        let loads = device.loads.iter().map(|load| {
            let (arch, precision) = (&load.card.arch, &load.card.precision);
            json!({"part": load.part, "student": {"arch": arch, "precision": precision}, "bytes": load.card.bytes,
                   "fetched": load.is_fetched})
        });
        let unloads = device.unloads.iter().map(|(part, arch)| json!({"part": part, "student": arch}));
        json!({
            "node": device.node,
            "device": device.name,
            "loads": loads.collect::<Vec<_>>(),
            "fetched_bytes": device.fetched_bytes(),
            "unloads": unloads.collect::<Vec<_>>(),
        })
    };
    json!({
        "schema": SCHEMA,
        "bundle": digest,
        "name": manifest.name,
        "version": manifest.version,
        "bundle_bytes": bundle_bytes(manifest),
        "deployed": change.is_deployed,
        "seen_by": snapshot.node,
        "leader": snapshot.leader,
        "now": {
            "bundle": snapshot.bundle,
            "epoch": snapshot.epoch,
            "groups": snapshot.parts.iter().map(now).collect::<Vec<_>>(),
        },
        "plan": plan::to_json(&change.fleet, &change.plan),
        "devices": change.devices.iter().map(device).collect::<Vec<_>>(),
    })
}

/// For people.
fn page(snapshot: &NodeSnapshot, manifest: &Manifest, change: &Change<'_>) -> String {
    let Manifest { name, version, .. } = manifest;
    let devices = change.fleet.devices.len();
    let mut text =
        format!("{name} {version} for {devices} devices, as {} sees them. Nothing was sent.\n\n", snapshot.name);
    text += &groups(snapshot, change);
    text.push('\n');
    text += &changes(change);
    text.push('\n');
    text += &plan::figures(&change.plan);
    let rest = megabytes(bundle_bytes(manifest));
    _ = writeln!(
        text,
        "\nA device with room for it then fetches all other students too, {rest} in all, behind everything else."
    );
    if change.is_deployed {
        text += "This bundle is deployed already: deploying it again changes nothing, the plan is what planning anew would give.\n";
    }
    match snapshot.leader {
        Some(leader) if leader != snapshot.node => {
            let names = Names(&snapshot.members);
            let http = snapshot.members.iter().find(|m| m.node == leader).and_then(|m| m.http.as_deref());
            let ask = http.map(|http| format!("; ask it for exactly its plan: --node {http}")).unwrap_or_default();
            _ = writeln!(text, "{} leads, and plans with what it has observed itself{ask}", names.of(leader));
        }
        Some(_) => {}
        None => text += "There is no leader now; nothing is planned until there is one.\n",
    }
    text
}

/// Who holds each part, and who would.
fn groups(snapshot: &NodeSnapshot, change: &Change<'_>) -> String {
    let names = Names(&snapshot.members);
    let now = |part: &PartSnapshot| match (&part.student, part.group.is_empty()) {
        (Some(student), false) => format!("{student} on {}", names.list(&part.group)),
        _ => "nobody".to_owned(),
    };
    let planned = |group: &Group| match planned(change, group) {
        devices if devices.is_empty() => "nobody".to_owned(),
        devices => format!("{} {} on {}", group.arch, group.precision, devices.join(", ")),
    };
    let parts = snapshot.parts.len().max(change.plan.groups.len());
    let mut rows = vec![["part", "now", "planned"].map(str::to_owned).to_vec()];
    rows.extend((0..parts).map(|k| {
        let before = snapshot.parts.get(k).map_or_else(|| "nobody".to_owned(), now);
        let after = change.plan.groups.get(k).map_or_else(|| "no such part".to_owned(), planned);
        vec![k.to_string(), before, after]
    }));
    aligned(&rows)
}

/// What each device would do.
fn changes(change: &Change<'_>) -> String {
    if change.devices.is_empty() {
        return "No device loads or unloads anything.\n".to_owned();
    }
    let mut rows = vec![["device", "loads", "fetches", "unloads"].map(str::to_owned).to_vec()];
    let or_none = |text: String| if text.is_empty() { "-".to_owned() } else { text };
    rows.extend(change.devices.iter().map(|device| {
        let loads = device.loads.iter().map(|load| format!("{} (part {})", load.card.arch, load.part));
        let unloads = device.unloads.iter().map(|(part, arch)| format!("{arch} (part {part})"));
        let fetches = match device.fetched_bytes() {
            0 => String::new(),
            bytes => megabytes(bytes),
        };
        vec![
            device.name.clone(),
            or_none(loads.collect::<Vec<_>>().join(", ")),
            or_none(fetches),
            or_none(unloads.collect::<Vec<_>>().join(", ")),
        ]
    }));
    aligned(&rows)
}

#[cfg(test)]
mod tests {
    use super::super::change::tests::{BUNDLE, manifest, serving};
    use super::*;
    use crate::cli::fixture::{id, view};

    #[test]
    fn people_see_who_holds_what_now_and_then_and_what_each_device_does() {
        let manifest = manifest();
        let first = Change::of(&view(), BUNDLE, &manifest).unwrap();
        insta::assert_snapshot!("nothing_is_served", page(&view(), &manifest, &first));
        let mut view = serving(Digest([8; 32]), &manifest, &first);
        view.parts.iter_mut().for_each(|part| part.digest = Some(Digest([part.part.0.to_le_bytes()[0]; 32])));
        view.leader = Some(id(2));
        let page = page(&view, &manifest, &Change::of(&view, BUNDLE, &manifest).unwrap());
        assert!(page.contains("  unloads\n") && page.contains(" on pi-"), "{page}");
        assert!(page.contains("pi-2 leads") && page.contains("--node 192.168.1.2:8470"), "{page}");
    }

    #[test]
    fn programs_see_the_documented_schema() {
        let manifest = manifest();
        let change = Change::of(&view(), BUNDLE, &manifest).unwrap();
        let value = to_json(&view(), BUNDLE, &manifest, &change);
        let keys: Vec<_> = value.as_object().unwrap().keys().map(String::as_str).collect();
        let documented = [
            "bundle",
            "bundle_bytes",
            "deployed",
            "devices",
            "leader",
            "name",
            "now",
            "plan",
            "schema",
            "seen_by",
            "version",
        ];
        assert_eq!(keys.iter().collect::<std::collections::BTreeSet<_>>(), documented.iter().collect());
        assert_eq!(
            (&value["schema"], &value["plan"]["schema"]),
            (&json!("rocoin.deploy-plan/1"), &json!("rocoin.plan/1"))
        );
        assert_eq!(value["now"], json!({"bundle": null, "epoch": null, "groups": []}));
        let device = &value["devices"][1];
        assert_eq!(device["loads"][0]["fetched"], true);
        assert_eq!(device["unloads"], json!([]));
    }
}
