//! Whom to probe in which round.
//!
//! Ours. SWIM picks a random member each period: a dead one is then missed by everybody in more than a third of the
//! periods. Here all nodes follow one round number and probe the member that stands the same number of places
//! further in the ring of ids, so that every member has exactly one prober in every round. Where views or round
//! numbers differ for a while, the choice is as good as a random one. No member is trusted for this: a wrong number
//! only changes the order.

/// How many places further the target of `round` stands in a ring of `size`, this node included: 1..size.
///
/// Runs through all places in `size - 1` rounds. The steps are near the golden section, so that a block of neighbours
/// that died together does not leave the next members without a prober for long.
pub(super) fn offset(round: u32, size: usize) -> Option<usize> {
    let places = size.checked_sub(1).filter(|&p| p > 0)?;
    let step = (1..=(places * 618).div_ceil(1000)).rev().find(|&s| coprime(s, places)).unwrap_or(1);
    let turn = usize::try_from(round).unwrap_or(0) % places;
    Some(1 + turn * step % places)
}

fn coprime(mut a: usize, mut b: usize) -> bool {
    while b > 0 {
        (a, b) = (b, a % b);
    }
    a == 1
}

/// The later of two round numbers that may have wrapped around.
pub(super) fn later(a: u32, b: u32) -> u32 {
    if b.wrapping_sub(a) <= u32::MAX / 2 { b } else { a }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_member_is_probed_by_exactly_one_other_in_every_round() {
        for size in 2..40 {
            for round in 0..100 {
                let offset = offset(round, size).unwrap();
                let probed: BTreeSet<_> = (0..size).map(|i| (i + offset) % size).collect();
                assert_eq!(probed.len(), size);
                assert!((1..size).contains(&offset));
            }
        }
    }

    #[test]
    fn each_node_probes_all_others_within_as_many_rounds() {
        for size in 2..70 {
            let places: BTreeSet<_> = (0..).take(size - 1).map(|round| offset(round, size).unwrap()).collect();
            assert_eq!(places.len(), size - 1, "{size}");
        }
    }

    #[test]
    fn nobody_is_probed_by_a_node_alone() {
        assert_eq!((offset(7, 0), offset(7, 1)), (None, None));
    }

    #[test]
    fn round_numbers_may_wrap_around() {
        assert_eq!(later(u32::MAX, 3), 3);
        assert_eq!(later(3, u32::MAX), 3);
        assert_eq!(later(3, 4), 4);
    }
}
