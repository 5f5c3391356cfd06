//! `recslowfast verify`: a network here beside ONNX Runtime, over carried frames.
//!
//! The comparison is Python, because ONNX Runtime is; its text travels inside this program, so that an installed one needs no checkout.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use clap::Args as ClapArgs;

use super::inspect;
use crate::network::Network;
use crate::service::exit::{Cause, Failure};

/// Which network, and on what.
#[derive(ClapArgs)]
pub struct Args {
    /// A folder with model.toml and its graphs
    #[arg(value_name = "DIR")]
    model: PathBuf,
    /// A folder of pictures, taken in the order of their names; without it a made-up pattern that drifts
    #[arg(long, value_name = "DIR")]
    images: Option<PathBuf>,
    /// Frames to compare
    #[arg(long, default_value_t = 10, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    frames: u32,
    /// When stepping stops, as for `run`
    #[arg(long, default_value = "model", value_name = "RULE")]
    halt: String,
    /// Largest difference, over the larger of 1 and the number [default: 0.0001; 0.01 for half floats]
    #[arg(long, value_name = "X")]
    tolerance: Option<f32>,
    /// A Python with numpy and onnxruntime, and Pillow for --images [default: $PYTHON, or python3]
    #[arg(long, value_name = "PROGRAM")]
    python: Option<PathBuf>,
}

const NETWORK: &str = include_str!("../../../models/export/recslowfast/network.py");
const VERIFY: &str = include_str!("../../../models/export/recslowfast/verify.py");

/// Makes a package of the two texts that come as the first arguments, and runs the second.
const BEGIN: &str = "\
import sys, types
package = types.ModuleType('recslowfast')
package.__path__ = []
sys.modules['recslowfast'] = package
for name, text in zip(('network', 'verify'), sys.argv[1:3]):
    module = types.ModuleType('recslowfast.' + name)
    sys.modules[module.__name__] = module
    exec(compile(text, 'recslowfast/' + name + '.py', 'exec'), module.__dict__)
sys.exit(sys.modules['recslowfast.verify'].main(sys.argv[3:]))
";

/// Runs the verb.
pub fn run(args: Args) -> Result<(), Failure> {
    // What is wrong with the folder is told before anything is started.
    let network = Network::load(&args.model)?;
    if !args.model.is_dir() {
        let words = format!("verify: '{}' is built in and no folder; ONNX Runtime needs the files", args.model.display());
        return Err(Failure::new(Cause::Usage, words));
    }
    inspect::placement(&network)?;
    let python = args.python.clone().or_else(|| std::env::var_os("PYTHON").map(PathBuf::from)).unwrap_or_else(|| "python3".into());
    let needed: &[&str] = if args.images.is_some() { &["numpy", "onnxruntime", "PIL"] } else { &["numpy", "onnxruntime"] };
    let has =
        Command::new(&python).arg("-c").arg(format!("import {}", needed.join(", "))).stdout(Stdio::null()).stderr(Stdio::null()).status();
    if !has.is_ok_and(|status| status.success()) {
        let words = format!(
            "verify: {} cannot import {}: install what is missing (pip install numpy onnxruntime pillow), or name another Python with --python",
            python.display(),
            needed.join(", ")
        );
        return Err(Failure::new(Cause::Engine, words));
    }
    let own =
        std::env::current_exe().map_err(|error| Failure::new(Cause::Internal, format!("verify: this program's own path: {error}")))?;
    let mut command = Command::new(&python);
    command.arg("-c").arg(BEGIN).arg(NETWORK).arg(VERIFY).arg(&args.model);
    command.arg("--program").arg(own).args(["--frames", &args.frames.to_string(), "--halt", &args.halt]);
    if let Some(images) = &args.images {
        command.arg("--images").arg(images);
    }
    if let Some(tolerance) = args.tolerance {
        command.args(["--tolerance", &tolerance.to_string()]);
    }
    let status =
        command.status().map_err(|error| Failure::new(Cause::Engine, format!("verify: {} does not start: {error}", python.display())))?;
    match status.code() {
        Some(0) => Ok(()),
        Some(5) => Err(Failure::new(Cause::Model, format!("{} differs from ONNX Runtime; see above", args.model.display()))),
        _ => Err(Failure::new(Cause::Engine, format!("verify: the comparison in {} failed ({status}); see above", python.display()))),
    }
}
