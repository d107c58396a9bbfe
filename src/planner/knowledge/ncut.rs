//! The normalised cut: min Σ_k cut(P_k, rest) / vol(P_k), relaxed to eigenvectors (Shi and Malik 2000; Ng, Jordan and Weiss 2001).

use nalgebra::{DMatrix, SymmetricEigen};
use rand_chacha::ChaCha8Rng;
use rand_core::SeedableRng;

use super::{ActivityGraph, balance, kmeans};

/// Runs of k-means from different seeds; the least normalised cut wins.
const RESTARTS: usize = 20;

/// Splits the filters into parts of the wanted `sizes`, which sum to the number of filters. Deterministic for one `seed`.
///
/// The K eigenvectors of the normalised Laplacian with the least eigenvalues place each filter; k-means finds centres; a balanced assignment meets
/// the sizes at the least squared distance. Dead filters, which have no place, fill up every part evenly. Each part's
/// filters are in ascending order.
///
/// # Panics
/// If the sizes do not sum to the number of filters.
pub fn split(graph: &ActivityGraph, sizes: &[usize], seed: u64) -> Vec<Vec<usize>> {
    assert_eq!(sizes.iter().sum::<usize>(), graph.filters(), "the sizes sum to the number of filters");
    let (live, dead): (Vec<usize>, Vec<usize>) = (0..graph.filters()).partition(|&i| graph.degree(i) > 0.0);
    let dead_sizes = evenly(dead.len(), sizes);
    let live_sizes: Vec<usize> = sizes.iter().zip(&dead_sizes).map(|(size, dead)| size - dead).collect();
    let mut parts = split_live(graph, &live, &live_sizes, seed);
    let mut dead = dead.into_iter();
    for (part, count) in parts.iter_mut().zip(dead_sizes) {
        part.extend(dead.by_ref().take(count));
        part.sort_unstable();
    }
    parts
}

/// Shares `count` out in proportion to `sizes` (largest remainder first), never more than a size.
fn evenly(count: usize, sizes: &[usize]) -> Vec<usize> {
    let total = sizes.iter().sum::<usize>().max(1);
    let mut shares: Vec<usize> = sizes.iter().map(|size| count * size / total).collect();
    let mut order: Vec<usize> = (0..sizes.len()).collect();
    order.sort_by_key(|&k| core::cmp::Reverse(count * sizes[k] % total));
    let rest = count - shares.iter().sum::<usize>();
    order.into_iter().take(rest).for_each(|k| shares[k] += 1);
    shares
}

fn split_live(graph: &ActivityGraph, live: &[usize], sizes: &[usize], seed: u64) -> Vec<Vec<usize>> {
    let points = embedding(graph, live, sizes.len());
    let mut by_size: Vec<usize> = (0..sizes.len()).collect();
    by_size.sort_by_key(|&k| core::cmp::Reverse(sizes[k]));
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut best: Option<(f64, Vec<Vec<usize>>)> = None;
    for _ in 0..RESTARTS {
        if live.is_empty() {
            break;
        }
        let mut centre_of = vec![Vec::new(); sizes.len()];
        for (centre, &k) in kmeans::centres(&points, sizes.len(), &mut random).into_iter().zip(&by_size) {
            centre_of[k] = centre;
        }
        let distances = |point: &Vec<f64>| centre_of.iter().map(|c| kmeans::distance_squared(c, point)).collect();
        let cost: Vec<Vec<f64>> = points.iter().map(distances).collect();
        let mut parts = vec![Vec::new(); sizes.len()];
        for (&filter, k) in live.iter().zip(balance::assign(&cost, sizes)) {
            parts[k].push(filter);
        }
        let cut = graph.normalised_cut(&parts);
        if best.as_ref().is_none_or(|(least, _)| cut < *least) {
            best = Some((cut, parts));
        }
    }
    best.map_or_else(|| vec![Vec::new(); sizes.len()], |(_, parts)| parts)
}

