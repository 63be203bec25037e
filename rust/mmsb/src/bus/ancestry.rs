//! The base of a merge: the newest state that leads to both sides.
//!
//! A branch knows of every other branch one newest epoch, by its origin and by merges; since each branch is a line, that
//! says everything that leads to it (a version vector: Parker et al., "Detection of mutual inconsistency", 1983).

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::base::ids::{BranchId, Epoch, Seq};
use crate::bus::core::Core;
use crate::bus::error::Error;
use crate::bus::line::{Line, Merged};
use crate::bus::merge::state_at;
use crate::bus::past::lineage;
use crate::bus::state::State;

/// The newest epoch of each branch that leads to a state.
pub(crate) type Known = BTreeMap<BranchId, Epoch>;

/// What leads to an epoch of a line, into which `merged` came by then.
pub(crate) fn known(core: &Core, line: &Arc<Line>, merged: &Merged, epoch: Epoch) -> Known {
    let mut known: Known = merged.iter().map(|(&branch, &(epoch, _))| (branch, epoch)).collect();
    for stretch in lineage(core, line, epoch) {
        let newest = known.entry(stretch.branch).or_insert(stretch.to);
        *newest = stretch.to.max(*newest);
    }
    known
}

/// The newest state that leads to both.
pub(crate) fn base(core: &Arc<Core>, ours: &Arc<Line>, mine: &Known, theirs: &Known) -> Result<State, Error> {
    let both = mine.iter().filter_map(|(&branch, &epoch)| Some((branch, epoch.min(*theirs.get(&branch)?))));
    let mut candidates: Vec<(BranchId, Epoch)> =
        both.map(|(branch, epoch)| home(core, branch, epoch)).collect();
    candidates.sort_unstable();
    candidates.dedup();
    let (mut newest, mut line, mut at) = (None, Arc::clone(ours), Epoch(0));
    for &(branch, epoch) in &candidates {
        // What leads to another state has an earlier frame.
        let seq = if candidates.len() > 1 { seq_of(core, branch, epoch)? } else { Seq(0) };
        if newest.is_none_or(|newest| newest <= seq)
            && let Some(found) = core.line_of(branch)
        {
            (newest, line, at) = (Some(seq), found, epoch);
        }
    }
    state_at(core, &line, at)
}

/// The branch that made an epoch that a branch has.
fn home(core: &Core, mut branch: BranchId, mut epoch: Epoch) -> (BranchId, Epoch) {
    while let Some(origin) = core.line_of(branch).and_then(|line| line.origin)
        && epoch <= origin.epoch
    {
        (branch, epoch) = (origin.parent, epoch.min(origin.epoch));
    }
    (branch, epoch)
}

/// The frame that made an epoch; 0 where there is none or its history was pruned.
fn seq_of(core: &Core, branch: BranchId, epoch: Epoch) -> Result<Seq, Error> {
    match core.log.commit_of(branch, epoch)? {
        Some(position) => Ok(core.log.frame_head(position)?.seq),
        None => Ok(Seq(0)),
    }
}
