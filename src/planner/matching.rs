//! Assignment of groups to parts, one to one: the least sum (Kuhn–Munkres) and the least maximum (bottleneck), both exact.

/// The permutation that minimises the sum of `cost[row][permutation[row]]`: Kuhn–Munkres in its O(n³) form with potentials and
/// shortest augmenting paths. Costs are finite or infinite; infinite ones are taken only where nothing else is possible.
pub fn least_sum(cost: &[Vec<f64>]) -> Vec<usize> {
    let n = cost.len();
    // Forbidden pairs cost more than any sum of allowed ones, and stay finite so that potentials do.
    let largest = cost.iter().flatten().copied().filter(|c| c.is_finite()).fold(0.0, |a, c| f64::max(a, c.abs()));
    let forbidden = (2.0 * largest + 1.0) * (n as f64 + 1.0);
    let cost = |row: usize, column: usize| cost[row][column].min(forbidden);

    let mut row_potential = vec![0.0; n];
    let mut column_potential = vec![0.0; n];
    let mut row_of: Vec<Option<usize>> = vec![None; n];
    for start in 0..n {
        let mut slack = vec![f64::INFINITY; n];
        let mut reached_from: Vec<Option<usize>> = vec![None; n];
        let mut done = vec![false; n];
        let (mut row, mut via) = (start, None);
        let free = loop {
            let mut nearest = (f64::INFINITY, 0);
            for column in (0..n).filter(|&column| !done[column]) {
                let reduced = cost(row, column) - row_potential[row] - column_potential[column];
                if reduced < slack[column] {
                    slack[column] = reduced;
                    reached_from[column] = via;
                }
                if slack[column] < nearest.0 {
                    nearest = (slack[column], column);
                }
            }
            let (delta, column) = nearest;
            row_potential[start] += delta;
            for other in 0..n {
                if done[other] {
                    column_potential[other] -= delta;
                    row_potential[row_of[other].expect("a finished column has a row")] += delta;
                } else {
                    slack[other] -= delta;
                }
            }
            done[column] = true;
            match row_of[column] {
                Some(next) => (row, via) = (next, Some(column)),
                None => break column,
            }
        };
        let mut column = free;
        while let Some(before) = reached_from[column] {
            row_of[column] = row_of[before];
            column = before;
        }
        row_of[column] = Some(start);
    }
    let mut permutation = vec![0; n];
    for (column, row) in row_of.iter().enumerate() {
        permutation[row.expect("every column is matched")] = column;
    }
    permutation
}

/// The permutation that minimises the maximum of `cost[row][permutation[row]]`: binary search over the costs, with a matching on the pairs not
/// above the one tried.
pub fn least_maximum(cost: &[Vec<f64>]) -> Vec<usize> {
    let mut values: Vec<f64> = cost.iter().flatten().copied().collect();
    values.sort_unstable_by(f64::total_cmp);
    values.dedup();
    let least = values.partition_point(|limit| perfect_matching(cost, *limit).is_none());
    values.get(least).and_then(|limit| perfect_matching(cost, *limit)).unwrap_or_default()
}

/// A perfect matching on the pairs that cost no more than `limit`, by augmenting paths (Kuhn).
fn perfect_matching(cost: &[Vec<f64>], limit: f64) -> Option<Vec<usize>> {
    fn augment(cost: &[Vec<f64>], limit: f64, row: usize, seen: &mut [bool], row_of: &mut [Option<usize>]) -> bool {
        for column in 0..cost.len() {
            if cost[row][column] <= limit
                && !core::mem::replace(&mut seen[column], true)
                && row_of[column].is_none_or(|other| augment(cost, limit, other, seen, row_of))
            {
                row_of[column] = Some(row);
                return true;
            }
        }
        false
    }
    let mut row_of = vec![None; cost.len()];
    for row in 0..cost.len() {
        if !augment(cost, limit, row, &mut vec![false; cost.len()], &mut row_of) {
            return None;
        }
    }
    let mut permutation = vec![0; cost.len()];
    for (column, row) in row_of.into_iter().enumerate() {
        permutation[row?] = column;
    }
    Some(permutation)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn permutations(n: usize) -> Vec<Vec<usize>> {
        if n == 0 {
            return vec![Vec::new()];
        }
        let shorter = permutations(n - 1);
        let insert = |at: usize| {
            shorter.iter().map(move |p| {
                let mut longer = p.clone();
                longer.insert(at, n - 1);
                longer
            })
        };
        (0..n).flat_map(insert).collect()
    }

    fn values<'a>(cost: &'a [Vec<f64>], permutation: &'a [usize]) -> impl Iterator<Item = f64> + 'a {
        permutation.iter().enumerate().map(|(row, column)| cost[row][*column])
    }

    fn square(n: usize) -> impl Strategy<Value = Vec<Vec<f64>>> {
        let number = (0..1000_u32).prop_map(|x| if x > 850 { f64::INFINITY } else { f64::from(x) });
        prop::collection::vec(prop::collection::vec(number, n), n)
    }

    proptest! {
        #[test]
        fn both_equal_the_best_of_all_permutations(cost in (1..=7_usize).prop_flat_map(square)) {
            let all = permutations(cost.len());
            let sum = all.iter().map(|p| values(&cost, p).sum()).fold(f64::INFINITY, f64::min);
            let maximum = all.iter().map(|p| values(&cost, p).fold(0.0, f64::max)).fold(f64::INFINITY, f64::min);
            let (by_sum, by_maximum) = (least_sum(&cost), least_maximum(&cost));
            for found in [&by_sum, &by_maximum] {
                let mut sorted = found.clone();
                sorted.sort_unstable();
                prop_assert_eq!(sorted, (0..cost.len()).collect::<Vec<_>>());
            }
            prop_assert_eq!(values(&cost, &by_sum).sum::<f64>(), sum);
            prop_assert_eq!(values(&cost, &by_maximum).fold(0.0, f64::max), maximum);
        }

        #[test]
        fn the_least_sum_is_that_of_an_independent_crate(
            whole in prop::collection::vec(prop::collection::vec(0..1000_i32, 12), 12),
        ) {
            let cost: Vec<Vec<f64>> = whole.iter().map(|row| row.iter().copied().map(f64::from).collect()).collect();
            let weights = pathfinding::matrix::Matrix::from_rows(whole).unwrap();
            let (sum, _) = pathfinding::kuhn_munkres::kuhn_munkres_min(&weights);
            prop_assert_eq!(values(&cost, &least_sum(&cost)).sum::<f64>(), f64::from(sum));
        }
    }
}
