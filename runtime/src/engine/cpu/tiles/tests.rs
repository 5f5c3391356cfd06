use proptest::prelude::*;

use super::*;
use crate::engine::cpu::across::Across;
use crate::engine::cpu::channels_last;
use crate::engine::cpu::conv_direct::{ConvDirect, Geometry};
use crate::engine::cpu::conv_expanded::ConvExpanded;
use crate::engine::cpu::conv_fft::{ConvFft, Shape, Tiling};
use crate::engine::cpu::conv_transposed::PixelShuffle;
use crate::engine::cpu::conv_winograd::ConvWinograd;
use crate::engine::cpu::depthwise::{Depthwise, Window};
use crate::engine::cpu::gather::{Gather, OUTSIDE};
use crate::engine::cpu::interpolate::Interpolate;
use crate::engine::cpu::machine::{Buffer, Layout, Machine, Operation, Plane, View};
use crate::engine::cpu::noise::noise;
use crate::engine::cpu::pointwise::{Instruction, Operand, Program as Chain, Target, Work};
use crate::engine::cpu::rates::Rates;
use crate::engine::cpu::simd::Isa;
use crate::engine::graph::{Fold, Op, Transposed};

/// What one operation of a random graph is.
#[derive(Clone, Debug)]
struct Choice {
    kind: usize,
    channels: usize,
    kernel: usize,
    stride: usize,
    dilation: usize,
    pad: usize,
    seed: u32,
}

fn choice() -> impl Strategy<Value = Choice> {
    (0usize..12, 1usize..20, 1usize..6, 1usize..3, 1usize..3, 0usize..3, any::<u32>())
        .prop_map(|(kind, channels, kernel, stride, dilation, pad, seed)| Choice { kind, channels, kernel, stride, dilation, pad, seed })
}

fn whole(buffer: Buffer, channels: usize) -> View {
    (0..channels).map(|channel| Plane { buffer, channel }).collect()
}

/// A tensor of a graph: its buffer, its channels, its rows and columns.
type Tensor = (Buffer, usize, [usize; 2]);

