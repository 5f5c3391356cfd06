//! The masks of a program: one for what each kernel makes, unless another says the same.

use std::collections::HashMap;

use super::carry::{Carry, Reached};
use crate::engine::cuda::abi::SOURCES;
use crate::engine::cuda::program::{Op, Program, TensorId};

/// Index into [`Masks::sizes`].
pub type MaskId = usize;

/// When a mask counts among those that another is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// Always.
    Always,
    /// In a frame's first step: later ones have seen it.
    FirstStep,
    /// In frames that were stepped.
    Stepped,
}

/// A mask made of others.
#[derive(Clone, Debug)]
pub struct Spread {
    /// What it is made of, at most [`SOURCES`].
    pub sources: Vec<(MaskId, When, Carry)>,
    /// The mask.
    pub to: MaskId,
}

/// What one kernel has to do with masks.
#[derive(Clone, Debug)]
pub struct Planned {
    /// Masks to be made before it.
    pub before: Vec<Spread>,
    /// What it makes again.
    pub dirty: MaskId,
    /// Of a gate: what it lets through.
    pub moved: Option<MaskId>,
    /// Of a state's gate: what was handed on in a frame.
    pub unread: Option<MaskId>,
    /// See [`Reached::work`].
    pub work: f64,
}

/// All masks of a program.
#[derive(Clone, Debug, Default)]
pub struct Masks {
    /// Rows and columns of each.
    pub sizes: Vec<[usize; 2]>,
    /// The input's.
    pub frame: MaskId,
    /// Of each kernel of the encoder.
    pub encode: Vec<Planned>,
    /// Of each of a step.
    pub step: Vec<Planned>,
    /// Of each of the readout.
    pub readout: Vec<Planned>,
    /// Of each answer, as if it were copied.
    pub answers: Vec<Planned>,
}

struct Planner<'a> {
    program: &'a Program,
    tight: bool,
    sizes: Vec<[usize; 2]>,
    /// The masks of a tensor's changes.
    known: HashMap<TensorId, Vec<(MaskId, When)>>,
    /// Masks that are full where everything counts as changed: these may stand for what is made of them alone.
    whole: Vec<bool>,
    /// Masks that each holds all pixels of.
    holds: Vec<Vec<MaskId>>,
}

impl Masks {
    /// Of a program that was lowered with gates. None where a kernel measures all of its input.
    pub fn of(program: &Program, tight: bool) -> Option<Masks> {
        let mut planner = Planner { program, tight, sizes: Vec::new(), known: HashMap::new(), whole: Vec::new(), holds: Vec::new() };
        let shape = program.tensors[program.frame].shape;
        let frame = planner.mask([shape.h, shape.w], true);
        planner.known.insert(program.frame, vec![(frame, When::Always)]);
        let encode = planner.phase(&program.encode)?;
        let handed: Vec<(TensorId, MaskId)> = gates(&program.encode, &encode).collect();
        // A state's mask is what the step before left, so it has to be there before the step is planned.
        for &(tensor, mask) in &handed {
            planner.known.insert(tensor, vec![(mask, When::FirstStep)]);
        }
        let states: Vec<(TensorId, MaskId, MaskId)> = program
            .states
            .iter()
            .map(|&state| {
                let shape = program.tensors[state].shape;
                let [moved, unread] = [(); 2].map(|()| planner.mask([shape.h, shape.w], false));
                planner.known.insert(state, vec![(moved, When::Always)]);
                (state, moved, unread)
            })
            .collect();
        let step = planner.step(&program.step, &states)?;
        for &(tensor, mask) in &handed {
            planner.known.insert(tensor, vec![(mask, When::Always)]);
        }
        for &(state, _, unread) in &states {
            planner.known.insert(state, vec![(unread, When::Stepped)]);
        }
        let readout = planner.phase(&program.readout)?;
        let answers = program.answers.iter().map(|&answer| {
            let shape = program.tensors[answer].shape;
            planner.planned(vec![(answer, Carry::Same)], [shape.h, shape.w], 0.0)
        });
        let answers = answers.collect();
        Some(Masks { frame, encode, step, readout, answers, sizes: planner.sizes })
    }
}

