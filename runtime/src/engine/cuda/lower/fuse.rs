//! Kernels put together: a convolution measures what it makes, or goes on with the chain that reads it.

use super::super::opcode::Opcode;
use super::super::program::{Conv, MOST_SUMS, Method, Op, Operand, Pointwise, Program, TensorId};
use super::Target;

/// Puts together what can be in every phase of `program`, alike whether by tiles or not, for both have to give the same bits. Transforms
/// measure in kernels that are always there; the rest needs kernels compiled for the program.
pub(super) fn fuse(program: &mut Program, target: &Target) {
    for phase in 0..4 {
        let mut ops = std::mem::take(of(program, phase));
        measure(&mut ops, target);
        if target.compiled {
            chain(program, &mut ops);
        }
        *of(program, phase) = ops;
    }
}

fn of(program: &mut Program, phase: usize) -> &mut Vec<Op> {
    [&mut program.encode, &mut program.accept, &mut program.step, &mut program.readout].into_iter().nth(phase).expect("there are four")
}

/// Takes statistics where what they are of is made.
fn measure(ops: &mut Vec<Op>, target: &Target) {
    let mut at = 0;
    while at < ops.len() {
        let (before, rest) = ops.split_at_mut(at);
        if let Op::Stats { input, mean, variance } = rest[0]
            && let Some(conv) = before.iter_mut().rev().find_map(|op| match op {
                Op::Conv(conv) if conv.output == input => Some(conv),
                _ => None,
            })
            && measures(conv.method, target)
        {
            conv.measures = Some((mean, variance));
            ops.remove(at);
        } else {
            at += 1;
        }
    }
}

fn measures(method: Method, target: &Target) -> bool {
    match method {
        Method::Fft(_) => true,
        Method::Mma(_) => target.compiled && target.k_step == 16,
        Method::Scalar | Method::Direct => false,
    }
}

/// Moves convolutions to the chains that alone read them.
fn chain(program: &mut Program, ops: &mut Vec<Op>) {
    let mut at = 0;
    while at < ops.len() {
        let Some(to) = chained_to(program, ops, at) else {
            at += 1;
            continue;
        };
        let (Op::Conv(mut conv), Op::Pointwise(mut chain)) = (ops[at].clone(), ops[to].clone()) else { unreachable!("as just seen") };
        for step in chain.body.iter_mut().filter(|step| step.operand == Operand::Tensor(conv.output)) {
            (step.op, step.operand) = (Opcode::LoadMade, Operand::Made);
        }
        // Nothing reads it any more: it needs no memory.
        let tensor = &mut program.tensors[conv.output];
        (tensor.full, tensor.half) = (false, false);
        conv.behind = Some(chain);
        ops[to] = Op::Conv(conv);
        ops.remove(at);
    }
}

/// The chain that the convolution at `at` can be computed with.
fn chained_to(program: &Program, ops: &[Op], at: usize) -> Option<usize> {
    let Op::Conv(conv) = &ops[at] else { return None };
    if matches!(conv.method, Method::Fft(_)) || conv.behind.is_some() || conv.measures.is_some() || is_shared(program, conv.output) {
        return None;
    }
    let mut readers = (at + 1..ops.len()).filter(|&later| ops[later].reads(conv.output));
    let (to, None) = (readers.next()?, readers.next()) else { return None };
    let Op::Pointwise(chain) = &ops[to] else { return None };
    // It is computed later: what it reads must still be there then, and while other blocks of the kernel write.
    let stays = !ops[at + 1..=to].iter().any(|op| op.writes(conv.input));
    let few = conv.method.blocks(chain.domain).iter().product::<usize>() <= MOST_SUMS;
    (stays && few && takes(program, conv, chain)).then_some(to)
}

/// Whether every reading of what `conv` makes is of the element that is computed.
fn takes(program: &Program, conv: &Conv, chain: &Pointwise) -> bool {
    let of = |operand: Operand| operand.tensor() == Some(conv.output);
    chain.domain == program.tensors[conv.output].shape
        && !chain.prologue.iter().any(|step| of(step.operand))
        && chain.body.iter().filter(|step| of(step.operand)).all(|step| step.operand == Operand::Tensor(conv.output) && !step.op.is_store())
}

/// Whether more than one phase, or the host, reads it.
fn is_shared(program: &Program, tensor: TensorId) -> bool {
    let ends = [&program.imports, &program.states, &program.answers];
    ends.iter().any(|ends| ends.contains(&tensor))
        || [&program.encode, &program.accept, &program.step, &program.readout].iter().any(|ops| ops.iter().any(|op| op.reads(tensor)))
}
