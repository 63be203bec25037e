//! Pinning in an arena, and the guard that gives a pin back.

use std::sync::Arc;

use crate::memory::arena::Arena;
use crate::memory::error::MemoryError;
use crate::memory::pinning::pins::{Pin, Pinned, Vacant};

impl Arena {
    /// Pins the version that `load` loads: it reads the head of a branch and returns the seq of the root it found.
    /// Fails only when a further block of pins is needed and there is no memory for it. Takes no lock but then.
    #[inline]
    pub fn pin(&self, load: impl FnOnce() -> u64) -> Result<Pin, MemoryError> {
        Ok(self.pins().pin(self.pin_place()?, load))
    }

    /// Pins page `page` (0 = all) at `seq`, which another pin of the caller covers meanwhile.
    #[inline]
    pub fn pin_at(&self, seq: u64, page: u64) -> Result<Pin, MemoryError> {
        Ok(self.pins().pin_at(self.pin_place()?, seq, page))
    }

    /// Gives a pin back, once. Takes no lock.
    #[inline]
    pub fn unpin(&self, pin: Pin) {
        self.pins().unpin(pin);
    }

    #[inline]
    pub(in crate::memory) fn pin_place(&self) -> Result<Vacant, MemoryError> {
        loop {
            if let Some(place) = self.pins().take() {
                return Ok(place);
            }
            self.more_pins()?;
        }
    }

    /// Every pin there is, with the id of the process that holds it, for a person to read.
    pub fn list_pins(&self) -> Vec<(Pinned, u64)> {
        let owner = |pinned: &Pinned| self.pins().entries().owner(pinned.pin);
        self.pins().list().into_iter().map(|pinned| (pinned, owner(&pinned))).collect()
    }
}

/// Something that keeps an arena.
pub trait KeepsArena {
    /// The arena.
    fn arena(&self) -> &Arena;
}

impl KeepsArena for Arc<Arena> {
    fn arena(&self) -> &Arena {
        self
    }
}

/// A pin that is given back when dropped, and keeps the arena by something that keeps it.
#[derive(Debug)]
pub struct PinGuard<K: KeepsArena = Arc<Arena>> {
    keeper: K,
    /// `None` once it was handed over.
    pin: Option<Pin>,
}

impl<K: KeepsArena> PinGuard<K> {
    /// Pins the version that `load` loads; see [`Arena::pin`].
    #[inline]
    pub fn new(keeper: K, load: impl FnOnce() -> u64) -> Result<Self, MemoryError> {
        let pin = keeper.arena().pin(load)?;
        Ok(PinGuard { keeper, pin: Some(pin) })
    }

    pub(in crate::memory) fn of(keeper: K, pin: Pin) -> Self {
        PinGuard { keeper, pin: Some(pin) }
    }

    /// A second guard for page `page` (0 = all) of the version that this one covers.
    pub fn again<L: KeepsArena>(&self, keeper: L, page: u64) -> Result<PinGuard<L>, MemoryError> {
        let pin = self.keeper.arena().pin_at(self.seq(), page)?;
        Ok(PinGuard { keeper, pin: Some(pin) })
    }

    /// Hands the pin over to a guard that keeps the same arena by something else; this one then only keeps the arena.
    #[inline]
    pub fn hand_over<L: KeepsArena>(&mut self, keeper: L) -> PinGuard<L> {
        PinGuard { keeper, pin: self.pin.take() }
    }

    /// Lets everything but the blocks of `page` go.
    pub fn narrow(&self, page: u64) {
        self.keeper.arena().pins().narrow(self.pin(), page);
    }

    /// The seq it covers.
    pub fn seq(&self) -> u64 {
        self.keeper.arena().pins().seq(self.pin())
    }

    /// The pin itself.
    pub fn pin(&self) -> Pin {
        self.pin.expect("whoever hands a pin over asks for it no more")
    }

    /// What keeps the arena.
    pub fn keeper(&self) -> &K {
        &self.keeper
    }
}

impl<K: KeepsArena> Drop for PinGuard<K> {
    #[inline]
    fn drop(&mut self) {
        if let Some(pin) = self.pin {
            self.keeper.arena().unpin(pin);
        }
    }
}
