//! Chains of element-wise operators, evaluated in one pass.
//!
//! A [`Program`] is a list of instructions over blocks of [`BLOCK`] pixels: intermediate values stay in a few kilobytes of first-level
//! cache, and only what leaves the chain is written to memory. Operands are planes of tensors, blocks kept from earlier instructions, one
//! number per channel, or one number. The distance between two states is an instruction too, so that the pass that writes the new state
//! also measures how far it moved.

use super::planes::Shared;
use super::pool::Pool;
use super::simd::{Isa, Kernel, MAX_LANES, Simd};
use super::vmath;
use crate::network::halting::Moments;

/// Pixels evaluated at a time.
pub const BLOCK: usize = 512;
/// Pixels of a work item: whole blocks of one channel.
const ITEM: usize = 8 * BLOCK;

/// An operator of one to three operands.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Op {
    /// `a`
    Copy,
    /// `ln(1 + e^a)`
    Softplus,
    /// `1 / (1 + e^-a)`
    Sigmoid,
    /// `tanh a`
    Tanh,
    /// `e^a`
    Exp,
    /// `|a|`
    Abs,
    /// The square root.
    Sqrt,
    /// `a + b`
    Add,
    /// `a - b`
    Sub,
    /// `a * b`
    Mul,
    /// `a / b`
    Div,
    /// The lesser.
    Min,
    /// The greater.
    Max,
    /// `a * b + c`
    MulAdd,
    /// `c - a * b`
    SubMul,
    /// `a` where it is positive, else `a * b`.
    Leak,
    /// The [`Moments`] between `a` (before) and `b` (after); writes nothing.
    Moments,
}

impl Op {
    /// Operands it takes.
    pub fn arity(self) -> usize {
        match self {
            Op::Copy | Op::Softplus | Op::Sigmoid | Op::Tanh | Op::Exp | Op::Abs | Op::Sqrt => 1,
            Op::Add | Op::Sub | Op::Mul | Op::Div | Op::Min | Op::Max | Op::Leak | Op::Moments => 2,
            Op::MulAdd | Op::SubMul => 3,
        }
    }
}

/// Where an operand is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Operand {
    /// Block number so many of the chain.
    Kept(usize),
    /// The current channel's plane of tensor so many.
    Plane(usize),
    /// The current channel's entry of table so many.
    PerChannel(usize),
    /// A number.
    Number(f32),
}

/// Where a result goes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Target {
    /// Block number so many.
    Kept(usize),
    /// The current channel's plane of tensor so many.
    Plane(usize),
}

/// One step of a chain.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Instruction {
    /// What is done.
    pub op: Op,
    /// To what; unused ones are `Number(0.0)`.
    pub operands: [Operand; 3],
    /// And where it goes.
    pub to: Target,
}

/// A chain over tensors of the same channels and pixels.
#[derive(Clone, Debug)]
pub struct Program {
    /// In order.
    pub instructions: Vec<Instruction>,
    /// Blocks kept at a time.
    pub kept: usize,
    /// Channels.
    pub channels: usize,
    /// Pixels of a plane.
    pub pixels: usize,
}

impl Program {
    fn parts(&self) -> usize {
        self.pixels.div_ceil(ITEM)
    }

    /// Floats of working space that [`Program::run`] needs with so many threads.
    pub fn scratch_floats(&self, threads: usize) -> usize {
        threads * self.thread_floats()
    }

    /// Kept blocks, and three vectors of one repeated number for each instruction.
    fn thread_floats(&self) -> usize {
        self.kept * BLOCK + self.instructions.len() * 3 * MAX_LANES
    }

    /// Partial sums that a run with [`Op::Moments`] leaves.
    pub fn partials(&self) -> usize {
        self.channels * self.parts()
    }

