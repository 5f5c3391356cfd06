//! Video4Linux2 structures for the `v4l` crate, written down instead of generated.
//!
//! The crate of the same name on crates.io runs bindgen, and so libclang, on every build. The kernel's
//! user-space interface is frozen, so its layouts can be stated once. This crate states those that `v4l` 0.14
//! uses, under the names bindgen would give them, for 64-bit Linux (x86_64 and aarch64 lay them out alike), and its
//! test compares every size with the one the kernel encodes in the ioctl number.
//!
//! Structures that `v4l` only measures (to number an ioctl) are opaque.
//! Field meanings: the kernel's `Documentation/userspace-api/media/v4l`.
#![no_std]
#![allow(non_camel_case_types, non_upper_case_globals)]

#[cfg(not(all(target_os = "linux", target_pointer_width = "64")))]
compile_error!("these Video4Linux layouts are those of 64-bit Linux");

use core::ffi::{c_char, c_int, c_long, c_ulong, c_void};

/// Seconds, as in C.
pub type time_t = c_long;
/// A set of analogue television standards.
pub type v4l2_std_id = u64;

/// Seconds and microseconds, as in C.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct timeval {
    pub tv_sec: time_t,
    pub tv_usec: c_long,
}

/// Ask VIDIOC_QUERY_EXT_CTRL for the next control rather than this one.
pub const V4L2_CTRL_FLAG_NEXT_CTRL: u32 = 0x8000_0000;
/// As above, compound controls included.
pub const V4L2_CTRL_FLAG_NEXT_COMPOUND: u32 = 0x4000_0000;
pub const v4l2_frmsizetypes_V4L2_FRMSIZE_TYPE_DISCRETE: u32 = 1;
pub const v4l2_frmsizetypes_V4L2_FRMSIZE_TYPE_CONTINUOUS: u32 = 2;
pub const v4l2_frmsizetypes_V4L2_FRMSIZE_TYPE_STEPWISE: u32 = 3;
pub const v4l2_frmivaltypes_V4L2_FRMIVAL_TYPE_DISCRETE: u32 = 1;
pub const v4l2_frmivaltypes_V4L2_FRMIVAL_TYPE_CONTINUOUS: u32 = 2;
pub const v4l2_frmivaltypes_V4L2_FRMIVAL_TYPE_STEPWISE: u32 = 3;

/// VIDIOC_QUERYCAP
#[repr(C)]
#[derive(Clone, Copy)]
pub struct v4l2_capability {
    pub driver: [u8; 16],
    pub card: [u8; 32],
    pub bus_info: [u8; 32],
    pub version: u32,
    pub capabilities: u32,
    pub device_caps: u32,
    pub reserved: [u32; 3],
}

/// VIDIOC_ENUM_FMT
#[repr(C)]
#[derive(Clone, Copy)]
pub struct v4l2_fmtdesc {
    pub index: u32,
    pub type_: u32,
    pub flags: u32,
    pub description: [u8; 32],
    pub pixelformat: u32,
    pub mbus_code: u32,
    pub reserved: [u32; 3],
}

/// A single-planar picture format.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct v4l2_pix_format {
    pub width: u32,
    pub height: u32,
    pub pixelformat: u32,
    pub field: u32,
    pub bytesperline: u32,
    pub sizeimage: u32,
    pub colorspace: u32,
    pub priv_: u32,
    pub flags: u32,
    pub __bindgen_anon_1: v4l2_pix_format__bindgen_ty_1,
    pub quantization: u32,
    pub xfer_func: u32,
}

/// Two names of one word.
#[repr(C)]
#[derive(Clone, Copy)]
pub union v4l2_pix_format__bindgen_ty_1 {
    pub ycbcr_enc: u32,
    pub hsv_enc: u32,
}

/// VIDIOC_G_FMT, VIDIOC_S_FMT, VIDIOC_TRY_FMT
#[repr(C)]
#[derive(Clone, Copy)]
pub struct v4l2_format {
    pub type_: u32,
    pub fmt: v4l2_format__bindgen_ty_1,
}

/// The format of one buffer type; `v4l2_window` holds pointers, hence the alignment.
#[repr(C)]
#[derive(Clone, Copy)]
pub union v4l2_format__bindgen_ty_1 {
    pub pix: v4l2_pix_format,
    pub raw_data: [u8; 200],
    pub align: [u64; 25],
}

