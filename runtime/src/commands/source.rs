//! Which source is watched when, and waiting for a camera that is not there yet.

use std::ffi::OsStr;
use std::time::Duration;

use crate::capture::{self, CaptureError, CaptureRequest, FaultSpec, Kind, Source, Timeouts};
use crate::service::exit::{Cause, Failure};
use crate::service::lifecycle::Lifecycle;
use crate::sources;
use crate::telemetry::CameraState;

/// How long a service rests between two looks for its camera.
const LOOK_AGAIN: Duration = Duration::from_millis(500);

/// How often is looked whether a stream has begun.
const LOOK_AT_STREAM: Duration = Duration::from_millis(20);

/// What was asked for.
pub struct SourceRequest<'a> {
    /// Where to look; None for the first camera that opens.
    pub uri: Option<&'a OsStr>,
    /// Faults to rehearse.
    pub fault: Option<&'a FaultSpec>,
    /// Who takes results for what a camera saw: where there is anybody, the built-in stream is watched only if it was asked for.
    pub takers: Vec<String>,
    /// Side of the built-in stream's canvas, where that is watched and nothing else is said.
    pub canvas: u32,
}

impl SourceRequest<'_> {
    fn start(&self, uri: impl AsRef<OsStr>) -> Result<Box<dyn Source>, CaptureError> {
        let want = CaptureRequest { canvas: self.canvas, ..CaptureRequest::default() };
        sources::start(uri.as_ref(), &want, self.fault.cloned(), Timeouts::default())
    }

    fn is_camera(&self) -> bool {
        self.uri.is_none_or(|uri| capture::check(uri).is_ok_and(|kind| kind != Kind::Film))
    }

    fn is_stream(&self) -> bool {
        self.uri.is_some_and(|uri| capture::check(uri).is_ok_and(|kind| kind == Kind::Stream))
    }

    /// Whether what will be watched is the real world, and not the built-in stream; with what was opened to find out.
    pub fn is_natural(&self, service: bool) -> (bool, Option<Box<dyn Source>>) {
        match self.uri {
            Some(uri) => (is_natural(uri), None),
            None if service => (true, None),
            None => {
                let camera = self.try_open().ok();
                (camera.is_some(), camera)
            }
        }
    }

    /// Nothing acts on a generated scene unasked.
    fn refuse_to_make_up(&self, refusal: &CaptureError) -> Result<(), Failure> {
        let Some(first) = self.takers.first() else { return Ok(()) };
        let more = self.takers.len() - 1;
        let who = if more == 0 { first.clone() } else { format!("{first} and {more} more") };
        let words = format!(
            "{refusal}; without a camera only the built-in stream could be watched, and {who} would act on its generated scene as if it were real: \
             plug a camera in, name a source (--source), or ask for that stream by name (--source 'pathfinder:easy?fps=25')"
        );
        Err(Failure::new(Cause::Source, words))
    }

    /// The source asked for; without one, the first camera that opens.
    fn try_open(&self) -> Result<Box<dyn Source>, CaptureError> {
        if let Some(uri) = self.uri {
            return self.start(uri);
        }
        let mut refusal = CaptureError::Open { path: "a camera".into(), reason: "there is no /dev/video*; is it plugged in?".into() };
        for camera in cameras() {
            match self.start(&camera) {
                Ok(source) => return Ok(source),
                Err(error) => refusal = error,
            }
        }
        Err(refusal)
    }
}

/// Whether `uri` names something other than the built-in stream.
pub fn is_natural(uri: impl AsRef<OsStr>) -> bool {
    !uri.as_ref().as_encoded_bytes().starts_with(b"pathfinder")
}

/// Opens what is wanted, unless it is `opened` already. A service waits for its camera; a person without a camera gets the built-in stream.
/// None when asked to end while waiting.
pub fn open(
    wanted: &SourceRequest,
    opened: Option<Box<dyn Source>>,
    lifecycle: &mut Lifecycle,
    engine: &'static str,
) -> Result<Option<Box<dyn Source>>, Failure> {
    let (mut told, mut opened) = (false, opened.map(Ok));
    let source = loop {
        let refusal = match opened.take().unwrap_or_else(|| wanted.try_open()) {
            Ok(source) => break source,
            Err(refusal) => refusal,
        };
        if lifecycle.is_service() && wanted.is_camera() {
            if !told {
                log::warn!("{refusal}; waiting for the camera");
                lifecycle.notifier().ready_without_camera(engine, &refusal.to_string());
                told = true;
            }
            if !lifecycle.goes_on() {
                return Ok(None);
            }
            lifecycle.waited(CameraState::Searching);
            std::thread::sleep(LOOK_AGAIN);
        } else if wanted.uri.is_none() {
            wanted.refuse_to_make_up(&refusal)?;
            log::warn!("{refusal}; watching the built-in pathfinder stream, whose scene is made up");
            break wanted.start("pathfinder:easy?seed=7&fps=25")?;
        } else {
            return Err(refusal.into());
        }
    };
    if wanted.is_stream() && !awaited(source.as_ref(), lifecycle, engine)? {
        return Ok(None);
    }
    for note in &source.info().notes {
        log::info!("{note}");
    }
    Ok(Some(source))
}

/// Waits for a stream's first picture, or for the reason why none comes: a service goes on without, a person is told. False when asked to end.
fn awaited(source: &dyn Source, lifecycle: &mut Lifecycle, engine: &'static str) -> Result<bool, Failure> {
    while source.state() != CameraState::Streaming {
        if !lifecycle.goes_on() {
            return Ok(false);
        }
        if let Some(trouble) = source.trouble() {
            if !lifecycle.is_service() {
                return Err(Failure::new(Cause::Source, trouble));
            }
            log::warn!("{trouble}; waiting for the camera");
            lifecycle.notifier().ready_without_camera(engine, &trouble);
            break;
        }
        std::thread::sleep(LOOK_AT_STREAM);
    }
    Ok(true)
}

/// Video devices by number, lowest first.
fn cameras() -> Vec<String> {
    let nodes = std::fs::read_dir("/dev").into_iter().flatten().flatten();
    let numbers = nodes.filter_map(|node| node.file_name().to_str()?.strip_prefix("video")?.parse::<u32>().ok());
    let mut numbers: Vec<u32> = numbers.collect();
    numbers.sort_unstable();
    numbers.into_iter().map(|number| format!("/dev/video{number}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(takers: &[&str]) -> Option<Failure> {
        let takers = takers.iter().map(|&taker| taker.to_owned()).collect();
        let refusal = CaptureError::Open { path: "a camera".into(), reason: "there is none".into() };
        SourceRequest { uri: None, fault: None, takers, canvas: 64 }.refuse_to_make_up(&refusal).err()
    }

    #[test]
    fn a_made_up_scene_is_for_eyes_only() {
        assert!(refused(&[]).is_none());
        let failure = refused(&["mavlink:/dev/ttyTHS1", "the recording a.mcap"]).unwrap();
        assert_eq!(failure.cause, Cause::Source);
        for words in ["mavlink:/dev/ttyTHS1 and 1 more", "generated scene", "there is none", "--source 'pathfinder:"] {
            assert!(failure.message.contains(words), "'{words}' is not in: {failure}");
        }
    }
}
