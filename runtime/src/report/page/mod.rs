//! A page for people on the board, figures for Prometheus, and a yes or no for whoever restarts things.
//!
//! | path | what |
//! |---|---|
//! | `/` | the live picture with its overlay, steps against the limit, ages, watts, reasons, camera |
//! | `/snapshot.jpg` | the newest picture with its boxes |
//! | `/stream` | such pictures as they come, at most ten a second (multipart/x-mixed-replace, "MJPEG over HTTP") |
//! | `/events` | results as JSON, and the camera's states, as they come (server-sent events) |
//! | `/live` | what the page draws: length of the JSON (u32, little-endian), the JSON, a class for every pixel the network saw, the picture as JPEG |
//! | `/live?tiles` | the same, and in the JSON which tiles moved and were stepped, where only what moved is computed |
//! | `/metrics` | Prometheus text format 0.0.4 |
//! | `/healthz` | 200 while results are fresh, 503 when they are stale |
//!
//! One thread serves everybody from one poll loop with bounded buffers, so a client can neither block another nor the pipeline.

mod answers;
mod client;
mod feed;
mod figures;
mod live;
mod metrics;
pub(crate) mod parser;
mod process;
mod server;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::{Audience, Sink, SinkError};
use crate::control::ControlQueue;
use crate::telemetry::Report;
use crate::threads::{self, Guard};
use answers::Answers;
use figures::Metrics;
use parser::RequestParser;
use server::Server;

/// How often the sink looks whether its server is still there.
const LOOK: Duration = Duration::from_millis(200);
/// How long the server may take to end.
const FAREWELL: Duration = Duration::from_millis(300);

/// What the page says about the run as a whole.
#[derive(Clone, Debug)]
pub struct Heading {
    /// One line for a person.
    pub title: String,
    /// The board, or the kind of machine.
    pub board: String,
    /// The network and its version.
    pub model: String,
    /// What the network sees, for a person.
    pub sees: String,
    /// Class names, in the order of their indices.
    pub classes: Arc<[String]>,
}

/// Changes the heading of a page that runs.
pub struct HeadingHandle(Arc<Mutex<Metrics>>);

impl HeadingHandle {
    /// Another line for a person.
    pub fn set_title(&self, title: &str) {
        figures::lock(&self.0).heading.title = title.to_owned();
    }
}

/// The sink; the server runs until it is dropped.
pub struct Page {
    figures: Arc<Mutex<Metrics>>,
    audience: Audience,
    tiles_audience: Audience,
    waker: Arc<mio::Waker>,
    server: Guard,
}

impl Page {
    /// What its heading is changed by.
    pub fn heading(&self) -> HeadingHandle {
        HeadingHandle(Arc::clone(&self.figures))
    }

    /// Listens on `address`, and asks for `token` if there is one; `control_queue` knows what the camera does while no result comes.
    pub fn start(address: SocketAddr, token: Option<&str>, heading: Heading, control_queue: ControlQueue) -> Result<Page, SinkError> {
        let failed = |reason| SinkError::Write { place: format!("the page at {address}"), reason };
        let figures = Arc::new(Mutex::new(Metrics::new(heading, control_queue)));
        let parser = RequestParser { token: token.map(str::to_owned), loopback: address.ip().is_loopback() };
        let (audience, tiles_audience) = (Audience::on_demand(), Audience::on_demand());
        let answers = Answers::new(Arc::clone(&figures), audience.clone(), tiles_audience.clone());
        let mut server = Server::listen(address, parser, answers).map_err(failed)?;
        let waker = server.waker();
        log::info!("page on http://{}/", server.address());
        let server = threads::spawn("page", move || server.serve(), |_| {}).map_err(failed)?;
        Ok(Page { figures, audience, tiles_audience, waker, server })
    }
}

impl Page {
    fn check(&self) -> Result<(), SinkError> {
        self.server.fault().map_or(Ok(()), |fault| Err(fault.into()))
    }
}

impl Sink for Page {
    fn show(&mut self, report: &Report) -> Result<(), SinkError> {
        let mut figures = figures::lock(&self.figures);
        figures.add(report, Instant::now());
        let followed = figures.followers > 0;
        drop(figures);
        if followed {
            // Without the wake they would be told at the next of the server's own looks.
            let _ = self.waker.wake();
        }
        self.check()
    }

    fn pulse(&self) -> Option<Duration> {
        Some(LOOK)
    }

    fn idle(&mut self) -> Result<(), SinkError> {
        figures::lock(&self.figures).look();
        self.check()
    }

    fn audience(&self) -> Option<Audience> {
        Some(self.audience.clone())
    }

    fn tiles_audience(&self) -> Option<Audience> {
        Some(self.tiles_audience.clone())
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        figures::lock(&self.figures).ended = true;
        // Without the wake it would notice at its next client.
        if self.waker.wake().is_ok() {
            self.server.wait(FAREWELL);
        }
    }
}
