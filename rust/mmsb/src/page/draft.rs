//! A draft: the next state of a branch while it is being made, on a stage nobody sees.

use std::borrow::Cow;
use std::sync::Arc;

use crate::base::ids::{BranchId, Epoch, PageId};
use crate::base::limits::{CHUNK, MAX_RULE};
use crate::memory::addr::Addr;
use crate::memory::arena::Arena;
use crate::memory::error::MemoryError;
use crate::page::block::{head, is_null};
use crate::page::body::Record;
use crate::page::catalog::{self, RootRef, RootSlots};
use crate::page::checkpoint::lazy::Lazy;
use crate::page::column::ColumnRef;
use crate::page::compact::Compacted;
use crate::page::delta::{Data, Delta, Part, Source, Target};
use crate::page::operator::{OperatorId, Operators};
use crate::page::schema::{self, Column, Schema};
use crate::page::schemas::Schemas;
use crate::page::select::{Rows, Select};
use crate::page::stage::Stage;
use crate::page::state_error::StateError;
use crate::page::tree::TreeWriter;
use crate::page::trie;
use crate::page::version::{self, ColumnMut, PageRef};

/// What a draft needs to know beyond its stage.
#[derive(Debug, Clone, Copy)]
pub struct Tables<'a> {
    /// The schemas in use.
    pub schemas: &'a Schemas,
    /// The operators of merge deltas.
    pub operators: &'a Operators,
    /// Cells that are on disk still.
    pub lazy: &'a Lazy,
}

/// The next state of a branch while it is being made.
#[derive(Debug)]
pub struct Draft<'a> {
    pub(super) stage: Stage<'a>,
    tables: Tables<'a>,
    root: Addr,
    pub(super) slots: RootSlots,
    /// The fresh node of the directory in which the page hangs that was made fresh last; null where there is none.
    near: Addr,
}

impl<'a> Draft<'a> {
    /// A draft of `epoch`, whose frame will start at `position` of the log, that starts as the state at `base`. On an
    /// error the stage is aborted.
    pub fn new(
        mut stage: Stage<'a>,
        tables: Tables<'a>,
        base: Addr,
        epoch: Epoch,
        position: u64,
    ) -> Result<Self, StateError> {
        let root = match stage.own(base) {
            Ok(root) => root,
            Err(error) => {
                stage.abort();
                return Err(error.into());
            }
        };
        let old = RootRef::new(stage.arena(), base);
        let slots = RootSlots { epoch, position, ..RootSlots::of(old) };
        Ok(Draft { stage, tables, root, slots, near: Addr::NULL })
    }

    /// The branch it is of.
    pub fn branch(&self) -> BranchId {
        BranchId(head(self.stage.arena(), self.root).key as u32)
    }

    /// The seq that what it makes is born at.
    pub fn seq(&self) -> u64 {
        self.stage.seq()
    }

    /// Moves the draft on to another epoch: what replay does frame by frame on one stage.
    pub fn set_epoch(&mut self, epoch: Epoch, position: u64) {
        (self.slots.epoch, self.slots.position) = (epoch, position);
    }

