//! Writes expressions into memory: chains of instructions, as long as they come.

use std::collections::HashMap;

use super::{Id, Lowering, Source, whole};
use crate::engine::cpu::machine::{Buffer, Operation, Plane, Table, View};
use crate::engine::cpu::pointwise::{Instruction, Operand, Program, Target, Work};
use crate::engine::graph::{Op, Size};

impl Lowering<'_> {
    /// Puts an expression's values into memory (a given buffer, if any) and answers where they are.
    pub(super) fn evaluate(&mut self, id: Id, size: Size, into: Option<Buffer>) -> View {
        if let Source::View(view) = &self.sources[id] {
            let view = view.clone();
            let Some(buffer) = into else { return view };
            let to = whole(buffer, size.channels);
            if view != to {
                self.chain(size, std::slice::from_ref(&view), |chain, _| {
                    let from = chain.plane(&view);
                    let plane = chain.plane(&to);
                    chain.push(Work::Copy, &[from], Target::Plane(plane_number(plane)));
                });
            }
            return to;
        }
        let buffer = into.unwrap_or_else(|| self.layout.buffer(size.channels, size.pixels()));
        let to = whole(buffer, size.channels);
        let reads: Vec<View> = uses(&self.sources, id).keys().filter_map(|&id| self.known(id)).collect();
        self.chain(size, &reads, |chain, sources| {
            let plane = chain.plane(&to);
            Writer { uses: uses(sources, id), sources, chain, done: HashMap::new() }.write(id, Target::Plane(plane_number(plane)));
        });
        self.sources[id] = Source::View(to.clone());
        to
    }

    /// Measures how far a state moved, in the pass that wrote it.
    pub(super) fn measure(&mut self, before: Buffer, after: Buffer, size: Size) {
        let views = [before, after].map(|buffer| whole(buffer, size.channels));
        self.chain(size, &views, |chain, _| {
            let operands = [&views[0], &views[1]].map(|view| chain.plane(view));
            let block = chain.keep();
            chain.push(Work::Moments, &operands, Target::Kept(block));
            chain.release(Operand::Kept(block));
            chain.measures = true;
        });
    }

    fn known(&self, id: Id) -> Option<View> {
        match &self.sources[id] {
            Source::View(view) => Some(view.clone()),
            _ => None,
        }
    }

    /// Adds instructions to the last operation if that is a chain of the same size, or else to a new one. A chain goes through its channels
    /// in no order: one that reads (`reads`) another channel than the last operation writes at the same time has to wait for its end.
    fn chain(&mut self, size: Size, reads: &[View], write: impl FnOnce(&mut Chain, &[Source])) {
        let (channels, pixels) = (size.channels, size.pixels());
        let mut chain = match self.operations.pop() {
            Some(Operation::Pointwise { program, planes, tables, measures })
                if (program.channels, program.pixels) == (channels, pixels) && !crosses(&program, &planes, reads) =>
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

/// Whether a tensor that is read holds channels that the chain writes, elsewhere than in the same place.
fn crosses(program: &Program, planes: &View, reads: &[View]) -> bool {
    let tensors: Vec<&[Plane]> = planes.chunks_exact(program.channels).collect();
    program.instructions.iter().any(|instruction| match instruction.to {
        Target::Plane(at) => reads.iter().any(|read| read != tensors[at] && read.iter().any(|plane| tensors[at].contains(plane))),
        Target::Kept(_) => false,
    })
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

    fn push(&mut self, work: Work, operands: &[Operand], to: Target) {
        let mut all = [Operand::Number(0.0); 3];
        all[..operands.len()].copy_from_slice(operands);
        self.program.instructions.push(Instruction { work, operands: all, to });
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
            self.chain.push(Work::Copy, &[from], to);
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
        self.chain.push(Work::Apply(op), &from, to);
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
