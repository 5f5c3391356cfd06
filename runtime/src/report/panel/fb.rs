//! The kernel's framebuffer: changed rows are written where the driver says they lie, in the bits it says its colours have.

use std::fs::{File, OpenOptions};
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;
use std::path::Path;

use embedded_graphics::geometry::Size;
use embedded_graphics::pixelcolor::{Rgb565, RgbColor};

use super::Screen;
use super::canvas::{Canvas, Page};

/// Ioctls and structures of linux/fb.h.
const FBIOGET_VSCREENINFO: libc::Ioctl = 0x4600;
const FBIOGET_FSCREENINFO: libc::Ioctl = 0x4602;

/// `struct fb_bitfield`
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Bits {
    offset: u32,
    length: u32,
    msb_right: u32,
}

/// `struct fb_var_screeninfo`
#[repr(C)]
#[derive(Default)]
struct Variable {
    xres: u32,
    yres: u32,
    xres_virtual: u32,
    yres_virtual: u32,
    xoffset: u32,
    yoffset: u32,
    bits_per_pixel: u32,
    grayscale: u32,
    red: Bits,
    green: Bits,
    blue: Bits,
    transp: Bits,
    rest: [u32; 20],
}

/// `struct fb_fix_screeninfo`
#[repr(C)]
#[derive(Default)]
struct Fixed {
    id: [u8; 16],
    smem_start: libc::c_ulong,
    smem_len: u32,
    kind: u32,
    type_aux: u32,
    visual: u32,
    xpanstep: u16,
    ypanstep: u16,
    ywrapstep: u16,
    line_length: u32,
    mmio_start: libc::c_ulong,
    mmio_len: u32,
    accel: u32,
    capabilities: u16,
    reserved: [u16; 2],
}

/// Where pixels lie and what their bits mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Layout {
    width: u32,
    height: u32,
    stride: u32,
    first: u64,
    bytes: usize,
    red: Bits,
    green: Bits,
    blue: Bits,
    opaque: Bits,
}

pub(super) struct Framebuffer {
    file: File,
    layout: Layout,
    row: Vec<u8>,
}

impl Framebuffer {
    pub(super) fn open(device: &Path) -> Result<Framebuffer, String> {
        let failed = |what: &str, error: std::io::Error| format!("cannot {what} {}: {error}", device.display());
        let file = OpenOptions::new().read(true).write(true).open(device).map_err(|error| failed("open", error))?;
        let (mut variable, mut fixed) = (Variable::default(), Fixed::default());
        // SAFETY: the two requests fill exactly `struct fb_var_screeninfo` and `struct fb_fix_screeninfo`, of which these are the layouts
        // (checked by a test); both live for the calls, and the file is open.
        let answers = unsafe {
            [
                libc::ioctl(file.as_raw_fd(), FBIOGET_VSCREENINFO, &mut variable),
                libc::ioctl(file.as_raw_fd(), FBIOGET_FSCREENINFO, &mut fixed),
            ]
        };
        if answers != [0, 0] {
            return Err(failed("ask for the layout of", std::io::Error::last_os_error()));
        }
        let layout = Layout::of(&variable, &fixed).map_err(|reason| format!("{}: {reason}", device.display()))?;
        Ok(Framebuffer { file, layout, row: Vec::new() })
    }
}

