//! What ran, why, and what came of it.

use std::collections::VecDeque;

use crate::base::ids::{Epoch, PageId};
use crate::base::limits::TRACED;

/// What became of a page that was looked at.
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug)]
#[repr(u8)]
pub enum Outcome {
    /// It was made, and has new cells.
    Changed = 0,
    /// It was made, and is as it was: what follows from it is not looked at for its sake.
    Equal = 1,
    /// It could not be made by this process, or follows from a page that could not be: it is behind.
    Behind = 2,
    /// An input that carries no cells changed: it was marked.
    Marked = 3,
}

impl Outcome {
    /// A word for it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Changed => "changed",
            Self::Equal => "equal",
            Self::Behind => "behind",
            Self::Marked => "marked",
        }
    }
}

/// One page that was looked at.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct Step {
    /// The page.
    pub page: PageId,
    /// The first of its inputs that changed; itself where its rule is new.
    pub cause: PageId,
    /// Rows of its inputs that had changed, no more than a `u32` holds.
    pub rows_in: u32,
    /// Rows of it that changed.
    pub rows_out: u32,
    /// Its level, and what became of it in the highest byte.
    level: u32,
    /// How long that took, in nanoseconds.
    pub ns: u32,
}

const _: () = assert!(size_of::<Step>() == 32);

impl Step {
    /// A step that took no time.
    #[inline]
    #[must_use]
    pub fn new(page: PageId, cause: PageId, level: u32, rows: [u64; 2], outcome: Outcome) -> Self {
        let [rows_in, rows_out] = rows.map(|rows| u32::try_from(rows).unwrap_or(u32::MAX));
        Self { page, cause, rows_in, rows_out, level: level.min(0xFF_FFFF) | (outcome as u32) << 24, ns: 0 }
    }

    /// The page's level.
    #[must_use]
    pub const fn level(&self) -> u32 {
        self.level & 0xFF_FFFF
    }

    /// What became of the page.
    #[must_use]
    pub const fn outcome(&self) -> Outcome {
        match self.level >> 24 {
            0 => Outcome::Changed,
            1 => Outcome::Equal,
            2 => Outcome::Behind,
            _ => Outcome::Marked,
        }
    }
}

/// The pages by which a change came to a page that an input has looked at, from the one that was written on.
pub(super) fn way(steps: &[Step], page: PageId, cause: PageId) -> Vec<PageId> {
    let (mut way, mut next) = (vec![page], cause);
    for step in steps.iter().rev() {
        if step.page == next && way.last() != Some(&next) {
            way.push(next);
            next = step.cause;
        }
    }
    if way.last() != Some(&next) {
        way.push(next);
    }
    way.reverse();
    way
}

/// The newest steps of a branch, by epoch: as many as [`TRACED`].
#[derive(Debug, Default)]
pub struct Traces {
    epochs: VecDeque<(Epoch, Vec<Step>)>,
    steps: usize,
}

impl Traces {
    /// Remembers the steps of an epoch, which is newer than all before.
    pub fn push(&mut self, epoch: Epoch, steps: &[Step]) {
        if steps.is_empty() {
            return;
        }
        let mut kept = Vec::new();
        while self.steps + steps.len() > TRACED {
            let Some((_, old)) = self.epochs.pop_front() else { break };
            self.steps -= old.len();
            kept = old;
        }
        kept.clear();
        kept.extend_from_slice(steps);
        self.steps += steps.len();
        self.epochs.push_back((epoch, kept));
    }

    /// The steps of an epoch, in the order in which they ran; none where nothing did, or they are forgotten.
    #[must_use]
    pub fn of(&self, epoch: Epoch) -> &[Step] {
        let found = self.epochs.binary_search_by_key(&epoch, |(epoch, _)| *epoch);
        found.map_or(&[], |at| self.epochs[at].1.as_slice())
    }

    /// The epochs from one up to and with another in which something ran, with their steps, as far as they are remembered.
    pub fn between(&self, since: Epoch, until: Epoch) -> impl Iterator<Item = (Epoch, &[Step])> {
        let first = self.epochs.partition_point(|(epoch, _)| *epoch < since);
        let found = self.epochs.range(first..).take_while(move |(epoch, _)| *epoch <= until);
        found.map(|(epoch, steps)| (*epoch, steps.as_slice()))
    }

    /// The newest step of a page, and its epoch.
    #[must_use]
    pub fn last_of(&self, page: PageId) -> Option<(Epoch, Step)> {
        let find = |(epoch, steps): &(Epoch, Vec<Step>)| {
            steps.iter().rev().find(|step| step.page == page).map(|step| (*epoch, *step))
        };
        self.epochs.iter().rev().find_map(find)
    }
}
