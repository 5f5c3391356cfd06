use super::masks::indices;
use super::*;

/// A PNG of 5x2 pixels stored as `colour` with `bits` a pixel.
fn written(colour: png::ColorType, depth: png::BitDepth, rows: &[u8]) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().unwrap();
    let mut encoder = png::Encoder::new(file.reopen().unwrap(), 5, 2);
    encoder.set_color(colour);
    encoder.set_depth(depth);
    if colour == png::ColorType::Indexed {
        encoder.set_palette((0..48).collect::<Vec<u8>>());
    }
    encoder.write_header().unwrap().write_image_data(rows).unwrap();
    file
}

#[test]
fn a_palette_s_numbers_are_the_classes_and_not_its_colours() {
    let palette = written(png::ColorType::Indexed, png::BitDepth::Four, &[0x01, 0x23, 0x40, 0xba, 0x98, 0x70]);
    assert_eq!(indices(palette.path()).unwrap(), (5, 2, vec![0, 1, 2, 3, 4, 11, 10, 9, 8, 7]));
    let whole = written(png::ColorType::Indexed, png::BitDepth::Eight, &[0, 1, 2, 3, 4, 11, 10, 9, 8, 7]);
    assert_eq!(indices(whole.path()).unwrap().2, [0, 1, 2, 3, 4, 11, 10, 9, 8, 7]);
}

#[test]
fn levels_of_grey_are_taken_as_they_are_stored() {
    let grey = written(png::ColorType::Grayscale, png::BitDepth::Eight, &[0, 1, 2, 3, 4, 11, 10, 255, 8, 7]);
    assert_eq!(indices(grey.path()).unwrap().2, [0, 1, 2, 3, 4, 11, 10, 255, 8, 7]);
    let bits = written(png::ColorType::Grayscale, png::BitDepth::One, &[0b1010_1000, 0b0101_0000]);
    assert_eq!(indices(bits.path()).unwrap().2, [1, 0, 1, 0, 1, 0, 1, 0, 1, 0]);
}

#[test]
fn colours_are_no_class_indices() {
    let colours = written(png::ColorType::Rgb, png::BitDepth::Eight, &[0; 30]);
    let refused = indices(colours.path()).unwrap_err();
    assert!(refused.contains("Rgb") && refused.contains("grey or palette"), "{refused}");
}

#[test]
fn labels_of_other_things_than_the_network_sees_are_refused() {
    let task: TaskSection = toml::from_str("kind = \"boxes\"\nclasses = [\"person\"]\n[boxes]\nformat = \"xyxy\"").unwrap();
    let names = |names: &[&str]| known(&names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>(), &task, Path::new("a.json"));
    assert_eq!(names(&["cat", "person"]).unwrap(), [None, Some(0)]);
    assert!(names(&["cat"]).unwrap_err().to_string().contains("a.json labels cat, but the network sees person"));
}