/// Each live filter as its row of the K least eigenvectors of I − D^-½ A D^-½, at unit length.
fn embedding(graph: &ActivityGraph, live: &[usize], parts: usize) -> Vec<Vec<f64>> {
    if live.is_empty() {
        return Vec::new();
    }
    let root: Vec<f64> = live.iter().map(|&i| graph.degree(i).sqrt()).collect();
    let laplacian = DMatrix::from_fn(live.len(), live.len(), |i, j| {
        let own = if i == j { 1.0 } else { 0.0 };
        own - graph.weight(live[i], live[j]) / (root[i] * root[j])
    });
    let eigen = SymmetricEigen::new(laplacian);
    let mut order: Vec<usize> = (0..live.len()).collect();
    order.sort_by(|&a, &b| eigen.eigenvalues[a].total_cmp(&eigen.eigenvalues[b]));
    let row = |i: usize| {
        let row: Vec<f64> = order.iter().take(parts).map(|&column| eigen.eigenvectors[(i, column)]).collect();
        let length = row.iter().map(|x| x * x).sum::<f64>().sqrt().max(f64::MIN_POSITIVE);
        row.into_iter().map(|x| x / length).collect()
    };
    (0..live.len()).map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Images on each of which the filters of one block are active, strong and weak ones, and the others faintly.
    fn planted(block_of: &[Option<usize>], blocks: usize) -> ActivityGraph {
        let mut graph = ActivityGraph::new(block_of.len());
        for image in 0..200_usize {
            let active = |(i, block): (usize, &Option<usize>)| match block {
                None => 0.0,
                Some(block) if *block == image % blocks => [1.0, 0.3, 0.7, 0.5][(i + image / blocks) % 4],
                Some(_) => 0.05,
            };
            let activities: Vec<f32> = block_of.iter().enumerate().map(active).collect();
            graph.add(&activities);
        }
        graph
    }

    fn members(block_of: &[Option<usize>], block: usize) -> Vec<usize> {
        (0..block_of.len()).filter(|&i| block_of[i] == Some(block)).collect()
    }

    #[test]
    fn planted_blocks_of_unequal_sizes_are_found() {
        let block_of: Vec<Option<usize>> = (0..40)
            .map(|i| {
                Some(if i % 5 == 0 {
                    0
                } else if i % 2 == 0 {
                    1
                } else {
                    2
                })
            })
            .collect();
        let graph = planted(&block_of, 3);
        let blocks = [members(&block_of, 0), members(&block_of, 1), members(&block_of, 2)];
        let sizes = [blocks[0].len(), blocks[1].len(), blocks[2].len()];
        let mut parts = split(&graph, &sizes, 7);
        assert_eq!(parts.iter().map(Vec::len).collect::<Vec<_>>(), sizes);
        parts.sort();
        let mut expected = blocks.to_vec();
        expected.sort();
        assert_eq!(parts, expected);
    }

    #[test]
    fn every_filter_is_in_exactly_one_part_and_dead_ones_are_spread_evenly() {
        let block_of: Vec<Option<usize>> = (0..32).map(|i| if i < 8 { None } else { Some(i % 2) }).collect();
        let parts = split(&planted(&block_of, 2), &[8, 8, 8, 8], 1);
        let mut all = parts.concat();
        all.sort_unstable();
        assert_eq!(all, (0..32).collect::<Vec<_>>());
        for part in &parts {
            assert_eq!(part.len(), 8);
            assert_eq!(part.iter().filter(|&&i| i < 8).count(), 2);
        }
    }

    #[test]
    fn one_seed_gives_one_split() {
        let block_of: Vec<Option<usize>> = (0..24).map(|i| Some(i % 3)).collect();
        let graph = planted(&block_of, 3);
        assert_eq!(split(&graph, &[10, 7, 7], 3), split(&graph, &[10, 7, 7], 3));
    }

    #[test]
    fn a_graph_of_dead_filters_is_shared_out() {
        let parts = split(&ActivityGraph::new(5), &[3, 2], 0);
        assert_eq!(parts.iter().map(Vec::len).collect::<Vec<_>>(), [3, 2]);
    }
}
