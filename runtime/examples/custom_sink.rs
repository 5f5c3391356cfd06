//! A sink of one's own, on a thread of its own: `cargo run --release --example custom_sink`. It counts the frames in which something was seen.

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use recslowfast::{Frame, Network, Overflow, Pipeline, Pull, Report, Sink, SinkError, SinkWorker, open};

/// Counts frames with detections.
struct Counter(Arc<AtomicU64>);

impl Sink for Counter {
    fn show(&mut self, report: &Report) -> Result<(), SinkError> {
        if report.detections.iter().next().is_some() {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    println!("something was seen in {} of 25 frames", watch(25)?);
    Ok(())
}

fn watch(frames: u64) -> Result<u64, Box<dyn Error>> {
    let network = Network::load("pathfinder-hgru")?;
    let mut source = open("pathfinder:easy?seed=7&size=64")?;
    let mut pipeline = Pipeline::builder(&network).source(source.info()).build()?;
    let counted = Arc::new(AtomicU64::new(0));
    // A full queue is waited for: a film's frames are all counted. A camera's sink would drop the oldest report instead.
    let worker = SinkWorker::start("counter", Box::new(Counter(Arc::clone(&counted))), Overflow::Wait)?;
    let mut frame = Frame::default();
    for _ in 0..frames {
        if source.pull(&mut frame, Duration::from_secs(1))? == Pull::Frame {
            let engine = pipeline.engine();
            worker.send(&pipeline.answer(&frame)?.report(&frame, engine))?;
        }
    }
    worker.close()?;
    Ok(counted.load(Ordering::Relaxed))
}

#[test]
fn every_frame_with_a_contour_is_counted() {
    assert!(watch(6).unwrap() > 0);
}
