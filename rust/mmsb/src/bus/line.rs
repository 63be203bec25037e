//! A line of epochs: a branch while it lives, with the roots it has published and appended.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::base::ids::{BranchId, Epoch, Seq};
use crate::bus::error::Error;
use crate::bus::posts::Posts;
use crate::memory::addr::Addr;

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
    /// The root that readers see.
    head: AtomicU64,
    /// The root the next commit starts from: ahead of `head` while a commit waits for the disk. The writer's own.
    appended: AtomicU64,
    /// The highest page counter given out.
    counter: AtomicU32,
    dropped: AtomicBool,
    /// What had come in by merges, here or before this branch was forked: from which epoch on, ascending, for every epoch
    /// that may still be published, and the one that is. Nothing where nothing was merged: most branches are forked,
    /// written and dropped, and are known for ever.
    merged: Mutex<Vec<(Epoch, Arc<Merged>)>>,
    /// What was posted on it.
    pub(crate) posts: Posts,
}

impl Line {
    /// A line whose state is the root at `root`.
    pub fn new(
        id: BranchId,
        name: String,
        origin: Option<Origin>,
        root: Addr,
        counter: u32,
        merged: Merged,
    ) -> Arc<Self> {
        let first = (!merged.is_empty()).then(|| (Epoch(0), Arc::new(merged)));
        Arc::new(Line {
            id,
            name,
            origin,
            head: AtomicU64::new(root.0),
            appended: AtomicU64::new(root.0),
            counter: AtomicU32::new(counter),
            dropped: AtomicBool::new(false),
            merged: Mutex::new(first.into_iter().collect()),
            posts: Posts::new(),
        })
    }

    /// The root that readers see. Pin before you follow it.
    pub fn head(&self) -> Addr {
        Addr(self.head.load(Ordering::Acquire))
    }

    /// Shows a root to readers.
    pub fn publish(&self, root: Addr) {
        self.head.store(root.0, Ordering::Release);
    }

    /// The root the next commit starts from; call with the writer held.
    pub fn appended(&self) -> Addr {
        Addr(self.appended.load(Ordering::Relaxed))
    }

    /// Sets what the next commit starts from; call with the writer held.
    pub fn set_appended(&self, root: Addr) {
        self.appended.store(root.0, Ordering::Relaxed);
    }

    /// A page counter that was never given out on this line.
    pub fn next_counter(&self) -> Option<u32> {
        self.counter
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_add(1))
            .ok()
            .map(|n| n + 1)
    }

    /// The highest page counter given out.
    pub fn counter(&self) -> u32 {
        self.counter.load(Ordering::Relaxed)
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
        self.dropped.load(Ordering::Acquire)
    }

    /// Notes that the branch was dropped.
    pub fn set_dropped(&self) {
        self.dropped.store(true, Ordering::Release);
    }
}
