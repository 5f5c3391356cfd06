//! Which row goes with which column so that the sum of costs is least.

/// The cheapest assignment of `rows` rows to columns, each column once: for each row its column, or None where there are fewer columns.
/// By augmenting along shortest paths with potentials (Kuhn, Munkres; Jonker and Volgenant). O(rows^2 x columns).
pub fn cheapest(rows: usize, columns: usize, cost: impl Fn(usize, usize) -> f64) -> Vec<Option<usize>> {
    if rows <= columns {
        return each_row(rows, columns, &cost);
    }
    let mut assigned = vec![None; rows];
    for (column, row) in each_row(columns, rows, &|a, b| cost(b, a)).into_iter().enumerate() {
        if let Some(row) = row {
            assigned[row] = Some(column);
        }
    }
    assigned
}

/// The same where there are columns enough.
fn each_row(rows: usize, columns: usize, cost: &dyn Fn(usize, usize) -> f64) -> Vec<Option<usize>> {
    // Column 0 stands for "none yet", so that rows and columns count from 1.
    let (mut of_row, mut of_column) = (vec![0.0; rows + 1], vec![0.0; columns + 1]);
    let (mut owner, mut way) = (vec![0; columns + 1], vec![0; columns + 1]);
    for row in 1..=rows {
        owner[0] = row;
        let (mut at, mut least, mut done) = (0, vec![f64::INFINITY; columns + 1], vec![false; columns + 1]);
        loop {
            done[at] = true;
            let (from, mut delta, mut next) = (owner[at], f64::INFINITY, 0);
            for column in (1..=columns).filter(|column| !done[*column]) {
                let reduced = cost(from - 1, column - 1) - of_row[from] - of_column[column];
                if reduced < least[column] {
                    (least[column], way[column]) = (reduced, at);
                }
                if least[column] < delta {
                    (delta, next) = (least[column], column);
                }
            }
            for column in 0..=columns {
                if done[column] {
                    of_row[owner[column]] += delta;
                    of_column[column] -= delta;
                } else {
                    least[column] -= delta;
                }
            }
            at = next;
            if owner[at] == 0 {
                break;
            }
        }
        while at != 0 {
            owner[at] = owner[way[at]];
            at = way[at];
        }
    }
    let mut assigned = vec![None; rows];
    for column in 1..=columns {
        if owner[column] > 0 {
            assigned[owner[column] - 1] = Some(column - 1);
        }
    }
    assigned
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cheapest_of_all_assignments_is_found() {
        let costs = [[4.0, 1.0, 3.0, 9.0], [2.0, 0.0, 5.0, 9.0], [3.0, 2.0, 2.0, 9.0]];
        assert_eq!(cheapest(3, 4, |row, column| costs[row][column]), [Some(1), Some(0), Some(2)]);
        assert_eq!(cheapest(4, 3, |row, column| costs[column][row]), [Some(1), Some(0), Some(2), None]);
        assert_eq!(cheapest(0, 3, |_, _| 0.0), []);
        assert_eq!(cheapest(2, 0, |_, _| 0.0), [None, None]);
    }

    #[test]
    fn no_other_assignment_is_cheaper() {
        // Every assignment of five rows to five columns, tried one by one.
        let mut state = 7u64;
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            f64::from((state >> 40) as u32 % 1000)
        };
        let costs: Vec<Vec<f64>> = (0..5).map(|_| (0..5).map(|_| next()).collect()).collect();
        fn least(costs: &[Vec<f64>], row: usize, used: u32) -> f64 {
            if row == costs.len() {
                return 0.0;
            }
            let free = (0..5).filter(|column| used & (1 << column) == 0);
            free.map(|column| costs[row][column] + least(costs, row + 1, used | (1 << column))).fold(f64::INFINITY, f64::min)
        }
        let found: f64 =
            cheapest(5, 5, |row, column| costs[row][column]).iter().enumerate().map(|(row, column)| costs[row][column.unwrap()]).sum();
        assert_eq!(found, least(&costs, 0, 0));
    }
}
