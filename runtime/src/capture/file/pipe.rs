//! What can be read only once, and at its writer's pace: standard input, FIFOs, open descriptors.
//!
//! A thread reads, so that the run can be asked to end while the writer is silent. Every frame is handed over, in order.

#![allow(unsafe_code)] // `poll`, and a descriptor that is duplicated

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use super::cannot_open;
use super::input::Input;
use crate::capture::{CaptureError, Losses, Pull, Source, SourceInfo};
use crate::frame::Frame;
use crate::telemetry::CameraState;

/// How often the reading thread looks whether it should stop.
const LOOK: i32 = 100;
/// How long opening waits for the first bytes; later the source stands and waits.
const PATIENCE: Duration = Duration::from_secs(1);
/// How long one pull inside the thread may wait.
const WAIT: Duration = Duration::from_millis(100);

/// Opens a FIFO, or any other thing with a path that is no regular file.
pub(super) fn open_path(uri: &str, path: &Path) -> Result<Box<dyn Source>, CaptureError> {
    // Without O_NONBLOCK opening a FIFO would wait for its writer.
    let file = File::options().read(true).custom_flags(libc::O_NONBLOCK).open(path).map_err(|error| cannot_open(path, &error))?;
    Ok(Box::new(Pipe::start(uri, &path.display().to_string(), file.into())?))
}

/// Opens what this process was given as descriptor `number`.
pub(super) fn open_descriptor(uri: &str, number: u32) -> Result<Box<dyn Source>, CaptureError> {
    let name = if number == 0 { "standard input".to_owned() } else { format!("descriptor {number}") };
    let fail = |reason: String| CaptureError::Open { path: name.clone(), reason };
    // SAFETY: duplicating a number touches no memory; one that is not open is refused.
    let copy = unsafe { libc::fcntl(number as libc::c_int, libc::F_DUPFD_CLOEXEC, 3) };
    if copy < 0 {
        return Err(fail("this process was given none".into()));
    }
    // SAFETY: the copy was just made and belongs to nobody else.
    let owned = unsafe { OwnedFd::from_raw_fd(copy) };
    let file = File::from(owned);
    let kind = file.metadata().map_err(|error| fail(error.to_string()))?.file_type();
    if kind.is_file() {
        // A redirected file can be opened anew, so that it plays from its beginning and a decoder may go to and fro in it.
        let link = std::fs::read_link(format!("/proc/self/fd/{number}")).map_err(|error| fail(error.to_string()))?;
        if link.is_file() {
            return super::open(uri, &link);
        }
    }
    if kind.is_dir() {
        return Err(fail("it is a folder; name it by its path".into()));
    }
    if kind.is_char_device() && std::io::IsTerminal::is_terminal(&file) {
        return Err(fail(
            "it is a terminal; a film is expected, for example: ffmpeg ... -f yuv4mpegpipe - | recslowfast run --source -".into(),
        ));
    }
    Ok(Box::new(Pipe::start(uri, &name, file.into())?))
}

/// Reads from a descriptor until it ends or nobody wants more.
struct Polled {
    file: File,
    stop: Arc<AtomicBool>,
}

impl Read for Polled {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        loop {
            if self.stop.load(Ordering::Relaxed) {
                return Err(io::Error::other("nobody watches any more"));
            }
            let mut entry = libc::pollfd { fd: self.file.as_raw_fd(), events: libc::POLLIN, revents: 0 };
            // SAFETY: one live entry, and its count.
            let ready = unsafe { libc::poll(&mut entry, 1, LOOK) };
            if ready <= 0 {
                continue;
            }
            match self.file.read(into) {
                Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {}
                result => return result,
            }
        }
    }
}

/// What the thread has to say.
enum PipeMessage {
    Opened(SourceInfo),
    Frame(Box<Frame>, Losses),
    End,
    Failed(CaptureError),
}

/// A source that is read on a thread.
struct Pipe {
    info: SourceInfo,
    heard: Receiver<PipeMessage>,
    /// Frames go back here, so that a steady stream allocates nothing.
    back: SyncSender<Box<Frame>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
    losses: Losses,
    opened: bool,
    done: bool,
}

