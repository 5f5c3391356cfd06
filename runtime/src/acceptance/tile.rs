//! Sums of squares over the rows of tiles, column by column, as loops that vectorise.

/// Adds the square of what each pixel changed by, in grey levels.
pub fn squares(now: &[f32], then: &[f32], level: f32, sums: &mut [f32]) {
    for ((sum, now), then) in sums.iter_mut().zip(now).zip(then) {
        let d = (now - then) * level;
        *sum += d * d;
    }
}

/// The same, and keeps the row.
pub fn squares_and_keep(now: &[f32], then: &mut [f32], level: f32, sums: &mut [f32]) {
    for ((sum, now), then) in sums.iter_mut().zip(now).zip(then) {
        let d = (now - *then) * level;
        *sum += d * d;
        *then = *now;
    }
}
