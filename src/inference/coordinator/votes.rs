//! What the replicas of one part answered, and which answer counts: for mode `verify`.
//!
//! Answers are compared within one student: students of different architectures are different networks, whose answers are not the same
//! by right.

use crate::bugs::{Bug, Bugs};
use crate::id::Digest;

/// The most by which two answers of one student to one input differ, as a share of the largest logit of either (of 1, if that is
/// larger). The same ONNX file runs with other vector instructions on another CPU, and so with other roundings: where students are
/// exported, 1e-4 between two implementations is what is let pass (`distill`), and 1e-5 is what is seen. Ten times the former; the margin
/// between the two greatest of ten logits is seldom so small.
const TOLERANCE: f32 = 1e-3;

/// A majority is of so many at least: of two that differ, none is.
const MAJORITY_OF: usize = 3;

/// One answer.
#[derive(Debug)]
pub(super) struct Vote<'a> {
    pub(super) student: Digest,
    pub(super) logits: &'a [f32],
}

/// What comes of the answers of one part.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Verdict {
    /// The answer that counts, as its place among the votes.
    pub(super) winner: usize,
    /// Whether at least one more answer of the same student agrees with it, and no half differs.
    pub(super) verified: bool,
    /// Places of answers that agree with a majority of at least [`MAJORITY_OF`].
    pub(super) confirmed: Vec<usize>,
    /// Places of answers that such a majority contradicts.
    pub(super) outvoted: Vec<usize>,
    /// Places of answers that differ from others where there is no such majority.
    pub(super) disputed: Vec<usize>,
}

/// Judges a part's answers, which are in the order in which they came. There is at least one.
pub(super) fn judge(votes: &[Vote<'_>], bugs: Bugs) -> Verdict {
    let mut verdict = Verdict::default();
    let mut best = 0;
    for (first, vote) in votes.iter().enumerate() {
        let is_new = votes[..first].iter().all(|earlier| earlier.student != vote.student);
        if !is_new {
            continue;
        }
        let camps = camps(votes, vote.student);
        let all: usize = camps.iter().map(Vec::len).sum();
        // Of camps of one size, the one that answered first.
        let Some(camp) = camps.iter().rev().max_by_key(|camp| camp.len()) else { continue };
        let half_will_do = bugs.has(Bug::MajorityOfTwo);
        let is_majority = 2 * camp.len() > all || half_will_do && all == 2;
        let others = || camps.iter().filter(|other| *other != camp).flatten().copied();
        if camps.len() > 1 && is_majority && (all >= MAJORITY_OF || half_will_do) {
            match bugs.has(Bug::BlameTheMany) {
                true => verdict.outvoted.extend(camp),
                false => verdict.outvoted.extend(others()),
            }
        } else if camps.len() > 1 {
            verdict.disputed.extend(camps.iter().flatten());
        }
        if is_majority && all >= MAJORITY_OF {
            verdict.confirmed.extend(camp);
        }
        let is_verified = is_majority && (camp.len() > 1 || half_will_do && all == 2);
        if is_verified && camp.len() > best {
            best = camp.len();
            (verdict.winner, verdict.verified) = (camp[0], true);
        }
    }
    verdict.disputed.sort_unstable();
    verdict
}

/// Whether those that have answered are a majority already of the `all` that are to answer with this student.
pub(super) fn is_decided(votes: &[Vote<'_>], student: Digest, all: usize) -> bool {
    let most = camps(votes, student).iter().map(Vec::len).max().unwrap_or(0);
    all >= MAJORITY_OF && 2 * most > all
}

/// The places of a student's answers, those together that agree with the first of them.
fn camps(votes: &[Vote<'_>], student: Digest) -> Vec<Vec<usize>> {
    let mut camps: Vec<Vec<usize>> = Vec::new();
    for (place, vote) in votes.iter().enumerate().filter(|(_, vote)| vote.student == student) {
        match camps.iter_mut().find(|camp| agree(votes[camp[0]].logits, vote.logits)) {
            Some(camp) => camp.push(place),
            None => camps.push(vec![place]),
        }
    }
    camps
}

/// Whether two answers are the same but for rounding; both have one number a class.
fn agree(a: &[f32], b: &[f32]) -> bool {
    let largest = a.iter().chain(b).fold(1.0_f32, |largest, logit| largest.max(logit.abs()));
    a.iter().zip(b).all(|(a, b)| (a - b).abs() <= TOLERANCE * largest)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each answer: student, and the first of its two logits.
    fn verdict(answers: &[(u8, f32)]) -> Verdict {
        let logits: Vec<[f32; 2]> = answers.iter().map(|(_, first)| [*first, 0.5]).collect();
        let mut votes = Vec::new();
        for ((student, _), logits) in answers.iter().zip(&logits) {
            votes.push(Vote { student: Digest([*student; 32]), logits });
        }
        judge(&votes, Bugs::default())
    }

    #[test]
    fn one_answer_counts_and_is_not_verified_and_two_that_agree_are() {
        assert_eq!(verdict(&[(1, 5.0)]), Verdict::default());
        assert_eq!(verdict(&[(1, 5.0), (1, 5.0)]), Verdict { verified: true, ..Verdict::default() });
        assert_eq!(verdict(&[(1, 5.0), (1, 5.004)]), Verdict { verified: true, ..Verdict::default() }, "rounding");
    }

    #[test]
    fn of_two_that_differ_the_first_counts_and_both_are_named() {
        assert_eq!(verdict(&[(1, 5.0), (1, 5.1)]), Verdict { disputed: vec![0, 1], ..Verdict::default() });
    }

    #[test]
    fn a_majority_of_three_outvotes_the_third_even_if_it_was_first() {
        let expected =
            Verdict { winner: 1, verified: true, confirmed: vec![1, 2], outvoted: vec![0], ..Verdict::default() };
        assert_eq!(verdict(&[(1, 9.0), (1, 5.0), (1, 5.0)]), expected);
    }

    #[test]
    fn without_a_majority_nobody_is_outvoted() {
        assert_eq!(verdict(&[(1, 1.0), (1, 2.0), (1, 3.0)]), Verdict { disputed: vec![0, 1, 2], ..Verdict::default() });
        assert_eq!(
            verdict(&[(1, 1.0), (1, 2.0), (1, 1.0), (1, 2.0)]),
            Verdict { disputed: vec![0, 1, 2, 3], ..Verdict::default() }
        );
    }

    #[test]
    fn students_of_different_architectures_are_not_compared_and_a_verified_answer_goes_before() {
        assert_eq!(verdict(&[(1, 5.0), (2, 7.0)]), Verdict::default());
        assert_eq!(
            verdict(&[(1, 5.0), (2, 7.0), (2, 7.0)]),
            Verdict { winner: 1, verified: true, ..Verdict::default() }
        );
    }

    #[test]
    fn it_is_decided_once_more_than_half_of_all_agree() {
        let logits = [1.0];
        let vote = || Vote { student: Digest([1; 32]), logits: &logits };
        let decided = |answers: usize, all: usize| {
            let votes: Vec<Vote<'_>> = (0..answers).map(|_| vote()).collect();
            is_decided(&votes, Digest([1; 32]), all)
        };
        assert_eq!(
            [decided(2, 3), decided(2, 4), decided(3, 4), decided(1, 1), decided(2, 2)],
            [true, false, true, false, false]
        );
    }
}
