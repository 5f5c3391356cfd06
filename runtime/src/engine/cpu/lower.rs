//! Lowers an ONNX graph to the engine's operations, or says which node it does not know.
//!
//! Element-wise nodes become expressions that are only evaluated where something needs their values in memory: a convolution, a
//! norm's statistics, or an output of the graph. So a whole chain, up to the new hidden state and how far it moved, is one pass.

use std::collections::HashMap;

use tract_onnx::pb::{GraphProto, NodeProto};

use super::conv_direct::{ConvDirect, Geometry};
use super::conv_fft::{ConvFft, Rates, Shape, Tiling};
use super::machine::{Buffer, Layout, Operation, Plane, Table, View};
use super::onnx::{Attributes, Constant, constant};
use super::pointwise::{Instruction, Op, Operand, Program, Target};
use super::simd::Isa;

/// Most bytes one convolution's spectra may take.
const SPECTRA_BYTES: usize = 96 << 20;

/// An expression's number.
type Id = usize;

/// Channels, height and width of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Size {
    channels: usize,
    rows: usize,
    columns: usize,
}

impl Size {
    fn pixels(self) -> usize {
        self.rows * self.columns
    }
}

#[derive(Clone, Debug)]
enum Source {
    /// In memory.
    View(View),
    /// One number per channel.
    Table(Table),
    /// The same number everywhere.
    Number(f32),
    /// Yet to be computed.
    Apply(Op, Vec<Id>),
}

#[derive(Clone, Debug)]
enum Value {
    /// An expression and its size.
    Tensor(Id, Size),
    /// Known when the graph is loaded.
    Constant(Constant),
}

/// A buffer that a graph reads or writes, by the name the graph knows it by.
#[derive(Clone, Debug)]
pub struct Bound {
    /// Name of the graph's input or output.
    pub name: String,
    /// The buffer.
    pub buffer: Buffer,
    /// `[1, C, H, W]`
    pub shape: Vec<usize>,
    /// For outputs: measure the distance from this buffer of the same shape.
    pub moved_from: Option<Buffer>,
}

struct Lowering<'a> {
    isa: Isa,
    layout: &'a mut Layout,
    operations: Vec<Operation>,
    sources: Vec<Source>,
    values: HashMap<String, Value>,
    outputs: &'a [Bound],
}

/// Lowers a graph over the given buffers. On failure the reason names the node; the layout may have gained unused entries.
pub fn lower(graph: &GraphProto, isa: Isa, layout: &mut Layout, inputs: &[Bound], outputs: &[Bound]) -> Result<Vec<Operation>, String> {
    let mut lowering = Lowering { isa, layout, operations: Vec::new(), sources: Vec::new(), values: HashMap::new(), outputs };
    for tensor in &graph.initializer {
        lowering.values.insert(tensor.name.clone(), Value::Constant(constant(tensor)?));
    }
    for input in inputs {
        let size = size_of(&input.shape).ok_or_else(|| format!("input '{}' is {:?}, not [1, C, H, W]", input.name, input.shape))?;
        let id = lowering.source(Source::View(whole(input.buffer, size.channels)));
        lowering.values.insert(input.name.clone(), Value::Tensor(id, size));
    }
    for output in outputs {
        if lowering.values.contains_key(&output.name) {
            return Err(format!("output '{}' is an input or a constant", output.name));
        }
    }
    for node in &graph.node {
        let what = || format!("node '{}' ({})", node.name, node.op_type);
        let made = lowering.node(node).map_err(|reason| format!("{}: {reason}", what()))?;
        for (name, value) in node.output.iter().zip(made) {
            lowering.define(name, value).map_err(|reason| format!("{}: {reason}", what()))?;
        }
    }
    if let Some(missing) = outputs.iter().find(|output| !lowering.values.contains_key(&output.name)) {
        return Err(format!("no node computes output '{}'", missing.name));
    }
    Ok(lowering.operations)
}

fn size_of(shape: &[usize]) -> Option<Size> {
    match *shape {
        [1, channels, rows, columns] => Some(Size { channels, rows, columns }),
        _ => None,
    }
}

