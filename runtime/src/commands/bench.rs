//! `recslowfast bench`: what each graph costs on this machine, beside ONNX Runtime or plain tract.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use clap::{Args as ClapArgs, ValueEnum};

use crate::engine::cpu::simd::Isa;
use crate::engine::cpu::threads::Threads;
use crate::engine::cpu::{CpuEngine, Options};
use crate::network::Network;
use crate::network::engine::{Engine, Order};
use crate::network::halting::HaltingRule;
use crate::network::load::DEFAULT;
use crate::service::exit::{Cause, Failure};

use super::stopwatch::Time;

/// What is measured.
#[derive(ClapArgs)]
pub struct Args {
    /// Built-in networks or folders, separated by commas
    #[arg(long, default_value = DEFAULT, value_delimiter = ',', value_name = "NAME|DIR")]
    models: Vec<String>,
    /// The engine to measure
    #[arg(long, default_value = "cpu")]
    engine: Measured,
    /// Measure this beside it, runs interleaved
    #[arg(long)]
    against: Option<Peer>,
    /// Threads of each side [default: one on every usable processor]
    #[arg(long, value_name = "N")]
    threads: Option<Threads>,
    /// The instruction set: portable, avx2, avx512 or neon [default: the widest there is]
    #[arg(long, hide = true)]
    isa: Option<Isa>,
    /// Runs of each graph
    #[arg(long, default_value_t = 30, value_name = "N")]
    repeats: usize,
    /// Print what each operation of the step takes
    #[arg(long)]
    profile: bool,
    /// The script that drives ONNX Runtime; run with $PYTHON, or python3
    #[arg(long, default_value = "tests/bench/onnxruntime.py", value_name = "FILE")]
    script: PathBuf,
}

/// Engines that can be measured.
#[derive(Clone, Copy, ValueEnum)]
enum Measured {
    /// The CPU engine.
    Cpu,
    /// tract alone, as the CPU engine runs graphs it does not cover.
    Tract,
}

/// What the engine can be measured against.
#[derive(Clone, Copy, ValueEnum)]
enum Peer {
    /// ONNX Runtime through tests/bench/onnxruntime.py; the models must be folders.
    Onnxruntime,
    /// tract alone.
    Tract,
}

/// Times of one graph.
#[derive(Default)]
struct Times(Vec<Time>);

impl Times {
    fn at(&self, of: fn(&Time) -> Duration, percent: usize) -> f64 {
        let mut sorted: Vec<_> = self.0.iter().map(of).collect();
        sorted.sort_unstable();
        sorted.get((sorted.len() * percent / 100).min(sorted.len().saturating_sub(1))).map_or(f64::NAN, |time| time.as_secs_f64() * 1e3)
    }
}

/// One side of the comparison.
trait Side {
    fn name(&self) -> String;
    fn input(&mut self, frame: &[f32]) -> Result<(), Failure>;
    fn encode(&mut self) -> Result<Time, Failure>;
    fn step(&mut self) -> Result<Time, Failure>;
    fn readout(&mut self, logits: &mut Vec<f32>) -> Result<Time, Failure>;
}

/// Runs the verb.
pub fn run(args: Args) -> Result<(), Failure> {
    let (threads, isa) = (args.threads.unwrap_or_default().get(), args.isa.unwrap_or_else(Isa::best));
    let options = |plain| Options { threads, isa, plain };
    for (at, model) in args.models.iter().enumerate() {
        let network = Network::load(model)?;
        let mut ours = Ours::new(&network, options(matches!(args.engine, Measured::Tract)))?;
        if args.profile {
            profile(&mut ours.engine, args.repeats);
            ours.engine.reset();
        }
        let theirs: Option<Box<dyn Side>> = match args.against {
            None => None,
            Some(Peer::Tract) => Some(Box::new(Ours::new(&network, options(true))?)),
            Some(Peer::Onnxruntime) => {
                let answer = network.logits_shape().iter().product();
                Some(Box::new(Theirs::new(&args.script, model, threads, answer)?))
            }
        };
        if at == 0 {
            println!("{threads} threads, {isa:?}, {} runs; times in ms; GFLOP/s of the direct form", args.repeats);
            println!(
                "{:<18} {:<8} {:>8} {:>8} {:>8} {:>8} | {:>8} {:>8} {:>8} | {:>6} {:>6}",
                "network", "graph", "median", "p95", "cpu", "GFLOP/s", "median", "p95", "cpu", "wall x", "cpu x"
            );
        }
        compare(&network, &mut ours, theirs, args.repeats)?;
    }
    Ok(())
}

