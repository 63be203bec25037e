//! Pins: how readers say, without a lock, which versions they are reading.
//!
//! A pin is an entry of two words, `seq` and `page`. It covers the blocks alive at `seq`; with a page it covers only
//! that page's. The protocol:
//! - **pin**: take a free entry, store [`PIN_ALL`], fence, load the head, store the head's seq. The writer stores the
//!   head, fences, scans. Of two fences one comes first: either the scan sees the pin, or the load sees the new
//!   head, whose blocks no reclamation up to it can touch. So nothing is tried twice.
//! - **narrow**: store a page in an entry that covered all. A scan sees more or less; both are enough.
//! - **pin at**: a second entry for a seq that another pin of the caller covers until this one stands.
//! - **unpin**: move the change counter, then clear the entry. A scan that passed the new entry of a hand-over before
//!   it was made, and the old one after it was cleared, sees the counter moved and is made again.

use crate::base::limits::{PIN_BLOCK_BYTES, PIN_SCANS_MAX};
use crate::base::sync::{AtomicU64, Ordering, fence};
use crate::memory::heap::stack::{Cells, FreeStack};

/// A seq that covers every block: the pin is being made.
pub const PIN_ALL: u64 = u64::MAX;

/// In a seq: the pin is a lease, which somebody else may let go of. No frame has such a seq.
pub(in crate::memory) const LEASED: u64 = 1 << 63;
/// The seq of a lease that was let go of: it covers nothing.
pub(in crate::memory) const LET_GO: u64 = LEASED;

/// Entries of one block of pins.
pub const PIN_BLOCK: usize = (PIN_BLOCK_BYTES - 64) / 16;

/// One pin, or a free place for one.
#[derive(Debug)]
#[repr(C)]
pub struct Entry {
    /// 0 = free.
    pub(in crate::memory) seq: AtomicU64,
    /// 0 = every page's blocks. In a free entry, the free list's link.
    page: AtomicU64,
}

impl Entry {
    /// Forgets a pin whose process is dead. The change counter moves before.
    pub fn forget(&self) {
        self.seq.store(0, Ordering::Release);
        self.page.store(0, Ordering::Release);
    }

    /// A free entry.
    #[allow(clippy::new_without_default)] // as `FreeStack`
    pub fn new() -> Entry {
        Entry { seq: AtomicU64::new(0), page: AtomicU64::new(0) }
    }
}

/// A block of entries, all of one process. All zero is an empty block of nobody's.
#[derive(Debug)]
#[repr(C)]
pub struct PinBlock {
    /// How many of the entries have ever been used: a scan need not look further.
    pub used: AtomicU64,
    /// 1 + the slot of the process whose readers these are, 0 = nobody's.
    pub owner: AtomicU64,
    /// That process's id, for a person to read.
    pub process: AtomicU64,
    _reserved: [u64; 5],
    /// The entries.
    pub entries: [Entry; PIN_BLOCK],
}

/// A held pin, by the number of its entry. It must be given back exactly once.
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug)]
pub struct Pin(pub u32);

/// A place for a pin, taken but not pinned yet.
#[derive(Debug)]
pub struct Vacant(u32);

/// A pin as a scan saw it.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct Pinned {
    /// The seq it covers; [`PIN_ALL`] while it is being made.
    pub seq: u64,
    /// The page whose blocks it covers, 0 = all.
    pub page: u64,
    /// Which one it is.
    pub pin: Pin,
    /// Whether it may be let go of.
    pub leased: bool,
}

/// Where the entries are.
pub trait Entries {
    /// Entry `index`, one that [`Entries::fresh`] has given.
    fn entry(&self, index: u32) -> &Entry;
    /// An entry never used before. From here on [`Entries::each`] visits it. `None` when there is no more room.
    fn fresh(&self) -> Option<u32>;
    /// Visits every entry that was ever used.
    fn each(&self, visit: impl FnMut(u32, &Entry));
    /// The change counter.
    fn changes(&self) -> &AtomicU64;
}

/// The pins over some entries.
#[derive(Debug)]
pub struct Pins<E> {
    free: FreeStack,
    entries: E,
}

struct Links<'a, E>(&'a E);

