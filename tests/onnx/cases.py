"""Nodes as each opset means them: for every operator whose form or meaning changed between opset 7 and 24, one case for each form.

A case is a few nodes from `x` (four channels of 8x8, made by the encoder) to `y`, of any shape; `judge.py` puts it into a network's readout.
"""

import dataclasses

import numpy as np
from onnx import TensorProto, helper, numpy_helper


@dataclasses.dataclass
class Case:
    """One node, or a few, at one opset."""

    name: str
    opset: int
    nodes: list
    weights: dict = dataclasses.field(default_factory=dict)
    refused: bool = False
    """Whether a refusal is the right answer; else a refusal is allowed only where `judge.py` is told so."""


def node(op: str, inputs: str, outputs: str = "y", **attributes):
    """A node; `-` stands for an input that is left out."""
    names = ["" if name == "-" else name for name in inputs.split()]
    return helper.make_node(op, names, outputs.split(), name=f"the-{op}", **attributes)


def f(*values) -> np.ndarray:
    return np.array(values, np.float32)


def i(*values) -> np.ndarray:
    return np.array(values, np.int64)


def s(value) -> np.ndarray:
    return np.array(value, np.float32)


def noise(*shape, seed: int = 3, scale: float = 0.5) -> np.ndarray:
    return (np.random.default_rng(seed).standard_normal(shape) * scale).astype(np.float32)