/// Runs both sides on the same frames, one after the other, and prints a line for each graph.
fn compare(network: &Network, ours: &mut Ours, mut theirs: Option<Box<dyn Side>>, repeats: usize) -> Result<(), Failure> {
    let mut times: [[Times; 3]; 2] = Default::default();
    let (mut mine, mut peer) = (Vec::new(), Vec::new());
    let (mut worst, mut differing, mut pixels) = (0f32, 0usize, 0usize);
    for at in 0..repeats + 1 {
        let frame: Vec<f32> = picture(&network.encoder.input_shape(0), at);
        let mut sides: Vec<(&mut dyn Side, &mut Vec<f32>)> = vec![(&mut *ours, &mut mine)];
        if let Some(theirs) = &mut theirs {
            sides.push((&mut **theirs, &mut peer));
        }
        for (side, _) in &mut sides {
            side.input(&frame)?;
        }
        let mut row: Vec<[Time; 3]> = vec![[Time::default(); 3]; sides.len()];
        for ((side, _), row) in sides.iter_mut().zip(&mut row) {
            row[0] = side.encode()?;
        }
        if network.step.is_some() {
            for ((side, _), row) in sides.iter_mut().zip(&mut row) {
                row[1] = side.step()?;
            }
        }
        for ((side, logits), row) in sides.iter_mut().zip(&mut row) {
            row[2] = side.readout(logits)?;
        }
        drop(sides);
        // The first run finds memory, pages and clocks cold.
        if at > 0 {
            for (times, row) in times.iter_mut().zip(row) {
                times.iter_mut().zip(row).for_each(|(times, time)| times.0.push(time));
            }
        }
        if theirs.is_some() {
            let scale = peer.iter().fold(f32::MIN_POSITIVE, |most, x| most.max(x.abs()));
            worst = mine.iter().zip(&peer).fold(worst, |most, (a, b)| most.max((a - b).abs() / scale));
            let plane = mine.len() / network.manifest.task.classes.len().max(1);
            let contour = |logits: &[f32], i: usize| logits.get(plane + i).is_some_and(|x| *x > logits[i]);
            differing += (0..plane).filter(|&i| contour(&mine, i) != contour(&peer, i)).count();
            pixels += plane;
        }
    }
    let graphs = [Some(&network.encoder), network.step.as_ref(), Some(&network.readout)];
    for (at, graph) in graphs.iter().enumerate() {
        let Some(graph) = graph else { continue };
        let [a, b] = [&times[0][at], &times[1][at]];
        let (wall, cpu) = (|time: &Time| time.wall, |time: &Time| time.cpu);
        let rate = 2.0 * graph.macs() as f64 / a.at(wall, 50) / 1e6;
        print!(
            "{:<18} {:<8} {:>8.3} {:>8.3} {:>8.3} {:>8.1}",
            network.manifest.name,
            graph.file.trim_end_matches(".onnx"),
            a.at(wall, 50),
            a.at(wall, 95),
            a.at(cpu, 50),
            rate
        );
        if b.0.is_empty() {
            println!();
        } else {
            println!(
                " | {:>8.3} {:>8.3} {:>8.3} | {:>6.1} {:>6.1}",
                b.at(wall, 50),
                b.at(wall, 95),
                b.at(cpu, 50),
                b.at(wall, 50) / a.at(wall, 50),
                b.at(cpu, 50) / a.at(cpu, 50)
            );
        }
    }
    if let Some(theirs) = theirs {
        let same = 100.0 * (1.0 - differing as f64 / pixels.max(1) as f64);
        println!(
            "{:<18} logits differ from {} by at most {worst:.1e} of the largest; masks agree on {same:.4} % of pixels",
            "",
            theirs.name()
        );
    }
    Ok(())
}

/// A frame that moves a little from one to the next: bright bars on a dark ground, and noise, all from `at`.
fn picture(shape: &[usize], at: usize) -> Vec<f32> {
    let (h, w) = (shape[2], shape[3]);
    let mut state = 0x9e37_79b9u32.wrapping_add(at as u32);
    let mut frame = Vec::with_capacity(shape.iter().product());
    for i in 0..shape.iter().product::<usize>() {
        let (y, x) = (i / w % h, i % w);
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let bar = (x + 2 * y + at) % 37 < 3 || (2 * x + y + 61 - at % 61) % 61 < 3;
        frame.push(if bar { 0.9 } else { 0.1 } + (state >> 24) as f32 / 2560.0);
    }
    frame
}

fn profile(engine: &mut CpuEngine, repeats: usize) {
    let mut lines: Vec<(String, Vec<f64>)> = Vec::new();
    for _ in 0..repeats {
        let mut at = 0;
        engine.profile(|operation, took| {
            if lines.len() <= at {
                lines.push((operation.to_string(), Vec::new()));
            }
            lines[at].1.push(took.as_secs_f64() * 1e3);
            at += 1;
        });
    }
    for (line, mut times) in lines {
        times.sort_unstable_by(f64::total_cmp);
        println!("{:>9.3} (least {:>7.3})  {line}", times[times.len() / 2], times[0]);
    }
}