    /// Runs the chain over all channels. `planes[t * channels + c]` is channel `c` of tensor `t`; `tables[t]` has one number per channel.
    /// `partials` takes one [`Moments`] per work item, to be summed in order, if the chain has [`Op::Moments`].
    ///
    /// # Safety
    /// Every plane holds `pixels` floats and can be read and written up to the next multiple of 16; every table holds `channels`; `scratch`
    /// points to [`Program::scratch_floats`] for this pool. Planes that are written overlap no plane that is read later by another pixel.
    pub unsafe fn run(&self, isa: Isa, pool: &mut Pool, scratch: Shared, planes: &[Shared], tables: &[Shared], partials: &mut [Moments]) {
        let parts = self.parts();
        let measures = self.instructions.iter().any(|i| i.op == Op::Moments);
        assert!(!measures || partials.len() >= self.partials(), "room for {} partial sums", self.partials());
        let partials = SharedMoments(partials.as_mut_ptr());
        pool.run(self.channels * parts, &|thread, item| {
            let sums = isa.run(Chain {
                program: self,
                planes,
                tables,
                channel: item / parts,
                first: item % parts * ITEM,
                scratch: scratch.at(thread * self.thread_floats()),
            });
            if measures {
                // SAFETY: one entry per item, checked above.
                unsafe { *partials.at(item) = sums };
            }
        });
    }
}

#[derive(Clone, Copy)]
struct SharedMoments(*mut Moments);

// SAFETY: only an address; each work item writes its own entry.
unsafe impl Sync for SharedMoments {}

impl SharedMoments {
    fn at(&self, item: usize) -> *mut Moments {
        self.0.wrapping_add(item)
    }
}

/// One work item: a part of one channel.
struct Chain<'a> {
    program: &'a Program,
    planes: &'a [Shared],
    tables: &'a [Shared],
    channel: usize,
    first: usize,
    scratch: *mut f32,
}

/// Operand addresses and how far they advance per vector: a whole vector, or nothing for a repeated number.
#[derive(Clone, Copy)]
struct From {
    p: [*const f32; 3],
    step: [usize; 3],
}

impl Kernel for Chain<'_> {
    type Out = Moments;
    #[inline(always)]
    fn run<S: Simd>(self, s: S) -> Moments {
        let program = self.program;
        let repeated = self.scratch.wrapping_add(program.kept * BLOCK);
        for (i, instruction) in program.instructions.iter().enumerate() {
            for (j, operand) in instruction.operands.iter().enumerate() {
                let number = match *operand {
                    // SAFETY: tables hold one number per channel.
                    Operand::PerChannel(t) => unsafe { *self.tables[t].at(self.channel) },
                    Operand::Number(x) => x,
                    _ => continue,
                };
                // SAFETY: room for one repeated number per operand was reserved behind the kept blocks.
                unsafe { s.store(repeated.add((3 * i + j) * MAX_LANES), s.splat(number)) };
            }
        }
        let mut sums = Moments::default();
        let end = program.pixels.min(self.first + ITEM);
        let mut at = self.first;
        while at < end {
            let count = BLOCK.min(end - at);
            for (i, instruction) in program.instructions.iter().enumerate() {
                let mut from = From { p: [std::ptr::null(); 3], step: [S::LANES; 3] };
                for j in 0..3 {
                    from.p[j] = match instruction.operands[j] {
                        Operand::Kept(k) => self.scratch.wrapping_add(k * BLOCK),
                        Operand::Plane(t) => self.planes[t * program.channels + self.channel].at(at),
                        Operand::PerChannel(_) | Operand::Number(_) => {
                            from.step[j] = 0;
                            repeated.wrapping_add((3 * i + j) * MAX_LANES)
                        }
                    };
                }
                let to = match instruction.to {
                    Target::Kept(k) => self.scratch.wrapping_add(k * BLOCK),
                    Target::Plane(t) => self.planes[t * program.channels + self.channel].at(at),
                };
                // SAFETY: blocks hold whole vectors, planes are padded to them.
                unsafe { apply(s, instruction.op, from, to, count, &mut sums) };
            }
            at += count;
        }
        sums
    }
}

