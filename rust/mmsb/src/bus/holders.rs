//! Who holds which versions: the arena's pins, with what the log and the reclamation know of them.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use crate::base::ids::{BranchId, Epoch, PageId, Seq};
use crate::bus::core::Core;
use crate::bus::error::Error;
use crate::bus::handle::Bus;
use crate::bus::writer::Writer;
use crate::memory::pinning::pins::{PIN_ALL, Pinned};
use crate::memory::shared::slots::Owner;

/// A version that somebody holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PinInfo {
    /// The frame whose state is held; `u64::MAX` for the moment in which a pin is being taken.
    pub seq: Seq,
    /// The page held; 0 for all pages.
    pub page: PageId,
    /// The process that holds it.
    pub process: u64,
    /// Whether it is a snapshot that is let go of where it costs more than it may.
    pub leased: bool,
    /// The branch and the epoch of the state, where that is still known.
    pub of: Option<(String, Epoch)>,
    /// When that epoch was committed, in UTC nanoseconds since 1970.
    pub time: Option<u64>,
    /// Bytes that are out of use, by what this process let go of, and wait for this pin to go; each is counted for one pin only.
    pub bytes: u64,
}

/// A process that has the bus open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProcessInfo {
    /// Its id, as it is in its own namespace of processes.
    pub process: u32,
    /// Whether it writes, or only reads.
    pub writes: bool,
    /// Whether it is this one.
    pub is_this: bool,
    /// Whether it is committing at this moment.
    pub commits: bool,
    /// Bytes of memory that it has taken for what it commits and makes.
    pub bytes: u64,
}

impl Bus {
    /// The processes that have the bus open and share its memory; this one alone where no other can.
    ///
    /// # Errors
    /// A closed handle; a file of the shared memory that cannot be read.
    pub fn processes(&self) -> Result<Vec<ProcessInfo>, Error> {
        self.usable()?;
        let (core, arena) = (self.core(), &self.core().arena);
        if !core.follows {
            let (process, writes) = (std::process::id(), !self.is_read_only());
            let (commits, bytes) = (core.is_writing(), arena.stats().committed);
            return Ok(vec![ProcessInfo { process, writes, is_this: true, commits, bytes }]);
        }
        let locked = arena.locked_by();
        let info = |Owner { slot, process, writes }| ProcessInfo {
            process,
            writes,
            is_this: slot == arena.slot(),
            commits: locked == Some(slot),
            bytes: arena.bytes_of(slot),
        };
        Ok(arena.processes()?.into_iter().map(info).collect())
    }
}

/// The branch, epoch and time of a state.
type Known = (Option<(String, Epoch)>, Option<u64>);

/// Every pin there is.
pub(crate) fn pins(core: &Core) -> Result<Vec<PinInfo>, Error> {
    core.arena.reap();
    let pins = core.arena.list_pins();
    let held: Vec<u64> = {
        let writer = core.writer_here(Duration::MAX)?;
        pins.iter().map(|(pin, _)| writer.limbo.held_by(pin.pin)).collect()
    };
    let mut known: HashMap<u64, Known> = HashMap::new();
    let mut found = Vec::with_capacity(pins.len());
    for ((pin, process), bytes) in pins.into_iter().zip(held) {
        let (of, time) = match known.get(&pin.seq) {
            Some(known) => known.clone(),
            None => known.entry(pin.seq).or_insert(known_of(core, pin.seq)?).clone(),
        };
        let (seq, page, leased) = (Seq(pin.seq), PageId(pin.page), pin.leased);
        found.push(PinInfo { seq, page, process, leased, of, time, bytes });
    }
    Ok(found)
}

/// What there is to say of one pin.
pub(crate) fn pin_info(core: &Core, pin: Pinned, bytes: u64) -> PinInfo {
    // Where the log cannot be read, what holds is told all the same.
    let (of, time) = known_of(core, pin.seq).unwrap_or_default();
    let process = core.arena.pins().entries().owner(pin.pin);
    let (seq, page, leased) = (Seq(pin.seq), PageId(pin.page), pin.leased);
    PinInfo { seq, page, process, leased, of, time, bytes }
}

/// An error for want of memory, with who holds the most of what is out of use, by what this process let go of.
pub(crate) fn blamed(core: &Core, writer: &Writer, error: Error) -> Error {
    if !error.code().is_shortage() {
        return error;
    }
    let mut held: BTreeMap<u64, u64> = BTreeMap::new();
    for (pin, process) in core.arena.list_pins() {
        *held.entry(process).or_default() += writer.limbo.held_by(pin.pin);
    }
    match held.into_iter().max_by_key(|(_, bytes)| *bytes) {
        Some((process, bytes)) if bytes > 0 => Error::Held { source: Box::new(error), bytes, process },
        _ => error,
    }
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
