//! ST7789 and ILI9341 on an SPI bus: the changed bands of rows, and nothing else.

use std::io::Write;

use embedded_graphics::geometry::Size;
use embedded_graphics::pixelcolor::Rgb565;
use linux_embedded_hal::gpio_cdev::{Chip, LineRequestFlags};
use linux_embedded_hal::spidev::{SpiModeFlags, SpidevOptions};
use linux_embedded_hal::{CdevPin, Delay, SpidevDevice};
use mipidsi::interface::Interface;
use mipidsi::models::{ILI9341Rgb565, Model, ST7789};
use mipidsi::options::{ColorInversion, ColorOrder, Orientation, Rotation};
use mipidsi::{Builder, Display, NoResetPin};

use super::Screen;
use super::canvas::{Canvas, Page};
use super::spec::{Controller, Pin, TftSpec};

const HERTZ: u32 = 32_000_000;
/// Bytes handed to the bus at once; a spidev transfer is limited to 4096 where nobody has raised it.
const CHUNK: usize = 4096;

/// A driver whose reset pin has done its work.
pub(super) enum Driver<DI: Interface<Word = u8>> {
    St7789(Display<DI, ST7789, NoResetPin>),
    Ili9341(Display<DI, ILI9341Rgb565, NoResetPin>),
}

pub(super) struct Tft {
    driver: Driver<Wires>,
    size: Size,
}

impl Tft {
    pub(super) fn open(spec: &TftSpec) -> Result<Tft, String> {
        let bus = spec.bus.display();
        let mut spi = SpidevDevice::open(&spec.bus)
            .map_err(|error| format!("cannot open {bus}: {error}; is spidev on, and may this user write to it?"))?;
        spi.0
            .configure(&SpidevOptions::new().bits_per_word(8).max_speed_hz(HERTZ).mode(SpiModeFlags::SPI_MODE_0).build())
            .map_err(|error| format!("{bus} refuses {HERTZ} Hz in mode 0: {error}"))?;
        let dc = wire(&spec.dc, 0)?;
        if let Some(reset) = &spec.reset {
            let reset = wire(reset, 0)?;
            std::thread::sleep(std::time::Duration::from_millis(1));
            reset.0.set_value(1).map_err(|error| format!("the reset line cannot be set: {error}"))?;
            std::thread::sleep(std::time::Duration::from_millis(120));
        }
        let driver = begin(Wires { spi, dc, chunk: Vec::with_capacity(CHUNK) }, spec)
            .map_err(|error| format!("the panel on {bus} cannot be set up: {error}"))?;
        Ok(Tft { driver, size: spec.size })
    }
}

/// The bus and the wire beside it.
struct Wires {
    spi: SpidevDevice,
    dc: CdevPin,
    chunk: Vec<u8>,
}

impl Wires {
    fn write(&mut self, data: bool, bytes: &[u8]) -> Result<(), std::io::Error> {
        self.dc.0.set_value(data.into()).map_err(std::io::Error::other)?;
        bytes.chunks(CHUNK).try_for_each(|chunk| self.spi.0.write_all(chunk))
    }
}

impl Interface for Wires {
    type Word = u8;
    type Error = std::io::Error;

    fn send_command(&mut self, command: u8, args: &[u8]) -> Result<(), std::io::Error> {
        self.write(false, &[command])?;
        self.write(true, args)
    }

    fn send_pixels<const N: usize>(&mut self, pixels: impl IntoIterator<Item = [u8; N]>) -> Result<(), std::io::Error> {
        let mut chunk = std::mem::take(&mut self.chunk);
        chunk.clear();
        chunk.extend(pixels.into_iter().flatten());
        let written = self.write(true, &chunk);
        self.chunk = chunk;
        written
    }

    fn send_repeated_pixel<const N: usize>(&mut self, pixel: [u8; N], count: u32) -> Result<(), std::io::Error> {
        self.send_pixels((0..count).map(|_| pixel))
    }
}

fn wire(pin: &Pin, value: u8) -> Result<CdevPin, String> {
    let opened = Chip::new(&pin.chip)
        .and_then(|mut chip| chip.get_line(pin.line))
        .and_then(|line| line.request(LineRequestFlags::OUTPUT, value, "recslowfast panel"))
        .and_then(CdevPin::new);
    opened.map_err(|error| format!("cannot take line {} of {}: {error}", pin.line, pin.chip.display()))
}

/// Sets the controller behind `interface` up.
pub(super) fn begin<DI: Interface<Word = u8>>(interface: DI, spec: &TftSpec) -> Result<Driver<DI>, String> {
    let rotation = match spec.rotate {
        90 => Rotation::Deg90,
        180 => Rotation::Deg180,
        270 => Rotation::Deg270,
        _ => Rotation::Deg0,
    };
    let failed = |error: &dyn std::fmt::Debug| format!("{error:?}");
    match spec.controller {
        Controller::St7789 => {
            // These panels are sold inverted.
            let builder = build(Builder::new(ST7789, interface), spec).orientation(Orientation::new().rotate(rotation));
            let display = builder.invert_colors(ColorInversion::Inverted).init(&mut Delay).map_err(|error| failed(&error))?;
            Ok(Driver::St7789(display))
        }
        Controller::Ili9341 => {
            // On these boards the glass runs from right to left.
            let orientation = Orientation::new().rotate(rotation).flip_horizontal();
            let builder = build(Builder::new(ILI9341Rgb565, interface), spec).orientation(orientation);
            let display = builder.color_order(ColorOrder::Bgr).init(&mut Delay).map_err(|error| failed(&error))?;
            Ok(Driver::Ili9341(display))
        }
    }
}

fn build<DI: Interface<Word = u8>, M>(builder: Builder<DI, M, NoResetPin>, spec: &TftSpec) -> Builder<DI, M, NoResetPin>
where
    M: Model,
    M::ColorFormat: mipidsi::interface::InterfacePixelFormat<u8>,
{
    let glass = if spec.rotate.is_multiple_of(180) { spec.size } else { Size::new(spec.size.height, spec.size.width) };
    builder.display_size(glass.width as u16, glass.height as u16).display_offset(spec.offset.width as u16, spec.offset.height as u16)
}

impl<DI: Interface<Word = u8>> Driver<DI> {
    /// Sends the rows of `page`.
    pub(super) fn send(&mut self, canvas: &Canvas<Rgb565>, page: &Page, width: u32) -> Result<(), String> {
        let (right, top, bottom) = (width as u16 - 1, page.start as u16, page.end as u16 - 1);
        let pixels = canvas.rows(page).iter().copied();
        match self {
            Driver::St7789(display) => display.set_pixels(0, top, right, bottom, pixels),
            Driver::Ili9341(display) => display.set_pixels(0, top, right, bottom, pixels),
        }
        .map_err(|error| format!("the panel cannot be written: {error:?}"))
    }
}

impl Screen for Tft {
    type Colour = Rgb565;

    fn size(&self) -> Size {
        self.size
    }

    fn show(&mut self, canvas: &Canvas<Rgb565>, pages: &[Page]) -> Result<(), String> {
        pages.iter().try_for_each(|page| self.driver.send(canvas, page, self.size.width))
    }
}