/// VIDIOC_REQBUFS
#[repr(C)]
#[derive(Clone, Copy)]
pub struct v4l2_requestbuffers {
    pub count: u32,
    pub type_: u32,
    pub memory: u32,
    pub capabilities: u32,
    pub flags: u8,
    pub reserved: [u8; 3],
}

/// Hours to frames, as on tape.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct v4l2_timecode {
    pub type_: u32,
    pub flags: u32,
    pub frames: u8,
    pub seconds: u8,
    pub minutes: u8,
    pub hours: u8,
    pub userbits: [u8; 4],
}

/// VIDIOC_QUERYBUF, VIDIOC_QBUF, VIDIOC_DQBUF
#[repr(C)]
#[derive(Clone, Copy)]
pub struct v4l2_buffer {
    pub index: u32,
    pub type_: u32,
    pub bytesused: u32,
    pub flags: u32,
    pub field: u32,
    pub timestamp: timeval,
    pub timecode: v4l2_timecode,
    pub sequence: u32,
    pub memory: u32,
    pub m: v4l2_buffer__bindgen_ty_1,
    pub length: u32,
    pub reserved2: u32,
    pub __bindgen_anon_1: v4l2_buffer__bindgen_ty_2,
}

/// Where a buffer's memory is.
#[repr(C)]
#[derive(Clone, Copy)]
pub union v4l2_buffer__bindgen_ty_1 {
    pub offset: u32,
    pub userptr: c_ulong,
    pub planes: *mut c_void,
    pub fd: i32,
}

/// A media request, or nothing.
#[repr(C)]
#[derive(Clone, Copy)]
pub union v4l2_buffer__bindgen_ty_2 {
    pub request_fd: i32,
    pub reserved: u32,
}

/// A fraction, mostly of a second.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct v4l2_fract {
    pub numerator: u32,
    pub denominator: u32,
}

/// The capture half of `v4l2_streamparm`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct v4l2_captureparm {
    pub capability: u32,
    pub capturemode: u32,
    pub timeperframe: v4l2_fract,
    pub extendedmode: u32,
    pub readbuffers: u32,
    pub reserved: [u32; 4],
}

/// The output half of `v4l2_streamparm`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct v4l2_outputparm {
    pub capability: u32,
    pub outputmode: u32,
    pub timeperframe: v4l2_fract,
    pub extendedmode: u32,
    pub writebuffers: u32,
    pub reserved: [u32; 4],
}

/// VIDIOC_G_PARM, VIDIOC_S_PARM
#[repr(C)]
#[derive(Clone, Copy)]
pub struct v4l2_streamparm {
    pub type_: u32,
    pub parm: v4l2_streamparm__bindgen_ty_1,
}

/// The parameters of one buffer type.
#[repr(C)]
#[derive(Clone, Copy)]
pub union v4l2_streamparm__bindgen_ty_1 {
    pub capture: v4l2_captureparm,
    pub output: v4l2_outputparm,
    pub raw_data: [u8; 200],
}

/// VIDIOC_G_CTRL, VIDIOC_S_CTRL
#[repr(C)]
#[derive(Clone, Copy)]
pub struct v4l2_control {
    pub id: u32,
    pub value: i32,
}

/// One control of VIDIOC_G_EXT_CTRLS and VIDIOC_S_EXT_CTRLS.
#[repr(C, packed)]
#[derive(Clone, Copy)]
pub struct v4l2_ext_control {
    pub id: u32,
    pub size: u32,
    pub reserved2: [u32; 1],
    pub __bindgen_anon_1: v4l2_ext_control__bindgen_ty_1,
}

/// A control's value, or where it is.
#[repr(C, packed)]
#[derive(Clone, Copy)]
pub union v4l2_ext_control__bindgen_ty_1 {
    pub value: i32,
    pub value64: i64,
    pub string: *mut c_char,
    pub p_u8: *mut u8,
    pub p_u16: *mut u16,
    pub p_u32: *mut u32,
    pub ptr: *mut c_void,
}

