//! `rocoin deploy`: gives a bundle to a running mesh and waits until it is served by all that the plan gives it to.
//!
//! With `--dry-run` it shows what that would change, and gives nothing to anybody.

mod change;
mod dry_run;

use std::fmt;
use std::io::{IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use rocoin::id::Digest;
use rocoin::node::{NodeSnapshot, PartSnapshot};
use rocoin_models::bundle_dir::BundleDir;
use rocoin_netsim::harness::wait_until;
use serde_json::json;

use super::target::Target;

/// Gives a bundle to a running mesh and waits until every device of the plan serves it
#[derive(Debug, Args)]
pub struct DeployArgs {
    /// The bundle: a folder with manifest.json, or a tar file of one
    bundle: PathBuf,
    #[command(flatten)]
    target: Target,
    /// How long to wait until every device of the plan is ready
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    timeout: u64,
    /// Only show what would change: check the bundle, and plan for it as the mesh would with the members that the node sees
    ///
    /// Nothing is sent to the mesh. Shown are, part by part, who holds it now and who would; what each device would fetch, load and
    /// unload; and what is to be expected of the plan. The exit code is 1 if the plan would not be feasible.
    #[arg(long, conflicts_with = "timeout")]
    dry_run: bool,
    /// Print JSON (schema rocoin.deploy/1; with --dry-run rocoin.deploy-plan/1)
    #[arg(long)]
    json: bool,
}

/// Runs the command.
///
/// # Errors
/// If the bundle is not valid, the node cannot be reached, or not every device of the plan is ready in time: the message then says
/// which parts are served by how many. The mesh goes on trying, and what it served before is served until the new one is. With
/// `--dry-run` if the plan would not be feasible.
pub fn run(args: &DeployArgs) -> anyhow::Result<()> {
    let bundle = BundleDir::open(&args.bundle)?;
    if args.dry_run {
        return dry_run::run(&bundle, &args.target, args.json);
    }
    let digest = bundle.digest();
    let client = args.target.client()?;
    let timeout = Duration::from_secs(args.timeout);
    client.deploy(&tar(&bundle)?, timeout)?;
    let manifest = bundle.manifest();
    let terminal = std::io::stderr().is_terminal();
    let what = format!("every device of the plan serves {} {}", manifest.name, manifest.version);
    let snapshot = wait_until(&what, timeout, || {
        let snapshot = client.status().map_err(|e| e.to_string())?;
        let progress = Progress::of(&snapshot, digest, manifest.parts.len());
        if terminal {
            eprint!("\r{progress} ");
        }
        if progress.is_complete() { Ok(snapshot) } else { Err(lacking(&snapshot, &progress)) }
    });
    if terminal {
        eprintln!();
    }
    let snapshot = snapshot?;
    let text = if args.json {
        json!({
            "schema": "rocoin.deploy/1",
            "bundle": digest,
            "name": manifest.name,
            "version": manifest.version,
            "parts": manifest.parts.len(),
            "replicas": snapshot.parts.iter().map(|part| part.group.len()).collect::<Vec<_>>(),
            "epoch": snapshot.epoch,
        })
        .to_string()
    } else {
        let (name, version, parts) = (&manifest.name, &manifest.version, manifest.parts.len());
        let replicas: usize = snapshot.parts.iter().map(|part| part.group.len()).sum();
        format!("{name} {version}: all {parts} parts are served, by {replicas} replicas as planned")
    };
    writeln!(std::io::stdout(), "{text}")?;
    Ok(())
}

/// How far a deployment is.
struct Progress {
    parts: usize,
    served: usize,
    /// Of each part by number: the devices that the plan gives it to, and how many of them answer.
    groups: Vec<(u16, usize, usize)>,
}

impl Progress {
    fn of(snapshot: &NodeSnapshot, bundle: Digest, parts: usize) -> Self {
        if snapshot.bundle.as_ref().is_none_or(|b| b.digest != bundle) {
            return Self { parts, served: 0, groups: Vec::new() };
        }
        let ready = |part: &PartSnapshot| part.group.iter().filter(|node| part.ready.contains(node)).count();
        let groups = snapshot.parts.iter().map(|part| (part.part.0, part.group.len(), ready(part))).collect();
        Self { parts, served: snapshot.parts_served, groups }
    }

    fn is_complete(&self) -> bool {
        self.served == self.parts && self.groups.iter().all(|(_, planned, ready)| *planned > 0 && ready == planned)
    }
}

impl fmt::Display for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sum = |of: fn(&(u16, usize, usize)) -> usize| self.groups.iter().map(of).sum::<usize>();
        write!(f, "{} of {} parts served, {} of {} replicas ready", self.served, self.parts, sum(|g| g.2), sum(|g| g.1))
    }
}

