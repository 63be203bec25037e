//! How often pages were looked at, and what came of it, since the bus was opened.

use std::collections::HashMap;

use crate::base::ids::PageId;
use crate::base::spread::Spread;
use crate::graph::network::Slot;
use crate::propagation::trace::{Outcome, Step};

/// What commits did with one page. What was made for a commit that failed is in it.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Counts {
    /// How often it was looked at.
    pub looked: u64,
    /// How often its rule ran to the end.
    pub ran: u64,
    /// How often of these it came out as it was.
    pub equal: u64,
    /// Looks at pages that follow from it which this saved: each of them, each time.
    pub cut_off: u64,
    /// How often its rule failed.
    pub raised: u64,
    /// Rows of its inputs that had changed.
    pub rows_in: u64,
    /// Rows of it that changed.
    pub rows_out: u64,
    /// Nanoseconds that looking at it took.
    pub ns: u64,
}

impl Counts {
    fn add(&mut self, other: &Counts) {
        self.looked += other.looked;
        self.ran += other.ran;
        self.equal += other.equal;
        self.cut_off += other.cut_off;
        self.raised += other.raised;
        self.rows_in += other.rows_in;
        self.rows_out += other.rows_out;
        self.ns += other.ns;
    }
}

/// What commits did with the pages of a branch: a table by node, so that counting finds its place at once.
#[derive(Debug, Default)]
pub struct Counters {
    by_slot: Vec<(PageId, Counts)>,
    /// Of pages whose node another one has by now.
    before: HashMap<PageId, Counts, Spread>,
}

impl Counters {
    /// The counts of a node's page.
    #[inline]
    fn at(&mut self, slot: Slot, page: PageId) -> &mut Counts {
        let slot = slot as usize;
        if slot >= self.by_slot.len() {
            self.by_slot.resize((slot + 1).next_power_of_two(), (PageId::default(), Counts::default()));
        }
        if self.by_slot[slot].0 != page {
            self.hand_over(slot, page);
        }
        &mut self.by_slot[slot].1
    }

    #[cold]
    fn hand_over(&mut self, slot: usize, page: PageId) {
        let (last, counts) = std::mem::replace(&mut self.by_slot[slot], (page, Counts::default()));
        if counts != Counts::default() {
            self.before.entry(last).or_default().add(&counts);
        }
    }

    /// Counts a step of a node, and so many others that need not be looked at for its sake.
    #[inline]
    pub fn count(&mut self, slot: Slot, step: &Step, spared: usize) {
        let counts = self.at(slot, step.page);
        counts.looked += 1;
        counts.rows_in += u64::from(step.rows_in);
        counts.rows_out += u64::from(step.rows_out);
        counts.ns += u64::from(step.ns);
        counts.cut_off += spared as u64;
        match step.outcome() {
            Outcome::Changed => counts.ran += 1,
            Outcome::Equal => {
                counts.ran += 1;
                counts.equal += 1;
            }
            Outcome::Behind | Outcome::Marked => {}
        }
    }

    /// Counts that a node's rule failed.
    #[cold]
    pub fn raised(&mut self, slot: Slot, page: PageId) {
        let counts = self.at(slot, page);
        counts.looked += 1;
        counts.raised += 1;
    }

    /// What was counted, of each page, for another numbering of the nodes.
    #[must_use]
    pub fn renumbered(mut self) -> Self {
        for slot in 0..self.by_slot.len() {
            self.hand_over(slot, PageId::default());
        }
        self.by_slot.clear();
        self
    }

    /// The counts of the pages that were looked at, ascending.
    #[must_use]
    pub fn all(&self) -> Vec<(PageId, Counts)> {
        let mut all = self.before.clone();
        for (page, counts) in &self.by_slot {
            if *counts != Counts::default() {
                all.entry(*page).or_default().add(counts);
            }
        }
        let mut all: Vec<_> = all.into_iter().collect();
        all.sort_unstable_by_key(|(page, _)| *page);
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(page: u64, rows: [u64; 2], outcome: Outcome) -> Step {
        let mut step = Step::new(PageId(page), PageId(page), 1, rows, outcome);
        step.ns = 5;
        step
    }

    #[test]
    fn pages_keep_their_counts_when_their_nodes_change_hands() {
        let mut counters = Counters::default();
        counters.count(0, &step(7, [2, 1], Outcome::Changed), 0);
        counters.count(0, &step(7, [2, 0], Outcome::Equal), 3);
        counters.raised(1, PageId(8));
        // Page 7 goes, 9 has its node, and 7 is back at another one.
        counters.count(0, &step(9, [0, 0], Outcome::Behind), 0);
        counters.count(5, &step(7, [1, 1], Outcome::Marked), 0);
        let seven =
            Counts { looked: 3, ran: 2, equal: 1, cut_off: 3, raised: 0, rows_in: 5, rows_out: 2, ns: 15 };
        let eight = Counts { looked: 1, raised: 1, ..Counts::default() };
        let nine = Counts { looked: 1, ns: 5, ..Counts::default() };
        let wanted = vec![(PageId(7), seven), (PageId(8), eight), (PageId(9), nine)];
        assert_eq!(counters.all(), wanted);
        let counters = counters.renumbered();
        assert_eq!(counters.all(), wanted);
    }
}
