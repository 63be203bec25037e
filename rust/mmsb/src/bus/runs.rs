//! Runs of cells: the first and how many, ascending and apart.

/// Runs of cells: the first and how many.
pub(crate) type Runs = Vec<(u64, u64)>;

/// Makes runs in any order ascending and apart.
pub(crate) fn tidy(runs: &mut Runs) {
    runs.sort_unstable();
    runs.dedup_by(|next, run| {
        let joins = next.0 <= run.0 + run.1;
        if joins {
            run.1 = run.1.max(next.0 + next.1 - run.0);
        }
        joins
    });
}

/// The part of the runs before a cell.
pub(crate) fn clip(runs: &[(u64, u64)], end: u64) -> Runs {
    runs.iter().filter(|run| run.0 < end).map(|&(first, n)| (first, n.min(end - first))).collect()
}

/// The parts of `theirs` that `ours` has too, and those it has not.
pub(crate) fn split(theirs: &[(u64, u64)], ours: &[(u64, u64)]) -> (Runs, Runs) {
    let (mut both, mut alone) = (Vec::new(), Vec::new());
    let mut k = 0;
    for &(first, n) in theirs {
        let (mut at, end) = (first, first + n);
        while at < end {
            while k < ours.len() && ours[k].0 + ours[k].1 <= at {
                k += 1;
            }
            let Some(&(from, count)) = ours.get(k).filter(|run| run.0 < end) else {
                alone.push((at, end - at));
                break;
            };
            if from > at {
                alone.push((at, from - at));
                at = from;
            }
            let until = end.min(from + count);
            both.push((at, until - at));
            at = until;
        }
    }
    (both, alone)
}
