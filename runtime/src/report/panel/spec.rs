//! Which panel, and where.

use std::ffi::OsStr;
use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::str::FromStr;

use embedded_graphics::geometry::Size;

/// A panel as it is asked for.
#[derive(Clone, Debug, PartialEq)]
pub enum PanelSpec {
    /// `png:FILE[@WIDTHxHEIGHT]`: a file that is always whole.
    Png {
        /// Where it is written.
        file: PathBuf,
        /// Its size in pixels; 128 wide is in two colours.
        size: Size,
    },
    /// `fb:/dev/fb0`: the kernel's framebuffer, all of it.
    Framebuffer {
        /// The device.
        device: PathBuf,
    },
    /// `ssd1306:/dev/i2c-1[,128x32][,0x3d]`: an OLED on an I2C bus.
    Oled {
        /// The bus.
        bus: PathBuf,
        /// The panel's address on it.
        address: u8,
        /// 128x64 or 128x32.
        size: Size,
    },
    /// `st7789:` or `ili9341:`, `/dev/spidev0.0,dc=CHIP:LINE[,reset=CHIP:LINE][,240x135][,rotate=90][,offset=40x53]`.
    Tft(TftSpec),
}

/// A TFT on an SPI bus.
#[derive(Clone, Debug, PartialEq)]
pub struct TftSpec {
    /// The controller.
    pub controller: Controller,
    /// The bus and chip select.
    pub bus: PathBuf,
    /// The wire that tells commands from data.
    pub dc: Pin,
    /// The wire that resets, if there is one.
    pub reset: Option<Pin>,
    /// Size as people see it, in pixels.
    pub size: Size,
    /// Turned clockwise by 0, 90, 180 or 270 degrees.
    pub rotate: u32,
    /// Where the glass begins in the controller's memory, before it is turned.
    pub offset: Size,
}

/// A TFT controller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Controller {
    /// Sitronix ST7789.
    St7789,
    /// Ilitek ILI9341.
    Ili9341,
}

/// A GPIO: `gpiochip0:25`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pin {
    /// The chip's device.
    pub chip: PathBuf,
    /// The line on it.
    pub line: u32,
}

/// Whether a picture of this size is drawn in two colours.
pub(super) fn two_colours(size: Size) -> bool {
    size.width == 128 && size.height <= 64
}

impl PanelSpec {
    /// `FILE[@WIDTHxHEIGHT]`; the name may be no UTF-8.
    pub fn png(given: &OsStr) -> Result<PanelSpec, String> {
        let bytes = given.as_bytes();
        let behind = bytes.iter().rposition(|byte| *byte == b'@');
        let wanted = behind.and_then(|at| Some((&bytes[..at], size(std::str::from_utf8(&bytes[at + 1..]).ok()?)?)));
        let digits = |text: &[u8]| !text.is_empty() && text.iter().all(u8::is_ascii_digit);
        let meant =
            |text: &[u8]| text.iter().position(|byte| *byte == b'x').is_some_and(|at| digits(&text[..at]) && digits(&text[at + 1..]));
        if let Some(size) = behind.map(|at| &bytes[at + 1..]).filter(|text| wanted.is_none() && meant(text)) {
            return Err(format!("panel png: '{}' is no size from 1x1 to 4096x4096", String::from_utf8_lossy(size)));
        }
        let (file, size) = wanted.unwrap_or((bytes, Size::new(320, 240)));
        if file.is_empty() {
            return Err("panel png: something is missing; write for example panel:png:panel.png@320x240".into());
        }
        Ok(PanelSpec::Png { file: OsStr::from_bytes(file).into(), size })
    }
}

impl FromStr for PanelSpec {
    type Err = String;

    fn from_str(given: &str) -> Result<PanelSpec, String> {
        let (kind, rest) = given.split_once(':').unwrap_or((given, ""));
        let needs = |example: &str| Err(format!("panel {kind}: something is missing; write for example panel:{kind}:{example}"));
        match kind {
            "png" => PanelSpec::png(OsStr::new(rest)),
            "fb" if rest.is_empty() => needs("/dev/fb0"),
            "fb" => Ok(PanelSpec::Framebuffer { device: rest.into() }),
            "ssd1306" => oled(rest).map_or_else(|| needs("/dev/i2c-1,128x64,0x3c"), Ok),
            "st7789" | "ili9341" => {
                let (controller, whole) =
                    if kind == "st7789" { (Controller::St7789, Size::new(240, 240)) } else { (Controller::Ili9341, Size::new(320, 240)) };
                tft(controller, whole, rest).map_or_else(
                    |reason| Err(format!("panel {kind}: {reason}; write for example panel:{kind}:/dev/spidev0.0,dc=gpiochip0:25")),
                    |tft| Ok(PanelSpec::Tft(tft)),
                )
            }
            _ => Err(format!(
                "no panel is called '{kind}'; write png:FILE@320x240, fb:/dev/fb0, ssd1306:/dev/i2c-1, st7789:/dev/spidev0.0,dc=gpiochip0:25 or ili9341:..."
            )),
        }
    }
}

/// `320x240`
fn size(text: &str) -> Option<Size> {
    let (width, height) = text.split_once('x')?;
    let side = |text: &str| text.parse::<u32>().ok().filter(|side| (1..=4096).contains(side));
    Some(Size::new(side(width)?, side(height)?))
}

