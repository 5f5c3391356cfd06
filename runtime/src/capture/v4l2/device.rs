//! One open device node: what it is, what it offers, and its settings.
//!
//! The `v4l` crate opens the node and enumerates; format and parameters are read here, because its conversions
//! panic on a colour space or field order it does not know.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use v4l::Device as Node;
use v4l::frameinterval::FrameIntervalEnum;
use v4l::framesize::FrameSizeEnum;
use v4l::v4l_sys::{v4l2_capability, v4l2_fmtdesc, v4l2_format, v4l2_streamparm};
use v4l::v4l2::vidioc;
use v4l::video::Capture;

use super::errno::words;
use super::interlace::{FIELD_INTERLACED, Rows};
use super::pixel;
use crate::capture::CaptureError;
use crate::frame::{PixelFormat, Range};

/// `V4L2_BUF_TYPE_VIDEO_CAPTURE`
pub(super) const CAPTURE: u32 = 1;
const CAP_VIDEO_CAPTURE: u32 = 0x1;
const CAP_VIDEO_CAPTURE_MPLANE: u32 = 0x1000;
const CAP_STREAMING: u32 = 0x0400_0000;
const CAP_DEVICE_CAPS: u32 = 0x8000_0000;
/// `V4L2_EVENT_SOURCE_CHANGE`
const EVENT_SOURCE_CHANGE: u32 = 5;
/// Takes a `v4l2_event_subscription`: type, id, flags and reserved words.
const SUBSCRIBE_EVENT: libc::c_ulong = 0x4020_565a;
/// Fills a `v4l2_event`, whose first word is its type.
const DEQUEUE_EVENT: libc::c_ulong = 0x8088_5659;
const PARM_TIME_PER_FRAME: u32 = 0x1000;
const COLORSPACE_JPEG: u32 = 7;
const QUANTIZATION_FULL: u32 = 1;
const QUANTIZATION_LIMITED: u32 = 2;

/// A picture format as the driver has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Setting {
    pub code: u32,
    pub width: u32,
    pub height: u32,
    pub stride: u32,
    pub bytes: u32,
    pub range: Range,
    pub rows: Rows,
}

/// What a wait brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ready {
    /// A filled buffer, or an error that taking one will tell.
    Buffer,
    /// The driver announced another size or format.
    Changed,
    /// Nothing.
    Nothing,
}

/// An open camera.
pub(super) struct Device {
    node: Node,
    path: PathBuf,
    /// The maker's name for it.
    pub card: String,
    /// The kernel driver.
    pub driver: String,
    /// Where it is plugged in.
    pub bus: String,
}

