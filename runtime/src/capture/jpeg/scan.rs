//! Coded data to planes of samples: one scan after another.

use super::bits::{Bits, Damage};
use super::header::{Component, Frame, Scan, ZIGZAG, find_marker};
use super::huffman::{Table, Tables};
use super::transform::{self, Transform};

/// The samples of one component.
#[derive(Default)]
pub(super) struct Plane {
    /// Samples from one row to the next; a whole number of MCUs.
    pub stride: usize,
    pub samples: Vec<u8>,
    /// Blocks across, padding included.
    blocks: usize,
    /// Progressive pictures collect here.
    coefficients: Vec<i16>,
    needed: bool,
    covered: bool,
}

/// The components of one picture.
#[derive(Default)]
pub(super) struct Planes {
    pub list: [Plane; 4],
    count: usize,
}

/// The blocks that one scan goes through: components with their tables.
struct Part<'a> {
    index: usize,
    component: Component,
    dc: &'a Table,
    ac: &'a Table,
}

impl Planes {
    /// Makes room for `frame`, for its first component alone where `luma`; the bytes that takes.
    pub fn prepare(&mut self, frame: &Frame, luma: bool) -> usize {
        let (across, down) = frame.mcus();
        self.count = frame.components().len();
        let needed = |index: usize| index == 0 || !luma;
        let sizes = frame.components().iter().enumerate().filter(|(index, _)| needed(*index));
        let samples: usize = sizes.map(|(_, component)| across * component.h * down * component.v * 64).sum();
        let bytes = samples * if frame.progressive { 3 } else { 1 };
        if bytes > super::MEMORY {
            return bytes;
        }
        for (index, (plane, component)) in self.list.iter_mut().zip(frame.components()).enumerate() {
            plane.needed = needed(index);
            plane.covered = false;
            plane.blocks = across * component.h;
            plane.stride = plane.blocks * 8;
            let samples = if plane.needed { plane.stride * down * component.v * 8 } else { 0 };
            plane.samples.resize(samples, 0);
            plane.coefficients.clear();
            plane.coefficients.resize(if frame.progressive { samples } else { 0 }, 0);
        }
        bytes
    }

    /// Whether every component has had its scan.
    pub fn covered(&self) -> bool {
        self.count > 0 && self.list[..self.count].iter().all(|plane| plane.covered)
    }

    /// Decodes the scan whose data begins at `at`; where the data ends.
    #[allow(clippy::too_many_arguments)] // all that holds for a scan
    pub fn scan(
        &mut self,
        frame: &Frame,
        scan: &Scan,
        tables: &mut Tables,
        quantisers: &[[u16; 64]; 4],
        restart: usize,
        jpeg: &[u8],
        at: usize,
    ) -> Result<usize, String> {
        let chosen = &scan.parts[..scan.count];
        for (_, dc, ac) in chosen {
            tables.complete(*dc, *ac)?;
        }
        let tables = &*tables;
        let parts: [Option<Part>; 4] = std::array::from_fn(|at| {
            let (index, dc, ac) = *chosen.get(at)?;
            Some(Part { index, component: frame.components()[index], dc: tables.dc(dc), ac: tables.ac(ac) })
        });
        let wanted = chosen.iter().any(|(index, _, _)| self.list[*index].needed);
        let mut bits = Bits::new(jpeg, at);
        if wanted {
            if frame.progressive {
                self.walk(frame, &parts, restart, &mut bits, &mut Progressive { scan, run: 0 })?;
            } else {
                let mut sequential = Sequential { quantisers, transform: transform::best(), block: [0; 64] };
                self.walk(frame, &parts, restart, &mut bits, &mut sequential)?;
            }
        }
        for (index, _, _) in chosen {
            self.list[*index].covered |= scan.band.0 == 0;
        }
        // Restart markers that are left over belong to this scan.
        let mut end = bits.end();
        while let Some(marker) = find_marker(jpeg, end)
            && (0xd0..=0xd7).contains(&jpeg[marker + 1])
        {
            end = marker + 2;
        }
        Ok(end)
    }

