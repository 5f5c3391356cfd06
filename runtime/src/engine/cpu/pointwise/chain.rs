//! Evaluates one work item of a chain.

use super::{BLOCK, ITEM, Operand, Program, Target, Work};
use crate::engine::cpu::channels_last::{Pixel, Segment};
use crate::engine::cpu::planes::Shared;
use crate::engine::cpu::simd::{Kernel, MAX_LANES, Simd};
use crate::engine::cpu::vmath;
use crate::engine::graph::Op;
use crate::network::halting::Moments;

/// One work item: a part of one channel.
pub(super) struct Chain<'a> {
    pub program: &'a Program,
    pub planes: &'a [Shared],
    pub tables: &'a [Shared],
    pub channel: usize,
    pub first: usize,
    pub scratch: *mut f32,
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
        // SAFETY: tables hold one number per channel; room for one repeated number per operand was reserved behind the kept blocks.
        unsafe { repeat(s, program, self.tables, self.channel, repeated) };
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
                unsafe { apply::<S, false>(s, instruction.work, from, to, count, &mut sums) };
            }
            at += count;
        }
        sums
    }
}

/// A chain over some runs of one channel: as many of them at a time as fill a block.
pub(super) struct Runs<'a> {
    pub program: &'a Program,
    pub planes: &'a [Shared],
    pub tables: &'a [Shared],
    pub channel: usize,
    pub runs: &'a [(u32, u32)],
    pub scratch: *mut f32,
}

/// Runs that are done at a time, at most.
const TOGETHER: usize = BLOCK / MAX_LANES;

impl Kernel for Runs<'_> {
    type Out = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let program = self.program;
        let repeated = self.scratch.wrapping_add(program.kept * BLOCK);
        // SAFETY: as for a chain.
        unsafe { repeat(s, program, self.tables, self.channel, repeated) };
        let mut unused = Moments::default();
        let (mut number, mut done) = (0, 0);
        while number < self.runs.len() {
            // Where each run, or part of one, starts in its plane and in the kept blocks, and how many pixels it has.
            let mut together = [(0usize, 0usize, 0usize); TOGETHER];
            let (mut parts, mut filled) = (0, 0);
            while number < self.runs.len() && parts < TOGETHER && filled < BLOCK {
                let (first, count) = (self.runs[number].0 as usize, self.runs[number].1 as usize);
                let part = (count - done).min(BLOCK - filled);
                together[parts] = (first + done, filled, part);
                parts += 1;
                filled += part.next_multiple_of(MAX_LANES);
                done += part;
                if done == count {
                    (number, done) = (number + 1, 0);
                }
            }
            for (i, instruction) in program.instructions.iter().enumerate() {
                for &(at, kept, count) in &together[..parts] {
                    let mut from = From { p: [std::ptr::null(); 3], step: [S::LANES; 3] };
                    for j in 0..3 {
                        from.p[j] = match instruction.operands[j] {
                            Operand::Kept(k) => self.scratch.wrapping_add(k * BLOCK + kept),
                            Operand::Plane(t) => self.planes[t * program.channels + self.channel].at(at),
                            Operand::PerChannel(_) | Operand::Number(_) => {
                                from.step[j] = 0;
                                repeated.wrapping_add((3 * i + j) * MAX_LANES)
                            }
                        };
                    }
                    let to = match instruction.to {
                        Target::Kept(k) => self.scratch.wrapping_add(k * BLOCK + kept),
                        Target::Plane(t) => self.planes[t * program.channels + self.channel].at(at),
                    };
                    // SAFETY: blocks hold whole vectors; a vector can be read from any pixel of a plane.
                    unsafe { apply::<S, true>(s, instruction.work, from, to, count, &mut unused) };
                }
            }
        }
    }
}

/// A chain over some pixels whose channels lie together: vectors run over channels.
pub struct Rows<'a> {
    /// The chain.
    pub program: &'a Program,
    /// For each tensor, whether it is one channel that goes with all.
    pub single: &'a [bool],
    /// The tensors, channels-last.
    pub tensors: &'a [Segment],
    /// One number per channel each.
    pub tables: &'a [Shared],
    /// Pixels that are done.
    pub pixels: &'a [Pixel],
    /// Columns of their planes.
    pub wide: usize,
    /// See [`Rows::scratch_floats`].
    pub scratch: *mut f32,
}

/// Pixels that a chain does together.
const PIXELS: usize = 32;

impl Rows<'_> {
    /// Floats of working space of one thread, for pixels of `pitch` floats: kept blocks of all pixels, and each operand that is the same for all.
    pub fn scratch_floats(program: &Program, pitch: usize) -> usize {
        (program.kept * PIXELS + 3 * program.instructions.len()) * pitch
    }
}

