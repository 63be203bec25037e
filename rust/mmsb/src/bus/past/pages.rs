//! A past state: what pages there were is known at once, each page is rebuilt from the log when it is first read.
//!
//! A page that has not changed since is not rebuilt but shared with the present.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use crate::base::ids::{BranchId, Epoch, PageId};
use crate::bus::core::Core;
use crate::bus::error::{Code, Error};
use crate::bus::line::{Line, Origin};
use crate::bus::past::begin::{self, Begin, Wanted};
use crate::bus::private::Private;
use crate::bus::state::PageInfo;
use crate::memory::addr::Addr;
use crate::memory::pinning::guard::PinGuard;
use crate::page::body::{self, Record};
use crate::page::catalog::RootRef;
use crate::page::draft::Draft;
use crate::page::log::{FrameHead, Kind, LogReader};
use crate::page::merged::note_merged;
use crate::page::schema::Schema;
use crate::page::version::PageRef;

/// A stretch of a branch's epochs that a state's history runs through: after `from`, up to and with `to`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stretch {
    pub branch: BranchId,
    pub from: Epoch,
    pub to: Epoch,
}

/// The stretches that lead to an epoch of a line, newest first.
pub(crate) fn lineage(core: &Core, line: &Arc<Line>, epoch: Epoch) -> Vec<Stretch> {
    stretches(line.id, epoch, |id| core.line_of(id).and_then(|line| line.origin))
}

/// The stretches that lead to an epoch of a branch, newest first; `origin` says where each branch comes from.
pub(crate) fn stretches(
    branch: BranchId,
    epoch: Epoch,
    origin: impl Fn(BranchId) -> Option<Origin>,
) -> Vec<Stretch> {
    let mut stretches = Vec::new();
    let (mut branch, mut to) = (branch, epoch);
    loop {
        let comes_from = origin(branch);
        let from = comes_from.map_or(Epoch(0), |origin| origin.epoch);
        if to > from {
            stretches.push(Stretch { branch, from, to });
        }
        let Some(origin) = comes_from else { return stretches };
        to = to.min(origin.epoch);
        branch = origin.parent;
    }
}

/// Whether a frame made an epoch of these stretches.
pub(crate) fn leads(stretches: &[Stretch], head: &FrameHead) -> bool {
    head.kind == Kind::Commit
        && stretches.iter().any(|s| s.branch == head.branch && s.from < head.epoch && head.epoch <= s.to)
}

#[derive(Debug)]
struct PastPage {
    name: String,
    schema: Schema,
    rows: u64,
    version: Epoch,
    /// What it follows from.
    rule: Vec<u8>,
    /// The version that the present still has, or that was rebuilt.
    built: OnceLock<Addr>,
}

impl PastPage {
    fn new(name: &str, schema: Schema, rows: u64, version: Epoch, rule: &[u8]) -> Self {
        PastPage { name: name.into(), schema, rows, version, rule: rule.into(), built: OnceLock::new() }
    }
}

/// A state of the past.
#[derive(Debug)]
pub(crate) struct Past {
    pages: BTreeMap<PageId, PastPage>,
    names: HashMap<String, PageId>,
    stretches: Vec<Stretch>,
    /// The branch and the epoch, for messages.
    of: (String, Epoch),
    branch: BranchId,
    begin: Begin,
    core: Arc<Core>,
    /// What was rebuilt, each page in a draft of its own: one that cannot be rebuilt leaves nothing behind.
    rebuilt: Mutex<Vec<Private>>,
    /// Keeps what is shared with the present, where there is one.
    _pin: Option<PinGuard<Arc<Core>>>,
}

impl Past {
    /// The state that the line had at `epoch`: what the present has of it is shared with that, and kept.
    pub fn open(core: &Arc<Core>, line: &Arc<Line>, epoch: Epoch) -> Result<Arc<Self>, Error> {
        match core.pin_kept(line) {
            Ok(present) => Past::beside(core, line, epoch, Some(present)),
            // A branch that was dropped has no present.
            Err(Error::NoBranch(_)) => Past::apart(core, line, epoch),
            Err(error) => Err(error),
        }
    }

