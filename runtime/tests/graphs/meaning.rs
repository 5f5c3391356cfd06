//! A node means what the opset of its file says.

use crate::write::{PIXELS, SIDE, With, close, floats, ints, meaning, node, picture, truth};

fn each(f: impl Fn(f32) -> f32) -> Vec<f32> {
    picture().into_iter().map(f).collect()
}

/// The picture's pixel at a row and a column.
fn at(row: usize, column: usize) -> f32 {
    picture()[row * SIDE + column]
}

#[test]
fn the_bounds_of_clip_are_attributes_until_opset_10_and_inputs_from_11_on() {
    for opset in 7..=10 {
        let clip = |node| meaning(opset, vec![node], vec![]).unwrap();
        assert_eq!(clip(node("Clip", "x", "y").float("max", 0.25)), each(|x| x.min(0.25)), "opset {opset}");
        assert_eq!(clip(node("Clip", "x", "y").float("min", 0.25)), each(|x| x.max(0.25)), "opset {opset}");
        assert_eq!(clip(node("Clip", "x", "y").float("min", -0.5).float("max", 0.25)), each(|x| x.clamp(-0.5, 0.25)), "opset {opset}");
        assert_eq!(clip(node("Clip", "x", "y")), picture(), "opset {opset}");
    }
    for opset in 11..=24 {
        let clip = |inputs: &str| {
            let bounds = vec![floats("low", &[], &[-0.5]), floats("high", &[], &[0.25])];
            meaning(opset, vec![node("Clip", inputs, "y")], bounds).unwrap()
        };
        assert_eq!(clip("x - high"), each(|x| x.min(0.25)), "opset {opset}");
        assert_eq!(clip("x low"), each(|x| x.max(-0.5)), "opset {opset}");
        assert_eq!(clip("x low -"), each(|x| x.max(-0.5)), "opset {opset}");
        assert_eq!(clip("x low high"), each(|x| x.clamp(-0.5, 0.25)), "opset {opset}");
    }
}

#[test]
fn softmax_takes_all_later_axes_together_until_opset_12() {
    let total: f32 = picture().iter().map(|x| x.exp()).sum();
    let row = |i: usize| picture()[i / SIDE * SIDE..][..SIDE].iter().map(|x| x.exp()).sum::<f32>();
    let of_all = each(|x| x.exp() / total);
    let of_rows: Vec<f32> = picture().iter().enumerate().map(|(i, x)| x.exp() / row(i)).collect();
    for opset in [7, 9, 11, 12] {
        assert!(close(&meaning(opset, vec![node("Softmax", "x", "y")], vec![]).unwrap(), &of_all), "opset {opset}");
        assert!(close(&meaning(opset, vec![node("Softmax", "x", "y").int("axis", 3)], vec![]).unwrap(), &of_rows), "opset {opset}");
    }
    for opset in [13, 18, 24] {
        assert!(close(&meaning(opset, vec![node("Softmax", "x", "y")], vec![]).unwrap(), &of_rows), "opset {opset}");
    }
}

#[test]
fn upsample_and_the_first_resize_repeat_pixels_counted_from_the_corner() {
    let doubled: Vec<f32> = (0..4 * PIXELS).map(|i| at(i / (2 * SIDE) / 2, i % (2 * SIDE) / 2)).collect();
    let scales = [1.0, 1.0, 2.0, 2.0];
    for opset in [7, 8] {
        assert_eq!(meaning(opset, vec![node("Upsample", "x", "y").floats("scales", &scales)], vec![]).unwrap(), doubled, "opset {opset}");
    }
    let given = || vec![floats("scales", &[4], &scales)];
    assert_eq!(meaning(9, vec![node("Upsample", "x scales", "y").text("mode", "nearest")], given()).unwrap(), doubled);
    assert_eq!(meaning(10, vec![node("Resize", "x scales", "y")], given()).unwrap(), doubled);
    // Between two pixels, counted from the corner: the second of each pair lies half-way to the next.
    let linear = meaning(9, vec![node("Upsample", "x scales", "y").text("mode", "linear")], given()).unwrap();
    assert!((linear[1] - f32::midpoint(at(0, 0), at(0, 1))).abs() < 1e-5);
}

