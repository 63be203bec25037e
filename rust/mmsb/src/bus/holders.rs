//! Who holds which versions: the arena's pins, with what the log and the reclamation know of them.

use std::collections::HashMap;

use crate::base::ids::{BranchId, Epoch, PageId, Seq};
use crate::bus::core::Core;
use crate::bus::error::Error;
use crate::memory::pins::PIN_ALL;

/// A version that somebody holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PinInfo {
    /// The frame whose state is held; `u64::MAX` for the moment in which a pin is being taken.
    pub seq: Seq,
    /// The page held; 0 for all pages.
    pub page: PageId,
    /// The process that holds it.
    pub process: u64,
    /// The branch and the epoch of the state, where that is still known.
    pub of: Option<(String, Epoch)>,
    /// When that epoch was committed, in UTC nanoseconds since 1970.
    pub time: Option<u64>,
    /// Bytes that are out of use and wait for this pin to go; each is counted for one pin only.
    pub bytes: u64,
}

/// The branch, epoch and time of a state.
type Known = (Option<(String, Epoch)>, Option<u64>);

/// Every pin there is.
pub(crate) fn pins(core: &Core) -> Result<Vec<PinInfo>, Error> {
    core.arena.reap();
    let pins = core.arena.list_pins();
    let held: Vec<u64> = {
        let writer = core.writer()?;
        pins.iter().map(|(pin, _)| writer.limbo.held_by(pin.pin)).collect()
    };
    let mut known: HashMap<u64, Known> = HashMap::new();
    let mut found = Vec::with_capacity(pins.len());
    for ((pin, process), bytes) in pins.into_iter().zip(held) {
        let (of, time) = match known.get(&pin.seq) {
            Some(known) => known.clone(),
            None => known.entry(pin.seq).or_insert(known_of(core, pin.seq)?).clone(),
        };
        found.push(PinInfo { seq: Seq(pin.seq), page: PageId(pin.page), process, of, time, bytes });
    }
    Ok(found)
}

/// What is known of the state that a root with this seq shows.
fn known_of(core: &Core, seq: u64) -> Result<Known, Error> {
    if seq == PIN_ALL {
        return Ok((None, None));
    }
    // What was replayed in one go has the seq of the first of its frames.
    if let Some(&(_, branch, epoch)) = core.opened.iter().find(|(opened, ..)| *opened == seq) {
        let position = core.log.commit_of(branch, epoch)?;
        let time = position.map(|position| core.log.frame_head(position)).transpose()?.map(|head| head.time);
        return Ok((named(core, branch, epoch), time));
    }
    let Some(head) = core.log.head_of(Seq(seq))? else { return Ok((None, None)) };
    Ok((named(core, head.branch, head.epoch), Some(head.time)))
}

fn named(core: &Core, branch: BranchId, epoch: Epoch) -> Option<(String, Epoch)> {
    core.line_of(branch).map(|line| (line.name.clone(), epoch))
}