fn whole(buffer: Buffer, channels: usize) -> View {
    (0..channels).map(|channel| Plane { buffer, channel }).collect()
}

impl Lowering<'_> {
    fn source(&mut self, source: Source) -> Id {
        self.sources.push(source);
        self.sources.len() - 1
    }

    fn apply(&mut self, op: Op, operands: Vec<Id>, size: Size) -> Value {
        Value::Tensor(self.source(Source::Apply(op, operands)), size)
    }

    fn number(&mut self, x: f32) -> Id {
        self.source(Source::Number(x))
    }

    /// Gives a value its name; an output of the graph goes to its buffer and is measured.
    fn define(&mut self, name: &str, value: Value) -> Result<(), String> {
        if let Some(bound) = self.outputs.iter().find(|bound| bound.name == name) {
            let Value::Tensor(id, size) = value else { return Err("an output that is constant".into()) };
            if size_of(&bound.shape) != Some(size) {
                return Err(format!("'{name}' is {size:?}, not {:?}", bound.shape));
            }
            self.evaluate(id, size, Some(bound.buffer));
            if let Some(before) = bound.moved_from {
                self.measure(before, bound.buffer, size);
            }
        }
        self.values.insert(name.to_owned(), value);
        Ok(())
    }

    fn get(&self, node: &NodeProto, at: usize) -> Result<&Value, String> {
        let name = node.input.get(at).ok_or_else(|| format!("input {at} is missing"))?;
        self.values.get(name).ok_or_else(|| format!("'{name}' is not known"))
    }

    fn optional(&self, node: &NodeProto, at: usize) -> Option<&Value> {
        node.input.get(at).filter(|name| !name.is_empty()).and_then(|name| self.values.get(name))
    }

    fn tensor(&self, node: &NodeProto, at: usize) -> Result<(Id, Size), String> {
        match self.get(node, at)? {
            Value::Tensor(id, size) => Ok((*id, *size)),
            Value::Constant(_) => Err(format!("input {at} is constant")),
        }
    }

    fn constants(&self, node: &NodeProto, at: usize) -> Result<&Constant, String> {
        match self.get(node, at)? {
            Value::Constant(constant) => Ok(constant),
            Value::Tensor(..) => Err(format!("input {at} ('{}') is not constant", node.input[at])),
        }
    }

    /// One output value for each output of the node that is used.
    fn node(&mut self, node: &NodeProto) -> Result<Vec<Value>, String> {
        let attributes = Attributes(node);
        if !node.domain.is_empty() && node.domain != "ai.onnx" {
            return Err(format!("operators of '{}' are not known", node.domain));
        }
        let unary = |op| (op, Vec::new());
        let (op, more) = match node.op_type.as_str() {
            "Constant" => return Ok(vec![Value::Constant(attributes.constant()?)]),
            "Identity" | "Dropout" => return Ok(vec![self.get(node, 0)?.clone()]),
            "Conv" => return self.convolution(node).map(|value| vec![value]),
            "InstanceNormalization" => return self.instance_norm(node).map(|value| vec![value]),
            "BatchNormalization" => return self.batch_norm(node).map(|value| vec![value]),
            "Concat" => return self.concat(node).map(|value| vec![value]),
            "Split" => return self.split(node),
            "Slice" => return self.slice(node).map(|value| vec![value]),
            "Add" => return self.binary(node, Op::Add).map(|value| vec![value]),
            "Sub" => return self.binary(node, Op::Sub).map(|value| vec![value]),
            "Mul" => return self.binary(node, Op::Mul).map(|value| vec![value]),
            "Div" => return self.binary(node, Op::Div).map(|value| vec![value]),
            "Min" if node.input.len() == 2 => return self.binary(node, Op::Min).map(|value| vec![value]),
            "Max" if node.input.len() == 2 => return self.binary(node, Op::Max).map(|value| vec![value]),
            "Softplus" => unary(Op::Softplus),
            "Sigmoid" => unary(Op::Sigmoid),
            "Tanh" => unary(Op::Tanh),
            "Exp" => unary(Op::Exp),
            "Abs" => unary(Op::Abs),
            "Sqrt" => unary(Op::Sqrt),
            "Relu" => (Op::Max, vec![0.0]),
            "Neg" => (Op::Mul, vec![-1.0]),
            "LeakyRelu" => (Op::Leak, vec![attributes.float("alpha", 0.01)]),
            "Clip" => return self.clip(node).map(|value| vec![value]),
            _ => return Err("is not covered".into()),
        };
        if let Value::Constant(constant) = self.get(node, 0)? {
            // A few numbers at load; the exactness of the standard library costs nothing.
            let b = more.first().copied().unwrap_or(0.0);
            return Ok(vec![Value::Constant(constant.map(|a| scalar(op, a, b)))]);
        }
        let (a, size) = self.tensor(node, 0)?;
        let mut operands = vec![a];
        for x in more {
            operands.push(self.number(x));
        }
        Ok(vec![self.apply(op, operands, size)])
    }

    fn clip(&mut self, node: &NodeProto) -> Result<Value, String> {
        let (mut id, size) = self.tensor(node, 0)?;
        for (at, op) in [(1, Op::Max), (2, Op::Min)] {
            if let Some(Value::Constant(bound)) = self.optional(node, at) {
                let bound = bound.number().ok_or("a bound is not one number")?;
                let bound = self.number(bound);
                id = self.source(Source::Apply(op, vec![id, bound]));
            }
        }
        Ok(Value::Tensor(id, size))
    }

    fn binary(&mut self, node: &NodeProto, op: Op) -> Result<Value, String> {
        let (a, b) = (self.get(node, 0)?.clone(), self.get(node, 1)?.clone());
        let size = match (&a, &b) {
            (Value::Constant(a), Value::Constant(b)) => return Ok(Value::Constant(a.zip(b, |x, y| scalar(op, x, y))?)),
            (Value::Tensor(_, a), Value::Tensor(_, b)) => {
                let wide = |a: usize, b: usize| if a == 1 { b } else { a };
                Size { channels: wide(a.channels, b.channels), rows: wide(a.rows, b.rows), columns: wide(a.columns, b.columns) }
            }
            (Value::Tensor(_, size), Value::Constant(_)) | (Value::Constant(_), Value::Tensor(_, size)) => *size,
        };
        let operands = [a, b].into_iter().map(|value| self.operand(value, size)).collect::<Result<_, _>>()?;
        Ok(self.apply(op, operands, size))
    }

    /// A value as an operand of an expression of this size.
    fn operand(&mut self, value: Value, size: Size) -> Result<Id, String> {
        match value {
            Value::Tensor(id, own) if own == size => Ok(id),
            Value::Tensor(id, own) if own.channels == 1 && own.pixels() == size.pixels() && own.rows == size.rows => {
                let plane = self.evaluate(id, own, None)[0];
                Ok(self.source(Source::View(vec![plane; size.channels])))
            }
            Value::Tensor(_, own) => Err(format!("{own:?} cannot be combined with {size:?}")),
            Value::Constant(constant) => {
                if let Some(x) = constant.number() {
                    return Ok(self.number(x));
                }
                let mut shape = vec![1; 4usize.saturating_sub(constant.shape.len())];
                shape.extend(&constant.shape);
                let source = match shape[..] {
                    [1, c, 1, 1] if c == size.channels => Source::Table(self.layout.table(&constant.values)),
                    [1, c, h, w] if (c == 1 || c == size.channels) && [h, w] == [size.rows, size.columns] => {
                        let buffer = self.layout.lasting(c, h * w);
                        self.layout.constants.push((buffer, constant.values));
                        Source::View((0..size.channels).map(|channel| Plane { buffer, channel: channel % c }).collect())
                    }
                    _ => return Err(format!("a constant of {:?} cannot be combined with {size:?}", constant.shape)),
                };
                Ok(self.source(source))
            }
        }
    }

    fn convolution(&mut self, node: &NodeProto) -> Result<Value, String> {
        let attributes = Attributes(node);
        let (id, size) = self.tensor(node, 0)?;
        let weights = self.constants(node, 1)?.clone();
        let bias = match self.optional(node, 2) {
            Some(Value::Constant(bias)) => bias.values.clone(),
            Some(Value::Tensor(..)) => return Err("the bias is not constant".into()),
            None => Vec::new(),
        };
        let [cout, per_group, kh, kw] = weights.shape[..] else { return Err(format!("weights of {:?}", weights.shape)) };
        let groups = attributes.int("group", 1);
        if !matches!(attributes.text("auto_pad"), "" | "NOTSET" | "VALID") {
            return Err("automatic padding is not covered".into());
        }
        let [top, left, bottom, right] = attributes.ints("pads", [0; 4])?;
        let geometry = Geometry {
            cin: size.channels,
            cout,
            groups,
            input: [size.rows, size.columns],
            kernel: [kh, kw],
            begin: [top, left],
            end: [bottom, right],
            stride: attributes.ints("strides", [1; 2])?,
            dilation: attributes.ints("dilations", [1; 2])?,
        };
        let whole_groups = groups > 0 && cout % groups == 0 && per_group * groups == size.channels;
        let biased = bias.is_empty() || bias.len() == cout;
        if !whole_groups || !biased || geometry.stride.contains(&0) || geometry.dilation.contains(&0) || kh * kw == 0 {
            return Err(format!("{geometry:?} does not fit weights of {:?}", weights.shape));
        }
        let [rows, columns] = geometry.output();
        if rows * columns == 0 {
            return Err("the kernel is larger than its input".into());
        }
        let input = self.evaluate(id, size, None);
        let (value, output) = self.destination(node, Size { channels: cout, rows, columns });
        let operation = match self.tiling(&geometry) {
            Some((shape, tiling)) => {
                let conv = ConvFft::new(shape, tiling, self.isa, &weights.values, &bias);
                Operation::Fourier { conv, input, output }
            }
            None => Operation::Direct { conv: ConvDirect::new(geometry, self.isa, &weights.values, &bias), input, output },
        };
        self.operations.push(operation);
        Ok(value)
    }

    /// A tiling where transforms are cheaper than the direct form.
    fn tiling(&self, g: &Geometry) -> Option<(Shape, Tiling)> {
        if g.groups != 1 || g.stride != [1, 1] || g.dilation != [1, 1] {
            return None;
        }
        let shape = Shape { cin: g.cin, cout: g.cout, input: g.input, kernel: g.kernel, begin: g.begin, end: g.end };
        let rates = Rates::of(self.isa);
        let tiling = Tiling::choose(&shape, &rates, SPECTRA_BYTES)?;
        (tiling.cost_ns < g.macs() as f64 * rates.direct_ns).then_some((shape, tiling))
    }

    /// Where a node writes: the buffer of the graph's output that it makes, or a new one.
    fn destination(&mut self, node: &NodeProto, size: Size) -> (Value, View) {
        let bound = self.outputs.iter().find(|bound| bound.name == node.output[0] && size_of(&bound.shape) == Some(size));
        let buffer = bound.map_or_else(|| self.layout.buffer(size.channels, size.pixels()), |bound| bound.buffer);
        let view = whole(buffer, size.channels);
        (Value::Tensor(self.source(Source::View(view.clone())), size), view)
    }

    fn instance_norm(&mut self, node: &NodeProto) -> Result<Value, String> {
        let (id, size) = self.tensor(node, 0)?;
        let (gain, bias) = (self.constants(node, 1)?.values.clone(), self.constants(node, 2)?.values.clone());
        if gain.len() != size.channels || bias.len() != size.channels {
            return Err(format!("{} and {} parameters for {} channels", gain.len(), bias.len(), size.channels));
        }
        let epsilon = Attributes(node).float("epsilon", 1e-5);
        let input = self.evaluate(id, size, None);
        let zero = vec![0.0; size.channels];
        let (scale, shift) = (self.layout.table(&zero), self.layout.table(&zero));
        self.operations.push(Operation::Normal { input, pixels: size.pixels(), epsilon, gain, bias, scale, shift });
        let (scale, shift) = (self.source(Source::Table(scale)), self.source(Source::Table(shift)));
        Ok(self.apply(Op::MulAdd, vec![id, scale, shift], size))
    }

    fn batch_norm(&mut self, node: &NodeProto) -> Result<Value, String> {
        let attributes = Attributes(node);
        if attributes.int("training_mode", 0) != 0 {
            return Err("training mode is not covered".into());
        }
        let (id, size) = self.tensor(node, 0)?;
        let epsilon = attributes.float("epsilon", 1e-5);
        let mut tables = Vec::new();
        for at in 1..5 {
            tables.push(self.constants(node, at)?.values.clone());
        }
        if tables.iter().any(|table| table.len() != size.channels) {
            return Err("parameters do not fit the channels".into());
        }
        let scale: Vec<f32> = (0..size.channels).map(|c| tables[0][c] / (tables[3][c] + epsilon).sqrt()).collect();
        let shift: Vec<f32> = (0..size.channels).map(|c| tables[1][c] - tables[2][c] * scale[c]).collect();
        let (scale, shift) = (self.layout.table(&scale), self.layout.table(&shift));
        let (scale, shift) = (self.source(Source::Table(scale)), self.source(Source::Table(shift)));
        Ok(self.apply(Op::MulAdd, vec![id, scale, shift], size))
    }

    fn concat(&mut self, node: &NodeProto) -> Result<Value, String> {
        if !matches!(Attributes(node).signed("axis", 1), 1 | -3) {
            return Err("only channels can be concatenated".into());
        }
        let mut view = View::new();
        let mut size: Option<Size> = None;
        for at in 0..node.input.len() {
            let (id, part) = self.tensor(node, at)?;
            if size.is_some_and(|size| [size.rows, size.columns] != [part.rows, part.columns]) {
                return Err("the parts differ in height or width".into());
            }
            view.extend(self.evaluate(id, part, None));
            size = Some(Size { channels: view.len(), ..part });
        }
        let size = size.ok_or("nothing to concatenate")?;
        Ok(Value::Tensor(self.source(Source::View(view)), size))
    }

    fn split(&mut self, node: &NodeProto) -> Result<Vec<Value>, String> {
        let attributes = Attributes(node);
        if !matches!(attributes.signed("axis", 0), 1 | -3) {
            return Err("only channels can be split".into());
        }
        let (id, size) = self.tensor(node, 0)?;
        let parts = node.output.len();
        let counts: Vec<usize> = match self.optional(node, 1) {
            Some(Value::Constant(counts)) => counts.values.iter().map(|&n| n as usize).collect(),
            Some(Value::Tensor(..)) => return Err("the sizes are not constant".into()),
            None => match attributes.list("split") {
                [] if size.channels % parts == 0 => vec![size.channels / parts; parts],
                [] => return Err(format!("{} channels do not split into {parts}", size.channels)),
                counts => counts.iter().map(|&n| n as usize).collect(),
            },
        };
        if counts.len() != parts || counts.iter().sum::<usize>() != size.channels {
            return Err(format!("{counts:?} do not add up to {} channels", size.channels));
        }
        let view = self.evaluate(id, size, None);
        let mut from = 0;
        let mut part = |channels: usize| {
            let id = self.source(Source::View(view[from..from + channels].to_vec()));
            from += channels;
            Value::Tensor(id, Size { channels, ..size })
        };
        Ok(counts.into_iter().map(&mut part).collect())
    }

    fn slice(&mut self, node: &NodeProto) -> Result<Value, String> {
        let (id, size) = self.tensor(node, 0)?;
        let one = |at: usize| -> Result<i64, String> { Ok(self.constants(node, at)?.number().ok_or("one range is covered")? as i64) };
        let (start, end) = (one(1)?, one(2)?);
        let axis = if self.optional(node, 3).is_some() { one(3)? } else { 0 };
        let step = if self.optional(node, 4).is_some() { one(4)? } else { 1 };
        if !matches!(axis, 1 | -3) || step != 1 {
            return Err("only runs of channels can be sliced".into());
        }
        let channels = size.channels as i64;
        let clamp = |x: i64| (if x < 0 { x + channels } else { x }).clamp(0, channels) as usize;
        let range = clamp(start)..clamp(end);
        if range.is_empty() {
            return Err("no channel is left".into());
        }
        let view = self.evaluate(id, size, None)[range].to_vec();
        let size = Size { channels: view.len(), ..size };
        Ok(Value::Tensor(self.source(Source::View(view)), size))
    }

    /// Puts an expression's values into memory (a given buffer, if any) and answers where they are.
    fn evaluate(&mut self, id: Id, size: Size, into: Option<Buffer>) -> View {
        if let Source::View(view) = &self.sources[id] {
            let view = view.clone();
            let Some(buffer) = into else { return view };
            let to = whole(buffer, size.channels);
            if view != to {
                self.chain(size, |chain, _| {
                    let from = chain.plane(&view);
                    let plane = chain.plane(&to);
                    chain.push(Op::Copy, &[from], Target::Plane(plane_number(plane)));
                });
            }
            return to;
        }
        let buffer = into.unwrap_or_else(|| self.layout.buffer(size.channels, size.pixels()));
        let to = whole(buffer, size.channels);
        self.chain(size, |chain, sources| {
            let plane = chain.plane(&to);
            Writer { uses: uses(sources, id), sources, chain, done: HashMap::new() }.write(id, Target::Plane(plane_number(plane)));
        });
        self.sources[id] = Source::View(to.clone());
        to
    }

    /// Measures how far a state moved, in the pass that wrote it.
    fn measure(&mut self, before: Buffer, after: Buffer, size: Size) {
        self.chain(size, |chain, _| {
            let operands = [before, after].map(|buffer| chain.plane(&whole(buffer, size.channels)));
            let block = chain.keep();
            chain.push(Op::Moments, &operands, Target::Kept(block));
            chain.release(Operand::Kept(block));
            chain.measures = true;
        });
    }

    /// Adds instructions to the last operation if that is a chain of the same size, or else to a new one.
    fn chain(&mut self, size: Size, write: impl FnOnce(&mut Chain, &[Source])) {
        let (channels, pixels) = (size.channels, size.pixels());
        let mut chain = match self.operations.pop() {
            Some(Operation::Pointwise { program, planes, tables, measures })
                if (program.channels, program.pixels) == (channels, pixels) =>
            {
                Chain { program, planes, tables, measures, free: Vec::new() }
            }
            other => {
                self.operations.extend(other);
                let program = Program { instructions: Vec::new(), kept: 0, channels, pixels };
                Chain { program, planes: View::new(), tables: Vec::new(), measures: false, free: Vec::new() }
            }
        };
        chain.free = (0..chain.program.kept).collect();
        write(&mut chain, &self.sources);
        let Chain { program, planes, tables, measures, .. } = chain;
        self.operations.push(Operation::Pointwise { program, planes, tables, measures });
    }
}

