//! Bounded text.

use crate::record::OutOfRange;

/// UTF-8 of at most `N` bytes, without control characters.
pub type Text<const N: usize> = heapless::String<N>;

/// Makes bounded text from any string: control characters become spaces, what does not fit is left off at a character boundary.
///
/// ```
/// assert_eq!(firmware_bridge::text::<6>("größer").as_str(), "größ");
/// assert_eq!(firmware_bridge::text::<8>("a\nb").as_str(), "a b");
/// ```
#[must_use]
pub fn text<const N: usize>(from: &str) -> Text<N> {
    let mut bounded = Text::new();
    for character in from.chars() {
        if bounded.push(if is_control(character as u32) { ' ' } else { character }).is_err() {
            break;
        }
    }
    bounded
}

pub(crate) fn check(field: &'static str, text: &str) -> Result<(), OutOfRange> {
    if text.bytes().any(|byte| is_control(byte.into())) { Err(OutOfRange(field)) } else { Ok(()) }
}

fn is_control(code: u32) -> bool {
    code < 0x20 || code == 0x7F
}
