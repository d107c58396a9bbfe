//! `rocoin fleet export`: the mesh as a fleet file, from what its members say of themselves and what a node observed of them.
//!
//! It is what that node would plan with if it led, so `rocoin plan --fleet` shows the plan that the mesh would make from nothing. Link rates
//! in it are configured, not measured.

use std::fmt::Write as _;

use rocoin::fleet::{Capability, Device, Fleet};
use rocoin::node::{MemberSnapshot, NodeSnapshot};

use crate::cli::members::Names;
use crate::cli::target::Target;
use crate::cli::text::print;

/// The most that a fleet file takes is below 1; a device that always fails is written down as this.
const FAILURE_PROBABILITY_MAX: f64 = 0.999_999;

/// Runs the command.
///
/// # Errors
/// If the node cannot be reached, or sees no member that it would plan with.
pub(super) fn run(target: &Target) -> anyhow::Result<()> {
    let snapshot = target.client()?.status()?;
    let fleet = fleet(&snapshot);
    if fleet.devices.is_empty() {
        anyhow::bail!("{} sees no member that it would plan with, not even itself; is it leaving?", snapshot.name);
    }
    print(&(head(&snapshot) + &fleet.to_toml()))
}

/// The members that are planned with.
fn fleet(snapshot: &NodeSnapshot) -> Fleet {
    let names = Names(&snapshot.members);
    let device = |member: &MemberSnapshot| {
        let capability = member.planned_with?;
        Some(Device { name: names.of(member.node), capability: writable(capability) })
    };
    Fleet { devices: snapshot.members.iter().filter_map(device).collect(), plan: snapshot.planning.options.clone() }
}

/// As near to what a member says as a fleet file can hold.
fn writable(capability: Capability) -> Capability {
    Capability {
        memory_bytes: capability.memory_bytes.min(i64::MAX.unsigned_abs()),
        failure_probability: capability.failure_probability.min(FAILURE_PROBABILITY_MAX),
        ..capability
    }
}

/// Where it is from, and who is not in it.
fn head(snapshot: &NodeSnapshot) -> String {
    let names = Names(&snapshot.members);
    let mut text = format!("# The mesh as {} sees it; `rocoin plan --fleet` reads it.\n", names.of(snapshot.node));
    let left_out = snapshot.members.iter().filter(|member| member.planned_with.is_none());
    let left_out: Vec<_> = left_out.map(|member| names.of(member.node)).collect();
    if !left_out.is_empty() {
        _ = writeln!(text, "# Left out, since they are down, suspect or leaving: {}", left_out.join(", "));
    }
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use rocoin::id::NodeId;

    use super::*;
    use crate::cli::fixture::view;

    #[test]
    fn what_is_exported_is_read_back_with_every_member_that_is_planned_with() {
        let mut snapshot = view();
        snapshot.planning.options.rho = 0.9;
        let odd = Capability {
            flops_per_s: 1.0 / 3.0,
            memory_bytes: u64::MAX,
            failure_probability: 1.0,
            ..snapshot.members[0].capability
        };
        snapshot.members[1].planned_with = Some(odd);
        let text = head(&snapshot) + &fleet(&snapshot).to_toml();
        let read = Fleet::parse(&text).unwrap();
        assert_eq!(read, fleet(&snapshot));
        assert_eq!(read.plan.rho, 0.9);
        assert_eq!(read.devices.iter().map(|d| d.name.as_str()).collect::<Vec<_>>(), ["pi-1", "pi-2", "pi-3", "pi-4"]);
        assert_eq!(read.devices[0].capability, snapshot.members[0].capability);
        assert_eq!(read.devices[1].capability.flops_per_s, 1.0 / 3.0);
        assert!(text.contains("# Left out, since they are down, suspect or leaving: pi-5\n"), "{text}");
    }

    #[test]
    fn members_of_one_name_and_names_that_break_lines_make_a_file_that_can_be_read() {
        let mut snapshot = view();
        snapshot.members[0].name = "pi\n[[device]]".to_owned();
        snapshot.members[2].name = "pi-2".to_owned();
        snapshot.members[4].name = "pi\nrho = 0".to_owned();
        snapshot.node = NodeId([1; 32]);
        let read = Fleet::parse(&(head(&snapshot) + &fleet(&snapshot).to_toml())).unwrap();
        let names: Vec<_> = read.devices.iter().map(|d| d.name.as_str()).collect();
        assert_eq!(names, ["pi?[[device]](01010101)", "pi-2(02020202)", "pi-2(03030303)", "pi-4"]);
    }
}
