//! One poll loop for all clients: bounded in number, in bytes and in patience.

use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token, Waker};

use super::door::{Door, HEAD, Knock, Request};
use super::figures::{self, Figures};
use super::{live, metrics};

/// Connections at a time; one more ends another (see [`Client::worth`]).
const CLIENTS: usize = 64;
/// Requests of one connection that are answered before others have their turn.
const TURN: usize = 4;
/// Connections that are taken before those that are here have their turn.
const ADMITTED: usize = 32;
/// How soon a connection is tried again for which there was no descriptor.
const RETRY: Duration = Duration::from_millis(20);
/// A client that neither finishes its request nor takes its answer for so long is dropped.
const PATIENCE: Duration = Duration::from_secs(2);
/// A client between two requests may rest so long.
const REST: Duration = Duration::from_secs(15);
/// What the kernel may hold for a client that does not read; without a bound it would take megabytes for each.
const SEND_BUFFER: usize = 128 * 1024;
const LISTENER: Token = Token(usize::MAX);
const WAKER: Token = Token(usize::MAX - 1);

const PAGE: &str = include_str!("page.html");
const SCRIPT: &str = include_str!("page.js");
const STYLE: &str = include_str!("page.css");

/// One connection.
struct Client {
    stream: TcpStream,
    input: Vec<u8>,
    output: Vec<u8>,
    sent: usize,
    /// Whether the connection goes on after the answer in `output`.
    keep: bool,
    /// When bytes last moved.
    moved: Instant,
    /// Requests answered so far.
    answered: u64,
    /// Where the search for the end of a head goes on.
    searched: usize,
}

/// What became of a connection.
#[derive(PartialEq, Eq)]
enum Fate {
    Stays,
    /// There is more to answer, and others have their turn first.
    Waits,
    Leaves,
}

/// The listener and its clients.
pub struct Server {
    poll: Poll,
    listener: TcpListener,
    waker: Arc<Waker>,
    door: Door,
    figures: Arc<Mutex<Figures>>,
    clients: Vec<Option<Client>>,
    /// Clients that have more to be answered; the kernel says so only once.
    waiting: Vec<usize>,
    /// How soon to look for connections that wait to be taken, of which the kernel says no more.
    backlog: Option<Duration>,
    /// Given up for a connection when the process has no descriptor left.
    spare: Option<File>,
    /// No descriptor was left, and that was said.
    short: bool,
}

impl Server {
    pub fn listen(address: SocketAddr, door: Door, figures: Arc<Mutex<Figures>>) -> std::io::Result<Server> {
        let poll = Poll::new()?;
        let mut listener = TcpListener::bind(address)?;
        // Connections inherit it.
        socket2::SockRef::from(&listener).set_send_buffer_size(SEND_BUFFER)?;
        poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
        let waker = Arc::new(Waker::new(poll.registry(), WAKER)?);
        let clients = (0..CLIENTS).map(|_| None).collect();
        let (spare, waiting) = (spare_descriptor(), Vec::with_capacity(CLIENTS));
        Ok(Server { poll, listener, waker, door, figures, clients, waiting, backlog: None, spare, short: false })
    }

    /// Wakes [`Server::serve`] to see that the figures have ended.
    pub fn waker(&self) -> Arc<Waker> {
        Arc::clone(&self.waker)
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.listener.local_addr().unwrap_or_else(|_| SocketAddr::from(([0, 0, 0, 0], 0)))
    }

    /// Serves until the figures have ended.
    pub fn serve(&mut self) {
        let mut events = Events::with_capacity(CLIENTS + 2);
        while !figures::lock(&self.figures).ended {
            let anybody = self.clients.iter().any(Option::is_some);
            let most = if self.waiting.is_empty() { self.backlog.or(anybody.then_some(PATIENCE / 4)) } else { Some(Duration::ZERO) };
            if let Err(error) = self.poll.poll(&mut events, most)
                && error.kind() != ErrorKind::Interrupted
            {
                log::error!("the page cannot wait for clients any more: {error}");
                return;
            }
            let now = Instant::now();
            for event in &events {
                match event.token() {
                    LISTENER => self.backlog = Some(Duration::ZERO),
                    WAKER => {}
                    Token(at) => self.attend(at, now),
                }
            }
            for at in std::mem::take(&mut self.waiting) {
                self.attend(at, now);
            }
            if self.backlog.is_some() {
                self.accept(now);
            }
            self.lose_patience(now);
        }
    }

