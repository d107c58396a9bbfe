//! NoNN's own division, to compare with: from its public recipe (arXiv 1907.11804 and the code beside it).
//!
//! Only the [`STRONGEST`] filters of an image count, only the strongest hundredth of the edges is kept, Louvain's communities are sought in what is
//! left; the largest is dropped, so that many filters are in no part. Ours: filters that lost all their edges count as one community (there they
//! do so unless other communities are as small), communities of equal size stay apart, and where there are too few the resolution rises.

use core::cmp::Reverse;

use super::{ActivityGraph, louvain};

/// Filters of an image that count.
const STRONGEST: usize = 50;

/// Share of the edges that go.
const EDGES_CUT: f64 = 0.99;

/// γ of the modularity to begin with. NoNN's code has 0.7 as the inverse.
const RESOLUTION: f64 = 1.0 / 0.7;

/// By how much the resolution rises, and how often at most, where there are too few communities.
const STEP: f64 = 1.25;
const STEPS_MAX: usize = 20;

/// The activities with all but the strongest set to zero: what the graph for [`split_by_communities`] is made of.
pub fn strongest(activities: &[f32]) -> Vec<f32> {
    let mut order: Vec<usize> = (0..activities.len()).collect();
    order.sort_by(|&a, &b| activities[b].total_cmp(&activities[a]));
    let mut kept = vec![0.0; activities.len()];
    order.into_iter().take(STRONGEST).for_each(|filter| kept[filter] = activities[filter]);
    kept
}

/// `count` parts, each one community or more, filters in ascending order; `None` if the graph does not fall into one community more than that.
pub fn split_by_communities(graph: &ActivityGraph, count: usize) -> Option<Vec<Vec<usize>>> {
    let weights = strong_edges(graph);
    let mut resolution = RESOLUTION;
    for _ in 0..=STEPS_MAX {
        let mut communities = members(&weights, &louvain::communities(&weights, resolution));
        if communities.len() > count {
            // A stable sort: of equal ones that with the lowest filter first.
            communities.sort_by_key(|community| Reverse(community.len()));
            return Some(joined(&communities[1..], count));
        }
        resolution *= STEP;
    }
    None
}

/// The weights of the graph, those below the threshold as zero.
fn strong_edges(graph: &ActivityGraph) -> Vec<Vec<f64>> {
    let count = graph.filters();
    let above = (0..count).flat_map(|i| (i + 1..count).map(move |j| (i, j)));
    let mut edges: Vec<f64> = above.map(|(i, j)| graph.weight(i, j)).filter(|&weight| weight > 0.0).collect();
    edges.sort_by(f64::total_cmp);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share of a length is an index")]
    let cut = (EDGES_CUT * edges.len().saturating_sub(1) as f64) as usize;
    let threshold = edges.get(cut).copied().unwrap_or(f64::INFINITY);
    let kept = |i: usize, j: usize| if graph.weight(i, j) >= threshold { graph.weight(i, j) } else { 0.0 };
    (0..count).map(|i| (0..count).map(|j| kept(i, j)).collect()).collect()
}

/// The filters of each community; those without any edge together.
fn members(weights: &[Vec<f64>], community_of: &[usize]) -> Vec<Vec<usize>> {
    let mut communities = vec![Vec::new(); community_of.len() + 1];
    for (filter, (row, &community)) in weights.iter().zip(community_of).enumerate() {
        let alone = row.iter().all(|&weight| weight == 0.0);
        communities[if alone { community_of.len() } else { community }].push(filter);
    }
    communities.retain(|community| !community.is_empty());
    communities
}

/// The first `count` communities, each of the others joined to the part that is smallest by then.
fn joined(communities: &[Vec<usize>], count: usize) -> Vec<Vec<usize>> {
    let mut parts = communities[..count].to_vec();
    for community in &communities[count..] {
        if let Some(part) = parts.iter_mut().min_by_key(|part| part.len()) {
            part.extend(community);
        }
    }
    parts.iter_mut().for_each(|part| part.sort_unstable());
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_fifty_strongest_count() {
        let activities: Vec<f32> = (0..120).map(|i| if i % 2 == 0 { 1.0 + i as f32 } else { 0.5 }).collect();
        let kept = strongest(&activities);
        assert_eq!(kept.iter().filter(|&&a| a > 0.0).count(), 50);
        assert!((20..120).step_by(2).all(|i| kept[i] == activities[i]));
    }

    /// Blocks of filters, each with its own images, on which its first filter is strong and the others half as strong; `idle` filters that never are.
    fn blocks(sizes: &[usize], idle: usize) -> ActivityGraph {
        let filters = sizes.iter().sum::<usize>() + idle;
        let mut graph = ActivityGraph::new(filters);
        let mut first = 0;
        for &size in sizes {
            let mut activities = vec![0.0; filters];
            activities[first..first + size].fill(0.5);
            activities[first] = 1.0;
            graph.add(&activities);
            first += size;
        }
        graph
    }

    #[test]
    fn the_largest_community_is_dropped_and_small_ones_join_the_smallest_part() {
        // All edges are equally strong, so that none is cut: stars of 9, 6, 5 and 2 filters, and 12 without an edge, which are dropped.
        let parts = split_by_communities(&blocks(&[9, 6, 5, 2], 12), 3).unwrap();
        assert_eq!(parts, [(0..9).collect::<Vec<_>>(), (9..15).collect(), (15..22).collect()]);
        let parts = split_by_communities(&blocks(&[9, 6, 5], 2), 2).unwrap();
        assert_eq!(parts, [(9..15).collect::<Vec<_>>(), (15..22).collect()]);
    }

    #[test]
    fn where_there_are_too_few_communities_the_resolution_rises() {
        // Two stars are two communities; they fall into more only where the resolution is high.
        let graph = blocks(&[6, 6], 0);
        assert_eq!(split_by_communities(&graph, 1), Some(vec![(6..12).collect()]));
        let parts = split_by_communities(&graph, 2).unwrap();
        assert_eq!(parts.len(), 2);
        assert!(parts.iter().all(|part| !part.is_empty()));
    }

    #[test]
    fn a_graph_that_does_not_fall_apart_has_no_such_parts() {
        assert_eq!(split_by_communities(&blocks(&[2], 0), 2), None);
        assert_eq!(split_by_communities(&ActivityGraph::new(4), 1), None);
    }
}
