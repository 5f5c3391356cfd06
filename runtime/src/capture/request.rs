//! What is asked of a source.

use crate::frame::PixelFormat;

/// What is asked of a source; what is left open, the source chooses. Parameters in a URI overrule it.
#[derive(Clone, Debug, PartialEq)]
pub struct CaptureRequest {
    /// Pixels across.
    pub width: Option<u32>,
    /// Pixels down.
    pub height: Option<u32>,
    /// Frames per second. Paces the built-in stream, which otherwise comes as fast as it is pulled.
    pub fps: Option<f64>,
    /// Pixel format of a device.
    pub format: Option<PixelFormat>,
    /// Buffers to ask a driver for, 2 to 32.
    pub buffers: u32,
    /// Whose memory the driver fills.
    pub memory: Memory,
    /// Bytes from one row to the next, for memory that wants aligned rows; drivers may refuse.
    pub stride: Option<u32>,
    /// Side in pixels of the built-in stream's canvas: best the network's, whose contours are so many pixels wide.
    pub canvas: u32,
    /// A film begins again at its end.
    pub again: bool,
    /// A film is played at its own rate (or at `fps`), and what is not answered in time is passed over.
    pub realtime: bool,
}

impl Default for CaptureRequest {
    fn default() -> Self {
        CaptureRequest {
            width: None,
            height: None,
            fps: None,
            format: None,
            buffers: 4,
            memory: Memory::Mapped,
            stride: None,
            canvas: 150,
            again: false,
            realtime: false,
        }
    }
}

/// Whose memory a driver fills.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Memory {
    /// The driver's own, mapped; each picture is copied out once.
    #[default]
    Mapped,
    /// The [`Frame`](crate::frame::Frame)'s own buffers (USERPTR): nothing is copied.
    User,
}
