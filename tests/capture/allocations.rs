//! In steady state no frame allocates, from the source through the newest-frame slot to the tensor.

mod counting;

use std::io::Write;
use std::time::Duration;

use counting::{Counting, allocations};
use recslowfast::capture::fit::{Fitter, InputSpec, Mode};
use recslowfast::capture::{self, CaptureError, CaptureRequest, Losses, NewestFrame, Pull, Source, SourceInfo};
use recslowfast::frame::{Frame, PixelFormat};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Writes into whatever buffer it is handed, as a driver's copy does.
struct Camera {
    info: SourceInfo,
    next: u64,
}

impl Source for Camera {
    fn info(&self) -> &SourceInfo {
        &self.info
    }

    fn pull(&mut self, frame: &mut Frame, _: Duration) -> Result<Pull, CaptureError> {
        std::thread::sleep(Duration::from_micros(300));
        (frame.format, frame.width, frame.height, frame.stride) = (PixelFormat::Yuyv, 640, 480, 1280);
        frame.range = frame.format.usual_range();
        frame.data.clear();
        frame.data.resize(640 * 480 * 2, self.next as u8);
        frame.sequence = self.next;
        self.next += 1;
        Ok(Pull::Frame)
    }

    fn losses(&self) -> Losses {
        Losses::default()
    }
}

fn spend(source: &mut dyn Source, fitter: &mut Fitter, tensor: &mut [f32], frame: &mut Frame, frames: u64) {
    for _ in 0..frames {
        assert_eq!(source.pull(frame, Duration::from_secs(5)).unwrap(), Pull::Frame);
        fitter.fit(frame, tensor).unwrap();
    }
}

// One test: the count is the whole process's.
#[test]
fn a_steady_stream_allocates_nothing() {
    let mut frame = Frame::default();

    for spec in [InputSpec::luma(150, 150), InputSpec { channels: 3, ..InputSpec::luma(150, 150) }] {
        let mut tensor = vec![0.0; spec.values()];
        let mut fitter = Fitter::new(spec, Mode::Letterbox);
        let camera = Camera { info: SourceInfo { live: true, ..SourceInfo::default() }, next: 0 };
        let mut latest = NewestFrame::spawn(Box::new(camera)).unwrap();
        spend(&mut latest, &mut fitter, &mut tensor, &mut frame, 20);
        let before = allocations();
        spend(&mut latest, &mut fitter, &mut tensor, &mut frame, 200);
        assert_eq!(allocations() - before, 0, "allocations in 200 live frames");
    }

    let folder = tempfile::tempdir().unwrap();
    let film = folder.path().join("film.y4m");
    let mut file = std::io::BufWriter::new(std::fs::File::create(&film).unwrap());
    file.write_all(b"YUV4MPEG2 W320 H240 F25:1\n").unwrap();
    for number in 0..120_u8 {
        file.write_all(b"FRAME\n").unwrap();
        file.write_all(&vec![number; 320 * 240 * 3 / 2]).unwrap();
    }
    drop(file);
    let mut source = capture::open(film.to_str().unwrap(), &CaptureRequest::default()).unwrap();
    let mut tensor = vec![0.0; 64 * 64];
    let mut fitter = Fitter::new(InputSpec::luma(64, 64), Mode::Crop);
    spend(source.as_mut(), &mut fitter, &mut tensor, &mut frame, 20);
    let before = allocations();
    spend(source.as_mut(), &mut fitter, &mut tensor, &mut frame, 100);
    assert_eq!(allocations() - before, 0, "allocations in 100 frames of a film");
}
