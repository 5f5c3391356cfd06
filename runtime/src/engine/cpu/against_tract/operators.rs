//! Operators beyond convolutions and their plain chains.

use proptest::prelude::*;

use super::{One, SUMS, fan_in, noise};

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn resized_by_whole_factors(channels in 1usize..5, h in 2usize..20, w in 2usize..20, down in 1usize..5, across in 1usize..5, way in 0usize..4) {
        let [mode, coordinates, rounding] = [
            ["nearest", "asymmetric", "floor"],
            ["nearest", "half_pixel", "round_prefer_floor"],
            ["linear", "half_pixel", ""],
            ["linear", "align_corners", ""],
        ][way];
        let one = One::new("Resize").input([1, channels, h, w]).weights(&[0], vec![]).weights(&[4], vec![1.0, 1.0, down as f32, across as f32]);
        let one = one.text("mode", mode).text("coordinate_transformation_mode", coordinates);
        let one = if rounding.is_empty() { one } else { one.text("nearest_mode", rounding) };
        one.agrees(if mode == "nearest" { 0.0 } else { 2e-6 });
    }

    #[test]
    fn windows_with_borders_that_differ(
        channels in 1usize..6, h in 3usize..40, w in 3usize..40, k in 1usize..5, stride in 1usize..4, top in 0usize..2, bottom in 0usize..3,
        counted in any::<bool>(),
    ) {
        // A window larger than its input is refused.
        let k = k.min(h).min(w);
        let (top, bottom) = (top.min(k - 1), bottom.min(k - 1));
        let pooled = |operator: &str| {
            let one = One::new(operator).input([1, channels, h, w]).ints("kernel_shape", &[k, k]).ints("strides", &[stride, stride]);
            one.ints("pads", &[top, bottom, bottom, top])
        };
        pooled("MaxPool").agrees(0.0);
        pooled("AveragePool").int("count_include_pad", i64::from(counted)).agrees(2e-6);
    }

    #[test]
    fn folded_over_channels_and_over_pixels(channels in 1usize..40, h in 1usize..30, w in 1usize..30) {
        let shape = [1, channels, h, w];
        for axes in [&[1][..], &[2, 3], &[1, 2, 3]] {
            for operator in ["ReduceMean", "ReduceSumSquare", "ReduceMax", "ReduceMin", "ReduceL2"] {
                One::new(operator).input(shape).ints("axes", axes).int("keepdims", 1).agrees(SUMS);
            }
            let mut sum = One::new("ReduceSum").input(shape);
            sum = sum.numbers(&axes.iter().map(|&axis| axis as i64).collect::<Vec<_>>()).int("keepdims", 1);
            sum.agrees(SUMS);
        }
        One::new("GlobalAveragePool").input(shape).agrees(SUMS);
        One::new("GlobalMaxPool").input(shape).agrees(0.0);
        One::new("Softmax").input(shape).int("axis", 1).agrees(SUMS);
    }

    /// The root of the mean square over channels divides every pixel; then a gain and a bias for each channel.
    #[test]
    fn a_norm_of_each_pixel(channels in 1usize..70, h in 1usize..30, w in 1usize..30, centred in any::<bool>()) {
        let one = One::new("Relu").input([1, channels, h, w]);
        let (one, of) = if centred {
            let one = one.then("ReduceMean", &["in0"]).ints("axes", &[1]).int("keepdims", 1);
            (one.then("Sub", &["in0", "mid1_0"]), "mid2_0")
        } else {
            (one.then("Neg", &["in0"]).then("Neg", &["mid1_0"]), "mid2_0")
        };
        let one = one.then("Mul", &[of, of]).then("ReduceMean", &["mid3_0"]).ints("axes", &[1]).int("keepdims", 1);
        let one = one.then("Add", &["mid4_0"]).weights(&[], vec![1e-2]).then("Sqrt", &["mid5_0"]).then("Div", &[of, "mid6_0"]);
        let one = one.then("Mul", &["mid7_0"]).weights(&[1, channels, 1, 1], noise(channels, 5));
        one.then("Add", &["mid8_0"]).weights(&[1, channels, 1, 1], noise(channels, 6)).then("Relu", &["mid9_0"]).agrees(SUMS);
    }

    #[test]
    fn activations(channels in 1usize..5, h in 1usize..40, w in 1usize..40) {
        let shape = [1, channels, h, w];
        for operator in ["HardSwish", "Erf", "Reciprocal"] {
            let one = One::new("Mul").input(shape).weights(&[], vec![4.0]);
            let one = one.then("Add", &["mid0_0"]).weights(&[], vec![if operator == "Reciprocal" { 6.0 } else { 0.0 }]);
            one.then(operator, &["mid1_0"]).agrees(5e-6);
        }
        One::new("HardSigmoid").input(shape).float("alpha", 0.3).float("beta", 0.4).agrees(2e-6);
        One::new("Elu").input(shape).float("alpha", 0.7).agrees(2e-6);
        One::new("PRelu").input(shape).weights(&[channels, 1, 1], noise(channels, 5)).agrees(2e-6);
        for exponent in [2.0, 3.0, 1.0] {
            One::new("Pow").input(shape).weights(&[], vec![exponent]).agrees(2e-6);
        }
        let positive = || One::new("Exp").input(shape);
        for exponent in [0.5, -0.5, -2.0] {
            positive().then("Pow", &["mid0_0"]).weights(&[], vec![exponent]).agrees(5e-6);
        }
        positive().then("Log", &["mid0_0"]).agrees(5e-6);
        positive().then("Pow", &["mid0_0"]).weights(&[channels, 1, 1], noise(channels, 7)).agrees(5e-6);
        One::new("Abs").input(shape).then("Pow", &["mid0_0", "in0"]).agrees(5e-6);
        One::new("Mul").input(shape).weights(&[], vec![40.0]).then("Round", &["mid0_0"]).agrees(0.0);
        One::new("Sum").input(shape).input(shape).input(shape).agrees(2e-6);
        One::new("Max").input(shape).input(shape).input(shape).agrees(0.0);
        // As PyTorch spells GELU.
        let gelu = One::new("Div").input(shape).weights(&[], vec![std::f32::consts::SQRT_2]).then("Erf", &["mid0_0"]);
        gelu.then("Add", &["mid1_0"]).weights(&[], vec![1.0]).then("Mul", &["in0", "mid2_0"]).then("Mul", &["mid3_0"]).weights(&[], vec![0.5]).agrees(5e-6);
        for comparison in ["Less", "Greater", "LessOrEqual", "GreaterOrEqual", "Equal"] {
            One::new(comparison).input(shape).input(shape).then("Where", &["mid0_0", "in0", "in1"]).agrees(0.0);
        }
    }

    #[test]
    fn borders_and_cuts(
        channels in 1usize..4, h in 4usize..20, w in 4usize..20, top in 0usize..4, left in 0usize..4, bottom in 0usize..4, right in 0usize..4,
        filled in any::<bool>(), step in 1usize..3,
    ) {
        // Constants alone: where a third input is given, tract fills with zeros whatever the mode.
        let fill = if filled { 1.5 } else { 0.0 };
        let pads = [0, 0, top as i64, left as i64, 0, 0, bottom as i64, right as i64];
        let padded = One::new("Pad").input([1, channels, h, w]).numbers(&pads).weights(&[], vec![fill]).text("mode", "constant");
        padded.agrees(0.0);
        // A border and a convolution that takes it.
        let one = padded.then("Conv", &["mid0_0"]).weights(&[3, channels, 3, 3], fan_in([3, channels, 3, 3], channels * 9));
        one.ints("strides", &[step, step]).ints("pads", &[0, 1, 1, 0]).agrees(SUMS);
        let cut = One::new("Slice").input([1, channels, h, w]).numbers(&[top as i64 % 3, -3]).numbers(&[i64::MAX >> 20, -1]).numbers(&[2, 3]);
        cut.numbers(&[step as i64, 1]).agrees(0.0);
    }

    #[test]
    fn depth_to_space_and_back(channels in 1usize..5, h in 1usize..12, w in 1usize..12, n in 1usize..4, order in any::<bool>()) {
        let shape = [1, channels * n * n, h, w];
        One::new("DepthToSpace").input(shape).int("blocksize", n as i64).text("mode", if order { "CRD" } else { "DCR" }).agrees(0.0);
        One::new("SpaceToDepth").input([1, channels, h * n, w * n]).int("blocksize", n as i64).agrees(0.0);
    }

    /// Squeeze and excitation: one number for each channel multiplies its plane.
    #[test]
    fn a_channel_times_what_all_its_pixels_say(channels in 1usize..20, h in 1usize..30, w in 1usize..30) {
        let one = One::new("GlobalAveragePool").input([1, channels, h, w]);
        let one = one.then("Conv", &["mid0_0"]).weights(&[channels, channels, 1, 1], fan_in([channels, channels, 1, 1], channels));
        one.then("Sigmoid", &["mid1_0"]).then("Mul", &["in0", "mid2_0"]).agrees(SUMS);
    }

    /// The blocks of MobileNet: what follows a convolution is done by it, also where its output is needed again.
    #[test]
    fn inverted_residuals(
        channels in 1usize..20, wide in 2usize..40, h in 3usize..40, w in 3usize..40, stride in 1usize..3, again in any::<bool>(),
    ) {
        let one = One::new("Conv").input([1, channels, h, w]).weights(&[wide, channels, 1, 1], fan_in([wide, channels, 1, 1], channels));
        let one = one.weights(&[wide], noise(wide, 8)).then("Clip", &["mid0_0"]).weights(&[], vec![0.0]).weights(&[], vec![0.4]);
        let one = one.then("Conv", &["mid1_0"]).weights(&[wide, 1, 3, 3], fan_in([wide, 1, 3, 3], 9)).int("group", wide as i64);
        let one = one.ints("strides", &[stride, stride]).ints("pads", &[1, 1, 1, 1]).then("Relu", &["mid2_0"]);
        let one = one.then("Conv", &["mid3_0"]).weights(&[channels, wide, 1, 1], fan_in([channels, wide, 1, 1], wide));
        if stride == 2 {
            let one = one.then("Clip", &["mid4_0"]).weights(&[], vec![-0.2]).weights(&[], vec![0.2]);
            if again { one.then("Concat", &["mid5_0", "mid4_0"]).int("axis", 1).agrees(SUMS) } else { one.agrees(SUMS) }
        } else {
            let one = one.then("Add", &["in0", "mid4_0"]).then("Relu", &["mid5_0"]);
            if again { one.then("Concat", &["mid6_0", "mid4_0", "mid5_0"]).int("axis", 1).agrees(SUMS) } else { one.agrees(SUMS) }
        }
    }

    /// Enough channels for minimal filtering.
    #[test]
    fn three_by_three_of_many_channels(cin in 30usize..70, cout in 30usize..70, h in 3usize..20, w in 3usize..20, bounded in any::<bool>()) {
        let one = One::new("Conv").input([1, cin, h, w]).weights(&[cout, cin, 3, 3], fan_in([cout, cin, 3, 3], cin * 9));
        let one = one.weights(&[cout], noise(cout, 8)).ints("pads", &[1, 0, 1, 2]);
        if bounded { one.then("Relu", &["mid0_0"]).agrees(SUMS) } else { one.agrees(SUMS) }
    }
}
