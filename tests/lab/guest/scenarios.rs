//! What a camera does to us, and what must come of it.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use recslowfast::capture::fit::{Fitter, InputSpec, Mode};
use recslowfast::capture::{self, CaptureRequest, Memory, Pull, Source, Timeouts};
use recslowfast::engine::cuda::{CudaEngine, Precision};
use recslowfast::frame::Frame;
use recslowfast::network::Network;
use recslowfast::network::engine::{Engine, StepRequest};
use recslowfast::network::halting::HaltingRule;
use recslowfast::telemetry::CameraState;

use crate::board::{self, CAMERA};
use crate::counting::allocations;

/// A camera under supervision, and the account of what came of it.
struct Watch {
    source: Box<dyn Source>,
    frame: Frame,
    results: u64,
}

impl Watch {
    fn start(uri: &str) -> Result<Watch> {
        let source = capture::start(uri, &CaptureRequest::default(), None, Timeouts::default())?;
        Ok(Watch { source, frame: Frame::default(), results: 0 })
    }

    /// Waits for one frame.
    fn next(&mut self, patience: Duration) -> Result<bool> {
        let until = Instant::now() + patience;
        while Instant::now() < until {
            match self.source.pull(&mut self.frame, Duration::from_millis(20))? {
                Pull::Frame => {
                    self.results += 1;
                    return Ok(true);
                }
                Pull::Waiting => {}
                Pull::End => bail!("the camera ended"),
            }
        }
        Ok(false)
    }

    fn frames(&mut self, count: u64) -> Result<()> {
        for _ in 0..count {
            ensure!(self.next(Duration::from_secs(10))?, "no frame for 10 s, camera {:?}, {:?}", self.source.state(), self.source.losses());
        }
        Ok(())
    }

    /// Driver drops, ours, damaged ones and results are all there is.
    fn balance(&mut self) -> Result<String> {
        let losses = self.source.losses();
        let span = self.frame.sequence + 1;
        let known = losses.dropped + losses.skipped + losses.corrupt + self.results;
        // Frames that came after the last one we took may be counted already.
        ensure!(
            known >= span && known - span <= 3,
            "{span} frames were counted and {known} are accounted for: {} results, {losses:?}",
            self.results
        );
        Ok(format!(
            "{} results + {} dropped + {} skipped + {} corrupt = {span}",
            self.results, losses.dropped, losses.skipped, losses.corrupt
        ))
    }
}

/// Waits for a frame that shows exactly `picture` and writes its luma tensor, stretched to `width` x `height`, as `f32` to `out`.
pub fn tensor(uri: &str, width: usize, height: usize, out: &str, picture: &str) -> Result<()> {
    let picture = std::fs::read(picture)?;
    let mut frame = Frame::default();
    let until = Instant::now() + Duration::from_secs(20);
    // A loop shows something of its own until its feed has begun; a loopback cannot be opened before.
    let mut source = loop {
        match capture::open(uri, &CaptureRequest::default()) {
            Ok(source) => break source,
            Err(error) if Instant::now() > until => return Err(error.into()),
            Err(_) => std::thread::sleep(Duration::from_millis(50)),
        }
    };
    while source.pull(&mut frame, Duration::from_millis(100))? != Pull::Frame || !shows(&frame, &picture) {
        ensure!(
            Instant::now() < until,
            "{uri} never showed the picture; the last frame has {} bytes, the picture {}",
            frame.data.len(),
            picture.len()
        );
    }
    let mut tensor = vec![0.0; width * height];
    Fitter::new(InputSpec::luma(width, height), Mode::Stretch).fit(&frame, &mut tensor)?;
    std::fs::write(out, tensor.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<_>>())?;
    println!("{}x{} {} stride {} {:?}", frame.width, frame.height, frame.format, frame.stride, frame.range);
    Ok(())
}

/// Whether a frame's rows, less their padding, are the picture's.
fn shows(frame: &Frame, picture: &[u8]) -> bool {
    let row = frame.format.row_bytes(frame.width) as usize;
    if row == 0 || frame.stride as usize == row {
        return frame.data.starts_with(picture);
    }
    frame.data.chunks(frame.stride as usize).zip(picture.chunks(row)).all(|(got, put)| got.starts_with(put))
}

