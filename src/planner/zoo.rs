//! The zoo: the student architectures to choose from, and what one costs before it exists.
//!
//! Wide residual networks (Zagoruyko and Komodakis 2016) in the form that RoCoIn's students take. Costs are counted from
//! the architecture; a bundle carries the same figures for the students it holds. Nothing is trained or run here.

use core::fmt;
use core::str::FromStr;

/// Bytes of an `f32`: what weights and activations are kept in.
const F32_BYTES: u64 = 4;

/// A wide residual network, `wrn-<depth>-<width>`: depth = 6·n + 4, n blocks in each of three groups of 16, 32 and 64 × width
/// channels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Architecture {
    depth: u32,
    width: u32,
}

/// What students are chosen from, smallest first.
pub const ZOO: [Architecture; 4] = [
    Architecture { depth: 10, width: 1 },
    Architecture { depth: 16, width: 1 },
    Architecture { depth: 22, width: 1 },
    Architecture { depth: 16, width: 2 },
];

/// The largest depth and width that are taken: far above any student, and low enough that no cost overflows.
const DEPTH_MAX: u32 = 1_000;
const WIDTH_MAX: u32 = 64;

/// A text that names no architecture.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{found:?} is no student architecture; write wrn-<depth>-<width> with depth 10, 16, 22, …, e.g. wrn-16-1")]
pub struct ParseArchitectureError {
    found: String,
}

impl FromStr for Architecture {
    type Err = ParseArchitectureError;

    fn from_str(text: &str) -> Result<Self, ParseArchitectureError> {
        let parsed = text.strip_prefix("wrn-").and_then(|rest| {
            let (depth, width) = rest.split_once('-')?;
            Some((depth.parse().ok()?, width.parse().ok()?))
        });
        match parsed {
            Some((depth, width))
                if (10..=DEPTH_MAX).contains(&depth) && depth % 6 == 4 && (1..=WIDTH_MAX).contains(&width) =>
            {
                Ok(Self { depth, width })
            }
            _ => Err(ParseArchitectureError { found: text.to_owned() }),
        }
    }
}

impl fmt::Display for Architecture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "wrn-{}-{}", self.depth, self.width)
    }
}

/// What one image costs on a student, and what the student takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StudentCost {
    /// 2 × multiply-accumulates of convolutions and the linear layer.
    pub flops: u64,
    /// Trained numbers.
    pub params: u64,
    /// Weights on disk, the running statistics of the batch norms included.
    pub bytes: u64,
    /// At run time: the weights, and the most that is alive of one layer's input, output and shortcut.
    pub memory_bytes: u64,
}

/// A tensor's shape while the layers are counted.
#[derive(Clone, Copy, PartialEq)]
struct Shape {
    channels: u64,
    height: u64,
    width: u64,
}

impl Shape {
    /// `[C,H,W]`, or `[C,L]` as one row.
    fn of(input_shape: &[usize]) -> Self {
        let [channels, rest @ ..] = input_shape else { return Self { channels: 1, height: 1, width: 1 } };
        let (width, rows) = rest.split_last().map_or((1, rest), |(width, rows)| (*width, rows));
        Self { channels: *channels as u64, height: rows.iter().product::<usize>() as u64, width: width as u64 }
    }

    fn elements(self) -> u64 {
        self.channels * self.height * self.width
    }
}

/// Sums over the layers so far.
struct Count {
    at: Shape,
    macs: u64,
    params: u64,
    running: u64,
    alive_max: u64,
}

impl Count {
    fn new(at: Shape) -> Self {
        Self { at, macs: 0, params: 0, running: 0, alive_max: 0 }
    }

    /// A convolution without bias, padded to keep the size up to its stride; `beside` elements stay alive meanwhile.
    fn conv(&mut self, kernel: u64, channels: u64, stride: u64, beside: u64) {
        let out = Shape { channels, height: self.at.height.div_ceil(stride), width: self.at.width.div_ceil(stride) };
        let weights = self.at.channels * channels * kernel * kernel;
        self.params += weights;
        self.macs += weights * out.height * out.width;
        self.alive_max = self.alive_max.max(self.at.elements() + out.elements() + beside);
        self.at = out;
    }

    fn batch_norm(&mut self) {
        self.params += 2 * self.at.channels;
        self.running += 2 * self.at.channels;
    }

    /// Pre-activation: BN, ReLU, 3×3, BN, ReLU, 3×3; the shortcut is a 1×1 convolution where the shape changes.
    fn block(&mut self, channels: u64, stride: u64) {
        let input = self.at;
        self.batch_norm();
        self.conv(3, channels, stride, input.elements());
        self.batch_norm();
        self.conv(3, channels, 1, input.elements());
        if self.at != input {
            let output = self.at;
            self.at = input;
            self.conv(1, channels, stride, output.elements());
        }
    }

    fn pool_and_linear(&mut self, classes: usize) {
        let classes = classes as u64;
        self.macs += self.at.channels * classes;
        self.params += (self.at.channels + 1) * classes;
    }

