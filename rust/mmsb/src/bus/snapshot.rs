//! A snapshot: a state that is held for as long as somebody likes, within what its versions may cost.

use std::sync::{Arc, Mutex, PoisonError};

use crate::base::ids::Epoch;
use crate::bus::core::Core;
use crate::bus::error::Error;
use crate::bus::handle::Bus;
use crate::bus::line::Line;
use crate::bus::options::PinPolicy;
use crate::bus::past::pages::Past;
use crate::bus::state::State;
use crate::memory::addr::Addr;
use crate::memory::guard::PinGuard;
use crate::page::catalog::RootRef;

/// A state of a branch, for as long as it is held, or until it costs more than the bus lets it.
#[derive(Debug)]
pub struct Snapshot {
    line: Arc<Line>,
    epoch: Epoch,
    kept: Kept,
}

#[derive(Debug)]
enum Kept {
    /// For good.
    State(Arc<State>),
    /// Until whoever commits lets go of it.
    Leased {
        root: Addr,
        lease: PinGuard<Arc<Core>>,
        /// The same from history, once it was let go of.
        past: Mutex<Option<Arc<State>>>,
    },
}

impl Bus {
    /// The published state, for as long as it is held, or until it costs more than [`crate::bus::options::Options::pins`] let
    /// it.
    ///
    /// # Errors
    /// A closed handle, a branch that was dropped, no memory for a pin.
    pub fn snapshot(&self) -> Result<Snapshot, Error> {
        self.usable()?;
        let (core, line) = (self.core(), Arc::clone(self.line()));
        if core.pin_policy() == PinPolicy::Warn {
            let state = Arc::new(State::live(core, &line)?);
            return Ok(Snapshot { line, epoch: state.epoch(), kept: Kept::State(state) });
        }
        let (root, lease) = {
            // What is pinned cannot be let go of before it is leased.
            let (pin, root) = core.pin(&line)?;
            (root, PinGuard::lease(Arc::clone(core), || pin.seq())?)
        };
        let epoch = RootRef::new(&core.arena, root).epoch();
        Ok(Snapshot { line, epoch, kept: Kept::Leased { root, lease, past: Mutex::default() } })
    }

    /// The state the branch had at an epoch, for as long as it is held. Where snapshots may be let go of it keeps nothing of
    /// what is committed since: each page is rebuilt when it is read first.
    ///
    /// # Errors
    /// As [`Bus::at`].
    pub fn snapshot_at(&self, epoch: Epoch) -> Result<Snapshot, Error> {
        let (core, line) = (self.core(), Arc::clone(self.line()));
        let state = if core.pin_policy() == PinPolicy::Warn {
            self.at(epoch)?
        } else if epoch == self.come_to(epoch)?.epoch() {
            return self.snapshot();
        } else {
            State::past(&line, epoch, Past::apart(core, &line, epoch)?)
        };
        Ok(Snapshot { line, epoch, kept: Kept::State(Arc::new(state)) })
    }
}

impl Bus {
    /// As [`Bus::snapshot_at`], at a time, in UTC nanoseconds since 1970.
    ///
    /// # Errors
    /// As [`Bus::at_time`].
    pub fn snapshot_at_time(&self, time: u64) -> Result<Snapshot, Error> {
        self.snapshot_at(self.epoch_at(time)?)
    }
}

impl Snapshot {
    /// Its epoch.
    pub fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// Its branch's name.
    pub fn branch(&self) -> &str {
        &self.line.name
    }

    /// The state, which nobody lets go of for as long as the caller has it.
    ///
    /// # Errors
    /// [`Error::Expired`] where it cost more than snapshots may; where those are then read from history, what that cannot be
    /// read for; no memory for a pin.
    pub fn state(&self) -> Result<Arc<State>, Error> {
        let (root, lease, past) = match &self.kept {
            Kept::State(state) => return Ok(Arc::clone(state)),
            Kept::Leased { root, lease, past } => (*root, lease, past),
        };
        let core = lease.keeper();
        if let Some(pin) = lease.hold(Arc::clone(core))? {
            return Ok(Arc::new(State::pinned(&self.line, root, pin)));
        }
        if core.pin_policy() == PinPolicy::Expire {
            return Err(Error::Expired(self.line.name.clone(), self.epoch, core.pin_limit()));
        }
        let mut past = past.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(past) = &*past {
            return Ok(Arc::clone(past));
        }
        let read = Past::apart(core, &self.line, self.epoch)?;
        Ok(Arc::clone(past.insert(Arc::new(State::past(&self.line, self.epoch, read)))))
    }
}
