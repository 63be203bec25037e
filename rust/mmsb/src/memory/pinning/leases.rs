//! Leases: pins that somebody else may let go of, because what they keep costs too much.
//!
//! A lease says so in its word, so that no other pin is ever taken for one. Its reader does not read under it: for as long as
//! it looks at something it takes a second pin of the same, and then looks whether the lease still stands.
//! - **lease**: as a pin is taken, marked.
//! - **hold**: store the second pin, move the change counter, swap the lease's word for itself. If it is as it was, the second
//!   pin keeps everything; else it is given back, and there is nothing to read.
//! - **let go**: swap the lease's word for `LET_GO`, then scan. One of the two swaps comes first, and whoever is second knows
//!   what the first one did before: the scan sees the second pin, or the reader that the lease has gone. A scan of a third
//!   process that passed the second pin's place before it was taken, and the lease after it had gone, knows as much: it sees
//!   the counter moved, and is made again.

use crate::base::sync::Ordering;
use crate::memory::arena::Arena;
use crate::memory::error::MemoryError;
use crate::memory::pinning::guard::{KeepsArena, PinGuard};
use crate::memory::pinning::pins::{Entries, LEASED, LET_GO, Pin, Pinned, Pins, Vacant};

impl<E: Entries> Pins<E> {
    /// As [`Pins::pin`], for a reader that is told when somebody lets go of it.
    pub fn lease(&self, place: Vacant, load: impl FnOnce() -> u64) -> Pin {
        self.pin(place, || load() | LEASED)
    }

    /// A second pin of what a lease keeps, whatever becomes of that; `None` where it was let go of.
    pub fn hold(&self, lease: Pin, place: Vacant) -> Option<Pin> {
        let leased = &self.entries().entry(lease.0).seq;
        let word = leased.load(Ordering::Relaxed);
        // Of nothing at all where the lease has gone: the place is given back as any other.
        let second = self.pin_at(place, (word & !LEASED).max(1), 0);
        self.entries().changes().fetch_add(1, Ordering::SeqCst);
        let stands = leased.compare_exchange(word, word, Ordering::AcqRel, Ordering::Acquire).is_ok();
        if word != LET_GO && stands {
            return Some(second);
        }
        self.unpin(second);
        None
    }

    /// Lets go of a lease that a scan found, unless its reader has given it back; whether it did.
    pub fn let_go(&self, of: &Pinned) -> bool {
        let leased = &self.entries().entry(of.pin.0).seq;
        // As giving back: whoever waits for a pin to go looks at the counter.
        self.entries().changes().fetch_add(1, Ordering::SeqCst);
        let word = of.seq | LEASED;
        of.leased && leased.compare_exchange(word, LET_GO, Ordering::AcqRel, Ordering::Relaxed).is_ok()
    }
}

impl<K: KeepsArena> PinGuard<K> {
    /// A lease on the version that `load` loads; see [`Arena::pin`].
    ///
    /// # Errors
    /// As [`Arena::pin`].
    pub fn lease(keeper: K, load: impl FnOnce() -> u64) -> Result<Self, MemoryError> {
        let pin = keeper.arena().pins().lease(keeper.arena().pin_place()?, load);
        Ok(PinGuard::of(keeper, pin))
    }

    /// A guard for what this lease keeps, under which it can be read; `None` where it was let go of.
    ///
    /// # Errors
    /// As [`Arena::pin`].
    pub fn hold<L: KeepsArena>(&self, keeper: L) -> Result<Option<PinGuard<L>>, MemoryError> {
        let arena: &Arena = self.keeper().arena();
        let held = arena.pins().hold(self.pin(), arena.pin_place()?);
        Ok(held.map(|pin| PinGuard::of(keeper, pin)))
    }
}
