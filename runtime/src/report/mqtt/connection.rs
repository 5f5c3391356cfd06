//! The client on its thread: connects, and connects again, at once and then ever more slowly.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use rumqttc::{Client, ConnectReturnCode, ConnectionError, Event, LastWill, Outgoing, Packet, QoS};

use super::{MqttOptions, MqttSpec};
use crate::backoff::Backoff;
use crate::priority;
use crate::threads::{self, Fault, Guard};

const FIRST_RETRY: Duration = Duration::from_millis(100);
const LAST_RETRY: Duration = Duration::from_secs(5);
/// A connection that lasted so long has worked: its loss is a new one.
const WORKED: Duration = Duration::from_millis(500);
/// The broker takes this board for dead after one and a half times as long without a word of it.
const KEEP_ALIVE: Duration = Duration::from_secs(10);
/// How long the broker may take to answer, in seconds.
const ANSWER_S: u64 = 5;
/// Messages that wait for the network at most: what is said to a new connection, with a word for each of 254 classes.
const CAPACITY: usize = 512;
/// Bytes of a message at most: a picture of 640 pixels as JPEG is a tenth of that.
const LARGEST: usize = 1 << 20;
/// How long the last messages may take.
const FAREWELL: Duration = Duration::from_millis(500);

#[derive(Default)]
struct Link {
    connected: bool,
    /// Connections so far.
    count: u64,
}

#[derive(Default)]
struct Shared {
    link: Mutex<Link>,
    changed: Condvar,
    ended: AtomicBool,
}

impl Shared {
    fn link(&self) -> MutexGuard<'_, Link> {
        self.link.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    fn set(&self, connected: bool) {
        let mut link = self.link();
        link.count += u64::from(connected);
        link.connected = connected;
        drop(link);
        self.changed.notify_all();
    }
}

pub(super) struct Connection {
    client: Client,
    shared: Arc<Shared>,
    thread: Guard,
}

impl Connection {
    /// Starts to connect; `base` is what all topics begin with.
    pub(super) fn start(spec: &MqttSpec, options: &MqttOptions, base: &str) -> std::io::Result<Connection> {
        // Brokers throw out the older one of two clients of one name.
        let name = format!("{}-{}", super::discovery::identifier(base), std::process::id());
        let mut given = rumqttc::MqttOptions::new(name, &spec.host, spec.port);
        given.set_keep_alive(KEEP_ALIVE).set_max_packet_size(LARGEST, LARGEST);
        given.set_last_will(LastWill::new(format!("{base}/availability"), "offline", QoS::AtLeastOnce, true));
        if let Some((user, password)) = &options.login {
            given.set_credentials(user, password);
        }
        if let Some(tls) = &options.tls {
            tls.apply(&mut given);
        }
        let (client, mut connection) = Client::new(given, CAPACITY);
        let mut network = connection.eventloop.network_options();
        network.set_connection_timeout(ANSWER_S).set_tcp_nodelay(true);
        connection.eventloop.set_network_options(network);
        let shared = Arc::new(Shared::default());
        let (theirs, place) = (Arc::clone(&shared), format!("mqtt {}:{}", spec.host, spec.port));
        let thread = threads::spawn("mqtt", move || serve(connection, &theirs, &place), |_| {})?;
        Ok(Connection { client, shared, thread })
    }

    /// The number of the connection that stands; 0 if none does.
    pub(super) fn number(&self) -> u64 {
        let link = self.shared.link();
        if link.connected { link.count } else { 0 }
    }

    /// Waits up to `most` for a connection.
    pub(super) fn wait(&self, most: Duration) {
        let link = self.shared.link();
        drop(self.shared.changed.wait_timeout_while(link, most, |link| !link.connected));
    }

    /// Hands a message over; where there is no room for it, it is lost.
    pub(super) fn send(&self, topic: String, payload: impl Into<Vec<u8>>, kept: bool) {
        if self.client.try_publish(topic, QoS::AtLeastOnce, kept, payload).is_err() {
            log::warn!("mqtt: the broker takes messages too slowly; one was left out");
        }
    }

    /// What ended the thread, if anything did.
    pub(super) fn fault(&self) -> Option<Fault> {
        self.thread.fault()
    }

    /// Sends what waits and leaves; a broker that does not take it is left alone.
    pub(super) fn end(&mut self) {
        self.shared.ended.store(true, Ordering::Relaxed);
        if self.number() > 0 && self.client.try_disconnect().is_ok() {
            self.thread.wait(FAREWELL);
        } else {
            self.thread.unpark();
        }
    }
}

fn serve(mut connection: rumqttc::Connection, shared: &Shared, place: &str) {
    priority::stand_back();
    let (mut backoff, mut said, mut since) = (Backoff::new(FIRST_RETRY, LAST_RETRY), false, None::<Instant>);
    while let Ok(event) = connection.recv() {
        match event {
            Ok(Event::Incoming(Packet::ConnAck(_))) => {
                log::info!("{place}: connected");
                (said, since) = (false, Some(Instant::now()));
                shared.set(true);
            }
            Ok(Event::Outgoing(Outgoing::Disconnect)) => return,
            Ok(_) => {}
            Err(error) => {
                shared.set(false);
                if shared.ended.load(Ordering::Relaxed) {
                    return;
                }
                if !std::mem::replace(&mut said, true) {
                    log::warn!("{place}: {}; trying again until it is back", words(&error));
                }
                if since.take().is_some_and(|since| since.elapsed() >= WORKED) {
                    backoff.succeeded();
                }
                std::thread::park_timeout(backoff.failed());
                if shared.ended.load(Ordering::Relaxed) {
                    return;
                }
            }
        }
    }
}

/// What is wrong, for a person.
fn words(error: &ConnectionError) -> String {
    match error {
        ConnectionError::ConnectionRefused(ConnectReturnCode::BadUserNamePassword | ConnectReturnCode::NotAuthorized) => {
            "the broker refuses this user or password".into()
        }
        ConnectionError::Io(reason) if reason.kind() == std::io::ErrorKind::PermissionDenied => {
            format!(
                "{reason}: the service may reach no other machine until its unit allows it (IPAddressAllow= in `systemctl edit recslowfast`)"
            )
        }
        ConnectionError::Io(reason) => reason.to_string(),
        ConnectionError::MqttState(_) => "the broker has closed the connection".into(),
        ConnectionError::NetworkTimeout | ConnectionError::FlushTimeout => "the broker does not answer".into(),
        other => other.to_string(),
    }
}
