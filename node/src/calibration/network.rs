//! The known network: four 3×3 convolutions of 16 channels at 32×32, as the first block of a wide residual network has them.

use rocoin_models::onnx_file::{Attribute, OnnxFile};

/// Channels, height, width.
pub(crate) const SHAPE: [usize; 3] = [CHANNELS, SIDE, SIDE];
/// Of one run: 2 × multiply-accumulates.
pub(super) const FLOPS: u64 = 2 * (LAYERS * CHANNELS * CHANNELS * 9 * SIDE * SIDE) as u64;

const CHANNELS: usize = 16;
const SIDE: usize = 32;
const LAYERS: usize = 4;

/// The network as an ONNX file's bytes; input `image` [1, 16, 32, 32], output of the same shape.
pub(crate) fn onnx() -> Vec<u8> {
    let length = |length: usize| i64::try_from(length).unwrap_or(i64::MAX);
    let shape = [1, length(CHANNELS), length(SIDE), length(SIDE)];
    let layers = (0..LAYERS).fold(OnnxFile::new("calibration"), |file, layer| {
        let pads = Attribute::Ints("pads", &[1; 4]);
        file.node("Conv", &[&name(layer), "weights"], &name(layer + 1), &[pads])
    });
    // Small values keep the maps bounded.
    let values: Vec<f32> = (0..CHANNELS * CHANNELS * 9).map(|i| if i % 2 == 0 { 0.01 } else { -0.009 }).collect();
    layers
        .weights("weights", &[length(CHANNELS), length(CHANNELS), 3, 3], &values)
        .input("image", &shape)
        .output(&name(LAYERS), &shape)
        .bytes()
}

fn name(layer: usize) -> String {
    if layer == 0 { "image".to_owned() } else { format!("map-{layer}") }
}
