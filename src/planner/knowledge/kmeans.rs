//! k-means with k-means++ seeding, once; restarts are the caller's, who knows what a good result is.

use rand_chacha::ChaCha8Rng;
use rand_core::RngCore;

/// Rounds of assignment and means. It converges in some ten for a few hundred filters.
const ROUNDS_MAX: usize = 50;

pub(super) fn distance_squared(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum()
}

/// Centres of `k` clusters, the most populous first.
pub(super) fn centres(points: &[Vec<f64>], k: usize, random: &mut ChaCha8Rng) -> Vec<Vec<f64>> {
    let mut centres = seeds(points, k, random);
    let mut cluster_of = vec![usize::MAX; points.len()];
    for _ in 0..ROUNDS_MAX {
        let nearest = |point: &Vec<f64>| {
            let distance = |c: &usize| distance_squared(&centres[*c], point);
            (0..centres.len()).min_by(|a, b| distance(a).total_cmp(&distance(b))).unwrap_or_default()
        };
        let next: Vec<usize> = points.iter().map(nearest).collect();
        if next == cluster_of {
            break;
        }
        cluster_of = next;
        for (c, centre) in centres.iter_mut().enumerate() {
            let members: Vec<&Vec<f64>> =
                points.iter().zip(&cluster_of).filter(|(_, of)| **of == c).map(|(p, _)| p).collect();
            if !members.is_empty() {
                let mean = |i: usize| members.iter().map(|point| point[i]).sum::<f64>() / members.len() as f64;
                *centre = (0..centre.len()).map(mean).collect();
            }
        }
    }
    let mut order: Vec<usize> = (0..centres.len()).collect();
    order.sort_by_key(|&c| core::cmp::Reverse(cluster_of.iter().filter(|of| **of == c).count()));
    order.into_iter().map(|c| centres[c].clone()).collect()
}

/// k-means++: each next centre is a point, drawn by its squared distance to the nearest so far.
fn seeds(points: &[Vec<f64>], k: usize, random: &mut ChaCha8Rng) -> Vec<Vec<f64>> {
    let mut unit = || (random.next_u64() >> 11) as f64 / (1_u64 << 53) as f64;
    let mut centres: Vec<Vec<f64>> = Vec::with_capacity(k);
    while centres.len() < k {
        let distance = |point: &Vec<f64>| {
            centres.iter().map(|centre| distance_squared(centre, point)).fold(f64::INFINITY, f64::min).min(1e9)
        };
        let weights: Vec<f64> = points.iter().map(distance).collect();
        let mut rest = unit() * weights.iter().sum::<f64>();
        let drawn = weights.iter().position(|weight| {
            rest -= weight;
            rest < 0.0
        });
        centres.push(points[drawn.unwrap_or_default()].clone());
    }
    centres
}
