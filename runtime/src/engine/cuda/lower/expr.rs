//! Element-wise expressions: collected while a graph is walked, then compiled into one program per stored result.

use std::collections::HashMap;

use super::super::abi::BUFFERS;
use super::super::opcode::Opcode;
use super::super::program::{Decide, Operand, Pointwise, Shape, Step, TensorId, VectorId};

/// Index of an expression.
pub type ExprId = usize;

/// What an expression is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A stored tensor.
    Tensor(TensorId),
    /// Channels of a stored tensor, from this one on.
    Channels(TensorId, usize),
    /// A stored per-channel vector.
    Vector(VectorId),
    /// A constant per-channel vector.
    Constant(usize),
    /// The bits of a number.
    Immediate(u32),
    /// An operation on one expression.
    Unary(Opcode, ExprId),
    /// An operation on two.
    Binary(Opcode, ExprId, ExprId),
}

/// Every expression of a graph, each once.
#[derive(Default)]
pub struct Arena {
    exprs: Vec<(Kind, Shape)>,
    known: HashMap<(Kind, Shape), ExprId>,
    constants: Vec<Vec<f32>>,
}

/// Registers a thread has.
const REGISTERS: usize = 16;
/// Vectors a prologue may leave.
const SLOTS: usize = 8;

/// A program needs more than the interpreter has.
#[derive(Debug)]
pub struct TooLarge;

impl Arena {
    /// The expression `kind` of `shape`.
    pub fn add(&mut self, kind: Kind, shape: Shape) -> ExprId {
        let next = self.exprs.len();
        let id = *self.known.entry((kind, shape)).or_insert(next);
        if id == next {
            self.exprs.push((kind, shape));
        }
        id
    }

    /// A number.
    pub fn number(&mut self, value: f32) -> ExprId {
        self.add(Kind::Immediate(value.to_bits()), Shape { c: 1, h: 1, w: 1 })
    }

    /// One number a channel.
    pub fn constant(&mut self, values: Vec<f32>) -> ExprId {
        let shape = Shape { c: values.len(), h: 1, w: 1 };
        self.constants.push(values);
        self.add(Kind::Constant(self.constants.len() - 1), shape)
    }

    /// `op` of `x`; a number if `x` is one.
    pub fn unary(&mut self, op: Opcode, x: ExprId) -> ExprId {
        match self.as_number(x).and_then(|value| op.fold(value, value)) {
            Some(folded) => self.number(folded),
            None => self.add(Kind::Unary(op, x), self.shape(x)),
        }
    }

    /// `op` of `x` and `y`, broadcast; `None` when the shapes do not fit.
    pub fn binary(&mut self, op: Opcode, x: ExprId, y: ExprId) -> Option<ExprId> {
        if let (Some(x), Some(y)) = (self.as_number(x), self.as_number(y))
            && let Some(folded) = op.fold(x, y)
        {
            return Some(self.number(folded));
        }
        let (a, b) = (self.shape(x), self.shape(y));
        let join = |a: usize, b: usize| if a == b || b == 1 { Some(a) } else { (a == 1).then_some(b) };
        let shape = Shape { c: join(a.c, b.c)?, h: join(a.h, b.h)?, w: join(a.w, b.w)? };
        Some(self.add(Kind::Binary(op, x, y), shape))
    }

    /// The number `x` is, if it is one.
    pub fn as_number(&self, x: ExprId) -> Option<f32> {
        if let Kind::Immediate(bits) = self.kind(x) { Some(f32::from_bits(bits)) } else { None }
    }

    /// What `x` is.
    pub fn kind(&self, x: ExprId) -> Kind {
        self.exprs[x].0
    }

    /// Its shape.
    pub fn shape(&self, x: ExprId) -> Shape {
        self.exprs[x].1
    }

    /// From now on `x` is read from `tensor`.
    pub fn stored(&mut self, x: ExprId, tensor: TensorId) {
        let shape = self.shape(x);
        self.exprs[x].0 = Kind::Tensor(tensor);
        self.known.insert((Kind::Tensor(tensor), shape), x);
    }

    /// How computing `x` reads `tensor`.
    pub fn reads(&self, x: ExprId, tensor: TensorId) -> Reads {
        let mut seen = vec![false; self.exprs.len()];
        let mut todo = vec![x];
        let mut reads = Reads::No;
        while let Some(x) = todo.pop() {
            if std::mem::replace(&mut seen[x], true) {
                continue;
            }
            match self.kind(x) {
                Kind::Tensor(read) if read == tensor => reads = reads.max(Reads::SameElement),
                Kind::Channels(read, _) if read == tensor => reads = Reads::OtherElements,
                Kind::Unary(_, a) => todo.push(a),
                Kind::Binary(_, a, b) => todo.extend([a, b]),
                _ => {}
            }
        }
        reads
    }

