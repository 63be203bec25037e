//! A transaction: changes that become one epoch together, or none.
//!
//! It reads the state it started from and its own writes. The writer is held only while it commits; whoever commits a
//! cell first wins (Berenson et al., "A Critique of ANSI SQL Isolation Levels", 1995: snapshot isolation).

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use crate::base::ids::{Epoch, PageId};
use crate::bus::commit::{self, Change, Committed, Request};
use crate::bus::core::Core;
use crate::bus::error::Error;
use crate::bus::functions::{Declared, Functions};
use crate::bus::line::Line;
use crate::bus::options::{Manner, Note};
use crate::bus::private::Private;
use crate::bus::state::{PageInfo, State, read_column};
use crate::bus::stepping::Stepping;
use crate::bus::validate::{Base, Read, fits, named};
use crate::bus::view::View;
use crate::memory::addr::Addr;
use crate::memory::pinning::guard::PinGuard;
use crate::page::body::Record;
use crate::page::catalog::RootRef;
use crate::page::column::ColumnRef;
use crate::page::delta::Delta;
use crate::page::schema::{self, Schema};
use crate::page::select::Select;
use crate::page::state_error::StateError;
use crate::page::version::PageRef;

/// How many changes a delta is moved past, at most, to become one with an earlier delta of its page.
const COMPOSED: usize = 16;

/// What a transaction is protected from.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Isolation {
    /// Others' writes to the cells it writes.
    #[default]
    Snapshot,
    /// And others' writes to what it read.
    Serializable,
}

/// Changes that become one epoch together, or none.
#[derive(Debug)]
pub struct Transaction {
    pub(super) core: Arc<Core>,
    pub(super) line: Arc<Line>,
    pub(super) root: Addr,
    pin: PinGuard<Arc<Core>>,
    manner: Manner,
    note: Note,
    isolation: Isolation,
    pub(super) changes: Vec<Change<'static>>,
    /// The state with the first `applied` changes in it; made when somebody reads what was written.
    pub(super) private: Option<Private>,
    pub(super) applied: usize,
    /// How many of them what follows from others was made for.
    pub(super) followed: usize,
    /// Where somebody makes what follows page by page: how far that is.
    pub(super) stepping: Option<Box<Stepping>>,
    reads: Mutex<Vec<Read>>,
    listed: Mutex<bool>,
    /// Pages that it knows to be there with so many rows.
    looked: BTreeSet<PageId>,
    /// Whether it brings back a state that was, with all that follows in it.
    pub(super) restores: bool,
    /// Users' functions that are to make pages once it is committed.
    pub(super) declared: Vec<Declared>,
}

impl Transaction {
    pub(crate) fn begin(
        core: &Arc<Core>,
        line: &Arc<Line>,
        manner: Manner,
        isolation: Isolation,
        note: Note,
    ) -> Result<Self, Error> {
        Ok(Transaction::upon(core, line, core.pin_kept(line)?, manner, isolation, note))
    }

    /// One that starts from a root of the line, which the pin keeps.
    pub(crate) fn upon(
        core: &Arc<Core>,
        line: &Arc<Line>,
        (pin, root): (PinGuard<Arc<Core>>, Addr),
        manner: Manner,
        isolation: Isolation,
        note: Note,
    ) -> Self {
        Transaction {
            core: Arc::clone(core),
            line: Arc::clone(line),
            root,
            pin,
            manner,
            note,
            isolation,
            changes: Vec::new(),
            private: None,
            applied: 0,
            followed: 0,
            stepping: None,
            reads: Mutex::default(),
            listed: Mutex::new(false),
            looked: BTreeSet::new(),
            restores: false,
            declared: Vec::new(),
        }
    }

    /// Says that it brings back a state that was: nothing is made anew for what it changes.
    pub(crate) fn restores(&mut self) {
        self.restores = true;
    }

    /// The epoch it started from.
    pub fn base_epoch(&self) -> Epoch {
        RootRef::new(&self.core.arena, self.root).epoch()
    }

    /// The state it started from.
    pub(crate) fn base_state(&self) -> Result<State, Error> {
        Ok(State::pinned(&self.line, self.root, self.pin.again(Arc::clone(&self.core), 0)?))
    }