    fn accept(&mut self, now: Instant) {
        self.backlog = Some(Duration::ZERO);
        for _ in 0..ADMITTED {
            match self.listener.accept() {
                Ok((stream, _)) => {
                    self.admit(stream, now);
                    self.spare = self.spare.take().or_else(spare_descriptor);
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    (self.backlog, self.short) = (None, false);
                    return;
                }
                Err(error) if matches!(error.kind(), ErrorKind::Interrupted | ErrorKind::ConnectionAborted) => {}
                Err(error) => {
                    // Out of descriptors, most likely: the spare one is for whoever asks now, and then the least of those who are here goes.
                    if !std::mem::replace(&mut self.short, true) {
                        log::warn!("the page cannot take a client: {error}");
                    }
                    if self.spare.take().is_none() && !self.drop_the_least() {
                        // The kernel will not say a second time that somebody waits.
                        self.backlog = Some(RETRY);
                        return;
                    }
                }
            }
        }
    }

    fn admit(&mut self, mut stream: TcpStream, now: Instant) {
        if self.clients.iter().all(Option::is_some) {
            self.drop_the_least();
        }
        let Some(at) = self.clients.iter().position(Option::is_none) else { return };
        // Small answers should not wait for one another's acknowledgement.
        let _ = stream.set_nodelay(true);
        if self.poll.registry().register(&mut stream, Token(at), Interest::READABLE | Interest::WRITABLE).is_err() {
            return;
        }
        let (input, output) = (Vec::with_capacity(512), Vec::new());
        self.clients[at] = Some(Client { stream, input, output, sent: 0, keep: true, moved: now, answered: 0, searched: 0 });
        figures::lock(&self.figures).clients += 1;
        self.attend(at, now);
    }

    /// Ends the connection that is worth least; false if there is none.
    fn drop_the_least(&mut self) -> bool {
        let worth = |at: &usize| self.clients[*at].as_ref().map(Client::worth);
        let least = (0..CLIENTS).filter(|&at| self.clients[at].is_some()).min_by_key(worth);
        least.inspect(|&at| self.drop_client(at, true)).is_some()
    }

    fn drop_client(&mut self, at: usize, forced: bool) {
        if let Some(mut client) = self.clients[at].take() {
            let _ = self.poll.registry().deregister(&mut client.stream);
            let mut figures = figures::lock(&self.figures);
            figures.clients -= 1;
            figures.clients_dropped += u64::from(forced);
        }
    }

    fn lose_patience(&mut self, now: Instant) {
        for at in 0..CLIENTS {
            let tired = self.clients[at].as_ref().is_some_and(|client| {
                let resting = client.input.is_empty() && client.output.is_empty();
                now.saturating_duration_since(client.moved) > if resting { REST } else { PATIENCE }
            });
            if tired {
                self.drop_client(at, true);
            }
        }
    }

    fn attend(&mut self, at: usize, now: Instant) {
        let Some(client) = self.clients[at].as_mut() else { return };
        match client.serve(&self.door, &self.figures, now) {
            Fate::Stays => {}
            Fate::Waits if self.waiting.contains(&at) => {}
            Fate::Waits => self.waiting.push(at),
            Fate::Leaves => self.drop_client(at, false),
        }
    }
}

/// A descriptor that can be given up for a connection.
fn spare_descriptor() -> Option<File> {
    File::open("/dev/null").ok()
}

impl Client {
    /// Who goes when there are too many: first whoever never finished a request, then whoever has been silent longest.
    fn worth(&self) -> (bool, Instant) {
        (self.answered > 0, self.moved)
    }

    /// Reads, answers and writes as much as the connection takes without waiting, but for a few requests only.
    fn serve(&mut self, door: &Door, figures: &Mutex<Figures>, now: Instant) -> Fate {
        let turn = self.answered + TURN as u64;
        loop {
            if self.flush(now) == Fate::Leaves {
                return Fate::Leaves;
            }
            if !self.output.is_empty() {
                return Fate::Stays;
            }
            if self.answered >= turn {
                return Fate::Waits;
            }
            let knock = if self.may_be_whole() { door.open(&self.input) } else { Knock::Partial };
            match knock {
                Knock::Partial => match self.read(now) {
                    Some(fate) => return fate,
                    None => continue,
                },
                Knock::Refused(status) => {
                    self.input.clear();
                    self.searched = 0;
                    self.keep = false;
                    self.answer(status, "text/plain; charset=utf-8", format!("{status}\n").as_bytes(), false);
                }
                Knock::Request(request) => {
                    self.input.drain(..request.taken);
                    self.searched = 0;
                    self.keep = request.keep;
                    self.answered += 1;
                    self.respond(&request, figures, now);
                }
            }
        }
    }

