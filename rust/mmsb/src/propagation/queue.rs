//! The nodes that are to be looked at, by level.

use crate::graph::network::Slot;

/// No node.
const NONE: Slot = Slot::MAX;

/// Nodes that are to be looked at: lists through the nodes themselves, one a level, and a bit for each level that has any.
/// It keeps its memory, so that putting in and taking out allocates nothing.
#[derive(Debug, Default)]
pub struct Queue {
    /// By level, the node put in last.
    heads: Vec<Slot>,
    /// By node, the one put in before it at its level.
    next: Vec<Slot>,
    /// By node, why it is in.
    why: Vec<u8>,
    /// Bits of levels that have nodes.
    levels: Vec<u64>,
    /// No level below this one has any.
    lowest: usize,
}

impl Queue {
    /// Makes room for nodes with numbers below `slots`.
    pub fn fit(&mut self, slots: usize) {
        if self.next.len() < slots {
            self.next.resize(slots, NONE);
            self.why.resize(slots, 0);
        }
    }

    /// Puts a node in for a reason: bits, of which one at least is set. One that is in has one reason more.
    #[inline]
    pub fn put(&mut self, slot: Slot, level: u32, why: u8) {
        let (at, level) = (slot as usize, level as usize);
        let reasons = &mut self.why[at];
        let is_first = *reasons == 0;
        *reasons |= why;
        if is_first {
            self.put_first(at, level);
        }
    }

    fn put_first(&mut self, at: usize, level: usize) {
        if level >= self.heads.len() {
            self.heads.resize((level + 1).next_power_of_two(), NONE);
            self.levels.resize(self.heads.len().div_ceil(64), 0);
        }
        self.next[at] = self.heads[level];
        self.heads[level] = at as Slot;
        self.levels[level / 64] |= 1 << (level % 64);
        self.lowest = self.lowest.min(level / 64);
    }

    /// Takes all nodes of the lowest level that has any, with their reasons; `None` where there are none left.
    pub fn take(&mut self, into: &mut Vec<(Slot, u8)>) -> Option<u32> {
        into.clear();
        let word = (self.lowest..self.levels.len()).find(|&word| self.levels[word] != 0)?;
        self.lowest = word;
        let level = word * 64 + self.levels[word].trailing_zeros() as usize;
        self.levels[word] &= self.levels[word] - 1;
        let mut at = std::mem::replace(&mut self.heads[level], NONE);
        while at != NONE {
            into.push((at, std::mem::take(&mut self.why[at as usize])));
            at = self.next[at as usize];
        }
        Some(level as u32)
    }

    /// Takes everything out.
    pub fn clear(&mut self) {
        let mut left = Vec::new();
        while self.take(&mut left).is_some() {}
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn nodes_come_out_by_level_with_all_their_reasons(
            levels in prop::collection::vec(0u32..300, 1..60),
            puts in prop::collection::vec((0usize..60, 1u8..8, any::<bool>()), 0..120),
        ) {
            let (mut queue, mut model) = (Queue::default(), BTreeMap::<u32, BTreeMap<Slot, u8>>::new());
            queue.fit(levels.len());
            let mut out = Vec::new();
            let mut taken = |queue: &mut Queue, model: &mut BTreeMap<u32, BTreeMap<Slot, u8>>| {
                let level = queue.take(&mut out);
                let wanted = model.pop_first();
                assert_eq!(level, wanted.as_ref().map(|(level, _)| *level));
                let found: BTreeSet<(Slot, u8)> = out.iter().copied().collect();
                assert_eq!(found.len(), out.len());
                assert_eq!(found, wanted.map(|(_, nodes)| nodes.into_iter().collect()).unwrap_or_default());
                level.is_some()
            };
            for (slot, why, take) in puts {
                let slot = slot % levels.len();
                queue.put(slot as Slot, levels[slot], why);
                *model.entry(levels[slot]).or_default().entry(slot as Slot).or_default() |= why;
                if take {
                    taken(&mut queue, &mut model);
                }
            }
            while taken(&mut queue, &mut model) {}
        }
    }
}
