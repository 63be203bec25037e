//! What merges brought into a state: of every other branch the newest epoch, and the frame that did. A block that the root
//! holds, so that it is that state's own, whoever looks at it and whenever.
//!
//! ```text
//! header | how many u64 | of each, by branch: the branch, its epoch, the frame's seq, 3 x u64
//! ```

use std::collections::BTreeMap;

use crate::base::ids::{BranchId, Epoch, Seq};
use crate::memory::addr::Addr;
use crate::memory::arena::Arena;
use crate::memory::error::MemoryError;
use crate::page::block::{HEADER, Kind, is_null, words, words_mut};
use crate::page::draft::Draft;
use crate::page::stage::Stage;
use crate::page::state_error::StateError;

/// The newest epoch of each other branch that merges brought in, and the frame that did: since what leads to an epoch
/// is all of its branch before it, this says all that is known of other branches but those it was forked from.
pub type Merged = BTreeMap<BranchId, (Epoch, Seq)>;

/// Notes what a frame brought in.
pub fn note_merged(merged: &mut Merged, branch: BranchId, epoch: Epoch, seq: Seq) {
    let known = merged.entry(branch).or_insert((epoch, seq));
    if known.0 < epoch {
        *known = (epoch, seq);
    }
}

/// What the block at `at` says; null says nothing.
pub(super) fn read(arena: &Arena, at: Addr) -> Merged {
    if is_null(at) {
        return Merged::new();
    }
    let n = words(arena, at, HEADER, 1)[0] as usize;
    read_words(&words(arena, at, HEADER, 1 + 3 * n)[1..])
}

/// What words say, three for each branch.
pub(super) fn read_words(words: &[u64]) -> Merged {
    let entries = words.chunks_exact(3);
    entries.map(|entry| (BranchId(entry[0] as u32), (Epoch(entry[1]), Seq(entry[2])))).collect()
}

/// Says it in as many words.
pub(super) fn write_words(words: &mut [u64], merged: &Merged) {
    for (entry, (branch, (epoch, seq))) in words.chunks_exact_mut(3).zip(merged) {
        entry.copy_from_slice(&[branch.0.into(), epoch.0, seq.0]);
    }
}

/// A fresh block that says it; null where there is nothing to say.
pub(super) fn write(stage: &mut Stage<'_>, merged: &Merged) -> Result<Addr, MemoryError> {
    if merged.is_empty() {
        return Ok(Addr::NULL);
    }
    let n = 1 + 3 * merged.len();
    let at = stage.node(Kind::Merged, HEADER + 8 * n, 0)?;
    let words = words_mut(stage.arena(), at, HEADER, n);
    words[0] = merged.len() as u64;
    write_words(&mut words[1..], merged);
    Ok(at)
}

impl Draft<'_> {
    /// Notes what merges brought in.
    ///
    /// # Errors
    /// There is no memory for it.
    pub fn note_merged(
        &mut self,
        news: impl IntoIterator<Item = (BranchId, (Epoch, Seq))>,
    ) -> Result<(), StateError> {
        let mut news = news.into_iter().peekable();
        if news.peek().is_none() {
            return Ok(());
        }
        let mut merged = self.root().merged();
        news.for_each(|(branch, (epoch, seq))| note_merged(&mut merged, branch, epoch, seq));
        self.slots.set_merged(&mut self.stage, &merged)
    }
}
