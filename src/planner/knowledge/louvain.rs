//! Communities of a weighted graph by the Louvain method (Blondel and others 2008): vertices move to the neighbouring community that raises the
//! modularity most until none does, then communities become the vertices of a smaller graph, and again.

/// The least gain for which a vertex moves: keeps rounding from moving it in a circle.
const GAIN_MIN: f64 = 1e-12;

/// Rounds over all vertices of one graph. Modularity rises in each, so this only bounds what rounding could do.
const ROUNDS_MAX: usize = 1_000;

/// The community of each vertex, numbered from 0 without gaps. `weights` is square and symmetric; a higher `resolution` (γ of the modularity) makes
/// smaller communities. A vertex without edges is a community of its own. Deterministic: vertices move in order, ties go to the lowest number.
pub(super) fn communities(weights: &[Vec<f64>], resolution: f64) -> Vec<usize> {
    let mut community_of: Vec<usize> = (0..weights.len()).collect();
    let mut weights = weights.to_vec();
    loop {
        let moved = settle(&weights, resolution);
        let count = moved.iter().max().map_or(0, |largest| largest + 1);
        community_of.iter_mut().for_each(|community| *community = moved[*community]);
        if count == weights.len() {
            return community_of;
        }
        let mut coarse = vec![vec![0.0; count]; count];
        for (row, &from) in weights.iter().zip(&moved) {
            for (weight, &to) in row.iter().zip(&moved) {
                coarse[from][to] += weight;
            }
        }
        weights = coarse;
    }
}

/// Moves single vertices until no move raises the modularity.
fn settle(weights: &[Vec<f64>], resolution: f64) -> Vec<usize> {
    let count = weights.len();
    let degree: Vec<f64> = weights.iter().map(|row| row.iter().sum()).collect();
    let total: f64 = degree.iter().sum();
    let mut community_of: Vec<usize> = (0..count).collect();
    let mut volume = degree.clone();
    for _ in 0..ROUNDS_MAX {
        let mut moved = false;
        for vertex in (0..count).filter(|&vertex| degree[vertex] > 0.0) {
            let home = community_of[vertex];
            let mut ties = vec![0.0; count];
            for (other, weight) in weights[vertex].iter().enumerate().filter(|(other, _)| *other != vertex) {
                ties[community_of[other]] += weight;
            }
            volume[home] -= degree[vertex];
            let worth = |to: usize| ties[to] - resolution * degree[vertex] * volume[to] / total;
            let neighbours = (0..count).filter(|&to| ties[to] > 0.0);
            let best = neighbours.fold(home, |best, to| if worth(to) > worth(best) + GAIN_MIN { to } else { best });
            volume[best] += degree[vertex];
            community_of[vertex] = best;
            moved |= best != home;
        }
        if !moved {
            break;
        }
    }
    renumbered(&community_of)
}

/// The same communities, numbered from 0 in the order of their first vertices.
fn renumbered(community_of: &[usize]) -> Vec<usize> {
    let mut number = vec![None; community_of.len()];
    let mut next = 0;
    community_of
        .iter()
        .map(|&community| {
            *number[community].get_or_insert_with(|| {
                next += 1;
                next - 1
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Cliques of the given sizes with weight 1 within, each tied to the next by one edge of 0.1.
    fn cliques(sizes: &[usize]) -> Vec<Vec<f64>> {
        let clique_of: Vec<usize> = sizes.iter().enumerate().flat_map(|(clique, &size)| vec![clique; size]).collect();
        let first = |clique: usize| clique_of.iter().position(|&of| of == clique);
        let weight = |i: usize, j: usize| {
            let tie = |a: usize, b: usize| first(clique_of[a]) == Some(a) && first(clique_of[a] + 1) == Some(b);
            match () {
                () if i == j => 0.0,
                () if clique_of[i] == clique_of[j] => 1.0,
                () if tie(i, j) || tie(j, i) => 0.1,
                () => 0.0,
            }
        };
        (0..clique_of.len()).map(|i| (0..clique_of.len()).map(|j| weight(i, j)).collect()).collect()
    }

    #[test]
    fn cliques_are_the_communities_and_a_vertex_without_edges_is_one() {
        let found = communities(&cliques(&[5, 3, 7, 1]), 1.0);
        // The last clique is a vertex with its one faint tie: it belongs to the clique before it.
        assert_eq!(found, [[0; 5].as_slice(), &[1; 3], &[2; 8]].concat());
        let mut alone = cliques(&[4, 4]);
        alone.iter_mut().for_each(|row| row.push(0.0));
        alone.push(vec![0.0; 9]);
        assert_eq!(communities(&alone, 1.0), [0, 0, 0, 0, 1, 1, 1, 1, 2]);
    }

    #[test]
    fn a_higher_resolution_makes_smaller_communities() {
        let weights = cliques(&[3; 30]);
        let count = |resolution| communities(&weights, resolution).into_iter().max().unwrap() + 1;
        assert!(count(0.1) < count(1.0), "{} and {}", count(0.1), count(1.0));
        assert_eq!(count(2.0), 30);
        assert_eq!(count(1e6), 90);
    }

    #[test]
    fn a_graph_without_edges_or_vertices_falls_apart() {
        assert_eq!(communities(&vec![vec![0.0; 3]; 3], 1.0), [0, 1, 2]);
        assert!(communities(&[], 1.0).is_empty());
    }
}
