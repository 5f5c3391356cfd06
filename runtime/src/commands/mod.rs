//! The verbs of the command line, one file each.

mod advance;
mod bench;
mod calibrate;
mod check;
mod completions;
mod configured;
mod console;
mod contradictions;
mod dataset;
pub mod doctor;
mod eval;
mod impossible;
mod init;
mod inspect;
mod listen;
mod mqtt;
mod out;
mod plot;
mod progress;
mod record;
mod report_to;
mod run;
mod schema;
mod source;
mod stopwatch;
mod verify;
mod watching;

use std::process::ExitCode;

use clap::{ArgAction, ArgMatches, CommandFactory, FromArgMatches, Parser, Subcommand};
use log::LevelFilter;

use crate::report::restore_terminal;
use crate::service::exit::{Cause, Failure};
use crate::service::{ends, logging, panics};
use configured::Configured;

/// Watches a camera with one recurrent network and spends only the steps a frame asks for.
#[derive(Parser)]
#[command(name = "recslowfast", version, args_conflicts_with_subcommands = true, after_help = SHORT, after_long_help = LONG)]
struct Cli {
    #[command(subcommand)]
    verb: Option<Verb>,
    /// Log more: what is decided, then everything
    #[arg(short, long, global = true, action = ArgAction::Count)]
    verbose: u8,
    /// Log less: warnings and errors, then errors
    #[arg(short, long, global = true, action = ArgAction::Count, conflicts_with = "verbose")]
    quiet: u8,
    #[command(flatten)]
    run: run::Args,
}

const SHORT: &str = "`recslowfast --help` says more.";

/// Examples, environment and exit codes, as manual pages have them.
const LONG: &str = "\
Examples:
  recslowfast                                             watch the first camera, or the built-in stream, on this terminal
  recslowfast --source film.avi --report json             one JSON object per frame
  recslowfast --source /dev/video0 --page 8088            live pictures on http://127.0.0.1:8088
  recslowfast --report json,on=change,classes=person      a line when somebody comes or goes
  recslowfast --deadline 33ms@p99 --power 10W             as many steps as these allow
  recslowfast --config /etc/recslowfast/recslowfast.toml  as the service does

Environment:
  RUST_LOG   what is logged: debug, or warn,recslowfast::capture=debug; other crates by their names; -v and -q win
  NO_COLOR   no dashboard, plain lines
  COLORTERM  truecolor or 24bit: the dashboard uses 24-bit colours, else 256
  RECSLOWFAST_MQTT_PASSWORD  the password at the MQTT broker, before [mqtt] password

Exit codes:
  0 as asked   1 a fault of the program   2 wrong command line   3 wrong configuration   4 the source   5 the network   6 the engine
  7 an output   8 the doctor found a problem

Files:
  /etc/recslowfast/recslowfast.toml  the service's configuration (`recslowfast check FILE` says what is wrong with one)";