/// Calls `f` on every vector of the operands.
macro_rules! every {
    ($s:ident, $from:ident, $to:ident, $count:ident, |$($x:ident)+| $result:expr) => {{
        let mut at = 0;
        let mut p = $from.p;
        while at < $count {
            let mut j = 0;
            $(let $x = $s.load(p[j]); p[j] = p[j].wrapping_add($from.step[j]); j += 1;)+
            let _ = j;
            $s.store($to.add(at), $result);
            at += S::LANES;
        }
    }};
}

/// Applies one instruction to a block of `count` pixels.
///
/// # Safety
/// Operands and target hold `count` floats, rounded up to whole vectors.
#[inline(always)]
unsafe fn apply<S: Simd>(s: S, op: Op, from: From, to: *mut f32, count: usize, sums: &mut Moments) {
    // SAFETY: the caller's promise; `every!` reads and writes whole vectors from 0 until it has passed `count`.
    unsafe {
        match op {
            Op::Copy => every!(s, from, to, count, |a| a),
            Op::Softplus => every!(s, from, to, count, |a| vmath::softplus(s, a)),
            Op::Sigmoid => every!(s, from, to, count, |a| vmath::sigmoid(s, a)),
            Op::Tanh => every!(s, from, to, count, |a| vmath::tanh(s, a)),
            Op::Exp => every!(s, from, to, count, |a| vmath::exp(s, a)),
            Op::Abs => every!(s, from, to, count, |a| s.abs(a)),
            Op::Sqrt => every!(s, from, to, count, |a| s.sqrt(a)),
            Op::Add => every!(s, from, to, count, |a b| s.add(a, b)),
            Op::Sub => every!(s, from, to, count, |a b| s.sub(a, b)),
            Op::Mul => every!(s, from, to, count, |a b| s.mul(a, b)),
            Op::Div => every!(s, from, to, count, |a b| s.div(a, b)),
            Op::Min => every!(s, from, to, count, |a b| s.min(a, b)),
            Op::Max => every!(s, from, to, count, |a b| s.max(a, b)),
            Op::MulAdd => every!(s, from, to, count, |a b c| s.fma(a, b, c)),
            Op::SubMul => every!(s, from, to, count, |a b c| s.fnma(a, b, c)),
            Op::Leak => every!(s, from, to, count, |a b| s.where_less(a, s.splat(0.0), s.mul(a, b), a)),
            Op::Moments => *sums += moments(s, from.p[0], from.p[1], count),
        }
    }
}

/// The moments of two short runs: f32 lanes, f64 beyond.
///
/// # Safety
/// Both hold `count` floats.
#[inline(always)]
unsafe fn moments<S: Simd>(s: S, before: *const f32, after: *const f32, count: usize) -> Moments {
    let zero = s.splat(0.0);
    let mut lanes = [zero; 6];
    let mut at = 0;
    while at + S::LANES <= count {
        // SAFETY: whole vectors below `count`.
        let (a, b) = unsafe { (s.load(before.add(at)), s.load(after.add(at))) };
        let d = s.sub(b, a);
        lanes = [
            s.fma(d, d, lanes[0]),
            s.add(s.abs(d), lanes[1]),
            s.fma(b, b, lanes[2]),
            s.add(s.abs(b), lanes[3]),
            s.fma(a, a, lanes[4]),
            s.fma(a, b, lanes[5]),
        ];
        at += S::LANES;
    }
    // SAFETY: what is left below `count`.
    let rest = unsafe {
        Moments::between(std::slice::from_raw_parts(before.add(at), count - at), std::slice::from_raw_parts(after.add(at), count - at))
    };
    let mut sums = Moments {
        diff_sq: f64::from(s.sum(lanes[0])),
        diff_abs: f64::from(s.sum(lanes[1])),
        after_sq: f64::from(s.sum(lanes[2])),
        after_abs: f64::from(s.sum(lanes[3])),
        before_sq: f64::from(s.sum(lanes[4])),
        dot: f64::from(s.sum(lanes[5])),
    };
    sums += rest;
    sums
}

