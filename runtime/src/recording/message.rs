//! The fields of an image message, independent of how it is encoded.

use std::borrow::Cow;

/// An image message taken apart; what is missing is zero.
#[derive(Debug, Default)]
pub(super) struct Image<'a> {
    pub width: u32,
    pub height: u32,
    pub step: u32,
    /// How pixels are laid out, or what compressed them.
    pub encoding: Cow<'a, str>,
    /// 16-bit samples begin with their high byte.
    pub big_endian: bool,
    pub data: Cow<'a, [u8]>,
}