    /// Takes `coding` from block to block, and over restart markers.
    fn walk(
        &mut self,
        frame: &Frame,
        parts: &[Option<Part>; 4],
        restart: usize,
        bits: &mut Bits,
        coding: &mut impl Coding,
    ) -> Result<(), Damage> {
        let mut predictions = [0; 4];
        let mut left = restart;
        let alone = parts[1].is_none();
        let (across, down) = match &parts[0] {
            // A component alone is coded without the blocks that only fill up MCUs.
            Some(part) if alone => {
                let (width, height) = frame.samples(&part.component);
                (width.div_ceil(8), height.div_ceil(8))
            }
            _ => frame.mcus(),
        };
        for y in 0..down {
            for x in 0..across {
                if restart > 0 {
                    if left == 0 {
                        if bits.overrun() || !bits.restart() {
                            return Err(Damage::Cut);
                        }
                        predictions = [0; 4];
                        coding.restart();
                        left = restart;
                    }
                    left -= 1;
                }
                for part in parts.iter().flatten() {
                    let plane = &mut self.list[part.index];
                    let (h, v) = if alone { (1, 1) } else { (part.component.h, part.component.v) };
                    for row in 0..v {
                        for column in 0..h {
                            coding.block(bits, part, plane, (x * h + column, y * v + row), &mut predictions[part.index])?;
                        }
                    }
                }
            }
            if bits.overrun() {
                return Err(Damage::Cut);
            }
        }
        Ok(())
    }

    /// Turns the coefficients that a progressive picture has collected into samples.
    pub fn finish(&mut self, frame: &Frame, quantisers: &[[u16; 64]; 4]) {
        if !frame.progressive {
            return;
        }
        let transform = transform::best();
        for (plane, component) in self.list.iter_mut().zip(frame.components()).filter(|(plane, _)| plane.needed) {
            for (index, block) in plane.coefficients.as_chunks::<64>().0.iter().enumerate() {
                let at = index / plane.blocks * 8 * plane.stride + index % plane.blocks * 8;
                transform(block, &quantisers[component.quantiser], &mut plane.samples[at..], plane.stride);
            }
        }
    }

    /// The plane of luma as it is, where it needs no conversion.
    pub fn luma(&self, frame: &Frame, adobe: Option<u8>) -> Option<(usize, &[u8])> {
        let first = frame.components()[0];
        let plane = &self.list[0];
        (frame.luma_first(adobe) && (first.h, first.v) == frame.most).then_some((plane.stride, plane.samples.as_slice()))
    }
}

/// How blocks are coded.
trait Coding {
    /// Decodes the block at column and row `at` of `plane`.
    fn block(&mut self, bits: &mut Bits, part: &Part, plane: &mut Plane, at: (usize, usize), prediction: &mut i32) -> Result<(), Damage>;

    /// A restart marker was passed.
    fn restart(&mut self) {}
}

/// Every block once and whole.
struct Sequential<'a> {
    quantisers: &'a [[u16; 64]; 4],
    transform: Transform,
    block: [i16; 64],
}

impl Coding for Sequential<'_> {
    #[inline(always)]
    fn block(&mut self, bits: &mut Bits, part: &Part, plane: &mut Plane, at: (usize, usize), prediction: &mut i32) -> Result<(), Damage> {
        if !plane.needed {
            return pass_over(bits, part);
        }
        self.block = [0; 64];
        let last = sequential(bits, part, prediction, &mut self.block)?;
        let to = at.1 * 8 * plane.stride + at.0 * 8;
        let (table, stride) = (&self.quantisers[part.component.quantiser], plane.stride);
        if last == 0 {
            transform::flat(self.block[0], table[0], &mut plane.samples[to..], stride);
        } else {
            (self.transform)(&self.block, table, &mut plane.samples[to..], stride);
        }
        Ok(())
    }
}

/// Decodes one block; the index of its last coefficient.
#[inline(always)]
fn sequential(bits: &mut Bits, part: &Part, prediction: &mut i32, block: &mut [i16; 64]) -> Result<usize, Damage> {
    bits.ensure();
    let size = u32::from(part.dc.value(bits)?) & 15;
    *prediction = prediction.wrapping_add(bits.signed(size));
    block[0] = *prediction as i16;
    let (mut index, mut last) = (1, 0);
    while index < 64 {
        bits.ensure();
        let whole = part.ac.whole(bits);
        if whole != 0 {
            bits.skip(whole as u32 & 0xff);
            index += (whole >> 8 & 0xff) as usize;
            *block.get_mut(place(index)?).ok_or(Damage::Block)? = (whole >> 16) as i16;
        } else {
            let value = part.ac.value(bits)?;
            let (zeros, size) = (usize::from(value >> 4), u32::from(value & 15));
            if size == 0 {
                if zeros < 15 {
                    break;
                }
                index += 16;
                continue;
            }
            index += zeros;
            block[place(index)?] = bits.signed(size) as i16;
        }
        last = index;
        index += 1;
    }
    Ok(last)
}

#[inline(always)]
fn place(index: usize) -> Result<usize, Damage> {
    ZIGZAG.get(index).map(|place| usize::from(*place) & 63).ok_or(Damage::Block)
}

