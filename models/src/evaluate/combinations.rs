//! Accuracy of every combination: each part absent or held by one of its students.

use rocoin::bundle::{Combination, StudentRef};

use super::{PartialLogits, accuracy};

/// All combinations but the empty one, with their accuracy; students of a part come before its absence.
///
/// `bias` has one value a class. Sums run in part order, as in the mesh.
pub fn combinations(logits: &PartialLogits, bias: &[f32]) -> Vec<Combination> {
    let parts = logits.students.iter().map(|(student, _)| usize::from(student.part.0) + 1).max().unwrap_or(0);
    let by_part: Vec<Vec<usize>> = (0..parts)
        .map(|part| {
            (0..logits.students.len()).filter(|&at| usize::from(logits.students[at].0.part.0) == part).collect()
        })
        .collect();
    let mut found = Vec::new();
    let sum = bias.iter().copied().cycle().take(logits.images() * logits.classes).collect();
    descend(logits, &by_part, &mut Vec::new(), sum, &mut found);
    found
}

/// The combination with the highest accuracy; of equals the one with the fewest students.
pub fn best(combinations: &[Combination]) -> Option<&Combination> {
    combinations.iter().max_by(|a, b| a.accuracy.total_cmp(&b.accuracy).then(b.students.len().cmp(&a.students.len())))
}

/// Decides the next part each way; `sum` is what the parts before it add up to.
fn descend(
    logits: &PartialLogits,
    by_part: &[Vec<usize>],
    chosen: &mut Vec<StudentRef>,
    sum: Vec<f32>,
    found: &mut Vec<Combination>,
) {
    let Some((part, rest)) = by_part.split_first() else {
        if !chosen.is_empty() {
            let accuracy = accuracy(&sum, &logits.labels, logits.classes);
            found.push(Combination { students: chosen.clone(), accuracy, samples: logits.images() });
        }
        return;
    };
    for &at in part {
        let (student, values) = &logits.students[at];
        let added = sum.iter().zip(values).map(|(sum, value)| sum + value).collect();
        chosen.push(student.clone());
        descend(logits, rest, chosen, added, found);
        chosen.pop();
    }
    descend(logits, rest, chosen, sum, found);
}
