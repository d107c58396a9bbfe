//! The kernels against burn's own operations, and against finite differences.

use burn::tensor::module;
use burn::tensor::ops::ConvOptions;
use burn::tensor::{Device, Distribution, Tensor};

use super::{batch_norm_relu, conv2d};

#[test]
fn convolution_and_its_gradients_equal_burns_own() {
    // Input [batch, height, width, in], output channels, kernel, stride.
    let cases = [
        ([2, 8, 8, 16], 16, 3, [1, 1]),
        ([2, 16, 16, 16], 32, 3, [2, 2]),
        ([2, 9, 7, 32], 64, 3, [2, 2]),
        ([2, 7, 7, 64], 64, 3, [1, 1]),
        ([2, 28, 28, 1], 16, 3, [1, 1]),
        ([2, 32, 32, 3], 16, 3, [1, 1]),
        ([2, 8, 8, 64], 37, 1, [1, 1]),
        ([2, 8, 8, 16], 32, 1, [2, 2]),
        ([3, 6, 5, 5], 7, 3, [1, 2]),
        ([1, 2, 2, 3], 1, 3, [2, 1]),
        ([2, 1, 24, 16], 32, 3, [1, 2]),
        ([2, 1, 24, 16], 32, 1, [1, 2]),
        ([2, 1, 25, 1], 16, 3, [1, 1]),
        ([1, 1, 1, 3], 5, 3, [1, 1]),
    ];
    for (input, out, kernel, stride) in cases {
        let device = Device::flex().autodiff();
        let x = random(input, &device);
        let w = random([out, input[3], kernel, kernel], &device);

        let ours = conv2d(x.clone(), w.clone(), stride);
        let padding = [kernel / 2; 2];
        let options = ConvOptions::new(stride, padding, [1, 1], 1);
        let burns = module::conv2d(x.clone().permute([0, 3, 1, 2]), w.clone(), None, options).permute([0, 2, 3, 1]);

        let case = format!("{input:?} to {out}, kernel {kernel}, stride {stride:?}");
        assert_close(&ours, &burns, &format!("output of {case}"));
        let direction = Tensor::random(ours.dims(), Distribution::Uniform(-1.0, 1.0), &device);
        let ours = (ours * direction.clone()).sum().backward();
        let burns = (burns * direction).sum().backward();
        for (name, leaf) in [("input", &x), ("weight", &w)] {
            let (ours, burns) = (leaf.grad(&ours).unwrap(), leaf.grad(&burns).unwrap());
            assert_close(&ours, &burns, &format!("{name} gradient of {case}"));
        }
    }
}

#[test]
fn normalisation_with_relu_and_its_gradients_equal_burns_own() {
    for shape in [[4, 8, 8, 16], [2, 5, 7, 64], [3, 4, 4, 37], [8, 1, 24, 32], [2, 40, 40, 16]] {
        let device = Device::flex().autodiff();
        let x = (Tensor::<4>::random(shape, Distribution::Uniform(-1.0, 3.0), &device) * 2.0).detach().require_grad();
        let gamma = random([shape[3]], &device);
        let beta = random([shape[3]], &device);

        let (ours, mean, variance) = batch_norm_relu(x.clone(), gamma.clone(), beta.clone(), 1e-5);
        let channels_first = x.clone().permute([0, 3, 1, 2]);
        let burns = module::batch_norm_train(channels_first, gamma.clone(), beta.clone(), 1e-5);
        assert_close(&mean, &burns.mean, &format!("mean of {shape:?}"));
        assert_close(&variance, &burns.variance, &format!("variance of {shape:?}"));
        let burns = burn::tensor::activation::relu(burns.output).permute([0, 2, 3, 1]);
        assert_close(&ours, &burns, &format!("output of {shape:?}"));

        let direction = Tensor::random(shape, Distribution::Uniform(-1.0, 1.0), &device);
        let ours = (ours * direction.clone()).sum().backward();
        let burns = (burns * direction).sum().backward();
        assert_close(&x.grad(&ours).unwrap(), &x.grad(&burns).unwrap(), &format!("input gradient of {shape:?}"));
        for (name, leaf) in [("gamma", &gamma), ("beta", &beta)] {
            let (ours, burns) = (leaf.grad(&ours).unwrap(), leaf.grad(&burns).unwrap());
            assert_close(&ours, &burns, &format!("{name} gradient of {shape:?}"));
        }
    }
}

