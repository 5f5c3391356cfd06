//! The page under clients that ask too much: everybody else is answered, and the end does not wait for them.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::program::{End, QUICK, Running, STREAM, recslowfast};

/// A run with a page, and its port.
fn with_page() -> (Running, u16) {
    let mut command = recslowfast();
    command.args(["run", "--model", QUICK, "--source", STREAM, "--engine", "cpu", "--halt", "fixed:1", "--page", "127.0.0.1:0"]);
    let mut running = Running::start(command.env("NOTIFY_SOCKET", "/nowhere").stdin(Stdio::null()).stdout(Stdio::null()));
    running.says("page on http://");
    let log = running.log();
    let address = log.split("page on http://").nth(1).unwrap().split('/').next().unwrap();
    (running, address.rsplit(':').next().unwrap().parse().unwrap())
}

/// The status of one request with these headers, and how long it took.
fn ask(port: u16, headers: &str) -> (u16, Duration) {
    ask_after(port, Duration::ZERO, headers)
}

/// The same by a client that connects and takes its time before it asks.
fn ask_after(port: u16, pause: Duration, headers: &str) -> (u16, Duration) {
    let began = Instant::now();
    let mut client = TcpStream::connect(("127.0.0.1", port)).unwrap();
    std::thread::sleep(pause);
    client.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    client.write_all(format!("GET /metrics HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n").as_bytes()).unwrap();
    let mut answer = [0; 64];
    let count = client.read(&mut answer).unwrap();
    let status = std::str::from_utf8(&answer[..count]).unwrap().split(' ').nth(1).unwrap_or_default().parse().unwrap_or(0);
    (status, began.elapsed())
}

/// How soon a client is answered beside whatever else goes on: the best of a few tries, for a machine that has other work too.
fn soonest(port: u16) -> Duration {
    let tries = (0..10).map(|_| {
        let (status, took) = ask(port, "");
        assert_eq!(status, 200);
        took
    });
    tries.min().unwrap()
}

const SOON: Duration = Duration::from_millis(100);

fn end(running: Running) {
    let began = Instant::now();
    running.signal(libc::SIGTERM);
    let (end, log) = running.end();
    assert_eq!(end, End::Code(0), "{log}");
    // The bound is the 900 ms after which an output is left behind with code 7.
    println!("ended after {:.2} s", began.elapsed().as_secs_f64());
}

#[test]
fn browsers_bring_the_cookies_of_every_other_service_here() {
    let (running, port) = with_page();
    for length in [3_000, 5_000, 8_000, 16_000] {
        assert_eq!(ask(port, &format!("Cookie: a={}\r\n", "x".repeat(length))).0, 200, "{length} bytes of cookies");
    }
    assert_eq!(ask(port, &"X-Forwarded: by a proxy\r\n".repeat(100)).0, 200);
    end(running);
}

#[test]
fn one_client_that_asks_without_end_delays_neither_another_nor_the_end() {
    let (running, port) = with_page();
    let stop = Arc::new(AtomicBool::new(false));
    let mut greedy = TcpStream::connect(("127.0.0.1", port)).unwrap();
    let mut reader = greedy.try_clone().unwrap();
    let reads = std::thread::spawn(move || {
        let mut bytes = [0; 1 << 16];
        let mut all = 0;
        while let Ok(count @ 1..) = reader.read(&mut bytes) {
            all += count;
        }
        all
    });
    let stopped = Arc::clone(&stop);
    let asks = std::thread::spawn(move || {
        let many = "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(500);
        while !stopped.load(Ordering::Relaxed) && greedy.write_all(many.as_bytes()).is_ok() {}
    });
    std::thread::sleep(Duration::from_millis(300));
    let took = soonest(port);
    assert!(took < SOON, "another client waited {took:?}");
    end(running);
    stop.store(true, Ordering::Relaxed);
    asks.join().unwrap();
    assert!(reads.join().unwrap() > 1 << 16, "the greedy one was answered too");
}

#[test]
fn a_thousand_that_never_finish_their_request_delay_neither_another_nor_the_end() {
    let (running, port) = with_page();
    let mut regular = TcpStream::connect(("127.0.0.1", port)).unwrap();
    let mut asks_again = move || {
        regular.write_all(b"HEAD /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
        let mut answer = [0; 2048];
        let count = regular.read(&mut answer).unwrap();
        assert!(answer[..count].starts_with(b"HTTP/1.1 200"), "a client that was here before was sent away");
    };
    let mut half_open = Vec::new();
    for at in 0..1000 {
        let mut client = TcpStream::connect(("127.0.0.1", port)).unwrap();
        let _ = client.write_all(b"GET /live HTTP/1.1\r\nHost: local");
        half_open.push(client);
        if at % 100 == 0 {
            asks_again();
        }
    }
    let took = soonest(port);
    assert!(took < SOON, "another client waited {took:?}");
    end(running);
}

#[test]
fn without_a_descriptor_left_the_page_still_answers_and_recovers() {
    let (running, port) = with_page();
    assert_eq!(ask(port, "").0, 200);
    let limits = |most: libc::rlim_t| {
        let limit = libc::rlimit { rlim_cur: most, rlim_max: 4096 };
        // SAFETY: a limit of a child; nothing is kept.
        assert_eq!(unsafe { libc::prlimit(running.pid(), libc::RLIMIT_NOFILE, &limit, std::ptr::null_mut()) }, 0);
    };
    // The connection of that request closes, and leaves no descriptor behind that a client could be given.
    std::thread::sleep(Duration::from_millis(100));
    // No number above those in use now: not one connection more.
    let open = std::fs::read_dir(format!("/proc/{}/fd", running.pid())).unwrap().map(|entry| entry.unwrap().file_name());
    let highest = open.map(|name| name.to_str().unwrap().parse::<libc::rlim_t>().unwrap()).max().unwrap();
    limits(highest + 1);
    let idle: Vec<TcpStream> = (0..5).map(|_| TcpStream::connect(("127.0.0.1", port)).unwrap()).collect();
    let took = soonest(port);
    assert!(took < SOON, "a client waited {took:?} for a descriptor");
    // Nobody else waits, so nobody makes room for anybody: a client has its connection until it asks.
    assert_eq!(ask_after(port, Duration::from_millis(300), "").0, 200);
    limits(1024);
    drop(idle);
    assert_eq!(ask(port, "").0, 200);
    end(running);
}
