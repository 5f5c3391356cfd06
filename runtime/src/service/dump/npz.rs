//! NumPy's archive: a ZIP of stored `.npy` files (NumPy Enhancement Proposal 1, format 1.0; APPNOTE.TXT of PKWARE, without extensions).

/// An archive in memory.
#[derive(Default)]
pub struct Archive {
    bytes: Vec<u8>,
    directory: Vec<u8>,
    entries: u16,
}

impl Archive {
    /// Adds numbers of `shape`, row-major.
    pub fn floats(&mut self, name: &str, shape: &[usize], values: &[f32]) {
        assert_eq!(values.len(), shape.iter().product::<usize>(), "'{name}' has the shape it is said to have");
        self.entry(name, "<f4", shape, values.iter().flat_map(|value| value.to_le_bytes()));
    }

    /// Adds one whole number.
    pub fn whole(&mut self, name: &str, value: i64) {
        self.entry(name, "<i8", &[], value.to_le_bytes().into_iter());
    }

    fn entry(&mut self, name: &str, kind: &str, shape: &[usize], data: impl Iterator<Item = u8>) {
        let sizes: String = shape.iter().map(|size| format!("{size}, ")).collect();
        let mut header = format!("{{'descr': '{kind}', 'fortran_order': False, 'shape': ({}), }}", sizes.trim_end());
        // What is before the numbers is a multiple of 64 bytes long, and ends in a newline.
        while !(10 + header.len() + 1).is_multiple_of(64) {
            header.push(' ');
        }
        header.push('\n');
        let mut file = b"\x93NUMPY\x01\x00".to_vec();
        file.extend((header.len() as u16).to_le_bytes());
        file.extend(header.as_bytes());
        file.extend(data);
        let name = format!("{name}.npy");
        let size = u32::try_from(file.len()).expect("a network's tensor has fewer than 2^28 numbers");
        let at = u32::try_from(self.bytes.len()).expect("an archive of one frame stays below 4 GiB");
        // Version, flags, method (stored), time and date (1980-01-01), checksum, sizes, length of the name, of extras.
        let mut common = Vec::new();
        common.extend([20, 0, 0, 0, 0, 0, 0, 0, 0x21, 0]);
        common.extend(crc32fast::hash(&file).to_le_bytes());
        common.extend([size.to_le_bytes(), size.to_le_bytes()].concat());
        common.extend((name.len() as u16).to_le_bytes());
        common.extend([0, 0]);
        self.bytes.extend(b"PK\x03\x04");
        self.bytes.extend(&common);
        self.bytes.extend(name.as_bytes());
        self.bytes.extend(file);
        self.directory.extend(b"PK\x01\x02\x14\x00");
        self.directory.extend(&common);
        // Length of the comment, disk, attributes (two bytes and four), where the entry begins.
        self.directory.extend([0; 10]);
        self.directory.extend(at.to_le_bytes());
        self.directory.extend(name.as_bytes());
        self.entries += 1;
    }

    /// The file.
    pub fn finish(mut self) -> Vec<u8> {
        let (at, length) = (self.bytes.len() as u32, self.directory.len() as u32);
        self.bytes.append(&mut self.directory);
        self.bytes.extend(b"PK\x05\x06\0\0\0\0");
        self.bytes.extend([self.entries.to_le_bytes(), self.entries.to_le_bytes()].concat());
        self.bytes.extend([length.to_le_bytes(), at.to_le_bytes()].concat());
        self.bytes.extend([0, 0]);
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_archive_is_laid_out_as_numpy_reads_it() {
        let mut archive = Archive::default();
        archive.floats("answer.logits", &[1, 2], &[0.5, -1.0]);
        archive.whole("steps", 3);
        let bytes = archive.finish();
        let text = String::from_utf8_lossy(&bytes);
        assert!(text.contains("answer.logits.npy") && text.contains("'shape': (1, 2,), }") && text.contains("'shape': (), }"));
        let begin = bytes.windows(6).position(|window| window == b"\x93NUMPY").unwrap();
        assert_eq!(bytes[begin + 128..begin + 136], [0.5f32.to_le_bytes(), (-1f32).to_le_bytes()].concat());
        let end = &bytes[bytes.len() - 22..];
        assert_eq!((&end[..4], end[8], end[10]), (&b"PK\x05\x06"[..], 2, 2));
        let directory = u32::from_le_bytes(end[16..20].try_into().unwrap()) as usize;
        assert_eq!(&bytes[directory..directory + 4], b"PK\x01\x02");
    }
}