/// A chain of operations, some of which also read what lies further back; its buffers live on. Answers them with channels and size.
fn graph(choices: &[Choice], isa: Isa, size: [usize; 2], layout: &mut Layout) -> (Vec<Operation>, Vec<Tensor>) {
    let mut made = vec![(layout.lasting(3, size[0] * size[1]), 3, size)];
    let mut operations = Vec::new();
    for choice in choices {
        let &Choice { channels: cout, kernel, stride, dilation, pad, seed, .. } = choice;
        let &(from, cin, input) = made.last().unwrap();
        let g = |cout: usize, groups: usize, kernel: usize, stride: usize, dilation: usize, pad: usize| Geometry {
            cin,
            cout,
            groups,
            input,
            kernel: [kernel; 2],
            begin: [pad; 2],
            end: [pad; 2],
            stride: [stride; 2],
            dilation: [dilation; 2],
        };
        let weights = |g: &Geometry| noise(g.cout * (g.cin / g.groups) * g.kernel[0] * g.kernel[1], seed);
        let view = whole(from, cin);
        let mut put = |layout: &mut Layout, channels: usize, size: [usize; 2]| {
            let buffer = layout.lasting(channels, size[0] * size[1]);
            made.push((buffer, channels, size));
            whole(buffer, channels)
        };
        let fits = |g: &Geometry| g.output().iter().all(|&n| n > 0);
        match choice.kind {
            0 | 1 => {
                let g = g(cout, 1, kernel, stride, dilation, pad);
                if fits(&g) {
                    let output = put(layout, cout, g.output());
                    operations.push(Operation::Direct {
                        conv: ConvDirect::new(g, isa, &weights(&g), &noise(cout, seed)),
                        input: view,
                        output,
                    });
                }
            }
            2 => {
                let g = g(cout, 1, 1, 1, 1, 0);
                let mut conv = ConvDirect::new(g, isa, &weights(&g), &[]);
                let mut input = view;
                // Another tensor of the output's shape is added, where there is one.
                if let Some(&(other, ..)) =
                    made[..made.len() - 1].iter().find(|(_, channels, size)| (*channels, *size) == (cout, input_size(&g)))
                {
                    assert!(conv.add());
                    input.extend(whole(other, cout));
                }
                conv.bound([-0.5, 0.75]);
                let buffer = layout.lasting(cout, input_size(&g)[0] * input_size(&g)[1]);
                made.push((buffer, cout, g.output()));
                operations.push(Operation::Direct { conv, input, output: whole(buffer, cout) });
            }
            3 => {
                let g = g(cin, cin, kernel, stride, dilation, pad);
                if fits(&g) && cin > 1 {
                    let output = put(layout, cin, g.output());
                    let window = Window::Sum { weights: weights(&g), bias: noise(cin, seed) };
                    operations.push(Operation::Depthwise { conv: Depthwise::new(g, isa, window), input: view, output });
                }
            }
            4 => {
                let g = g(cin, cin, kernel, stride, dilation, pad.min(kernel / 2));
                if fits(&g) {
                    let output = put(layout, cin, g.output());
                    operations.push(Operation::Depthwise { conv: Depthwise::new(g, isa, Window::Greatest), input: view, output });
                }
            }
            5 => {
                let g = g(cout, 1, 3, 1, 1, pad);
                if fits(&g) {
                    let output = put(layout, cout, g.output());
                    operations.push(Operation::Winograd {
                        conv: ConvWinograd::new(g, isa, &weights(&g), &noise(cout, seed)),
                        input: view,
                        output,
                    });
                }
            }
            6 => {
                let g = g(cout, 1, kernel, 1, 1, pad);
                let shape = Shape { cin, cout, input, kernel: g.kernel, begin: g.begin, end: g.end };
                if let Some(tiling) = fits(&g).then(|| Tiling::with(&shape, [32, 16], &Rates::of(isa))).flatten() {
                    let output = put(layout, cout, g.output());
                    operations.push(Operation::Fourier { conv: ConvFft::new(shape, tiling, isa, &weights(&g), &[]), input: view, output });
                }
            }
            7 => {
                let expand = g(cout, 1, 1, 1, 1, 0);
                let window = Geometry { cin: cout, groups: cout, ..g(cout, 1, kernel, stride, dilation, pad) };
                if fits(&window) {
                    let output = put(layout, cout, window.output());
                    let weights = (weights(&expand), noise(cout * kernel * kernel, seed));
                    let window = Depthwise::new(window, isa, Window::Sum { weights: weights.1, bias: noise(cout, seed) });
                    let conv = ConvExpanded::new(ConvDirect::new(expand, isa, &weights.0, &[]), window);
                    operations.push(Operation::Expanded { conv, input: view, output });
                }
            }
            8 => {
                let output = put(layout, cin, [input[0] * 2, input[1] * 2]);
                let between = |n: usize| (0..2 * n).map(|at| (at / 2, (at / 2 + at % 2).min(n - 1), 0.25)).collect::<Vec<_>>();
                let work = Interpolate::new(input, between(input[0]), between(input[1]));
                operations.push(Operation::Planes { work: Box::new(work), input: view, output });
            }
            9 => {
                let numbers = |n: usize| match kernel {
                    1 => (0..n).flat_map(|at| [at, at]).collect::<Vec<_>>(),
                    2 => std::iter::once(OUTSIDE).chain(0..n).chain([OUTSIDE, OUTSIDE]).collect(),
                    3 => (0..n).rev().collect(),
                    _ => (0..n).step_by(2).collect(),
                };
                let work = Gather::new(input, numbers(input[0]), numbers(input[1]), 0.5);
                let output = put(layout, cin, work.output());
                operations.push(Operation::Planes { work: Box::new(work), input: view, output });
            }
            10 => {
                let transposed = Transposed {
                    cin,
                    cout,
                    groups: 1,
                    input,
                    kernel: [kernel; 2],
                    begin: [0, 0],
                    end: [0, 0],
                    extra: [0, 0],
                    stride: [stride; 2],
                    dilation: [1, 1],
                };
                let g = transposed.geometry();
                let weights = transposed.weights(&noise(cin * cout * kernel * kernel, seed));
                let parts = layout.lasting(g.cout, g.output()[0] * g.output()[1]);
                let parts = whole(parts, g.cout);
                operations.push(Operation::Direct { conv: ConvDirect::new(g, isa, &weights, &[]), input: view, output: parts.clone() });
                let output = put(layout, cout, transposed.output());
                let shuffle =
                    PixelShuffle { rests: transposed.stride, columns: g.output()[1], begin: transposed.begin, output: transposed.output() };
                operations.push(Operation::PixelShuffle { shuffle, input: parts, output });
            }
            _ => {
                let norm = put(layout, 1, input);
                let work = Across { fold: Fold::Squares, pixels: input[0] * input[1], scale: 0.5 };
                operations.push(Operation::Planes { work: Box::new(work), input: view.clone(), output: norm.clone() });
                let output = put(layout, cin, input);
                let step = |op, operands, to| Instruction { work: Work::Apply(op), operands, to };
                let (zero, kept) = (Operand::Number(0.0), Operand::Kept(0));
                let instructions = vec![
                    step(Op::MulAdd, [Operand::Plane(0), Operand::Plane(1), Operand::Number(0.1)], Target::Kept(0)),
                    step(Op::Sigmoid, [kept, zero, zero], Target::Plane(2)),
                ];
                let program = Chain { instructions, kept: 1, channels: cin, pixels: input[0] * input[1] };
                let planes = view.into_iter().chain((0..cin).map(|_| norm[0])).chain(output).collect();
                operations.push(Operation::Pointwise { program, planes, tables: Vec::new(), measures: false });
            }
        }
        if made.last().unwrap().2.iter().product::<usize>() > 30_000 {
            break;
        }
    }
    (operations, made)
}

