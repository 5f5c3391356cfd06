//! Writes the luma of every frame of a source to standard output: `WIDTH HEIGHT` on a line, then its bytes. For comparison with
//! what other decoders make of it.
//!
//! usage: recslowfast-luma URI; exit code 1 with a sentence where the source breaks, after the frames before.

use std::io::Write;
use std::time::Duration;

use recslowfast::capture::fit::{Fitter, InputSpec, Mode};
use recslowfast::capture::{self, CaptureRequest, Pull};
use recslowfast::frame::Frame;

fn main() {
    let uri = std::env::args().nth(1).unwrap_or_default();
    if let Err(error) = write(&uri) {
        eprintln!("{error}");
        std::process::exit(1);
    }
}

fn write(uri: &str) -> anyhow::Result<()> {
    let mut source = capture::open(uri, &CaptureRequest::default())?;
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    let mut fitter: Option<(u32, u32, Fitter)> = None;
    let mut frame = Frame::default();
    loop {
        match source.pull(&mut frame, Duration::from_millis(100))? {
            Pull::End => break,
            Pull::Waiting => continue,
            Pull::Frame => {}
        }
        let (width, height) = (frame.width, frame.height);
        if fitter.as_ref().is_none_or(|(w, h, _)| (*w, *h) != (width, height)) {
            // A tensor of the picture's own size: every level comes through as it is.
            fitter = Some((width, height, Fitter::new(InputSpec::luma(width as usize, height as usize), Mode::Stretch)));
        }
        let Some((_, _, fitter)) = &mut fitter else { continue };
        let mut tensor = vec![0.0; fitter.spec().values()];
        if let Err(error) = fitter.fit(&frame, &mut tensor) {
            eprintln!("{error}");
            continue;
        }
        writeln!(out, "{width} {height}")?;
        out.write_all(&tensor.iter().map(|level| (level * 255.0).round() as u8).collect::<Vec<_>>())?;
    }
    out.flush()?;
    let corrupt = source.losses().corrupt;
    if corrupt > 0 {
        eprintln!("{corrupt} frames could not be read");
    }
    Ok(())
}
