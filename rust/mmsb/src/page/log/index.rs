//! What can be asked of one segment's index, be it a footer or still in memory.

use crate::base::ids::{BranchId, Epoch, PageId};
use std::ops::Range;

/// The commits of one branch in one segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Commits {
    pub first: Epoch,
    pub last: Epoch,
    pub count: usize,
}

/// The index of one segment. Lists are positions of frames from a first one up to a last, ascending.
pub(crate) trait Index {
    /// Frames in the segment.
    fn frames(&self) -> usize;
    /// Position of a frame by its number in the segment, from 0.
    fn frame(&self, number: usize) -> Option<u64>;
    /// Frames that change a page.
    fn page(&self, page: PageId, within: Range<u64>) -> Vec<u64>;
    /// Which commits of a branch there are.
    fn commits(&self, branch: BranchId) -> Option<Commits>;
    /// Position of the nth of them, from 0.
    fn commit(&self, branch: BranchId, nth: usize) -> Option<u64>;
    /// Frames that a source wrote.
    fn source(&self, source: &str, within: Range<u64>) -> Vec<u64>;
    /// Frames that change the catalog.
    fn catalog(&self, within: Range<u64>) -> Vec<u64>;
}
