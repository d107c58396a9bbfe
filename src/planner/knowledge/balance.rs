//! Points to clusters of given sizes, at the least total cost.

/// The cheapest assignment of every point to a cluster such that cluster c gets `sizes[c]` of them; `cost[point][cluster]`. The sizes
/// sum to the number of points. Exact: points come one by one, each by a cheapest chain of moves between clusters.
pub(super) fn assign(cost: &[Vec<f64>], sizes: &[usize]) -> Vec<usize> {
    assert_eq!(sizes.iter().sum::<usize>(), cost.len(), "the sizes sum to the number of points");
    let mut cluster_of: Vec<usize> = Vec::with_capacity(cost.len());
    let mut free = sizes.to_vec();
    for point in 0..cost.len() {
        let (mut to, came_from) = cheapest_chain(cost, &cluster_of, point, &free);
        free[to] -= 1;
        cluster_of.push(to);
        while let Some((from, moved)) = came_from[to] {
            cluster_of[moved] = to;
            to = from;
        }
        cluster_of[point] = to;
    }
    cluster_of
}

/// For a cluster: the one before it in the chain, and the point that moves on from there.
type CameFrom = Vec<Option<(usize, usize)>>;

/// The cluster with room that is cheapest to reach for a new point, with the chain that leads there (Bellman–Ford over the clusters).
fn cheapest_chain(cost: &[Vec<f64>], cluster_of: &[usize], point: usize, free: &[usize]) -> (usize, CameFrom) {
    let clusters = free.len();
    let mut step = vec![vec![(f64::INFINITY, 0); clusters]; clusters];
    for (moved, &from) in cluster_of.iter().enumerate() {
        for to in 0..clusters {
            let extra = cost[moved][to] - cost[moved][from];
            if extra < step[from][to].0 {
                step[from][to] = (extra, moved);
            }
        }
    }
    let mut reach = cost[point].clone();
    let mut came_from: CameFrom = vec![None; clusters];
    for _ in 1..clusters {
        for from in 0..clusters {
            for to in (0..clusters).filter(|&to| to != from) {
                let (extra, moved) = step[from][to];
                // The margin keeps rounding from closing a circle.
                if reach[from] + extra < reach[to] - 1e-12 {
                    reach[to] = reach[from] + extra;
                    came_from[to] = Some((from, moved));
                }
            }
        }
    }
    let open = (0..clusters).filter(|&c| free[c] > 0);
    (open.min_by(|&a, &b| reach[a].total_cmp(&reach[b])).expect("there is room for every point"), came_from)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::super::matching::least_sum;
    use super::*;

    proptest! {
        #[test]
        fn the_cost_is_that_of_a_matching_with_a_slot_for_each_place(
            cost in prop::collection::vec(prop::collection::vec(0.0..1.0_f64, 3), 12),
            first in 0..=12_usize,
            second in 0..=12_usize,
        ) {
            let sizes = [first.min(second), first.max(second) - first.min(second), 12 - first.max(second)];
            let slots: Vec<usize> = (0..3).flat_map(|c| vec![c; sizes[c]]).collect();
            let square: Vec<Vec<f64>> = cost.iter().map(|row| slots.iter().map(|&c| row[c]).collect()).collect();
            let least: f64 = least_sum(&square).iter().enumerate().map(|(i, &slot)| square[i][slot]).sum();
            let found = assign(&cost, &sizes);
            for (c, size) in sizes.iter().enumerate() {
                prop_assert_eq!(found.iter().filter(|&&of| of == c).count(), *size);
            }
            let total: f64 = found.iter().enumerate().map(|(i, &c)| cost[i][c]).sum();
            prop_assert!((total - least).abs() < 1e-9, "{} is not {}", total, least);
        }
    }
}
