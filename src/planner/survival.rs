//! Which parts are left when devices fail, exactly.
//!
//! Devices fail independently, parts do not where a device holds several. Everything is told by one function of a set T of parts:
//! the probability that *none* of T is left, the product of p_n over the devices that hold a part of T. Availability and
//! expectations are sums of it with alternating signs (inclusion and exclusion), so the cost is 2^K, whatever the number of
//! devices. For disjoint groups this is the product formula.

use super::students::AccuracyTable;

/// The most parts a plan can have: 2^K numbers are kept.
pub const PARTS_MAX: usize = 12;

/// A set of parts, a bit each.
pub(crate) type PartSet = usize;

/// The distribution of the set of parts that are left. Keeps its buffers between uses.
#[derive(Debug, Clone)]
pub(crate) struct Survival {
    /// By set of parts: probability that none of it is left.
    none_left: Vec<f64>,
    /// By exact set held: product of its holders' failure probabilities.
    holders: Vec<f64>,
    held: Vec<PartSet>,
}

impl Survival {
    pub(crate) fn new(parts: usize) -> Self {
        assert!(parts <= PARTS_MAX, "Students checks the number of parts");
        Self { none_left: vec![1.0; 1 << parts], holders: vec![1.0; 1 << parts], held: Vec::new() }
    }

    /// Takes the parts that each device holds, with its failure probability (below 1).
    pub(crate) fn set(&mut self, devices: impl Iterator<Item = (PartSet, f64)>) {
        for set in self.held.drain(..) {
            self.holders[set] = 1.0;
        }
        for (set, failure) in devices.filter(|(set, _)| *set != 0) {
            if self.holders[set] == 1.0 {
                self.held.push(set);
            }
            self.holders[set] *= failure;
        }
        self.none_left.fill(1.0);
        for &set in &self.held {
            let failure = self.holders[set];
            for (lost, none_left) in self.none_left.iter_mut().enumerate() {
                if lost & set != 0 {
                    *none_left *= failure;
                }
            }
        }
    }

    /// Probability that part `k` has no holder alive.
    pub(crate) fn part_failure(&self, k: usize) -> f64 {
        self.none_left[1 << k]
    }

    /// Probability that every part has a holder alive.
    pub(crate) fn availability(&self) -> f64 {
        let signed = |(set, p): (usize, &f64)| if set.count_ones() % 2 == 0 { *p } else { -p };
        self.none_left.iter().enumerate().map(signed).sum::<f64>().clamp(0.0, 1.0)
    }

    /// Expectation of what `weights` were made of.
    pub(crate) fn expectation(&self, weights: &Weights) -> f64 {
        self.none_left.iter().zip(&weights.0).map(|(p, w)| p * w).sum()
    }
}

/// A value of each set of parts present, in the form in which [`Survival`] takes expectations.
#[derive(Debug, Clone)]
pub(crate) struct Weights(Vec<f64>);

impl Weights {
    /// For the accuracy of the chosen `students` (an index a part).
    pub(crate) fn of(table: &AccuracyTable, students: &[usize]) -> Self {
        let parts = students.len();
        let all = (1 << parts) - 1;
        let mut weights: Vec<f64> = (0..=all).map(|lost| table.of_present(students, all & !lost)).collect();
        for k in 0..parts {
            for lost in (0..=all).filter(|lost| lost >> k & 1 == 1) {
                weights[lost] -= weights[lost ^ 1 << k];
            }
        }
        Self(weights)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By all 2^N failure patterns.
    fn by_patterns(devices: &[(PartSet, f64)], value: impl Fn(PartSet) -> f64) -> f64 {
        (0..1_usize << devices.len())
            .map(|failed| {
                let mut probability = 1.0;
                let mut left = 0;
                for (n, (set, p)) in devices.iter().enumerate() {
                    let dead = failed >> n & 1 == 1;
                    probability *= if dead { *p } else { 1.0 - p };
                    left |= if dead { 0 } else { *set };
                }
                probability * value(left)
            })
            .sum()
    }

    #[test]
    fn disjoint_groups_give_the_product_formula() {
        let mut survival = Survival::new(2);
        survival.set([(0b01, 0.1), (0b01, 0.2), (0b10, 0.3)].into_iter());
        assert!((survival.availability() - (1.0 - 0.02) * (1.0 - 0.3)).abs() < 1e-15);
        assert!((survival.part_failure(0) - 0.02).abs() < 1e-15);
    }

    proptest::proptest! {
        #[test]
        fn availability_and_expected_accuracy_are_those_of_all_failure_patterns(
            devices in proptest::collection::vec((0..8_usize, 0.0..0.9_f64), 1..9),
            students in proptest::collection::vec(0..2_usize, 3),
        ) {
            let table = super::super::students::tests::students(3, &[(1, 1), (2, 2)]).accuracy.unwrap();
            let mut survival = Survival::new(3);
            survival.set([(0b111, 0.5)].into_iter());
            survival.set(devices.iter().copied());
            let availability = by_patterns(&devices, |left| f64::from(u8::from(left == 0b111)));
            proptest::prop_assert!((survival.availability() - availability).abs() < 1e-12);
            let expected = by_patterns(&devices, |left| table.of_present(&students, left));
            let found = survival.expectation(&Weights::of(&table, &students));
            proptest::prop_assert!((found - expected).abs() < 1e-12, "{found} is not {expected}");
        }
    }
}