def cases() -> list[Case]:
    found: list[Case] = []

    def add(name, opsets, *nodes, refused=False, **weights):
        for opset in opsets:
            found.append(Case(f"{name}-{opset}", opset, list(nodes), weights, refused))

    old, new = (7, 8, 9, 10), (11, 12, 13, 17, 18, 21, 23, 24)
    add("clip-both", old, node("Clip", "x", min=0.2, max=1.1))
    add("clip-max", old, node("Clip", "x", max=0.7))
    add("clip-min", old, node("Clip", "x", min=0.7))
    add("clip-none", old, node("Clip", "x"))
    add("clip-both", new, node("Clip", "x lo hi"), lo=s(0.2), hi=s(1.1))
    add("clip-max", new, node("Clip", "x - hi"), hi=s(0.7))
    add("clip-min", new, node("Clip", "x lo"), lo=s(0.7))
    add("clip-trailing", (13,), node("Clip", "x lo -"), lo=s(0.7))
    add("clip-attributes-that-are-none", (13,), node("Clip", "x", max=0.7), refused=True)

    for axis in (None, 0, 1, 2, 3, -1):
        given = {} if axis is None else {"axis": axis}
        label = "default" if axis is None else axis
        for op in ("Softmax", "LogSoftmax", "Hardmax"):
            add(f"{op.lower()}-{label}", (7, 11, 12, 13, 18, 24) if axis != -1 else (11, 13), node(op, "x", **given))

    for mode in ("nearest", "linear"):
        add(f"upsample-{mode}", (7, 8), node("Upsample", "x", mode=mode, scales=[1.0, 1.0, 2.0, 3.0]))
        add(f"upsample-{mode}", (9,), node("Upsample", "x s", mode=mode), s=f(1, 1, 2, 3))
        add(f"upsample-fraction-{mode}", (9,), node("Upsample", "x s", mode=mode), s=f(1, 1, 1.5, 2.25))
        add(f"resize-{mode}", (10,), node("Resize", "x s", mode=mode), s=f(1, 1, 2, 3))
        add(f"resize-fraction-{mode}", (10,), node("Resize", "x s", mode=mode), s=f(1, 1, 1.5, 2.25))
        add(f"resize-down-{mode}", (10,), node("Resize", "x s", mode=mode), s=f(1, 1, 0.6, 0.4))
        add(f"resize-up-down-{mode}", (10,), node("Resize", "x s", mode=mode), s=f(1, 1, 2, 0.4), refused=mode == "nearest")
    add("upsample-given-up", (10,), node("Upsample", "x s", mode="nearest"), s=f(1, 1, 2, 2), refused=True)
    for opset in (11, 12, 13, 17, 18, 19, 23, 24):
        roi = {"roi": f()} if opset < 13 else {}
        r = "roi" if opset < 13 else "-"
        for where in ("half_pixel", "align_corners", "asymmetric", "pytorch_half_pixel"):
            for rounding in ("round_prefer_floor", "round_prefer_ceil", "floor", "ceil") if where != "pytorch_half_pixel" else ("floor",):
                add(f"resize-nearest-{where}-{rounding}", (opset,),
                    node("Resize", f"x {r} s", coordinate_transformation_mode=where, nearest_mode=rounding), s=f(1, 1, 2, 1.5), **roi)
            add(f"resize-linear-{where}", (opset,), node("Resize", f"x {r} s", mode="linear", coordinate_transformation_mode=where),
                s=f(1, 1, 2, 2.5), **roi)
            add(f"resize-linear-down-{where}", (opset,), node("Resize", f"x {r} s", mode="linear", coordinate_transformation_mode=where),
                s=f(1, 1, 0.5, 0.75), **roi)
            add(f"resize-cubic-{where}", (opset,), node("Resize", f"x {r} s", mode="cubic", coordinate_transformation_mode=where),
                s=f(1, 1, 2, 2.5), **roi)
        add("resize-sizes", (opset,), node("Resize", f"x {r} {'e' if opset < 13 else '-'} z", mode="linear"), z=i(1, 4, 12, 5), **roi,
            **({"e": f()} if opset < 13 else {}))
        add("resize-cubic-excluded", (opset,), node("Resize", f"x {r} s", mode="cubic", exclude_outside=1, cubic_coeff_a=-0.5),
            s=f(1, 1, 2, 2), **roi)
    add("resize-tf-half-pixel", (11,), node("Resize", "x roi s", coordinate_transformation_mode="tf_half_pixel_for_nn"),
        s=f(1, 1, 2, 2), roi=f())
    add("resize-axes", (18, 21), node("Resize", "x - s", axes=[2, 3], mode="linear"), s=f(2, 1.5))
    add("resize-antialias", (18, 21), node("Resize", "x - s", mode="linear", antialias=1), s=f(1, 1, 0.5, 0.5))
    add("resize-aspect", (18, 21), node("Resize", "x - - z", mode="linear", axes=[2, 3], keep_aspect_ratio_policy="not_larger"), z=i(20, 12))
    add("resize-symmetric", (19, 21), node("Resize", "x - s", mode="linear", coordinate_transformation_mode="half_pixel_symmetric"),
        s=f(1, 1, 1.3, 1.7))

    pads, around = [0, 0, 1, 2, 0, 0, 0, 1], i(0, 0, 1, 2, 0, 0, 0, 1)
    for mode in ("constant", "reflect", "edge"):
        extra = {"value": 0.4} if mode == "constant" else {}
        add(f"pad-{mode}", old, node("Pad", "x", mode=mode, pads=pads, **extra))
        add(f"pad-{mode}", new, node("Pad", "x p" + (" v" if mode == "constant" else ""), mode=mode), p=around, v=s(0.4))
    add("pad-value-without-meaning", (11, 13, 18), node("Pad", "x p v", mode="reflect"), p=around, v=s(0.4))
    add("pad-default-value", (10,), node("Pad", "x", pads=pads))
    add("pad-default-value", (13,), node("Pad", "x p"), p=around)
    add("pad-axes", (18, 21, 24), node("Pad", "x p - a"), p=i(1, 2, 0, 1), a=i(2, -1))
    add("pad-wrap", (19, 24), node("Pad", "x p", mode="wrap"), p=around, refused=True)
    add("pad-negative", (10,), node("Pad", "x", pads=[0, 0, -1, 0, 0, 0, -1, 0]), refused=True)
    add("pad-negative", (13,), node("Pad", "x p"), p=i(0, 0, -1, 0, 0, 0, -1, 0), refused=True)

    add("slice", (7, 8, 9), node("Slice", "x", starts=[1, 2], ends=[3, 7], axes=[1, 3]))
    add("slice-all-axes", (9,), node("Slice", "x", starts=[0, 1, 2, 0], ends=[1, 3, 9, -1]))
    add("slice-negative", (9,), node("Slice", "x", starts=[-3], ends=[-1], axes=[2]))
    add("slice", (10, 11, 13, 18, 24), node("Slice", "x b e a"), b=i(1, 2), e=i(3, 7), a=i(1, 3))
    add("slice-channels", (10, 13), node("Slice", "x b e a"), b=i(1), e=i(2**31 - 1), a=i(1))
    add("slice-steps", (10, 13), node("Slice", "x b e a t"), b=i(7, 0), e=i(-9, 8), a=i(2, 3), t=i(-1, 2))
    add("slice-negative-axis", (11, 13), node("Slice", "x b e a"), b=i(-3), e=i(-1), a=i(-1))

    two = (node("Concat", "b a", axis=1),)
    add("split-sizes", (7, 11, 12), node("Split", "x", "a b", axis=1, split=[1, 3]), *two)
    add("split-equal", (7, 12, 13, 17), node("Split", "x", "a b", axis=1), *two)
    add("split-sizes", (13, 17, 18, 24), node("Split", "x z", "a b", axis=1), *two, z=i(1, 3))
    add("split-parts", (18, 24), node("Split", "x", "a b", axis=1, num_outputs=2), *two)
    add("split-parts-uneven", (18, 24), node("Split", "x", "a b c", axis=2, num_outputs=3), node("Concat", "c a b", axis=2))
    add("split-negative-axis", (11, 13), node("Split", "x", "a b", axis=-3), *two)

    add("unsqueeze", (7, 11, 12), node("Unsqueeze", "x", "u", axes=[0, 5]), node("Squeeze", "u", axes=[0, 5]))
    add("unsqueeze-negative", (11, 12), node("Unsqueeze", "x", "u", axes=[-1]), node("Squeeze", "u", axes=[-1]))
    add("unsqueeze", (13, 21, 24), node("Unsqueeze", "x a", "u"), node("Squeeze", "u a"), a=i(0, 5))
    add("squeeze-all", (7, 12), node("Squeeze", "x"))
    add("squeeze-all", (13, 21, 24), node("Squeeze", "x"))

    for op in ("Sum", "Mean", "Max", "Min", "L1", "L2", "LogSum", "LogSumExp", "Prod", "SumSquare"):
        reduce = f"Reduce{op}"
        before = 12 if op == "Sum" else 17
        positive = [node("Abs", "x", "p")]
        add(f"reduce-{op.lower()}", (7, 11, before), *positive, node(reduce, "p", axes=[2, 3], keepdims=1))
        add(f"reduce-{op.lower()}-flat", (7, before), *positive, node(reduce, "p", axes=[1], keepdims=0))
        add(f"reduce-{op.lower()}-all", (7, before), *positive, node(reduce, "p", "r", keepdims=1), node("Add", "x r"))
        after = (13, 18, 24) if op == "Sum" else (18, 20, 24)
        add(f"reduce-{op.lower()}", after, *positive, node(reduce, "p a", keepdims=1), a=i(2, -1))
        add(f"reduce-{op.lower()}-flat", after, *positive, node(reduce, "p a", keepdims=0), a=i(1))
        add(f"reduce-{op.lower()}-noop", after[-1:], *positive, node(reduce, "p", noop_with_empty_axes=1))

    add("dropout", (7, 10), node("Dropout", "x", ratio=0.3))
    add("dropout-mask", (7, 10), node("Dropout", "x", "y mask", ratio=0.3))
    add("dropout", (12, 13, 22), node("Dropout", "x r"), r=s(0.3))
    add("dropout-off", (12, 13), node("Dropout", "x r t"), r=s(0.3), t=np.array(False))
    add("dropout-training", (12, 13, 22), node("Dropout", "x r t"), r=s(0.3), t=np.array(True), refused=True)
    norm = {"sc": f(1, 2, 0.5, 3), "bi": f(0, 0.1, -0.2, 0.3), "me": f(0.1, 0.2, 0.3, 0.4), "va": f(1, 0.5, 2, 0.3)}
    add("batch-norm", (7, 9, 14, 15, 24), node("BatchNormalization", "x sc bi me va", epsilon=1e-3, momentum=0.8), **norm)
    add("batch-norm-spatial", (7,), node("BatchNormalization", "x sc bi me va", spatial=0), refused=True, **norm)
    add("batch-norm-training", (14, 15), node("BatchNormalization", "x sc bi me va", "y m v", training_mode=1), refused=True, **norm)
    add("instance-norm", (7, 22), node("InstanceNormalization", "x sc bi", epsilon=1e-3), sc=norm["sc"], bi=norm["bi"])
    add("group-norm", (18, 20), node("GroupNormalization", "x g b", num_groups=2), g=f(1, 2), b=f(0.1, -0.1))
    add("group-norm", (21, 24), node("GroupNormalization", "x g b", num_groups=2), g=norm["sc"], b=norm["bi"])
    add("layer-norm", (17, 24), node("LayerNormalization", "x g b", axis=-1), g=noise(8), b=noise(8))
    add("layer-norm-block", (17,), node("LayerNormalization", "x g", axis=1), g=noise(4, 8, 8))
    add("rms-norm", (23, 24), node("RMSNormalization", "x g", axis=-1), g=noise(8))
    add("lp-norm", (7, 22), node("LpNormalization", "x", axis=1, p=1))
    add("mean-variance", (9, 13), node("MeanVarianceNormalization", "x"))

    add("topk", (7,), node("TopK", "x", "y n", k=3, axis=3))
    add("topk", (10,), node("TopK", "x k", "y n", axis=3), k=i(3))
    add("topk-smallest", (11, 24), node("TopK", "x k", "y n", axis=3, largest=0), k=i(3))
    add("argmax-last", (12, 13), node("ArgMax", "x", "n", axis=1, select_last_index=1), node("Cast", "n", to=1))
    add("argmax", (7, 11, 13), node("ArgMax", "x", "n", axis=1, keepdims=0), node("Cast", "n", to=1))

    kernel = noise(6, 4, 3, 3, seed=5)
    for opset in (7, 11, 22, 24):
        add("conv", (opset,), node("Conv", "x w b", pads=[1, 1, 1, 1]), w=kernel, b=noise(6))
        add("conv-no-bias", (opset,), node("Conv", "x w -", kernel_shape=[3, 3]), w=kernel)
        add("conv-grouped", (opset,), node("Conv", "x w", group=2, strides=[2, 1], dilations=[1, 2], pads=[1, 0, 0, 2]), w=noise(6, 2, 3, 3))
        for padding in ("SAME_UPPER", "SAME_LOWER", "VALID"):
            add(f"conv-{padding.lower()}", (opset,), node("Conv", "x w", auto_pad=padding, strides=[2, 2]), w=noise(6, 4, 4, 3))
            add(f"conv-transpose-{padding.lower()}", (opset,), node("ConvTranspose", "x w", auto_pad=padding, strides=[2, 2]),
                w=noise(4, 3, 3, 3))
            add(f"maxpool-{padding.lower()}", (opset,), node("MaxPool", "x", auto_pad=padding, kernel_shape=[3, 2], strides=[2, 2]))
            add(f"averagepool-{padding.lower()}", (opset,), node("AveragePool", "x", auto_pad=padding, kernel_shape=[3, 2], strides=[2, 2]))
        add("conv-transpose", (opset,), node("ConvTranspose", "x w b", strides=[2, 2], pads=[1, 1, 1, 1], output_padding=[1, 1]),
            w=noise(4, 3, 3, 3), b=noise(3))
        add("conv-transpose-shape", (opset,), node("ConvTranspose", "x w", strides=[2, 2], output_shape=[18, 17]), w=noise(4, 3, 3, 3))
        add("conv-transpose-grouped", (opset,), node("ConvTranspose", "x w", strides=[2, 1], group=2), w=noise(4, 3, 2, 3))
    for op in ("MaxPool", "AveragePool"):
        low = op.lower()
        add(low, (7, 10, 11, 12, 19, 22), node(op, "x", kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 0, 0]))
        add(f"{low}-ceil", (10, 11, 12, 18, 19, 22), node(op, "x", kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1], ceil_mode=1))
        add(f"{low}-ceil-wide", (10, 11, 18, 19, 22), node(op, "x", kernel_shape=[2, 2], strides=[3, 3], pads=[1, 1, 1, 1], ceil_mode=1))
    add("maxpool-dilated", (10, 12, 22), node("MaxPool", "x", kernel_shape=[2, 2], dilations=[2, 3]))
    add("maxpool-index", (8, 12), node("MaxPool", "x", "m n", kernel_shape=[2, 2], strides=[2, 2]), node("Cast", "n", "c", to=1),
        node("Add", "m c"))
    add("averagepool-count", (7, 11, 19), node("AveragePool", "x", kernel_shape=[3, 3], pads=[1, 1, 1, 1], count_include_pad=1))
    add("averagepool-count-ceil", (10, 18, 19, 22),
        node("AveragePool", "x", kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1], count_include_pad=1, ceil_mode=1))
    add("averagepool-dilated", (19, 22), node("AveragePool", "x", kernel_shape=[2, 2], dilations=[2, 2]))

    flat = node("Flatten", "x", "m", axis=2)
    add("gemm", (7, 9, 11, 13), flat, node("Gemm", "m w c", alpha=0.5, beta=2.0, transB=1), w=noise(5, 64), c=noise(5))
    add("gemm-no-bias", (11, 13), flat, node("Gemm", "m w"), w=noise(64, 5))
    add("gemm-transposed", (13,), flat, node("Gemm", "m w", transA=1), w=noise(4, 5))
    add("flatten", (7, 11, 13, 24), flat, node("Relu", "m"))
    add("flatten-negative", (11, 13), node("Flatten", "x", axis=-1))
    add("depth-to-space", (7, 11, 13), node("DepthToSpace", "x", blocksize=2))
    add("depth-to-space-crd", (11, 13), node("DepthToSpace", "x", blocksize=2, mode="CRD"))
    add("space-to-depth", (7, 13), node("SpaceToDepth", "x", blocksize=2))
    add("reshape", (7, 13, 14, 24), node("Reshape", "x z"), z=i(0, 2, -1, 4))
    add("expand", (8, 13), node("ReduceMean", "x", "r", axes=[1], keepdims=1), node("Expand", "r z"), z=i(1, 3, 8, 8))
    add("gather", (7, 11, 13), node("Gather", "x n", axis=1), n=i(3, 0, 1))
    add("gather-negative", (11, 13), node("Gather", "x n", axis=-1), n=i(-1, 0))
    add("where", (9, 16), node("Greater", "x z", "c"), node("Where", "c x z"), z=s(0.4))
    add("where-infinite", (9, 16), node("Greater", "x z", "c"), node("Where", "c x n", "w"), node("Softmax", "w", axis=-1),
        z=s(0.1), n=s(-np.inf))
    add("add-infinite", (13,), node("Add", "x n", "m"), node("Softmax", "m", axis=-1),
        n=np.where(np.arange(8) % 3 == 0, -np.inf, 0).astype(np.float32))
    add("add-infinite-exp", (13,), node("Add", "x n", "m"), node("Exp", "m"), n=np.where(np.arange(256).reshape(4, 8, 8) % 3 == 0, -np.inf, 0)
        .astype(np.float32))
    add("add-infinite-sigmoid", (13,), node("Add", "x n", "m"), node("Sigmoid", "m"),
        n=np.where(np.arange(256).reshape(4, 8, 8) % 3 == 0, -np.inf, 0).astype(np.float32))
    add("max-infinite", (13,), node("Max", "x n"), n=s(-np.inf))
    add("pow", (7, 12, 15), node("Abs", "x", "p"), node("Pow", "p e"), e=s(1.7))
    add("pow-negative", (7, 13), node("Sub", "x h", "d"), node("Pow", "d e"), h=s(0.4), e=s(11.0))
    add("pow-of-values", (7, 13, 15), node("Abs", "x", "p"), node("Pow", "p x"))
    add("pow-of-a-number", (7, 15), node("Pow", "n x"), n=s(1.3))
    add("pow-by-channel", (12,), node("Add", "x h", "p"), node("Pow", "p e"), h=s(0.1), e=noise(4, 1, 1))
    add("pow-integer", (12, 15), node("Sub", "x h", "d"), node("Pow", "d e"), h=s(0.4), e=np.array(3, np.int64))
    add("mod", (10, 13), node("Mod", "x e", fmod=1), e=s(0.3))
    add("equal", (7, 11, 19), node("Greater", "x e", "g"), node("Cast", "g", to=1), e=s(0.3))
    add("max-many", (8, 12, 13), node("Max", "x a b"), a=s(0.2), b=noise(1, 4, 1, 1))
    add("sum-many", (8, 13), node("Sum", "x a x"), a=noise(1, 4, 1, 1))
    add("mean-many", (8, 13), node("Mean", "x a"), a=noise(1, 4, 1, 1))
    add("prelu", (7, 9, 16), node("Sub", "x h", "d"), node("PRelu", "d s"), s=noise(4, 1, 1), h=s(0.4))
    for op, opsets, extra in (
        ("Elu", (7, 22), {"alpha": 0.7}), ("Selu", (7, 22), {}), ("LeakyRelu", (7, 16), {"alpha": 0.2}), ("Softplus", (7, 22), {}),
        ("HardSigmoid", (7, 22), {"alpha": 0.3, "beta": 0.4}), ("HardSwish", (14, 22), {}), ("Celu", (12,), {"alpha": 0.5}), ("Celu", (12,), {}), ("Erf", (9, 13), {}),
        ("Gelu", (20,), {}), ("Gelu", (20,), {"approximate": "tanh"}), ("Mish", (18, 22), {}), ("ThresholdedRelu", (10, 22), {"alpha": 0.2}),
        ("Shrink", (9,), {"lambd": 0.2, "bias": 0.1}), ("Softsign", (7, 22), {}), ("Swish", (24,), {}), ("Swish", (24,), {"alpha": 1.7}),
        ("Round", (11, 22), {}), ("Sigmoid", (7, 13), {}), ("Tanh", (7, 13), {}), ("Relu", (7, 14), {}), ("Sqrt", (7,), {}), ("Exp", (7,), {}), ("Log", (7, 13), {}),
    ):
        label = "-".join([op.lower(), *(f"{name}-{value}" for name, value in extra.items())])
        inner = [node({"Sqrt": "Mul", "Log": "Add"}.get(op, "Sub"), "x t", "d")]
        add(label, opsets, *inner, node(op, "d", **extra), t=s(0.4))
    add("cumsum", (11, 14), node("CumSum", "x a", exclusive=1, reverse=1), a=np.array(2, np.int64))
    add("einsum", (12,), node("Einsum", "x x", equation="bchw,bdhw->bcd"))
    add("trilu", (14,), node("Trilu", "x", upper=0))
    add("scatter", (9, 10), node("Scatter", "x n u", axis=1), n=np.zeros((1, 1, 8, 8), np.int64), u=noise(1, 1, 8, 8))
    add("scatter", (11, 13, 16, 18), node("ScatterElements", "x n u", axis=1), n=np.zeros((1, 1, 8, 8), np.int64), u=noise(1, 1, 8, 8))
    add("scatter-add", (16, 18), node("ScatterElements", "x n u", axis=1, reduction="add"), n=np.zeros((1, 1, 8, 8), np.int64),
        u=noise(1, 1, 8, 8))
    grid = np.stack(np.meshgrid(np.linspace(-1.1, 1, 7), np.linspace(-1, 1.1, 6)), -1)[None].astype(np.float32)
    add("grid-sample", (16,), node("GridSample", "x g", mode="bilinear", padding_mode="border"), g=grid)
    add("grid-sample", (20, 22), node("GridSample", "x g", mode="linear", padding_mode="border"), g=grid)
    add("grid-sample-cubic", (16,), node("GridSample", "x g", mode="bicubic"), g=grid)
    add("shape-arithmetic", (13, 15), node("Shape", "x", "n"), node("Gather", "n k", "c"), node("Unsqueeze", "c a0", "cu"),
        node("Concat", "one cu minus", "z", axis=0), node("Reshape", "x z"), k=np.array(1, np.int64), a0=i(0), one=i(1), minus=i(-1))
    add("shape-range", (15, 24), node("Shape", "x", "n", start=1, end=-1), node("Cast", "n", to=1))

    for direction, count in (("forward", 1), ("bidirectional", 2), ("reverse", 1)):
        refused = direction == "reverse"
        sequence = [node("Reshape", "x z", "q")]
        lists = {"z": i(4, 1, 64)}
        for op, gates in (("GRU", 3), ("LSTM", 4), ("RNN", 1)):
            weights = {"w": noise(count, gates * 6, 64, scale=0.1), "r": noise(count, gates * 6, 6), "b": noise(count, 2 * gates * 6), **lists}
            add(f"{op.lower()}-{direction}", (7, 14, 22), *sequence, node(op, "q w r b", hidden_size=6, direction=direction), refused=refused,
                **weights)
        weights = {"w": noise(count, 18, 64, scale=0.1), "r": noise(count, 18, 6), "b": noise(count, 36), **lists}
        add(f"gru-linear-{direction}", (7, 22), *sequence, node("GRU", "q w r b", hidden_size=6, linear_before_reset=1, direction=direction),
            refused=refused, **weights)
    weights = {"w": noise(1, 18, 64, scale=0.1), "r": noise(1, 18, 6), "z": i(4, 1, 64)}
    add("gru-clip", (14,), node("Reshape", "x z", "q"), node("GRU", "q w r", hidden_size=6, clip=0.1), refused=True, **weights)
    add("gru-activations", (14,), node("Reshape", "x z", "q"), node("GRU", "q w r", hidden_size=6, activations=["HardSigmoid", "Tanh"]),
        refused=True, **weights)

    quantized = {"sc": s(0.02), "zp": np.array(7, np.uint8)}
    there_and_back = (node("QuantizeLinear", "x sc zp", "q"), node("DequantizeLinear", "q sc zp"))
    add("quantize", (10, 13, 19, 21, 23), *there_and_back, **quantized)
    add("quantize-channels", (13, 21), node("QuantizeLinear", "x sc zp", "q", axis=1), node("DequantizeLinear", "q sc zp", axis=1),
        sc=f(0.02, 0.03, 0.01, 0.05), zp=np.array([0, 3, -4, 1], np.int8))
    add("quantize-kind", (21, 23), node("Sub", "x h", "d"), node("QuantizeLinear", "d sc", "q", output_dtype=TensorProto.INT8),
        node("DequantizeLinear", "q sc"), sc=s(0.01), h=s(0.4))
    add("later-than-its-opset", (12,), node("HardSwish", "x"), refused=True)
    add("no-such-operator", (13,), node("Det", "x"), refused=True)
    return found


def weights(case: Case) -> list:
    return [numpy_helper.from_array(value, name) for name, value in case.weights.items()]