    /// The page as the draft has it.
    pub fn page(&self, id: PageId) -> Option<PageRef<'a>> {
        let arena = self.stage.arena();
        trie::get(arena, self.slots.directory, id.0).map(|at| PageRef::new(arena, at))
    }

    /// The arena it lies in.
    #[inline]
    pub fn arena(&self) -> &'a Arena {
        self.stage.arena()
    }

    /// As [`Draft::page`], with cells that can be read.
    pub fn readable(&self, id: PageId) -> Result<PageRef<'a>, StateError> {
        let page = self.page(id).ok_or(StateError::NoPage(id))?;
        self.tables.lazy.ready(page.arena, page.at)?;
        Ok(page)
    }

    /// A page's columns.
    #[inline]
    pub fn schema(&self, page: PageRef<'_>) -> &'a Arc<Schema> {
        self.tables.schemas.of(page.def())
    }

    /// Whether the version of a page is the draft's own.
    pub fn is_own(&self, page: PageRef<'_>) -> bool {
        page.born() == self.stage.seq()
    }

    /// The state as the draft has it so far.
    pub fn root(&self) -> RootRef<'a> {
        catalog::write_root(self.stage.arena(), self.root, self.slots);
        RootRef::new(self.stage.arena(), self.root)
    }

    /// The root, and the stage to settle or abort.
    pub fn finish(self) -> (Addr, Stage<'a>) {
        self.root();
        (self.root, self.stage)
    }

    /// Forgets the draft; the vectors for the next one.
    pub fn abort(self) -> crate::page::stage::Scratch {
        self.stage.abort()
    }

    /// The next id that this branch gives out.
    pub fn new_id(&mut self) -> Result<PageId, StateError> {
        let branch = self.branch();
        self.slots.counter = self.slots.counter.checked_add(1).ok_or(StateError::IdsExhausted(branch))?;
        Ok(PageId(u64::from(branch.0) << 32 | u64::from(self.slots.counter)))
    }

    /// Makes a page of zeros.
    pub fn create(&mut self, id: PageId, name: &str, schema: &Schema, rows: u64) -> Result<(), StateError> {
        schema::check_name(name)?;
        schema.page_bytes(rows)?;
        if self.page(id).is_some() {
            return Err(StateError::IdTaken(id));
        }
        if let Some(page) = self.root().find(name) {
            return Err(StateError::NameTaken { name: name.into(), page });
        }
        self.near = Addr::NULL;
        let (stage, slots) = (&mut self.stage, &mut self.slots);
        let epoch = slots.epoch;
        let interned = self.tables.schemas.intern(stage.arena(), schema)?;
        let def = catalog::define(stage, slots.names, id, name, interned, &[])?;
        slots.names = trie::put(stage, slots.names, def)?;
        let page = version::create(stage, id, def, schema, rows, epoch)?;
        slots.directory = trie::put(stage, slots.directory, page)?;
        slots.pages += 1;
        if id.0 >> 32 == head(stage.arena(), self.root).key {
            slots.counter = slots.counter.max(id.0 as u32);
        }
        Ok(())
    }

    /// Drops a page.
    pub fn drop_page(&mut self, id: PageId) -> Result<(), StateError> {
        let page = self.page(id).ok_or(StateError::NoPage(id))?;
        self.tables.lazy.ready(page.arena, page.at)?;
        self.stage.note(id.0, Addr::default());
        self.stage.forget_leaves();
        self.near = Addr::NULL;
        let name_key = head(self.stage.arena(), page.def().at).key;
        self.slots.rules -= u64::from(!page.def().rule().is_empty());
        self.slots.names = trie::remove(&mut self.stage, self.slots.names, name_key)?;
        self.slots.directory = trie::remove(&mut self.stage, self.slots.directory, id.0)?;
        self.slots.pages -= 1;
        Ok(())
    }

    /// Says what a page follows from, and how; from nothing where the rule is empty.
    pub fn set_rule(&mut self, id: PageId, rule: &[u8]) -> Result<(), StateError> {
        if rule.len() > MAX_RULE {
            return Err(StateError::LongRule { page: id, bytes: rule.len() });
        }
        let page = self.own(id, OperatorId::ASSIGN)?.page;
        let old = page.def();
        self.slots.rules -= u64::from(!old.rule().is_empty());
        self.slots.rules += u64::from(!rule.is_empty());
        let (stage, slots) = (&mut self.stage, &mut self.slots);
        let key = head(old.arena, old.at).key;
        let new = catalog::with_rule(stage, old, rule)?;
        let named = trie::own_path(stage, &mut slots.names, key)?;
        let (slot, _) = named.ok_or(StateError::NoPage(id))?;
        trie::set_leaf(page.arena, &mut slots.names, slot, new);
        version::set_def(page.arena, page.at, new);
        if rule.is_empty() {
            version::set_marks(page.arena, page.at, 0);
        }
        // Once for the name index, once for the version.
        stage.release(old.at);
        stage.release(old.at);
        Ok(())
    }

    /// Marks a page that follows from others as being behind them, in ways that whoever runs rules tells apart by bits.
    pub fn set_marks(&mut self, id: PageId, marks: u8) -> Result<(), StateError> {
        let page = self.own(id, OperatorId::ASSIGN)?.page;
        version::set_marks(page.arena, page.at, marks);
        Ok(())
    }

    /// Gives a page another number of rows.
    pub fn resize(&mut self, id: PageId, rows: u64) -> Result<(), StateError> {
        let page = self.page(id).ok_or(StateError::NoPage(id))?;
        let schema = self.tables.schemas.of(page.def());
        schema.page_bytes(rows)?;
        if page.rows() == rows {
            return Ok(());
        }
        let arena = self.stage.arena();
        self.tables.lazy.ready(arena, page.at)?;
        let (slot, at) = self.own_slot(id)?;
        let new = version::resize(&mut self.stage, at, schema, rows, self.slots.epoch)?;
        trie::set_leaf(arena, &mut self.slots.directory, slot, new);
        self.stage.note(id.0, new);
        self.stage.forget_leaves();
        Ok(())
    }

    /// Lets `fill` write the cells of a page that the draft has just made.
    pub fn fill<E: From<StateError>>(
        &mut self,
        id: PageId,
        fill: impl FnOnce(&mut Stage<'a>, Addr) -> Result<(), E>,
    ) -> Result<(), E> {
        let page = self.page(id).filter(|page| self.is_own(*page)).ok_or(StateError::NoPage(id))?;
        fill(&mut self.stage, page.at)
    }

    /// The bytes that the draft has in the rows `start..stop` of a column, in order and in pieces as long as they lie
    /// side by side.
    pub fn rows(
        &self,
        id: PageId,
        column: u16,
        (start, stop): (u64, u64),
        visit: impl FnMut(&'a [u8]),
    ) -> Result<(), StateError> {
        let page = self.page(id).ok_or(StateError::NoPage(id))?;
        let schema = self.tables.schemas.of(page.def());
        let width = schema.column(column)?.row_bytes();
        page.column(schema, usize::from(column)).pieces(start * width, stop * width, visit);
        Ok(())
    }

    /// Puts copies in the place of the chunks of a page that the draft has changed, where it left them as they were; how
    /// many. Those that it has no use for are given back: the page is the same either way.
    pub fn adopt(&mut self, compacted: &Compacted) -> u64 {
        let arena = self.stage.arena();
        let Some(page) = self.page(compacted.page()) else {
            compacted.give_up();
            return 0;
        };
        if !self.is_own(page) {
            return 0;
        }
        let (at, schema) = (page.at, self.tables.schemas.of(page.def()));
        let mut taken = 0;
        compacted.hand_over(|moved| {
            let Ok(ColumnMut::Tree(mut writer)) =
                version::column_mut(&mut self.stage, at, schema, moved.column)
            else {
                return false;
            };
            let replaced = writer.replace(moved.index, moved.from, moved.to).unwrap_or(false);
            let root = writer.root();
            version::set_tree(arena, at, moved.column, root);
            taken += u64::from(replaced);
            replaced
        });
        taken
    }

    /// Applies a delta.
    pub fn write(&mut self, delta: &Delta<'_>) -> Result<(), StateError> {
        self.write_data(delta, delta.parts.iter().map(|part| part.data.bytes()))
    }

    /// Puts bytes in the place of those of a page's column that lie behind its version's header, from byte `offset` of its
    /// block on; where its version is from now on. The same as a delta that assigns those cells.
    #[inline]
    pub(crate) fn overwrite(
        &mut self,
        page: PageId,
        offset: usize,
        bytes: &[u8],
    ) -> Result<Addr, StateError> {
        let at = self.own_version(page)?;
        version::overwrite(self.stage.arena(), at, offset, bytes);
        Ok(at)
    }

    /// Applies a delta whose parts' data is read here and not where the delta has it: as many bytes for each.
    pub fn write_data<'d>(
        &mut self,
        delta: &Delta<'_>,
        data: impl Iterator<Item = &'d [u8]>,
    ) -> Result<(), StateError> {
        let page = self.own(delta.page, delta.op)?;
        for (part, bytes) in delta.parts.iter().zip(data) {
            let data = match part.data {
                Data::Dense(_) => Data::Dense(Cow::Borrowed(bytes)),
                Data::Fill(_) => Data::Fill(Cow::Borrowed(bytes)),
            };
            self.write_part(page, part, &data)?;
        }
        Ok(())
    }

    /// The fresh version of a page, about to be written.
    #[inline]
    pub(super) fn own(&mut self, id: PageId, op: OperatorId) -> Result<Own<'a>, StateError> {
        let page = PageRef::new(self.stage.arena(), self.own_version(id)?);
        Ok(Own { page, schema: self.tables.schemas.of(page.def()), op })
    }

    #[inline]
    fn own_version(&mut self, id: PageId) -> Result<Addr, StateError> {
        let at = match self.stage.known(id.0) {
            Some(at) => at,
            None => self.own_unknown(id)?,
        };
        version::set_version(self.stage.arena(), at, self.slots.epoch);
        Ok(at)
    }

    /// Where a page hangs in the directory, in a fresh node, and its version there.
    #[inline]
    fn own_slot(&mut self, id: PageId) -> Result<(trie::Slot, Addr), StateError> {
        let arena = self.stage.arena();
        if !is_null(self.near)
            && let Some(found) = trie::own_near(arena, self.near, id.0)
        {
            return Ok(found);
        }
        let found = trie::own_path(&mut self.stage, &mut self.slots.directory, id.0)?;
        let found = found.ok_or(StateError::NoPage(id))?;
        self.near = match found.0 {
            trie::Slot::Child(node, _) => node,
            trie::Slot::Root => Addr::NULL,
        };
        Ok(found)
    }

    fn own_unknown(&mut self, id: PageId) -> Result<Addr, StateError> {
        let arena = self.stage.arena();
        let (slot, old) = self.own_slot(id)?;
        self.tables.lazy.ready(arena, old)?;
        let page = self.stage.own(old)?;
        if page != old {
            trie::set_leaf(arena, &mut self.slots.directory, slot, page);
        }
        self.stage.note(id.0, page);
        Ok(page)
    }

    pub(super) fn write_part(
        &mut self,
        own: Own<'a>,
        part: &Part<'_>,
        data: &Data<'_>,
    ) -> Result<(), StateError> {
        let Own { page: PageRef { arena, at: page }, schema, op } = own;
        let i = usize::from(part.column);
        let column = schema.column(part.column)?;
        part.check(column, own.page.rows())?;
        let operator = self.tables.operators.on(op, column.dtype())?;
        match version::column_mut(&mut self.stage, page, schema, i)? {
            ColumnMut::Whole(bytes) => {
                part.apply_data(data, column, operator, bytes);
            }
            ColumnMut::Tree(mut writer) => {
                if op.is_assign() {
                    cover(&mut writer, part, column)?;
                }
                let mut target = Chunked::new(writer);
                part.apply_data(data, column, operator, &mut target);
                if let Some(error) = target.error {
                    return Err(error.into());
                }
                let root = target.writer.root();
                version::set_tree(arena, page, i, root);
            }
        }
        Ok(())
    }

    /// Does what a record of a frame says to pages; what it says of branches is not a draft's business.
    pub fn apply(&mut self, record: &Record<'_>) -> Result<(), StateError> {
        match record {
            Record::Delta(delta) => self.write(delta),
            Record::Create { page, name, schema, rows } => self.create(*page, name, schema, *rows),
            Record::Drop(page) => self.drop_page(*page),
            Record::Resize(page, rows) => self.resize(*page, *rows),
            Record::Rule { page, rule } => self.set_rule(*page, rule),
            Record::Marks(page, marks) => self.set_marks(*page, *marks),
            _ => Ok(()),
        }
    }
}

