//! A line of epochs: a branch while it lives, with the roots it has published and appended.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use crate::base::ids::{BranchId, Epoch, Seq};
use crate::bus::error::Error;
use crate::bus::posts::Posts;
use crate::memory::addr::Addr;
use crate::memory::tips::Tip;
use crate::page::state_error::StateError;

/// Where a branch comes from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Origin {
    /// The branch it was forked from.
    pub parent: BranchId,
    /// The parent's epoch it started from.
    pub epoch: Epoch,
}

/// The newest epoch of each other branch that merges brought in, and the frame that did: since what leads to an epoch
/// is all of its branch before it, this says all that is known of other branches but those it was forked from.
pub(crate) type Merged = HashMap<BranchId, (Epoch, Seq)>;

/// Notes what a frame brought in.
pub(crate) fn note_merged(merged: &mut Merged, branch: BranchId, epoch: Epoch, seq: Seq) {
    let known = merged.entry(branch).or_insert((epoch, seq));
    if known.0 < epoch {
        *known = (epoch, seq);
    }
}

/// A branch while it lives.
#[derive(Debug)]
pub struct Line {
    /// Its id, never reused.
    pub id: BranchId,
    /// Its name.
    pub name: String,
    /// Where it comes from; of the main branch none.
    pub origin: Option<Origin>,
    /// Its words that change, for as long as it lives; where it was dropped before, none.
    tip: Option<Tip>,
    /// Of a branch that was dropped, the highest page counter given out.
    last_counter: OnceLock<u32>,
    /// What had come in by merges, here or before this branch was forked: from which epoch on, ascending, for every epoch
    /// that may still be published, and the one that is. Nothing where nothing was merged: most branches are forked,
    /// written and dropped, and are known for ever.
    merged: Mutex<Vec<(Epoch, Arc<Merged>)>>,
    /// What was posted on it.
    pub(crate) posts: Posts,
}

impl Line {
    /// A branch with its tip.
    pub fn new(id: BranchId, name: String, origin: Option<Origin>, tip: Tip, merged: Merged) -> Arc<Self> {
        Arc::new(Line::with(id, name, origin, Some(tip), merged))
    }

    /// A branch that was dropped; `counter` is the highest page counter it gave out.
    pub fn gone(
        id: BranchId,
        name: String,
        origin: Option<Origin>,
        counter: u32,
        merged: Merged,
    ) -> Arc<Self> {
        let line = Line::with(id, name, origin, None, merged);
        let _ = line.last_counter.set(counter);
        Arc::new(line)
    }

    fn with(id: BranchId, name: String, origin: Option<Origin>, tip: Option<Tip>, merged: Merged) -> Self {
        let first = (!merged.is_empty()).then(|| (Epoch(0), Arc::new(merged)));
        let (merged, last_counter) = (Mutex::new(first.into_iter().collect()), OnceLock::new());
        Line { id, name, origin, tip, last_counter, merged, posts: Posts::new() }
    }

    /// The number of its tip, where it has one.
    pub(crate) fn tip_number(&self) -> Option<u64> {
        self.tip.as_ref().map(Tip::number)
    }

    /// The root that readers see; `None` where the branch was dropped. Pin before you follow it.
    #[inline]
    pub fn head(&self) -> Option<Addr> {
        self.tip.as_ref()?.root()
    }

    /// Shows a root to readers; call with the writer held.
    pub fn publish(&self, root: Addr) {
        if let Some(tip) = &self.tip {
            tip.publish(root);
        }
    }

    /// The root that the next commit starts from, which is ahead of the head while a commit waits for the disk; an error
    /// where the branch was dropped. Call with the writer held.
    pub fn appended(&self) -> Result<Addr, Error> {
        let appended = self.tip.as_ref().and_then(Tip::appended);
        appended.ok_or_else(|| Error::NoBranch(self.name.clone()))
    }

    /// Sets what the next commit starts from; call with the writer held, on a branch that lives.
    pub fn set_appended(&self, root: Addr) {
        if let Some(tip) = &self.tip {
            tip.set_appended(root);
        }
    }

    /// A page counter that was never given out on this line.
    pub fn next_counter(&self) -> Result<u32, Error> {
        match self.tip.as_ref().and_then(Tip::next_counter) {
            Some(next) => Ok(next),
            None if self.is_dropped() => Err(Error::NoBranch(self.name.clone())),
            None => Err(StateError::IdsExhausted(self.id).into()),
        }
    }

    /// The highest page counter given out.
    pub fn counter(&self) -> u32 {
        let now = self.tip.as_ref().and_then(Tip::counter);
        now.or_else(|| self.last_counter.get().copied()).unwrap_or_default()
    }

    fn versions(&self) -> MutexGuard<'_, Vec<(Epoch, Arc<Merged>)>> {
        self.merged.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What came in by merges up to the root that the next commit starts from: that root's own, with the writer held.
    pub fn merged(&self) -> Arc<Merged> {
        self.versions().last().map(|(_, merged)| Arc::clone(merged)).unwrap_or_default()
    }

    /// Takes a published epoch by `take`, with what had come in by merges then.
    pub fn with_merged<T>(
        &self,
        take: impl FnOnce() -> Result<(Epoch, T), Error>,
    ) -> Result<(T, Arc<Merged>), Error> {
        // What is known of the published epoch is there as long as nothing else can be noted.
        let versions = self.versions();
        let (epoch, taken) = take()?;
        let merged = versions.iter().rfind(|(from, _)| *from <= epoch).map(|(_, merged)| Arc::clone(merged));
        Ok((taken, merged.unwrap_or_default()))
    }

    /// Notes what an epoch that is not published yet brought in; call with the writer held. Nobody takes an epoch from
    /// before `published` any more.
    pub fn note_merged(
        &self,
        published: Epoch,
        (epoch, seq): (Epoch, Seq),
        news: impl Iterator<Item = (BranchId, Epoch)>,
    ) {
        let mut news = news.peekable();
        if news.peek().is_none() {
            return;
        }
        let mut merged = Merged::clone(&self.merged());
        news.for_each(|(branch, newest)| note_merged(&mut merged, branch, newest, seq));
        let mut versions = self.versions();
        let first = versions.iter().rposition(|(from, _)| *from <= published);
        versions.drain(..first.unwrap_or(0));
        versions.pop_if(|(from, _)| *from == epoch);
        versions.push((epoch, Arc::new(merged)));
    }

    /// Whether the branch was dropped.
    pub fn is_dropped(&self) -> bool {
        !self.tip.as_ref().is_some_and(Tip::lives)
    }

    /// The branch is there: readers may see it; call with the writer held.
    pub fn show(&self) {
        if let Some(tip) = &self.tip {
            tip.show();
        }
    }

    /// The branch was dropped, or did not come to be; call with the writer held.
    pub fn leave(&self) {
        if let Some(tip) = &self.tip {
            if let Some(counter) = tip.counter() {
                let _ = self.last_counter.set(counter);
            }
            tip.leave();
        }
    }
}
