"""An exported ONNX graph made plain: functions inlined, constants and shapes folded, nodes spelled with the operators that run natively.

Every rewriting is exact: the same numbers up to the rounding of single operations.
"""

import numpy as np
import onnx
from onnx import helper, numpy_helper
from onnx.reference import ReferenceEvaluator

# Larger results of folding stay nodes: they would only make the file larger.
LARGEST = 1 << 20


def plain(model):
    """The model in its plain form; the one given is left alone."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    if copy.functions:
        copy = onnx.inliner.inline_local_functions(copy)
    for _ in range(8):
        before = len(copy.graph.node), sum(node.op_type != "Constant" for node in copy.graph.node)
        fold(copy)
        rewrite(copy.graph, shapes_of(copy))
        if before == (len(copy.graph.node), sum(node.op_type != "Constant" for node in copy.graph.node)):
            break
    prune(copy.graph)
    del copy.graph.value_info[:]
    onnx.checker.check_model(copy)
    return copy


def known(graph):
    """Constants by name, as arrays."""
    values = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    for node in graph.node:
        if node.op_type == "Constant" and not node.domain:
            attribute = node.attribute[0]
            if attribute.name == "value":
                values[node.output[0]] = numpy_helper.to_array(attribute.t)
            else:
                given = helper.get_attribute_value(attribute)
                kind = np.int64 if attribute.name.startswith("value_int") else np.float32
                values[node.output[0]] = np.array(given, dtype=kind)
    return values


def shapes_of(model):
    """Shapes by name, where they are known."""
    shapes = {}
    inferred = onnx.shape_inference.infer_shapes(model, data_prop=True)
    for value in [*inferred.graph.input, *inferred.graph.value_info, *inferred.graph.output]:
        sizes = [size.dim_value if size.HasField("dim_value") else None for size in value.type.tensor_type.shape.dim]
        if value.type.tensor_type.HasField("shape") and None not in sizes:
            shapes[value.name] = sizes
    return shapes


def fold(model):
    """Computes nodes whose inputs are known: weights that are transposed, arithmetic of shapes."""
    shapes = shapes_of(model)
    values = known(model.graph)
    outputs = {output.name for output in model.graph.output}
    imports = list(model.opset_import)
    kept = []
    for node in model.graph.node:
        results = None
        if node.op_type == "Constant" and not node.domain:
            results = [values[node.output[0]]]
        elif node.op_type == "Shape" and not node.domain and node.input[0] in shapes:
            begin, end = (next((a.i for a in node.attribute if a.name == name), usual) for name, usual in (("start", 0), ("end", None)))
            results = [np.array(shapes[node.input[0]][begin:end], np.int64)]
        elif not node.domain and all(name in values for name in node.input if name) and not any(a.HasField("g") for a in node.attribute):
            results = computed(node, values, imports)
        if results is None or any(name in outputs for name in node.output) or any(np.asarray(r).nbytes > LARGEST * 4 for r in results):
            kept.append(node)
            continue
        for name, value in zip(node.output, results):
            values[name] = np.asarray(value)
            if name not in {tensor.name for tensor in model.graph.initializer}:
                model.graph.initializer.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
    del model.graph.node[:]
    model.graph.node.extend(kept)


def computed(node, values, imports):
    """What a node of known inputs gives; None where the reference cannot say."""
    if node.op_type.startswith("Random") or node.op_type in ("QuantizeLinear", "DequantizeLinear", "Multinomial", "Bernoulli"):
        return
    names = [name for name in node.input if name]
    inputs = [helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(values[name].dtype), values[name].shape) for name in dict.fromkeys(names)]
    outputs = [helper.make_empty_tensor_value_info(name) for name in node.output if name]
    graph = helper.make_graph([node], "one", inputs, outputs)
    try:
        evaluator = ReferenceEvaluator(helper.make_model(graph, opset_imports=imports))
        return evaluator.run(None, {name: values[name] for name in names})
    except Exception:  # Whatever the reference does not do stays in the graph.
        return


def attributes(node):
    return {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}


class Writer:
    """Makes nodes in place of one."""

    def __init__(self, graph, node):
        self.graph, self.node, self.nodes, self.count = graph, node, [], 0

    def name(self, what):
        self.count += 1
        return f"{self.node.output[0]}/{what}{self.count}"

    def constant(self, value):
        name = self.name("constant")
        self.graph.initializer.append(numpy_helper.from_array(np.asarray(value), name))
        return name

    def make(self, operator, *inputs, to=None, **options):
        to = to or self.name(operator)
        self.nodes.append(helper.make_node(operator, list(inputs), [to], name=f"{self.node.name or self.node.op_type}/{operator}{len(self.nodes)}", **options))
        return to



def gather(writer, node, values, kind, shapes):
    """All of a vector in its order, as `as_strided` is exported, is a reshape; one index of an axis is a slice."""
    axis = attributes(node).get("axis", 0)
    indices, shape = values.get(node.input[1]), shapes.get(node.input[0])
    if indices is None or shape is None:
        return
    if len(shape) == 1 and np.array_equal(indices.ravel(), np.arange(shape[0])):
        writer.make("Reshape", node.input[0], writer.constant(np.array(indices.shape, np.int64)), to=node.output[0])
    elif indices.ndim == 0:
        at = int(indices) % shape[axis]
        bounds = [writer.constant(np.array([value], np.int64)) for value in (at, at + 1, axis)]
        part = writer.make("Slice", node.input[0], *bounds)
        rest = [size for place, size in enumerate(shape) if place != axis % len(shape)]
        writer.make("Reshape", part, writer.constant(np.array(rest, np.int64)), to=node.output[0])


def reduce_l1(writer, node, values, kind, shapes):
    """|x| summed."""
    axes = list(node.input[1:])
    writer.make("ReduceSum", writer.make("Abs", node.input[0]), *axes, to=node.output[0], **attributes(node))


def power(writer, node, values, kind, shapes):
    """A whole power and a square root, where the exponent is a half more than a whole number."""
    exponent = values.get(node.input[1])
    if exponent is None or exponent.size != 1:
        return
    whole = float(exponent.reshape(-1)[0]) - 0.5
    if whole in range(1, 9):
        raised = node.input[0] if whole == 1 else writer.make("Pow", node.input[0], writer.constant(kind(whole)))
        writer.make("Mul", raised, writer.make("Sqrt", node.input[0]), to=node.output[0])


def selu(writer, node, values, kind, shapes):
    """gamma * Elu(x)."""
    given = attributes(node)
    scaled = writer.make("Elu", node.input[0], alpha=given.get("alpha", 1.6732632423543772))
    writer.make("Mul", scaled, writer.constant(kind(given.get("gamma", 1.0507009873554805))), to=node.output[0])


def rms_norm(writer, node, values, kind, shapes):
    """x / sqrt(mean(x^2) + epsilon) * scale, over the last axis."""
    given = attributes(node)
    if given.get("axis", -1) != -1:
        return
    square = writer.make("Mul", node.input[0], node.input[0])
    mean = writer.make("ReduceMean", square, writer.constant(np.array([-1], np.int64)), keepdims=1)
    deviation = writer.make("Sqrt", writer.make("Add", mean, writer.constant(kind(given.get("epsilon", 1e-5)))))
    writer.make("Mul", writer.make("Div", node.input[0], deviation), node.input[1], to=node.output[0])



def gru(writer, node, values, kind, shapes):
    """A GRU over one moment as its equations (ONNX, GRU): gates z, r and candidate h."""
    given = attributes(node)
    weights = [values.get(name) for name in node.input[1:3]]
    bias = values.get(node.input[3]) if len(node.input) > 3 and node.input[3] else None
    only_plain = given.get("direction", b"forward") == b"forward" and not given.get("layout") and "clip" not in given and "activations" not in given
    if any(w is None for w in weights) or not only_plain or len(node.input) < 6 or not node.input[5]:
        return
    hidden = given["hidden_size"]
    w, r = (weight[0] for weight in weights)
    wb, rb = (bias[0][: 3 * hidden], bias[0][3 * hidden :]) if bias is not None else (np.zeros(3 * hidden, w.dtype),) * 2
    x = writer.make("Reshape", node.input[0], writer.constant(np.array([1, w.shape[1]], np.int64)))
    h = writer.make("Reshape", node.input[5], writer.constant(np.array([1, hidden], np.int64)))

    def gate(at, value, matrix, offset):
        part = slice(at * hidden, (at + 1) * hidden)
        return writer.make("Gemm", value, writer.constant(np.ascontiguousarray(matrix[part].T)), writer.constant(offset[part]))

    z = writer.make("Sigmoid", writer.make("Add", gate(0, x, w, wb), gate(0, h, r, rb)))
    reset = writer.make("Sigmoid", writer.make("Add", gate(1, x, w, wb), gate(1, h, r, rb)))
    if given.get("linear_before_reset"):
        second = writer.make("Mul", reset, gate(2, h, r, rb))
    else:
        second = gate(2, writer.make("Mul", reset, h), r, rb)
    candidate = writer.make("Tanh", writer.make("Add", gate(2, x, w, wb), second))
    moved = writer.make("Mul", z, writer.make("Sub", h, candidate))
    flat = writer.make("Add", candidate, moved)
    outs(writer, node, flat, hidden)



def lstm(writer, node, values, kind, shapes):
    """An LSTM over one moment as its equations (ONNX, LSTM): gates i, o, f and candidate c."""
    given = attributes(node)
    weights = [values.get(name) for name in node.input[1:3]]
    bias = values.get(node.input[3]) if len(node.input) > 3 and node.input[3] else None
    only_plain = given.get("direction", b"forward") == b"forward" and not given.get("layout") and not given.get("input_forget") and not {"clip", "activations"} & set(given)
    if any(w is None for w in weights) or not only_plain or len(node.input) < 7 or not node.input[6] or len(node.input) > 7:
        return
    hidden = given["hidden_size"]
    w, r = (weight[0] for weight in weights)
    wb, rb = (bias[0][: 4 * hidden], bias[0][4 * hidden :]) if bias is not None else (np.zeros(4 * hidden, w.dtype),) * 2
    x = writer.make("Reshape", node.input[0], writer.constant(np.array([1, w.shape[1]], np.int64)))
    h, c = (writer.make("Reshape", name, writer.constant(np.array([1, hidden], np.int64))) for name in node.input[5:7])

    def gate(at, operator):
        part = slice(at * hidden, (at + 1) * hidden)
        of_input = writer.make("Gemm", x, writer.constant(np.ascontiguousarray(w[part].T)), writer.constant(wb[part]))
        of_state = writer.make("Gemm", h, writer.constant(np.ascontiguousarray(r[part].T)), writer.constant(rb[part]))
        return writer.make(operator, writer.make("Add", of_input, of_state))

    i, o, f, candidate = gate(0, "Sigmoid"), gate(1, "Sigmoid"), gate(2, "Sigmoid"), gate(3, "Tanh")
    cell = writer.make("Add", writer.make("Mul", f, c), writer.make("Mul", i, candidate))
    flat = writer.make("Mul", o, writer.make("Tanh", cell))
    outs(writer, node, flat, hidden)
    if len(node.output) > 2 and node.output[2]:
        writer.make("Reshape", cell, writer.constant(np.array([1, 1, hidden], np.int64)), to=node.output[2])



def outs(writer, node, flat, hidden):
    """What a recurrent node gives of one moment: all moments, and the last."""
    for name, shape in zip(node.output, ([1, 1, 1, hidden], [1, 1, hidden])):
        if name:
            writer.make("Reshape", flat, writer.constant(np.array(shape, np.int64)), to=name)


REWRITES = {"Gather": gather, "Pow": power, "ReduceL1": reduce_l1, "Selu": selu, "RMSNormalization": rms_norm, "GRU": gru, "LSTM": lstm}


def rewrite(graph, shapes):
    """Nodes without a native form to nodes that have one, where that is exact."""
    values = known(graph)
    kinds = {tensor.name: numpy_helper.to_array(tensor).dtype.type for tensor in graph.initializer}
    nodes = []
    for node in graph.node:
        writer = Writer(graph, node)
        change = REWRITES.get(node.op_type) if not node.domain else None
        kind = next((kinds[name] for name in node.input if name in kinds and kinds[name] in (np.float16, np.float32)), np.float32)
        if change:
            change(writer, node, values, kind, shapes)
        nodes.extend(writer.nodes or [node])
    del graph.node[:]
    graph.node.extend(nodes)


def prune(graph):
    """Takes away what no output needs."""
    needed = {output.name for output in graph.output}
    kept = []
    for node in reversed(graph.node):
        if any(name in needed for name in node.output):
            kept.append(node)
            needed.update(node.input)
            for attribute in node.attribute:
                if attribute.HasField("g"):
                    needed.update(name for inner in attribute.g.node for name in inner.input)
    kept.reverse()
    del graph.node[:]
    graph.node.extend(kept)
    tensors = {tensor.name: tensor for tensor in graph.initializer if tensor.name in needed}
    del graph.initializer[:]
    graph.initializer.extend(tensors.values())
