//! Image messages of ROS: CDR as ROS 2 writes it, and the plain layout of ROS 1.

use super::message::Image;

/// Why a message ends too soon.
const SHORT: &str = "the image message is cut short";

/// Reads `sensor_msgs/msg/Image`, or `CompressedImage` if `compressed`, in CDR.
pub(super) fn read_cdr(message: &[u8], compressed: bool) -> Result<Image<'_>, &'static str> {
    let (head, body) = message.split_first_chunk::<4>().ok_or(SHORT)?;
    let little = match head[..2] {
        [0, kind] => kind & 1 == 1,
        _ => return Err("the image message is no CDR"),
    };
    read(Cursor { all: body, at: 0, little, cdr: true }, compressed)
}

/// Reads the ROS 1 messages of the same names.
pub(super) fn read_ros1(message: &[u8], compressed: bool) -> Result<Image<'_>, &'static str> {
    let mut cursor = Cursor { all: message, at: 0, little: true, cdr: false };
    cursor.number().ok_or(SHORT)?;
    read(cursor, compressed)
}

/// From the time stamp on both are alike, but for how numbers are aligned and texts are ended.
fn read(mut from: Cursor<'_>, compressed: bool) -> Result<Image<'_>, &'static str> {
    let mut all = || {
        from.number()?;
        from.number()?;
        from.piece()?;
        let mut image = Image::default();
        if compressed {
            image.encoding = from.text()?.into();
        } else {
            (image.height, image.width) = (from.number()?, from.number()?);
            image.encoding = from.text()?.into();
            image.big_endian = from.byte()? != 0;
            image.step = from.number()?;
        }
        image.data = from.piece()?.into();
        Some(image)
    };
    all().ok_or(SHORT)
}

struct Cursor<'a> {
    all: &'a [u8],
    at: usize,
    little: bool,
    cdr: bool,
}

impl<'a> Cursor<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let taken = self.all.get(self.at..self.at.checked_add(length)?)?;
        self.at += length;
        Some(taken)
    }

    fn byte(&mut self) -> Option<u8> {
        self.take(1).map(|taken| taken[0])
    }

    fn number(&mut self) -> Option<u32> {
        if self.cdr {
            self.at = self.at.next_multiple_of(4);
        }
        let taken: [u8; 4] = self.take(4)?.try_into().ok()?;
        Some(if self.little { u32::from_le_bytes(taken) } else { u32::from_be_bytes(taken) })
    }

    fn piece(&mut self) -> Option<&'a [u8]> {
        let length = self.number()?;
        self.take(usize::try_from(length).ok()?)
    }

    fn text(&mut self) -> Option<&'a str> {
        let piece = self.piece()?;
        std::str::from_utf8(piece.strip_suffix(b"\0").unwrap_or(piece)).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(little: bool) -> Vec<u8> {
        let number = |n: u32| if little { n.to_le_bytes() } else { n.to_be_bytes() };
        let head = [[0, u8::from(little), 0, 0], number(5), number(6), number(4)].concat();
        let body = [&head[..], b"cam\0", &number(2), &number(3), &number(6), b"mono8\0", &[0], &[0], &number(4), &number(8)].concat();
        [&body[..], &[1, 2, 3, 0, 4, 5, 6, 0]].concat()
    }

    #[test]
    fn an_image_of_ros_2_is_read_in_both_byte_orders() {
        for little in [true, false] {
            let message = image(little);
            let image = read_cdr(&message, false).unwrap();
            assert_eq!((image.width, image.height, image.step, &*image.encoding), (3, 2, 4, "mono8"));
            assert_eq!(&*image.data, [1, 2, 3, 0, 4, 5, 6, 0]);
            assert!((0..message.len()).all(|length| read_cdr(&message[..length], false).is_err()));
        }
    }

    #[test]
    fn a_compressed_image_of_ros_1_is_read() {
        let number = |n: u32| n.to_le_bytes();
        let message = [&number(1)[..], &number(5), &number(6), &number(3), b"cam", &number(4), b"jpeg", &number(2), &[0xff, 0xd8]].concat();
        let image = read_ros1(&message, true).unwrap();
        assert_eq!((&*image.encoding, &*image.data), ("jpeg", &[0xff, 0xd8][..]));
    }
}
