//! Results for an MQTT 3.1.1 broker, and what Home Assistant needs to find them.
//!
//! | topic, below that of the report | payload | when |
//! |---|---|---|
//! | `availability` | `online`, or `offline` (also the last will) | kept by the broker |
//! | `state` | JSON: camera, network, rates, watts, how many of each class | when the camera or the counts change, and at an interval; kept by the broker |
//! | `detections` | the record of `--report json` | when a class or a track comes or goes |
//! | `snapshot` | the newest picture with its boxes, JPEG | at an interval; kept by the broker |
//!
//! The client (`rumqttc`) runs on a thread of its own. While there is no broker nothing is kept for it: once it is back it is told how things stand then.

mod connection;
mod discovery;
mod spec;
mod state;
#[cfg(feature = "mqtt-tls")]
pub mod tls;
#[cfg(not(feature = "mqtt-tls"))]
#[path = "no_tls.rs"]
pub mod tls;

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::telegrams::About;
use super::{Audience, Record, Sink, SinkError, jpeg, painting};
use crate::control::ControlQueue;
use crate::telemetry::{CameraState, Report};
use connection::Connection;
use discovery::Device;
pub use spec::{MqttSpec, Period};
use state::Gathered;

/// How often is looked whether something is due.
const PULSE: Duration = Duration::from_millis(200);
/// The counts that change from frame to frame are told at most this often.
const SPACING: Duration = Duration::from_millis(200);
/// How long the first report waits for the broker, so that a short run is told too.
const FIRST: Duration = Duration::from_secs(1);

/// How a broker is spoken to, beside its address.
#[derive(Clone)]
pub struct MqttOptions {
    /// User and password.
    pub login: Option<(String, String)>,
    /// What the broker's certificate is checked against, where TLS is spoken.
    pub tls: Option<tls::Config>,
    /// The topic below which Home Assistant looks for devices; None announces nothing.
    pub discovery: Option<String>,
    /// Time between two states while nothing changes.
    pub interval: Duration,
    /// Time between two pictures; None for no pictures.
    pub snapshot: Option<Duration>,
}

/// The sink.
pub struct Mqtt {
    connection: Connection,
    device: Device,
    options: MqttOptions,
    control_queue: ControlQueue,
    gathered: Gathered,
    classes: Arc<[String]>,
    audience: Audience,
    /// The connection that was told how things stand.
    greeted: u64,
    stated: Option<Instant>,
    told: Vec<(u8, u32)>,
    pictured: Option<Instant>,
    asked: Option<Instant>,
    waited: bool,
}

impl Mqtt {
    /// Starts the client. `about` says what runs here, `sees` names the classes that can be reported, `control_queue` knows what the camera does while no result comes.
    ///
    /// # Errors
    /// No thread can be started.
    pub fn start(
        spec: &MqttSpec,
        options: MqttOptions,
        about: &About,
        sees: &[String],
        control_queue: ControlQueue,
    ) -> std::io::Result<Mqtt> {
        let device = Device::new(spec, about, sees);
        let connection = Connection::start(spec, &options, &device.base)?;
        let classes = Arc::clone(&about.classes);
        let gathered = Gathered::new(&about.network, &about.classes, sees);
        Ok(Mqtt {
            connection,
            device,
            options,
            control_queue,
            gathered,
            classes,
            audience: Audience::on_demand(),
            greeted: 0,
            stated: None,
            told: Vec::new(),
            pictured: None,
            asked: None,
            waited: false,
        })
    }

    fn topic(&self, last: &str) -> String {
        format!("{}/{last}", self.device.base)
    }

    /// Tells a new connection how things stand, and every connection what is due. False while there is no broker.
    fn attend(&mut self, now: Instant) -> bool {
        let number = self.connection.number();
        if number == 0 {
            return false;
        }
        let camera = self.control_queue.status().camera;
        let news = self.gathered.sensors_changed();
        if number != self.greeted || news {
            if let Some(prefix) = &self.options.discovery {
                for (topic, payload) in self.device.announcements(
                    prefix,
                    self.gathered.has_power(),
                    self.gathered.has_temperature(),
                    self.options.snapshot.is_some(),
                ) {
                    self.connection.send(topic, payload, true);
                }
            }
            if number != self.greeted {
                self.connection.send(self.topic("availability"), "online", true);
                (self.stated, self.pictured) = (None, None);
            }
            self.greeted = number;
        }
        let since = self.stated.map(|stated| now.saturating_duration_since(stated));
        let changed = self.gathered.has_changed(camera) && since.is_none_or(|since| since >= SPACING);
        if changed || since.is_none_or(|since| since >= self.options.interval) {
            let payload = self.gathered.json(camera, now);
            self.connection.send(self.topic("state"), payload, true);
            self.stated = Some(now);
        }
        if let Some(every) = self.options.snapshot {
            let due = |last: Option<Instant>| last.is_none_or(|last| now.saturating_duration_since(last) >= every);
            if due(self.pictured) && due(self.asked) && camera == CameraState::Streaming {
                // Pictures are made for some seconds; where none comes of it, the next interval asks again.
                self.audience.looked();
                self.asked = Some(now);
            }
        }
        true
    }

    fn check(&self) -> Result<(), SinkError> {
        self.connection.fault().map_or(Ok(()), |fault| Err(fault.into()))
    }
}

impl Sink for Mqtt {
    fn show(&mut self, report: &Report) -> Result<(), SinkError> {
        if !std::mem::replace(&mut self.waited, true) {
            self.connection.wait(FIRST);
        }
        let now = Instant::now();
        self.gathered.add(report);
        if self.attend(now) {
            let mut present: Vec<(u8, u32)> = report.detections.iter().map(|seen| (seen.class, seen.track)).collect();
            present.sort_unstable();
            if present != self.told {
                self.connection.send(self.topic("detections"), Record::json(report, &self.classes), false);
                self.told = present;
            }
            let due =
                self.options.snapshot.is_some_and(|every| self.pictured.is_none_or(|last| now.saturating_duration_since(last) >= every));
            if let Some(picture) = report.picture.as_ref().filter(|_| due)
                && let Some(bytes) = jpeg::encode(&painting::answered(picture, &report.detections, &self.classes))
            {
                self.connection.send(self.topic("snapshot"), bytes, true);
                self.pictured = Some(now);
                self.audience.satisfied();
            }
        }
        self.check()
    }

    fn pulse(&self) -> Option<Duration> {
        Some(PULSE)
    }

    fn idle(&mut self) -> Result<(), SinkError> {
        self.attend(Instant::now());
        self.check()
    }

    fn audience(&self) -> Option<Audience> {
        self.options.snapshot.map(|_| self.audience.clone())
    }

    fn finish(&mut self) -> Result<(), SinkError> {
        let now = Instant::now();
        if self.attend(now) {
            // The last counts, even where they were told a moment ago.
            let payload = self.gathered.json(self.control_queue.status().camera, now);
            self.connection.send(self.topic("state"), payload, true);
            self.connection.send(self.topic("availability"), "offline", true);
        }
        self.connection.end();
        self.check()
    }
}