/// Instance norm's statistics of one plane as the `(scale, shift)` that apply it: `(x - mean) / sqrt(var + eps) * gain + bias`.
/// Two passes, so that a large mean costs no precision.
pub struct Normal<'a> {
    /// The plane.
    pub plane: &'a [f32],
    /// Added to the variance.
    pub epsilon: f32,
    /// The learnt factor.
    pub gain: f32,
    /// The learnt offset.
    pub bias: f32,
}

impl Kernel for Normal<'_> {
    type Out = (f32, f32);
    #[inline(always)]
    fn run<S: Simd>(self, s: S) -> (f32, f32) {
        let count = self.plane.len() as f64;
        let mean = total::<S, false>(s, self.plane, 0.0) / count;
        let variance = total::<S, true>(s, self.plane, mean as f32) / count;
        let scale = f64::from(self.gain) / (variance + f64::from(self.epsilon)).sqrt();
        (scale as f32, (f64::from(self.bias) - mean * scale) as f32)
    }
}

/// The sum of `x`, or of `(x - mean)^2`: short f32 runs in several lanes, f64 beyond.
#[inline(always)]
fn total<S: Simd, const SQUARED: bool>(s: S, plane: &[f32], mean: f32) -> f64 {
    const RUN: usize = 4096;
    let middle = s.splat(mean);
    let mut sum = 0.0f64;
    for run in plane.chunks(RUN) {
        let mut lanes = [s.splat(0.0); 4];
        let mut at = 0;
        while at + 4 * S::LANES <= run.len() {
            for (k, lane) in lanes.iter_mut().enumerate() {
                // SAFETY: whole vectors inside the run.
                let x = s.sub(unsafe { s.load(run.as_ptr().add(at + k * S::LANES)) }, middle);
                *lane = if SQUARED { s.fma(x, x, *lane) } else { s.add(x, *lane) };
            }
            at += 4 * S::LANES;
        }
        sum += f64::from(s.sum(s.add(s.add(lanes[0], lanes[1]), s.add(lanes[2], lanes[3]))));
        for &x in &run[at..] {
            let x = x - mean;
            sum += f64::from(if SQUARED { x * x } else { x });
        }
    }
    sum
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::planes::plane_stride;
    use super::*;

    fn scalar(op: Op, [a, b, c]: [f64; 3]) -> f64 {
        match op {
            Op::Copy | Op::Moments => a,
            Op::Softplus => a.max(0.0) + (-a.abs()).exp().ln_1p(),
            Op::Sigmoid => 1.0 / (1.0 + (-a).exp()),
            Op::Tanh => a.tanh(),
            Op::Exp => a.exp(),
            Op::Abs => a.abs(),
            Op::Sqrt => a.sqrt(),
            Op::Add => a + b,
            Op::Sub => a - b,
            Op::Mul => a * b,
            Op::Div => a / b,
            Op::Min => a.min(b),
            Op::Max => a.max(b),
            Op::MulAdd => a * b + c,
            Op::SubMul => c - a * b,
            Op::Leak => {
                if a < 0.0 {
                    a * b
                } else {
                    a
                }
            }
        }
    }

    const ALL: [Op; 16] = [
        Op::Copy,
        Op::Softplus,
        Op::Sigmoid,
        Op::Tanh,
        Op::Exp,
        Op::Abs,
        Op::Sqrt,
        Op::Add,
        Op::Sub,
        Op::Mul,
        Op::Div,
        Op::Min,
        Op::Max,
        Op::MulAdd,
        Op::SubMul,
        Op::Leak,
    ];

    fn value(i: usize) -> f32 {
        ((i * 7919 + 13) % 2003) as f32 / 500.0 - 2.001
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn a_chain_is_its_operators_one_after_the_other(channels in 1usize..4, pixels in 1usize..9000, op in 0usize..16, threads in 1usize..4) {
            // abs(x) + table, then the operator, then a fused tail that reads all kinds of operands; the distance at the end.
            let (op, none) = (ALL[op], Operand::Number(0.0));
            let program = Program {
                instructions: vec![
                    Instruction { op: Op::Abs, operands: [Operand::Plane(0), none, none], to: Target::Kept(0) },
                    Instruction { op: Op::Add, operands: [Operand::Kept(0), Operand::PerChannel(0), none], to: Target::Kept(0) },
                    Instruction { op, operands: [Operand::Kept(0), Operand::Plane(1), Operand::Number(0.5)], to: Target::Kept(1) },
                    Instruction { op: Op::MulAdd, operands: [Operand::Kept(1), Operand::Number(0.25), Operand::Plane(0)], to: Target::Plane(2) },
                    Instruction { op: Op::Moments, operands: [Operand::Plane(1), Operand::Plane(2), none], to: Target::Kept(0) },
                ],
                kept: 2,
                channels,
                pixels,
            };
            let stride = plane_stride(pixels);
            let mut memory = vec![0.0f32; 3 * channels * plane_stride(pixels)];
            for (i, x) in memory[..2 * channels * stride].iter_mut().enumerate() {
                *x = value(i);
            }
            let planes: Vec<_> = (0..3 * channels).map(|p| Shared(memory[p * stride..].as_mut_ptr())).collect();
            let mut table: Vec<f32> = (0..channels).map(|c| 0.1 + c as f32).collect();
            for isa in Isa::available() {
                let mut scratch = vec![0.0; program.scratch_floats(threads)];
                let mut partials = vec![Moments::default(); program.partials()];
                // SAFETY: everything is as large as asked for.
                unsafe {
                    program.run(isa, &mut Pool::new(threads), Shared(scratch.as_mut_ptr()), &planes, &[Shared(table.as_mut_ptr())], &mut partials);
                }
                let mut want = Moments::default();
                for c in 0..channels {
                    for i in 0..pixels {
                        let (x, y) = (value(c * stride + i), value((channels + c) * stride + i));
                        let t = f64::from(x.abs() + table[c]);
                        let exact = scalar(op, [t, f64::from(y), 0.5]) * 0.25 + f64::from(x);
                        let got = memory[(2 * channels + c) * stride + i];
                        prop_assert!((f64::from(got) - exact).abs() < 2e-6 * (exact.abs() + 4.0), "{isa:?} {op:?}: {got}, not {exact}");
                        want += Moments::between(&[y], &[got]);
                    }
                }
                let mut sums = Moments::default();
                partials.iter().for_each(|part| sums += *part);
                for (a, b) in [(sums.diff_sq, want.diff_sq), (sums.diff_abs, want.diff_abs), (sums.after_sq, want.after_sq),
                    (sums.after_abs, want.after_abs), (sums.before_sq, want.before_sq)] {
                    prop_assert!((a - b).abs() <= 1e-5 * b, "{isa:?} {op:?}: {a}, not {b}");
                }
                prop_assert!((sums.dot - want.dot).abs() <= 1e-5 * (want.after_sq * want.before_sq).sqrt(), "{isa:?}");
            }
        }

        #[test]
        fn statistics_survive_a_large_mean(pixels in 1usize..20000, mean in -500f32..500.0) {
            let plane: Vec<f32> = (0..pixels).map(|i| mean + value(i)).collect();
            let n = pixels as f64;
            let exact_mean = plane.iter().map(|&x| f64::from(x)).sum::<f64>() / n;
            let variance = plane.iter().map(|&x| (f64::from(x) - exact_mean).powi(2)).sum::<f64>() / n;
            let scale = 0.7 / (variance + 1e-3).sqrt();
            for isa in Isa::available() {
                let (got, shift) = isa.run(Normal { plane: &plane, epsilon: 1e-3, gain: 0.7, bias: 0.2 });
                prop_assert!((f64::from(got) / scale - 1.0).abs() < 1e-4, "{isa:?}: {got}, not {scale}");
                let at_mean = f64::from(got) * exact_mean + f64::from(shift);
                prop_assert!((at_mean - 0.2).abs() < 1e-5 + 2e-7 * (scale * exact_mean).abs(), "{isa:?}: {at_mean}");
            }
        }
    }
}
