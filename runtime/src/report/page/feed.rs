//! Answers without an end: what a client is told from now on.

use std::time::Instant;

use crate::telemetry::CameraState;

/// What a client is told from now on, the newest first of all: what it is too slow for is left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Feed {
    /// `/snapshot.jpg`: the next picture, and that is all.
    Snapshot,
    /// `/stream`: every picture.
    Pictures,
    /// `/events`: every result, and every state of the camera.
    Events,
}

/// A feed and how far it has come.
#[derive(Clone, Copy, Debug)]
pub struct Following {
    pub feed: Feed,
    pub since: Instant,
    /// The connection goes on behind it.
    pub keep: bool,
    /// Results that the client has been told, and the camera's state as it knows it.
    pub told: Option<u64>,
    pub camera: Option<CameraState>,
}
