//! Which rows name a value: found without looking at every row.

use crate::page::column::ColumnRef;
use crate::propagation::error::RuleError;
use crate::propagation::relation::ints::Ints;
use crate::propagation::runs::{Run, push, rows};

/// Of how many rows the one is that may be asked for or may have moved: past that, looking at all is less work.
const MANY: u64 = 8;

/// The values from the first to the last, both among them.
pub type Values = (u64, u64);

/// The rows of a column, sorted by what they name.
///
/// What it finds may be too many rows and is never too few, so that nothing of it has to be taken back but what was sorted
/// of a version that came to nothing.
#[derive(Debug, Default)]
pub struct Inverse {
    /// What rows named when they were sorted, and those rows; `None` until somebody asks. 16 bytes a row.
    sorted: Option<Vec<(u64, u32)>>,
    /// The rows that may have come to name something else since.
    moved: Vec<Run>,
    /// Whether it was sorted since it was last kept.
    fresh: bool,
}

impl Inverse {
    /// Forgets all.
    pub fn clear(&mut self) {
        *self = Self::default();
    }

    /// These rows may name something else from now on.
    pub fn moved(&mut self, runs: &[Run]) {
        let Some(sorted) = &self.sorted else { return };
        if runs.is_empty() {
            return;
        }
        self.moved.extend_from_slice(runs);
        self.moved.sort_unstable();
        let mut joined = Vec::with_capacity(self.moved.len());
        self.moved.iter().for_each(|&run| push(&mut joined, run));
        self.moved = joined;
        // Each of those rows is looked at whenever somebody asks.
        if rows(&self.moved) > 64 + sorted.len() as u64 / 64 {
            self.clear();
        }
    }

    /// The rows of a column that name any of some values, which are ascending and apart; all rows where many are.
    ///
    /// A search for each run of values and a look at each row that moved; the first time, sorting all rows.
    pub fn find(
        &mut self,
        values: &[Values],
        ints: Ints,
        column: &ColumnRef<'_>,
        of: u64,
    ) -> Result<Vec<Run>, RuleError> {
        if values.is_empty() {
            return Ok(Vec::new());
        }
        let all = vec![Run::new(0, of)];
        let asked =
            values.iter().fold(0u64, |sum, (low, high)| sum.saturating_add((high - low).saturating_add(1)));
        if asked > of / MANY {
            return Ok(all);
        }
        if self.sorted.is_none() {
            self.sort(ints, column, of)?;
        }
        let Some(sorted) = &self.sorted else { return Ok(all) };
        let mut found = Vec::new();
        for &(low, high) in values {
            let first = sorted.partition_point(|(value, _)| *value < low);
            let named = sorted[first..].iter().take_while(|(value, _)| *value <= high);
            found.extend(named.map(|(_, row)| u64::from(*row)));
        }
        let mut now = Vec::new();
        for run in &self.moved {
            ints.read(column, run.start, run.stop, &mut now)?;
            let named = (run.start..).zip(&now).filter(|(_, value)| within(values, **value));
            found.extend(named.map(|(row, _)| row));
        }
        found.sort_unstable();
        let mut runs = Vec::new();
        found.into_iter().for_each(|row| push(&mut runs, Run::new(row, row + 1)));
        Ok(runs)
    }

    fn sort(&mut self, ints: Ints, column: &ColumnRef<'_>, of: u64) -> Result<(), RuleError> {
        let mut values = Vec::new();
        ints.read(column, 0, of, &mut values)?;
        let mut sorted: Vec<(u64, u32)> = values.into_iter().zip(0..).collect();
        sorted.sort_unstable();
        *self = Self { sorted: Some(sorted), moved: Vec::new(), fresh: true };
        Ok(())
    }

    /// What it was told stays so.
    pub fn keep(&mut self) {
        self.fresh = false;
    }

    /// What it was told since it was last kept is not so.
    pub fn undo(&mut self) {
        if self.fresh {
            self.clear();
        }
    }
}

fn within(values: &[Values], value: u64) -> bool {
    let behind = values.partition_point(|(low, _)| *low <= value);
    behind > 0 && value <= values[behind - 1].1
}
