//! Where rebuilding a past state begins: at the newest checkpoint that leads to it, or at nothing.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::base::ids::{BranchId, Epoch, PageId, Seq};
use crate::bus::error::Error;
use crate::bus::line::Origin;
use crate::bus::past::pages::{Stretch, stretches};
use crate::memory::disk::Disk;
use crate::page::checkpoint::load::load_page;
use crate::page::checkpoint::record::{Def, Head, Record, Version};
use crate::page::checkpoint::store::Store;
use crate::page::draft::Draft;
use crate::page::log::{LogError, LogReader};
use crate::page::merged::Merged;
use crate::page::schema::Schema;

/// What a state's history starts from: a branch of a checkpoint, or an empty one.
#[derive(Debug)]
pub(crate) struct Begin {
    /// The frames from here on make the state of it.
    pub position: u64,
    /// None of them lies here or further on.
    pub end: u64,
    image: Option<Image>,
}

#[derive(Debug)]
struct Image {
    disk: Arc<dyn Disk>,
    record: Arc<Record>,
    branch: usize,
    pages: BTreeMap<PageId, u32>,
}

impl Begin {
    /// The beginning of all history.
    pub fn zero() -> Self {
        Begin { position: 0, end: u64::MAX, image: None }
    }

    /// The checkpoint whose image it is, if it is one's.
    pub fn checkpoint(&self) -> Option<Seq> {
        Some(self.image.as_ref()?.record.head.seq)
    }

    /// Calls `visit` with what the image says of each page.
    pub fn pages(&self, mut visit: impl FnMut(&Def, &Schema, &Version)) {
        let Some(image) = &self.image else { return };
        for &version in image.pages.values() {
            let told = &image.record.versions[version as usize];
            visit(&image.record.defs[told.def as usize], image.record.schema(told), told);
        }
    }

    /// Makes a page in a draft as the image has it, if it has it.
    pub fn page(&self, draft: &mut Draft<'_>, id: PageId) -> Result<(), Error> {
        let Some(image) = &self.image else { return Ok(()) };
        let Some(&version) = image.pages.get(&id) else { return Ok(()) };
        Ok(load_page(draft, &image.disk, &image.record, version)?)
    }

    /// What had come in by merges.
    pub fn merged(&self) -> Merged {
        let Some(image) = &self.image else { return Merged::new() };
        image.record.branches[image.branch].came_in()
    }

    /// Makes every page of the image in a draft.
    pub fn all(&self, draft: &mut Draft<'_>) -> Result<(), Error> {
        let Some(image) = &self.image else { return Ok(()) };
        for &version in image.pages.values() {
            load_page(draft, &image.disk, &image.record, version)?;
        }
        Ok(())
    }
}

/// A state that is wanted: a branch at an epoch, and the stretches that lead there.
#[derive(Debug)]
pub(crate) struct Wanted {
    pub branch: BranchId,
    pub epoch: Epoch,
    pub stretches: Vec<Stretch>,
}

impl Wanted {
    /// The state of a branch at an epoch; `origin` says where each branch comes from.
    pub fn new(branch: BranchId, epoch: Epoch, origin: impl Fn(BranchId) -> Option<Origin>) -> Self {
        Wanted { branch, epoch, stretches: stretches(branch, epoch, origin) }
    }
}

/// Whether a checkpoint stands where this log was at its position; `last_crc` is that of the log's last frame.
pub(crate) fn belongs(log: &LogReader, last_crc: u32, head: &Head) -> Result<bool, LogError> {
    if head.position < log.start() || head.position > log.head() {
        return Ok(false);
    }
    if head.position == log.head() {
        return Ok(head.before == last_crc);
    }
    match log.frame_head(head.position) {
        Ok(next) => Ok(next.before == head.before && next.seq > head.seq),
        Err(LogError::CorruptLog { .. } | LogError::NoSuchFrame { .. }) => Ok(false),
        Err(error) => Err(error),
    }
}

/// The checkpoints that the log goes on from, oldest first: one from before its start is of no use, though an
/// interrupted pruning may have left it.
pub(crate) fn kept(store: &Store, log: &LogReader) -> Vec<Head> {
    let mut heads = store.heads();
    heads.retain(|head| head.position >= log.start());
    heads
}

/// The branch of a checkpoint that leads to a state, such that every frame on the way which it has not lies behind it.
pub(crate) fn usable(record: &Record, wanted: &Wanted) -> Option<usize> {
    if let Some((number, branch)) = record.branch(wanted.branch)
        && branch.root.as_ref().is_some_and(|root| root.epoch == wanted.epoch)
    {
        return Some(number);
    }
    for stretch in &wanted.stretches {
        let Some((number, branch)) = record.branch(stretch.branch) else { continue };
        let epoch = branch.root.as_ref()?.epoch;
        return (stretch.from <= epoch && epoch <= stretch.to).then_some(number);
    }
    None
}

/// Where to begin for a state; `None` where its history was pruned.
pub(crate) fn begin(store: &Store, log: &LogReader, wanted: &Wanted) -> Result<Option<Begin>, Error> {
    let Some(last) = wanted.stretches.first() else {
        // Nothing at all, which no frame makes.
        return Ok(Some(Begin { position: log.head(), end: log.head(), image: None }));
    };
    // A checkpoint from before the state's own frame leads to it, the newest one fastest; one from after it only where
    // the branch stood still, which matters where there are no others.
    let until = log.commit_of(last.branch, last.to)?.unwrap_or(u64::MAX);
    // The newest stretch ends last.
    let end = until.saturating_add(1);
    let heads = kept(store, log);
    let (before, after) = heads.split_at(heads.partition_point(|head| head.position <= until));
    let after = if log.start() == 0 { &[] } else { after };
    for head in before.iter().rev().chain(after) {
        let record = match store.record(head.seq) {
            Ok(record) => record,
            Err(error) if error.is_damage() => continue,
            Err(error) => return Err(error.into()),
        };
        if let Some(number) = usable(&record, wanted) {
            let pages = record.pages(number);
            let image = Image { disk: Arc::clone(store.disk()), record, branch: number, pages };
            return Ok(Some(Begin { position: head.position, end, image: Some(image) }));
        }
    }
    Ok((log.start() == 0).then(|| Begin { end, ..Begin::zero() }))
}

/// The first epoch of a branch whose state can still be had, where history was pruned; `origin` says where each branch
/// comes from.
pub(crate) fn first_epoch(
    store: &Store,
    log: &LogReader,
    branch: BranchId,
    origin: impl Fn(BranchId) -> Option<BranchId>,
) -> Epoch {
    let Some(record) = kept(store, log).first().and_then(|head| store.record(head.seq).ok()) else {
        return Epoch(0);
    };
    let mut at = Some(branch);
    while let Some(id) = at {
        if let Some((_, found)) = record.branch(id) {
            return found.root.as_ref().map_or(Epoch(0), |root| root.epoch);
        }
        at = origin(id);
    }
    Epoch(0)
}
