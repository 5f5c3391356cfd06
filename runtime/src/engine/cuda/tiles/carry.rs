//! How far a pixel's change carries through one kernel.

use crate::engine::cuda::abi::Span;
use crate::engine::cuda::program::{Conv, FFT, Gather, Geometry, Method, Op, Operand, Pointwise, Program, Shape, Spatial, Step, TensorId};

/// What each pixel of a kernel's output sees of a mask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Carry {
    /// The pixel at its place.
    Same,
    /// Rows and columns, by the output's.
    Window {
        /// Of each row.
        rows: Vec<Span>,
        /// Of each column.
        columns: Vec<Span>,
        /// What it sees lies around its place: neighbours count only where they are told of a movement.
        centred: bool,
    },
    /// The same of tiles whose pixels are made together.
    Tiles {
        /// Of each row of tiles.
        rows: Vec<Span>,
        /// Of each column of tiles.
        columns: Vec<Span>,
        /// Rows and columns of outputs in a tile.
        tile: [usize; 2],
    },
}

/// What a kernel reads and writes.
pub struct Reached {
    /// What it reads, with how that carries.
    pub reads: Vec<(TensorId, Carry)>,
    /// What it writes.
    pub writes: TensorId,
    /// It writes some channels of that, and others write the rest.
    pub partly: bool,
    /// Rows and columns of what it makes.
    pub size: [usize; 2],
    /// Multiply-adds, and a few for each number it writes.
    pub work: f64,
}

impl Reached {
    /// By `op`; `tight` leaves out what the arithmetic of transforms reaches by rounding alone. None where it measures all of its input.
    pub fn by(program: &Program, op: &Op, tight: bool) -> Option<Reached> {
        /// As engine/cpu/tiles counts it.
        const PASS: usize = 8;
        let shape = |tensor: TensorId| program.tensors[tensor].shape;
        let (reads, writes, partly, macs) = match op {
            Op::Conv(conv) if conv.measures.is_some() => return None,
            Op::Conv(conv) => {
                let mut reads = vec![(conv.input, convolution(conv, shape(conv.input), shape(conv.output), tight))];
                let (mut writes, mut partly) = (conv.output, false);
                if let Some(chain) = &conv.behind {
                    reads.extend(chained(program, chain));
                    (writes, partly) = chain.body.iter().find_map(stored)?;
                }
                (reads, writes, partly, macs(program, conv))
            }
            Op::Spatial(spatial) => {
                (vec![(spatial.input, gathered(spatial, shape(spatial.input), shape(spatial.output)))], spatial.output, false, 0)
            }
            Op::Across(across) => (vec![(across.input, Carry::Same)], across.output, false, 0),
            Op::Pointwise(chain) => {
                let (writes, partly) = chain.body.iter().find_map(stored)?;
                (chained(program, chain), writes, partly, 0)
            }
            Op::Gate(gate) => (vec![(gate.from, Carry::Same)], gate.to, false, 0),
            Op::Stats { .. } => return None,
        };
        let made = match op {
            Op::Pointwise(chain) => chain.domain,
            Op::Conv(conv) => shape(conv.output),
            _ => shape(writes),
        };
        let work = (macs + PASS * made.h * made.w * made.c) as f64;
        Some(Reached { reads, writes, partly, size: [made.h, made.w], work })
    }
}

fn macs(program: &Program, conv: &Conv) -> usize {
    let (from, to) = (program.tensors[conv.input].shape, program.tensors[conv.output].shape);
    conv.geometry.kernel[0] * conv.geometry.kernel[1] * from.c / conv.geometry.groups * to.c * to.h * to.w
}

fn stored(step: &Step) -> Option<(TensorId, bool)> {
    use crate::engine::cuda::opcode::Opcode;
    match (step.op, step.operand) {
        (Opcode::Store32, Operand::Tensor(tensor)) => Some((tensor, false)),
        (Opcode::StoreView, Operand::Channels(tensor, _)) => Some((tensor, true)),
        _ => None,
    }
}

fn chained(program: &Program, chain: &Pointwise) -> Vec<(TensorId, Carry)> {
    let mut reads: Vec<(TensorId, Carry)> = Vec::new();
    let made = [chain.domain.h, chain.domain.w];
    for step in chain.steps().filter(|step| stored(step).is_none()) {
        let Some(tensor) = step.operand.tensor() else { continue };
        let Shape { h, w, .. } = program.tensors[tensor].shape;
        let carry = if [h, w] == made {
            Carry::Same
        } else {
            // One pixel, spread over all.
            let all = |count: usize, of: usize| vec![span(0, of as isize, of); count];
            Carry::Window { rows: all(made[0], h), columns: all(made[1], w), centred: false }
        };
        if !reads.iter().any(|known| *known == (tensor, carry.clone())) {
            reads.push((tensor, carry));
        }
    }
    reads
}