/// VIDIOC_QUERY_EXT_CTRL
#[repr(C)]
#[derive(Clone, Copy)]
pub struct v4l2_query_ext_ctrl {
    pub id: u32,
    pub type_: u32,
    pub name: [c_char; 32],
    pub minimum: i64,
    pub maximum: i64,
    pub step: u64,
    pub default_value: i64,
    pub flags: u32,
    pub elem_size: u32,
    pub elems: u32,
    pub nr_of_dims: u32,
    pub dims: [u32; 4],
    pub reserved: [u32; 32],
}

/// VIDIOC_QUERYMENU
#[repr(C, packed)]
#[derive(Clone, Copy)]
pub struct v4l2_querymenu {
    pub id: u32,
    pub index: u32,
    pub __bindgen_anon_1: v4l2_querymenu__bindgen_ty_1,
    pub reserved: u32,
}

/// A menu item: a name, or a number.
#[repr(C, packed)]
#[derive(Clone, Copy)]
pub union v4l2_querymenu__bindgen_ty_1 {
    pub name: [u8; 32],
    pub value: i64,
}

/// One frame size.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct v4l2_frmsize_discrete {
    pub width: u32,
    pub height: u32,
}

/// A range of frame sizes.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct v4l2_frmsize_stepwise {
    pub min_width: u32,
    pub max_width: u32,
    pub step_width: u32,
    pub min_height: u32,
    pub max_height: u32,
    pub step_height: u32,
}

/// VIDIOC_ENUM_FRAMESIZES
#[repr(C)]
#[derive(Clone, Copy)]
pub struct v4l2_frmsizeenum {
    pub index: u32,
    pub pixel_format: u32,
    pub type_: u32,
    pub __bindgen_anon_1: v4l2_frmsizeenum__bindgen_ty_1,
    pub reserved: [u32; 2],
}

/// One size or a range.
#[repr(C)]
#[derive(Clone, Copy)]
pub union v4l2_frmsizeenum__bindgen_ty_1 {
    pub discrete: v4l2_frmsize_discrete,
    pub stepwise: v4l2_frmsize_stepwise,
}

/// A range of frame intervals.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct v4l2_frmival_stepwise {
    pub min: v4l2_fract,
    pub max: v4l2_fract,
    pub step: v4l2_fract,
}

/// VIDIOC_ENUM_FRAMEINTERVALS
#[repr(C)]
#[derive(Clone, Copy)]
pub struct v4l2_frmivalenum {
    pub index: u32,
    pub pixel_format: u32,
    pub width: u32,
    pub height: u32,
    pub type_: u32,
    pub __bindgen_anon_1: v4l2_frmivalenum__bindgen_ty_1,
    pub reserved: [u32; 2],
}

/// One interval or a range.
#[repr(C)]
#[derive(Clone, Copy)]
pub union v4l2_frmivalenum__bindgen_ty_1 {
    pub discrete: v4l2_fract,
    pub stepwise: v4l2_frmival_stepwise,
}

macro_rules! opaque {
    ($($name:ident: $element:ty, $count:literal;)*) => {$(
        /// Only measured, to number an ioctl.
        #[repr(C)]
        #[derive(Clone, Copy)]
        pub struct $name {
            opaque: [$element; $count],
        }
    )*};
}

opaque! {
    v4l2_audio: u32, 13;
    v4l2_audioout: u32, 13;
    v4l2_crop: u32, 5;
    v4l2_cropcap: u32, 11;
    v4l2_edid: u64, 5;
    v4l2_enc_idx: u64, 259;
    v4l2_encoder_cmd: u32, 10;
    v4l2_exportbuffer: u32, 16;
    v4l2_ext_controls: u64, 4;
    v4l2_framebuffer: u64, 6;
    v4l2_frequency: u32, 11;
    v4l2_input: u64, 10;
    v4l2_jpegcompression: u32, 35;
    v4l2_modulator: u32, 17;
    v4l2_output: u64, 9;
    v4l2_queryctrl: u32, 17;
    v4l2_sliced_vbi_cap: u32, 29;
    v4l2_standard: u64, 9;
    v4l2_tuner: u32, 21;
}

