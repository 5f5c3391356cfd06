//! What a convolution can do to its outputs while it has them in registers: add other planes, and keep them between two numbers.
//!
//! A chain that does no more than that to one convolution's outputs, which nothing else reads, is taken into the convolution. That then
//! stands where the chain stood, so that what is added is there.
//!
//! A window over each channel of what a 1x1 convolution makes is then taken together with it.

use crate::engine::cpu::conv_expanded::ConvExpanded;
use crate::engine::cpu::machine::{Operation, Plane, View};
use crate::engine::cpu::pointwise::{Instruction, Operand, Program, Target, Work};
use crate::engine::graph::Op;

/// What a chain does to the outputs of a convolution.
#[derive(Debug, PartialEq)]
struct Finish {
    /// The tensor that is bounded, by its number in the chain.
    of: usize,
    added: Option<usize>,
    bounds: [f32; 2],
    to: usize,
}

/// Takes chains into convolutions, where that changes nothing but the time it takes.
pub(super) fn fuse(mut operations: Vec<Operation>) -> Vec<Operation> {
    let mut at = 0;
    while at < operations.len() {
        if let Some((conv, finish)) = found(&operations, at) {
            let Operation::Pointwise { program, planes, .. } = &operations[at] else { unreachable!("a chain was found there") };
            let tensor = |number: usize| -> View { planes[number * program.channels..][..program.channels].to_vec() };
            let (added, to) = (finish.added.map(tensor), tensor(finish.to));
            let mut fused = operations.remove(conv);
            if take(&mut fused, added, finish.bounds, &to) {
                operations[at - 1] = fused;
                continue;
            }
            operations.insert(conv, fused);
        }
        at += 1;
    }
    expand(operations)
}

/// Takes 1x1 convolutions together with the windows over what they make.
fn expand(mut operations: Vec<Operation>) -> Vec<Operation> {
    let mut at = 0;
    while at < operations.len() {
        if let Operation::Depthwise { input: of, .. } = &operations[at]
            && let Some(conv) = maker(&operations, at, of)
            && matches!(&operations[conv], Operation::Direct { conv, .. } if conv.geometry().plain() && !conv.adds())
        {
            let (Operation::Direct { conv, input, .. }, Operation::Depthwise { conv: window, output, .. }) =
                (operations.remove(conv), operations.remove(at - 1))
            else {
                unreachable!("both were looked at")
            };
            at -= 1;
            operations.insert(at, Operation::Expanded { conv: ConvExpanded::new(conv, window), input, output });
        }
        at += 1;
    }
    operations
}

/// The convolution whose outputs `of` are, if nothing but the operation at `at` reads them, and it can stand where that stands.
fn maker(operations: &[Operation], at: usize, of: &[Plane]) -> Option<usize> {
    let conv = operations[..at].iter().rposition(|operation| output(operation).is_some_and(|output| output == of))?;
    let buffer = of[0].buffer;
    let elsewhere =
        |(number, operation): (usize, &Operation)| number != conv && number != at && operation.planes().any(|plane| plane.buffer == buffer);
    let input: Vec<&Plane> = operations[conv].planes().filter(|plane| plane.buffer != buffer).collect();
    let lost = |operation: &Operation| operation.writes().any(|plane| input.contains(&plane));
    let overwritten = operations[at].writes().any(|plane| input.iter().any(|input| input.buffer == plane.buffer));
    let alone = !operations.iter().enumerate().any(elsewhere) && !operations[conv + 1..at].iter().any(lost);
    (alone && !overwritten).then_some(conv)
}

/// The convolution that the chain at `at` belongs to, and what it does there.
fn found(operations: &[Operation], at: usize) -> Option<(usize, Finish)> {
    let Operation::Pointwise { program, planes, measures: false, .. } = &operations[at] else { return None };
    let tensor = |number: usize| &planes[number * program.channels..][..program.channels];
    finishes(program).into_iter().find_map(|finish| {
        let of = tensor(finish.of);
        let conv = maker(operations, at, of)?;
        let to = tensor(finish.to)[0].buffer;
        let untouched = !operations[conv + 1..at].iter().any(|operation| operation.planes().any(|plane| plane.buffer == to));
        let added_to =
            finish.added.is_some_and(|added| tensor(added).iter().any(|plane| plane.buffer == to) && tensor(added) != tensor(finish.to));
        (untouched && !added_to && of[0].buffer != to).then_some((conv, finish))
    })
}

fn output(operation: &Operation) -> Option<&View> {
    match operation {
        Operation::Direct { output, .. } | Operation::Depthwise { output, .. } | Operation::Winograd { output, .. } => Some(output),
        _ => None,
    }
}

/// Whether the convolution does it; if not, it is as it was.
fn take(operation: &mut Operation, added: Option<View>, bounds: [f32; 2], to: &View) -> bool {
    match operation {
        Operation::Direct { conv, input, output } => {
            if let Some(added) = added {
                if conv.bounded() || !conv.add() {
                    return false;
                }
                input.extend(added);
            }
            conv.bound(bounds);
            output.clone_from(to);
        }
        Operation::Depthwise { conv, output, .. } if added.is_none() => {
            conv.bound(bounds);
            output.clone_from(to);
        }
        Operation::Winograd { conv, output, .. } if added.is_none() => {
            conv.bound(bounds);
            output.clone_from(to);
        }
        _ => return false,
    }
    true
}

/// What a chain does, if it is an addition and bounds in this order, or one of them: once for each tensor that may be the convolution's.
fn finishes(program: &Program) -> Vec<Finish> {
    let (mut instructions, mut bounds) = (&program.instructions[..], [f32::NEG_INFINITY, f32::INFINITY]);
    let mut added = None;
    if let [Instruction { work: Work::Apply(Op::Add), operands: [Operand::Plane(a), Operand::Plane(b), _], to }, rest @ ..] = instructions {
        (added, instructions) = (Some(([*a, *b], *to)), rest);
    }
    let mut last = added.map(|(_, to)| to);
    let mut first = None;
    for instruction in instructions {
        let Instruction { work, operands: [from, Operand::Number(bound), _], to } = instruction else { return Vec::new() };
        let follows = match (last, from) {
            (None, Operand::Plane(of)) => {
                first = Some(*of);
                true
            }
            (Some(Target::Kept(a)), Operand::Kept(b)) => a == *b,
            _ => false,
        };
        match work {
            Work::Apply(Op::Max) if follows && bounds == [f32::NEG_INFINITY, f32::INFINITY] => bounds[0] = *bound,
            Work::Apply(Op::Min) if follows && bounds[1] == f32::INFINITY && *bound >= bounds[0] => bounds[1] = *bound,
            _ => return Vec::new(),
        }
        last = Some(*to);
    }
    let Some(Target::Plane(to)) = last else { return Vec::new() };
    let finish = |of, added| Finish { of, added, bounds, to };
    match (added, first) {
        (Some(([a, b], _)), _) if a != b => vec![finish(b, Some(a)), finish(a, Some(b))],
        (None, Some(of)) => vec![finish(of, None)],
        _ => Vec::new(),
    }
}
