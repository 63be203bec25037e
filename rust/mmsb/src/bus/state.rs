//! A state: all pages of a branch at one epoch, unchanging for as long as it is held.

use std::sync::Arc;

use crate::base::ids::{BranchId, Epoch, PageId};
use crate::bus::core::Core;
use crate::bus::error::Error;
use crate::bus::functions::Declared;
use crate::bus::line::Line;
use crate::bus::on_read::{Reads, is_lazy};
use crate::bus::past::pages::Past;
use crate::bus::upkeep::background::Background;
use crate::bus::view::View;
use crate::memory::addr::Addr;
use crate::memory::pinning::guard::PinGuard;
use crate::page::catalog::RootRef;
use crate::page::column::ColumnRef;
use crate::page::delta;
use crate::page::digest::{Digest, Tally};
use crate::page::schema::Schema;
use crate::page::select::Select;
use crate::page::state_error::StateError;
use crate::page::version::PageRef;

/// What a state says of a page.
#[derive(Debug, Clone)]
pub struct PageInfo {
    /// Its id.
    pub id: PageId,
    /// Its name.
    pub name: String,
    /// Its columns.
    pub schema: Arc<Schema>,
    /// Its rows.
    pub rows: u64,
    /// The epoch that changed it last.
    pub version: Epoch,
}

/// All pages of a branch at one epoch, unchanging for as long as it is held.
#[derive(Debug)]
pub struct State {
    line: Arc<Line>,
    epoch: Epoch,
    kind: Kind,
    reads: Reads,
    /// Where it is what a transaction has made of a state: the functions that the transaction declares.
    own: Option<Vec<Declared>>,
}

#[derive(Debug)]
enum Kind {
    /// What is published, or was when the state was taken.
    Live { root: Addr, pin: PinGuard<Arc<Core>> },
    /// Rebuilt from history, page by page as they are read.
    Past(Arc<Past>),
}

impl State {
    /// The published state of a line.
    pub(crate) fn live(core: &Arc<Core>, line: &Arc<Line>) -> Result<Self, Error> {
        let (pin, root) = core.pin_kept(line)?;
        Ok(State::pinned(line, root, pin))
    }

    /// The state at a root that the pin keeps.
    pub(crate) fn pinned(line: &Arc<Line>, root: Addr, pin: PinGuard<Arc<Core>>) -> Self {
        let epoch = RootRef::new(&pin.keeper().arena, root).epoch();
        State {
            line: Arc::clone(line),
            epoch,
            kind: Kind::Live { root, pin },
            reads: Reads::default(),
            own: None,
        }
    }

    /// A state of a line's past.
    pub(crate) fn past(line: &Arc<Line>, epoch: Epoch, past: Arc<Past>) -> Self {
        State { line: Arc::clone(line), epoch, kind: Kind::Past(past), reads: Reads::default(), own: None }
    }

    /// The same, as what a transaction has made of a state: what is made of it is nobody else's.
    pub(crate) fn own(mut self, declared: &[Declared]) -> Self {
        self.own = Some(declared.to_vec());
        self
    }

    /// Where it is what a transaction has made of a state: the functions that the transaction declares.
    pub(super) fn declared(&self) -> Option<&[Declared]> {
        self.own.as_deref()
    }

    pub(super) fn reads(&self) -> &Reads {
        &self.reads
    }

    /// The id of its branch.
    pub(crate) fn branch_id(&self) -> BranchId {
        self.line.id
    }

    /// Its epoch.
    pub fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// Its branch's name.
    pub fn branch(&self) -> &str {
        &self.line.name
    }