/// A fresh version that is being written, and by which operator.
#[derive(Debug, Clone, Copy)]
pub(super) struct Own<'a> {
    pub page: PageRef<'a>,
    pub schema: &'a Schema,
    pub op: OperatorId,
}

/// Spares copying the chunks that a plain range assigns whole.
fn cover(writer: &mut TreeWriter<'_, '_>, part: &Part<'_>, column: &Column) -> Result<(), MemoryError> {
    let Select::Rows { rows: Rows::Range { start, stop, step: 1 }, inner: None } = &part.select else {
        return Ok(());
    };
    let width = column.row_bytes();
    let first = (start * width).div_ceil(CHUNK as u64);
    let end = stop * width / CHUNK as u64;
    if first < end {
        writer.cover(first, end)?;
    }
    Ok(())
}

impl Source for ColumnRef<'_> {
    fn piece(&self, byte: u64) -> &[u8] {
        ColumnRef::piece(self, byte)
    }

    fn around(&self, byte: u64) -> (u64, &[u8]) {
        let start = if self.is_tree() { byte - byte % CHUNK as u64 } else { 0 };
        (start, ColumnRef::piece(self, start))
    }
}

/// A column in chunks. An error is kept until the delta is through; what is written meanwhile goes nowhere.
struct Chunked<'s, 'a> {
    writer: TreeWriter<'s, 'a>,
    /// The chunk last written, and which one it is.
    chunk: &'s mut [u8],
    index: u64,
    error: Option<MemoryError>,
    spill: Vec<u8>,
}

impl<'s, 'a> Chunked<'s, 'a> {
    fn new(writer: TreeWriter<'s, 'a>) -> Self {
        Chunked { writer, chunk: &mut [], index: u64::MAX, error: None, spill: Vec::new() }
    }

    /// Goes to the chunk at `index`.
    fn enter(&mut self, index: u64) -> bool {
        if self.error.is_none() {
            match self.writer.chunk(index) {
                Ok(chunk) => (self.chunk, self.index) = (chunk, index),
                Err(error) => self.error = Some(error),
            }
        }
        self.error.is_none()
    }
}

impl Target for Chunked<'_, '_> {
    #[inline]
    fn piece(&mut self, byte: u64) -> &mut [u8] {
        let (index, at) = (byte / CHUNK as u64, (byte % CHUNK as u64) as usize);
        if index == self.index || self.enter(index) {
            return &mut self.chunk[at..];
        }
        self.spill.resize(CHUNK, 0);
        &mut self.spill[at..]
    }

    fn around(&mut self, byte: u64) -> (u64, &mut [u8]) {
        let start = byte - byte % CHUNK as u64;
        (start, self.piece(start))
    }
}