    /// What it has made of that so far. It must outlive the state, and change nothing more.
    pub(crate) fn own_state(&mut self) -> Result<State, Error> {
        self.catch_up()?;
        self.follow_up()?;
        let pin = self.pin.again(Arc::clone(&self.core), 0)?;
        Ok(State::pinned(&self.line, self.root().at, pin).own(&self.declared))
    }

    /// Whether it changed nothing so far.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    fn root(&self) -> RootRef<'_> {
        match &self.private {
            Some(private) => private.root(),
            None => RootRef::new(&self.core.arena, self.root),
        }
    }

    /// A page's version, whose cells can be read.
    fn page(&self, id: PageId) -> Result<PageRef<'_>, Error> {
        let page = self.found(id)?;
        self.core.ready(page)?;
        Ok(page)
    }

    /// A page's version, whose cells may be on disk still.
    pub(crate) fn found(&self, id: PageId) -> Result<PageRef<'_>, Error> {
        let at = self.root().page(id).ok_or(StateError::NoPage(id))?;
        Ok(PageRef::new(&self.core.arena, at))
    }

    /// Makes its own writes readable.
    pub(super) fn catch_up(&mut self) -> Result<(), Error> {
        match self.apply_rest() {
            Err(error) if error.code().is_shortage() => {
                self.core.reclaim_unless_busy();
                self.apply_rest()
            }
            done => done,
        }
    }

    fn apply_rest(&mut self) -> Result<(), Error> {
        if self.applied == self.changes.len() {
            return Ok(());
        }
        self.step_anew();
        let mut private = match self.private.take() {
            Some(private) => private,
            None => Private::on(&self.core, self.root)?,
        };
        let done = private.edit(|draft| {
            for change in &self.changes[self.applied..] {
                match change {
                    Change::Write(delta) => draft.write(delta)?,
                    Change::Create { page, name, schema, rows } => {
                        draft.create(*page, name, schema, *rows)?
                    }
                    Change::Drop(page) => draft.drop_page(*page)?,
                    Change::Resize(page, rows) => draft.resize(*page, *rows)?,
                    Change::Rule(page, rule) => draft.set_rule(*page, rule)?,
                    Change::Marks(page, marks) => draft.set_marks(*page, *marks)?,
                    Change::Remark(_) => {}
                }
            }
            Ok(())
        });
        if let Err(error) = done {
            // Half applied: the next reader starts over from the state it began with.
            (self.applied, self.followed) = (0, 0);
            return Err(error);
        }
        self.private = Some(private);
        self.applied = self.changes.len();
        Ok(())
    }

    /// Makes readable its own writes and, where it is about a page that follows from others, what follows from them.
    fn catch_up_for(&mut self, id: PageId) -> Result<(), Error> {
        self.catch_up()?;
        if self.found(id).is_ok_and(|page| !page.def().rule().is_empty()) { self.follow_up() } else { Ok(()) }
    }

    /// Sees to it that a page that follows from others has what follows from its own writes, its number of rows too.
    fn settle(&mut self, id: PageId) -> Result<(), Error> {
        match self.found(id) {
            Ok(page) if !page.def().rule().is_empty() => self.catch_up_for(id),
            _ => Ok(()),
        }
    }

    /// Writes cells.
    pub fn write(&mut self, delta: Delta<'_>) -> Result<(), Error> {
        let page = self.page(delta.page)?;
        self.check_own(page)?;
        fits(&self.core, page, &delta)?;
        let (core, schema) = (Arc::clone(&self.core), Arc::clone(self.core.schemas.of(page.def())));
        let operator = core.operators.get(delta.op)?;
        match self.same_page(delta.page) {
            Some(Change::Write(before)) if before.op == delta.op => {
                let parts = delta.into_owned().parts.into_iter();
                parts.for_each(|part| before.add(part, &schema, operator));
            }
            _ => self.changes.push(Change::Write(delta.into_owned())),
        }
        Ok(())
    }

    /// The newest change of a page, where what it does not do yet can still be added to it: deltas of different pages may
    /// change places.
    fn same_page(&mut self, page: PageId) -> Option<&mut Change<'static>> {
        let recent = self.changes[self.applied..].iter_mut().rev().take(COMPOSED);
        recent
            .take_while(|change| matches!(change, Change::Write(_)))
            .find(|change| matches!(change, Change::Write(delta) if delta.page == page))
    }

    /// Makes a page of zeros.
    pub fn create_page(&mut self, name: &str, schema: Schema, rows: u64) -> Result<PageId, Error> {
        self.catch_up()?;
        schema::check_name(name)?;
        schema.page_bytes(rows)?;
        if let Some(page) = self.root().find(name) {
            return Err(StateError::NameTaken { name: name.into(), page }.into());
        }
        let counter = self.line.next_counter()?;
        let page = PageId(u64::from(self.line.id.0) << 32 | u64::from(counter));
        self.push(Change::Create { page, name: name.into(), schema, rows })?;
        Ok(page)
    }

    /// Drops a page.
    pub fn drop_page(&mut self, id: PageId) -> Result<(), Error> {
        self.page(id)?;
        self.push(Change::Drop(id))
    }

    /// Gives a page another number of rows; new ones are zeros.
    pub fn resize(&mut self, id: PageId, rows: u64) -> Result<(), Error> {
        let page = self.page(id)?;
        self.check_own(page)?;
        let schema = self.core.schemas.of(page.def());
        schema.page_bytes(rows).map_err(|source| named(page, source))?;
        if page.rows() == rows {
            return Ok(());
        }
        self.push(Change::Resize(id, rows))
    }

    /// Fails where a page follows from others: its rule says what it holds.
    fn check_own(&self, page: PageRef<'_>) -> Result<(), Error> {
        if self.restores || page.def().rule().is_empty() {
            return Ok(());
        }
        Err(Error::Follows(page.def().name().into()))
    }

    /// A change of which pages there are is applied at once, so that the next one is checked against it.
    pub(crate) fn push(&mut self, change: Change<'static>) -> Result<(), Error> {
        self.changes.push(change);
        let Err(error) = self.catch_up() else { return Ok(()) };
        self.changes.pop();
        // What was changed before must show again.
        self.catch_up()?;
        Err(error)
    }

    /// Notes something for the log.
    pub(crate) fn remark(&mut self, record: Record<'static>) {
        self.changes.push(Change::Remark(record));
    }

    /// The id of the page with a name. That there is one, or none, is something read.
    pub fn find(&mut self, name: &str) -> Result<Option<PageId>, Error> {
        let found = self.root().find(name);
        *self.listed.get_mut().unwrap_or_else(PoisonError::into_inner) |= found.is_none();
        self.looked.extend(found);
        Ok(found)
    }

    /// Whether it has a page.
    pub(crate) fn has(&self, id: PageId) -> bool {
        self.root().page(id).is_some()
    }

    /// The ids of its pages, ascending.
    pub fn ids(&mut self) -> Vec<PageId> {
        *self.listed.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.root().pages().map(|at| PageRef::new(&self.core.arena, at).id()).collect()
    }

    /// What it says of a page. That the page has so many rows is something read, which no write of cells changes.
    pub fn info(&mut self, id: PageId) -> Result<PageInfo, Error> {
        self.looked.insert(id);
        let page = self.found(id)?;
        Ok(PageInfo {
            id,
            name: page.def().name().into(),
            schema: Arc::clone(self.core.schemas.of(page.def())),
            rows: page.rows(),
            version: page.version(),
        })
    }

    /// A page's rows.
    pub fn rows(&mut self, id: PageId) -> Result<u64, Error> {
        self.settle(id)?;
        Ok(self.info(id)?.rows)
    }

    /// The epoch that changed a page last, and its rows: all of the page is something read.
    pub fn version(&mut self, id: PageId) -> Result<(Epoch, u64), Error> {
        if let Some(state) = self.asked(id)? {
            return state.version(id);
        }
        self.settle(id)?;
        self.note_read(Read { page: id, cells: None });
        let page = self.found(id)?;
        Ok((page.version(), page.rows()))
    }

    /// Bytes of data it has to commit.
    pub fn bytes(&self) -> usize {
        bytes_of(&self.changes)
    }

    /// Bytes of data written since somebody last read, which the next to read waits for.
    pub fn behind(&self) -> usize {
        bytes_of(&self.changes[self.applied..])
    }

    /// One column of a page with the transaction's own writes in it, as contiguous memory that never changes.
    pub fn view(&mut self, id: PageId, column: usize) -> Result<View, Error> {
        if let Some(state) = self.asked(id)? {
            return state.view(id, column, None);
        }
        self.catch_up_for(id)?;
        self.note_read(Read { page: id, cells: None });
        let page = self.page(id)?;
        let schema = self.core.schemas.of(page.def());
        schema.column(column as u16)?;
        let part = page.column(schema, column);
        match &self.private {
            // What the transaction writes next would show through, so its own pages are copied.
            Some(private) if private.is_own(page) => View::copied(part),
            _ => {
                View::live(&self.core.arena, part, self.pin.again(Arc::clone(&self.core.arena), id.0)?, None)
            }
        }
    }

    /// Copies the selected cells of a column, with the transaction's own writes in them.
    pub fn read(&mut self, id: PageId, column: usize, select: &Select, out: &mut [u8]) -> Result<(), Error> {
        if let Some(state) = self.asked(id)? {
            return state.read(id, column, select, out);
        }
        self.catch_up_for(id)?;
        if self.isolation == Isolation::Serializable {
            self.note_read(Read { page: id, cells: Some((column as u16, select.clone())) });
        }
        let page = self.page(id)?;
        let schema = self.core.schemas.of(page.def());
        read_column(page, schema, column, select, out)
    }

    /// A page's columns.
    pub(crate) fn schema(&mut self, id: PageId) -> Result<Arc<Schema>, Error> {
        Ok(Arc::clone(self.core.schemas.of(self.found(id)?.def())))
    }

    /// A column with its own writes in it.
    pub(crate) fn column(&mut self, id: PageId, column: usize) -> Result<ColumnRef<'_>, Error> {
        self.catch_up_for(id)?;
        let schema = self.schema(id)?;
        schema.column(column as u16)?;
        Ok(self.page(id)?.column(&schema, column))
    }

    /// Notes that it decides a whole column, whatever its isolation, although it writes only some of the cells.
    pub(crate) fn claim(&mut self, page: PageId, column: usize) {
        let rows = self.found(page).map_or(0, |page| page.rows());
        let cells = Some((column as u16, Select::range(0, rows)));
        self.reads.get_mut().unwrap_or_else(PoisonError::into_inner).push(Read { page, cells });
    }

    pub(super) fn note_read(&self, read: Read) {
        if self.isolation == Isolation::Serializable {
            self.reads.lock().unwrap_or_else(PoisonError::into_inner).push(read);
        }
    }

    /// Commits; `None` where nothing was changed. On an error nothing happened, and the transaction is over.
    pub fn commit(self) -> Result<Option<Committed>, Error> {
        if self.changes.is_empty() {
            return Ok(None);
        }
        let mut reads = self.reads.into_inner().unwrap_or_else(PoisonError::into_inner);
        if self.isolation == Isolation::Serializable {
            let no_cells = Some((0, Select::range(0, 0)));
            reads.extend(self.looked.iter().map(|&page| Read { page, cells: no_cells.clone() }));
        }
        let listed = self.listed.into_inner().unwrap_or_else(PoisonError::into_inner)
            && self.isolation == Isolation::Serializable;
        // Its own memory goes before the commit needs some.
        drop(self.private);
        let root = RootRef::new(&self.core.arena, self.root);
        let base = Base { root, reads: &reads, listed, alone: self.restores };
        let request = Request {
            line: &self.line,
            changes: &self.changes,
            source: self.note.source.as_deref(),
            intent: self.note.intent.as_deref(),
            durability: self.note.durability.unwrap_or(self.manner.durability),
            busy_timeout: self.manner.busy_timeout,
            base: Some(&base),
            restores: self.restores,
            settles: None,
            declared: &self.declared,
        };
        let committed = commit::commit(&self.core, request)?;
        if !self.declared.is_empty() {
            drop(self.core.functions(Functions::replaced));
        }
        drop(self.pin);
        Ok(Some(committed))
    }
}

fn bytes_of(changes: &[Change<'_>]) -> usize {
    let of = |change: &Change<'_>| match change {
        Change::Write(delta) => delta.parts.iter().map(|part| part.data.bytes().len()).sum(),
        _ => 0,
    };
    changes.iter().map(of).sum()
}
