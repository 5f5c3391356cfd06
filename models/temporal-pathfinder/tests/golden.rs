//! The bytes of some videos, held still. A network was trained on exactly these pictures: a change here is a new task.
//!
//! Run on another architecture (`cross test -p temporal-pathfinder`), these also show that the bytes do not depend on it.

use sha2::{Digest, Sha256};
use temporal_pathfinder::{Spec, Split, Stream, video};

fn hex(hash: Sha256) -> String {
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn videos_hash(spec: Spec, videos: u64) -> String {
    let mut hash = Sha256::new();
    for index in 0..videos {
        let video = video(spec, index);
        for (frame, mask) in video.frames.iter().zip(&video.masks) {
            hash.update(frame);
            hash.update(mask);
        }
    }
    hex(hash)
}

#[test]
fn videos_keep_their_bytes() {
    for (split, seed, size, frames, videos, golden) in [
        (Split::Easy, 1, 64, 8, 500, "246cbf231979eede01f19f28c7cc63f4a00522477be91ec2de4c843047ab148c"),
        (Split::Hard, 1, 64, 8, 100, "e7c70dbb963667b9d2e5294f2c6f683907ff5e12e72ffddbaa8f5ac87694cc09"),
        (Split::Easy, 2, 150, 6, 20, "a418c8acaad25cf61442e5f873226d7304a74de2c437e8075dd5c3f009168fda"),
        (Split::Hard, 1, 150, 8, 50, "abbef1b772e00b983b28b0a877e5997aaf0b8be942020e813944fe16a34ec54f"),
        (Split::Hard, u64::MAX, 301, 40, 2, "4548f2bcd963cdd9dec9629ff15ecd93dcf5bff44e9c5a8fbc82f940d55f51cd"),
        (Split::Easy, 0, 32, 40, 20, "fb1c0329e8571db8bd193b4e549c26c17338fe27ef4d17617ca92bfeb78bf3b7"),
    ] {
        let spec = Spec { split, seed, size, frames };
        assert_eq!(videos_hash(spec, videos), golden, "{videos} videos of {spec:?}");
    }
}

#[test]
fn the_stream_keeps_its_bytes() {
    let spec = Spec { split: Split::Hard, seed: 9, size: 64, frames: 1 };
    let mut hash = Sha256::new();
    for item in Stream::new(spec).take(500) {
        hash.update([u8::from(item.cut)]);
        hash.update(&item.frame);
        hash.update(&item.mask);
    }
    assert_eq!(hex(hash), "97c449fd94043ff60301a91e7b5bcce94b7a1741e09c7376705933e2a879d150");
}
