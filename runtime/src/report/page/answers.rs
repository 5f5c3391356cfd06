//! What is answered to each request.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use super::feed::{Feed, Following};
use super::figures::{self, Metrics, Pictured};
use super::parser::{Refusal, Request};
use super::{live, metrics};
use crate::report::{Audience, Record, jpeg, painting};

const PAGE: &str = include_str!("page.html");
const SCRIPT: &str = include_str!("page.js");
const STYLE: &str = include_str!("page.css");
const SIGN_IN: &str = include_str!("sign-in.html");

const TEXT: &str = "text/plain; charset=utf-8";
const JPEG: &str = "image/jpeg";
const BOUNDARY: &str = "frame";
/// A request for a picture is answered with one of at most this age.
const FRESH: Duration = Duration::from_millis(500);
/// How long a request for a picture waits for one.
const WAIT: Duration = Duration::from_millis(1500);
/// Pictures a second that are encoded at most; also what a stream shows.
const SPACING: Duration = Duration::from_millis(95);

/// Bytes for a client; after the last ones of an answer it has ended.
pub struct Answer {
    pub bytes: Vec<u8>,
    pub ended: bool,
}

/// What all answers are made of.
pub struct Answers {
    figures: Arc<Mutex<Metrics>>,
    audience: Audience,
    /// Who looks at tiles.
    tiles_audience: Audience,
    /// The newest picture that was encoded, by the number of its result: alone, and with its boxes.
    plain: Option<(u64, Arc<Vec<u8>>)>,
    answered: Option<(u64, Instant, Arc<Vec<u8>>)>,
}

impl Answers {
    pub fn new(figures: Arc<Mutex<Metrics>>, audience: Audience, tiles_audience: Audience) -> Answers {
        Answers { figures, audience, tiles_audience, plain: None, answered: None }
    }