impl Layout {
    fn of(variable: &Variable, fixed: &Fixed) -> Result<Layout, String> {
        let (width, height, bits) = (variable.xres, variable.yres, variable.bits_per_pixel);
        if !matches!(bits, 16 | 24 | 32)
            || [variable.red, variable.green, variable.blue]
                .iter()
                .any(|colour| !(1..=8).contains(&colour.length) || colour.offset + colour.length > bits)
        {
            return Err(format!("{bits} bits a pixel are not supported; set the mode to 16 or 32 (fbset -depth 16)"));
        }
        let bytes = bits as usize / 8;
        let stride = if fixed.line_length > 0 { fixed.line_length } else { variable.xres_virtual * bits / 8 };
        if width == 0 || height == 0 || (stride as usize) < width as usize * bytes {
            return Err(format!("a screen of {width}x{height} with rows of {stride} bytes makes no sense"));
        }
        let first = u64::from(variable.yoffset) * u64::from(stride) + u64::from(variable.xoffset) * bytes as u64;
        Ok(Layout {
            width,
            height,
            stride,
            first,
            bytes,
            red: variable.red,
            green: variable.green,
            blue: variable.blue,
            opaque: variable.transp,
        })
    }

    /// A pixel in the screen's own bits.
    fn pixel(&self, colour: Rgb565) -> u32 {
        // Each share widens by repeating its own highest bits, so that white stays white.
        let share = |value: u32, bits: u32, to: Bits| {
            let eight = value << (8 - bits) | value >> (2 * bits - 8);
            eight >> (8 - to.length) << to.offset
        };
        let opaque = if (1..=8).contains(&self.opaque.length) { ((1 << self.opaque.length) - 1) << self.opaque.offset } else { 0 };
        share(colour.r().into(), 5, self.red) | share(colour.g().into(), 6, self.green) | share(colour.b().into(), 5, self.blue) | opaque
    }
}

impl Screen for Framebuffer {
    type Colour = Rgb565;

    fn size(&self) -> Size {
        Size::new(self.layout.width, self.layout.height)
    }

    fn show(&mut self, canvas: &Canvas<Rgb565>, pages: &[Page]) -> Result<(), String> {
        let layout = self.layout;
        for y in pages.iter().flat_map(Clone::clone) {
            self.row.clear();
            for colour in canvas.rows(&(y..y + 1)) {
                self.row.extend_from_slice(&layout.pixel(*colour).to_ne_bytes()[..layout.bytes]);
            }
            let at = layout.first + u64::from(y) * u64::from(layout.stride);
            self.file.write_all_at(&self.row, at).map_err(|error| format!("cannot write row {y}: {error}"))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bits(offset: u32, length: u32) -> Bits {
        Bits { offset, length, msb_right: 0 }
    }

    #[test]
    fn the_structures_have_the_sizes_of_the_kernel() {
        assert_eq!((size_of::<Variable>(), size_of::<Fixed>()), (160, 80));
    }

    #[test]
    fn colours_go_where_the_driver_says() {
        let variable = Variable {
            xres: 320,
            yres: 240,
            xres_virtual: 320,
            bits_per_pixel: 32,
            red: bits(16, 8),
            green: bits(8, 8),
            blue: bits(0, 8),
            transp: bits(24, 8),
            ..Variable::default()
        };
        let layout = Layout::of(&variable, &Fixed::default()).unwrap();
        assert_eq!((layout.stride, layout.bytes), (1280, 4));
        assert_eq!(
            (layout.pixel(Rgb565::WHITE), layout.pixel(Rgb565::RED), layout.pixel(Rgb565::new(0, 1, 0))),
            (0xFFFF_FFFF, 0xFFFF_0000, 0xFF00_0400)
        );
        let small = Variable {
            xres: 240,
            yres: 240,
            xres_virtual: 256,
            bits_per_pixel: 16,
            red: bits(11, 5),
            green: bits(5, 6),
            blue: bits(0, 5),
            ..Variable::default()
        };
        let layout = Layout::of(&small, &Fixed { line_length: 512, ..Fixed::default() }).unwrap();
        assert_eq!((layout.pixel(Rgb565::new(17, 35, 9)), layout.stride), (17 << 11 | 35 << 5 | 9, 512));
        let palette = Variable { xres: 320, yres: 240, bits_per_pixel: 8, ..Variable::default() };
        assert!(Layout::of(&palette, &Fixed::default()).unwrap_err().contains("8 bits a pixel"));
    }
}