    /// The same, which keeps nothing but what is read of it.
    pub fn apart(core: &Arc<Core>, line: &Arc<Line>, epoch: Epoch) -> Result<Arc<Self>, Error> {
        Past::beside(core, line, epoch, None)
    }

    fn beside(
        core: &Arc<Core>,
        line: &Arc<Line>,
        epoch: Epoch,
        present: Option<(PinGuard<Arc<Core>>, Addr)>,
    ) -> Result<Arc<Self>, Error> {
        let (pin, root) = present.unzip();
        let root = root.map(|root| RootRef::new(&core.arena, root));
        let stretches = lineage(core, line, epoch);
        let begin = begin_of(core, line, epoch, &stretches)?;
        let mut pages = BTreeMap::new();
        begin.pages(|def, schema, told| {
            let page = PastPage::new(&def.name, schema.clone(), told.rows, told.epoch, &def.rule);
            pages.insert(def.page, page);
        });
        let mut frames = core.log.frames_at(core.log.catalog_frames(begin.position, begin.end)?);
        while let Some((head, body)) = frames.next_frame()? {
            if leads(&stretches, &head) {
                list(&mut pages, head.epoch, body)?;
            }
        }
        for (&id, page) in &mut pages {
            let Some(at) = root.and_then(|root| root.page(id)) else { continue };
            let version = PageRef::new(&core.arena, at).version();
            if version <= epoch {
                page.version = version;
                // A fresh cell: nobody has set it.
                let _ = page.built.set(at);
            }
        }
        let names = pages.iter().map(|(&id, page)| (page.name.clone(), id)).collect();
        let of = (line.name.clone(), epoch);
        let (core, rebuilt) = (Arc::clone(core), Mutex::default());
        Ok(Arc::new(Past { pages, names, stretches, of, begin, core, rebuilt, branch: line.id, _pin: pin }))
    }

    /// The bus it is of.
    pub fn core(&self) -> &Arc<Core> {
        &self.core
    }

    /// The ids of its pages, ascending.
    pub fn ids(&self) -> impl Iterator<Item = PageId> + '_ {
        self.pages.keys().copied()
    }

    /// The ids and names of its pages, by id.
    pub fn names(&self) -> Vec<(PageId, String)> {
        self.pages.iter().map(|(&id, page)| (id, page.name.clone())).collect()
    }

    /// The id of the page with a name.
    pub fn find(&self, name: &str) -> Option<PageId> {
        self.names.get(name).copied()
    }

    /// What a page follows from.
    pub fn rule(&self, id: PageId) -> Option<&[u8]> {
        self.pages.get(&id).map(|page| page.rule.as_slice())
    }

    /// What it says of a page.
    pub fn info(&self, id: PageId) -> Result<PageInfo, Error> {
        let page = self.pages.get(&id).ok_or(crate::page::state_error::StateError::NoPage(id))?;
        self.page(id)?;
        let at = page.built.get().copied().unwrap_or_default();
        let version = PageRef::new(&self.core.arena, at).version();
        Ok(PageInfo {
            id,
            name: page.name.clone(),
            schema: Arc::new(page.schema.clone()),
            rows: page.rows,
            version,
        })
    }

    /// A page's version, rebuilt now where nobody has read it yet.
    pub fn page(&self, id: PageId) -> Result<Option<Addr>, Error> {
        let Some(page) = self.pages.get(&id) else { return Ok(None) };
        if let Some(&at) = page.built.get() {
            return Ok(Some(at));
        }
        let mut rebuilt = self.rebuilt.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(&at) = page.built.get() {
            return Ok(Some(at));
        }
        let found = match self.rebuild(id) {
            Err(error) if error.code().is_shortage() => {
                // What was let go of since the last commit may be enough.
                self.core.reclaim_unless_busy();
                self.rebuild(id)
            }
            found => found,
        };
        let (private, at) = found.map_err(|error| error.of_gone(&self.core, &self.of.0, self.of.1))?;
        rebuilt.push(private);
        Ok(at.map(|at| *page.built.get_or_init(|| at)))
    }

    fn rebuild(&self, id: PageId) -> Result<(Private, Option<Addr>), Error> {
        let mut private = Private::empty(&self.core, self.branch, self.of.1)?;
        let at = private.edit(|draft| rebuild(&self.core.log, &self.begin, &self.stretches, id, draft))?;
        Ok((private, at))
    }
}