impl Device {
    /// Opens `path` and makes sure that it is a camera.
    pub fn open(path: &Path) -> Result<Device, CaptureError> {
        let fail = |reason: String| CaptureError::Open { path: path.display().to_string(), reason };
        if path.as_os_str().as_encoded_bytes().contains(&0) {
            return Err(fail("the name holds a zero byte".into()));
        }
        // Opening a serial port or a tape has effects: look before opening.
        let kind = std::fs::metadata(path).map_err(|error| fail(words(&error, path)))?;
        if !std::os::unix::fs::FileTypeExt::is_char_device(&kind.file_type()) {
            return Err(fail("it is no camera: it is not a device node".into()));
        }
        let node = Node::with_path(path).map_err(|error| fail(words(&error, path)))?;
        let mut device = Device { node, path: path.to_owned(), card: String::new(), driver: String::new(), bus: String::new() };
        // SAFETY: all-zero bytes are a valid v4l2_capability.
        let mut caps: v4l2_capability = unsafe { std::mem::zeroed() };
        device.ioctl(vidioc::VIDIOC_QUERYCAP, &mut caps).map_err(|error| fail(words(&error, path)))?;
        device.card = text(&caps.card);
        device.driver = text(&caps.driver);
        device.bus = text(&caps.bus_info);
        let flags = if caps.capabilities & CAP_DEVICE_CAPS != 0 { caps.device_caps } else { caps.capabilities };
        if flags & CAP_VIDEO_CAPTURE == 0 {
            return Err(fail(if flags & CAP_VIDEO_CAPTURE_MPLANE != 0 {
                format!("'{}' offers multi-planar capture only, which is not supported", device.card)
            } else {
                format!(
                    "it is no camera: '{}' captures no video on this node (metadata, output or codec); try its other /dev/video nodes",
                    device.card
                )
            }));
        }
        if flags & CAP_STREAMING == 0 {
            return Err(fail(format!("'{}' cannot stream into buffers", device.card)));
        }
        Ok(device)
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// One ioctl whose argument is `value`, repeated when a signal interrupts it.
    pub fn ioctl<T>(&self, request: libc::c_ulong, value: &mut T) -> io::Result<()> {
        assert_eq!(size_of::<T>(), (request >> 16) as usize & 0x3fff, "the argument of an ioctl has the size its number states");
        loop {
            // SAFETY: the descriptor is open as long as `node` lives, and `value` is a live object of the size that the request
            // number states, so the kernel reads and writes inside it.
            let result = unsafe { v4l::v4l2::ioctl(self.node.handle().fd(), request as _, std::ptr::from_mut(value).cast()) };
            match result {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => return result,
            }
        }
    }

    /// The descriptor, for mapping buffers.
    pub fn descriptor(&self) -> i32 {
        self.node.handle().fd()
    }

    /// Asks to be told when the picture's size or format changes under way (HDMI inputs do that; most cameras know no events).
    pub fn subscribe(&self) {
        let _ = self.ioctl(SUBSCRIBE_EVENT, &mut [EVENT_SOURCE_CHANGE, 0, 0, 0, 0, 0, 0, 0]);
    }

    /// Waits until a buffer can be taken, an error is pending or something was announced.
    pub fn wait(&self, wait: Duration) -> io::Result<Ready> {
        let until = crate::clock::now() + wait;
        loop {
            let left = until.saturating_sub(crate::clock::now());
            // Rounded up, so that the last fraction of a millisecond does not spin.
            let wait_ms = left.as_micros().div_ceil(1000).min(60_000) as i32;
            let mut entry = libc::pollfd { fd: self.descriptor(), events: libc::POLLIN | libc::POLLPRI, revents: 0 };
            // SAFETY: one valid pollfd.
            match unsafe { libc::poll(&mut entry, 1, wait_ms) } {
                -1 => {
                    let error = io::Error::last_os_error();
                    if error.kind() != io::ErrorKind::Interrupted {
                        return Err(error);
                    }
                }
                0 if left.is_zero() || crate::clock::now() >= until => return Ok(Ready::Nothing),
                0 => {}
                _ if entry.revents & libc::POLLPRI != 0 && self.source_changed() => return Ok(Ready::Changed),
                _ if entry.revents & !libc::POLLPRI != 0 => return Ok(Ready::Buffer),
                _ => {}
            }
        }
    }

    /// Takes one announcement.
    fn source_changed(&self) -> bool {
        let mut event = [0_u32; 34];
        self.ioctl(DEQUEUE_EVENT, &mut event).is_ok() && event[0] == EVENT_SOURCE_CHANGE
    }

    /// The codes of every picture format on offer.
    pub fn formats(&self) -> Vec<u32> {
        let mut codes = Vec::new();
        for index in 0..256 {
            // SAFETY: all-zero bytes are a valid v4l2_fmtdesc.
            let mut entry: v4l2_fmtdesc = unsafe { std::mem::zeroed() };
            entry.index = index;
            entry.type_ = CAPTURE;
            if self.ioctl(vidioc::VIDIOC_ENUM_FMT, &mut entry).is_err() {
                break;
            }
            codes.push(entry.pixelformat);
        }
        codes
    }

    /// Sizes a format comes in: single ones, or the smallest and the largest.
    pub fn sizes(&self, code: u32) -> Vec<(u32, u32)> {
        let mut sizes = Vec::new();
        for size in self.node.enum_framesizes(v4l::FourCC::new(&code.to_le_bytes())).unwrap_or_default() {
            match size.size {
                FrameSizeEnum::Discrete(one) => sizes.push((one.width, one.height)),
                FrameSizeEnum::Stepwise(range) => sizes.extend([(range.min_width, range.min_height), (range.max_width, range.max_height)]),
            }
        }
        sizes
    }

    /// Frames per second a format and size come at.
    pub fn rates(&self, code: u32, width: u32, height: u32) -> Vec<f64> {
        let rate = |interval: &v4l::Fraction| f64::from(interval.denominator) / f64::from(interval.numerator.max(1));
        let mut rates = Vec::new();
        for entry in self.node.enum_frameintervals(v4l::FourCC::new(&code.to_le_bytes()), width, height).unwrap_or_default() {
            match entry.interval {
                FrameIntervalEnum::Discrete(one) => rates.push(rate(&one)),
                FrameIntervalEnum::Stepwise(range) => rates.extend([rate(&range.min), rate(&range.max)]),
            }
        }
        rates
    }

    /// What the driver would make of a wish.
    pub fn try_setting(&self, code: u32, width: u32, height: u32) -> io::Result<Setting> {
        // A few drivers lack TRY_FMT: then the wish stands for the answer until S_FMT tells better.
        let wish = Setting { code, width, height, stride: 0, bytes: 0, range: Range::Full, rows: Rows::InOrder };
        match self.format_ioctl(vidioc::VIDIOC_TRY_FMT, (code, width, height, 0), 0) {
            Err(error) if error.raw_os_error() == Some(libc::ENOTTY) => Ok(wish),
            result => result,
        }
    }

    /// Sets the format (stride 0: the driver's choice); the answer is what the driver made of it.
    pub fn set(&self, code: u32, width: u32, height: u32, stride: u32) -> io::Result<Setting> {
        let setting = self.format_ioctl(vidioc::VIDIOC_S_FMT, (code, width, height, stride), 0)?;
        if setting.rows == Rows::InOrder {
            return Ok(setting);
        }
        // Many a driver that gives fields by itself weaves them if it is asked to. One that does not is left as it was.
        match self.format_ioctl(vidioc::VIDIOC_S_FMT, (code, width, height, stride), FIELD_INTERLACED) {
            Ok(woven) if woven.rows == Rows::InOrder && woven.code == code => Ok(woven),
            _ => self.format_ioctl(vidioc::VIDIOC_S_FMT, (code, width, height, stride), 0),
        }
    }

    fn format_ioctl(&self, request: libc::c_ulong, (code, width, height, stride): (u32, u32, u32, u32), field: u32) -> io::Result<Setting> {
        // SAFETY: all-zero bytes are a valid v4l2_format.
        let mut value: v4l2_format = unsafe { std::mem::zeroed() };
        value.type_ = CAPTURE;
        // SAFETY: a capture buffer's format is `pix`, plain numbers that are zero here.
        let pix = unsafe { &mut value.fmt.pix };
        pix.pixelformat = code;
        pix.width = width;
        pix.height = height;
        pix.bytesperline = stride;
        pix.field = field;
        self.ioctl(request, &mut value)?;
        // SAFETY: as above; the kernel filled `pix`.
        let pix = unsafe { value.fmt.pix };
        let usual = pixel::format(pix.pixelformat).map_or(Range::Full, PixelFormat::usual_range);
        let range = match (usual, pix.quantization, pix.colorspace) {
            (Range::Full, _, _) | (_, QUANTIZATION_FULL, _) => Range::Full,
            (_, QUANTIZATION_LIMITED, _) => Range::Limited,
            (_, _, COLORSPACE_JPEG) => Range::Full,
            _ => Range::Limited,
        };
        Ok(Setting {
            code: pix.pixelformat,
            width: pix.width,
            height: pix.height,
            stride: pix.bytesperline,
            bytes: pix.sizeimage,
            range,
            rows: Rows::of(pix.field),
        })
    }

    /// Asks for a rate, if the driver takes one; the answer is the rate it has now, where it says.
    pub fn set_rate(&self, fps: f64) -> Option<f64> {
        // SAFETY: all-zero bytes are a valid v4l2_streamparm.
        let mut value: v4l2_streamparm = unsafe { std::mem::zeroed() };
        value.type_ = CAPTURE;
        self.ioctl(vidioc::VIDIOC_G_PARM, &mut value).ok()?;
        // SAFETY: a capture buffer's parameters are `capture`, plain numbers.
        if unsafe { value.parm.capture.capability } & PARM_TIME_PER_FRAME != 0 {
            // SAFETY: as above.
            let interval = unsafe { &mut value.parm.capture.timeperframe };
            interval.numerator = 1000;
            interval.denominator = (fps * 1000.0).round() as u32;
            let _ = self.ioctl(vidioc::VIDIOC_S_PARM, &mut value);
            value.type_ = CAPTURE;
            self.ioctl(vidioc::VIDIOC_G_PARM, &mut value).ok()?;
        }
        // SAFETY: as above.
        let interval = unsafe { value.parm.capture.timeperframe };
        (interval.numerator > 0 && interval.denominator > 0).then(|| f64::from(interval.denominator) / f64::from(interval.numerator))
    }
}

/// A driver's fixed-size text, up to its zero; not every driver keeps to UTF-8.
fn text(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..end]).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refuse(path: &str) -> String {
        Device::open(Path::new(path)).err().unwrap().to_string()
    }

    #[test]
    fn what_is_no_camera_is_refused_in_words() {
        assert!(refuse("/dev/video987").contains("/dev/video987: there is no such device"), "{}", refuse("/dev/video987"));
        assert!(refuse("/dev/null").contains("it is no camera"), "{}", refuse("/dev/null"));
        assert!(refuse("/dev").contains("not a device node"), "{}", refuse("/dev"));
    }
}
