//! The graph of one branch: its nodes as a struct of arrays, their edges in pools.
//!
//! A node's level is one more than the highest of its inputs', 0 of a page that follows from nothing. A page that is
//! declared after its inputs gets its level without a search, and no cycle is possible; only a page that others follow
//! from already can close one (Haeupler et al., "Incremental Cycle Detection, Topological Ordering, and Strong Component
//! Maintenance", 2012, search between the levels of the two ends). Nothing here recurses.

use std::collections::HashMap;

use crate::base::ids::PageId;
use crate::base::spread::Spread;
use crate::graph::edge::{Edge, EdgeKind};
use crate::graph::error::GraphError;
use crate::graph::lists::{Lists, MAX};

/// A node of a graph.
pub type Slot = u32;

/// An edge as a list holds it: the node at its other end, and its kind.
#[inline]
const fn packed(slot: Slot, kind: EdgeKind) -> u32 {
    slot << 2 | kind as u32
}

/// The node at the other end of an edge, and its kind.
#[inline]
pub(crate) fn unpacked(edge: u32) -> (Slot, EdgeKind) {
    (edge >> 2, EdgeKind::of((edge & 3) as u8).unwrap_or_default())
}

/// The graph of one branch. A page is in it that has a rule, or that one with a rule follows from.
#[derive(Debug, Clone, Default)]
pub struct Network {
    by_page: HashMap<PageId, Slot, Spread>,
    pages: Vec<PageId>,
    levels: Vec<u32>,
    /// By node: the edges it has from its inputs, in the order of its rule.
    inputs: Lists,
    /// By node: the edges to those that follow from it.
    followers: Lists,
    /// Nodes whose page is not there any more, to be used again.
    free: Vec<Slot>,
    edges: usize,
}

impl Network {
    /// How many pages it has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.by_page.len()
    }

    /// Whether no page follows from another.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_page.is_empty()
    }

    /// How many edges it has.
    #[must_use]
    pub const fn edges(&self) -> usize {
        self.edges
    }

    /// How many nodes there are places for: every node's number is below.
    #[must_use]
    pub fn slots(&self) -> usize {
        self.pages.len()
    }

    /// The node of a page.
    #[inline]
    #[must_use]
    pub fn slot(&self, page: PageId) -> Option<Slot> {
        self.by_page.get(&page).copied()
    }

    /// The page of a node.
    #[inline]
    #[must_use]
    pub fn page(&self, slot: Slot) -> PageId {
        self.pages[slot as usize]
    }

    /// A node's level.
    #[inline]
    #[must_use]
    pub fn level(&self, slot: Slot) -> u32 {
        self.levels[slot as usize]
    }

    /// What a node follows from, in the order of its rule.
    #[inline]
    pub fn inputs(&self, slot: Slot) -> impl ExactSizeIterator<Item = (Slot, EdgeKind)> + '_ {
        self.inputs.get(slot).iter().map(|&edge| unpacked(edge))
    }

    /// One of those.
    #[inline]
    #[must_use]
    pub fn input(&self, slot: Slot, i: usize) -> (Slot, EdgeKind) {
        unpacked(self.inputs.get(slot)[i])
    }

    /// What a node follows from, as the lists have it, for [`unpacked`].
    #[inline]
    pub(crate) fn packed_inputs(&self, slot: Slot) -> &[u32] {
        self.inputs.get(slot)
    }

    /// Whether all that a node follows from carries cells.
    #[inline]
    pub(crate) fn takes_all(&self, slot: Slot) -> bool {
        const { assert!(EdgeKind::Data as u32 == 0) }
        self.inputs.get(slot).iter().fold(0, |kinds, edge| kinds | edge) & 3 == 0
    }

    /// What follows from a node.
    #[inline]
    pub fn followers(&self, slot: Slot) -> impl ExactSizeIterator<Item = (Slot, EdgeKind)> + '_ {
        self.followers.get(slot).iter().map(|&edge| unpacked(edge))
    }

    /// All nodes, by their number.
    pub fn nodes(&self) -> impl Iterator<Item = Slot> + '_ {
        let there = |slot: &Slot| self.by_page.get(&self.pages[*slot as usize]) == Some(slot);
        (0..self.pages.len() as Slot).filter(there)
    }

    /// Bytes of memory that it takes, about.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let map = self.by_page.capacity() * (size_of::<(PageId, Slot)>() + 1);
        map + self.pages.capacity() * 8
            + self.levels.capacity() * 4
            + self.inputs.bytes()
            + self.followers.bytes()
    }

    /// Has a page follow from these, whatever it followed from before; from nothing where there are none.
    ///
    /// # Errors
    /// [`GraphError::Cycle`], [`GraphError::TooLarge`].
    pub fn set(&mut self, page: PageId, edges: &[Edge]) -> Result<(), GraphError> {
        let entries = self.pages.len().max(self.edges) + edges.len();
        if entries > MAX {
            return Err(GraphError::TooLarge { entries, most: MAX });
        }
        if let Some(path) = self.way_round(page, edges) {
            return Err(GraphError::Cycle { path });
        }
        let slot = self.slot_or_new(page);
        let old: Vec<u32> = self.inputs.get(slot).to_vec();
        let new: Vec<u32> = edges.iter().map(|edge| packed(self.slot_or_new(edge.page), edge.kind)).collect();
        for &edge in &new {
            let (input, kind) = unpacked(edge);
            self.followers.push(input, packed(slot, kind));
        }
        self.inputs.set(slot, &new);
        self.edges += new.len();
        for edge in old {
            let (input, kind) = unpacked(edge);
            self.unfollow(input, packed(slot, kind));
        }
        self.settle_level(slot);
        self.forget_if_alone(slot);
        Ok(())
    }

    /// Takes a page out.
    ///
    /// # Errors
    /// [`GraphError::HasFollowers`].
    pub fn remove(&mut self, page: PageId) -> Result<(), GraphError> {
        let Some(slot) = self.slot(page) else { return Ok(()) };
        if let Some((follower, _)) = self.followers(slot).next() {
            return Err(GraphError::HasFollowers { page, follower: self.page(follower) });
        }
        for edge in self.inputs.get(slot).to_vec() {
            let (input, kind) = unpacked(edge);
            self.unfollow(input, packed(slot, kind));
        }
        self.inputs.set(slot, &[]);
        self.forget_if_alone(slot);
        Ok(())
    }

    fn unfollow(&mut self, input: Slot, edge: u32) {
        self.followers.remove(input, |other| other == edge);
        self.edges -= 1;
        self.forget_if_alone(input);
    }

    /// A page that nothing follows from and that follows from nothing need not be known.
    fn forget_if_alone(&mut self, slot: Slot) {
        if self.inputs.get(slot).is_empty()
            && self.followers.get(slot).is_empty()
            && self.by_page.get(&self.pages[slot as usize]) == Some(&slot)
        {
            self.by_page.remove(&self.pages[slot as usize]);
            self.levels[slot as usize] = 0;
            self.free.push(slot);
        }
    }

    fn slot_or_new(&mut self, page: PageId) -> Slot {
        if let Some(slot) = self.slot(page) {
            return slot;
        }
        let slot = self.free.pop().unwrap_or_else(|| {
            self.pages.push(page);
            self.levels.push(0);
            self.inputs.add();
            self.followers.add();
            self.pages.len() as Slot - 1
        });
        self.pages[slot as usize] = page;
        self.by_page.insert(page, slot);
        slot
    }

    pub(super) fn set_level(&mut self, slot: Slot, level: u32) {
        self.levels[slot as usize] = level;
    }
}