/// The camera is taken away and brought back.
pub fn unplug(cycles: u32) -> Result<()> {
    let mut watch = Watch::start(CAMERA)?;
    watch.frames(10)?;
    let (mut slowest, mut total) = (Duration::ZERO, Duration::ZERO);
    let mut before = (0, 0);
    for cycle in 0..cycles {
        board::unplug()?;
        let gone = Instant::now();
        while watch.source.state() != CameraState::Lost {
            ensure!(gone.elapsed() < Duration::from_secs(2), "cycle {cycle}: the loss is not noticed, camera {:?}", watch.source.state());
            watch.next(Duration::from_millis(20))?;
        }
        std::thread::sleep(Duration::from_millis(u64::from(cycle % 7) * 200));
        while watch.next(Duration::ZERO)? {}
        board::plug()?;
        let back = Instant::now();
        ensure!(watch.next(Duration::from_secs(5))?, "cycle {cycle}: no frame within 5 s of the return, camera {:?}", watch.source.state());
        let took = back.elapsed();
        ensure!(took < Duration::from_secs(2), "cycle {cycle}: the first frame came {took:?} after the return");
        slowest = slowest.max(took);
        total += took;
        watch.frames(3)?;
        ensure!(watch.source.state() == CameraState::Streaming, "cycle {cycle}: frames come and the camera is {:?}", watch.source.state());
        if cycle == 9 {
            before = (board::resident_kib()?, board::descriptors()?);
        }
    }
    let after = (board::resident_kib()?, board::descriptors()?);
    if cycles > 10 {
        ensure!(after.1 == before.1, "descriptors grew from {} to {}", before.1, after.1);
        ensure!(after.0 <= before.0 + 1024, "memory grew from {} to {} KiB", before.0, after.0);
    }
    println!(
        "unplug: {cycles} of {cycles} recovered, slowest {:.2} s, mean {:.2} s; descriptors {} -> {}, memory {} -> {} KiB; {}",
        slowest.as_secs_f64(),
        total.as_secs_f64() / f64::from(cycles),
        before.1,
        after.1,
        before.0,
        after.0,
        watch.balance()?
    );
    Ok(())
}

/// An HDMI input announces another signal under way: the stream ends with that reason, and supervision opens it anew.
pub fn change(changes: usize) -> Result<()> {
    for number in 0..changes {
        let mut source = capture::open(CAMERA, &CaptureRequest::default())?;
        let mut frame = Frame::default();
        ensure!(source.pull(&mut frame, Duration::from_secs(5))? == Pull::Frame, "no frame before change {number}");
        // Selected timings, and back to the current ones.
        board::control(&format!("dv_timings_signal_mode={}", if number % 2 == 0 { 4 } else { 0 }))?;
        let until = Instant::now() + Duration::from_secs(5);
        let error = loop {
            match source.pull(&mut frame, Duration::from_millis(100)) {
                Err(error) => break error.to_string(),
                Ok(_) => ensure!(Instant::now() < until, "change {number} went unnoticed"),
            }
        };
        ensure!(error.contains("size or format changed"), "change {number} was taken for something else: {error}");
    }
    let mut watch = Watch::start(CAMERA)?;
    for signal in [4, 0, 4] {
        watch.frames(10)?;
        board::control(&format!("dv_timings_signal_mode={signal}"))?;
        watch.frames(30)?;
    }
    println!("change: {changes} of {changes} announced changes noticed; under supervision frames go on: {}", watch.balance()?);
    Ok(())
}

/// The camera stands and delivers nothing for 5 s, again and again.
pub fn stall(stalls: u32) -> Result<()> {
    let mut watch = Watch::start(CAMERA)?;
    for stall in 0..stalls {
        watch.frames(10)?;
        board::control("percentage_of_dropped_buffers=100")?;
        let start = Instant::now();
        let mut named = None;
        while start.elapsed() < Duration::from_secs(5) {
            watch.next(Duration::from_millis(100))?;
            if watch.source.state() == CameraState::Stalled {
                named.get_or_insert(start.elapsed());
            }
        }
        let named = named.with_context(|| format!("stall {stall} was not named: camera {:?}", watch.source.state()))?;
        ensure!(named < Duration::from_secs(4), "stall {stall} was named after {named:?}");
        board::control("percentage_of_dropped_buffers=0")?;
        watch.frames(1)?;
        ensure!(watch.source.state() == CameraState::Streaming, "stall {stall} ended and the camera is {:?}", watch.source.state());
    }
    println!("stall: {stalls} of {stalls} named and ended with frames");
    Ok(())
}

