//! Grouping devices: follow-the-leader, after RoCoIn.
//!
//! Devices are points in normalised (compute, memory, link rate). The groups are disjoint; several parts on one device come from
//! elsewhere (placement and search).

use crate::fleet::Capability;

/// Halvings of the distance threshold while the one that gives K groups is sought; the distances are below √3.
const HALVINGS: usize = 40;
/// Relative; a product of probabilities may miss its bound by rounding.
const ROUNDING: f64 = 1e-9;

/// A device as a point: each coordinate a fraction of the fleet's largest.
fn points(devices: &[&Capability]) -> Vec<[f64; 3]> {
    let raw = |c: &Capability| [c.flops_per_s, c.memory_bytes as f64, c.link_bits_per_s];
    let greater = |a: [f64; 3], b: [f64; 3]| core::array::from_fn(|i| a[i].max(b[i]));
    let largest = devices.iter().map(|c| raw(c)).fold([f64::MIN_POSITIVE; 3], greater);
    devices.iter().map(|c| core::array::from_fn(|i| raw(c)[i] / largest[i])).collect()
}

fn distance(a: &[f64; 3], b: &[f64; 3]) -> f64 {
    a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum::<f64>().sqrt()
}

/// Device indices, most capable (largest sum of coordinates) first.
fn by_capability(points: &[[f64; 3]]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..points.len()).collect();
    let sum = |n: usize| points[n].iter().sum::<f64>();
    order.sort_by(|&a, &b| sum(b).total_cmp(&sum(a)));
    order
}

/// Follow-the-leader: devices in order of capability join the group with the nearest leader while it is no farther than `distance_max`
/// (d_th), else lead a group of their own. Each group lists its leader first. `None` if there would be more than `groups_max`.
fn follow(points: &[[f64; 3]], distance_max: f64, groups_max: usize) -> Option<Vec<Vec<usize>>> {
    let mut groups: Vec<Vec<usize>> = Vec::new();
    for n in by_capability(points) {
        let to_leader = |group: &usize| distance(&points[groups[*group][0]], &points[n]);
        let nearest = (0..groups.len()).min_by(|a, b| to_leader(a).total_cmp(&to_leader(b)));
        match nearest.filter(|group| to_leader(group) <= distance_max) {
            Some(group) => groups[group].push(n),
            None if groups.len() == groups_max => return None,
            None => groups.push(vec![n]),
        }
    }
    Some(groups)
}

/// Groups of devices for K parts by follow-the-leader.
///
/// d_th is the least that gives at most `parts` groups (the paper's value is not known); if it gives fewer, the largest group is split
/// until there are K or no group has two devices. Then groups above `failure_max` (p_th) are repaired by moving the device nearest to
/// their leader out of a group that can spare it. The result has `parts` groups, some empty where devices are too few.
pub(crate) fn follow_the_leader(devices: &[&Capability], parts: usize, failure_max: f64) -> Vec<Vec<usize>> {
    let points = points(devices);
    let (mut low, mut high) = (0.0, 2.0);
    let mut groups = follow(&points, high, parts).unwrap_or_default();
    for _ in 0..HALVINGS {
        let middle = (low + high) / 2.0;
        match follow(&points, middle, parts) {
            Some(found) => (groups, high) = (found, middle),
            None => low = middle,
        }
    }
    split(&mut groups, parts);
    repair(&mut groups, &points, devices, failure_max);
    groups
}

fn split(groups: &mut Vec<Vec<usize>>, parts: usize) {
    while groups.len() < parts {
        let largest = groups.iter_mut().max_by_key(|group| group.len()).filter(|group| group.len() > 1);
        let half = largest.map_or_else(Vec::new, |group| {
            let (even, odd) = group.iter().enumerate().partition::<Vec<_>, _>(|(i, _)| i % 2 == 0);
            let odd = odd.into_iter().map(|(_, n)| *n).collect();
            *group = even.into_iter().map(|(_, n)| *n).collect();
            odd
        });
        groups.push(half);
    }
}

/// Whether the devices of `group` fail together no more often than `failure_max`.
pub(crate) fn is_reliable(devices: &[&Capability], group: &[usize], failure_max: f64) -> bool {
    !group.is_empty() && failure(devices, group) <= failure_max * (1.0 + ROUNDING)
}

fn failure(devices: &[&Capability], group: &[usize]) -> f64 {
    group.iter().map(|&n| devices[n].failure_probability).product()
}

fn repair(groups: &mut [Vec<usize>], points: &[[f64; 3]], devices: &[&Capability], failure_max: f64) {
    let failure = |group: &[usize]| failure(devices, group);
    let reliable = |group: &[usize]| is_reliable(devices, group, failure_max);
    for _ in 0..devices.len() {
        let worst = (0..groups.len()).max_by(|&a, &b| failure(&groups[a]).total_cmp(&failure(&groups[b])));
        let Some(worst) = worst.filter(|&worst| !reliable(&groups[worst])) else { return };
        let to_worst = |n: usize| groups[worst].first().map_or(0.0, |&leader| distance(&points[leader], &points[n]));
        let without = |group: &[usize], n: usize| group.iter().copied().filter(|&m| m != n).collect::<Vec<_>>();
        let spare = (0..groups.len())
            .filter(|&g| g != worst)
            .flat_map(|g| groups[g].iter().map(move |&n| (g, n)))
            .filter(|&(g, n)| reliable(&without(&groups[g], n)))
            .min_by(|a, b| to_worst(a.1).total_cmp(&to_worst(b.1)));
        let Some((from, n)) = spare else { return };
        groups[from].retain(|&m| m != n);
        groups[worst].push(n);
    }
}

#[cfg(test)]
mod tests {
    use super::super::problem::tests::capability;
    use super::*;

    fn groups(devices: &[Capability], parts: usize, failure_max: f64) -> Vec<Vec<usize>> {
        let devices: Vec<&Capability> = devices.iter().collect();
        let mut groups = follow_the_leader(&devices, parts, failure_max);
        groups.iter_mut().for_each(|group| group.sort_unstable());
        groups.sort();
        groups
    }

    #[test]
    fn like_devices_follow_one_leader() {
        let devices = [10e6, 30e6, 11e6, 29e6, 9e6, 31e6].map(|flops| capability(flops, 1000));
        assert_eq!(groups(&devices, 2, 0.5), [[0, 2, 4], [1, 3, 5]]);
    }

    #[test]
    fn equal_devices_are_split_evenly() {
        let devices = [1e6; 8].map(|flops| capability(flops, 1000));
        assert!(groups(&devices, 4, 0.05).iter().all(|group| group.len() == 2));
    }

    #[test]
    fn a_group_too_likely_to_fail_gets_the_nearest_device_that_can_be_spared() {
        let devices = [30e6, 10e6, 11e6, 12e6].map(|flops| capability(flops, 1000));
        assert_eq!(groups(&devices, 2, 0.01), [[0, 3], [1, 2]]);
    }

    #[test]
    fn with_fewer_devices_than_parts_some_groups_are_empty() {
        assert_eq!(groups(&[capability(1e6, 1000)], 3, 0.05), [vec![], vec![], vec![0]]);
    }
}