const _: () = assert!(size_of::<c_int>() == 4);

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes 2 and 3 of an ioctl number are its argument's size: these are the numbers user space has passed for years.
    #[test]
    fn every_layout_has_the_size_its_ioctl_number_states() {
        for (name, size, ioctl) in [
            ("v4l2_capability", size_of::<v4l2_capability>(), 0x8068_5600_u32),
            ("v4l2_fmtdesc", size_of::<v4l2_fmtdesc>(), 0xc040_5602),
            ("v4l2_format", size_of::<v4l2_format>(), 0xc0d0_5604),
            ("v4l2_requestbuffers", size_of::<v4l2_requestbuffers>(), 0xc014_5608),
            ("v4l2_buffer", size_of::<v4l2_buffer>(), 0xc058_5609),
            ("v4l2_framebuffer", size_of::<v4l2_framebuffer>(), 0x8030_560a),
            ("v4l2_exportbuffer", size_of::<v4l2_exportbuffer>(), 0xc040_5610),
            ("v4l2_streamparm", size_of::<v4l2_streamparm>(), 0xc0cc_5615),
            ("v4l2_std_id", size_of::<v4l2_std_id>(), 0x8008_5617),
            ("v4l2_standard", size_of::<v4l2_standard>(), 0xc048_5619),
            ("v4l2_input", size_of::<v4l2_input>(), 0xc050_561a),
            ("v4l2_control", size_of::<v4l2_control>(), 0xc008_561b),
            ("v4l2_tuner", size_of::<v4l2_tuner>(), 0xc054_561d),
            ("v4l2_audio", size_of::<v4l2_audio>(), 0x8034_5621),
            ("v4l2_queryctrl", size_of::<v4l2_queryctrl>(), 0xc044_5624),
            ("v4l2_querymenu", size_of::<v4l2_querymenu>(), 0xc02c_5625),
            ("v4l2_edid", size_of::<v4l2_edid>(), 0xc028_5628),
            ("v4l2_output", size_of::<v4l2_output>(), 0xc048_5630),
            ("v4l2_audioout", size_of::<v4l2_audioout>(), 0x8034_5631),
            ("v4l2_modulator", size_of::<v4l2_modulator>(), 0xc044_5636),
            ("v4l2_frequency", size_of::<v4l2_frequency>(), 0xc02c_5638),
            ("v4l2_cropcap", size_of::<v4l2_cropcap>(), 0xc02c_563a),
            ("v4l2_crop", size_of::<v4l2_crop>(), 0xc014_563b),
            ("v4l2_jpegcompression", size_of::<v4l2_jpegcompression>(), 0x808c_563d),
            ("v4l2_sliced_vbi_cap", size_of::<v4l2_sliced_vbi_cap>(), 0xc074_5645),
            ("v4l2_ext_controls", size_of::<v4l2_ext_controls>(), 0xc020_5647),
            ("v4l2_frmsizeenum", size_of::<v4l2_frmsizeenum>(), 0xc02c_564a),
            ("v4l2_frmivalenum", size_of::<v4l2_frmivalenum>(), 0xc034_564b),
            ("v4l2_enc_idx", size_of::<v4l2_enc_idx>(), 0x8818_564c),
            ("v4l2_encoder_cmd", size_of::<v4l2_encoder_cmd>(), 0xc028_564d),
            ("v4l2_query_ext_ctrl", size_of::<v4l2_query_ext_ctrl>(), 0xc0e8_5667),
        ] {
            assert_eq!(size, (ioctl as usize >> 16) & 0x3fff, "{name}");
        }
        assert_eq!(size_of::<v4l2_ext_control>(), 20);
    }

    #[test]
    fn fields_lie_where_the_kernel_looks_for_them() {
        use core::mem::offset_of;
        assert_eq!(offset_of!(v4l2_format, fmt), 8);
        assert_eq!(offset_of!(v4l2_streamparm, parm), 4);
        assert_eq!(offset_of!(v4l2_buffer, timestamp), 24);
        assert_eq!(offset_of!(v4l2_buffer, sequence), 56);
        assert_eq!(offset_of!(v4l2_buffer, m), 64);
        assert_eq!(offset_of!(v4l2_buffer, length), 72);
        assert_eq!(offset_of!(v4l2_ext_control, __bindgen_anon_1), 12);
        assert_eq!(offset_of!(v4l2_querymenu, __bindgen_anon_1), 8);
        assert_eq!(offset_of!(v4l2_query_ext_ctrl, minimum), 40);
        assert_eq!(offset_of!(v4l2_pix_format, quantization), 40);
    }
}
