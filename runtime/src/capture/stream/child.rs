//! The process that receives: started in a group of its own, ended with all that it started, and never outliving us.

use std::io::{self, Read as _};
use std::os::fd::AsRawFd;
use std::os::unix::process::CommandExt;
use std::process::{ChildStdout, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

/// Bytes of complaint that are kept: the newest.
const COMPLAINT: usize = 4096;
/// How long a child whose output has ended may take to say why.
const LAST_WORDS: Duration = Duration::from_millis(300);

/// What reading brought.
pub(super) enum Read {
    Some,
    Nothing,
    /// The child writes no more; why, as far as it said.
    Ended(String),
}

/// A running receiver.
pub(super) struct Child {
    process: std::process::Child,
    output: ChildStdout,
    complaints: Arc<Mutex<Vec<u8>>>,
    listener: Option<JoinHandle<()>>,
    program: String,
}

impl Child {
    pub fn start(mut command: Command) -> Result<Child, String> {
        let program = command.get_program().to_string_lossy().into_owned();
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
        // SAFETY: only calls that may be made between fork and exec. A child whose parent dies would wait for a silent server for ever.
        unsafe {
            command.pre_exec(|| match libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) {
                0 => Ok(()),
                _ => Err(io::Error::last_os_error()),
            });
        }
        let mut process = command.spawn().map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => format!("{program} is not installed"),
            _ => format!("{program} does not start: {error}"),
        })?;
        let (Some(output), Some(mut errors)) = (process.stdout.take(), process.stderr.take()) else {
            unreachable!("both were piped");
        };
        let complaints = Arc::new(Mutex::new(Vec::new()));
        let kept = complaints.clone();
        let listener = std::thread::Builder::new().name("complaints".into()).spawn(move || {
            let mut part = [0; 512];
            while let Ok(count @ 1..) = errors.read(&mut part) {
                let mut kept = kept.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
                kept.extend_from_slice(&part[..count]);
                let surplus = kept.len().saturating_sub(COMPLAINT);
                kept.drain(..surplus);
            }
        });
        let child = Child { process, output, complaints, listener: listener.ok(), program };
        // SAFETY: a descriptor of ours; no memory is touched.
        unsafe {
            let flags = libc::fcntl(child.output.as_raw_fd(), libc::F_GETFL);
            libc::fcntl(child.output.as_raw_fd(), libc::F_SETFL, flags | libc::O_NONBLOCK);
            // Room for a frame, so that the child is seldom held up. Where that is too much, the usual size stays.
            libc::fcntl(child.output.as_raw_fd(), libc::F_SETPIPE_SZ, 1 << 20);
        }
        Ok(child)
    }

    pub fn program(&self) -> &str {
        &self.program
    }

    /// Reads up to `most` bytes behind what is in `into`, waiting up to `wait` for the first.
    pub fn read(&mut self, into: &mut Vec<u8>, most: usize, wait: Duration) -> Read {
        let mut entry = libc::pollfd { fd: self.output.as_raw_fd(), events: libc::POLLIN, revents: 0 };
        // SAFETY: one live entry, and its count.
        let ready = unsafe { libc::poll(&mut entry, 1, wait.as_micros().div_ceil(1000) as libc::c_int) };
        if ready <= 0 {
            return Read::Nothing;
        }
        let there = into.len();
        into.resize(there + most, 0);
        let read = self.output.read(&mut into[there..]);
        into.truncate(there + *read.as_ref().unwrap_or(&0));
        match read {
            Ok(0) => Read::Ended(self.last_words()),
            Ok(_) => Read::Some,
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => Read::Nothing,
            Err(error) => Read::Ended(error.to_string()),
        }
    }

    /// Why it ended.
    fn last_words(&mut self) -> String {
        let until = std::time::Instant::now() + LAST_WORDS;
        let mut status = None;
        while status.is_none() && std::time::Instant::now() < until {
            status = self.process.try_wait().ok().flatten();
            std::thread::sleep(Duration::from_millis(5));
        }
        let said = self.complaints.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        match (sentence(&String::from_utf8_lossy(&said)), status) {
            (Some(sentence), _) => format!("{}: {sentence}", self.program),
            (None, Some(status)) if !status.success() => format!("{} ended: {status}", self.program),
            _ => "the stream ended".into(),
        }
    }
}

/// The line of a complaint that says most: the last that speaks of an error, without its own prefixes.
fn sentence(said: &str) -> Option<String> {
    let lines = || said.lines().map(str::trim).filter(|line| !line.is_empty());
    let telling = lines().rfind(|line| {
        let line = line.to_lowercase();
        ["error", "erroneous", "refused", "failed", "not found", "timed out", "unauthorized", "no such"]
            .iter()
            .any(|sign| line.contains(sign))
    });
    let line = telling.or_else(|| lines().next_back())?;
    let line = line.rsplit_once("] ").map_or(line, |(_, rest)| rest);
    Some(without_password(line))
}

/// Hides the password of addresses in `text`.
pub(super) fn without_password(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let (before, behind) = rest.split_at(at + 3);
        out.push_str(before);
        let authority = behind.find(['/', '?', '#', ' ', '"', '\'']).unwrap_or(behind.len());
        if let Some(user_end) = behind[..authority].rfind('@') {
            let user = behind[..user_end].split(':').next().unwrap_or_default();
            out.push_str(user);
            if behind[..user_end].contains(':') {
                out.push_str(":***");
            }
            rest = &behind[user_end..];
        } else {
            rest = behind;
        }
    }
    out.push_str(rest);
    out
}

impl Drop for Child {
    fn drop(&mut self) {
        // The group is the child's own, and the child is not reaped yet, so that the number is still its.
        if self.process.try_wait().is_ok_and(|status| status.is_none()) {
            // SAFETY: sends a signal; no memory is touched.
            unsafe { libc::kill(-(self.process.id() as libc::pid_t), libc::SIGKILL) };
        }
        let _ = self.process.kill();
        let _ = self.process.wait();
        // Its pipe is closed now, so the listener has ended too.
        if let Some(listener) = self.listener.take() {
            let _ = listener.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_stay_out_of_logs() {
        assert_eq!(without_password("rtsp://me:s3cret@cam/1: refused"), "rtsp://me:***@cam/1: refused");
        assert_eq!(without_password("http://cam/?a=b@c and rtsp://u@h"), "http://cam/?a=b@c and rtsp://u@h");
    }

    #[test]
    fn the_telling_line_of_a_complaint_is_kept() {
        assert_eq!(
            sentence("[tcp @ 0x1] Connection to tcp://h:1 failed: Connection refused\nx\n").unwrap(),
            "Connection to tcp://h:1 failed: Connection refused"
        );
        assert_eq!(
            sentence("WARNING: erroneous pipeline: no element \"foo\"\n").unwrap(),
            "WARNING: erroneous pipeline: no element \"foo\""
        );
        assert_eq!(sentence("\n"), None);
    }
}