fn span(first: isize, behind: isize, inputs: usize) -> Span {
    let first = first.clamp(0, inputs as isize);
    Span { first: first as i32, behind: behind.clamp(first, inputs as isize) as i32 }
}

fn convolution(conv: &Conv, from: Shape, to: Shape, tight: bool) -> Carry {
    match conv.method {
        Method::Fft(spectral) if !tight => {
            let tiles = |d: usize, inputs: usize| {
                let (valid, pad) = (spectral.valid[d], conv.geometry.pad[d] as isize);
                (0..spectral.tiles[d])
                    .map(|at| (at * valid) as isize - pad)
                    .map(|first| span(first, first + FFT as isize, inputs))
                    .collect()
            };
            Carry::Tiles { rows: tiles(0, from.h), columns: tiles(1, from.w), tile: spectral.valid }
        }
        _ => window(&conv.geometry, from, to),
    }
}

fn window(g: &Geometry, from: Shape, to: Shape) -> Carry {
    let sees = |d: usize, outputs: usize, inputs: usize| -> Vec<Span> {
        let firsts = (0..outputs).map(|at| (at * g.stride[d]) as isize - g.pad[d] as isize);
        firsts.map(|first| span(first, first + ((g.kernel[d] - 1) * g.dilation[d] + 1) as isize, inputs)).collect()
    };
    let still = g.stride == [1, 1] && [from.h, from.w] == [to.h, to.w];
    if still && g.kernel == [1, 1] && g.pad == [0, 0] {
        return Carry::Same;
    }
    let centre = |d: usize| g.kernel[d] % 2 == 1 && g.pad[d] == g.kernel[d] / 2 * g.dilation[d];
    Carry::Window { rows: sees(0, to.h, from.h), columns: sees(1, to.w, from.w), centred: still && centre(0) && centre(1) }
}

fn gathered(spatial: &Spatial, from: Shape, to: Shape) -> Carry {
    let each = |outputs: usize, inputs: usize, sees: &dyn Fn(isize) -> (isize, isize)| -> Vec<Span> {
        (0..outputs).map(|at| sees(at as isize)).map(|(first, behind)| span(first, behind, inputs)).collect()
    };
    let both = |sees: &dyn Fn(usize, isize) -> (isize, isize)| Carry::Window {
        rows: each(to.h, from.h, &|at| sees(0, at)),
        columns: each(to.w, from.w, &|at| sees(1, at)),
        centred: false,
    };
    match &spatial.gather {
        Gather::Largest(geometry) | Gather::Mean(geometry, _) => window(geometry, from, to),
        Gather::Resize { rows, columns } => both(&|d, at| {
            let taps = [rows, columns][d][at as usize];
            (taps.first.min(taps.second) as isize, taps.first.max(taps.second) as isize + 1)
        }),
        Gather::Interleave { block, begin, .. } => both(&|d, at| {
            let own = (at + begin[d] as isize) / block[d] as isize;
            (own, own + 1)
        }),
        Gather::Collect { block, .. } => both(&|_, at| (at * *block as isize, (at + 1) * *block as isize)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_sees_its_taps_and_no_others() {
        let shape = |h, w| Shape { c: 1, h, w };
        let geometry = |kernel, stride, dilation, pad| Geometry {
            kernel: [kernel; 2],
            stride: [stride; 2],
            dilation: [dilation; 2],
            pad: [pad; 2],
            groups: 1,
        };
        let spans = |carry: Carry| match carry {
            Carry::Window { rows, centred, .. } => (rows.iter().map(|span| (span.first, span.behind)).collect::<Vec<_>>(), centred),
            other => panic!("{other:?}"),
        };
        assert_eq!(spans(window(&geometry(3, 1, 1, 1), shape(4, 4), shape(4, 4))), (vec![(0, 2), (0, 3), (1, 4), (2, 4)], true));
        assert_eq!(spans(window(&geometry(3, 2, 1, 1), shape(6, 6), shape(3, 3))), (vec![(0, 2), (1, 4), (3, 6)], false));
        assert_eq!(spans(window(&geometry(3, 1, 2, 2), shape(5, 5), shape(5, 5))).0[2], (0, 5));
        assert_eq!(window(&geometry(1, 1, 1, 0), shape(5, 5), shape(5, 5)), Carry::Same);
        assert_eq!(spans(window(&geometry(1, 2, 1, 0), shape(5, 5), shape(3, 3))), (vec![(0, 1), (2, 3), (4, 5)], false));
    }
}