    /// Whether `x` reads something by its channel: such a value of one channel cannot be spread over others.
    pub fn is_by_channel(&self, x: ExprId) -> bool {
        match self.kind(x) {
            Kind::Channels(..) | Kind::Vector(_) | Kind::Constant(_) => true,
            Kind::Unary(_, a) => self.is_by_channel(a),
            Kind::Binary(_, a, b) => self.is_by_channel(a) || self.is_by_channel(b),
            Kind::Tensor(_) | Kind::Immediate(_) => false,
        }
    }

    /// The most costly part of `x` that is worth a tensor of its own.
    pub fn largest_part(&self, x: ExprId) -> Option<ExprId> {
        let parts = match self.kind(x) {
            Kind::Unary(_, a) => vec![a],
            Kind::Binary(_, a, b) => vec![a, b],
            _ => return None,
        };
        parts
            .into_iter()
            .filter(|&part| matches!(self.kind(part), Kind::Unary(..) | Kind::Binary(..)) && !self.shape(part).is_vector())
            .max_by_key(|&part| self.cost(part))
    }

    fn cost(&self, x: ExprId) -> usize {
        let mut seen = vec![false; self.exprs.len()];
        let mut todo = vec![x];
        let mut cost = 0;
        while let Some(x) = todo.pop() {
            if std::mem::replace(&mut seen[x], true) {
                continue;
            }
            cost += 1;
            match self.kind(x) {
                Kind::Unary(_, a) => todo.push(a),
                Kind::Binary(_, a, b) => todo.extend([a, b]),
                _ => {}
            }
        }
        cost
    }

    /// Compiles `value`, of the shape `domain`, to be stored in `to`; with `compare`, also its movement from that value.
    pub fn compile(
        &self,
        value: ExprId,
        domain: Shape,
        to: Operand,
        compare: Option<ExprId>,
        decide: Decide,
    ) -> Result<Pointwise, TooLarge> {
        let mut body = Section { hoist: true, ..Section::new(self, domain) };
        if let Some(before) = compare {
            body.visit(before);
        }
        body.visit(value);
        let slots = body.slots.clone();
        if slots.len() > SLOTS {
            return Err(TooLarge);
        }
        let mut prologue = Section::new(self, domain);
        for &slot in &slots {
            prologue.visit(slot);
        }
        let stores = slots.iter().enumerate().map(|(at, &slot)| Tail::Store(slot, Operand::Slot(at)));
        let (prologue_code, prologue_registers) = prologue.allocate(&stores.collect::<Vec<_>>())?;
        let mut tail = Vec::new();
        if let Some(before) = compare {
            tail.push(Tail::Moments(before, value));
        }
        tail.push(Tail::Store(value, to));
        let (body_code, body_registers) = body.allocate(&tail)?;
        let mut program = Pointwise {
            domain,
            prologue: prologue_code,
            body: body_code,
            constants: Vec::new(),
            registers: prologue_registers.max(body_registers),
            slots: slots.len(),
            decide,
        };
        self.keep_constants(&mut program);
        // A tensor may need two places, one for each format.
        let named = |step: &Step| !matches!(step.operand, Operand::None | Operand::Constant(_) | Operand::Slot(_) | Operand::Immediate(_));
        let mut operands: Vec<Operand> =
            program.prologue.iter().chain(&program.body).filter(|step| named(step)).map(|step| step.operand).collect();
        operands.dedup();
        if operands.len() + 1 > BUFFERS { Err(TooLarge) } else { Ok(program) }
    }

    fn keep_constants(&self, program: &mut Pointwise) {
        let cs = program.domain.cs();
        let mut kept = HashMap::new();
        for step in program.prologue.iter_mut().chain(&mut program.body) {
            if let Operand::Constant(at) = step.operand {
                let constants = &mut program.constants;
                let index = *kept.entry(at).or_insert_with(|| {
                    let mut values = self.constants[at].clone();
                    values.resize(cs, 0.0);
                    constants.push(values);
                    constants.len() - 1
                });
                step.operand = Operand::Constant(index);
            }
        }
    }
}

/// How an expression uses a tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reads {
    /// Not at all.
    No,
    /// Each element only for the element at the same place.
    SameElement,
    /// In other places too.
    OtherElements,
}

enum Tail {
    Moments(ExprId, ExprId),
    Store(ExprId, Operand),
}

/// One section of a program on its way from expressions to instructions.
struct Section<'a> {
    arena: &'a Arena,
    domain: Shape,
    /// Whether parts that depend on the channel alone move to the prologue.
    hoist: bool,
    /// Values in the order in which they are computed.
    order: Vec<Value>,
    place: HashMap<ExprId, usize>,
    slots: Vec<ExprId>,
}

#[derive(Clone, Copy)]
enum Value {
    Leaf(Operand),
    Unary(Opcode, usize),
    Binary(Opcode, usize, usize),
}