/// This program's engine.
struct Ours {
    engine: CpuEngine,
    plain: bool,
}

impl Ours {
    fn new(network: &Network, options: Options) -> Result<Ours, Failure> {
        Ok(Ours { engine: CpuEngine::with(network, options)?, plain: options.plain })
    }
}

impl Side for Ours {
    fn name(&self) -> String {
        if self.plain { "tract".into() } else { "this engine".into() }
    }

    fn input(&mut self, frame: &[f32]) -> Result<(), Failure> {
        self.engine.input().copy_from_slice(frame);
        Ok(())
    }

    fn encode(&mut self) -> Result<Time, Failure> {
        let began = Time::now();
        self.engine.encode()?;
        Ok(began.since())
    }

    fn step(&mut self) -> Result<Time, Failure> {
        let order = Order { rule: HaltingRule::fixed(1), limit: 1, deadline: None };
        let began = Time::now();
        self.engine.advance(&order)?;
        Ok(began.since())
    }

    fn readout(&mut self, logits: &mut Vec<f32>) -> Result<Time, Failure> {
        let began = Time::now();
        let answer = self.engine.readout()?;
        let took = began.since();
        logits.clear();
        logits.extend_from_slice(answer);
        Ok(took)
    }
}

/// ONNX Runtime in a child process, told what to do through a pipe.
struct Theirs {
    child: Child,
    commands: ChildStdin,
    answers: BufReader<ChildStdout>,
    name: String,
    /// Numbers in its logits.
    answer: usize,
}

impl Theirs {
    fn new(script: &Path, folder: &str, threads: usize, answer: usize) -> Result<Theirs, Failure> {
        let python = std::env::var("PYTHON").unwrap_or_else(|_| "python3".into());
        let cannot = |what: String| Failure::new(Cause::Engine, format!("cannot measure ONNX Runtime: {what}"));
        let folder = Some(PathBuf::from(folder)).filter(|path| path.is_dir()).unwrap_or_else(|| Path::new("models/zoo").join(folder));
        if !folder.is_dir() {
            return Err(cannot(format!("{} is no folder; name the network by its folder", folder.display())));
        }
        let mut child = Command::new(&python)
            .arg(script)
            .arg(&folder)
            .arg(threads.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| cannot(format!("{python} does not start ({error}); set PYTHON to one that has onnxruntime")))?;
        let commands = child.stdin.take().expect("piped");
        let mut answers = BufReader::new(child.stdout.take().expect("piped"));
        let mut name = String::new();
        answers.read_line(&mut name).map_err(|error| cannot(error.to_string()))?;
        if name.is_empty() {
            return Err(cannot(format!("{} ended at once; its message is above", script.display())));
        }
        Ok(Theirs { child, commands, answers, name: name.trim().to_owned(), answer })
    }

    fn send(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.commands.write_all(bytes).and_then(|()| self.commands.flush()).map_err(gone)
    }

    fn timed(&mut self, command: &str) -> Result<Time, Failure> {
        self.send(format!("{command}\n").as_bytes())?;
        let mut line = String::new();
        self.answers.read_line(&mut line).map_err(gone)?;
        let mut nanos = line.split_whitespace().map_while(|word| word.parse().ok().map(Duration::from_nanos));
        match (nanos.next(), nanos.next()) {
            (Some(wall), Some(cpu)) => Ok(Time { wall, cpu }),
            _ => Err(gone(format!("its answer to '{command}' was '{}'", line.trim()))),
        }
    }
}

fn gone(reason: impl std::fmt::Display) -> Failure {
    Failure::new(Cause::Engine, format!("the ONNX Runtime script stopped answering: {reason}"))
}

impl Side for Theirs {
    fn name(&self) -> String {
        self.name.clone()
    }

    fn input(&mut self, frame: &[f32]) -> Result<(), Failure> {
        self.send(b"input\n")?;
        let bytes: Vec<u8> = frame.iter().flat_map(|x| x.to_le_bytes()).collect();
        self.send(&bytes)
    }

    fn encode(&mut self) -> Result<Time, Failure> {
        self.timed("encode")
    }

    fn step(&mut self) -> Result<Time, Failure> {
        self.timed("step")
    }

    fn readout(&mut self, logits: &mut Vec<f32>) -> Result<Time, Failure> {
        let time = self.timed("readout")?;
        let mut bytes = vec![0; 4 * self.answer];
        self.answers.read_exact(&mut bytes).map_err(gone)?;
        logits.clear();
        logits.extend(bytes.as_chunks().0.iter().map(|&four| f32::from_le_bytes(four)));
        Ok(time)
    }
}

impl Drop for Theirs {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
