//! What a student of 8 bits takes while it runs, counted as the zoo counts f32 students: weights, and the most that is alive at once.

use std::collections::BTreeMap;

use super::layers::{Conv, Layers, Step};
use super::student::pays_in_integers;
use crate::session::Constant;

const F32_BYTES: usize = 4;

/// Bytes at run time. A convolution in integers keeps its weights as bytes, the others as floats, whatever the file has. Alive are the tensors
/// between steps, as floats, and inside an integer convolution its input and the gathered patches as bytes and its sums, 32 bits each.
pub(super) fn memory_bytes(layers: &Layers, shapes: &BTreeMap<String, Vec<usize>>) -> u64 {
    let elements = |tensor: &String| shapes.get(tensor).map_or(0, |shape| shape.iter().product::<usize>());
    let weights: usize = layers
        .convs()
        .map(|conv| {
            let (bytes, per_channel) = if pays_in_integers(conv, shapes) { (1, 2) } else { (F32_BYTES, 1) };
            bytes * conv.weight.len() + F32_BYTES * per_channel * conv.bias.len()
        })
        .sum();
    let others: usize = layers
        .constants
        .values()
        .map(|constant| match constant {
            Constant::Floats(_, values) => F32_BYTES * values.len(),
            Constant::Ints(_, values) => size_of::<i64>() * values.len(),
        })
        .sum();
    let last_use: BTreeMap<&String, usize> = layers
        .steps
        .iter()
        .enumerate()
        .flat_map(|(at, step)| step.inputs().iter().map(move |input| (input, at)))
        .collect();
    let mut alive_max = 0;
    for (at, step) in layers.steps.iter().enumerate() {
        let before = layers.steps[..at].iter().map(Step::output);
        let alive: usize = before.filter(|name| last_use.get(name).is_some_and(|last| *last >= at)).map(elements).sum();
        let inside = match step {
            Step::Conv(conv) if pays_in_integers(conv, shapes) => {
                inside(conv, elements(&conv.input), elements(&conv.output))
            }
            Step::Conv(_) | Step::Other(_) => 0,
        };
        // Element by element, the output takes the place of an input that nobody needs afterwards.
        let replaces = |input: &String| last_use.get(input) == Some(&at) && elements(input) == elements(step.output());
        let in_place = step.is_element_wise() && step.inputs().iter().any(replaces);
        let output = if in_place { 0 } else { elements(step.output()) };
        alive_max = alive_max.max(F32_BYTES * (alive + output) + inside);
    }
    (weights + others + alive_max) as u64
}

/// Input and patches, while the sums are as large as the output that is counted already.
fn inside(conv: &Conv, input: usize, output: usize) -> usize {
    let patch = conv.weight.len() / conv.bias.len();
    input + patch * output / conv.bias.len()
}