fn scalar(op: Op, a: f32, b: f32) -> f32 {
    match op {
        Op::Add => a + b,
        Op::Sub => a - b,
        Op::Mul => a * b,
        Op::Div => a / b,
        Op::Min => a.min(b),
        Op::Max => a.max(b),
        Op::Softplus => a.max(0.0) + (-a.abs()).exp().ln_1p(),
        Op::Sigmoid => 1.0 / (1.0 + (-a).exp()),
        Op::Tanh => a.tanh(),
        Op::Exp => a.exp(),
        Op::Abs => a.abs(),
        Op::Sqrt => a.sqrt(),
        Op::Leak => {
            if a < 0.0 {
                a * b
            } else {
                a
            }
        }
        Op::Copy | Op::MulAdd | Op::SubMul | Op::Moments => a,
    }
}

fn plane_number(operand: Operand) -> usize {
    match operand {
        Operand::Plane(number) => number,
        _ => unreachable!("a tensor's operand is a plane"),
    }
}

/// How often each expression below `root` is an operand.
fn uses(sources: &[Source], root: Id) -> HashMap<Id, usize> {
    let mut uses = HashMap::new();
    let mut open = vec![root];
    while let Some(id) = open.pop() {
        if let Source::Apply(_, operands) = &sources[id] {
            for &operand in operands {
                let count = uses.entry(operand).or_insert(0);
                *count += 1;
                if *count == 1 {
                    open.push(operand);
                }
            }
        }
    }
    uses
}

