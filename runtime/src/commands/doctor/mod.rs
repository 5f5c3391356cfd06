//! `recslowfast doctor`: what is there, what is wrong, how to fix it. Changes nothing and opens no port.

mod access;
mod board;
mod devices;
mod finding;
mod gpu;
mod power;
mod software;

use std::path::PathBuf;

use clap::Args as ClapArgs;

use super::out::say;
use crate::network::load::DEFAULT;
use crate::service::exit::{Cause, Failure};
use access::User;
pub use finding::{Area, Finding, State};

/// What to look at.
#[derive(ClapArgs)]
pub struct Args {
    /// Only this, and at length: board, memory, groups, camera, gpu, power, serial, panel, model or config
    #[arg(value_name = "AREA")]
    area: Option<Area>,
    /// A built-in network, or a folder with model.toml and its graphs
    #[arg(long, default_value = DEFAULT, value_name = "NAME|DIR")]
    model: PathBuf,
    /// The configuration the service reads
    #[arg(long, default_value = "/etc/recslowfast/recslowfast.toml", value_name = "FILE")]
    config: PathBuf,
    /// One JSON array instead of lines
    #[arg(long)]
    json: bool,
    /// Look at a copy of a board's /proc, /sys, /dev and /etc under this folder
    #[arg(long, default_value = "/", hide = true)]
    root: PathBuf,
}

/// Runs the verb.
pub fn run(args: Args) -> Result<(), Failure> {
    let who = User::this_process(&args.root);
    let wanted = |area: Area| args.area.is_none_or(|only| only == area);
    let mut findings = Vec::new();
    for area in Area::ALL {
        if wanted(area) {
            findings.extend(match area {
                Area::Board => board::board(&args.root),
                Area::Memory => board::memory(&args.root),
                Area::Groups => devices::groups(&args.root, &who),
                Area::Camera => devices::cameras(&args.root, &who),
                Area::Gpu => gpu::gpu(&args.model, &args.root),
                Area::Power => power::power(&args.root),
                Area::Serial => devices::serial(&args.root, &who),
                Area::Panel => devices::panels(&args.root, &who),
                Area::Model => software::model(&args.model),
                Area::Config => software::config(&args.config),
            });
        }
    }
    if args.json {
        say!("{}", serde_json::to_string_pretty(&findings).expect("a finding has no failing serializer"))?;
    } else {
        let at_length = args.area.is_some();
        findings.iter().try_for_each(|finding| if at_length { say!("{finding:#}") } else { say!("{finding}") })?;
    }
    match findings.iter().filter(|finding| finding.state == State::Problem).count() {
        0 => Ok(()),
        1 => Err(Failure::new(Cause::Unwell, "doctor found 1 problem")),
        n => Err(Failure::new(Cause::Unwell, format!("doctor found {n} problems"))),
    }
}
