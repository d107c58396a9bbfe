//! The topology of a student: a pre-activation wide residual network (Zagoruyko and Komodakis, arXiv 1605.07146), then a
//! 1×1 convolution, batch norm and ReLU to the filters of its knowledge part (NoNN's public recipe).

use rocoin::planner::zoo::Architecture;

/// `[C, H, W]` of an input of shape `[C, H, W]` or `[C, L]`; a series has height 1. `None` for any other rank.
pub fn extent(shape: &[usize]) -> Option<[usize; 3]> {
    match *shape {
        [channels, height, width] => Some([channels, height, width]),
        [channels, length] => Some([channels, 1, length]),
        _ => None,
    }
}

/// A convolution without bias, padded by `kernel / 2`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Conv {
    /// Output channels.
    pub outputs: usize,
    /// Input channels.
    pub inputs: usize,
    /// 1 or 3, in both axes.
    pub kernel: usize,
    /// 1 or 2, in both axes.
    pub stride: usize,
}

impl Conv {
    /// Number of weights.
    pub fn len(&self) -> usize {
        self.outputs * self.inputs * self.kernel * self.kernel
    }

    /// Never: there is at least one channel.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A residual block: which convolutions and norms it is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Block {
    norms: [usize; 2],
    convs: [usize; 2],
    shortcut: Option<usize>,
}

/// What a student is made of, in the order of its parameters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wrn {
    convs: Vec<Conv>,
    /// Channels of each batch norm.
    norms: Vec<usize>,
    blocks: Vec<Block>,
}

/// The steps a network consists of; whoever implements it decides what a step does.
pub(crate) trait Layers {
    /// A batch of maps.
    type Map: Clone;

    fn conv(&mut self, conv: usize, x: Self::Map) -> Self::Map;

    fn norm_relu(&mut self, norm: usize, x: Self::Map) -> Self::Map;

    /// A convolution whose only reader is a norm, so that the two can be folded.
    fn conv_norm_relu(&mut self, conv: usize, norm: usize, x: Self::Map) -> Self::Map {
        let y = self.conv(conv, x);
        self.norm_relu(norm, y)
    }

    fn add(&mut self, a: Self::Map, b: Self::Map) -> Self::Map;
}

impl Wrn {
    /// For `channels` of input and a knowledge part of `filters`.
    pub fn new(architecture: Architecture, channels: usize, filters: usize) -> Self {
        let mut net = Self { convs: Vec::new(), norms: Vec::new(), blocks: Vec::new() };
        let mut inputs = 16;
        net.conv(Conv { outputs: inputs, inputs: channels, kernel: 3, stride: 1 });
        for (outputs, first_stride) in architecture.group_channels().into_iter().zip([1, 2, 2]) {
            for block in 0..architecture.blocks_per_group() {
                net.block(inputs, outputs, if block == 0 { first_stride } else { 1 });
                inputs = outputs;
            }
        }
        net.norms.push(inputs);
        net.conv(Conv { outputs: filters, inputs, kernel: 1, stride: 1 });
        net.norms.push(filters);
        net
    }

    /// The convolutions, in the order of their weights.
    pub fn convs(&self) -> &[Conv] {
        &self.convs
    }

    /// The channels of each batch norm, in the order of their parameters.
    pub fn norms(&self) -> &[usize] {
        &self.norms
    }

    /// Channels of the knowledge map: the filters of the part.
    pub fn filters(&self) -> usize {
        self.convs.last().map_or(0, |conv| conv.outputs)
    }

    /// Height and width of the knowledge map for an input of `[H, W]`.
    pub fn map_extent(&self, input: [usize; 2]) -> [usize; 2] {
        input.map(|length| length.div_ceil(2).div_ceil(2))
    }

    /// Trained numbers: convolutions and two a normed channel; without a head.
    pub fn params(&self) -> usize {
        self.convs.iter().map(Conv::len).sum::<usize>() + 2 * self.norms.iter().sum::<usize>()
    }

    /// Images to the knowledge map F_k.
    pub(crate) fn walk<L: Layers>(&self, layers: &mut L, images: L::Map) -> L::Map {
        let mut x = layers.conv(0, images);
        for block in &self.blocks {
            let active = layers.norm_relu(block.norms[0], x.clone());
            let shortcut = match block.shortcut {
                Some(conv) => layers.conv(conv, active.clone()),
                None => x,
            };
            let y = layers.conv_norm_relu(block.convs[0], block.norms[1], active);
            let y = layers.conv(block.convs[1], y);
            x = layers.add(shortcut, y);
        }
        let x = layers.norm_relu(self.norms.len() - 2, x);
        layers.conv_norm_relu(self.convs.len() - 1, self.norms.len() - 1, x)
    }

    fn conv(&mut self, conv: Conv) -> usize {
        self.convs.push(conv);
        self.convs.len() - 1
    }

    fn block(&mut self, inputs: usize, outputs: usize, stride: usize) {
        let norms = [self.norms.len(), self.norms.len() + 1];
        self.norms.extend([inputs, outputs]);
        let convs = [
            self.conv(Conv { outputs, inputs, kernel: 3, stride }),
            self.conv(Conv { outputs, inputs: outputs, kernel: 3, stride: 1 }),
        ];
        let projects = inputs != outputs || stride != 1;
        let shortcut = projects.then(|| self.conv(Conv { outputs, inputs, kernel: 1, stride }));
        self.blocks.push(Block { norms, convs, shortcut });
    }
}

#[cfg(test)]
mod tests {
    use rocoin::planner::zoo::ZOO;

    use super::*;

    #[test]
    fn parameters_are_those_the_planner_counts() {
        for architecture in ZOO {
            let (filters, classes) = (32, 10);
            let head = filters * classes + classes;
            let params = Wrn::new(architecture, 3, filters).params() + head;
            assert_eq!(params as u64, architecture.cost(&[3, 32, 32], filters, classes).params, "{architecture}");
        }
    }

    #[test]
    fn the_knowledge_map_is_a_quarter_of_the_input_rounded_up() {
        let net = Wrn::new(ZOO[0], 1, 4);
        assert_eq!(net.map_extent([28, 28]), [7, 7]);
        assert_eq!(net.map_extent([1, 30]), [1, 8]);
    }
}
