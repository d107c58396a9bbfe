//! Which training images are kept back to choose by.

use std::str::FromStr;

use rand_chacha::ChaCha8Rng;
use rand_core::{RngCore, SeedableRng};

use super::{DataError, Split};

/// The most images that are kept back unless told otherwise; less than a tenth of the training part where that is smaller.
const DEFAULT_MAX: usize = 5_000;

/// How many training images are kept back, and which.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
pub enum Validation {
    /// min(5,000, 10 %), stratified.
    #[default]
    Default,
    /// So many, in every class's share, drawn by the seed.
    Stratified(usize),
    /// The last so many: what a teacher trained on the images before them has not seen.
    Last(usize),
}

impl FromStr for Validation {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = |digits: &str| {
            digits
                .parse()
                .map_err(|_| format!("{text:?} is neither a number of images nor last:NUMBER, e.g. 5000 or last:5000"))
        };
        match text.strip_prefix("last:") {
            Some(digits) => number(digits).map(Self::Last),
            None => number(text).map(Self::Stratified),
        }
    }
}

/// The training part in two: indices into it, each ascending.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holdout {
    /// To train on.
    pub train: Vec<usize>,
    /// To choose by; never trained on.
    pub validation: Vec<usize>,
}

impl Holdout {
    /// Divides `split`; the same `seed` gives the same division.
    ///
    /// # Errors
    /// [`DataError::Validation`] if one of the two would be empty.
    pub fn new(split: &Split, validation: Validation, seed: u64) -> Result<Self, DataError> {
        let images = split.len();
        let count = match validation {
            Validation::Default => DEFAULT_MAX.min(images / 10).max(1),
            Validation::Stratified(count) | Validation::Last(count) => count,
        };
        if count == 0 || count >= images {
            return Err(DataError::Validation { asked: count.to_string(), images });
        }
        let mut kept = vec![false; images];
        match validation {
            Validation::Last(_) => kept[images - count..].fill(true),
            Validation::Default | Validation::Stratified(_) => {
                stratified(split, count, seed).into_iter().for_each(|index| kept[index] = true);
            }
        }
        let (validation, train) = (0..images).partition(|&index| kept[index]);
        Ok(Self { train, validation })
    }
}

/// `count` indices, each class in its share; what rounding leaves goes to the classes with the largest remainder.
fn stratified(split: &Split, count: usize, seed: u64) -> Vec<usize> {
    let classes = split.labels.iter().copied().max().map_or(0, |label| usize::from(label) + 1);
    let mut members = vec![Vec::new(); classes];
    for index in 0..split.len() {
        members[split.label(index)].push(index);
    }
    let share = |class: usize| members[class].len() * count;
    let mut take: Vec<usize> = (0..classes).map(|class| share(class) / split.len()).collect();
    let mut by_remainder: Vec<usize> = (0..classes).collect();
    by_remainder.sort_by_key(|&class| std::cmp::Reverse(share(class) % split.len()));
    let missing = count - take.iter().sum::<usize>();
    by_remainder.into_iter().take(missing).for_each(|class| take[class] += 1);
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut chosen = Vec::with_capacity(count);
    for (mut members, take) in members.into_iter().zip(take) {
        shuffle(&mut members, &mut rng);
        chosen.extend(members.into_iter().take(take));
    }
    chosen
}

/// Fisher–Yates.
fn shuffle(items: &mut [usize], rng: &mut ChaCha8Rng) {
    for last in (1..items.len()).rev() {
        let span = last as u64 + 1;
        // The bias of the remainder is below 2⁻³² for any set that fits in memory.
        let other = usize::try_from(rng.next_u64() % span).unwrap_or(0);
        items.swap(last, other);
    }
}
