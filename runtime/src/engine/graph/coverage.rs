//! Which operators are read into the graph: what both engines compute themselves. Every other one runs on tract, as a part of the graph, on
//! the CPU; in a step it keeps a network from the GPU.

use crate::network::onnx;

/// An operator that is read, and under which condition.
pub struct Covered {
    /// Its ONNX name.
    pub operator: &'static str,
    /// What it has to be like; empty where any node of it is read.
    pub when: &'static str,
}

macro_rules! covered {
    ($($operator:literal $when:literal)*) => { &[$(Covered { operator: $operator, when: $when }),*] };
}

/// The operators that are read. Values are `[1, channels, rows, columns]`, or fewer axes that are some of these.
pub const COVERED: &[Covered] = covered! {
    "Abs" ""
    "Add" ""
    "AveragePool" "two-dimensional"
    "BatchNormalization" ""
    "Celu" ""
    "Clip" "bounds constant"
    "Concat" "of channels"
    "Constant" ""
    "Conv" "two-dimensional, weights constant"
    "ConvTranspose" "two-dimensional, weights constant"
    "DepthToSpace" ""
    "Div" ""
    "Dropout" ""
    "Elu" ""
    "Equal" ""
    "Erf" ""
    "Exp" ""
    "Flatten" "where it only renames axes"
    "Gelu" ""
    "Gemm" "second matrix constant, of channels"
    "GlobalAveragePool" ""
    "GlobalMaxPool" ""
    "Greater" ""
    "GreaterOrEqual" ""
    "GroupNormalization" ""
    "HardSigmoid" ""
    "HardSwish" ""
    "Identity" ""
    "InstanceNormalization" "on the GPU of up to 512 channels"
    "LayerNormalization" "over channels, or over everything"
    "LeakyRelu" ""
    "Less" ""
    "LessOrEqual" ""
    "Log" ""
    "MatMul" "second matrix constant, of channels"
    "Max" ""
    "MaxPool" "two-dimensional, without indices"
    "Mean" ""
    "Min" ""
    "Mish" ""
    "Mul" ""
    "Neg" ""
    "Not" ""
    "PRelu" ""
    "Pad" "rows and columns; constant, edge, reflect"
    "Pow" ""
    "Reciprocal" ""
    "ReduceL2" "over channels, pixels or both"
    "ReduceMax" "over channels, pixels or both"
    "ReduceMean" "over channels, pixels or both"
    "ReduceMin" "over channels, pixels or both"
    "ReduceSum" "over channels, pixels or both"
    "ReduceSumSquare" "over channels, pixels or both"
    "Relu" ""
    "Reshape" "where it only renames axes, or makes groups of a norm"
    "Resize" "nearest by whole factors, linear"
    "Round" ""
    "Sigmoid" ""
    "Slice" "forwards"
    "Softmax" "over channels"
    "Softplus" ""
    "Softsign" ""
    "SpaceToDepth" ""
    "Split" "of channels"
    "Sqrt" ""
    "Squeeze" "where it only renames axes"
    "Sub" ""
    "Sum" ""
    "Tanh" ""
    "Transpose" "where a product, a norm or another transposition follows"
    "Unsqueeze" "where it only renames axes"
    "Where" ""
};

/// Operators that [`network::onnx`](crate::network::onnx) spells with covered ones.
const SPELLED: &[&str] = &["Swish", "Upsample"];

/// Whether nodes of this operator are read, if they are what its condition says.
pub fn is_covered(operator: &str) -> bool {
    COVERED.iter().any(|covered| covered.operator == operator)
}

/// What to write in place of operators that run on tract, by their names.
const SUBSTITUTES: &[(&[&str], &str)] = &[
    (&["GRU", "LSTM", "RNN"], "a cell of convolutions or linear layers (nn.GRUCell), or the export of the Python package recslowfast"),
    (
        &["QuantizeLinear", "DequantizeLinear", "ConvInteger", "QLinearConv", "QLinearMatMul", "MatMulInteger", "DynamicQuantizeLinear"],
        "the network in floats, before it is quantised",
    ),
    (&["Resize"], "interpolate with mode=\"bilinear\", or \"nearest\" by a whole factor"),
    (&["Einsum"], "a 1x1 convolution, or a linear layer over channels"),
    (&["Gather", "GatherElements", "GatherND"], "slices, for example x[:, 0:1]"),
    (&["RMSNormalization"], "x / (x * x).mean(1, keepdim=True).add(eps).sqrt(), or the export of the Python package recslowfast"),
    (&["Selu", "ReduceL1"], "the export of the Python package recslowfast, which spells it with native ones"),
    (&["LogSoftmax"], "softmax: the logarithm changes no order"),
    (&["ArgMax"], "the logits themselves: the task takes the likeliest"),
    (&["Expand", "Tile"], "broadcasting"),
    (&["MatMul", "Gemm"], "a linear layer over channels, or a 1x1 convolution"),
];

/// What would run natively in place of the nodes in `part`, as messages name them: `'name' (Operator), ...`.
pub fn substitute(part: &str) -> Option<&'static str> {
    let holds = |operator: &&str| part.contains(&format!("({operator})"));
    SUBSTITUTES.iter().find(|(operators, _)| operators.iter().any(&holds)).map(|(_, instead)| *instead)
}

/// The table of operators, as Markdown: name, first opset, what the engines make of it.
pub fn table() -> String {
    let mut text = String::from("| operator | from opset | CPU | GPU | where |\n|---|---|---|---|---|\n");
    let mut others = Vec::new();
    for (operator, since) in onnx::table() {
        let when = COVERED.iter().find(|covered| covered.operator == operator).map(|covered| covered.when);
        match when.or_else(|| SPELLED.contains(&operator).then_some("")) {
            Some(when) => {
                text += &format!("| {operator} | {} | native | native | {when} |\n", since.max(*onnx::OPSETS.start()));
            }
            None => others.push(operator),
        }
    }
    text + &format!("\nOn tract as a part of the graph, on the CPU: {}.\n", others.join(", "))
}
