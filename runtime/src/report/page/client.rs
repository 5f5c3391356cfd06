//! One connection: requests in, answers out, without ever waiting.

use std::io::{ErrorKind, Read, Write};
use std::time::{Duration, Instant};

use mio::net::TcpStream;

use super::answers::{Answer, Answers};
use super::feed::{Feed, Following};
use super::parser::{HEAD, ParseResult, RequestParser};

/// Requests of one connection that are answered before others have their turn.
const TURN: usize = 4;
/// A client that neither finishes its request nor takes its answer for so long is dropped.
const PATIENCE: Duration = Duration::from_secs(2);
/// A client between two requests may rest so long.
const REST: Duration = Duration::from_secs(15);

/// One connection.
pub struct Client {
    pub stream: TcpStream,
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
    /// An answer that is not complete yet.
    following: Option<Following>,
}

/// What became of a connection.
#[derive(PartialEq, Eq)]
pub enum ClientState {
    Stays,
    /// There is more to answer, and others have their turn first.
    Waits,
    Leaves,
}

impl Client {
    pub fn new(stream: TcpStream, now: Instant) -> Client {
        let (input, output) = (Vec::with_capacity(512), Vec::new());
        Client { stream, input, output, sent: 0, keep: true, moved: now, answered: 0, searched: 0, following: None }
    }

    /// The order in which connections are closed when there are too many: those without a finished request first, then the longest idle.
    pub fn worth(&self) -> (bool, Instant) {
        (self.answered > 0, self.moved)
    }

    /// Whether it waits for what is yet to happen.
    pub fn follows(&self) -> bool {
        self.following.is_some()
    }

    /// Whether it has kept its place for too long without using it.
    pub fn is_stuck(&self, now: Instant) -> bool {
        let silent = now.saturating_duration_since(self.moved);
        let resting = self.input.is_empty() && self.output.is_empty();
        // A client of a feed may be idle while nothing happens.
        if self.follows() && self.output.is_empty() { false } else { silent > if resting { REST } else { PATIENCE } }
    }

    /// Reads, answers and writes as much as the connection takes without waiting, but for a few requests only.
    pub fn serve(&mut self, parser: &RequestParser, answers: &mut Answers, now: Instant) -> ClientState {
        let turn = self.answered + TURN as u64;
        loop {
            if self.flush(now) == ClientState::Leaves {
                return ClientState::Leaves;
            }
            if !self.output.is_empty() {
                return ClientState::Stays;
            }
            if let Some(following) = &mut self.following {
                match answers.next(following, now) {
                    Some(Answer { bytes, ended }) => {
                        self.output = bytes;
                        if ended {
                            self.following = None;
                        }
                    }
                    // What such a client says besides does not matter, but that it leaves does.
                    None => match self.read(now) {
                        Some(fate) => return fate,
                        None => self.input.clear(),
                    },
                }
                continue;
            }
            if self.answered >= turn {
                return ClientState::Waits;
            }
            let parse = if self.may_be_whole() { parser.open(&self.input) } else { ParseResult::Partial };
            match parse {
                ParseResult::Partial => match self.read(now) {
                    Some(fate) => return fate,
                    None => continue,
                },
                ParseResult::Refused(refusal) => {
                    self.input.clear();
                    self.searched = 0;
                    self.keep = false;
                    self.output = answers.refuse(&refusal);
                }
                ParseResult::Request(request) => {
                    self.input.drain(..request.taken);
                    self.searched = 0;
                    self.keep = request.keep;
                    self.answered += 1;
                    match Answers::feed(&request) {
                        Some(feed) => {
                            // How long it takes is not known beforehand: its end is the end of the connection.
                            self.keep = self.keep && feed == Feed::Snapshot;
                            self.output = answers.begin(feed);
                            self.following = Some(Following { feed, since: now, keep: self.keep, told: None, camera: None });
                        }
                        None => self.output = answers.to(&request, now),
                    }
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
    fn read(&mut self, now: Instant) -> Option<ClientState> {
        let mut piece = [0; 4096];
        let room = piece.len().min(HEAD - self.input.len());
        match self.stream.read(&mut piece[..room]) {
            Ok(0) => Some(ClientState::Leaves),
            Ok(n) => {
                // A head that trickles in is no progress.
                if self.input.is_empty() {
                    self.moved = now;
                }
                self.input.extend(&piece[..n]);
                None
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => Some(ClientState::Stays),
            Err(error) if error.kind() == ErrorKind::Interrupted => None,
            Err(_) => Some(ClientState::Leaves),
        }
    }

    fn flush(&mut self, now: Instant) -> ClientState {
        while self.sent < self.output.len() {
            match self.stream.write(&self.output[self.sent..]) {
                Ok(0) => return ClientState::Leaves,
                Ok(n) => {
                    self.sent += n;
                    self.moved = now;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return ClientState::Stays,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return ClientState::Leaves,
            }
        }
        let answered = !self.output.is_empty();
        self.output.clear();
        self.sent = 0;
        if answered && !self.keep && self.following.is_none() { ClientState::Leaves } else { ClientState::Stays }
    }
}
