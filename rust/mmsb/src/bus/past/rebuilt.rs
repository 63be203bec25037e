//! A bus's state made once more from its files alone, in memory of its own: what proofs compare.

use std::sync::Arc;

use crate::algebra::operator::builtin;
use crate::base::ids::Epoch;
use crate::bus::core::Core;
use crate::bus::error::Error;
use crate::bus::past::begin::{first_epoch, kept};
use crate::bus::past::replay::{MAIN, Replay};
use crate::memory::arena::Arena;
use crate::memory::machine::place::Place;
use crate::page::checkpoint::CheckpointError;
use crate::page::checkpoint::lazy::Lazy;
use crate::page::checkpoint::record::Record;
use crate::page::checkpoint::store::Store;
use crate::page::digest::Digest;
use crate::page::draft::Tables;
use crate::page::log::LogReader;
use crate::page::operator::Operators;
use crate::page::schemas::Schemas;

/// The state of a branch in few bytes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct BranchDigest {
    /// Its name.
    pub branch: String,
    /// Its epoch.
    pub epoch: Epoch,
    /// The digest of its pages.
    pub digest: Digest,
}

/// Memory of its own for a state.
pub(crate) struct Room {
    arena: Arc<Arena>,
    schemas: Schemas,
    operators: Operators,
    lazy: Lazy,
}

impl Room {
    /// A room of so many bytes.
    pub fn new(budget: u64) -> Result<Self, Error> {
        let arena = Arena::new(Place::Memory, budget)?;
        Ok(Room { arena, schemas: Schemas::default(), operators: builtin(), lazy: Lazy::default() })
    }

    fn tables(&self) -> Tables<'_> {
        Tables { schemas: &self.schemas, operators: &self.operators, lazy: &self.lazy }
    }

    /// A replay from the start of the log; past states begin there too.
    pub fn replay_zero(&self, log: &LogReader) -> Result<Replay<'_>, Error> {
        Replay::new(&self.arena, self.tables(), log.clone(), None)
    }

    /// A replay from a checkpoint on.
    pub fn replay_checkpoint(
        &self,
        log: &LogReader,
        store: &Arc<Store>,
        record: &Arc<Record>,
    ) -> Result<Replay<'_>, CheckpointError> {
        Replay::resume(&self.arena, self.tables(), log.clone(), store, record)
    }
}

/// The digests of all branches as the files have them: replayed from the start of the log, or from the newest checkpoint.
pub(crate) fn digests(core: &Core, from_zero: bool) -> Result<Vec<BranchDigest>, Error> {
    let (log, room) = (&core.log, Room::new(core.arena.stats().budget)?);
    let to = log.head();
    let store = &core.checkpoints;
    let newest = kept(store, log).into_iter().rfind(|head| head.position <= to);
    let mut replay = match newest.filter(|_| !from_zero) {
        Some(head) => {
            let mut replay = room.replay_checkpoint(log, store, &store.record(head.seq)?)?;
            replay.frames(head.position, to)?;
            replay
        }
        None if log.start() == 0 => {
            let mut replay = room.replay_zero(log)?;
            replay.frames(0, to)?;
            replay
        }
        None => {
            let first = core.line(MAIN).map(|line| first_epoch(store, log, line.id, |_| None));
            let (branch, first) = (MAIN.into(), first.unwrap_or_default());
            return Err(Error::Pruned { branch, epoch: Epoch(0), first });
        }
    };
    replay.digests()
}