impl Kernel for Rows<'_> {
    type Out = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let (program, channels) = (self.program, self.program.channels);
        let pitch = channels.next_multiple_of(MAX_LANES);
        let same = self.scratch.wrapping_add(program.kept * PIXELS * pitch);
        let kept = |k: usize, i: usize| self.scratch.wrapping_add((k * PIXELS + i) * pitch);
        for (i, instruction) in program.instructions.iter().enumerate() {
            for (j, operand) in instruction.operands.iter().enumerate() {
                let to = same.wrapping_add((3 * i + j) * pitch);
                // SAFETY: tables hold one number per channel; room for one pixel per operand was reserved.
                unsafe {
                    match *operand {
                        Operand::PerChannel(t) => std::ptr::copy_nonoverlapping(self.tables[t].0, to, channels),
                        Operand::Number(x) => s.store(to, s.splat(x)),
                        _ => {}
                    }
                }
            }
        }
        let mut unused = Moments::default();
        for pixels in self.pixels.chunks(PIXELS) {
            for (i, instruction) in program.instructions.iter().enumerate() {
                for (number, pixel) in pixels.iter().enumerate() {
                    let at = pixel.flat(self.wide);
                    let mut from = From { p: [std::ptr::null(); 3], step: [S::LANES; 3] };
                    let mut repeated = [[0.0f32; MAX_LANES]; 3];
                    for (j, repeated) in repeated.iter_mut().enumerate() {
                        from.p[j] = match instruction.operands[j] {
                            Operand::Kept(k) => kept(k, number).cast_const(),
                            Operand::Plane(t) if self.single[t] => {
                                from.step[j] = 0;
                                // SAFETY: a pixel of the tensor; the array is as long as the widest vector.
                                unsafe { s.store(repeated.as_mut_ptr(), s.splat(*self.tensors[t].at(at))) };
                                repeated.as_ptr()
                            }
                            Operand::Plane(t) => self.tensors[t].at(at).cast_const(),
                            Operand::PerChannel(_) => same.wrapping_add((3 * i + j) * pitch).cast_const(),
                            Operand::Number(_) => {
                                from.step[j] = 0;
                                same.wrapping_add((3 * i + j) * pitch).cast_const()
                            }
                        };
                    }
                    let to = match instruction.to {
                        Target::Kept(k) => kept(k, number),
                        Target::Plane(t) => self.tensors[t].at(at),
                    };
                    // SAFETY: kept blocks hold whole vectors; a vector can be read from any channel of a tensor, and no more is written than it has.
                    unsafe { apply::<S, true>(s, instruction.work, from, to, channels, &mut unused) };
                }
            }
        }
    }
}

/// Writes the numbers that an instruction takes for a whole channel as vectors of one repeated number.
///
/// # Safety
/// Tables hold one number per channel, `repeated` has three vectors for each instruction.
#[inline(always)]
unsafe fn repeat<S: Simd>(s: S, program: &Program, tables: &[Shared], channel: usize, repeated: *mut f32) {
    for (i, instruction) in program.instructions.iter().enumerate() {
        for (j, operand) in instruction.operands.iter().enumerate() {
            let number = match *operand {
                // SAFETY: the caller's promise.
                Operand::PerChannel(t) => unsafe { *tables[t].at(channel) },
                Operand::Number(x) => x,
                _ => continue,
            };
            // SAFETY: the caller's promise.
            unsafe { s.store(repeated.add((3 * i + j) * MAX_LANES), s.splat(number)) };
        }
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
            if EXACT && at + S::LANES > $count {
                $s.store_first($to.add(at), $result, $count - at);
            } else {
                $s.store($to.add(at), $result);
            }
            at += S::LANES;
        }
    }};
}

/// Applies one instruction to a block of `count` pixels.
///
/// # Safety
/// Operands hold `count` floats, rounded up to whole vectors; so does the target, unless it is written exactly.
#[inline(always)]
unsafe fn apply<S: Simd, const EXACT: bool>(s: S, work: Work, from: From, to: *mut f32, count: usize, sums: &mut Moments) {
    // SAFETY: the caller's promise; `every!` reads and writes whole vectors from 0 until it has passed `count`.
    unsafe {
        match work {
            Work::Copy => every!(s, from, to, count, |a| a),
            Work::Moments => *sums += moments(s, from.p[0], from.p[1], count),
            Work::Apply(op) => match op {
                Op::Softplus => every!(s, from, to, count, |a| vmath::softplus(s, a)),
                Op::Sigmoid => every!(s, from, to, count, |a| vmath::sigmoid(s, a)),
                Op::Tanh => every!(s, from, to, count, |a| vmath::tanh(s, a)),
                Op::Exp => every!(s, from, to, count, |a| vmath::exp(s, a)),
                Op::Log => every!(s, from, to, count, |a| vmath::log(s, a)),
                Op::Erf => every!(s, from, to, count, |a| vmath::erf(s, a)),
                Op::Abs => every!(s, from, to, count, |a| s.abs(a)),
                Op::Sqrt => every!(s, from, to, count, |a| s.sqrt(a)),
                Op::Round => every!(s, from, to, count, |a| vmath::round(s, a)),
                Op::Add => every!(s, from, to, count, |a b| s.add(a, b)),
                Op::Sub => every!(s, from, to, count, |a b| s.sub(a, b)),
                Op::Mul => every!(s, from, to, count, |a b| s.mul(a, b)),
                Op::Div => every!(s, from, to, count, |a b| s.div(a, b)),
                Op::Min => every!(s, from, to, count, |a b| s.min(a, b)),
                Op::Max => every!(s, from, to, count, |a b| s.max(a, b)),
                Op::Pow => every!(s, from, to, count, |a b| vmath::pow(s, a, b)),
                Op::MulAdd => every!(s, from, to, count, |a b c| s.fma(a, b, c)),
                Op::SubMul => every!(s, from, to, count, |a b c| s.fnma(a, b, c)),
                Op::Leak => every!(s, from, to, count, |a b| s.where_less(a, s.splat(0.0), s.mul(a, b), a)),
                Op::Less => every!(s, from, to, count, |a b| s.where_less(a, b, s.splat(1.0), s.splat(0.0))),
                Op::Select => every!(s, from, to, count, |a b c| s.where_less(s.splat(0.0), a, b, c)),
            },
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
