//! The lock of whoever writes: a word in shared memory that says which process holds it, so that it survives its holder.
//!
//! ```text
//!     slot of the holder u32 | generation 30 bits | state 2 bits: free, held, held and somebody sleeps
//! ```
//! Taking it is one compare-and-swap and giving it back one swap; who sleeps for it is woken by the low half of the word
//! (U. Drepper, "Futexes are tricky", 2004). A holder that dies leaves the word as it is. Who has slept for a while asks
//! the operating system whether the holder's process lives, and takes the lock from a dead one: time alone says nothing,
//! for a process may be stopped and go on. Of several who find it dead one gets the lock, since each taking is another
//! generation.

use std::time::{Duration, Instant};

use crate::base::limits::LOCK_CHECK;
use crate::base::sync::{AtomicU64, Ordering};

const FREE: u64 = 0;
const HELD: u64 = 1;
const WAITED: u64 = 2;
const STATE: u64 = 3;
/// One generation more.
const NEXT: u64 = 4;
const LOW: u64 = 0xffff_ffff;

/// Looks at the word before the first sleep: about as long as a short commit takes.
#[cfg(not(mmsb_loom))]
const SPINS: u32 = 200;
#[cfg(mmsb_loom)]
const SPINS: u32 = 0;

/// How those who wait sleep, and how they know of a holder that died.
pub trait Waits {
    /// Sleeps while the low half of the word is `low`, for so long at most. It may return before that.
    fn sleep(&self, word: &AtomicU64, low: u32, at_most: Duration);
    /// Wakes one of those who sleep.
    fn wake(&self, word: &AtomicU64);
    /// Whether the process of a slot is dead for certain.
    fn is_dead(&self, slot: u32) -> bool;
}

/// Who holds the lock, for the how-manieth time that anybody does.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct Holder {
    /// The slot of its process.
    pub slot: u32,
    /// How often the lock was taken, modulo 2^30.
    pub generation: u32,
}

/// In which state the lock was found.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
#[must_use = "what a dead holder was at must be put right"]
pub enum Taken {
    /// Its last holder had given it back.
    Free,
    /// The process of this slot had died with it: what it guards may be in the midst of anything.
    FromDead(u32),
}

/// The word. All zero is a free lock.
#[derive(Debug)]
#[repr(transparent)]
pub struct Lock(AtomicU64);

fn held(word: u64, slot: u32, state: u64) -> u64 {
    let generation = ((word & LOW & !STATE) + NEXT) & LOW;
    u64::from(slot) << 32 | generation | state
}

fn holder(word: u64) -> Option<Holder> {
    let of = Holder { slot: (word >> 32) as u32, generation: (word & LOW) as u32 >> 2 };
    (word & STATE != FREE).then_some(of)
}

impl Lock {
    /// A free lock.
    #[allow(clippy::new_without_default)] // as `FreeStack`
    pub fn new() -> Lock {
        Lock(AtomicU64::new(0))
    }

    /// Who holds it now.
    pub fn holder(&self) -> Option<Holder> {
        holder(self.0.load(Ordering::Relaxed))
    }

    /// Whether somebody sleeps until it is given back, or did.
    pub fn is_waited_for(&self) -> bool {
        self.0.load(Ordering::Relaxed) & STATE == WAITED
    }

    /// Takes it for the process of a slot, if it is free.
    #[inline]
    pub fn try_take(&self, slot: u32) -> bool {
        let now = self.0.load(Ordering::Relaxed);
        now & STATE == FREE && self.exchange(now, held(now, slot, HELD))
    }

    /// Takes it for the process of a slot, of whose threads one at a time asks for it.
    ///
    /// # Errors
    /// Its holder, where it was not to be had within the time.
    pub fn take(&self, slot: u32, waits: &impl Waits, within: Duration) -> Result<Taken, Holder> {
        if self.try_take(slot) {
            return Ok(Taken::Free);
        }
        self.wait(slot, waits, within)
    }

    #[cold]
    fn wait(&self, slot: u32, waits: &impl Waits, within: Duration) -> Result<Taken, Holder> {
        let end = Instant::now().checked_add(within);
        // Who has slept cannot know that nobody else sleeps.
        let (mut state, mut spins) = (HELD, SPINS);
        loop {
            let now = self.0.load(Ordering::Relaxed);
            let Some(of) = holder(now) else {
                if self.exchange(now, held(now, slot, state)) {
                    return Ok(Taken::Free);
                }
                continue;
            };
            if spins > 0 {
                spins -= 1;
                std::hint::spin_loop();
                continue;
            }
            let left = end.map_or(LOCK_CHECK, |end| end.saturating_duration_since(Instant::now()));
            let waited = now & !STATE | WAITED;
            if now != waited && !self.exchange(now, waited) {
                continue;
            }
            state = WAITED;
            waits.sleep(&self.0, waited as u32, left.min(LOCK_CHECK));
            let seen = self.0.load(Ordering::Relaxed);
            if seen == waited && waits.is_dead(of.slot) {
                if self.exchange(waited, held(waited, slot, WAITED)) {
                    return Ok(Taken::FromDead(of.slot));
                }
            } else if end.is_some_and(|end| end <= Instant::now())
                && let Some(holder) = holder(seen)
            {
                // Others may sleep, and what should have woken one of them may have come here.
                let noted = seen & !STATE | WAITED;
                if seen == noted || self.exchange(seen, noted) {
                    return Err(holder);
                }
            }
        }
    }

    /// Gives it back.
    ///
    /// # Panics
    /// If the process of this slot does not hold it.
    #[inline]
    pub fn give(&self, slot: u32, waits: &impl Waits) {
        let now = self.0.load(Ordering::Relaxed);
        assert!(holder(now).is_some_and(|holder| holder.slot == slot), "slot {slot} does not hold the lock");
        // Whoever waits may note that meanwhile; nobody else changes the word of a living holder.
        if self.0.swap(now & LOW & !STATE, Ordering::Release) & STATE == WAITED {
            waits.wake(&self.0);
        }
    }

    #[inline]
    fn exchange(&self, now: u64, next: u64) -> bool {
        self.0.compare_exchange(now, next, Ordering::Acquire, Ordering::Relaxed).is_ok()
    }
}
