use super::*;

/// Boxes of two classes on a canvas of 32x16 by the words of a manifest.
fn boxes(words: &str, answers: &[(&str, &[usize])]) -> Boxes {
    let section: TaskSection = toml::from_str(&format!("kind = \"boxes\"\nclasses = [\"person\", \"car\"]\n[boxes]\n{words}")).unwrap();
    let answers: Vec<Answer> = answers.iter().map(|(name, shape)| Answer { name: (*name).to_owned(), shape: shape.to_vec() }).collect();
    Boxes::new(&section, &answers, [32.0, 16.0]).unwrap()
}

/// The network sees all of a picture of its own size.
const VIEW: Region = Region { x: 0.0, y: 0.0, width: 32.0, height: 16.0 };
const SIZE: [f32; 2] = [32.0, 16.0];

fn corners(candidate: &Candidate) -> [f32; 4] {
    let Region { x, y, width, height } = candidate.region;
    [x, y, x + width, y + height].map(|edge| (edge * 100.0).round() / 100.0)
}

/// One head of 2x4 cells: nothing but what is put there. `boxes` are the channels of each cell.
fn head(boxes: usize, scores: &[(usize, usize, f32)], numbers: &[(usize, usize, f32)]) -> Vec<f32> {
    let mut answer = vec![-9.0; 2 * 8];
    answer.extend(vec![0.0; boxes * 8]);
    scores.iter().for_each(|(class, cell, value)| answer[class * 8 + cell] = *value);
    numbers.iter().for_each(|(channel, cell, value)| answer[16 + channel * 8 + cell] = *value);
    answer
}

const HEAD: [(&str, &[usize]); 2] = [("scores", &[1, 2, 2, 4]), ("boxes", &[1, 4, 2, 4])];

#[test]
fn a_distance_is_measured_from_its_cells_centre() {
    // Cell 6 is row 1, column 2: its centre is (20, 12).
    let ln = |x: f32| x.ln();
    let answer = head(4, &[(1, 6, 2.0)], &[(0, 6, ln(0.5)), (1, 6, ln(1.0)), (2, 6, ln(1.5)), (3, 6, ln(0.25))]);
    let mut strides = boxes("format = \"ltrb\"\ndistance = \"exp\"\nunit = \"stride\"\nstrides = [8]", &HEAD);
    let found = strides.read(&answer, VIEW, SIZE);
    assert_eq!((found.len(), found[0].class), (1, 1));
    assert_eq!(corners(&found[0]), [16.0, 4.0, 32.0, 14.0]);
    assert!((found[0].score - 0.8808).abs() < 1e-4, "a sigmoid of 2: {}", found[0].score);
}

#[test]
fn pixels_are_pixels_and_the_picture_ends_at_its_edge() {
    let answer = head(4, &[(0, 0, 0.9)], &[(0, 0, 9.0), (1, 0, 1.0), (2, 0, 3.0), (3, 0, 90.0)]);
    let mut pixels = boxes("scores = \"probabilities\"\nformat = \"ltrb\"\nstrides = [8]", &HEAD);
    assert_eq!(corners(&pixels.read(&answer, VIEW, SIZE)[0]), [0.0, 3.0, 7.0, 16.0]);
    assert_eq!(pixels.kept()[0].score, 0.9);
}

#[test]
fn centre_and_size_are_told_from_the_cell() {
    let answer = head(4, &[(0, 5, 3.0)], &[(0, 5, 0.5), (1, 5, -0.25), (2, 5, 1.0), (3, 5, 0.5)]);
    let mut cells = boxes("format = \"cxcywh\"\nunit = \"stride\"\nstrides = [8]", &HEAD);
    assert_eq!(corners(&cells.read(&answer, VIEW, SIZE)[0]), [12.0, 8.0, 20.0, 12.0]);
}