/// A chain being written.
struct Chain {
    program: Program,
    planes: View,
    tables: Vec<Table>,
    measures: bool,
    free: Vec<usize>,
}

impl Chain {
    fn plane(&mut self, view: &[Plane]) -> Operand {
        let channels = self.program.channels;
        let known = self.planes.chunks_exact(channels).position(|known| known == view);
        Operand::Plane(known.unwrap_or_else(|| {
            self.planes.extend_from_slice(view);
            self.planes.len() / channels - 1
        }))
    }

    fn table(&mut self, table: Table) -> Operand {
        let known = self.tables.iter().position(|known| *known == table);
        Operand::PerChannel(known.unwrap_or_else(|| {
            self.tables.push(table);
            self.tables.len() - 1
        }))
    }

    fn keep(&mut self) -> usize {
        self.free.pop().unwrap_or_else(|| {
            self.program.kept += 1;
            self.program.kept - 1
        })
    }

    fn release(&mut self, operand: Operand) {
        if let Operand::Kept(block) = operand {
            self.free.push(block);
        }
    }

    fn push(&mut self, op: Op, operands: &[Operand], to: Target) {
        let mut all = [Operand::Number(0.0); 3];
        all[..operands.len()].copy_from_slice(operands);
        self.program.instructions.push(Instruction { op, operands: all, to });
    }
}