    /// The root, where the state is a published one.
    pub(crate) fn root(&self) -> Option<RootRef<'_>> {
        match &self.kind {
            Kind::Live { root, .. } => Some(RootRef::new(&self.core().arena, *root)),
            Kind::Past(_) => None,
        }
    }

    /// A page's version, whose cells can be read: made now, where it is made when somebody reads it.
    pub(crate) fn page(&self, id: PageId) -> Result<PageRef<'_>, Error> {
        let page = self.stored(id)?;
        if is_lazy(page) { self.made_page(id) } else { Ok(page) }
    }

    /// A page's version as the state has it, whose cells can be read.
    pub(crate) fn stored(&self, id: PageId) -> Result<PageRef<'_>, Error> {
        let page = self.found(id)?;
        self.core().ready(page)?;
        Ok(page)
    }

    /// A page's version, whose cells may be on disk still.
    fn found(&self, id: PageId) -> Result<PageRef<'_>, Error> {
        let at = match &self.kind {
            Kind::Live { root, .. } => RootRef::new(&self.core().arena, *root).page(id),
            Kind::Past(past) => past.page(id)?,
        };
        let at = at.ok_or(StateError::NoPage(id))?;
        Ok(PageRef::new(&self.core().arena, at))
    }

    /// A page's version, if the state has the page; its cells may be on disk still.
    pub(crate) fn found_if(&self, id: PageId) -> Result<Option<PageRef<'_>>, Error> {
        match self.found(id) {
            Ok(page) => Ok(Some(page)),
            Err(Error::State(StateError::NoPage(_))) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// A page's version, whose cells can be read, if the state has the page.
    pub(crate) fn page_if(&self, id: PageId) -> Result<Option<PageRef<'_>>, Error> {
        let page = self.found_if(id)?;
        page.map(|page| self.core().ready(page).map(|()| page)).transpose()
    }

    /// The id of the page with a name.
    pub fn find(&self, name: &str) -> Option<PageId> {
        match &self.kind {
            Kind::Live { root, .. } => RootRef::new(&self.core().arena, *root).find(name),
            Kind::Past(past) => past.find(name),
        }
    }

    /// How many pages it has.
    pub fn len(&self) -> u64 {
        match &self.kind {
            Kind::Live { root, .. } => RootRef::new(&self.core().arena, *root).len(),
            Kind::Past(past) => past.ids().count() as u64,
        }
    }

    /// Whether it has no page.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The ids of its pages, ascending.
    pub fn ids(&self) -> Vec<PageId> {
        match &self.kind {
            Kind::Live { root, .. } => {
                let arena = &self.core().arena;
                RootRef::new(arena, *root).pages().map(|at| PageRef::new(arena, at).id()).collect()
            }
            Kind::Past(past) => past.ids().collect(),
        }
    }

    /// What it says of a page.
    pub fn info(&self, id: PageId) -> Result<PageInfo, Error> {
        if let Kind::Past(past) = &self.kind {
            return past.info(id);
        }
        let page = self.found(id)?;
        Ok(PageInfo {
            id,
            name: page.def().name().into(),
            schema: Arc::clone(self.core().schemas.of(page.def())),
            rows: page.rows(),
            version: page.version(),
        })
    }

    /// What a page follows from, and how; empty where from nothing.
    pub fn rule(&self, id: PageId) -> Result<Vec<u8>, Error> {
        match &self.kind {
            Kind::Live { .. } => Ok(self.found(id)?.def().rule().to_vec()),
            Kind::Past(past) => Ok(past.rule(id).ok_or(StateError::NoPage(id))?.to_vec()),
        }
    }

    /// The marks that a page has.
    pub(crate) fn marks(&self, id: PageId) -> Result<u8, Error> {
        Ok(self.found(id)?.marks())
    }

    /// The epoch that changed a page last, and its rows: what must be the same for its arrays to be.
    pub fn version(&self, id: PageId) -> Result<(Epoch, u64), Error> {
        let page = self.found(id)?;
        let version = if is_lazy(page) { self.made_version(id)? } else { page.version() };
        Ok((version, page.rows()))
    }

    /// The ids and names of its pages, by id.
    pub fn names(&self) -> Vec<(PageId, String)> {
        match &self.kind {
            Kind::Live { root, .. } => {
                let arena = &self.core().arena;
                let pages = RootRef::new(arena, *root).pages().map(|at| PageRef::new(arena, at));
                pages.map(|page| (page.id(), page.def().name().into())).collect()
            }
            Kind::Past(past) => past.names(),
        }
    }

    /// Whether a page's cells are in memory, so that looking at them neither rebuilds the page nor reads it in.
    pub fn is_at_hand(&self, id: PageId) -> bool {
        match &self.kind {
            Kind::Live { .. } => self.found(id).is_ok_and(|page| page.is_read() && !is_lazy(page)),
            Kind::Past(_) => false,
        }
    }

    /// A page's columns.
    pub fn schema(&self, id: PageId) -> Result<Arc<Schema>, Error> {
        Ok(Arc::clone(self.core().schemas.of(self.found(id)?.def())))
    }

    /// One column of a page as contiguous memory that never changes. `reuse` is an earlier view of the same column that
    /// nobody else can see any more: where only few chunks changed since, its mapping is used again.
    pub fn view(&self, id: PageId, column: usize, reuse: Option<View>) -> Result<View, Error> {
        let (page, part) = self.part(id, column)?;
        if is_lazy(page) {
            return View::on_read(part, self.made(id)?);
        }
        match &self.kind {
            Kind::Live { pin, root } => {
                let view = View::live(
                    &self.core().arena,
                    part,
                    pin.again(Arc::clone(&self.core().arena), id.0)?,
                    reuse,
                )?;
                compact_if_scattered(self.core(), &self.line, (*root, page), &view);
                Ok(view)
            }
            Kind::Past(past) => View::past(part, Arc::clone(past)),
        }
    }

    /// As [`State::view`], with what the state holds: one pin less than to take a view and let the state go.
    pub fn into_view(self, id: PageId, column: usize, reuse: Option<View>) -> Result<View, Error> {
        if is_lazy(self.found(id)?) {
            return self.view(id, column, reuse);
        }
        let at = self.page(id)?.at;
        match self.kind {
            Kind::Live { root, mut pin } => {
                pin.narrow(id.0);
                let kept = pin.hand_over(Arc::clone(&pin.keeper().arena));
                let core = pin.keeper();
                let page = PageRef::new(&core.arena, at);
                let view = View::live(&core.arena, part_of(core, page, column)?, kept, reuse)?;
                compact_if_scattered(core, &self.line, (root, page), &view);
                Ok(view)
            }
            Kind::Past(past) => {
                let core = Arc::clone(past.core());
                View::past(part_of(&core, PageRef::new(&core.arena, at), column)?, past)
            }
        }
    }

    /// A page's version whose cells can be read, and a column of it.
    fn part(&self, id: PageId, column: usize) -> Result<(PageRef<'_>, ColumnRef<'_>), Error> {
        let page = self.page(id)?;
        Ok((page, part_of(self.core(), page, column)?))
    }

    /// Copies the selected cells of a column, in the selection's order.
    ///
    /// # Panics
    /// When `out` is not as long as the selection has bytes.
    pub fn read(&self, id: PageId, column: usize, select: &Select, out: &mut [u8]) -> Result<(), Error> {
        let page = self.page(id)?;
        let schema = self.core().schemas.of(page.def());
        read_column(page, schema, column, select, out)
    }

    /// As [`State::read`], of what the state has.
    pub(crate) fn read_stored(
        &self,
        id: PageId,
        column: usize,
        select: &Select,
        out: &mut [u8],
    ) -> Result<(), Error> {
        let page = self.stored(id)?;
        read_column(page, self.core().schemas.of(page.def()), column, select, out)
    }

    /// The digest of the state.
    pub fn digest(&self) -> Result<Digest, Error> {
        self.digest_with(&mut |_| {})
    }

    /// The digest of the state. `progress` is told the bytes of cells hashed so far: those of which it was not known.
    pub fn digest_with(&self, progress: &mut dyn FnMut(u64)) -> Result<Digest, Error> {
        let Core { digests, schemas, .. } = &**self.core();
        let mut tally = Tally::new(progress);
        if let Some(root) = self.root() {
            return digests.state(root, schemas, &mut |page| self.core().ready(page), &mut tally);
        }
        let pages = self.ids().into_iter().map(|id| self.stored(id)).collect::<Result<Vec<_>, _>>()?;
        Ok(digests.pages(pages.into_iter(), schemas, &mut tally))
    }

    pub(crate) fn core(&self) -> &Arc<Core> {
        match &self.kind {
            Kind::Live { pin, .. } => pin.keeper(),
            Kind::Past(past) => past.core(),
        }
    }
}

fn part_of<'c>(core: &'c Core, page: PageRef<'c>, column: usize) -> Result<ColumnRef<'c>, Error> {
    let schema = core.schemas.of(page.def());
    schema.column(column as u16)?;
    Ok(page.column(schema, column))
}

/// Has the background put a page's pieces together where a view of it is dear; an older state stays as it is.
fn compact_if_scattered(core: &Arc<Core>, line: &Line, (root, page): (Addr, PageRef<'_>), view: &View) {
    if let Some(pieces) = view.scattered()
        && line.head() == Some(root)
    {
        Background::compact(core, (line.id, page.id()), page.version(), pieces);
    }
}

/// Copies the selected cells of a column of a page version.
pub(crate) fn read_column(
    page: PageRef<'_>,
    schema: &Schema,
    i: usize,
    select: &Select,
    out: &mut [u8],
) -> Result<(), Error> {
    let column = schema.column(i as u16)?;
    select.check(column, page.rows())?;
    delta::read(select, column, &page.column(schema, i), out);
    Ok(())
}