/// The driver makes mistakes.
pub fn errors() -> Result<()> {
    let mut watch = Watch::start(CAMERA)?;
    watch.frames(5)?;
    let before = watch.source.losses();
    for _ in 0..20 {
        board::control("inject_v4l2_buf_flag_error=1")?;
        watch.frames(4)?;
    }
    let flagged = watch.source.losses().corrupt - before.corrupt;
    ensure!(flagged == 20, "20 frames were flagged as broken, {flagged} were counted");
    let flagged_account = watch.balance()?;

    board::control("percentage_of_dropped_buffers=50")?;
    let before = watch.source.losses();
    watch.frames(50)?;
    board::control("percentage_of_dropped_buffers=0")?;
    watch.frames(3)?;
    let dropped = watch.source.losses().dropped - before.dropped;
    ensure!(dropped >= 20, "half of the frames were dropped, {dropped} were counted");
    watch.balance()?;

    let mut hard = 0;
    for fault in ["inject_vidioc_qbuf_error=1", "inject_fatal_streaming_error=1"] {
        for _ in 0..5 {
            board::control(fault)?;
            // A few frames may still be in the driver's hands.
            watch.frames(12)?;
            hard += 1;
        }
    }
    println!(
        "errors: 20 flagged frames cost 20 ({flagged_account}); {dropped} dropped by the driver and counted; {hard} broken streams rebuilt"
    );
    Ok(())
}

/// What `doctor camera` finds: the camera with its formats, and why a node that is none is none.
pub fn doctor() -> Result<()> {
    let nodes = capture::doctor::cameras();
    for node in &nodes {
        print!("{node}");
    }
    let camera = nodes.iter().find(|node| node.path.as_os_str() == CAMERA).context("the camera is not listed")?;
    let camera = camera.camera.as_ref().map_err(|reason| anyhow::anyhow!("{reason}"))?;
    let usable = camera.formats.iter().filter(|offer| offer.usable && !offer.sizes.is_empty()).count();
    ensure!(camera.driver == "vivid" && usable >= 20, "{camera:?}");
    let others = nodes.iter().filter(|node| node.camera.is_err()).count();
    println!("doctor: {} nodes, {usable} formats of the camera can be read, {others} nodes are no cameras and say so", nodes.len());
    Ok(())
}

/// The driver writes into the frames' own memory, which goes round between it and us.
pub fn userptr() -> Result<()> {
    let want = CaptureRequest { memory: Memory::User, ..CaptureRequest::default() };
    let mut source = capture::open(CAMERA, &want)?;
    ensure!(source.info().notes.is_empty(), "{:?}", source.info().notes);
    let mut frame = Frame::default();
    let mut places = std::collections::BTreeSet::new();
    let mut last = None;
    for _ in 0..200 {
        ensure!(source.pull(&mut frame, Duration::from_secs(5))? == Pull::Frame, "no frame for 5 s");
        ensure!(last < Some(frame.sequence), "frame {} after {last:?}", frame.sequence);
        ensure!(frame.data.iter().any(|byte| *byte != frame.data[0]), "frame {} shows nothing", frame.sequence);
        last = Some(frame.sequence);
        places.insert(frame.data.as_ptr() as usize);
    }
    // The driver's four and the one we hold.
    ensure!(places.len() <= want.buffers as usize + 1, "200 frames lay in {} places", places.len());
    println!("userptr: 200 frames in {} buffers of ours, none copied", places.len());
    Ok(())
}