#[test]
fn gradients_of_a_small_network_agree_with_finite_differences() {
    let device = Device::flex().autodiff();
    let x = random([2, 4, 3, 2], &device);
    let w = random([3, 2, 3, 3], &device);
    let gamma = random([3], &device);
    let beta = random([3], &device);
    let direction = Tensor::random([2, 2, 2, 3], Distribution::Uniform(-1.0, 1.0), &device);
    let loss = |w: Tensor<4>| {
        let (output, _, _) = batch_norm_relu(conv2d(x.clone(), w, [2, 2]), gamma.clone(), beta.clone(), 1e-1);
        (output * direction.clone()).sum()
    };

    let gradient: Vec<f32> = w.grad(&loss(w.clone()).backward()).unwrap().into_data().try_to_vec().unwrap();

    let weights: Vec<f32> = w.into_data().try_to_vec().unwrap();
    let step = 1e-3;
    let moved = |index: usize, by: f32| {
        let mut weights = weights.clone();
        weights[index] += by;
        let data = burn::tensor::TensorData::new(weights, [3, 2, 3, 3]);
        f64::from(loss(Tensor::from_data(data, &device)).into_scalar::<f32>())
    };
    // A step across the corner of a ReLU makes a single difference wrong, so most must agree, not all.
    let agree = (0..weights.len())
        .filter(|&i| {
            let difference = (moved(i, step) - moved(i, -step)) / f64::from(2.0 * step);
            (difference - f64::from(gradient[i])).abs() < 1e-2 * difference.abs().max(0.1)
        })
        .count();
    assert!(agree * 10 >= weights.len() * 9, "only {agree} of {} gradients agree", weights.len());
}

#[test]
fn statistics_are_detached_and_need_no_tape() {
    let device = Device::flex();
    let x = Tensor::<4>::random([2, 3, 3, 16], Distribution::Uniform(-1.0, 1.0), &device);
    let (gamma, beta) = (Tensor::<1>::ones([16], &device), Tensor::<1>::zeros([16], &device));

    let (output, mean, _) = batch_norm_relu(x.clone(), gamma, beta, 1e-5);

    assert_close(&mean, &x.mean_dims(&[0, 1, 2]).reshape([16]), "mean");
    assert!(output.min().into_scalar::<f32>() >= 0.0);
}

#[test]
#[should_panic(expected = "the input has 3 channels, the weight 4")]
fn convolution_of_other_channels_is_refused() {
    let device = Device::flex();
    let _ = conv2d(Tensor::zeros([1, 4, 4, 3], &device), Tensor::zeros([8, 4, 3, 3], &device), [1, 1]);
}

fn random<const D: usize>(shape: [usize; D], device: &Device) -> Tensor<D> {
    Tensor::random(shape, Distribution::Uniform(-1.0, 1.0), device).require_grad()
}

/// Within 1e-4 of the largest value.
fn assert_close<const D: usize>(ours: &Tensor<D>, theirs: &Tensor<D>, what: &str) {
    assert_eq!(ours.dims(), theirs.dims(), "{what}");
    let ours: Vec<f32> = ours.clone().into_data().try_to_vec().unwrap();
    let theirs: Vec<f32> = theirs.clone().into_data().try_to_vec().unwrap();
    let largest = theirs.iter().fold(1e-3_f32, |largest, value| largest.max(value.abs()));
    let worst = ours.iter().zip(&theirs).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(worst <= 1e-4 * largest, "{what}: off by {worst}, largest value {largest}");
}
