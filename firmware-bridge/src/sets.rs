//! The named sets: one byte on the wire each, and a number this version does not know stays a number.

use serde::{Deserialize, Serialize};

macro_rules! named_set {
    ($(#[$about:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident = $number:literal $word:literal),+ $(,)? }) => {
        $(#[$about])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(from = "u8", into = "u8")]
        pub enum $name {
            $($(#[$doc])* $variant,)+
            /// A number that a newer minor version may have given a name.
            Unknown(u8),
        }

        impl $name {
            /// The word the wire page uses, `unknown` for a number it does not list.
            #[must_use]
            pub fn word(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)+
                    Self::Unknown(_) => "unknown",
                }
            }
        }

        impl From<u8> for $name {
            fn from(number: u8) -> Self {
                match number {
                    $($number => Self::$variant,)+
                    other => Self::Unknown(other),
                }
            }
        }

        impl From<$name> for u8 {
            fn from(value: $name) -> u8 {
                match value {
                    $($name::$variant => $number,)+
                    $name::Unknown(other) => other,
                }
            }
        }
    };
}

named_set!(
    /// How the camera is doing.
    CameraState {
        /// No device found yet.
        Searching = 0 "searching",
        /// A device is open; format and rate are being agreed.
        Negotiating = 1 "negotiating",
        /// Frames arrive.
        Streaming = 2 "streaming",
        /// The device is open but frames stopped.
        Stalled = 3 "stalled",
        /// The device went away.
        Lost = 4 "lost",
    }
);

named_set!(
    /// What the network runs on.
    Engine {
        /// Nothing is loaded.
        None = 0 "none",
        /// The CPU.
        Cpu = 1 "cpu",
        /// An NVIDIA GPU.
        Cuda = 2 "cuda",
    }
);

named_set!(
    /// What is traded against what.
    Mode {
        /// As many steps as the deadline allows.
        Accuracy = 0 "accuracy",
        /// Stop when more steps hardly change the answer.
        Balanced = 1 "balanced",
        /// As few steps and frames as still see something.
        Saver = 2 "saver",
    }
);

named_set!(
    /// What set the step limit of a frame.
    LimitReason {
        /// Nothing: the network's own largest step count.
        None = 0 "none",
        /// The deadline.
        Latency = 1 "latency",
        /// The power budget.
        Power = 2 "power",
        /// The temperature.
        Heat = 3 "heat",
        /// The camera's rate.
        Camera = 4 "camera",
    }
);

named_set!(
    /// Why stepping ended on a frame.
    StopReason {
        /// The state stopped moving.
        Halted = 0 "halted",
        /// The step limit was reached.
        Limit = 1 "limit",
        /// Not even one step was needed.
        Zero = 2 "zero",
        /// The state was started anew for this frame.
        Reset = 3 "reset",
        /// The deadline came first.
        Deadline = 4 "deadline",
    }
);

named_set!(
    /// How much a log line matters.
    LogLevel {
        /// Something does not work.
        Error = 0 "error",
        /// Something may stop working.
        Warn = 1 "warn",
        /// Something happened.
        Info = 2 "info",
        /// For those who look inside.
        Debug = 3 "debug",
    }
);

named_set!(
    /// What became of a command.
    AckResult {
        /// Carried out.
        Done = 0 "done",
        /// This kind is not known here.
        Unsupported = 1 "unsupported",
        /// The payload could not be read.
        Malformed = 2 "malformed",
        /// A field is outside its range.
        OutOfRange = 3 "out of range",
        /// The sequence number lies behind one already taken.
        Stale = 4 "stale",
        /// Not now: try again later.
        Busy = 5 "busy",
        /// Understood, but this board's configuration does not allow it.
        Refused = 6 "refused",
    }
);