/// The driver writes into memory that the GPU lent, and the GPU reads it there; what it makes of it is what the CPU makes.
pub fn pinned(network: &str) -> Result<()> {
    let want = CaptureRequest { memory: Memory::User, ..CaptureRequest::default() };
    let mut source = capture::open(CAMERA, &want)?;
    let network = Network::load(network)?;
    let mut gpu = CudaEngine::load(&network, Precision::Full)?;
    let (width, height) = (network.manifest.input.width as usize, network.manifest.input.height as usize);
    let mut fitter = Fitter::new(InputSpec::luma(width, height), Mode::Stretch);
    let mut tensor = vec![0.0; width * height];
    let order = StepRequest { rule: HaltingRule::fixed(1), limit: 1, deadline: None };
    let (mut frame, mut arrived, mut worst) = (Frame::default(), 0, 0f32);
    for _ in 0..200 {
        ensure!(source.pull(&mut frame, Duration::from_secs(5))? == Pull::Frame, "no frame for 5 s");
        arrived += usize::from(frame.data.block().is_some());
        gpu.pin(&mut frame);
        let sampling = fitter.sampling(&frame)?.context("a raw picture")?;
        ensure!(gpu.take(&frame, sampling)?, "frame {} is not taken", frame.sequence);
        gpu.encode()?;
        gpu.advance(&order)?;
        fitter.fit(&frame, &mut tensor)?;
        let differ = tensor.iter().zip(gpu.readout()?).map(|(want, got)| (want - got).abs() * 255.0);
        worst = differ.fold(worst, f32::max);
        ensure!(worst <= 1.0, "frame {}: the GPU's tensor differs by {worst} levels", frame.sequence);
    }
    let pictures = gpu.pictures();
    // Each buffer is new to the GPU once: the driver's four and the one we hold.
    ensure!(pictures.copied == 0 && arrived + want.buffers as usize + 1 >= 200, "{pictures:?}, {arrived} arrived in lent memory");
    println!("pinned: {arrived} of 200 frames were written by the driver where the GPU reads them, none copied; within {worst:.4} levels");
    Ok(())
}

/// Every `every`th picture of the feed is damaged.
pub fn corrupt(uri: &str, frames: u64, every: u64) -> Result<()> {
    let mut watch = Watch::start(uri)?;
    let mut fitter = Fitter::new(InputSpec::luma(150, 150), Mode::Letterbox);
    let mut tensor = vec![0.0; 150 * 150];
    let mut refused = 0;
    for _ in 0..frames {
        watch.frames(1)?;
        refused += u64::from(fitter.fit(&watch.frame, &mut tensor).is_err());
    }
    let losses = watch.source.losses();
    let (damaged, span) = (losses.corrupt + refused, watch.frame.sequence + 1);
    let expected = (span - losses.dropped) / every;
    ensure!(
        // Which of the frames lost on the way were damaged ones is not known.
        damaged.abs_diff(expected) <= 2 + (losses.skipped + losses.dropped) / 5,
        "{damaged} of {span} frames were refused, about {expected} are damaged: {losses:?}"
    );
    println!(
        "corrupt: {damaged} of {span} frames damaged and refused ({} by the source, {refused} by the decoder), all others answered; {losses:?}",
        losses.corrupt
    );
    Ok(())
}

/// A long watch.
pub fn soak(frames: u64) -> Result<()> {
    let mut watch = Watch::start(CAMERA)?;
    let mut fitter = Fitter::new(InputSpec::luma(150, 150), Mode::Letterbox);
    let mut tensor = vec![0.0; 150 * 150];
    let (mut settled, mut asked) = (0, 0);
    let start = Instant::now();
    for number in 1..=frames {
        watch.frames(1)?;
        fitter.fit(&watch.frame, &mut tensor)?;
        if number == 1000 {
            settled = board::resident_kib()?;
            asked = allocations();
        }
    }
    let asked = allocations() - asked;
    let end = board::resident_kib()?;
    ensure!(end <= settled + 1024, "memory grew from {settled} KiB at frame 1000 to {end} KiB");
    ensure!(asked == 0 || frames < 1000, "{asked} allocations after frame 1000");
    println!(
        "soak: {frames} frames in {:.0} s of camera time, memory {settled} -> {end} KiB, {asked} allocations after frame 1000; {}",
        start.elapsed().as_secs_f64(),
        watch.balance()?
    );
    Ok(())
}
