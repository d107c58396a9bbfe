//! A training step of WRN-16-1 (forward and backward, one thread) with the training kernels and with burn's own
//! operations, and the speed of single convolutions.
//!
//! Items are images for the networks and floating-point operations for the convolutions.

use burn::tensor::activation::relu;
use burn::tensor::module;
use burn::tensor::ops::ConvOptions;
use burn::tensor::{Device, Distribution, Tensor};
use divan::Bencher;
use divan::counter::ItemsCount;
use rocoin_models::kernels;

const BATCH: usize = 64;
const CLASSES: usize = 10;

fn main() {
    divan::main();
}

#[divan::bench(args = [[32, 32, 3], [28, 28, 1]], sample_count = 5, sample_size = 1)]
fn training_step_with_our_kernels(bencher: Bencher<'_, '_>, image: [usize; 3]) {
    training_step(bencher, image, Operations::Ours);
}

#[divan::bench(args = [[32, 32, 3], [28, 28, 1]], sample_count = 3, sample_size = 1)]
fn training_step_with_burns_own(bencher: Bencher<'_, '_>, image: [usize; 3]) {
    training_step(bencher, image, Operations::Burns);
}

/// Side of the image, channels in and out, stride.
#[divan::bench(args = [[32, 16, 16, 1], [16, 32, 32, 1], [8, 64, 64, 1], [32, 16, 32, 2]], sample_count = 10)]
fn convolution(bencher: Bencher<'_, '_>, [side, channels, out, stride]: [usize; 4]) {
    let device = Device::flex();
    let input = random([BATCH, side, side, channels], &device);
    let weight = random([out, channels, 3, 3], &device);
    let operations = 2 * BATCH * (side / stride).pow(2) * channels * out * 9;
    bencher
        .counter(ItemsCount::new(operations))
        .bench_local(|| kernels::conv2d(input.clone(), weight.clone(), [stride; 2]));
}

fn training_step(bencher: Bencher<'_, '_>, [height, width, channels]: [usize; 3], operations: Operations) {
    let device = Device::flex().autodiff();
    let network = Network::new(channels, operations, &device);
    let shape = match operations {
        Operations::Ours => [BATCH, height, width, channels],
        Operations::Burns => [BATCH, channels, height, width],
    };
    let images = random(shape, &device);
    bencher
        .counter(ItemsCount::new(BATCH))
        .bench_local(|| network.forward(images.clone()).powf_scalar(2.0).mean().backward());
}

/// Whose operations, and with them where the channels are.
#[derive(Clone, Copy)]
enum Operations {
    /// Channels last.
    Ours,
    /// Channels first.
    Burns,
}

impl Operations {
    fn convolve(self, input: Tensor<4>, weight: &Tensor<4>, stride: usize) -> Tensor<4> {
        match self {
            Self::Ours => kernels::conv2d(input, weight.clone(), [stride; 2]),
            Self::Burns => {
                let padding = weight.dims()[2] / 2;
                let options = ConvOptions::new([stride; 2], [padding; 2], [1; 2], 1);
                module::conv2d(input, weight.clone(), None, options)
            }
        }
    }

    fn normalise(self, input: Tensor<4>, [gamma, beta]: &[Tensor<1>; 2]) -> Tensor<4> {
        match self {
            Self::Ours => kernels::batch_norm_relu(input, gamma.clone(), beta.clone(), 1e-5).0,
            Self::Burns => relu(module::batch_norm_train(input, gamma.clone(), beta.clone(), 1e-5).output),
        }
    }

    fn pool(self, input: Tensor<4>) -> Tensor<2> {
        match self {
            Self::Ours => input.mean_dims(&[1, 2]).squeeze_dims(&[1, 2]),
            Self::Burns => module::adaptive_avg_pool2d(input, [1, 1]).squeeze_dims(&[2, 3]),
        }
    }
}

struct Block {
    norms: [[Tensor<1>; 2]; 2],
    weights: [Tensor<4>; 2],
    shortcut: Option<Tensor<4>>,
    stride: usize,
}

struct Network {
    operations: Operations,
    stem: Tensor<4>,
    blocks: Vec<Block>,
    norm: [Tensor<1>; 2],
    head: Tensor<2>,
}

impl Network {
    fn new(channels: usize, operations: Operations, device: &Device) -> Self {
        let weight = |shape: [usize; 4]| (random(shape, device) * 0.1).detach().require_grad();
        let norm =
            |size: usize| [Tensor::ones([size], device).require_grad(), Tensor::zeros([size], device).require_grad()];
        let blocks = [(16, 16, 1), (16, 16, 1), (16, 32, 2), (32, 32, 1), (32, 64, 2), (64, 64, 1)]
            .map(|(channels, out, stride)| Block {
                norms: [norm(channels), norm(out)],
                weights: [weight([out, channels, 3, 3]), weight([out, out, 3, 3])],
                shortcut: (channels != out).then(|| weight([out, channels, 1, 1])),
                stride,
            })
            .into();
        let head = random([64, CLASSES], device).require_grad();
        Self { operations, stem: weight([16, channels, 3, 3]), blocks, norm: norm(64), head }
    }

    fn forward(&self, images: Tensor<4>) -> Tensor<2> {
        let ops = self.operations;
        let mut features = ops.convolve(images, &self.stem, 1);
        for block in &self.blocks {
            let ready = ops.normalise(features.clone(), &block.norms[0]);
            let shortcut = match &block.shortcut {
                Some(weight) => ops.convolve(ready.clone(), weight, block.stride),
                None => features,
            };
            let middle = ops.normalise(ops.convolve(ready, &block.weights[0], block.stride), &block.norms[1]);
            features = ops.convolve(middle, &block.weights[1], 1) + shortcut;
        }
        ops.pool(ops.normalise(features, &self.norm)).matmul(self.head.clone())
    }
}

fn random<const D: usize>(shape: [usize; D], device: &Device) -> Tensor<D> {
    Tensor::random(shape, Distribution::Uniform(-1.0, 1.0), device)
}
