//! Markers and the segments behind them.

/// Coefficients in the order they are written, as places in a block of rows.
#[rustfmt::skip]
pub(super) const ZIGZAG: [u8; 64] = [
     0,  1,  8, 16,  9,  2,  3, 10, 17, 24, 32, 25, 18, 11,  4,  5,
    12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13,  6,  7, 14, 21, 28,
    35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51,
    58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61, 54, 47, 55, 62, 63,
];

/// One part of a JPEG.
pub(super) enum Segment<'a> {
    Quantisers(&'a [u8]),
    Huffman(&'a [u8]),
    /// MCUs between restart markers; 0 for none.
    Restart(usize),
    /// The transform that Adobe's marker states.
    Adobe(u8),
    Frame(Frame),
    /// Its coded data follows.
    Scan(&'a [u8]),
    /// By a marker, or because there is no more.
    End(bool),
}

/// The frame header.
#[derive(Clone, Copy)]
pub(super) struct Frame {
    pub progressive: bool,
    pub width: u16,
    pub height: u16,
    /// Largest factors across and down.
    pub most: (usize, usize),
    list: [Component; 4],
    count: usize,
}

/// One colour component.
#[derive(Clone, Copy, Default)]
pub(super) struct Component {
    pub id: u8,
    /// Sampling factor across.
    pub h: usize,
    /// Sampling factor down.
    pub v: usize,
    pub quantiser: usize,
}

/// A scan header.
pub(super) struct Scan {
    /// Index of the component, its DC and its AC table.
    pub parts: [(usize, usize, usize); 4],
    pub count: usize,
    /// First and last coefficient.
    pub band: (usize, usize),
    /// Bits known before and left after this scan.
    pub bits: (u8, u8),
}

impl Frame {
    pub fn components(&self) -> &[Component] {
        &self.list[..self.count]
    }

    /// Whether the first component is the picture's luma.
    pub fn luma_first(&self, adobe: Option<u8>) -> bool {
        self.count == 1 || (self.count == 3 && !self.is_rgb(adobe))
    }

    /// Whether three components are R, G and B.
    pub fn is_rgb(&self, adobe: Option<u8>) -> bool {
        let ids = [self.list[0].id, self.list[1].id, self.list[2].id];
        self.count == 3 && (adobe == Some(0) || (adobe.is_none() && ids == *b"RGB"))
    }

    /// Samples across and down that a component has.
    pub fn samples(&self, component: &Component) -> (usize, usize) {
        let across = (usize::from(self.width) * component.h).div_ceil(self.most.0);
        let down = (usize::from(self.height) * component.v).div_ceil(self.most.1);
        (across, down)
    }

    /// MCUs across and down.
    pub fn mcus(&self) -> (usize, usize) {
        (usize::from(self.width).div_ceil(8 * self.most.0), usize::from(self.height).div_ceil(8 * self.most.1))
    }
}

/// Goes from marker to marker.
pub(super) struct Segments<'a> {
    jpeg: &'a [u8],
    at: usize,
}

impl<'a> Segments<'a> {
    pub fn new(jpeg: &'a [u8]) -> Result<Segments<'a>, String> {
        if !jpeg.starts_with(&[0xff, 0xd8]) {
            return Err("it is no JPEG: the start marker is missing".into());
        }
        Ok(Segments { jpeg, at: 2 })
    }

    /// Behind the segment that was read last.
    pub fn at(&self) -> usize {
        self.at
    }

    pub fn go_on(&mut self, at: usize) {
        self.at = at;
    }

    /// The next segment that matters. Bytes that are no marker are passed over, as libjpeg does.
    pub fn next(&mut self) -> Result<Segment<'a>, String> {
        loop {
            let Some(marker) = self.marker() else { return Ok(Segment::End(false)) };
            if marker == 0xd9 {
                return Ok(Segment::End(true));
            }
            // A second picture begins: this one has no end marker.
            if marker == 0xd8 {
                return Ok(Segment::End(false));
            }
            if marker == 0x01 || (0xd0..=0xd7).contains(&marker) {
                continue;
            }
            let cut = || "the JPEG's header is cut short".to_owned();
            let length = self.jpeg.get(self.at..self.at + 2).ok_or_else(cut)?;
            let length = usize::from(u16::from_be_bytes([length[0], length[1]])).max(2);
            let body = self.jpeg.get(self.at + 2..self.at + length).ok_or_else(cut)?;
            self.at += length;
            return Ok(match marker {
                0xc4 => Segment::Huffman(body),
                0xdb => Segment::Quantisers(body),
                0xdd => Segment::Restart(usize::from(u16::from_be_bytes(*body.first_chunk().ok_or_else(cut)?))),
                0xda => Segment::Scan(body),
                0xee if body.starts_with(b"Adobe") && body.len() >= 12 => Segment::Adobe(body[11]),
                0xc0..=0xc2 => Segment::Frame(frame(body, marker == 0xc2)?),
                0xc9..=0xcb | 0xcd..=0xcf => return Err("the JPEG is coded arithmetically, which is not read".into()),
                0xc3 | 0xc5..=0xc7 => return Err("the JPEG is lossless or hierarchical, which is not read".into()),
                _ => continue,
            });
        }
    }

    fn marker(&mut self) -> Option<u8> {
        let at = find_marker(self.jpeg, self.at)?;
        self.at = at + 2;
        Some(self.jpeg[at + 1])
    }
}

/// Where the next marker's last `FF` stands, from `at` on.
pub(super) fn find_marker(jpeg: &[u8], at: usize) -> Option<usize> {
    let mut rest = jpeg.get(at..)?;
    loop {
        let found = rest.iter().position(|byte| *byte == 0xff)?;
        rest = &rest[found..];
        match rest.get(1)? {
            0 => rest = &rest[2..],
            0xff => rest = &rest[1..],
            _ => return Some(jpeg.len() - rest.len()),
        }
    }
}

fn frame(body: &[u8], progressive: bool) -> Result<Frame, String> {
    let &[bits, h1, h0, w1, w0, count, ref rest @ ..] = body else { return Err("the JPEG's frame header is cut short".into()) };
    let (width, height) = (u16::from_be_bytes([w1, w0]), u16::from_be_bytes([h1, h0]));
    if bits != 8 {
        return Err(format!("the JPEG has {bits} bits a sample; 8 are read"));
    }
    if width == 0 || height == 0 {
        return Err(format!("the JPEG states a size of {width}x{height}"));
    }
    if !matches!(count, 1 | 3 | 4) {
        return Err(format!("the JPEG has {count} colour components; 1, 3 or 4 are read"));
    }
    let mut list = [Component::default(); 4];
    let parts = rest.as_chunks::<3>().0;
    if parts.len() < usize::from(count) {
        return Err("the JPEG's frame header is cut short".into());
    }
    for (component, [id, factors, quantiser]) in list.iter_mut().zip(&parts[..usize::from(count)]) {
        *component = Component { id: *id, h: usize::from(factors >> 4), v: usize::from(factors & 15), quantiser: usize::from(*quantiser) };
        if !(1..=4).contains(&component.h) || !(1..=4).contains(&component.v) || component.quantiser > 3 {
            return Err(format!("the JPEG's component {id} has sampling {}x{}", component.h, component.v));
        }
    }
    // One component alone is never interleaved: its factors mean nothing.
    if count == 1 {
        (list[0].h, list[0].v) = (1, 1);
    }
    let most = list[..usize::from(count)].iter().fold((1, 1), |most, component| (component.h.max(most.0), component.v.max(most.1)));
    Ok(Frame { progressive, width, height, most, list, count: usize::from(count) })
}

/// Reads quantisation tables into the order of a block's rows.
pub(super) fn quantisers(mut body: &[u8], tables: &mut [[u16; 64]; 4]) -> Result<(), String> {
    while let Some((head, rest)) = body.split_first() {
        let (wide, table) = (head >> 4 != 0, usize::from(head & 15));
        let bytes = if wide { 128 } else { 64 };
        if table > 3 || rest.len() < bytes {
            return Err("a quantisation table of the JPEG is broken".into());
        }
        for (index, place) in ZIGZAG.iter().enumerate() {
            tables[table][usize::from(*place)] =
                if wide { u16::from_be_bytes([rest[2 * index], rest[2 * index + 1]]) } else { u16::from(rest[index]) };
        }
        body = &rest[bytes..];
    }
    Ok(())
}

pub(super) fn scan(body: &[u8], frame: &Frame) -> Result<Scan, String> {
    let broken = || "a scan header of the JPEG is broken".to_owned();
    let (count, rest) = body.split_first().ok_or_else(broken)?;
    let count = usize::from(*count);
    let (choices, rest) = rest.split_at_checked(2 * count).ok_or_else(broken)?;
    let [first, last, bits, ..] = *rest else { return Err(broken()) };
    if !(1..=4).contains(&count) {
        return Err(broken());
    }
    let mut scan = Scan { parts: [(0, 0, 0); 4], count, band: (usize::from(first), usize::from(last)), bits: (bits >> 4, bits & 15) };
    for (part, [id, tables]) in scan.parts.iter_mut().zip(choices.as_chunks::<2>().0) {
        let index = frame.components().iter().position(|component| component.id == *id).ok_or_else(broken)?;
        *part = (index, usize::from(tables >> 4), usize::from(tables & 15));
        if part.1 > 3 || part.2 > 3 {
            return Err(broken());
        }
    }
    let parts = &scan.parts[..count];
    if parts.iter().enumerate().any(|(at, part)| parts[..at].iter().any(|earlier| earlier.0 == part.0)) {
        return Err(broken());
    }
    if frame.progressive {
        let (first, last) = scan.band;
        if last > 63 || first > last || (first == 0 && last != 0) || (first > 0 && count != 1) || scan.bits.1 > 13 {
            return Err(broken());
        }
    }
    Ok(scan)
}

/// Width and height from the frame header, without decoding.
pub fn size(jpeg: &[u8]) -> Result<(u32, u32), String> {
    first_scan(jpeg).map(|(width, height, _)| (width, height))
}

/// Width and height, and where the first scan's coded data begins.
pub(super) fn first_scan(jpeg: &[u8]) -> Result<(u32, u32, usize), String> {
    let mut segments = Segments::new(jpeg)?;
    let mut size = None;
    loop {
        match segments.next()? {
            Segment::Frame(frame) => size = Some((u32::from(frame.width), u32::from(frame.height))),
            Segment::Scan(_) => {
                let (width, height) = size.ok_or("the JPEG has a scan before its frame header")?;
                return Ok((width, height, segments.at()));
            }
            Segment::End(_) => return Err("the JPEG ends before its picture".into()),
            _ => {}
        }
    }
}

/// The body of its Exif segment, where it has one.
pub fn exif(jpeg: &[u8]) -> Option<&[u8]> {
    let mut at = 2;
    loop {
        let marker = find_marker(jpeg, at)?;
        let kind = jpeg[marker + 1];
        if matches!(kind, 0xd8..=0xda) {
            return None;
        }
        at = marker + 2;
        if kind == 0x01 || (0xd0..=0xd7).contains(&kind) {
            continue;
        }
        let length = usize::from(u16::from_be_bytes(*jpeg.get(at..)?.first_chunk()?)).max(2);
        let body = jpeg.get(at + 2..at + length)?;
        if kind == 0xe1 && body.starts_with(b"Exif\0\0") {
            return Some(&body[6..]);
        }
        at += length;
    }
}

/// Where the picture that `jpeg` begins with ends: behind its end marker, or before the next picture; none if neither has come.
pub fn end(jpeg: &[u8]) -> Option<usize> {
    let mut at = 2;
    loop {
        let marker = find_marker(jpeg, at)?;
        at = marker + 2;
        match jpeg[marker + 1] {
            0xd9 => return Some(at),
            0xd8 => return Some(marker),
            0x01 | 0xd0..=0xd7 => {}
            _ => at += usize::from(u16::from_be_bytes(*jpeg.get(at..)?.first_chunk()?)).max(2),
        }
    }
}

/// Which field the marker of AVI's first segment states: 1 for the odd lines (the upper field), 2 for the even ones.
pub(super) fn polarity(jpeg: &[u8]) -> u8 {
    match jpeg {
        [0xff, 0xd8, 0xff, 0xe0, _, _, b'A', b'V', b'I', b'1', polarity, ..] => *polarity,
        _ => 0,
    }
}
