//! SSD1306 on an I2C bus: the bytes of the changed pages, and nothing else.

use std::path::Path;

use embedded_graphics::geometry::Size;
use embedded_graphics::pixelcolor::BinaryColor;
use linux_embedded_hal::I2cdev;
use ssd1306::mode::{BasicMode, DisplayConfig};
use ssd1306::prelude::{Brightness, DisplayRotation, I2CInterface};
use ssd1306::size::{DisplaySize, DisplaySize128x32, DisplaySize128x64};
use ssd1306::{I2CDisplayInterface, Ssd1306};

use super::Screen;
use super::canvas::{Canvas, Page};

type Driver<SIZE> = Ssd1306<I2CInterface<I2cdev>, SIZE, BasicMode>;

pub(super) enum Oled {
    Tall(Driver<DisplaySize128x64>),
    Flat(Driver<DisplaySize128x32>),
}

impl Oled {
    pub(super) fn open(bus: &Path, address: u8, size: Size) -> Result<Oled, String> {
        let i2c = I2cdev::new(bus)
            .map_err(|error| format!("cannot open {}: {error}; is the bus on, and is this user in group i2c?", bus.display()))?;
        let interface = I2CDisplayInterface::new_custom_address(i2c, address);
        let silent = |_| format!("nothing answers at {address:#04x} on {}; `i2cdetect -y` shows what does", bus.display());
        if size.height == 32 {
            begin(interface, DisplaySize128x32).map(Oled::Flat).map_err(silent)
        } else {
            begin(interface, DisplaySize128x64).map(Oled::Tall).map_err(silent)
        }
    }
}

fn begin<SIZE: DisplaySize>(interface: I2CInterface<I2cdev>, size: SIZE) -> Result<Driver<SIZE>, Failed> {
    let mut driver = Ssd1306::new(interface, size, DisplayRotation::Rotate0);
    driver.init()?;
    driver.set_brightness(Brightness::NORMAL)?;
    Ok(driver)
}

/// The driver's error, which belongs to a crate it does not name.
type Failed = <Driver<DisplaySize128x64> as DisplayConfig>::Error;

fn send<SIZE: DisplaySize>(driver: &mut Driver<SIZE>, canvas: &Canvas<BinaryColor>, page: &Page) -> Result<(), Failed> {
    let bytes = page_bytes(canvas, page);
    driver.set_draw_area((0, page.start as u8), (bytes.len() as u8, page.end as u8))?;
    driver.draw(&bytes)
}

/// A byte for each column, the topmost row in the lowest bit.
pub(super) fn page_bytes(canvas: &Canvas<BinaryColor>, page: &Page) -> Vec<u8> {
    let pixels = canvas.rows(page);
    let width = pixels.len() / page.len();
    let byte = |x: usize| (0..page.len()).fold(0, |byte, y| byte | u8::from(pixels[y * width + x].is_on()) << y);
    (0..width).map(byte).collect()
}

impl Screen for Oled {
    type Colour = BinaryColor;

    fn size(&self) -> Size {
        Size::new(128, if matches!(self, Oled::Tall(_)) { 64 } else { 32 })
    }

    fn show(&mut self, canvas: &Canvas<BinaryColor>, pages: &[Page]) -> Result<(), String> {
        for page in pages {
            match self {
                Oled::Tall(driver) => send(driver, canvas, page),
                Oled::Flat(driver) => send(driver, canvas, page),
            }
            .map_err(|error| format!("the panel does not answer any more ({error:?})"))?;
        }
        Ok(())
    }
}