impl<E: Entries> Cells for Links<'_, E> {
    #[inline]
    fn link(&self, cell: u64) -> &AtomicU64 {
        &self.0.entry(cell as u32 - 1).page
    }
}

impl<E: Entries> Pins<E> {
    /// Pins over `entries`, all free.
    pub fn new(entries: E) -> Pins<E> {
        Pins { free: FreeStack::new(), entries }
    }

    /// Where the entries are.
    pub fn entries(&self) -> &E {
        &self.entries
    }

    /// A place for a pin; `None` when the entries want more room.
    #[inline]
    pub fn take(&self) -> Option<Vacant> {
        match self.free.pop(&Links(&self.entries)) {
            Some(cell) => Some(Vacant(cell as u32 - 1)),
            None => self.entries.fresh().map(Vacant),
        }
    }

    /// Pins the version that `load` loads: it reads the head of a branch and returns the seq (neither 0 nor
    /// [`PIN_ALL`]) of the root it found there. What that root reaches stays until the pin is given back.
    #[inline]
    pub fn pin(&self, place: Vacant, load: impl FnOnce() -> u64) -> Pin {
        let entry = self.entries.entry(place.0);
        entry.page.store(0, Ordering::Release);
        entry.seq.store(PIN_ALL, Ordering::Release);
        fence(Ordering::SeqCst);
        let seq = load();
        debug_assert!(seq != 0 && seq != PIN_ALL);
        entry.seq.store(seq, Ordering::Release);
        Pin(place.0)
    }

    /// Pins page `page` (0 = all) at `seq`, which another pin of the caller covers meanwhile.
    #[inline]
    pub fn pin_at(&self, place: Vacant, seq: u64, page: u64) -> Pin {
        debug_assert!(seq != 0 && seq & LEASED == 0);
        let entry = self.entries.entry(place.0);
        entry.page.store(page, Ordering::Release);
        entry.seq.store(seq, Ordering::Release);
        Pin(place.0)
    }

    /// Lets everything but the blocks of `page` go.
    #[inline]
    pub fn narrow(&self, pin: Pin, page: u64) {
        self.entries.entry(pin.0).page.store(page, Ordering::Release);
    }

    /// The seq that `pin` covers; 0 of a lease that was let go of.
    #[inline]
    pub fn seq(&self, pin: Pin) -> u64 {
        self.entries.entry(pin.0).seq.load(Ordering::Relaxed) & !LEASED
    }

    /// Gives the pin back. Takes no lock, so that it may be done from any place that drops things.
    #[inline]
    pub fn unpin(&self, pin: Pin) {
        self.entries.changes().fetch_add(1, Ordering::SeqCst);
        let entry = self.entries.entry(pin.0);
        debug_assert!(entry.seq.load(Ordering::Relaxed) != 0, "pin {} is given back twice", pin.0);
        entry.seq.store(0, Ordering::Release);
        self.free.push(&Links(&self.entries), u64::from(pin.0) + 1);
    }

    /// Finds every pin there is, to reclaim by. The caller has published before. False when readers came and went so
    /// fast that no scan was undisturbed: then `found` says nothing and nothing may be reclaimed this time.
    pub fn scan(&self, found: &mut Vec<Pinned>) -> bool {
        fence(Ordering::SeqCst);
        for _ in 0..PIN_SCANS_MAX {
            let before = self.entries.changes().load(Ordering::SeqCst);
            self.look(found);
            if self.entries.changes().load(Ordering::SeqCst) == before {
                return true;
            }
        }
        found.clear();
        false
    }

    /// The pins as they are about now, for a person to read.
    pub fn list(&self) -> Vec<Pinned> {
        let mut found = Vec::new();
        self.look(&mut found);
        found
    }

    fn look(&self, found: &mut Vec<Pinned>) {
        found.clear();
        self.entries.each(|index, entry| {
            let word = entry.seq.load(Ordering::Acquire);
            if word & !LEASED != 0 {
                let page = entry.page.load(Ordering::Acquire);
                let leased = word & LEASED != 0 && word != PIN_ALL;
                let seq = if leased { word & !LEASED } else { word };
                found.push(Pinned { seq, page, pin: Pin(index), leased });
            }
        });
    }
}