#[test]
fn lists_that_were_attributes_are_inputs_later() {
    // For each operator its form of an old opset, one of a newer, and what both mean.
    let by_row = |row: usize| picture()[row * SIDE..][..SIDE].to_vec();
    let sums: Vec<f32> = (0..SIDE).map(|row| by_row(row).iter().sum()).collect();
    let cases = [
        (
            "Slice",
            (9, node("Slice", "x", "y").ints("starts", &[2]).ints("ends", &[4]).ints("axes", &[2])),
            (13, node("Slice", "x from to axes", "y"), vec![ints("from", &[2]), ints("to", &[4]), ints("axes", &[2])]),
            [by_row(2), by_row(3)].concat(),
        ),
        (
            "ReduceSum",
            (12, node("ReduceSum", "x", "y").ints("axes", &[3])),
            (13, node("ReduceSum", "x axes", "y"), vec![ints("axes", &[3])]),
            sums.clone(),
        ),
        (
            "ReduceMean",
            (17, node("ReduceMean", "x", "y").ints("axes", &[-1])),
            (18, node("ReduceMean", "x axes", "y"), vec![ints("axes", &[-1])]),
            sums.iter().map(|sum| sum / SIDE as f32).collect(),
        ),
    ];
    for (op, (old, before), (new, after, lists), wanted) in cases {
        assert!(close(&meaning(old, vec![before], vec![]).unwrap(), &wanted), "{op} of opset {old}");
        assert!(close(&meaning(new, vec![after], lists).unwrap(), &wanted), "{op} of opset {new}");
    }
}

#[test]
fn pads_squeezes_and_splits_are_read_in_both_forms() {
    let padded = |opset, node, lists| meaning(opset, vec![node], lists).unwrap();
    let pads = [0, 0, 0, 1, 0, 0, 0, 0];
    let wanted: Vec<f32> = (0..SIDE).flat_map(|row| std::iter::once(0.5).chain((0..SIDE).map(move |column| at(row, column)))).collect();
    assert_eq!(padded(10, node("Pad", "x", "y").ints("pads", &pads).float("value", 0.5), vec![]), wanted);
    assert_eq!(padded(11, node("Pad", "x pads value", "y"), vec![ints("pads", &pads), floats("value", &[], &[0.5])]), wanted);

    let there = |opset| match opset {
        ..=12 => vec![node("Unsqueeze", "x", "u").ints("axes", &[0]), node("Squeeze", "u", "y").ints("axes", &[0])],
        _ => vec![node("Unsqueeze", "x axes", "u"), node("Squeeze", "u axes", "y")],
    };
    for opset in [7, 12, 13, 24] {
        let lists = if opset > 12 { vec![ints("axes", &[0])] } else { vec![] };
        assert_eq!(meaning(opset, there(opset), lists).unwrap(), picture(), "opset {opset}");
    }

    let (upper, lower) = (picture()[..2 * SIDE].to_vec(), picture()[2 * SIDE..].to_vec());
    let turned = [lower, upper].concat();
    let join = || node("Concat", "b a", "y").int("axis", 2);
    let old = vec![node("Split", "x", "a b").int("axis", 2).ints("split", &[2, 6]), join()];
    assert_eq!(meaning(11, old, vec![]).unwrap(), turned);
    let new = vec![node("Split", "x sizes", "a b").int("axis", 2), join()];
    assert_eq!(meaning(18, new, vec![ints("sizes", &[2, 6])]).unwrap(), turned);
    let halves = vec![node("Split", "x", "a b").int("axis", 2).int("num_outputs", 2), join()];
    assert_eq!(meaning(18, halves, vec![]).unwrap(), [&picture()[PIXELS / 2..], &picture()[..PIXELS / 2]].concat());
}

#[test]
fn dropout_and_batch_norm_are_those_of_evaluation() {
    for opset in [7, 10] {
        assert_eq!(meaning(opset, vec![node("Dropout", "x", "y mask").float("ratio", 0.5)], vec![]).unwrap(), picture());
    }
    let given = || vec![floats("ratio", &[], &[0.5]), truth("training", false)];
    assert_eq!(meaning(12, vec![node("Dropout", "x ratio training", "y")], given()).unwrap(), picture());
    let figures = || ["g", "b", "m", "v"].into_iter().zip([2.0, 1.0, 0.5, 4.0]).map(|(name, x)| floats(name, &[1], &[x])).collect();
    for opset in [7, 9, 14, 15] {
        let norm = node("BatchNormalization", "x g b m v", "y").float("epsilon", 0.0).float("momentum", 0.7);
        assert!(close(&meaning(opset, vec![norm], figures()).unwrap(), &each(|x| (x - 0.5) + 1.0)), "opset {opset}");
    }
}

#[test]
fn swish_has_its_slope() {
    let swish = meaning(24, vec![node("Swish", "x", "y").float("alpha", 1.5)], vec![]).unwrap();
    assert!(close(&swish, &each(|x| x / (1.0 + (-1.5 * x).exp()))));
}

#[test]
fn constants_are_read_from_whichever_attribute_holds_them() {
    for constant in [
        node("Constant", "", "c").float("value_float", 0.5),
        node("Constant", "", "c").floats("value_floats", &[0.5]),
        node("Constant", "", "c").tensor("value", floats("", &[], &[0.5])),
    ] {
        assert_eq!(meaning(13, vec![constant, node("Add", "x c", "y")], vec![]).unwrap(), each(|x| x + 0.5));
    }
}
