//! Events that somebody has to do something about, in words.

use rocoin::id::NodeId;
use rocoin::node::{Event, MemberSnapshot};
use rocoin::{deployment, inference, leadership, membership};

/// What went wrong and what to do; `None` for everything that is merely news.
pub(super) fn of(event: &Event) -> Option<String> {
    match event {
        Event::Membership(membership::Event::IdentityClash { member, known, other }) => Some(format!(
            "two devices have the identity {}: {} and {}. Neither leads. Was a storage card or a state folder cloned? Stop one \
             of them, remove its state folder and start it again",
            member.short(),
            claimant(known),
            claimant(other)
        )),
        Event::Leadership(leadership::Event::PersistFailed { reason }) => Some(format!(
            "the state folder cannot be written: {reason}. Nothing is acted on that is not written; free some space"
        )),
        Event::Leadership(leadership::Event::NotPlanned { reason }) => {
            Some(format!("no plan can be made, the last one stays: {reason}"))
        }
        Event::Leadership(leadership::Event::Planned { epoch, reasons, .. }) if !reasons.is_empty() => {
            Some(format!("plan {epoch} is the best there is, but: {}", reasons.join("; ")))
        }
        Event::Leadership(leadership::Event::TermJumpRefused { from, term, highest }) => Some(format!(
            "{} speaks of term {}, far above {}, the highest seen; it is ignored. Does it belong to this fleet?",
            from.short(),
            term.0,
            highest.0
        )),
        Event::Deployment(event) => of_deployment(event),
        Event::Inference(inference::Event::StudentFailed { student, reason }) => {
            Some(format!("student {} failed to run: {reason}", student.short()))
        }
        Event::Inference(inference::Event::Disagreed { part, replica, outvoted: true, .. }) => Some(format!(
            "{} answers otherwise for part {} than the majority; it is left out for a minute where there is another. Is it broken, or not \
             what it claims to be? `rocoin status` counts",
            replica.short(),
            part.0
        )),
        Event::Inference(inference::Event::Disagreed { part, replica, outvoted: false, .. }) => Some(format!(
            "{} answers otherwise for part {} than others with the same student, and no majority says who is right; a part with three \
             replicas would tell",
            replica.short(),
            part.0
        )),
        Event::Membership(_) | Event::Leadership(_) | Event::Inference(_) => None,
    }
}

/// The peers' names and ids, to go before what is said of them; if there are several, it is one of them.
pub(super) fn names(about: &[NodeId], members: &[MemberSnapshot]) -> String {
    let name = |id: &NodeId| match members.iter().find(|member| member.node == *id) {
        Some(member) => format!("{} ({id})", member.name),
        None => format!("a node without a name here ({id})"),
    };
    match about {
        [] => String::new(),
        [one] => format!("{}: ", name(one)),
        several => format!("one of {}: ", several.iter().map(name).collect::<Vec<_>>().join(", ")),
    }
}

fn of_deployment(event: &deployment::Event) -> Option<String> {
    match event {
        deployment::Event::Conflict { served, other } => Some(format!(
            "two bundles are called {} {}: {} is served, {} is not; deploy it again under a version of its own",
            served.name,
            served.version,
            served.bundle.short(),
            other.bundle.short()
        )),
        deployment::Event::WrongHash { artifact, from } => Some(format!(
            "{} sent bytes that are not {}; they are thrown away and it is avoided. Check its disk",
            from.short(),
            artifact.short()
        )),
        deployment::Event::BadManifest { bundle, reason } => {
            Some(format!("bundle {} cannot be served: {reason}", bundle.short()))
        }
        deployment::Event::StoreFailed { artifact, reason } => {
            Some(format!("{} cannot be stored: {reason}; it is tried again", artifact.short()))
        }
        deployment::Event::LoadFailed { student, reason } => {
            Some(format!("student {} cannot be loaded: {reason}; it is tried again", student.short()))
        }
        deployment::Event::Desired { .. }
        | deployment::Event::Fetched { .. }
        | deployment::Event::Ready { .. }
        | deployment::Event::Unloaded { .. }
        | deployment::Event::Discarded { .. } => None,
    }
}

fn claimant(claimant: &membership::Claimant) -> String {
    let name = claimant.name.as_deref().unwrap_or("one without a name");
    if claimant.addresses.is_empty() { name.to_owned() } else { format!("{name} at {}", claimant.addresses.join(", ")) }
}
