//! Writes videos as raw bytes to standard output: for every frame size x size luma bytes, then size x size mask bytes.
//!
//! `stream --split easy --seed 1 --size 64 --frames 8 [--videos N] [--first INDEX]`; without `--videos` it never ends.

use std::io::{self, BufWriter, ErrorKind, Write};
use std::process::ExitCode;
use std::str::FromStr;

use temporal_pathfinder::{Spec, Split, video};

const USAGE: &str = "usage: stream --split easy|hard --seed S --size PIXELS --frames T [--videos N] [--first INDEX]";

struct Wish {
    spec: Spec,
    first: u64,
    videos: Option<u64>,
}

fn parse(mut args: impl Iterator<Item = String>) -> Result<Wish, String> {
    fn value<T: FromStr<Err: std::fmt::Display>>(flag: &str, text: &str) -> Result<T, String> {
        text.parse().map_err(|error| format!("{flag} {text}: {error}"))
    }
    let mut wish = Wish { spec: Spec { split: Split::Easy, seed: 0, size: 64, frames: 8 }, first: 0, videos: None };
    while let Some(flag) = args.next() {
        let text = args.next().ok_or_else(|| format!("{flag} needs a value"))?;
        match flag.as_str() {
            "--split" => wish.spec.split = value(&flag, &text)?,
            "--seed" => wish.spec.seed = value(&flag, &text)?,
            "--size" => wish.spec.size = value(&flag, &text)?,
            "--frames" => wish.spec.frames = value(&flag, &text)?,
            "--videos" => wish.videos = Some(value(&flag, &text)?),
            "--first" => wish.first = value(&flag, &text)?,
            _ => return Err(format!("{flag} is not a flag of this example")),
        }
    }
    wish.spec.check().map_err(|error| error.to_string())?;
    Ok(wish)
}

fn write(wish: &Wish) -> io::Result<()> {
    let mut out = BufWriter::with_capacity(1 << 20, io::stdout().lock());
    let mut done = 0;
    while wish.videos.is_none_or(|videos| done < videos) {
        let video = video(wish.spec, wish.first.wrapping_add(done));
        for (frame, mask) in video.frames.iter().zip(&video.masks) {
            out.write_all(frame)?;
            out.write_all(mask)?;
        }
        done += 1;
    }
    out.flush()
}

fn main() -> ExitCode {
    let wish = match parse(std::env::args().skip(1)) {
        Ok(wish) => wish,
        Err(message) => {
            eprintln!("{message}\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    match write(&wish) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            eprintln!("the videos could not be written to standard output: {error}");
            ExitCode::FAILURE
        }
        _ => ExitCode::SUCCESS,
    }
}
