//! Limbo: blocks that no published root reaches any more, kept until no pin covers them.
//!
//! A block lived from the commit that published it to the one that let it go, `[born, died)`. It may be used again
//! when no pin lies in its life: not "when every older pin has gone", or one view of a constant page would stop
//! reclamation for ever. A block that must wait is parked under a pin that covers it and is looked at again only when
//! that pin has gone, so an old pin costs nothing while it stands.
#![allow(unsafe_code)]

use std::collections::HashMap;

use crate::base::limits::CHUNK;
use crate::base::spread::Spread;
use crate::base::sync::Ordering;
use crate::memory::addr::Addr;
use crate::memory::arena::Arena;
use crate::memory::heap::magazine::Magazine;
use crate::memory::pinning::pins::{Entries as _, PIN_ALL, Pin, Pinned};

/// A block that is out of use, with its life.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct Retired {
    /// Where it lies.
    pub addr: Addr,
    /// Its bytes as they were asked for, 0 = it is a chunk.
    pub bytes: u32,
    /// The page it belonged to, 0 = none (a root, a directory).
    pub page: u64,
    /// The seq of the first commit whose root reached it.
    pub born: u64,
    /// The seq of the first commit whose root does not.
    pub died: u64,
}

impl Retired {
    fn size(&self) -> u64 {
        if self.bytes == 0 { CHUNK as u64 } else { u64::from(self.bytes) }
    }
}

/// What one reclamation did.
#[derive(Copy, Clone, PartialEq, Eq, Debug, Default)]
pub struct Reclaimed {
    /// Blocks given back.
    pub blocks: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Blocks looked at.
    pub examined: u64,
}

/// Blocks that wait for a pin, which has a number for as long as it stands.
#[derive(Debug, Default)]
struct Parked {
    blocks: Vec<Retired>,
    bytes: u64,
}

/// A pin, and how many bytes wait for it.
pub type Dear = (Pinned, u64);

/// The blocks in limbo. It is the writer's own.
#[derive(Debug, Default)]
pub struct Limbo {
    new: Vec<Retired>,
    /// By the number of the pin.
    parked: HashMap<u32, Parked, Spread>,
    bytes: u64,
    /// Of `new`, the bytes.
    new_bytes: u64,
    found: Vec<Pinned>,
    /// The pins that were there when blocks were last sorted out: all that something is parked under are among them.
    last: Vec<Pinned>,
    /// How many pins had been given back by then.
    given_back: u64,
    /// Vectors to use again.
    gone: Vec<Parked>,
    spare: Vec<Vec<Retired>>,
}

/// Pins for which a reclamation may wait for one more block, or for one more pin to go. So a commit's share of looking at
/// all pins is a small part of it however many there are; up to so many, each commit looks.
const PINS_FOR_A_BLOCK: usize = 8;
/// Bytes that may wait for a reclamation, and so many more for each pin: no more than a pin's own entry a few times over.
const MAY_WAIT: u64 = 1 << 20;
/// See [`MAY_WAIT`].
const MAY_WAIT_FOR_A_PIN: u64 = 64;

/// Emptied vectors that are kept.
const SPARE: usize = 8;

/// Blocks up to which every pin is asked about every block: sorting a thousand pins costs more.
const FEW: usize = 8;

/// The pins of one scan, sorted by what they cover.
struct Covers {
    /// A pin in the making covers everything.
    all: Option<Pinned>,
    /// Those of all pages, by seq.
    whole: Vec<Pinned>,
    /// Those of one page, by page and seq.
    paged: Vec<Pinned>,
}

fn covers(pin: &Pinned, block: &Retired) -> bool {
    let within = block.born <= pin.seq && pin.seq < block.died;
    pin.seq == PIN_ALL || (within && (pin.page == 0 || pin.page == block.page))
}

impl Covers {
    fn new(pins: &[Pinned]) -> Covers {
        let all = pins.iter().find(|pin| pin.seq == PIN_ALL).copied();
        let known = pins.iter().filter(|pin| pin.seq != PIN_ALL).copied();
        let (mut whole, mut paged): (Vec<Pinned>, Vec<Pinned>) = known.partition(|pin| pin.page == 0);
        // Where both keep the same, letting go of a lease frees nothing.
        whole.sort_unstable_by_key(|pin| (pin.seq, pin.leased));
        paged.sort_unstable_by_key(|pin| (pin.page, pin.seq));
        Covers { all, whole, paged }
    }

    /// The pin that holds `block` with the lowest seq, likely the oldest and the last of them to go.
    fn of(&self, block: &Retired) -> Option<&Pinned> {
        let within = |pin: &&Pinned| pin.seq < block.died;
        let whole = &self.whole[self.whole.partition_point(|pin| pin.seq < block.born)..];
        let paged = || {
            let from = self.paged.partition_point(|pin| (pin.page, pin.seq) < (block.page, block.born));
            self.paged[from..].first().filter(|pin| pin.page == block.page).filter(within)
        };
        whole.first().filter(within).or_else(paged).or(self.all.as_ref())
    }
}

