//! How many rows of a mask are true, by blocks, so that where a row comes to lie among those is found at once.

use crate::algebra::value::Truth;
use crate::page::column::ColumnRef;
use crate::propagation::error::RuleError;
use crate::propagation::kernel::{pieces, read};
use crate::propagation::runs::{Run, push};

/// Rows of a block.
pub const BLOCK: u64 = 1024;

/// How many rows of a column of truths are true.
pub fn count(mask: &ColumnRef<'_>, first: u64, stop: u64) -> Result<u64, RuleError> {
    let mut count = 0;
    pieces::<Truth>(mask, first, stop, |_, cells| {
        count += cells.iter().map(|cell| u64::from(cell.is_true())).sum::<u64>();
        Ok(())
    })?;
    Ok(count)
}

/// How many rows are true, by block and in all.
#[derive(Debug, Default)]
pub struct Kept {
    blocks: Vec<u32>,
    total: u64,
    /// Blocks that changed since they were last kept, and what they were before each change.
    journal: Vec<(usize, u32)>,
}

/// What became of a mask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moved {
    /// From the first row that became or ceased to be true to behind the last after which rows lie elsewhere.
    pub rows: Run,
    /// Whether another number of rows is true.
    pub resized: bool,
}

impl Kept {
    /// How many rows are true.
    pub const fn total(&self) -> u64 {
        self.total
    }

    /// Counts all of a mask.
    pub fn build(&mut self, mask: &ColumnRef<'_>, rows: u64) -> Result<(), RuleError> {
        self.journal.clear();
        self.blocks.clear();
        self.total = 0;
        for first in (0..rows).step_by(BLOCK as usize) {
            let count = count(mask, first, rows.min(first + BLOCK))?;
            self.blocks.push(count as u32);
            self.total += count;
        }
        Ok(())
    }

    /// Counts what changed from one version of a mask to another of as many rows; nothing where the same rows are true.
    pub fn mend(
        &mut self,
        [was, now]: [&ColumnRef<'_>; 2],
        changed: &[Run],
        rows: u64,
    ) -> Result<Option<Moved>, RuleError> {
        let before = self.total;
        let mut moved: Option<Run> = None;
        let (mut old, mut new) = (Vec::<Truth>::new(), Vec::<Truth>::new());
        for run in changed {
            let mut first = run.start;
            while first < run.stop {
                let block = (first / BLOCK) as usize;
                let stop = run.stop.min((first / BLOCK + 1) * BLOCK);
                old.clear();
                new.clear();
                read(was, first, stop, &mut old)?;
                read(now, first, stop, &mut new)?;
                let (mut more, mut less) = (0, 0);
                for (row, (old, new)) in (first..).zip(old.iter().zip(&new)) {
                    if old != new {
                        let from = moved.map_or(row, |moved| moved.start);
                        moved = Some(Run::new(from, row + 1));
                        *if new.is_true() { &mut more } else { &mut less } += 1;
                    }
                }
                if more + less > 0 {
                    self.journal.push((block, self.blocks[block]));
                    self.blocks[block] = self.blocks[block] + more - less;
                    self.total = self.total + u64::from(more) - u64::from(less);
                }
                first = stop;
            }
        }
        let resized = self.total != before;
        Ok(moved.map(|moved| Moved {
            rows: Run::new(moved.start, if resized { rows } else { moved.stop }),
            resized,
        }))
    }

    /// What changed stays.
    pub fn keep(&mut self) {
        self.journal.clear();
    }

    /// What changed since it was last kept is as it was.
    pub fn undo(&mut self) {
        for (block, count) in self.journal.drain(..).rev() {
            self.total = self.total + u64::from(count) - u64::from(self.blocks[block]);
            self.blocks[block] = count;
        }
    }

    /// Finds where rows come to lie, from the first on.
    pub const fn places<'a>(&'a self, mask: ColumnRef<'a>) -> Places<'a> {
        Places { kept: self, mask, block: 0, before: 0 }
    }
}

/// Where rows come to lie among those that are true; asked for ascending rows.
pub struct Places<'a> {
    kept: &'a Kept,
    mask: ColumnRef<'a>,
    /// A block, and how many rows before it are true.
    block: usize,
    before: u64,
}

impl Places<'_> {
    /// How many rows before this one are true.
    pub fn of(&mut self, row: u64) -> Result<u64, RuleError> {
        let block = (row / BLOCK) as usize;
        let passed = self.kept.blocks[self.block..block].iter();
        self.before += passed.map(|count| u64::from(*count)).sum::<u64>();
        self.block = block;
        Ok(self.before + count(&self.mask, row - row % BLOCK, row)?)
    }
}

/// The rows of some that are true, in place of what was there.
pub fn list(mask: &ColumnRef<'_>, run: Run, into: &mut Vec<u64>) -> Result<(), RuleError> {
    into.clear();
    pieces::<Truth>(mask, run.start, run.stop, |first, cells| {
        into.extend((first..).zip(cells).filter(|(_, cell)| cell.is_true()).map(|(row, _)| row));
        Ok(())
    })
}

/// The rows of some runs that lie in none of those from `start` up to `stop`.
pub fn outside(runs: &[Run], Run { start, stop }: Run) -> Vec<Run> {
    let mut left = Vec::new();
    for run in runs {
        push(&mut left, Run::new(run.start, run.stop.min(start)));
        push(&mut left, Run::new(run.start.max(stop), run.stop));
    }
    left
}