    pub fn figures(&self) -> MutexGuard<'_, Metrics> {
        figures::lock(&self.figures)
    }

    /// The feed that is asked for, if it is one.
    pub fn feed(request: &Request) -> Option<Feed> {
        match request.path.as_str() {
            _ if request.head => None,
            "/snapshot.jpg" => Some(Feed::Snapshot),
            "/stream" => Some(Feed::Pictures),
            "/events" => Some(Feed::Events),
            _ => None,
        }
    }

    /// The head of a feed's answer.
    pub fn begin(&self, feed: Feed) -> Vec<u8> {
        match feed {
            // Whether there is a picture is not known yet.
            Feed::Snapshot => Vec::new(),
            Feed::Pictures => head("200 OK", &format!("multipart/x-mixed-replace; boundary={BOUNDARY}"), None, false, ""),
            Feed::Events => head("200 OK", "text/event-stream", None, false, ""),
        }
    }

    /// What a feed says next; None if nothing has happened since.
    pub fn next(&mut self, following: &mut Following, now: Instant) -> Option<Answer> {
        match following.feed {
            Feed::Events => self.event(following, now).map(|bytes| Answer { bytes, ended: false }),
            Feed::Pictures => {
                self.audience.looked();
                let (number, picture) = self.answered(now, following.told)?;
                following.told = Some(number);
                let mut bytes = format!("--{BOUNDARY}\r\nContent-Type: {JPEG}\r\nContent-Length: {}\r\n\r\n", picture.len()).into_bytes();
                bytes.extend(picture.iter());
                bytes.extend(b"\r\n");
                Some(Answer { bytes, ended: false })
            }
            Feed::Snapshot => {
                self.audience.looked();
                let fresh = self.figures().pictured.as_ref().is_some_and(|pictured| pictured.at + FRESH > following.since);
                if fresh && let Some((_, picture)) = self.answered(now, None) {
                    return Some(Answer { bytes: whole("200 OK", JPEG, &picture, following.keep), ended: true });
                }
                let camera = self.figures().camera(now);
                (now.saturating_duration_since(following.since) > WAIT).then(|| {
                    let words = format!("503 Service Unavailable: there is no picture; the camera is {}\n", figures::name_of(camera));
                    Answer { bytes: whole("503 Service Unavailable", TEXT, words.as_bytes(), following.keep), ended: true }
                })
            }
        }
    }

    /// The newest result, or the camera's new state, as a server-sent event.
    fn event(&self, following: &mut Following, now: Instant) -> Option<Vec<u8>> {
        let figures = self.figures();
        let camera = figures.camera(now);
        if following.camera.replace(camera) != Some(camera) {
            return Some(format!("event: camera\ndata: {{\"camera\":\"{}\"}}\n\n", figures::name_of(camera)).into_bytes());
        }
        let (report, _) = figures.last.as_ref().filter(|_| following.told != Some(figures.frames))?;
        following.told = Some(figures.frames);
        Some(format!("data: {}\n\n", Record::json(report, &figures.heading.classes)).into_bytes())
    }

    /// The newest picture alone, as JPEG.
    fn plain(&mut self, pictured: &Pictured) -> Option<Arc<Vec<u8>>> {
        if self.plain.as_ref().is_none_or(|(number, _)| *number != pictured.number) {
            self.plain = Some((pictured.number, Arc::new(jpeg::encode(&painting::plain(&pictured.picture))?)));
        }
        self.plain.as_ref().map(|(_, bytes)| Arc::clone(bytes))
    }

    /// The newest picture with its boxes, as JPEG, with its number; None if it is the one that is known already.
    fn answered(&mut self, now: Instant, known: Option<u64>) -> Option<(u64, Arc<Vec<u8>>)> {
        let newest = self.figures().pictured.clone()?;
        if known == Some(newest.number) {
            return None;
        }
        let encoded = self.answered.as_ref().map(|(number, at, _)| (*number, *at));
        let due = encoded.is_none_or(|(number, at)| number != newest.number && now.saturating_duration_since(at) >= SPACING);
        if due {
            let classes = Arc::clone(&self.figures().heading.classes);
            let image = painting::answered(&newest.picture, &newest.detections, &classes);
            self.answered = Some((newest.number, now, Arc::new(jpeg::encode(&image)?)));
        }
        let (number, _, bytes) = self.answered.as_ref()?;
        (known != Some(*number)).then(|| (*number, Arc::clone(bytes)))
    }

    /// The answer to a request that is answered at once.
    pub fn to(&mut self, request: &Request, now: Instant) -> Vec<u8> {
        let keep = request.keep;
        let mut answer = match request.path.as_str() {
            "/" => whole("200 OK", "text/html; charset=utf-8", PAGE.as_bytes(), keep),
            "/page.js" => whole("200 OK", "text/javascript; charset=utf-8", SCRIPT.as_bytes(), keep),
            "/page.css" => whole("200 OK", "text/css; charset=utf-8", STYLE.as_bytes(), keep),
            "/live" => {
                self.audience.looked();
                if request.tiles {
                    self.tiles_audience.looked();
                }
                // Encoded without the lock, so that the thread that adds results does not wait.
                let pictured = self.figures().pictured.clone();
                let pictured = pictured.map(|pictured| Pictured { tiles: pictured.tiles.filter(|_| request.tiles), ..pictured });
                let picture = pictured.as_ref().and_then(|pictured| self.plain(pictured));
                let body = live::body(&self.figures(), pictured.as_ref(), picture.as_deref().map_or(&[], |bytes| bytes), now);
                whole("200 OK", "application/octet-stream", &body, keep)
            }
            "/metrics" => whole("200 OK", "text/plain; version=0.0.4; charset=utf-8", metrics::text(&self.figures(), now).as_bytes(), keep),
            "/healthz" => {
                let (since, stale) = self.figures().staleness(now);
                let seconds = since.as_secs_f64();
                let words =
                    if stale { format!("stale: no result for {seconds:.1} s\n") } else { format!("ok: last result {seconds:.1} s ago\n") };
                whole(if stale { "503 Service Unavailable" } else { "200 OK" }, TEXT, words.as_bytes(), keep)
            }
            // The answer to a HEAD of these; a GET of them is a feed.
            "/snapshot.jpg" => whole("200 OK", JPEG, &[], keep),
            "/stream" => head("200 OK", &format!("multipart/x-mixed-replace; boundary={BOUNDARY}"), None, keep, ""),
            "/events" => head("200 OK", "text/event-stream", None, keep, ""),
            _ => {
                let words = b"404 Not Found: there are /, /snapshot.jpg, /stream, /events, /live, /metrics and /healthz\n";
                whole("404 Not Found", TEXT, words, keep)
            }
        };
        if request.head {
            // The head says what the body's length would be.
            let end = answer.windows(4).position(|four| four == b"\r\n\r\n").map_or(answer.len(), |at| at + 4);
            answer.truncate(end);
        }
        answer
    }

    /// The answer to a request that is refused; a person without a token is asked for it.
    pub fn refuse(&self, refusal: &Refusal) -> Vec<u8> {
        let status = refusal.status;
        let more = match &status[..3] {
            "405" => "Allow: GET, HEAD\r\n",
            "401" => "WWW-Authenticate: Bearer\r\n",
            _ => "",
        };
        let (kind, body) = if refusal.sign_in { ("text/html; charset=utf-8", SIGN_IN.to_owned()) } else { (TEXT, format!("{status}\n")) };
        let mut bytes = head(status, kind, Some(body.len()), false, more);
        bytes.extend(body.as_bytes());
        bytes
    }
}

/// An answer of known length; `keep`: the connection goes on behind it.
fn whole(status: &str, kind: &str, body: &[u8], keep: bool) -> Vec<u8> {
    let mut bytes = head(status, kind, Some(body.len()), keep, "");
    bytes.extend(body);
    bytes
}

fn head(status: &str, kind: &str, length: Option<usize>, keep: bool, more: &str) -> Vec<u8> {
    let length = length.map_or(String::new(), |length| format!("Content-Length: {length}\r\n"));
    let connection = if keep { "keep-alive" } else { "close" };
    format!(
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\n{length}Connection: {connection}\r\n{more}Cache-Control: no-store\r\n\
         X-Content-Type-Options: nosniff\r\nReferrer-Policy: no-referrer\r\n\
         Content-Security-Policy: default-src 'self'; img-src 'self' data: blob:; frame-ancestors 'none'\r\n\r\n"
    )
    .into_bytes()
}
