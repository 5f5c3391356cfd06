//! One poll loop for all clients: bounded in number, in bytes and in patience.

use std::fs::File;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token, Waker};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::answers::Answers;
use super::client::{Client, ClientState};
use super::parser::RequestParser;

/// Connections at a time; one more ends another (see [`Client::worth`]).
const CLIENTS: usize = 64;
/// Connections that are taken before those that are here have their turn.
const ADMITTED: usize = 32;
/// How soon a connection is tried again for which there was no descriptor.
const RETRY: Duration = Duration::from_millis(20);
/// What the kernel may hold for a client that does not read; without a bound it would take megabytes for each.
const SEND_BUFFER: usize = 128 * 1024;
/// How often clients are looked at of which the kernel says nothing.
const LOOK: Duration = Duration::from_millis(250);
const LISTENER: Token = Token(usize::MAX);
const WAKER: Token = Token(usize::MAX - 1);

/// The listener and its clients.
pub struct Server {
    poll: Poll,
    listener: TcpListener,
    waker: Arc<Waker>,
    parser: RequestParser,
    answers: Answers,
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
    pub fn listen(address: SocketAddr, parser: RequestParser, answers: Answers) -> std::io::Result<Server> {
        let poll = Poll::new()?;
        let mut listener = TcpListener::bind(address)?;
        // Connections inherit it.
        socket2::SockRef::from(&listener).set_send_buffer_size(SEND_BUFFER)?;
        poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
        let waker = Arc::new(Waker::new(poll.registry(), WAKER)?);
        let clients = (0..CLIENTS).map(|_| None).collect();
        let (spare, waiting) = (spare_descriptor(), Vec::with_capacity(CLIENTS));
        Ok(Server { poll, listener, waker, parser, answers, clients, waiting, backlog: None, spare, short: false })
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
        while !self.answers.figures().ended {
            let anybody = self.clients.iter().any(Option::is_some);
            let most = if self.waiting.is_empty() { self.backlog.or(anybody.then_some(LOOK)) } else { Some(Duration::ZERO) };
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
            self.attend_followers(now);
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
                // Without a descriptor the kernel refuses before it looks whether anybody waits.
                Err(_) if !self.somebody_waits() => {
                    self.backlog = None;
                    return;
                }
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

    /// Whether a connection waits to be accepted.
    fn somebody_waits(&self) -> bool {
        let mut listener = [PollFd::new(&self.listener, PollFlags::IN)];
        // A failed look is answered by trying again.
        !matches!(poll(&mut listener, Some(&Timespec::default())), Ok(0))
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
        self.clients[at] = Some(Client::new(stream, now));
        self.answers.figures().clients += 1;
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
            let mut figures = self.answers.figures();
            figures.clients -= 1;
            figures.clients_dropped += u64::from(forced);
        }
    }

    fn lose_patience(&mut self, now: Instant) {
        for at in 0..CLIENTS {
            let tired = self.clients[at].as_ref().is_some_and(|client| client.is_stuck(now));
            if tired {
                self.drop_client(at, true);
            }
        }
    }

    /// Tells whoever waits for it what has happened.
    fn attend_followers(&mut self, now: Instant) {
        for at in 0..CLIENTS {
            if self.clients[at].as_ref().is_some_and(Client::follows) {
                self.attend(at, now);
            }
        }
        let followers = self.clients.iter().flatten().filter(|client| client.follows()).count();
        self.answers.figures().followers = followers;
    }

    fn attend(&mut self, at: usize, now: Instant) {
        let Some(client) = self.clients[at].as_mut() else { return };
        match client.serve(&self.parser, &mut self.answers, now) {
            ClientState::Stays => {}
            ClientState::Waits if self.waiting.contains(&at) => {}
            ClientState::Waits => self.waiting.push(at),
            ClientState::Leaves => self.drop_client(at, false),
        }
    }
}

/// A descriptor that can be given up for a connection.
fn spare_descriptor() -> Option<File> {
    File::open("/dev/null").ok()
}