impl Error {
    /// What is to be said of history of a branch's epoch that cannot be read: after the bus was closed others may have let it go.
    pub(crate) fn of_gone(self, core: &Core, branch: &str, epoch: Epoch) -> Self {
        let lost = matches!(self.code(), Code::NotFound | Code::CorruptLog | Code::HistoryPruned);
        if !lost || !core.log.is_closed() {
            return self;
        }
        Error::Gone { branch: branch.into(), epoch, place: core.place(), source: Box::new(self) }
    }
}

/// Follows what a frame says of which pages there are.
fn list(pages: &mut BTreeMap<PageId, PastPage>, version: Epoch, body: &[u8]) -> Result<(), Error> {
    for record in body::records(body) {
        match record? {
            Record::Create { page, name, schema, rows } => {
                pages.insert(page, PastPage::new(name, schema, rows, version, &[]));
            }
            Record::Drop(page) => {
                pages.remove(&page);
            }
            Record::Resize(page, rows) => {
                if let Some(page) = pages.get_mut(&page) {
                    page.rows = rows;
                }
            }
            Record::Rule { page, rule } => {
                if let Some(page) = pages.get_mut(&page) {
                    page.rule = rule.into_owned();
                }
            }
            _ => {}
        }
    }
    Ok(())
}

/// Where to begin for a state of a line.
pub(crate) fn begin_of(
    core: &Core,
    line: &Line,
    epoch: Epoch,
    stretches: &[Stretch],
) -> Result<Begin, Error> {
    let wanted = Wanted { branch: line.id, epoch, stretches: stretches.to_vec() };
    let begin = begin::begin(&core.checkpoints, &core.log, &wanted)?;
    begin.ok_or_else(|| {
        let origin = |id| core.line_of(id).and_then(|line| line.origin).map(|origin| origin.parent);
        let first = begin::first_epoch(&core.checkpoints, &core.log, line.id, origin);
        Error::Pruned { branch: line.name.clone(), epoch, first }
    })
}

/// Makes a page in the draft what the frames of the stretches made it.
pub(crate) fn rebuild(
    log: &LogReader,
    begin: &Begin,
    stretches: &[Stretch],
    id: PageId,
    draft: &mut Draft<'_>,
) -> Result<Option<Addr>, Error> {
    begin.page(draft, id)?;
    let mut frames = log.frames_at(log.frames_of_page(id, begin.position, begin.end)?);
    while let Some((head, body)) = frames.next_frame()? {
        if leads(stretches, &head) {
            draft.set_epoch(head.epoch, head.position);
            draft.play_page(body, id)?;
        }
    }
    Ok(draft.page(id).map(|page| page.at))
}

/// Makes an empty draft what the frames of the stretches made of the branch they begin with.
pub(crate) fn rebuild_all(
    log: &LogReader,
    begin: &Begin,
    stretches: &[Stretch],
    draft: &mut Draft<'_>,
) -> Result<(), Error> {
    begin.all(draft)?;
    let mut merged = begin.merged();
    let mut frames = log.frames(begin.position, begin.end);
    while let Some((head, body)) = frames.next_frame()? {
        if leads(stretches, &head) {
            draft.set_epoch(head.epoch, head.position);
            draft.play(body, |record| {
                if let Record::Merged { branch, epoch } = record {
                    note_merged(&mut merged, *branch, *epoch, head.seq);
                }
            })?;
        }
    }
    Ok(draft.note_merged(merged)?)
}
