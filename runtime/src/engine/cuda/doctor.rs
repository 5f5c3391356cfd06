//! What a user needs to know when the GPU is not used, or is slower than it should be.

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::abi::{BeginArgs, Control, Order, Plain, Report};
use super::driver::{Buffer, Context, Launch, Mapped, Result, Stream};
use super::images;
use super::nvrtc::Compiler;

/// What was found out about the GPU.
#[derive(Clone, Debug, Default)]
pub struct Examination {
    /// Facts, in the order in which they were established.
    pub facts: Vec<(&'static str, String)>,
    /// What stands in the way, with what to do about it.
    pub problems: Vec<String>,
    /// Microseconds from queueing one empty kernel to knowing that it is done; `None` where it was not measured.
    pub launch_us: Option<f64>,
    /// Microseconds one more kernel costs inside a recorded graph; `None` where it was not measured.
    pub node_us: Option<f64>,
}

impl fmt::Display for Examination {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, value) in &self.facts {
            writeln!(out, "{name:<18} {value}")?;
        }
        let measured = |value: Option<f64>| value.map_or_else(|| "not measured".to_owned(), |us| format!("{us:.1} us"));
        writeln!(out, "{:<18} {}", "launch and wait", measured(self.launch_us))?;
        writeln!(out, "{:<18} {}", "kernel in a graph", measured(self.node_us))?;
        if self.problems.is_empty() {
            return writeln!(out, "{:<18} the GPU can be used", "verdict");
        }
        self.problems.iter().try_for_each(|problem| writeln!(out, "{:<18} {problem}", "problem"))
    }
}

/// Looks at the driver, the device, the kernels and this user's rights; `root` is `/`, or a stand-in for it in tests.
pub fn examine(root: &Path) -> Examination {
    let mut found = Examination::default();
    device_nodes(root, &mut found);
    match Context::open() {
        Err(error) => found.problems.push(error.to_string()),
        Ok(context) => {
            if let Err(error) = device(&context, &mut found) {
                found.problems.push(error.to_string());
            }
        }
    }
    found
}

fn device(context: &Arc<Context>, found: &mut Examination) -> Result<()> {
    let info = &context.info;
    let mib = |bytes: usize| format!("{} MiB", bytes >> 20);
    found.facts.push(("GPU", info.name.clone()));
    found.facts.push(("driver", format!("CUDA {}.{}", info.driver / 1000, info.driver % 1000 / 10)));
    found.facts.push((
        "compute capability",
        format!("{}.{}, {} multiprocessors", info.capability / 10, info.capability % 10, info.multiprocessors),
    ));
    found.facts.push(("memory", format!("{}{}", mib(info.memory), if info.integrated { ", shared with the CPU" } else { "" })));
    let camera = if info.registers { "read in place where the camera's driver fills our memory, else copied once" } else { "copied once" };
    found.facts.push(("pictures", camera.to_owned()));
    let loaded = images::load(context)?;
    let arithmetic = if loaded.k_step.is_some() { "fp16 on tensor cores" } else { "fp32" };
    found.facts.push(("kernels", format!("{}, {arithmetic}", loaded.image)));
    let chains = match Compiler::open() {
        Ok(Compiler { version: (major, minor), .. }) => format!("compiled for each network, by NVRTC {major}.{minor}"),
        Err(reason) => format!("interpreted: {reason}; the package cuda-nvrtc of the CUDA toolkit makes networks faster"),
    };
    found.facts.push(("chains", chains));
    // The smallest kernel there is measures what every launch costs.
    let stream = Stream::new(context)?;
    let control = Buffer::zeroed(context, &stream, size_of::<Control>())?;
    let order = Mapped::new(context, 1, Order::default())?;
    let report = Mapped::new(context, 1, Report::NONE)?;
    let args = BeginArgs { control: control.address, report: report.address, order: order.address, ..BeginArgs::default() };
    let launch =
        Launch { function: loaded.module.function("begin_steps", 0)?, grid: [1, 1, 1], threads: 32, shared: 0, args: args.bytes() };
    let time = |work: &dyn Fn() -> Result<()>| -> Result<f64> {
        const ROUNDS: u32 = 50;
        let mut times = Vec::new();
        for _ in 0..ROUNDS {
            let began = Instant::now();
            work()?;
            stream.wait(Duration::from_secs(2))?;
            times.push(began.elapsed());
        }
        times.sort();
        Ok(times[times.len() / 2].as_secs_f64() * 1e6)
    };
    found.launch_us = Some(time(&|| stream.launch(&launch))?);
    let recorded = |nodes: usize| stream.capture(|| (0..nodes).try_for_each(|_| stream.launch(&launch)));
    let (short, long) = (recorded(1)?, recorded(101)?);
    let (short, long) = (time(&|| stream.replay(&short))?, time(&|| stream.replay(&long))?);
    found.node_us = Some(((long - short) / 100.0).max(0.0));
    Ok(())
}

/// Device nodes that exist and that this user may not open: on a Jetson that means a missing group.
fn device_nodes(root: &Path, found: &mut Examination) {
    let mut seen = Vec::new();
    for (name, group) in [
        ("dev/nvidia0", "video"),
        ("dev/nvidiactl", "video"),
        ("dev/nvidia-uvm", "video"),
        ("dev/nvmap", "video"),
        ("dev/nvhost-gpu", "video"),
        ("dev/nvhost-ctrl-gpu", "video"),
        ("dev/nvgpu/igpu0/ctrl", "video"),
        ("dev/dri/renderD128", "render"),
    ] {
        let path = root.join(name);
        if !path.exists() {
            continue;
        }
        seen.push(format!("/{name}"));
        if let Err(error) = std::fs::OpenOptions::new().read(true).write(true).open(&path)
            && error.kind() == std::io::ErrorKind::PermissionDenied
        {
            found.problems.push(format!("/{name} may not be opened: add this user to the group '{group}' and log in again"));
        }
    }
    let seen = if seen.is_empty() { "none of NVIDIA's".to_owned() } else { seen.join(", ") };
    found.facts.push(("device nodes", seen));
}
