//! What happens in a node, as lines of JSON with the time: for `--event-file`, from which the lab takes its times.
//!
//! Requests are left out, since there are too many of them. A node that cannot keep up says how many events it missed.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use rocoin::node::Event;
use rocoin::{deployment, inference, leadership, membership};
use serde_json::{Value, json};
use tokio::fs::File;
use tokio::io::AsyncWriteExt as _;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

use crate::files::{FileError, failed};

/// Bytes of the file at most. After them one last line says so, and nothing more is written.
const FILE_BYTES_MAX: u64 = 64 << 20;

/// Writes every event from now on to the end of the file, until the node ends.
///
/// # Errors
/// If the file cannot be opened. What goes wrong later is logged, and nothing more is written.
pub(crate) async fn record(path: &Path, events: Receiver<Event>) -> Result<(), FileError> {
    let opened = File::options().create(true).append(true).open(path).await;
    let file = opened.map_err(failed("open", path))?;
    let length = file.metadata().await.map_or(0, |metadata| metadata.len());
    tokio::spawn(write(path.to_owned(), file, length, events));
    Ok(())
}

async fn write(path: PathBuf, mut file: File, mut length: u64, mut events: Receiver<Event>) {
    loop {
        let event = events.recv().await;
        let at = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_nanos());
        let mut line = match event {
            Ok(event) => match told(&event) {
                Some(line) => line,
                None => continue,
            },
            Err(RecvError::Lagged(count)) => json!({ "event": "missed", "count": count }),
            Err(RecvError::Closed) => return,
        };
        let is_full = length >= FILE_BYTES_MAX;
        if is_full {
            line = json!({ "event": "full" });
        }
        line["at_unix_ns"] = json!(u64::try_from(at).unwrap_or(u64::MAX));
        let text = format!("{line}\n");
        // Flushed, since a tokio file writes in the background.
        let written = async {
            file.write_all(text.as_bytes()).await?;
            file.flush().await
        };
        if let Err(e) = written.await {
            tracing::warn!("no more events are written to {}: {e}", path.display());
            return;
        }
        length += text.len() as u64;
        if is_full {
            return;
        }
    }
}

/// An event as JSON, without its time; `None` for those that are left out.
pub(crate) fn told(event: &Event) -> Option<Value> {
    match event {
        Event::Membership(event) => of_membership(event),
        Event::Leadership(event) => Some(of_leadership(event)),
        Event::Deployment(event) => Some(of_deployment(event)),
        Event::Inference(inference::Event::StudentFailed { student, reason }) => {
            Some(json!({ "event": "student_failed", "student": student, "reason": reason }))
        }
        Event::Inference(inference::Event::Disagreed { part, replica, outvoted, .. }) => {
            Some(json!({ "event": "disagreed", "member": replica, "part": part, "outvoted": outvoted }))
        }
        Event::Inference(inference::Event::Finished { .. } | inference::Event::Failover { .. }) => None,
    }
}

fn of_membership(event: &membership::Event) -> Option<Value> {
    use membership::Event as Of;
    let (name, member) = match event {
        Of::Joined { member, .. } => ("joined", member),
        Of::Suspected { member, by, .. } => return Some(json!({ "event": "suspected", "member": member, "by": by })),
        Of::Refuted { member, .. } => ("refuted", member),
        Of::Down { member, .. } => ("down", member),
        Of::Alive { member, .. } => ("alive", member),
        Of::Left { member } => ("left", member),
        Of::Routable { member } => ("routable", member),
        Of::Unroutable { member, reason } => {
            let reason = match reason {
                membership::Reason::LinkDown => "link_down",
                membership::Reason::RequestFailed => "request_failed",
                membership::Reason::NoAnswer => "no_answer",
                membership::Reason::State => "state",
            };
            return Some(json!({ "event": "unroutable", "member": member, "reason": reason }));
        }
        Of::IdentityClash { member, .. } => ("identity_clash", member),
        Of::RecordChanged { .. } => return None,
    };
    Some(json!({ "event": name, "member": member }))
}

fn of_leadership(event: &leadership::Event) -> Value {
    use leadership::Event as Of;
    match event {
        Of::Leader { claim } => {
            json!({ "event": "leader", "member": claim.map(|c| c.leader), "term": claim.map(|c| c.term) })
        }
        Of::Planned { epoch, moved, reasons } => {
            json!({ "event": "planned", "epoch": epoch.to_string(), "moved": moved, "reasons": reasons })
        }
        Of::NotPlanned { reason } => json!({ "event": "not_planned", "reason": reason }),
        Of::TermJumpRefused { from, .. } => json!({ "event": "term_jump_refused", "member": from }),
        Of::PersistFailed { reason } => json!({ "event": "persist_failed", "reason": reason }),
        Of::Barred { member } => json!({ "event": "barred", "member": member }),
    }
}

fn of_deployment(event: &deployment::Event) -> Value {
    use deployment::Event as Of;
    match event {
        Of::Desired { deployment } => json!({ "event": "desired", "bundle": deployment.bundle }),
        Of::Conflict { served, other } => {
            json!({ "event": "conflict", "bundle": served.bundle, "other": other.bundle })
        }
        Of::Fetched { artifact, bytes } => json!({ "event": "fetched", "artifact": artifact, "bytes": bytes }),
        Of::WrongHash { artifact, from } => json!({ "event": "wrong_hash", "artifact": artifact, "member": from }),
        Of::BadManifest { bundle, reason } => json!({ "event": "bad_manifest", "bundle": bundle, "reason": reason }),
        Of::StoreFailed { artifact, reason } => {
            json!({ "event": "store_failed", "artifact": artifact, "reason": reason })
        }
        Of::Ready { student } => json!({ "event": "ready", "student": student }),
        Of::LoadFailed { student, reason } => json!({ "event": "load_failed", "student": student, "reason": reason }),
        Of::Discarded { artifact } => json!({ "event": "discarded", "artifact": artifact }),
        Of::Unloaded { student } => json!({ "event": "unloaded", "student": student }),
    }
}

#[cfg(test)]
mod tests {
    use rocoin::id::NodeId;
    use tokio::sync::broadcast;

    use super::*;

    #[tokio::test]
    async fn each_event_is_a_line_with_its_time_and_misses_are_told() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("events.jsonl");
        let (sender, receiver) = broadcast::channel(2);
        let member = NodeId([7; 32]);
        for _ in 0..3 {
            sender.send(Event::Membership(membership::Event::Left { member })).unwrap();
        }
        drop(sender);
        let file = File::create(&path).await.unwrap();
        write(path.clone(), file, 0, receiver).await;
        let text = std::fs::read_to_string(&path).unwrap();
        let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!((lines[0]["event"].as_str(), lines[0]["count"].as_u64()), (Some("missed"), Some(1)));
        assert_eq!(lines[1]["event"], "left");
        assert_eq!(lines[1]["member"], member.to_string());
        assert!(lines.len() == 3 && lines.iter().all(|line| line["at_unix_ns"].is_u64()));
    }

    #[tokio::test]
    async fn a_full_file_says_so_and_ends() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("events.jsonl");
        let (sender, receiver) = broadcast::channel(8);
        for _ in 0..3 {
            sender.send(Event::Membership(membership::Event::Left { member: NodeId([7; 32]) })).unwrap();
        }
        let file = File::create(&path).await.unwrap();
        write(path.clone(), file, FILE_BYTES_MAX, receiver).await;
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.lines().count() == 1 && text.contains("full"), "{text}");
    }
}