impl<'a> Section<'a> {
    fn new(arena: &'a Arena, domain: Shape) -> Section<'a> {
        Section { arena, domain, hoist: false, order: Vec::new(), place: HashMap::new(), slots: Vec::new() }
    }

    fn visit(&mut self, x: ExprId) -> usize {
        if let Some(&place) = self.place.get(&x) {
            return place;
        }
        let shape = self.arena.shape(x);
        let value = match self.arena.kind(x) {
            Kind::Tensor(tensor) if shape.c == 1 && self.domain.c > 1 => Value::Leaf(Operand::Map(tensor)),
            Kind::Tensor(tensor) if shape.is_vector() && !self.domain.is_vector() => Value::Leaf(Operand::Single(tensor)),
            Kind::Tensor(tensor) => Value::Leaf(Operand::Tensor(tensor)),
            Kind::Channels(tensor, from) => Value::Leaf(Operand::Channels(tensor, from)),
            Kind::Vector(vector) => Value::Leaf(Operand::Vector(vector)),
            Kind::Constant(at) => Value::Leaf(Operand::Constant(at)),
            Kind::Immediate(bits) => Value::Leaf(Operand::Immediate(bits)),
            _ if self.hoist && shape.is_vector() && !self.domain.is_vector() => {
                let at = self.slots.iter().position(|&slot| slot == x).unwrap_or_else(|| {
                    self.slots.push(x);
                    self.slots.len() - 1
                });
                Value::Leaf(Operand::Slot(at))
            }
            Kind::Unary(op, a) => Value::Unary(op, self.visit(a)),
            Kind::Binary(op, a, b) => {
                // The costlier side first: fewer registers wait.
                let (a, b) = if self.arena.cost(b) > self.arena.cost(a) {
                    let b = self.visit(b);
                    (self.visit(a), b)
                } else {
                    let a = self.visit(a);
                    (a, self.visit(b))
                };
                Value::Binary(op, a, b)
            }
        };
        self.order.push(value);
        self.place.insert(x, self.order.len() - 1);
        self.order.len() - 1
    }

    /// Gives every value a register from its computation to its last use.
    fn allocate(&self, tail: &[Tail]) -> Result<(Vec<Step>, usize), TooLarge> {
        let mut last = vec![0usize; self.order.len()];
        for (at, value) in self.order.iter().enumerate() {
            match *value {
                Value::Leaf(_) => {}
                Value::Unary(_, a) => last[a] = at,
                Value::Binary(_, a, b) => {
                    last[a] = at;
                    last[b] = at;
                }
            }
        }
        let at_of = |x: &ExprId| self.place[x];
        for part in tail {
            match part {
                Tail::Moments(before, after) => {
                    last[at_of(before)] = usize::MAX;
                    last[at_of(after)] = usize::MAX;
                }
                Tail::Store(x, _) => last[at_of(x)] = usize::MAX,
            }
        }
        let mut free: Vec<u8> = (0..REGISTERS as u8).rev().collect();
        let mut register = vec![0u8; self.order.len()];
        let mut code = Vec::new();
        let mut most = 0;
        for (at, value) in self.order.iter().enumerate() {
            let (op, operand, a, b) = match *value {
                Value::Leaf(operand) => (load_of(operand), operand, None, None),
                Value::Unary(op, a) => (op, Operand::None, Some(a), None),
                Value::Binary(op, a, b) => (op, Operand::None, Some(a), Some(b)),
            };
            let read = |x: Option<usize>| x.map_or(0, |x| register[x]);
            let (ra, rb) = (read(a), read(b));
            for used in [a, b.filter(|_| a != b)].into_iter().flatten() {
                if last[used] == at {
                    free.push(register[used]);
                }
            }
            let to = free.pop().ok_or(TooLarge)?;
            register[at] = to;
            most = most.max(to as usize + 1);
            code.push(Step { op, to, a: ra, b: rb, operand });
        }
        for part in tail {
            code.push(match *part {
                Tail::Moments(before, after) => {
                    Step { op: Opcode::Moments, to: 0, a: register[at_of(&before)], b: register[at_of(&after)], operand: Operand::None }
                }
                Tail::Store(x, operand) => {
                    let op = match operand {
                        Operand::Slot(_) => Opcode::StoreSlot,
                        Operand::Channels(..) => Opcode::StoreView,
                        _ => Opcode::Store32,
                    };
                    Step { op, to: 0, a: register[at_of(&x)], b: 0, operand }
                }
            });
        }
        Ok((code, most))
    }
}

fn load_of(operand: Operand) -> Opcode {
    match operand {
        Operand::Channels(..) => Opcode::LoadView,
        Operand::Map(_) => Opcode::LoadMap,
        Operand::Single(_) | Operand::Vector(_) => Opcode::LoadVector,
        Operand::Constant(_) => Opcode::LoadConstant,
        Operand::Slot(_) => Opcode::LoadSlot,
        Operand::Immediate(_) => Opcode::Immediate,
        _ => Opcode::Load32,
    }
}
