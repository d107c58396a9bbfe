//! Finding room: every part on some device, where memory allows it.

use super::problem::Problem;
use super::state::{Assignment, State};
use super::survival::PartSet;

/// Steps of the exact search for room. Beyond them (dozens of parts that barely fit) the answer is "no room".
const STEPS_MAX: usize = 200_000;

/// A part that nobody has room for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NoRoom {
    pub(crate) part: usize,
    /// The device with the most memory left.
    pub(crate) device: usize,
    pub(crate) missing_bytes: u64,
}

/// The students that take the least memory.
pub(crate) fn smallest(problem: &Problem<'_>) -> Vec<usize> {
    let least = |students: &Vec<super::students::Student>| {
        (0..students.len()).min_by_key(|&s| (students[s].memory_bytes, students[s].flops)).unwrap_or_default()
    };
    problem.students.parts.iter().map(least).collect()
}

/// A device for every part, with the given students: greedily, each on the device with the most memory left; and if that fails, exactly.
pub(crate) fn pack(problem: &Problem<'_>, students: &[usize]) -> Result<Assignment, NoRoom> {
    let mut order: Vec<usize> = (0..problem.parts()).collect();
    order.sort_by_key(|&k| core::cmp::Reverse(problem.student(students, k).memory_bytes));
    let needs: Vec<u64> = order.iter().map(|&k| problem.student(students, k).memory_bytes).collect();
    let mut left: Vec<u64> = problem.machines.iter().map(|machine| machine.memory_bytes).collect();
    let mut device_of = vec![0; order.len()];
    let mut no_room = None;
    for (i, need) in needs.iter().enumerate() {
        let device = (0..left.len()).max_by_key(|&n| (left[n], core::cmp::Reverse(n))).unwrap_or_default();
        let room = left.get(device).copied().unwrap_or_default();
        if room < *need {
            no_room = Some(NoRoom { part: order[i], device, missing_bytes: need - room });
            break;
        }
        left[device] -= need;
        device_of[i] = device;
    }
    if let Some(no_room) = no_room {
        left = problem.machines.iter().map(|machine| machine.memory_bytes).collect();
        if !pack_exactly(&needs, &mut left, &mut device_of, 0, &mut STEPS_MAX.clone()) {
            return Err(no_room);
        }
    }
    let mut held = vec![0; problem.devices()];
    for (k, n) in order.iter().zip(device_of) {
        held[n] |= 1 << k;
    }
    Ok(Assignment { students: students.to_vec(), held })
}

fn pack_exactly(needs: &[u64], left: &mut [u64], device_of: &mut [usize], i: usize, steps: &mut usize) -> bool {
    let Some(need) = needs.get(i) else { return true };
    let mut tried = Vec::new();
    for n in 0..left.len() {
        if left[n] < *need || tried.contains(&left[n]) {
            continue;
        }
        if *steps == 0 {
            return false;
        }
        *steps -= 1;
        tried.push(left[n]);
        left[n] -= need;
        device_of[i] = n;
        if pack_exactly(needs, left, device_of, i + 1, steps) {
            return true;
        }
        left[n] += need;
    }
    false
}

/// Gives every part that nobody holds to the device that then answers it first, of those with room; what cannot be placed stays out.
pub(crate) fn place_missing(state: &mut State<'_>) {
    for k in 0..state.problem().parts() {
        if !state.lacks(1 << k) {
            continue;
        }
        let then = |n: usize| -> Option<(usize, PartSet, f64)> {
            let set = state.held(n) | 1 << k;
            let finish = state.problem().finish(&state.assignment().students, n, set).find(|(part, _)| *part == k)?.1;
            state.fits(n, set).then_some((n, set, finish))
        };
        let best = (0..state.problem().devices()).filter_map(then).min_by(|a, b| a.2.total_cmp(&b.2));
        if let Some((n, set, _)) = best {
            state.hold(n, set);
        }
    }
}
