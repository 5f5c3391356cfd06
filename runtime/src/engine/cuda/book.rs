//! Kernels written for one program: each of its chains as straight code, by itself or where a convolution stores what it made.

use std::collections::BTreeSet;
use std::fmt::Write;

use super::abi::Instruction;
use super::code::Code;
use super::nvrtc::SHARED;
use super::opcode::Opcode;
use super::program::{Method, Op, Program};

/// The kernels of a program.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Book {
    /// The code of each chain, without its name; chains that differ in their buffers alone are one.
    chains: Vec<String>,
    /// The lines that declare kernels.
    kernels: BTreeSet<String>,
}

impl Book {
    /// Of `program`, lowered for compiled kernels.
    pub fn of(program: &Program) -> Book {
        let mut book = Book::default();
        for op in [&program.encode, &program.accept, &program.step, &program.readout].into_iter().flatten() {
            match op {
                Op::Pointwise(chain) => {
                    let number = book.number(&Code::of(&program.tensors, chain));
                    book.kernels.insert(format!("KERNEL(128) chain{number}(PointwiseArgs p) {{ run_chain<Chain{number}>(p); }}"));
                }
                Op::Conv(conv) => {
                    let kernel = conv.method.kernel();
                    let (threads, function) = match conv.method {
                        Method::Mma(tile) => (256, format!("conv_mma<{}>", tile.columns)),
                        Method::Scalar => (128, "conv_scalar_of".to_owned()),
                        Method::Direct | Method::Fft(_) => (128, "conv_direct_of".to_owned()),
                    };
                    if let Some(chain) = &conv.behind {
                        let number = book.number(&Code::of(&program.tensors, chain));
                        let name = chained(number, &kernel);
                        book.kernels.insert(format!("CHAINED_KERNEL({threads}, {name}, Chain{number}, {function})"));
                    } else if conv.measures.is_some() && matches!(conv.method, Method::Mma(_)) {
                        book.kernels.insert(format!("MEASURED_KERNEL({threads}, {}, {function})", book.measured(&kernel)));
                    }
                }
                _ => {}
            }
        }
        book
    }

    /// Its number, a new one where the code is new.
    fn number(&mut self, code: &Code) -> usize {
        let text = text(code);
        self.chains.iter().position(|known| *known == text).unwrap_or_else(|| {
            self.chains.push(text);
            self.chains.len() - 1
        })
    }

    fn known(&self, code: &Code) -> Option<usize> {
        let text = text(code);
        self.chains.iter().position(|known| *known == text)
    }

    /// The kernel of a chain by itself.
    pub fn chain(&self, code: &Code) -> Option<String> {
        self.known(code).map(|number| format!("chain{number}"))
    }

    /// The kernel of the convolution `kernel` with a chain behind it; None where there is no such chain.
    pub fn chained(&self, code: &Code, kernel: &str) -> Option<String> {
        self.known(code).map(|number| chained(number, kernel))
    }

    /// The kernel of the convolution `kernel` that measures what it makes.
    pub fn measured(&self, kernel: &str) -> String {
        format!("measured_{kernel}")
    }

    /// How many kernels there are.
    pub fn len(&self) -> usize {
        self.kernels.len()
    }

    /// CUDA C++ of all of them, for NVRTC 10.2 and newer.
    pub fn source(&self) -> String {
        let mut source = String::from("#define COMPILED\n");
        source.extend(SHARED);
        source.push_str(include_str!("kernels/compiled.cu"));
        for (number, chain) in self.chains.iter().enumerate() {
            let _ = writeln!(
                source,
                "struct Chain{number} {{\n    enum {{ SUMS = {} }};\n    template <int K> DEV void run(const PointwiseArgs& p, const Place<K>& at, const Pairs<K>& made, float (&m)[6]) {{\n{chain}    }}\n}};",
                u8::from(chain.contains("moments("))
            );
        }
        for kernel in &self.kernels {
            source.push_str(kernel);
            source.push('\n');
        }
        source
    }
}

fn chained(number: usize, kernel: &str) -> String {
    format!("chain{number}_{kernel}")
}