#[test]
fn a_distribution_tells_its_mean() {
    let shape: [(&str, &[usize]); 2] = [("scores", &[1, 2, 2, 4]), ("boxes", &[1, 16, 2, 4])];
    // Left: all on 1; top: half on 0, half on 1; right: evenly over 0 to 3; bottom: all on 0.
    let far = 50.0;
    let sure = [(1, far), (4, far), (5, far), (12, far)];
    let answer = head(16, &[(0, 1, 3.0)], &sure.map(|(channel, logit)| (channel, 1, logit)));
    let mut dfl = boxes("format = \"ltrb\"\ndistance = \"dfl:4\"\nunit = \"stride\"\nstrides = [8]", &shape);
    assert_eq!(corners(&dfl.read(&answer, VIEW, SIZE)[0]), [4.0, 0.0, 24.0, 4.0]);
}

#[test]
fn several_strides_are_read_from_their_own_outputs() {
    let shape: [(&str, &[usize]); 4] =
        [("boxes_0", &[1, 4, 2, 4]), ("scores_0", &[1, 2, 2, 4]), ("scores_1", &[1, 2, 1, 2]), ("boxes_1", &[1, 4, 1, 2])];
    let mut answer = vec![0.5; 32];
    answer.extend([-9.0; 16]);
    answer.extend([-9.0, -9.0, -9.0, 1.0]);
    answer.extend([0.5; 8]);
    let mut both = boxes("format = \"ltrb\"\nunit = \"stride\"\nstrides = [8, 16]", &shape);
    let found = both.read(&answer, VIEW, SIZE);
    assert_eq!((found.len(), found[0].class, corners(&found[0])), (1, 1, [16.0, 0.0, 32.0, 16.0]));
}

#[test]
fn ready_boxes_are_taken_as_they_come() {
    let shape: [(&str, &[usize]); 2] = [("boxes", &[1, 3, 4]), ("scores", &[1, 3, 2])];
    let mut answer = vec![0.25, 0.25, 0.5, 0.75, 0.0, 0.0, 1.0, 1.0, 0.5, 0.5, 0.25, 0.5];
    answer.extend([0.1, 0.8, 0.0, 0.0, 0.9, 0.0]);
    let mut ready = boxes("scores = \"probabilities\"\nformat = \"xyxy\"\nunit = \"normalised\"", &shape);
    let found = ready.read(&answer, VIEW, SIZE);
    assert_eq!((found.len(), found[0].class, corners(&found[0])), (1, 1, [8.0, 4.0, 16.0, 12.0]), "the third is inside out");
    let mut centred = boxes("scores = \"probabilities\"\nformat = \"cxcywh\"\nunit = \"normalised\"", &shape);
    assert_eq!(corners(&centred.read(&answer, VIEW, SIZE)[0]), [12.0, 4.0, 20.0, 12.0]);
}

#[test]
fn of_boxes_that_overlap_the_surest_of_each_class_stays() {
    let shape: [(&str, &[usize]); 2] = [("boxes", &[1, 4, 4]), ("scores", &[1, 4, 2])];
    let mut answer = vec![0.0, 0.0, 10.0, 10.0, 1.0, 0.0, 11.0, 10.0, 1.0, 0.0, 11.0, 10.0, 12.0, 0.0, 22.0, 10.0];
    answer.extend([0.7, 0.0, 0.8, 0.0, 0.0, 0.6, 0.9, 0.0]);
    let words = "scores = \"probabilities\"\nformat = \"xyxy\"\n";
    let scores =
        |words: &str| boxes(words, &shape).read(&answer, VIEW, SIZE).iter().map(|found| (found.class, found.score)).collect::<Vec<_>>();
    assert_eq!(scores(words), [(0, 0.9), (0, 0.8), (1, 0.6)]);
    assert_eq!(scores(&format!("{words}nms = 0.9")).len(), 4, "they share 9/11");
    assert_eq!(scores(&format!("{words}limit = 2")), [(0, 0.9), (0, 0.8)]);
}

