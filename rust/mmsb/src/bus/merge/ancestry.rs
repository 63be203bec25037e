//! What leads to a state, and the newest states that lead to two.
//!
//! A branch knows of every other branch one newest epoch, by its origin and by merges; since each branch is a line, that
//! says everything that leads to it (a version vector: Parker et al., "Detection of mutual inconsistency", 1983).

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::base::ids::{BranchId, Epoch, Seq};
use crate::bus::core::Core;
use crate::bus::error::{Code, Error};
use crate::bus::line::Line;
use crate::bus::past::pages::{begin_of, leads, lineage};
use crate::memory::addr::Addr;
use crate::memory::pinning::guard::PinGuard;
use crate::page::body::{self, Glance, Record};
use crate::page::catalog::RootRef;
use crate::page::merged::{Merged, note_merged};

/// The newest epoch of each branch that leads to a state.
pub(crate) type Known = BTreeMap<BranchId, Epoch>;

/// A root, and what keeps it.
pub(crate) type Pinned = (PinGuard<Arc<Core>>, Addr);

/// The published root of a line, pinned, and what leads to it: neither has what the other has not, whatever is committed
/// meanwhile or waits for the disk.
pub(crate) fn published(core: &Arc<Core>, line: &Arc<Line>) -> Result<(Pinned, Known), Error> {
    let pinned = core.pin_kept(line)?;
    let root = RootRef::new(&core.arena, pinned.1);
    let leads = known(core, line, &root.merged(), root.epoch());
    Ok((pinned, leads))
}

/// What leads to an epoch of a line, into which `merged` came by then.
fn known(core: &Core, line: &Arc<Line>, merged: &Merged, epoch: Epoch) -> Known {
    let mut known: Known = merged.iter().map(|(&branch, &(epoch, _))| (branch, epoch)).collect();
    for stretch in lineage(core, line, epoch) {
        note(&mut known, stretch.branch, stretch.to);
    }
    known
}

fn note(known: &mut Known, branch: BranchId, epoch: Epoch) {
    let newest = known.entry(branch).or_insert(epoch);
    *newest = epoch.max(*newest);
}

/// What leads to either.
pub(crate) fn joined(mut a: Known, b: &Known) -> Known {
    b.iter().for_each(|(&branch, &epoch)| note(&mut a, branch, epoch));
    a
}

/// A state that leads to both sides of a merge.
#[derive(Debug)]
pub(crate) struct Common {
    pub line: Arc<Line>,
    pub epoch: Epoch,
    seq: Seq,
}

impl Common {
    /// What is surely known to lead to it, and whether that is all.
    fn surely(&self, core: &Core) -> (Known, bool) {
        let mut merged = match core.pin(&self.line) {
            Ok((_pin, root)) => RootRef::new(&core.arena, root).merged(),
            // Whoever dropped it has said so before.
            Err(Error::NoBranch(_)) => {
                core.line_of(self.line.id).map_or_else(Merged::new, |line| line.last_merged())
            }
            Err(_) => return (known(core, &self.line, &Merged::new(), self.epoch), false),
        };
        let noted = merged.len();
        // Of what came in later the branch has forgotten what it replaced.
        merged.retain(|_, (_, seq)| *seq <= self.seq);
        let all = noted == merged.len();
        (known(core, &self.line, &merged, self.epoch), all)
    }

    /// What leads to it.
    pub fn known(&self, core: &Core) -> Result<Known, Error> {
        match self.surely(core) {
            (known, true) => Ok(known),
            (_, false) => Ok(known(core, &self.line, &merged_at(core, &self.line, self.epoch)?, self.epoch)),
        }
    }

    /// Whether it leads to another.
    fn leads_to(&self, core: &Core, other: &Common) -> Result<bool, Error> {
        let has = |known: &Known| known.get(&self.line.id).is_some_and(|epoch| self.epoch <= *epoch);
        let (sure, all) = other.surely(core);
        Ok(has(&sure) || !all && has(&other.known(core)?))
    }
}

/// What had come in by merges at an epoch of a line: from the newest checkpoint before it, and the log.
fn merged_at(core: &Core, line: &Arc<Line>, epoch: Epoch) -> Result<Merged, Error> {
    let stretches = lineage(core, line, epoch);
    let begin = begin_of(core, line, epoch, &stretches)?;
    let mut merged = begin.merged();
    for stretch in &stretches {
        let positions = core.log.frames_of_branch(stretch.branch, begin.position, begin.end)?;
        let mut frames = core.log.frames_at(positions);
        while let Some((head, body)) = frames.next_frame()? {
            if !leads(&stretches, &head) {
                continue;
            }
            for record in body::glances(body) {
                if let Glance::Other(Record::Merged { branch, epoch }) = record? {
                    note_merged(&mut merged, branch, epoch, head.seq);
                }
            }
        }
    }
    Ok(merged)
}

/// The newest states that lead to both, newest first, none of which leads to another.
pub(crate) fn newest_common(core: &Core, mine: &Known, theirs: &Known) -> Result<Vec<Common>, Error> {
    let both = mine.iter().filter_map(|(&branch, &epoch)| Some((branch, epoch.min(*theirs.get(&branch)?))));
    let mut homes: Vec<(BranchId, Epoch)> = both.map(|(branch, epoch)| home(core, branch, epoch)).collect();
    homes.sort_unstable();
    homes.dedup();
    let mut found = Vec::new();
    for (branch, epoch) in homes {
        let Some(line) = core.line_of(branch) else { continue };
        found.push(Common { line, epoch, seq: seq_of(core, branch, epoch)? });
    }
    // What leads to another state has an earlier frame.
    found.sort_by_key(|common| std::cmp::Reverse(common.seq));
    let mut newest: Vec<Common> = Vec::new();
    for common in found {
        let mut new = true;
        for later in &newest {
            new = new
                && match common.leads_to(core, later) {
                    // What is left of history does not say it: the newer one does for both.
                    Err(error) if error.code() == Code::HistoryPruned => false,
                    leads => !leads?,
                };
        }
        if new {
            newest.push(common);
        }
    }
    Ok(newest)
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
