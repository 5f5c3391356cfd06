//! The verbs of the command line, one file each.

mod bench;
mod calibrate;
mod check;
mod configured;
mod console;
mod contradictions;
mod dataset;
pub mod doctor;
mod eval;
mod inspect;
mod listen;
mod out;
mod plot;
mod progress;
mod record;
mod report_to;
mod run;
mod source;
mod stopwatch;

use std::io::IsTerminal;
use std::process::ExitCode;

use clap::{ArgMatches, CommandFactory, FromArgMatches, Parser, Subcommand};
use log::LevelFilter;

use crate::report::restore_terminal;
use crate::service::exit::{Cause, Failure};
use crate::service::{ends, logging, panics};
use configured::Configured;

/// Watches a camera with one recurrent network and spends only the steps a frame asks for.
#[derive(Parser)]
#[command(name = "recslowfast", version, args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(subcommand)]
    verb: Option<Verb>,
    #[command(flatten)]
    run: run::Args,
}

#[derive(Subcommand)]
enum Verb {
    /// Watch a source and report every frame (what happens without a verb, too)
    Run(Box<run::Args>),
    /// Compare halting rules on generated videos or a dataset: accuracy beside speed
    Eval(eval::Args),
    /// Choose a network's halting rule on calibration videos, within a wanted loss, and write it into model.toml
    Calibrate(calibrate::Args),
    /// Show what a network is: shapes, cost, states, halting rule, origin
    Inspect(inspect::Args),
    /// Read a configuration file and say everything that is wrong with it; touches no device
    Check(check::Args),
    /// Look at board, cameras, GPU, sensors, ports, network and configuration, and say how to mend what is wrong
    Doctor(doctor::Args),
    /// Measure what each graph costs on this machine, beside ONNX Runtime or tract
    Bench(bench::Args),
    /// Keep what a source delivers in a file that `run --source` replays
    Record(record::Args),
    /// Write generated videos to a folder
    Dataset(dataset::Args),
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

fn verb(matches: &ArgMatches) -> Result<(), Failure> {
    let given = match matches.subcommand() {
        None => Some(matches),
        Some(("run", given)) => Some(given),
        Some(_) => None,
    };
    if let Some(given) = given {
        let configured = Configured::new(given.clone())?;
        // A dashboard and log lines cannot share one terminal.
        let dashboard = configured.args.draws_terminal() && std::io::stderr().is_terminal();
        logging::start(if dashboard { LevelFilter::Error } else { LevelFilter::Info });
        return run::run(configured);
    }
    logging::start(LevelFilter::Info);
    match Cli::from_arg_matches(matches)
        .or_else(|error| out::clap(&error).and(Err(Failure::new(Cause::Usage, ""))))?
        .verb
        .expect("run is dealt with above")
    {
        Verb::Run(_) => unreachable!("run is dealt with above"),
        Verb::Eval(args) => eval::run(args),
        Verb::Calibrate(args) => calibrate::run(args),
        Verb::Inspect(args) => inspect::run(args),
        Verb::Check(args) => check::run(args),
        Verb::Doctor(args) => doctor::run(args),
        Verb::Bench(args) => bench::run(args),
        Verb::Record(args) => record::run(args),
        Verb::Dataset(args) => dataset::run(args),
    }
}