fn input_size(g: &Geometry) -> [usize; 2] {
    g.input
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 120, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever the graph, the size and the pixels that change: every tensor has the bits of the dense run.
    #[test]
    fn any_local_graph_gives_the_bits_of_the_dense_run(
        choices in proptest::collection::vec(choice(), 1..7), h in 3usize..60, w in 3usize..90, threads in 1usize..4, planes in any::<u8>(),
        changes in proptest::collection::vec(proptest::collection::vec((0usize..60, 0usize..90, 1usize..12, 1usize..12), 0..4), 1..5),
    ) {
        for isa in Isa::available() {
            let (mut dense_layout, mut layout) = (Layout::default(), Layout::default());
            let (dense_graph, made) = graph(&choices, isa, [h, w], &mut dense_layout);
            let (tiled_graph, _) = graph(&choices, isa, [h, w], &mut layout);
            let mut sizes = vec![None; layout.buffers.len()];
            sizes[made[0].0.0] = Some([h, w]);
            // Some tensors stay in planes, the others as they may.
            let tiled_graph = Program::apart(tiled_graph, &mut layout);
            let planar: Vec<Buffer> =
                made.iter().enumerate().filter(|(at, _)| *at == 0 || planes >> (at % 8) & 1 == 1).map(|(_, tensor)| tensor.0).collect();
            let together = channels_last::choose(&tiled_graph.iter().collect::<Vec<_>>(), layout.buffers.len(), &planar, &[]);
            (0..together.len()).filter(|at| together[*at]).for_each(|at| layout.lay_together(Buffer(at)));
            let mut program = Program::new(tiled_graph, &mut layout, &mut sizes, |_| 0.0, 1.0, &[], isa).unwrap();
            let mut changes_of = Changes::none(&sizes);
            let mut lists = Lists::default();
            changes_of.moved.iter().for_each(|region| lists.reserve(region.size()));
            let mut dense = Machine::new(isa, 1, dense_layout, dense_graph.iter());
            let mut tiled = Machine::new(isa, threads, layout, program.operations());
            program.reserve(&mut tiled);
            let mut input = noise(3 * h * w, 5);
            for (number, marks) in std::iter::once(&Vec::new()).chain(&changes).enumerate() {
                changes_of.clear(made[0].0);
                for &(y, x, high, wide) in marks {
                    for y in (y % h)..h.min(y % h + high) {
                        let (left, right) = (x % w, w.min(x % w + wide));
                        changes_of.moved[made[0].0.0].mark(y, left, right);
                        changes_of.spread[made[0].0.0].mark(y, left, right);
                        for channel in 0..3 {
                            input[(channel * h + y) * w..][left..right].iter_mut().for_each(|x| *x = 0.7 - *x * 0.3 + number as f32 * 0.01);
                        }
                    }
                }
                dense.write(made[0].0, &input);
                tiled.write(made[0].0, &input);
                dense.run(&dense_graph);
                program.run(&mut tiled, &mut changes_of, &mut lists, number == 0);
                for &(buffer, channels, size) in &made {
                    for channel in 0..channels {
                        let (want, got) = (dense.plane(buffer, channel), tiled.plane(buffer, channel));
                        for at in 0..want.len() {
                            prop_assert!(
                                want[at].to_bits() == got[at].to_bits(),
                                "{isa:?}, change {number}, {size:?}, channel {channel}, pixel {at}: {} is not {}\n{}", got[at], want[at],
                                dense_graph.iter().map(|operation| format!("{operation}\n")).collect::<String>()
                            );
                        }
                    }
                }
            }
        }
    }
}
