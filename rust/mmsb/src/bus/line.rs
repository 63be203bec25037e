//! A line of epochs: a branch while it lives, with the roots it has published and appended.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use crate::base::ids::{BranchId, Epoch};
use crate::bus::error::Error;
use crate::bus::posts::Posts;
use crate::memory::addr::Addr;
use crate::memory::shared::tips::Tip;
use crate::page::merged::Merged;
use crate::page::state_error::StateError;

/// Where a branch comes from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Origin {
    /// The branch it was forked from.
    pub parent: BranchId,
    /// The parent's epoch it started from.
    pub epoch: Epoch,
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
    /// Whether the frame is in the log that drops it.
    going: AtomicBool,
    /// Of a branch that was dropped, the highest page counter given out.
    last_counter: OnceLock<u32>,
    /// Of a branch that was dropped, what had come in by merges.
    last_merged: Mutex<Merged>,
    /// What was posted on it.
    pub(crate) posts: Posts,
}

impl Line {
    /// A branch with its tip.
    pub fn new(id: BranchId, name: String, origin: Option<Origin>, tip: Tip) -> Arc<Self> {
        Arc::new(Line::with(id, name, origin, Some(tip)))
    }

    /// A branch that was dropped; `counter` is the highest page counter it gave out, `merged` what merges had brought in.
    pub fn gone(
        id: BranchId,
        name: String,
        origin: Option<Origin>,
        counter: u32,
        merged: Merged,
    ) -> Arc<Self> {
        let line = Line::with(id, name, origin, None);
        let _ = line.last_counter.set(counter);
        line.set_last_merged(merged);
        Arc::new(line)
    }

    fn with(id: BranchId, name: String, origin: Option<Origin>, tip: Option<Tip>) -> Self {
        let (going, last_counter, last_merged) = (AtomicBool::new(false), OnceLock::new(), Mutex::default());
        Line { id, name, origin, tip, going, last_counter, last_merged, posts: Posts::new() }
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
        let appended = self.tip.as_ref().filter(|_| !self.is_going()).and_then(Tip::appended);
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

    /// Gives out no page counter up to this one any more; call with the writer held.
    pub fn raise_counter(&self, counter: u32) {
        if let Some(tip) = &self.tip {
            tip.raise_counter(counter);
        }
    }

    /// The highest page counter given out.
    pub fn counter(&self) -> u32 {
        let now = self.tip.as_ref().and_then(Tip::counter);
        now.or_else(|| self.last_counter.get().copied()).unwrap_or_default()
    }

    /// Of a branch that was dropped, what had come in by merges.
    pub fn last_merged(&self) -> Merged {
        self.last_merged.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn is_going(&self) -> bool {
        self.going.load(Ordering::Acquire)
    }

    /// Notes what had come in by merges, of a branch that is dropped.
    pub fn set_last_merged(&self, merged: Merged) {
        *self.last_merged.lock().unwrap_or_else(PoisonError::into_inner) = merged;
    }

    /// The frame is in the log that drops it: nobody commits to it any more; call with the writer held.
    pub fn go(&self) {
        self.going.store(true, Ordering::Release);
    }

    /// Whether the branch was dropped.
    pub fn is_dropped(&self) -> bool {
        self.is_going() || !self.tip.as_ref().is_some_and(Tip::lives)
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