/// The statements of a chain. What the prologue makes of the channels is made for every element: it is little, and in registers.
fn text(code: &Code) -> String {
    let mut lines = Lines::default();
    if !code.prologue.is_empty() {
        lines.text.push_str("        const Place<K> channels = channels_of(at);\n");
    }
    for instruction in &code.prologue {
        lines.add(instruction, "channels");
    }
    for instruction in &code.body {
        lines.add(instruction, "at");
    }
    lines.text
}

#[derive(Default)]
struct Lines {
    text: String,
    /// Values so far, and which of them each register and each slot holds.
    values: usize,
    registers: [usize; 16],
    slots: [usize; 8],
}

impl Lines {
    fn add(&mut self, &Instruction { op, to, a, b, word }: &Instruction, at: &str) {
        let op = Opcode::ALL[usize::from(op)];
        let (x, y) = (format!("v{}", self.registers[usize::from(a)]), format!("v{}", self.registers[usize::from(b)]));
        let buffer = format!("p.buffers[{b}]");
        let value = match op {
            Opcode::Load32 => format!("load32({at}, {buffer})"),
            Opcode::Load16 => format!("load16({at}, {buffer})"),
            Opcode::LoadView => format!("load_view({at}, {buffer}, {a}, {word}u, p.c)"),
            Opcode::LoadMap => format!("load_map({at}, {buffer}, {a}, {word}u)"),
            Opcode::LoadVector => format!("load_vector({at}, {buffer})"),
            Opcode::LoadConstant => format!("load_vector({at}, p.constants + {})", word * 4),
            Opcode::Immediate => format!("immediate({at}, {word}u)"),
            Opcode::LoadMade => "made".to_owned(),
            Opcode::LoadSlot => format!("v{}", self.slots[word as usize]),
            Opcode::Store32 => return self.statement(format_args!("store32({at}, {buffer}, {x}, p.c)")),
            Opcode::Store16 => return self.statement(format_args!("store16({at}, {buffer}, {x}, p.c)")),
            Opcode::StoreView => return self.statement(format_args!("store_view({at}, {buffer}, {to}, {word}u, {x}, p.c)")),
            Opcode::Moments => return self.statement(format_args!("moments({at}, m, {x}, {y}, p.c)")),
            Opcode::StoreSlot => {
                self.slots[word as usize] = self.registers[usize::from(a)];
                return;
            }
            _ if op.is_binary() => format!("{}({x}, {y})", op.function()),
            _ => format!("{}({x})", op.function()),
        };
        let _ = writeln!(self.text, "        const Pairs<K> v{} = {value};", self.values);
        self.registers[usize::from(to)] = self.values;
        self.values += 1;
    }

    fn statement(&mut self, statement: std::fmt::Arguments<'_>) {
        let _ = writeln!(self.text, "        {statement};");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn instruction(op: Opcode, to: u8, a: u8, b: u8, word: u32) -> Instruction {
        Instruction { op: op as u8, to, a, b, word }
    }

    #[test]
    fn a_chain_is_written_out_with_a_name_for_every_value() {
        let code = Code {
            prologue: vec![instruction(Opcode::LoadVector, 0, 0, 2, 0), instruction(Opcode::StoreSlot, 0, 0, 0, 3)],
            body: vec![
                instruction(Opcode::LoadMade, 0, 0, 0, 0),
                instruction(Opcode::LoadSlot, 1, 0, 0, 3),
                instruction(Opcode::Mul, 0, 0, 1, 0),
                instruction(Opcode::Sigmoid, 0, 0, 0, 0),
                instruction(Opcode::Store16, 0, 0, 1, 0),
            ],
            buffers: Vec::new(),
        };
        let lines: Vec<String> = text(&code).lines().map(|line| line.trim().to_owned()).collect();
        assert_eq!(
            lines,
            [
                "const Place<K> channels = channels_of(at);",
                "const Pairs<K> v0 = load_vector(channels, p.buffers[2]);",
                "const Pairs<K> v1 = made;",
                "const Pairs<K> v2 = v0;",
                "const Pairs<K> v3 = op_mul(v1, v2);",
                "const Pairs<K> v4 = op_sigmoid(v3);",
                "store16(at, p.buffers[1], v4, p.c);",
            ]
        );
    }
}