/// What each gate of a phase hands on to, with the mask of what moved; gates within a graph among them.
fn gates<'a>(ops: &'a [Op], planned: &'a [Planned]) -> impl Iterator<Item = (TensorId, MaskId)> + 'a {
    ops.iter().zip(planned).filter_map(|(op, planned)| match op {
        Op::Gate(gate) if !gate.within => planned.moved.map(|mask| (gate.to, mask)),
        _ => None,
    })
}

impl Planner<'_> {
    fn mask(&mut self, size: [usize; 2], whole: bool) -> MaskId {
        self.sizes.push(size);
        self.whole.push(whole);
        self.holds.push(Vec::new());
        self.sizes.len() - 1
    }

    fn phase(&mut self, ops: &[Op]) -> Option<Vec<Planned>> {
        ops.iter().map(|op| self.op(op, None)).collect()
    }

    fn step(&mut self, ops: &[Op], states: &[(TensorId, MaskId, MaskId)]) -> Option<Vec<Planned>> {
        let of = |op: &Op| match op {
            Op::Gate(gate) => states.iter().find(|(state, ..)| *state == gate.to).map(|&(_, moved, unread)| (moved, unread)),
            _ => None,
        };
        ops.iter().map(|op| self.op(op, of(op))).collect()
    }

    /// `state`: the masks of the state that a gate hands on to.
    fn op(&mut self, op: &Op, state: Option<(MaskId, MaskId)>) -> Option<Planned> {
        let Reached { reads, writes, partly, size, work } = Reached::by(self.program, op, self.tight)?;
        let mut planned = self.planned(reads, size, work);
        let made = match (op, state) {
            (Op::Gate(_), Some((moved, unread))) => {
                (planned.moved, planned.unread) = (Some(moved), Some(unread));
                return Some(planned);
            }
            (Op::Gate(_), None) => {
                let moved = self.mask(size, true);
                planned.moved = Some(moved);
                moved
            }
            _ => planned.dirty,
        };
        let known = self.known.entry(writes).or_default();
        if !partly {
            known.clear();
        }
        if !known.contains(&(made, When::Always)) {
            known.push((made, When::Always));
        }
        Some(planned)
    }

    fn planned(&mut self, reads: Vec<(TensorId, Carry)>, size: [usize; 2], work: f64) -> Planned {
        let mut sources: Vec<(MaskId, When, Carry)> = Vec::new();
        for (tensor, carry) in reads {
            for &(mask, when) in self.known.get(&tensor).into_iter().flatten() {
                if !sources.contains(&(mask, when, carry.clone())) {
                    sources.push((mask, when, carry.clone()));
                }
            }
        }
        let holds = |whole: MaskId, part: MaskId| self.holds[whole].contains(&part);
        let kept: Vec<bool> = sources
            .iter()
            .map(|(mask, _, carry)| {
                !sources
                    .iter()
                    .any(|(other, when, through)| other != mask && *when == When::Always && carry == through && holds(*other, *mask))
            })
            .collect();
        let mut kept = kept.into_iter();
        sources.retain(|_| kept.next() == Some(true));
        let mut before = Vec::new();
        if let [(mask, When::Always, Carry::Same)] = sources[..]
            && self.whole[mask]
        {
            return Planned { before, dirty: mask, moved: None, unread: None, work };
        }
        // Too many at once: some of those that carry alike are put together first.
        while sources.len() > SOURCES {
            let (first, _, carry) = sources[0].clone();
            let alike = |(mask, _, other): &(MaskId, When, Carry)| *other == carry && self.sizes[*mask] == self.sizes[first];
            let (mut together, rest): (Vec<_>, Vec<_>) = sources.into_iter().partition(alike);
            assert!(together.len() > 1, "a kernel reads tensors of more sizes than masks are made of");
            let left = together.split_off(together.len().min(SOURCES));
            together.iter_mut().for_each(|source| source.2 = Carry::Same);
            let to = self.mask(self.sizes[first], true);
            before.push(Spread { sources: together, to });
            sources = rest;
            sources.extend(left);
            sources.push((to, When::Always, carry));
        }
        let dirty = self.mask(size, true);
        for (mask, when, carry) in &sources {
            if *when == When::Always && matches!(carry, Carry::Same | Carry::Window { centred: true, .. }) {
                let more = [vec![*mask], self.holds[*mask].clone()].concat();
                self.holds[dirty].extend(more);
            }
        }
        before.push(Spread { sources, to: dirty });
        Planned { before, dirty, moved: None, unread: None, work }
    }
}
