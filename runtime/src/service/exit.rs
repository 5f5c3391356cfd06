//! Exit codes, stable from version to version.

use std::process::ExitCode;

use crate::capture::CaptureError;
use crate::network::engine::EngineError;
use crate::network::load::NetworkError;
use crate::recording::RecordError;
use crate::report::SinkError;
use crate::threads::Fault;

/// What kind of thing went wrong; each has an exit code of its own.
///
/// | code | meaning |
/// |---|---|
/// | 0 | done, or asked to end |
/// | 1 | a fault of the program itself |
/// | 2 | wrong command line |
/// | 3 | wrong configuration file |
/// | 4 | the source cannot be opened, or broke |
/// | 5 | the network was refused |
/// | 6 | the engine is not available, or failed |
/// | 7 | an output cannot be written, or was not in time when asked to end |
/// | 8 | the doctor found a problem |
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// A fault of the program itself.
    Internal = 1,
    /// Wrong command line.
    Usage = 2,
    /// Wrong configuration file.
    Config = 3,
    /// The source cannot be opened, or broke.
    Source = 4,
    /// The network was refused.
    Model = 5,
    /// The engine is not available, or failed.
    Engine = 6,
    /// An output cannot be written.
    Output = 7,
    /// The doctor found a problem.
    Unwell = 8,
}

/// One sentence for a person, and the exit code that goes with it.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    /// Decides the exit code.
    pub cause: Cause,
    /// What was wrong, where, and what to do.
    pub message: String,
}

impl Failure {
    /// A failure of `cause`, told by `message`.
    pub fn new(cause: Cause, message: impl ToString) -> Failure {
        Failure { cause, message: message.to_string() }
    }

    /// The process's exit code.
    pub fn code(&self) -> ExitCode {
        ExitCode::from(self.cause as u8)
    }
}

impl From<CaptureError> for Failure {
    fn from(error: CaptureError) -> Failure {
        let cause = if matches!(error, CaptureError::Fault(_)) { Cause::Internal } else { Cause::Source };
        Failure::new(cause, error)
    }
}

impl From<SinkError> for Failure {
    fn from(error: SinkError) -> Failure {
        let cause = if matches!(error, SinkError::Fault(_)) { Cause::Internal } else { Cause::Output };
        Failure::new(cause, error)
    }
}

impl From<RecordError> for Failure {
    fn from(error: RecordError) -> Failure {
        let cause = if matches!(error, RecordError::Fault(_)) { Cause::Internal } else { Cause::Output };
        Failure::new(cause, error)
    }
}

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Failure {
        Failure::new(Cause::Internal, fault)
    }
}

impl From<NetworkError> for Failure {
    fn from(error: NetworkError) -> Failure {
        Failure::new(Cause::Model, error)
    }
}

impl From<EngineError> for Failure {
    fn from(error: EngineError) -> Failure {
        Failure::new(Cause::Engine, error)
    }
}