#[derive(Subcommand)]
enum Verb {
    /// Watch a source and report every frame (what happens without a verb, too)
    #[command(after_long_help = LONG)]
    Run(Box<run::Args>),
    /// Compare halting rules on generated videos or a dataset: accuracy beside speed
    #[command(
        after_long_help = "Examples:\n  recslowfast eval --videos 50 --halt fixed:6 --halt model     two rules on the built-in network\n  recslowfast eval --model DIR --data annotations.json         own labels (COCO)"
    )]
    Eval(eval::Args),
    /// Choose a network's halting rule on calibration videos, within a wanted loss, and write it into model.toml
    #[command(
        after_long_help = "Examples:\n  recslowfast calibrate --model DIR --loss 0.5                 lose half a point at most\n  recslowfast calibrate --model DIR --data film.avi            without labels, by agreement with six steps\n  recslowfast calibrate --tiles --model DIR --data film.avi    what counts as moved, by agreement with the dense run"
    )]
    Calibrate(calibrate::Args),
    /// Show what a network is: shapes, cost, states, halting rule, origin
    #[command(
        after_long_help = "Examples:\n  recslowfast inspect                  the built-in network\n  recslowfast inspect DIR              one of your own\n  recslowfast inspect --operators      which engine computes which operator"
    )]
    Inspect(inspect::Args),
    /// Hold a network against ONNX Runtime over carried frames: every tensor, every answer, and what runs where
    #[command(after_long_help = "Examples:\n  recslowfast verify DIR        over carried frames of a pattern that drifts")]
    Verify(verify::Args),
    /// Begin a network of one's own: a commented model.toml and a script that trains and exports it
    #[command(
        after_long_help = "Examples:\n  recslowfast init door --task boxes      door/model.toml, and a script that trains and exports"
    )]
    Init(init::Args),
    /// Run a network for another program, through a pipe (what `models/export` uses)
    #[command(after_long_help = "Examples:\n  recslowfast advance DIR       as models/export starts it")]
    Advance(advance::Args),
    /// Read a configuration file and say everything that is wrong with it; touches no device
    #[command(
        after_long_help = "Examples:\n  recslowfast check /etc/recslowfast/recslowfast.toml\n  recslowfast check --schema > recslowfast.schema.json"
    )]
    Check(check::Args),
    /// Look at board, cameras, GPU, sensors, ports, network and configuration, and say how to fix what is wrong
    #[command(
        after_long_help = "Examples:\n  recslowfast doctor               all of it\n  recslowfast doctor camera        the cameras, at length"
    )]
    Doctor(doctor::Args),
    /// Measure what each graph costs on this machine, beside ONNX Runtime or tract
    #[command(
        after_long_help = "Examples:\n  recslowfast bench                                            the built-in network\n  PYTHON=ENV/bin/python recslowfast bench --against onnxruntime"
    )]
    Bench(bench::Args),
    /// Keep what a source delivers in a file that `run --source` replays
    #[command(after_long_help = "Examples:\n  recslowfast record /dev/video0 seen.mcap --frames 250")]
    Record(record::Args),
    /// Write generated videos to a folder
    #[command(after_long_help = "Examples:\n  recslowfast dataset pathfinder --split hard --videos 100 --frames 6 --size 150 --out videos")]
    Dataset(dataset::Args),
    /// Print the completions for a shell: bash, zsh, fish, elvish or powershell
    #[command(after_long_help = "Examples:\n  recslowfast completions bash > /etc/bash_completion.d/recslowfast")]
    Completions(completions::Args),
}

/// The whole command line, for manual pages and completions.
pub fn command() -> clap::Command {
    Cli::command()
}

/// Parses the command line, runs the verb, and turns its failure into one sentence and an exit code.
pub fn main() -> ExitCode {
    panics::watch();
    ends::restore_on_fatal_signals();
    let result = std::panic::catch_unwind(|| match Cli::command().try_get_matches() {
        Ok(matches) => verb(&matches),
        Err(error) => out::clap(&error),
    });
    let result = result.unwrap_or_else(|_| Err(Failure::new(Cause::Internal, panics::last())));
    restore_terminal();
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            // clap has said what is wrong with a command line.
            if !failure.message.is_empty() {
                out::complain(&format!("recslowfast: {failure}"));
            }
            Failure::code(&failure)
        }
    }
}

/// What is logged; None leaves it to the environment.
fn level(given: &ArgMatches) -> Option<LevelFilter> {
    match (given.get_count("verbose"), given.get_count("quiet")) {
        (0, 0) => None,
        (1, _) => Some(LevelFilter::Debug),
        (2.., _) => Some(LevelFilter::Trace),
        (_, 1) => Some(LevelFilter::Warn),
        (_, 2..) => Some(LevelFilter::Error),
    }
}

fn verb(matches: &ArgMatches) -> Result<(), Failure> {
    let given = match matches.subcommand() {
        None => Some(matches),
        Some(("run", given)) => Some(given),
        Some(_) => None,
    };
    if let Some(given) = given {
        let configured = Configured::new(given.clone())?;
        // A dashboard on the same terminal shows log lines in rows of its own.
        logging::start(level(given));
        return run::run(configured);
    }
    logging::start(level(matches.subcommand().map_or(matches, |(_, given)| given)));
    match Cli::from_arg_matches(matches)
        .or_else(|error| out::clap(&error).and(Err(Failure::new(Cause::Usage, ""))))?
        .verb
        .expect("run is dealt with above")
    {
        Verb::Run(_) => unreachable!("run is dealt with above"),
        Verb::Eval(args) => eval::run(args),
        Verb::Calibrate(args) => calibrate::run(args),
        Verb::Inspect(args) => inspect::run(args),
        Verb::Verify(args) => verify::run(args),
        Verb::Init(args) => init::run(args),
        Verb::Advance(args) => advance::run(args),
        Verb::Check(args) => check::run(args),
        Verb::Doctor(args) => doctor::run(args),
        Verb::Bench(args) => bench::run(args),
        Verb::Record(args) => record::run(args),
        Verb::Dataset(args) => dataset::run(args),
        Verb::Completions(args) => completions::run(args),
    }
}
