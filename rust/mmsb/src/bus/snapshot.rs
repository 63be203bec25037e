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
use crate::memory::pinning::guard::PinGuard;
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
        /// Whether it is read from history then.
        spills: bool,
        /// The same from history, once it was.
        past: Mutex<Option<Arc<State>>>,
    },
}

/// The published state of a line, leased, unless it is another epoch than the one that is wanted.
fn leased(
    core: &Arc<Core>,
    line: &Arc<Line>,
    policy: PinPolicy,
    wanted: Option<Epoch>,
) -> Result<Option<Snapshot>, Error> {
    // What is pinned cannot be let go of before it is leased.
    let (pin, root) = core.pin(line)?;
    let epoch = RootRef::new(&core.arena, root).epoch();
    if wanted.is_some_and(|wanted| wanted != epoch) {
        return Ok(None);
    }
    let lease = PinGuard::lease(Arc::clone(core), || pin.seq())?;
    let kept = Kept::Leased { root, lease, spills: policy == PinPolicy::Spill, past: Mutex::default() };
    Ok(Some(Snapshot { line: Arc::clone(line), epoch, kept }))
}

impl Bus {
    /// The published state, for as long as it is held, or until it costs more than [`crate::bus::options::Options::pins`] let
    /// it.
    ///
    /// # Errors
    /// A closed handle, a branch that was dropped, no memory for a pin.
    pub fn snapshot(&self) -> Result<Snapshot, Error> {
        self.usable()?;
        let policy = self.core().pin_policy();
        if policy != PinPolicy::Warn
            && let Some(snapshot) = leased(self.core(), self.line(), policy, None)?
        {
            return Ok(snapshot);
        }
        Ok(self.keep(State::live(self.core(), self.line())?))
    }

    /// The state the branch had at an epoch, for as long as it is held. Where snapshots may be let go of it keeps nothing of
    /// what is committed since: each page is rebuilt when it is read first.
    ///
    /// # Errors
    /// As [`Bus::at`].
    pub fn snapshot_at(&self, epoch: Epoch) -> Result<Snapshot, Error> {
        let policy = self.core().pin_policy();
        if policy == PinPolicy::Warn {
            return Ok(self.keep(self.at(epoch)?));
        }
        drop(self.come_to(epoch)?);
        match leased(self.core(), self.line(), policy, Some(epoch))? {
            Some(snapshot) => Ok(snapshot),
            None => {
                let past = Past::apart(self.core(), self.line(), epoch)?;
                Ok(self.keep(State::past(self.line(), epoch, past)))
            }
        }
    }

    /// As [`Bus::snapshot_at`], at a time, in UTC nanoseconds since 1970.
    ///
    /// # Errors
    /// As [`Bus::at_time`].
    pub fn snapshot_at_time(&self, time: u64) -> Result<Snapshot, Error> {
        self.snapshot_at(self.epoch_at(time)?)
    }

    fn keep(&self, state: State) -> Snapshot {
        let (line, epoch) = (Arc::clone(self.line()), state.epoch());
        Snapshot { line, epoch, kept: Kept::State(Arc::new(state)) }
    }
}

impl Snapshot {
    /// Its epoch.
    pub fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// The state, where nobody ever lets go of it.
    ///
    /// # Errors
    /// The snapshot, where it is leased.
    pub fn into_state(self) -> Result<Arc<State>, Self> {
        match self.kept {
            Kept::State(state) => Ok(state),
            kept => Err(Snapshot { kept, ..self }),
        }
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
        match self.at_hand()? {
            Some(state) => Ok(state),
            None => self.spilled(),
        }
    }

    /// As [`Snapshot::state`]; `None` where that takes long, since it is made of history.
    ///
    /// # Errors
    /// As [`Snapshot::state`].
    pub fn at_hand(&self) -> Result<Option<Arc<State>>, Error> {
        let (root, lease, spills, past) = match &self.kept {
            Kept::State(state) => return Ok(Some(Arc::clone(state))),
            Kept::Leased { root, lease, spills, past } => (*root, lease, *spills, past),
        };
        let core = lease.keeper();
        match lease.hold(Arc::clone(core))? {
            Some(pin) => Ok(Some(Arc::new(State::pinned(&self.line, root, pin)))),
            // Whoever makes it has it locked.
            None if spills => Ok(past.try_lock().ok().and_then(|past| past.clone())),
            None => Err(Error::Expired(self.line.name.clone(), self.epoch, core.pin_limit())),
        }
    }

    fn spilled(&self) -> Result<Arc<State>, Error> {
        let Kept::Leased { lease, past, .. } = &self.kept else { return self.state() };
        let mut past = past.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(past) = &*past {
            return Ok(Arc::clone(past));
        }
        let read = Past::apart(lease.keeper(), &self.line, self.epoch);
        let read = read.map_err(|error| error.of_gone(lease.keeper(), &self.line.name, self.epoch))?;
        Ok(Arc::clone(past.insert(Arc::new(State::past(&self.line, self.epoch, read)))))
    }
}
