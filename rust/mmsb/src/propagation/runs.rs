//! Rows of a column as runs: what changed, and what is to be made anew.

/// The rows from `start` up to `stop`.
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Hash)]
pub struct Run {
    /// The first.
    pub start: u64,
    /// Behind the last.
    pub stop: u64,
}

impl Run {
    /// The rows from `start` up to `stop`.
    #[must_use]
    pub const fn new(start: u64, stop: u64) -> Self {
        Self { start, stop }
    }

    /// How many rows it has.
    #[inline]
    #[must_use]
    pub const fn rows(self) -> u64 {
        self.stop.saturating_sub(self.start)
    }

    /// Whether it has none.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.stop <= self.start
    }
}

/// Puts a run behind others, or makes it one with the last where they touch. They are ascending and apart where runs come
/// ascending by where they start; in any other order they have the same rows.
#[inline]
pub fn push(runs: &mut Vec<Run>, run: Run) {
    match runs.last_mut() {
        _ if run.is_empty() => {}
        Some(last) if (last.start..=last.stop).contains(&run.start) => last.stop = last.stop.max(run.stop),
        _ => runs.push(run),
    }
}

/// The rows that are in any of several lists of runs, each ascending and apart.
#[must_use]
pub fn union(lists: &[&[Run]]) -> Vec<Run> {
    match lists {
        [] => Vec::new(),
        [one] => one.to_vec(),
        _ => {
            let mut all: Vec<Run> = lists.iter().flat_map(|runs| runs.iter().copied()).collect();
            all.sort_unstable();
            let mut joined = Vec::with_capacity(all.len());
            all.into_iter().for_each(|run| push(&mut joined, run));
            joined
        }
    }
}

/// The runs, those with at most `gap` rows between them joined: for whom going over those rows too is less than
/// beginning anew.
pub fn joined(runs: &[Run], gap: u64) -> impl Iterator<Item = Run> + '_ {
    let near = move |a: &Run, b: &Run| b.start.saturating_sub(a.stop) <= gap;
    runs.chunk_by(near).map(|runs| Run::new(runs[0].start, runs[runs.len() - 1].stop))
}

/// How many rows the runs have.
#[inline]
#[must_use]
pub fn rows(runs: &[Run]) -> u64 {
    runs.iter().map(|run| run.rows()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn runs_that_are_near_are_joined() {
        let runs = [(0, 2), (5, 6), (9, 12), (16, 17)].map(|(start, stop)| Run::new(start, stop));
        let found = |gap| joined(&runs, gap).map(|run| (run.start, run.stop)).collect::<Vec<_>>();
        assert_eq!(found(2), [(0, 2), (5, 6), (9, 12), (16, 17)]);
        assert_eq!(found(3), [(0, 12), (16, 17)]);
        assert_eq!(found(4), [(0, 17)]);
        assert_eq!(joined(&[], 4).count(), 0);
    }

    proptest! {
        #[test]
        fn in_whatever_order_runs_come_no_row_is_lost(given in prop::collection::vec((0u64..60, 0u64..9), 0..9)) {
            let given: Vec<Run> = given.into_iter().map(|(start, n)| Run::new(start, start + n)).collect();
            let mut runs = Vec::new();
            given.iter().for_each(|run| push(&mut runs, *run));
            for row in 0..80 {
                let has = |runs: &[Run]| runs.iter().any(|run| (run.start..run.stop).contains(&row));
                prop_assert_eq!(has(&runs), has(&given));
            }
        }

        #[test]
        fn a_union_has_the_rows_of_all_and_no_others(lists in prop::collection::vec(
            prop::collection::vec((0u64..60, 0u64..9), 0..6), 0..4,
        )) {
            let lists: Vec<Vec<Run>> = lists.into_iter().map(|mut list| {
                list.sort_unstable();
                let mut runs = Vec::new();
                list.into_iter().for_each(|(start, n)| push(&mut runs, Run::new(start, start + n)));
                runs
            }).collect();
            let all = union(&lists.iter().map(Vec::as_slice).collect::<Vec<_>>());
            prop_assert!(all.windows(2).all(|two| two[0].stop < two[1].start) || lists.len() == 1);
            for row in 0..80 {
                let has = |runs: &[Run]| runs.iter().any(|run| (run.start..run.stop).contains(&row));
                prop_assert_eq!(has(&all), lists.iter().any(|list| has(list)));
            }
        }
    }
}