fn oled(text: &str) -> Option<PanelSpec> {
    let mut parts = text.split(',');
    let bus = parts.next().filter(|bus| !bus.is_empty())?;
    let (mut panel, mut address) = (Size::new(128, 64), 0x3C);
    for part in parts {
        match part.strip_prefix("0x").map(|hex| u8::from_str_radix(hex, 16)) {
            Some(Ok(given)) if given < 0x80 => address = given,
            Some(_) => return None,
            None => panel = size(part).filter(|size| *size == Size::new(128, 64) || *size == Size::new(128, 32))?,
        }
    }
    Some(PanelSpec::Oled { bus: bus.into(), address, size: panel })
}

fn tft(controller: Controller, whole: Size, text: &str) -> Result<TftSpec, String> {
    let mut parts = text.split(',');
    let bus = parts.next().filter(|bus| !bus.is_empty()).ok_or("the SPI device is missing")?;
    let (mut dc, mut reset, mut shown, mut rotate, mut offset) =
        (None, None, whole, if controller == Controller::Ili9341 { 90 } else { 0 }, Size::zero());
    for part in parts {
        let wrong = || format!("'{part}' cannot be read");
        match part.split_once('=') {
            Some(("dc", wire)) => dc = Some(pin(wire).ok_or_else(wrong)?),
            Some(("reset", wire)) => reset = Some(pin(wire).ok_or_else(wrong)?),
            Some(("rotate", degrees)) => {
                rotate = degrees.parse().ok().filter(|degrees| [0, 90, 180, 270].contains(degrees)).ok_or_else(wrong)?
            }
            Some(("offset", at)) => {
                let (x, y) = at.split_once('x').and_then(|(x, y)| Some((x.parse().ok()?, y.parse().ok()?))).ok_or_else(wrong)?;
                offset = Size::new(x, y);
            }
            _ => shown = size(part).ok_or_else(wrong)?,
        }
    }
    // Checked here, because the driver would panic: ST7789 and ILI9341 both keep 240x320 pixels.
    let glass = if u32::is_multiple_of(rotate, 180) { shown } else { Size::new(shown.height, shown.width) };
    if glass.width + offset.width > 240 || glass.height + offset.height > 320 {
        return Err(format!("{}x{} turned by {rotate} does not fit the controller's 240x320 pixels", shown.width, shown.height));
    }
    let dc = dc.ok_or("dc=CHIP:LINE, the wire that tells commands from data, is missing")?;
    Ok(TftSpec { controller, bus: bus.into(), dc, reset, size: shown, rotate, offset })
}

fn pin(text: &str) -> Option<Pin> {
    let (chip, line) = text.split_once(':')?;
    let chip = if chip.starts_with('/') { chip.into() } else { PathBuf::from("/dev").join(chip) };
    Some(Pin { chip, line: line.parse().ok()? })
}

impl PanelSpec {
    /// The file or device it takes for itself.
    pub fn place(&self) -> String {
        match self {
            PanelSpec::Png { file, .. } => file.display().to_string(),
            PanelSpec::Framebuffer { device } => device.display().to_string(),
            PanelSpec::Oled { bus, address, .. } => format!("{},{address:#04x}", bus.display()),
            PanelSpec::Tft(tft) => tft.bus.display().to_string(),
        }
    }
}

impl fmt::Display for PanelSpec {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self {
            PanelSpec::Png { .. } => "png",
            PanelSpec::Framebuffer { .. } => "fb",
            PanelSpec::Oled { .. } => "ssd1306",
            PanelSpec::Tft(TftSpec { controller: Controller::St7789, .. }) => "st7789",
            PanelSpec::Tft(TftSpec { controller: Controller::Ili9341, .. }) => "ili9341",
        };
        write!(out, "{kind}:{}", self.place())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn panels_are_read_as_people_write_them() {
        let png = |file: &str, width, height| Ok(PanelSpec::Png { file: file.into(), size: Size::new(width, height) });
        assert_eq!("png:panel.png".parse(), png("panel.png", 320, 240));
        assert_eq!("png:a@b.png@128x64".parse(), png("a@b.png", 128, 64));
        assert_eq!("fb:/dev/fb0".parse(), Ok(PanelSpec::Framebuffer { device: "/dev/fb0".into() }));
        let oled = PanelSpec::Oled { bus: "/dev/i2c-1".into(), address: 0x3D, size: Size::new(128, 32) };
        assert_eq!("ssd1306:/dev/i2c-1,128x32,0x3d".parse(), Ok(oled));
        let Ok(PanelSpec::Tft(tft)) = "st7789:/dev/spidev0.0,dc=gpiochip0:25,reset=/dev/gpiochip1:3,240x135,rotate=90,offset=52x40".parse()
        else {
            panic!("a TFT")
        };
        assert_eq!((tft.dc.chip, tft.dc.line, tft.reset.unwrap().chip), ("/dev/gpiochip0".into(), 25, "/dev/gpiochip1".into()));
        assert_eq!((tft.size, tft.rotate, tft.offset), (Size::new(240, 135), 90, Size::new(52, 40)));
    }

    #[test]
    fn what_is_wrong_is_said_with_an_example() {
        for given in [
            "",
            "png:",
            "fb",
            "ssd1306:",
            "ssd1306:/dev/i2c-1,64x48",
            "st7789:/dev/spidev0.0",
            "st7789:/dev/spidev0.0,dc=25",
            "st7789:/dev/spidev0.0,dc=gpiochip0:1,400x400",
            "vga:/dev/x",
        ] {
            let words = given.parse::<PanelSpec>().unwrap_err();
            assert!(words.contains("write "), "{given}: {words}");
        }
    }
}