impl Limbo {
    /// Takes in blocks that the commit being published lets go.
    pub fn retire(&mut self, blocks: impl IntoIterator<Item = Retired>) {
        let before = self.new.len();
        self.new.extend(blocks);
        let bytes = self.new[before..].iter().map(Retired::size).sum::<u64>();
        self.bytes += bytes;
        self.new_bytes += bytes;
    }

    /// Whether what is new, or went, is worth looking at as many pins as there were last time.
    fn is_worth(&self, given_back: u64) -> bool {
        let pins = self.last.len();
        let gone = given_back.wrapping_sub(self.given_back) as usize;
        let many = (self.new.len() + gone).saturating_mul(PINS_FOR_A_BLOCK) >= pins;
        many || self.new_bytes >= MAY_WAIT + MAY_WAIT_FOR_A_PIN * pins as u64
    }

    /// Bytes of all blocks in limbo.
    pub fn held_bytes(&self) -> u64 {
        self.bytes
    }

    /// Bytes that wait for `pin` first. Others may cover them as well.
    pub fn held_by(&self, pin: Pin) -> u64 {
        self.parked.get(&pin.0).map_or(0, |parked| parked.bytes)
    }

    /// The pins that more than so many bytes wait for, with how many.
    pub fn dear(&self, most: u64) -> Vec<Dear> {
        let bytes = |pin: &Pinned| Some((*pin, self.parked.get(&pin.pin.0)?.bytes));
        self.last.iter().filter_map(bytes).filter(|(_, bytes)| *bytes > most).collect()
    }

    /// Takes in blocks that commits let go, which the caller has published, scans the arena's pins, and gives back what
    /// may go, to the magazine where there is one.
    ///
    /// # Safety
    /// Every block retired came from `arena`, the magazine's, with those bytes, was retired once, and is reached from
    /// published roots exactly in its life.
    pub unsafe fn reclaim(
        &mut self,
        arena: &Arena,
        mut magazine: Option<&mut Magazine>,
        retired: &mut Vec<Retired>,
    ) -> Reclaimed {
        // SAFETY: the caller's promise, and no pin of the scan covers the block; nor does a later one, whose pinner sees a
        // head from after the block's death.
        let mut free = |block: &Retired| unsafe {
            match (block.bytes, &mut magazine) {
                (0, _) => arena.free_chunk(block.addr),
                (bytes, Some(magazine)) => magazine.free(block.addr, bytes as usize),
                (bytes, None) => arena.free(block.addr, bytes as usize),
            }
        };
        let given_back = arena.pins().entries().changes().load(Ordering::Relaxed);
        // Whoever brings nothing asks for all that can go.
        if self.last.len() > PINS_FOR_A_BLOCK && !retired.is_empty() {
            self.retire(retired.drain(..));
            if !self.is_worth(given_back) {
                return Reclaimed::default();
            }
        }
        self.given_back = given_back;
        let mut found = std::mem::take(&mut self.found);
        let mut done = Reclaimed::default();
        let known = arena.pins().scan(&mut found);
        if known && found.is_empty() && self.parked.is_empty() && self.new.is_empty() {
            // Nobody holds anything: most commits end here.
            for block in retired.drain(..) {
                free(&block);
                done.blocks += 1;
                done.bytes += block.size();
            }
            done.examined = done.blocks;
            self.last.clear();
        } else {
            self.retire(retired.drain(..));
            if known {
                done = self.sort_out(&found, free);
            }
        }
        self.found = found;
        done
    }

