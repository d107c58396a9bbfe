//! Knowledge parts: which filters of the teacher's last feature map belong together.
//!
//! Filters are the vertices of a graph whose weights come from their activity on images; a normalised cut splits it. Activities and weights follow
//! NoNN's public recipe (arXiv 1907.11804), the cut RoCoIn as its readers report it; sizes and the treatment of dead filters are ours. Which images, and
//! running the teacher, are the caller's.

mod balance;
mod kmeans;
mod louvain;
mod ncut;
mod nonn;

use core::str::FromStr;

use serde::{Deserialize, Serialize};

pub use ncut::split;
pub use nonn::{split_by_communities, strongest};

/// How the teacher's filters are divided into knowledge parts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Division {
    /// By [`split`]: every filter is in a part, and the parts have the sizes wanted.
    #[default]
    Ncut,
    /// After NoNN, by [`split_by_communities`]: the parts are as large as they are, and many filters are in none.
    Nonn,
}

impl FromStr for Division {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "ncut" => Ok(Self::Ncut),
            "nonn" => Ok(Self::Nonn),
            _ => Err("there are ncut and nonn".to_owned()),
        }
    }
}

/// Activity of each filter on one image: the mean of its map, negatives cut, divided by the image's largest; all zero where
/// none is active. `map` is `[filters, positions]`, row by row (after NoNN).
///
/// # Panics
/// If `map` has another length.
pub fn activity(map: &[f32], filters: usize, positions: usize) -> Vec<f32> {
    assert_eq!(map.len(), filters * positions, "a map has filters × positions numbers");
    let mean = |row: &[f32]| (row.iter().sum::<f32>() / positions as f32).max(0.0);
    let mut means: Vec<f32> = map.chunks_exact(positions.max(1)).map(mean).collect();
    let largest = means.iter().copied().fold(0.0, f32::max);
    if largest > 0.0 {
        means.iter_mut().for_each(|mean| *mean /= largest);
    }
    means
}

/// The graph of filters, summed up image by image: A_ij = Σ a_i·a_j·|a_i − a_j| (NoNN's hub form: it ties strong filters to weak ones,
/// so that no part holds only strong ones).
#[derive(Debug, Clone, PartialEq)]
pub struct ActivityGraph {
    filters: usize,
    images: usize,
    /// Row by row, of the upper triangle only the part right of the diagonal is kept.
    upper: Vec<f64>,
}

impl ActivityGraph {
    /// A graph without edges.
    pub fn new(filters: usize) -> Self {
        Self { filters, images: 0, upper: vec![0.0; filters * filters] }
    }

    /// Number of vertices.
    pub fn filters(&self) -> usize {
        self.filters
    }

    /// How many images were added.
    pub fn images(&self) -> usize {
        self.images
    }

    /// Adds one image by the activities of its filters, as [`activity`] gives them.
    ///
    /// # Panics
    /// If there is not one activity a filter.
    pub fn add(&mut self, activities: &[f32]) {
        assert_eq!(activities.len(), self.filters, "one activity a filter");
        self.images += 1;
        for (i, row) in self.upper.chunks_exact_mut(self.filters.max(1)).enumerate() {
            let a = f64::from(activities[i]);
            if a > 0.0 {
                for (weight, b) in row[i + 1..].iter_mut().zip(&activities[i + 1..]) {
                    let b = f64::from(*b);
                    *weight += a * b * (a - b).abs();
                }
            }
        }
    }

    /// A_ij; zero on the diagonal.
    pub fn weight(&self, i: usize, j: usize) -> f64 {
        if i == j { 0.0 } else { self.upper[i.min(j) * self.filters + i.max(j)] }
    }

    /// Sum of a filter's weights; zero for a dead one.
    pub fn degree(&self, i: usize) -> f64 {
        (0..self.filters).map(|j| self.weight(i, j)).sum()
    }

    /// Σ_k cut(P_k, rest) / vol(P_k): what the split minimises. Parts without volume count nothing.
    pub fn normalised_cut(&self, parts: &[Vec<usize>]) -> f64 {
        let cut = |part: &Vec<usize>| {
            let volume: f64 = part.iter().map(|&i| self.degree(i)).sum();
            let inside: f64 = part.iter().flat_map(|&i| part.iter().map(move |&j| self.weight(i, j))).sum();
            if volume > 0.0 { (volume - inside) / volume } else { 0.0 }
        };
        parts.iter().map(cut).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn activity_is_the_mean_cut_at_zero_and_relative_to_the_largest() {
        assert_eq!(activity(&[1.0, 3.0, -1.0, -2.0, 0.0, 1.0], 3, 2), [1.0, 0.0, 0.25]);
        assert_eq!(activity(&[-1.0, 0.0], 2, 1), [0.0, 0.0]);
    }

    #[test]
    fn weights_are_summed_over_images_by_the_hub_form() {
        let mut graph = ActivityGraph::new(3);
        graph.add(&[1.0, 0.5, 0.0]);
        graph.add(&[0.25, 1.0, 1.0]);
        assert_eq!(graph.weight(0, 1), 1.0 * 0.5 * 0.5 + 0.25 * 1.0 * 0.75);
        assert_eq!(graph.weight(1, 0), graph.weight(0, 1));
        assert_eq!(graph.weight(1, 2), 0.0);
        assert_eq!(graph.degree(2), 0.25 * 0.75);
        assert_eq!(graph.images(), 2);
    }

    #[test]
    fn the_normalised_cut_is_that_of_its_definition() {
        let mut graph = ActivityGraph::new(3);
        graph.add(&[1.0, 0.5, 0.25]);
        let (a, b, c) = (graph.weight(0, 1), graph.weight(0, 2), graph.weight(1, 2));
        let expected = (b + c) / (2.0 * a + b + c) + 1.0;
        assert!((graph.normalised_cut(&[vec![0, 1], vec![2]]) - expected).abs() < 1e-12);
    }
}