    fn cost(&self) -> StudentCost {
        let bytes = F32_BYTES * (self.params + self.running);
        StudentCost {
            flops: 2 * self.macs,
            params: self.params,
            bytes,
            memory_bytes: bytes + F32_BYTES * self.alive_max,
        }
    }
}

impl Architecture {
    /// Blocks in each of the three groups.
    pub fn blocks_per_group(&self) -> usize {
        (self.depth as usize - 4) / 6
    }

    /// Channels of the three groups.
    pub fn group_channels(&self) -> [usize; 3] {
        [16, 32, 64].map(|base| base * self.width as usize)
    }

    /// What a student for a part of `part_filters` filters costs: the body, a 1×1 convolution to the part's filters, batch norm,
    /// ReLU, global average pool, and the part's share of the head. `input_shape` is `[C,H,W]` or `[C,L]`, without the batch.
    pub fn cost(&self, input_shape: &[usize], part_filters: usize, classes: usize) -> StudentCost {
        let mut count = self.body(input_shape);
        count.conv(1, part_filters as u64, 1, 0);
        count.batch_norm();
        count.pool_and_linear(classes);
        count.cost()
    }

    /// The same for the plain network with its usual head, as its authors count it.
    pub fn plain_cost(&self, input_shape: &[usize], classes: usize) -> StudentCost {
        let mut count = self.body(input_shape);
        count.pool_and_linear(classes);
        count.cost()
    }

    /// Stem, three groups, final batch norm.
    fn body(&self, input_shape: &[usize]) -> Count {
        let mut count = Count::new(Shape::of(input_shape));
        count.conv(3, 16, 1, 0);
        for (channels, first_stride) in self.group_channels().into_iter().zip([1, 2, 2]) {
            for block in 0..self.blocks_per_group() {
                count.block(channels as u64, if block == 0 { first_stride } else { 1 });
            }
        }
        count.batch_norm();
        count
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_read_back_from_what_it_prints() {
        for architecture in ZOO {
            assert_eq!(architecture.to_string().parse(), Ok(architecture));
        }
        assert_eq!(ZOO.map(|a| a.to_string()), ["wrn-10-1", "wrn-16-1", "wrn-22-1", "wrn-16-2"]);
    }

    #[test]
    fn a_name_of_no_architecture_is_refused() {
        for text in
            ["", "wrn", "wrn-16", "wrn-15-1", "wrn-4-1", "wrn-16-0", "wrn-16-1-1", "wrn-16-65", "vgg-16-1", "wrn--16-1"]
        {
            assert!(text.parse::<Architecture>().is_err(), "{text}");
        }
    }

    #[test]
    fn plain_networks_cost_what_is_known_of_them() {
        for (name, params, macs) in [
            ("wrn-10-1", 0.078e6, 12.5e6),
            ("wrn-16-1", 0.175e6, 26.7e6),
            ("wrn-22-1", 0.272e6, 40.8e6),
            ("wrn-28-1", 0.369e6, 55.0e6),
            ("wrn-10-2", 0.304e6, 44.5e6),
            ("wrn-16-2", 0.692e6, 101e6),
            ("wrn-22-2", 1.08e6, 158e6),
            ("wrn-28-2", 1.47e6, 214e6),
            ("wrn-16-4", 2.75e6, 393e6),
            ("wrn-40-4", 8.95e6, 1299e6),
        ] {
            let cost = name.parse::<Architecture>().unwrap().plain_cost(&[3, 32, 32], 10);
            let near = |found: u64, known: f64| (found as f64 / known - 1.0).abs() < 0.01;
            assert!(near(cost.params, params), "{name}: {} parameters, not {params}", cost.params);
            assert!(near(cost.flops, 2.0 * macs), "{name}: {} FLOPs, not 2 × {macs}", cost.flops);
        }
    }

    #[test]
    fn a_student_has_the_tail_for_its_part_in_place_of_the_usual_head() {
        let plain = ZOO[1].plain_cost(&[1, 28, 28], 10);
        let student = ZOO[1].cost(&[1, 28, 28], 32, 10);
        assert_eq!(student.params - plain.params, (64 * 32 + 2 * 32 + 32 * 10 + 10) - (64 * 10 + 10));
        assert_eq!(student.flops - plain.flops, 2 * (64 * 32 * 49 + 32 * 10 - 64 * 10));
    }

    #[test]
    fn a_series_is_counted_as_one_row() {
        assert_eq!(ZOO[0].cost(&[3, 100], 16, 5), ZOO[0].cost(&[3, 1, 100], 16, 5));
    }

    #[test]
    fn memory_holds_the_weights_and_the_widest_layer() {
        // 28×28 with 16 channels: input, output and shortcut of a block of the first group.
        let cost = ZOO[1].cost(&[1, 28, 28], 32, 10);
        assert_eq!(cost.memory_bytes, cost.bytes + 4 * 3 * 16 * 28 * 28);
    }
}