    /// Frees what none of `pins`, in the order of a scan, covers and parks the rest.
    pub fn sort_out(&mut self, pins: &[Pinned], mut free: impl FnMut(&Retired)) -> Reclaimed {
        let mut done = Reclaimed::default();
        debug_assert!(pins.is_sorted_by_key(|pin| pin.pin.0));
        let mut again = std::mem::take(&mut self.gone);
        let mut now = pins.iter().peekable();
        for was in &self.last {
            while now.next_if(|pin| pin.pin.0 < was.pin.0).is_some() {}
            if now.peek() != Some(&was) {
                again.extend(self.parked.remove(&was.pin.0));
            }
        }
        self.last.clear();
        self.last.extend_from_slice(pins);
        let mut new = std::mem::take(&mut self.new);
        let blocks = new.len() + again.iter().map(|parked| parked.blocks.len()).sum::<usize>();
        let sorted = (blocks > FEW).then(|| Covers::new(pins));
        let holder = |block: &Retired| match &sorted {
            Some(sorted) => sorted.of(block),
            None => pins.iter().filter(|pin| covers(pin, block)).min_by_key(|pin| (pin.seq, pin.leased)),
        };
        for block in again.iter().flat_map(|parked| &parked.blocks).chain(&new) {
            done.examined += 1;
            if let Some(pin) = holder(block) {
                let parked = self.parked.entry(pin.pin.0).or_insert_with(|| {
                    let blocks = self.spare.pop().unwrap_or_default();
                    Parked { blocks, bytes: 0 }
                });
                parked.blocks.push(*block);
                parked.bytes += block.size();
            } else {
                free(block);
                done.blocks += 1;
                done.bytes += block.size();
            }
        }
        new.clear();
        self.new = new;
        self.new_bytes = 0;
        for parked in again.drain(..) {
            let mut blocks = parked.blocks;
            blocks.clear();
            if self.spare.len() < SPARE && blocks.capacity() <= FEW {
                self.spare.push(blocks);
            }
        }
        self.gone = again;
        self.bytes -= done.bytes;
        done
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    /// As the module says it, and not as it does it.
    fn holds(pin: &Pinned, block: &Retired) -> bool {
        let life: BTreeSet<u64> = (block.born..block.died).collect();
        pin.seq == PIN_ALL || (life.contains(&pin.seq) && [0, block.page].contains(&pin.page))
    }

    fn pinned(index: u32, seq: u64, page: u64) -> Pinned {
        Pinned { seq, page, pin: Pin(index), leased: false }
    }

    fn block(at: u64, page: u64, born: u64, died: u64) -> Retired {
        Retired { addr: Addr(at * 64), bytes: 64, page, born, died }
    }

    #[derive(Clone, Debug)]
    enum Step {
        /// A commit that retires blocks of these pages and ages.
        Commit(Vec<(u64, u64)>),
        /// A pin at (head - back) of a page, `None` = in the making.
        Pin(Option<(u64, u64)>),
        Narrow(usize, u64),
        Unpin(usize),
        Reclaim,
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            3 => prop::collection::vec((0u64..4, 1u64..9), 0..6).prop_map(Step::Commit),
            2 => prop::option::weighted(0.9, (0u64..5, 0u64..4)).prop_map(Step::Pin),
            1 => (any::<usize>(), 1u64..4).prop_map(|(i, page)| Step::Narrow(i, page)),
            2 => any::<usize>().prop_map(Step::Unpin),
            4 => Just(Step::Reclaim),
        ]
    }

    proptest! {
        #[test]
        fn frees_exactly_what_no_pin_covers(steps in prop::collection::vec(step(), 1..120)) {
            let (mut limbo, mut pins, mut model) = (Limbo::default(), Vec::<Pinned>::new(), Vec::<Retired>::new());
            let (mut head, mut next) = (10u64, 1u64);
            for step in steps {
                match step {
                    Step::Commit(lives) => {
                        head += 1;
                        for (page, age) in lives {
                            let block = block(next, page, head - age, head);
                            next += 1;
                            limbo.retire([block]);
                            model.push(block);
                        }
                    }
                    Step::Pin(how) => {
                        let index = (0..).find(|i| pins.iter().all(|p| p.pin.0 != *i)).unwrap_or(0);
                        let (back, page) = how.unwrap_or((0, 0));
                        let seq = if how.is_none() { PIN_ALL } else { head - back };
                        pins.push(pinned(index, seq, page));
                        pins.sort_by_key(|pin| pin.pin.0);
                    }
                    Step::Narrow(i, page) if !pins.is_empty() => {
                        let i = i % pins.len();
                        pins[i].page = page;
                        // A pin in the making is whole until it knows its seq.
                        pins[i].seq = pins[i].seq.min(head);
                    }
                    Step::Unpin(i) if !pins.is_empty() => { pins.remove(i % pins.len()); }
                    Step::Narrow(..) | Step::Unpin(_) => {}
                    Step::Reclaim => {
                        let mut freed = BTreeSet::new();
                        limbo.sort_out(&pins, |block| assert!(freed.insert(block.addr)));
                        let (kept, gone): (Vec<Retired>, Vec<Retired>) =
                            model.iter().partition(|block| pins.iter().any(|pin| holds(pin, block)));
                        prop_assert_eq!(&freed, &gone.iter().map(|block| block.addr).collect::<BTreeSet<_>>());
                        model = kept;
                        prop_assert_eq!(limbo.held_bytes(), model.len() as u64 * 64);
                    }
                }
            }
            limbo.sort_out(&[], |_| ());
            prop_assert_eq!(limbo.held_bytes(), 0);
        }
    }

    #[test]
    fn an_old_pin_does_not_make_commits_dearer() {
        let (mut limbo, commits) = (Limbo::default(), 10_000);
        let old = pinned(0, 5, 0);
        let mut examined = 0;
        for seq in 6..6 + commits {
            // One block that the old pin covers, one that came later.
            limbo.retire([block(2 * seq, 1, seq % 5, seq), block(2 * seq + 1, 1, seq - 1, seq)]);
            let reclaimed = limbo.sort_out(&[old, pinned(1, seq, 0)], |_| ());
            assert!(reclaimed.blocks >= u64::from(seq > 6));
            examined += reclaimed.examined;
        }
        assert!(limbo.held_by(old.pin) >= 64 * commits);
        examined += limbo.sort_out(&[], |_| ()).examined;
        assert!(examined <= 4 * commits, "{examined} looks at {} blocks", 2 * commits);
        assert_eq!(limbo.held_bytes(), 0);
    }
}
