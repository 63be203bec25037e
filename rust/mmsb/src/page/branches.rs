//! The branches there ever were: one block each, in a list that whoever comes to the arena can follow. None ever goes, so that
//! history can be followed through branches that were dropped.
//!
//! ```text
//! header, whose key is the branch's id | the branch before it in the list: address u64
//! | its tip: number u64, 0 = it was dropped
//! | 1 + the branch it was forked from u64, 0 = none | that one's epoch u64 | bytes of the name u64
//! | how much had come in by merges when it was dropped u64 | of each the branch, the epoch, the frame's seq, 3 x u64 | the name
//! ```
//! One that is dropped is added again, if anything had come in by merges.

use std::borrow::Cow;

use crate::base::ids::{BranchId, Epoch};
use crate::base::sync::Ordering;
use crate::memory::addr::Addr;
use crate::memory::arena::Arena;
use crate::memory::error::MemoryError;
use crate::page::block::{self, HEADER, Header, Kind, head, words, words_mut};
use crate::page::merged::{self, Merged};
use crate::page::stage::alloc;

/// Words behind the header.
const WORDS: usize = 6;

/// What does not change of a branch.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Branch<'n> {
    /// Its id, never reused.
    pub id: BranchId,
    /// Its name.
    pub name: Cow<'n, str>,
    /// The branch it was forked from, and at which epoch.
    pub origin: Option<(BranchId, Epoch)>,
    /// The number of its tip, where it has one.
    pub tip: Option<u64>,
    /// What had come in by merges when it was dropped.
    pub merged: Merged,
}

/// Adds a branch to the list. For whoever writes.
pub fn add(arena: &Arena, branch: &Branch<'_>) -> Result<(), MemoryError> {
    let merged = 3 * branch.merged.len();
    let bytes = HEADER + 8 * (WORDS + merged) + branch.name.len();
    let at = alloc(arena, bytes)?;
    block::init(arena, at, Header::new(Kind::Branch, bytes, 0, branch.id.0.into()));
    let newest = &arena.control().branches.0;
    let (parent, epoch) = branch.origin.map_or((0, 0), |(parent, epoch)| (1 + u64::from(parent.0), epoch.0));
    let before = newest.load(Ordering::Relaxed);
    words_mut(arena, at, HEADER, WORDS).copy_from_slice(&[
        before,
        branch.tip.unwrap_or_default(),
        parent,
        epoch,
        branch.name.len() as u64,
        branch.merged.len() as u64,
    ]);
    merged::write_words(words_mut(arena, at, HEADER + 8 * WORDS, merged), &branch.merged);
    block::bytes_mut(arena, at, HEADER + 8 * (WORDS + merged), branch.name.len())
        .copy_from_slice(branch.name.as_bytes());
    newest.store(at.0, Ordering::Release);
    Ok(())
}

/// The newest branch in the list.
pub fn newest(arena: &Arena) -> Addr {
    Addr(arena.control().branches.0.load(Ordering::Acquire))
}

/// The branches from the one at `from` back to before the one at `known`, newest first.
pub fn between(arena: &Arena, from: Addr, known: Addr) -> impl Iterator<Item = Branch<'static>> {
    let mut at = from;
    std::iter::from_fn(move || {
        if at == known || at.is_null() {
            return None;
        }
        let words = words(arena, at, HEADER, WORDS);
        let merged = block::words(arena, at, HEADER + 8 * WORDS, 3 * words[5] as usize);
        let name = block::bytes(arena, at, HEADER + 8 * WORDS + 8 * merged.len(), words[4] as usize);
        let branch = Branch {
            id: BranchId(head(arena, at).key as u32),
            name: Cow::Owned(String::from_utf8_lossy(name).into_owned()),
            origin: words[2].checked_sub(1).map(|parent| (BranchId(parent as u32), Epoch(words[3]))),
            tip: Some(words[1]).filter(|&tip| tip != 0),
            merged: merged::read_words(merged),
        };
        at = Addr(words[0]);
        Some(branch)
    })
}

/// Where the blocks of the list lie, and how many bytes each has.
pub fn blocks(arena: &Arena) -> Vec<(Addr, usize)> {
    let (mut blocks, mut at) = (Vec::new(), newest(arena));
    while !at.is_null() {
        blocks.push((at, head(arena, at).bytes as usize));
        at = Addr(words(arena, at, HEADER, 1)[0]);
    }
    blocks
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::base::ids::Seq;
    use crate::memory::arena::Options;
    use crate::memory::machine::place::Place;

    #[test]
    fn what_was_added_is_found_by_whoever_knows_less() {
        let arena = Arena::with(Place::Memory, Options { budget: 1 << 30, prefault: false }).unwrap();
        let branch = |i: u32| Branch::<'static> {
            id: BranchId(i),
            name: "ü".repeat(i as usize % 200).into(),
            origin: (i > 0).then(|| (BranchId(i / 2), Epoch(u64::from(i) * 7))),
            tip: (!i.is_multiple_of(3)).then(|| u64::from(i) << 20),
            merged: (0..i % 5)
                .map(|from| (BranchId(from), (Epoch(u64::from(i)), Seq(7 + u64::from(i)))))
                .collect(),
        };
        let mut known = Addr::NULL;
        for i in 0..500 {
            assert_eq!(between(&arena, newest(&arena), Addr::NULL).count(), i as usize);
            add(&arena, &branch(i)).unwrap();
            if i % 7 == 0 {
                let since: Vec<Branch<'static>> = between(&arena, newest(&arena), known).collect();
                let first = (i + 1) - since.len() as u32;
                assert!(since.into_iter().eq((first..=i).rev().map(branch)));
                known = newest(&arena);
            }
        }
    }
}
