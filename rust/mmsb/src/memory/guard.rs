//! Pinning in an arena, and the guard that gives a pin back.

use std::ptr::NonNull;
use std::sync::Arc;

use crate::base::limits::CHUNK;
use crate::memory::arena::Arena;
use crate::memory::error::MemoryError;
use crate::memory::pins::{Pin, PinBlock, Pinned, Vacant};

/// Chunks of a block of pins.
const BLOCK_CHUNKS: usize = size_of::<PinBlock>().div_ceil(CHUNK);

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
    fn pin_place(&self) -> Result<Vacant, MemoryError> {
        loop {
            if let Some(place) = self.pins().take() {
                return Ok(place);
            }
            self.pins().entries().grow(|| {
                let addr = self.alloc_chunks(BLOCK_CHUNKS)?;
                let block =
                    NonNull::new(self.write_ptr(addr).cast()).expect("a chunk's address is never null");
                Ok((block, addr))
            })?;
        }
    }

    /// Every pin there is, with the id of the process that holds it, for a person to read.
    pub fn list_pins(&self) -> Vec<(Pinned, u64)> {
        let owner = |pinned: &Pinned| self.pins().entries().owner(pinned.pin);
        self.pins().list().into_iter().map(|pinned| (pinned, owner(&pinned))).collect()
    }
}

/// A pin that is given back when dropped, and keeps the arena.
#[derive(Debug)]
pub struct PinGuard {
    arena: Arc<Arena>,
    pin: Pin,
}

impl PinGuard {
    /// Pins the version that `load` loads; see [`Arena::pin`].
    pub fn new(arena: &Arc<Arena>, load: impl FnOnce() -> u64) -> Result<PinGuard, MemoryError> {
        let pin = arena.pin(load)?;
        Ok(PinGuard { arena: Arc::clone(arena), pin })
    }

    /// A second guard for page `page` (0 = all) of the version that this one covers.
    pub fn again(&self, page: u64) -> Result<PinGuard, MemoryError> {
        let pin = self.arena.pin_at(self.seq(), page)?;
        Ok(PinGuard { arena: Arc::clone(&self.arena), pin })
    }

    /// Lets everything but the blocks of `page` go.
    pub fn narrow(&self, page: u64) {
        self.arena.pins().narrow(self.pin, page);
    }

    /// The seq it covers.
    pub fn seq(&self) -> u64 {
        self.arena.pins().seq(self.pin)
    }

    /// The pin itself.
    pub fn pin(&self) -> Pin {
        self.pin
    }

    /// The arena.
    pub fn arena(&self) -> &Arc<Arena> {
        &self.arena
    }
}

impl Drop for PinGuard {
    #[inline]
    fn drop(&mut self) {
        self.arena.unpin(self.pin);
    }
}