impl Pipe {
    fn start(uri: &str, name: &str, descriptor: OwnedFd) -> Result<Pipe, CaptureError> {
        let stop = Arc::new(AtomicBool::new(false));
        let polled = Polled { file: descriptor.into(), stop: stop.clone() };
        let (say, heard) = sync_channel(2);
        let (back, used) = sync_channel(4);
        let (theirs, input) = (uri.to_owned(), Input::once(name, Box::new(polled)));
        let thread = std::thread::Builder::new()
            .name("pipe".into())
            .spawn(move || read(&theirs, input, &say, &used))
            .map_err(|error| CaptureError::Open { path: name.to_owned(), reason: format!("no thread to read it: {error}") })?;
        let description = format!("{name}, which nobody has written into yet");
        let info = SourceInfo { uri: uri.to_owned(), description, ..SourceInfo::default() };
        let mut pipe = Pipe { info, heard, back, stop, thread: Some(thread), losses: Losses::default(), opened: false, done: false };
        match pipe.heard.recv_timeout(PATIENCE) {
            Ok(PipeMessage::Failed(error)) => return Err(error),
            Ok(PipeMessage::Opened(info)) => (pipe.info, pipe.opened) = (info, true),
            Ok(_) | Err(RecvTimeoutError::Disconnected) => pipe.done = true,
            Err(RecvTimeoutError::Timeout) => log::info!("{name}: waiting for somebody to write into it"),
        }
        Ok(pipe)
    }
}

/// Reads until the end, or until nobody listens.
fn read(uri: &str, input: Input, say: &SyncSender<PipeMessage>, used: &Receiver<Box<Frame>>) {
    let mut source = match super::open_input(uri, input) {
        Ok(source) => source,
        Err(error) => {
            let _ = say.send(PipeMessage::Failed(error));
            return;
        }
    };
    if say.send(PipeMessage::Opened(source.info().clone())).is_err() {
        return;
    }
    loop {
        let mut frame = used.try_recv().unwrap_or_default();
        let said = match source.pull(&mut frame, WAIT) {
            Ok(Pull::Frame) => PipeMessage::Frame(frame, source.losses()),
            Ok(Pull::Waiting) => continue,
            Ok(Pull::End) => PipeMessage::End,
            Err(error) => PipeMessage::Failed(error),
        };
        let last = !matches!(said, PipeMessage::Frame(..));
        if say.send(said).is_err() || last {
            return;
        }
    }
}

impl Source for Pipe {
    fn info(&self) -> &SourceInfo {
        &self.info
    }

    fn state(&self) -> CameraState {
        if self.opened { CameraState::Streaming } else { CameraState::Searching }
    }

    fn pull(&mut self, frame: &mut Frame, wait: Duration) -> Result<Pull, CaptureError> {
        while !self.done {
            match self.heard.recv_timeout(wait) {
                Ok(PipeMessage::Opened(info)) => {
                    log::info!("watching {}", info.description);
                    (self.info, self.opened) = (info, true);
                }
                Ok(PipeMessage::Frame(mut theirs, losses)) => {
                    std::mem::swap(frame, &mut theirs);
                    self.losses = losses;
                    let _ = self.back.try_send(theirs);
                    return Ok(Pull::Frame);
                }
                Ok(PipeMessage::End) | Err(RecvTimeoutError::Disconnected) => self.done = true,
                Ok(PipeMessage::Failed(error)) => {
                    self.done = true;
                    return Err(error);
                }
                Err(RecvTimeoutError::Timeout) => return Ok(Pull::Waiting),
            }
        }
        Ok(Pull::End)
    }

    fn losses(&self) -> Losses {
        self.losses
    }
}

impl Drop for Pipe {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        // A thread that waits for room to put a frame into is let go by taking what is there.
        while self.heard.recv_timeout(Duration::from_millis(LOOK as u64 * 3)).is_ok() {}
        // One that waits for a decoder ends with it, and is not waited for.
        if let Some(thread) = self.thread.take().filter(JoinHandle::is_finished) {
            let _ = thread.join();
        }
    }
}