/// Goes past a block that nobody wants.
#[inline(always)]
fn pass_over(bits: &mut Bits, part: &Part) -> Result<(), Damage> {
    bits.ensure();
    let size = u32::from(part.dc.value(bits)?) & 15;
    bits.take(size);
    let mut index = 1;
    while index < 64 {
        bits.ensure();
        let whole = part.ac.whole(bits);
        if whole != 0 {
            bits.skip(whole as u32 & 0xff);
            index += 1 + (whole >> 8 & 0xff) as usize;
            continue;
        }
        let value = part.ac.value(bits)?;
        let (zeros, size) = (usize::from(value >> 4), u32::from(value & 15));
        if size == 0 && zeros < 15 {
            break;
        }
        index += zeros + 1;
        bits.take(size);
    }
    if index > 79 { Err(Damage::Block) } else { Ok(()) }
}

/// Coefficients come in bands and bit by bit.
struct Progressive<'a> {
    scan: &'a Scan,
    /// Blocks in which nothing more comes in this band.
    run: u32,
}

impl Coding for Progressive<'_> {
    fn restart(&mut self) {
        self.run = 0;
    }

    fn block(&mut self, bits: &mut Bits, part: &Part, plane: &mut Plane, at: (usize, usize), prediction: &mut i32) -> Result<(), Damage> {
        let mut unwanted = [0; 64];
        let from = (at.1 * plane.blocks + at.0) * 64;
        let block = match plane.coefficients.get_mut(from..).and_then(|rest| rest.first_chunk_mut::<64>()) {
            Some(block) => block,
            None => &mut unwanted,
        };
        let (known, shift) = self.scan.bits;
        match (self.scan.band.0, known) {
            (0, 0) => {
                bits.ensure();
                let size = u32::from(part.dc.value(bits)?) & 15;
                *prediction = prediction.wrapping_add(bits.signed(size));
                block[0] = (*prediction << shift) as i16;
            }
            (0, _) => {
                bits.ensure();
                block[0] |= (bits.take(1) << shift) as i16;
            }
            (_, 0) => self.first(bits, part, block, shift)?,
            _ => self.refine(bits, part, block, shift)?,
        }
        Ok(())
    }
}

impl Progressive<'_> {
    fn first(&mut self, bits: &mut Bits, part: &Part, block: &mut [i16; 64], shift: u8) -> Result<(), Damage> {
        if self.run > 0 {
            self.run -= 1;
            return Ok(());
        }
        let (mut index, end) = self.scan.band;
        while index <= end {
            bits.ensure();
            let value = part.ac.value(bits)?;
            let (zeros, size) = (u32::from(value >> 4), u32::from(value & 15));
            if size == 0 {
                if zeros < 15 {
                    self.run = (1 << zeros) - 1 + bits.take(zeros) as u32;
                    return Ok(());
                }
                index += 16;
                continue;
            }
            index += zeros as usize;
            block[place(index)?] = (bits.signed(size) << shift) as i16;
            index += 1;
        }
        Ok(())
    }

    fn refine(&mut self, bits: &mut Bits, part: &Part, block: &mut [i16; 64], shift: u8) -> Result<(), Damage> {
        let step = 1_i16 << shift;
        let (mut index, end) = self.scan.band;
        if self.run == 0 {
            while index <= end {
                bits.ensure();
                let value = part.ac.value(bits)?;
                let (mut zeros, size) = (u32::from(value >> 4), u32::from(value & 15));
                let mut new = 0;
                if size != 0 {
                    new = if bits.take(1) == 1 { step } else { -step };
                } else if zeros < 15 {
                    self.run = (1 << zeros) + bits.take(zeros) as u32;
                    break;
                }
                while index <= end {
                    let coefficient = &mut block[place(index)?];
                    if *coefficient != 0 {
                        correct(bits, coefficient, step);
                    } else if zeros == 0 {
                        *coefficient = new;
                        break;
                    } else {
                        zeros -= 1;
                    }
                    index += 1;
                }
                index += 1;
            }
        }
        if self.run > 0 {
            self.run -= 1;
            for index in index..=end {
                let coefficient = &mut block[place(index)?];
                if *coefficient != 0 {
                    correct(bits, coefficient, step);
                }
            }
        }
        Ok(())
    }
}

/// One more bit of a coefficient that is known not to be zero.
fn correct(bits: &mut Bits, coefficient: &mut i16, step: i16) {
    bits.ensure();
    if bits.take(1) == 1 && *coefficient & step == 0 {
        *coefficient = coefficient.wrapping_add(if *coefficient > 0 { step } else { -step });
    }
}
