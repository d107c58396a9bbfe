//! `rocoin status`: the mesh as one node sees it.

use std::fmt::Write as _;
use std::io::Write as _;

use clap::Args;
use rocoin::id::NodeId;
use rocoin::node::NodeSnapshot;

use super::members::{Names, state_of};
use super::target::Target;

/// Shows the mesh as one node sees it
#[derive(Debug, Args)]
pub struct StatusArgs {
    #[command(flatten)]
    target: Target,
    /// Print JSON (schema rocoin.status/1)
    #[arg(long)]
    json: bool,
}

/// Runs the command.
///
/// # Errors
/// If the node cannot be reached.
pub fn run(args: &StatusArgs) -> anyhow::Result<()> {
    let snapshot = args.target.client()?.status()?;
    let text = if args.json { serde_json::to_string_pretty(&snapshot)? + "\n" } else { page(&snapshot) };
    std::io::stdout().write_all(text.as_bytes())?;
    Ok(())
}

fn page(s: &NodeSnapshot) -> String {
    let name = |id: &NodeId| Names(&s.members).of(*id);
    let names = |ids: &[NodeId]| if ids.is_empty() { "-".to_owned() } else { join(ids.iter().map(&name)) };
    let mut page = String::new();
    let bundle = s.bundle.as_ref().map_or_else(|| "none".to_owned(), |b| format!("{} {}", b.name, b.version));
    let leader = s.leader.as_ref().map_or_else(|| "none".to_owned(), &name);
    let _ = writeln!(page, "node    {} ({}){}", s.name, s.node.short(), if s.draining { ", draining" } else { "" });
    let _ = writeln!(page, "leader  {leader}, term {}", s.term.0);
    let _ = writeln!(page, "epoch   {}", s.epoch.as_deref().unwrap_or("none"));
    let _ = writeln!(page, "bundle  {bundle}, {} of {} parts served", s.parts_served, s.parts.len());
    let _ = writeln!(page, "load    {} open requests, {} waiting runs\n", s.open_requests, s.queued_jobs);
    let _ = writeln!(page, "{:<5} {:<10} {:<34} READY", "PART", "STUDENT", "GROUP");
    for part in &s.parts {
        let student = part.student.as_deref().unwrap_or("-");
        let _ = writeln!(page, "{:<5} {student:<10} {:<34} {}", part.part.0, names(&part.group), names(&part.ready));
    }
    let _ = writeln!(
        page,
        "\n{:<16} {:<9} {:<8} {:<9} {:<8} {:<10} HTTP",
        "MEMBER", "ID", "STATE", "GFLOP/S", "PARTS", "EPOCH"
    );
    for m in &s.members {
        let state = state_of(m);
        let _ = writeln!(
            page,
            "{:<16} {:<9} {state:<8} {:<9.2} {:<8} {:<10} {}",
            m.name,
            m.node.short(),
            m.capability.flops_per_s / 1e9,
            join(m.ready.iter().map(|p| p.0.to_string())),
            m.epoch.as_deref().unwrap_or("-"),
            m.http.as_deref().unwrap_or("-")
        );
    }
    for m in s.members.iter().filter(|m| m.outvoted + m.disputed > 0) {
        let left_out = if m.distrusted { ", left out for now" } else { "" };
        let _ = writeln!(
            page,
            "\n{} answered otherwise than others: outvoted {} times, without a majority {} times{left_out}",
            name(&m.node),
            m.outvoted,
            m.disputed
        );
    }
    page
}

fn join(items: impl Iterator<Item = String>) -> String {
    items.collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use rocoin::id::PartId;
    use rocoin::node::PartSnapshot;

    use super::*;
    use crate::cli::fixture::named as member;

    #[test]
    fn nodes_of_one_name_are_told_apart_by_their_ids_wherever_they_are_named() {
        let part = PartSnapshot {
            part: PartId(0),
            group: [1, 2, 3].map(|id| NodeId([id; 32])).to_vec(),
            student: None,
            digest: None,
            ready: Vec::new(),
        };
        let snapshot = NodeSnapshot {
            leader: Some(NodeId([1; 32])),
            parts: vec![part],
            members: vec![member(1, "pi"), member(2, "pi"), member(3, "laptop")],
            ..crate::actor::tests::snapshot()
        };
        let page = page(&snapshot);
        assert!(page.contains("leader  pi(01010101), term"), "{page}");
        assert!(page.contains("pi(01010101),pi(02020202),laptop "), "{page}");
        assert!(page.contains("pi(02020202) answered otherwise"), "{page}");
        assert!(page.contains("\nlaptop answered otherwise"), "{page}");
    }
}
