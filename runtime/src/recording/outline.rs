//! The outlines of what a mask shows, for programs that draw lines over a picture.

use crate::telemetry::Shapes;

/// Points of all outlines of one frame at most: a mask of noise is no shape.
const MOST: usize = 4096;

/// A closed line around a region of one class, in pixels of the source's picture.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Outline {
    pub class: u8,
    pub points: Vec<(f32, f32)>,
}

/// The four ways to leave a corner between pixels, clockwise.
const STEPS: [(isize, isize); 4] = [(1, 0), (0, 1), (-1, 0), (0, -1)];

impl Shapes {
    /// The outlines of every region, holes among them, with corners only where they turn. Regions that touch at a corner are apart.
    /// O(pixels x classes that are there).
    pub(super) fn outlines(&self) -> Vec<Outline> {
        let mut there = [false; 256];
        self.classes.iter().for_each(|class| there[usize::from(*class)] = true);
        let mut found = Vec::new();
        let mut left = MOST;
        for class in (1..=255).filter(|class| there[usize::from(*class)]) {
            self.around(class, &mut left, &mut found);
        }
        found
    }

    fn is(&self, x: isize, y: isize, class: u8) -> bool {
        let (Ok(x), Ok(y)) = (usize::try_from(x), usize::try_from(y)) else { return false };
        x < self.width && y < self.height && self.classes.get(y * self.width + x) == Some(&class)
    }

    /// Goes around every region of `class` with the region at the right hand.
    fn around(&self, class: u8, left: &mut usize, found: &mut Vec<Outline>) {
        let corners = self.width + 1;
        // At each corner, the ways in which an edge of a region leaves it.
        let mut edges = vec![0_u8; corners * (self.height + 1)];
        for y in 0..self.height {
            for x in 0..self.width {
                let (at_x, at_y) = (x as isize, y as isize);
                if !self.is(at_x, at_y, class) {
                    continue;
                }
                let corner = y * corners + x;
                for (beside, from, way) in [
                    ((at_x, at_y - 1), corner, 0),
                    ((at_x + 1, at_y), corner + 1, 1),
                    ((at_x, at_y + 1), corner + corners + 1, 2),
                    ((at_x - 1, at_y), corner + corners, 3),
                ] {
                    if !self.is(beside.0, beside.1, class) {
                        edges[from] |= 1 << way;
                    }
                }
            }
        }
        for start in 0..edges.len() {
            while edges[start] != 0 && *left > 0 {
                let points = self.follow(&mut edges, start, left);
                found.push(Outline { class, points });
            }
        }
    }

    /// Takes one closed line out of `edges`.
    fn follow(&self, edges: &mut [u8], start: usize, left: &mut usize) -> Vec<(f32, f32)> {
        let corners = self.width as isize + 1;
        let (across, down) = (self.view.width / self.width.max(1) as f32, self.view.height / self.height.max(1) as f32);
        let place = |at: isize| (self.view.x + (at % corners) as f32 * across, self.view.y + (at / corners) as f32 * down);
        let mut points = Vec::new();
        let (mut at, mut way) = (start as isize, None);
        loop {
            let open = edges[at as usize];
            // Turning right keeps regions that touch at a corner apart.
            let next = match way {
                None => (0..4).find(|way| open & 1_u8 << way != 0),
                Some(way) => [(way + 1) % 4, way, (way + 3) % 4].into_iter().find(|way| open & 1_u8 << way != 0),
            };
            let Some(next) = next else { return points };
            if way != Some(next) && *left > 0 {
                points.push(place(at));
                *left -= 1;
            }
            edges[at as usize] &= !(1 << next);
            way = Some(next);
            at += STEPS[next].0 + STEPS[next].1 * corners;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::Region;

    fn shapes(rows: &[&str]) -> Shapes {
        let (width, height) = (rows[0].len(), rows.len());
        let classes = rows.iter().flat_map(|row| row.bytes().map(|byte| byte - b'0')).collect();
        Shapes { width, height, classes, view: Region { x: 10.0, y: 20.0, width: 2.0 * width as f32, height: height as f32 } }
    }

    #[test]
    fn a_block_is_a_rectangle_in_pixels_of_the_picture() {
        let found = shapes(&["0000", "0110", "0110"]).outlines();
        assert_eq!(found, [Outline { class: 1, points: vec![(12.0, 21.0), (16.0, 21.0), (16.0, 23.0), (12.0, 23.0)] }]);
    }

    #[test]
    fn classes_holes_and_regions_that_touch_at_a_corner_have_lines_of_their_own() {
        let found = shapes(&["1112", "1012", "1110"]).outlines();
        assert_eq!(found.iter().map(|outline| (outline.class, outline.points.len())).collect::<Vec<_>>(), [(1, 4), (1, 4), (2, 4)]);
        assert_eq!(shapes(&["10", "01"]).outlines().len(), 2);
        assert_eq!(shapes(&["000"]).outlines(), []);
    }

    #[test]
    fn a_mask_of_noise_gives_a_bounded_number_of_points() {
        let (width, height) = (200, 200);
        let classes = (0..width * height).map(|at| ((at + at / width) % 2) as u8).collect();
        let shapes = Shapes { width, height, classes, view: Region { width: 200.0, height: 200.0, ..Region::default() } };
        assert!(shapes.outlines().iter().map(|outline| outline.points.len()).sum::<usize>() <= MOST);
    }
}