#[test]
fn a_peak_is_a_cell_that_no_neighbour_exceeds() {
    let scores = [(0, 0, 1.0), (0, 1, 2.0), (0, 3, 1.5), (0, 7, 1.5), (1, 0, 1.0)];
    let answer = head(4, &scores, &(0..4).flat_map(|side| (0..8).map(move |cell| (side, cell, 2.0))).collect::<Vec<_>>());
    let found = |words: &str| {
        let mut reader = boxes(&format!("format = \"ltrb\"\nstrides = [8]\n{words}"), &HEAD);
        reader.read(&answer, VIEW, SIZE).iter().map(|found| (found.class, corners(found)[0])).collect::<Vec<_>>()
    };
    assert_eq!(found("peak = true"), [(0, 10.0), (0, 26.0), (1, 2.0)], "of two equal neighbours the first");
    assert_eq!(found("").len(), 5);
}

#[test]
fn unsure_boxes_are_there_for_tracks_and_less_sure_ones_for_who_measures() {
    let logit = |p: f32| (p / (1.0 - p)).ln();
    let scores = [(0, 0, logit(0.55)), (0, 2, logit(0.3)), (0, 7, logit(0.1))];
    let answer = head(4, &scores, &(0..4).flat_map(|side| (0..8).map(move |cell| (side, cell, 2.0))).collect::<Vec<_>>());
    let mut reader = boxes("threshold = 0.5\nformat = \"ltrb\"\nstrides = [8]", &HEAD);
    let kept: Vec<Candidate> = reader.read(&answer, VIEW, SIZE).to_vec();
    assert_eq!(
        kept.iter().map(|found| (reader.sure(found), reader.may_continue(found))).collect::<Vec<_>>(),
        [(true, true), (false, true)]
    );
    reader.keep_from(0.05);
    let kept: Vec<Candidate> = reader.read(&answer, VIEW, SIZE).to_vec();
    assert_eq!((kept.len(), reader.may_continue(&kept[2])), (3, false));
}

#[test]
fn boxes_are_told_in_pixels_of_the_source() {
    let answer = head(4, &[(0, 0, 9.0)], &(0..4).map(|side| (side, 0, 4.0)).collect::<Vec<_>>());
    let mut reader = boxes("format = \"ltrb\"\nstrides = [8]", &HEAD);
    let found = reader.read(&answer, Region { x: 100.0, y: 10.0, width: 320.0, height: 160.0 }, [420.0, 170.0]);
    assert_eq!(corners(&found[0]), [100.0, 10.0, 180.0, 90.0]);
}

#[test]
fn in_borders_around_the_picture_there_are_no_boxes() {
    // The picture is 32x8, the network sees 4 rows of nothing above and below it; cells 0 and 4 are at (4, 4) and (4, 12).
    let sides = |reach: f32| (0..4).flat_map(move |side| [(side, 0, reach), (side, 4, reach)]).collect::<Vec<_>>();
    let view = Region { x: 0.0, y: -4.0, width: 32.0, height: 16.0 };
    let mut reader = boxes("format = \"ltrb\"\nstrides = [8]", &HEAD);
    let found: Vec<_> = reader.read(&head(4, &[(0, 0, 9.0)], &sides(3.0)), view, [32.0, 8.0]).iter().map(corners).collect();
    assert_eq!(found, [[1.0, 0.0, 7.0, 3.0]]);
    let mut small = head(4, &[(0, 0, 9.0)], &sides(3.0));
    // The lower edge above the picture.
    small[16 + 3 * 8] = -1.0;
    assert!(reader.read(&small, view, [32.0, 8.0]).is_empty());
}

#[test]
fn numbers_that_are_none_are_no_boxes() {
    let answer = head(
        4,
        &[(0, 0, f32::NAN), (0, 1, f32::INFINITY), (0, 2, 5.0)],
        &[(0, 1, f32::NAN), (0, 2, f32::INFINITY), (2, 2, 3.0), (3, 2, 3.0)],
    );
    let mut reader = boxes("format = \"ltrb\"\ndistance = \"exp\"\nstrides = [8]", &HEAD);
    let found: Vec<[f32; 4]> = reader.read(&answer, VIEW, SIZE).iter().map(corners).collect();
    // What reaches infinitely far ends at the edge of the picture.
    assert_eq!(found, [[0.0, 3.0, 32.0, 16.0]]);
}