/// Writes the instructions of one expression, operands first; shared ones once.
struct Writer<'a> {
    sources: &'a [Source],
    chain: &'a mut Chain,
    uses: HashMap<Id, usize>,
    done: HashMap<Id, Operand>,
}

impl Writer<'_> {
    fn write(&mut self, id: Id, to: Target) {
        let Source::Apply(op, operands) = &self.sources[id] else {
            let from = self.operand(id);
            self.chain.push(Op::Copy, &[from], to);
            return;
        };
        // x + a b and x - a b in one instruction, where nothing else needs the product.
        let product = |at: usize| match &self.sources[operands[at]] {
            Source::Apply(Op::Mul, factors) if self.uses.get(&operands[at]) == Some(&1) => Some((factors[0], factors[1])),
            _ => None,
        };
        let (op, operands) = match op {
            Op::Add => match (product(0), product(1)) {
                (Some((a, b)), _) => (Op::MulAdd, vec![a, b, operands[1]]),
                (None, Some((a, b))) => (Op::MulAdd, vec![a, b, operands[0]]),
                (None, None) => (Op::Add, operands.clone()),
            },
            Op::Sub => match product(1) {
                Some((a, b)) => (Op::SubMul, vec![a, b, operands[0]]),
                None => (Op::Sub, operands.clone()),
            },
            op => (*op, operands.clone()),
        };
        let from: Vec<Operand> = operands.iter().map(|&operand| self.operand(operand)).collect();
        for (&operand, &from) in operands.iter().zip(&from) {
            let left = self.uses.entry(operand).or_insert(1);
            *left -= 1;
            if *left == 0 {
                self.chain.release(from);
            }
        }
        let to = match to {
            // Reading and writing one block in the same place is fine: each vector is read before it is written.
            Target::Kept(usize::MAX) => Target::Kept(self.chain.keep()),
            to => to,
        };
        self.chain.push(op, &from, to);
        if let Target::Kept(block) = to {
            self.done.insert(id, Operand::Kept(block));
        }
    }

    fn operand(&mut self, id: Id) -> Operand {
        match &self.sources[id] {
            Source::View(view) => self.chain.plane(view),
            Source::Table(table) => self.chain.table(*table),
            Source::Number(x) => Operand::Number(*x),
            Source::Apply(..) => {
                if let Some(known) = self.done.get(&id) {
                    return *known;
                }
                self.write(id, Target::Kept(usize::MAX));
                self.done[&id]
            }
        }
    }
}