    /// Whether a look at the input can tell anything new: a long head that trickles in is not read again for every byte.
    fn may_be_whole(&mut self) -> bool {
        let new = &self.input[self.searched..];
        let tells = self.searched == 0 || self.input.len() >= HEAD || new.contains(&b'\n');
        self.searched = self.input.len();
        tells
    }

    /// Takes in what has come; None if there was something.
    fn read(&mut self, now: Instant) -> Option<Fate> {
        let mut piece = [0; 4096];
        let room = piece.len().min(HEAD - self.input.len());
        match self.stream.read(&mut piece[..room]) {
            Ok(0) => Some(Fate::Leaves),
            Ok(n) => {
                // A head that trickles in is no progress.
                if self.input.is_empty() {
                    self.moved = now;
                }
                self.input.extend(&piece[..n]);
                None
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => Some(Fate::Stays),
            Err(error) if error.kind() == ErrorKind::Interrupted => None,
            Err(_) => Some(Fate::Leaves),
        }
    }

    fn flush(&mut self, now: Instant) -> Fate {
        while self.sent < self.output.len() {
            match self.stream.write(&self.output[self.sent..]) {
                Ok(0) => return Fate::Leaves,
                Ok(n) => {
                    self.sent += n;
                    self.moved = now;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Fate::Stays,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return Fate::Leaves,
            }
        }
        let answered = !self.output.is_empty();
        self.output.clear();
        self.sent = 0;
        if answered && !self.keep { Fate::Leaves } else { Fate::Stays }
    }

    fn respond(&mut self, request: &Request, figures: &Mutex<Figures>, now: Instant) {
        const TEXT: &str = "text/plain; charset=utf-8";
        let head = request.head;
        match request.path.as_str() {
            "/" => self.answer("200 OK", "text/html; charset=utf-8", PAGE.as_bytes(), head),
            "/page.js" => self.answer("200 OK", "text/javascript; charset=utf-8", SCRIPT.as_bytes(), head),
            "/page.css" => self.answer("200 OK", "text/css; charset=utf-8", STYLE.as_bytes(), head),
            "/live" => {
                let body = live::body(&figures::lock(figures), now);
                self.answer("200 OK", "application/octet-stream", &body, head);
            }
            "/metrics" => {
                let text = metrics::text(&figures::lock(figures), now);
                self.answer("200 OK", "text/plain; version=0.0.4; charset=utf-8", text.as_bytes(), head);
            }
            "/healthz" => {
                let (since, stale) = figures::lock(figures).staleness(now);
                let seconds = since.as_secs_f64();
                let words =
                    if stale { format!("stale: no result for {seconds:.1} s\n") } else { format!("ok: last result {seconds:.1} s ago\n") };
                self.answer(if stale { "503 Service Unavailable" } else { "200 OK" }, TEXT, words.as_bytes(), head);
            }
            _ => self.answer("404 Not Found", TEXT, b"404 Not Found: there are /, /live, /metrics and /healthz\n", head),
        }
    }

    fn answer(&mut self, status: &str, kind: &str, body: &[u8], head_only: bool) {
        let allow = if status.starts_with("405") { "Allow: GET, HEAD\r\n" } else { "" };
        let ask = if status.starts_with("401") { "WWW-Authenticate: Bearer\r\n" } else { "" };
        let connection = if self.keep { "keep-alive" } else { "close" };
        self.output.extend(
            format!(
                "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nConnection: {connection}\r\n{allow}{ask}Cache-Control: no-store\r\n\
                 X-Content-Type-Options: nosniff\r\nReferrer-Policy: no-referrer\r\nContent-Security-Policy: default-src 'self'; img-src 'self' data:; frame-ancestors 'none'\r\n\r\n",
                body.len()
            )
            .as_bytes(),
        );
        if !head_only {
            self.output.extend(body);
        }
    }
}