fn lacking(snapshot: &NodeSnapshot, progress: &Progress) -> String {
    let thin = progress.groups.iter().filter(|(_, planned, ready)| ready < planned || *planned == 0);
    let thin: Vec<_> = thin.map(|(part, planned, ready)| format!("part {part} by {ready} of {planned}")).collect();
    let details = if thin.is_empty() { String::new() } else { format!(" ({})", thin.join(", ")) };
    let requests = if progress.served == progress.parts { "; requests are answered whole already" } else { "" };
    let leader = if snapshot.leader.is_some() { "" } else { ", and there is no leader yet" };
    let members = snapshot.members.len();
    format!(
        "{progress}{details} with {members} members{leader}{requests}; the mesh goes on, `rocoin status` shows more"
    )
}

fn tar(bundle: &BundleDir) -> anyhow::Result<Vec<u8>> {
    let mut tar = tar::Builder::new(Vec::new());
    let mut add = |name: &str, bytes: &[u8]| {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        tar.append_data(&mut header, name, bytes).with_context(|| format!("cannot pack {name}"))
    };
    add("manifest.json", bundle.manifest_json())?;
    for card in bundle.manifest().parts.iter().flat_map(|part| &part.students) {
        add(&card.file, &bundle.student(card)?)?;
    }
    tar.into_inner().context("cannot pack the bundle")
}

#[cfg(test)]
mod tests {
    use rocoin::id::{NodeId, PartId};

    use super::*;

    const BUNDLE: Digest = Digest([7; 32]);

    fn progress(parts: &[(&[u8], &[u8])]) -> Progress {
        let nodes = |ids: &[u8]| ids.iter().map(|id| NodeId([*id; 32])).collect();
        let part = |(part, (group, ready)): (u16, &(&[u8], &[u8]))| PartSnapshot {
            part: PartId(part),
            group: nodes(group),
            student: None,
            digest: None,
            ready: nodes(ready),
        };
        let mut snapshot = crate::actor::tests::snapshot();
        snapshot.bundle =
            Some(rocoin::node::BundleSnapshot { digest: BUNDLE, name: "m".to_owned(), version: "1".to_owned() });
        snapshot.parts = (0..).zip(parts).map(part).collect();
        snapshot.parts_served = snapshot.parts.iter().filter(|part| !part.ready.is_empty()).count();
        Progress::of(&snapshot, BUNDLE, parts.len())
    }

    #[test]
    fn a_deployment_is_complete_when_every_device_of_the_plan_answers_not_one_a_part() {
        let thin = progress(&[(&[1, 2], &[1, 2]), (&[3, 4], &[4, 9])]);
        assert!(!thin.is_complete());
        let text = lacking(&crate::actor::tests::snapshot(), &thin);
        assert!(text.starts_with("2 of 2 parts served, 3 of 4 replicas ready (part 1 by 1 of 2)"), "{text}");
        assert!(text.contains("answered whole already"), "{text}");
        assert!(progress(&[(&[1, 2], &[2, 1]), (&[3], &[3, 9])]).is_complete());
        assert!(!progress(&[(&[1], &[1]), (&[], &[2])]).is_complete(), "served by what an older plan left");
    }

    #[test]
    fn while_another_bundle_is_served_nothing_of_this_one_is() {
        let mut snapshot = crate::actor::tests::snapshot();
        snapshot.parts_served = 3;
        assert_eq!(Progress::of(&snapshot, BUNDLE, 3).to_string(), "0 of 3 parts served, 0 of 0 replicas ready");
    }
}
