//! Joining what two states made of their base: page by page, cell by cell, and by the pages' operators.

use std::collections::BTreeSet;

use crate::base::ids::PageId;
use crate::bus::cells::{copy_cells, copy_page, copy_rule};
use crate::bus::diff::{ColumnDiff, Fate, PageDiff, changed_cells, changed_since, diff};
use crate::bus::error::{Clash, Error};
use crate::bus::merge::common::{Base, Unsure};
use crate::bus::merge::runs::{Runs, clip, split, tidy};
use crate::bus::merge::since::{Cells, Sides, Since};
use crate::bus::merge::three_way::OnConflict;
use crate::bus::state::{State, read_column};
use crate::bus::transaction::Transaction;
use crate::page::cover::selections;
use crate::page::delta::{Data, Delta, Part};
use crate::page::operator::OperatorId;
use crate::page::schema::{Column, Schema};
use crate::page::select::Select;
use crate::page::version::PageRef;

/// Rows that a conflict names at most.
const NAMED_ROWS: usize = 8;

/// What was settled by the policy, or by both sides having the same, and not by what one of them did.
#[derive(Debug, Default)]
pub(crate) struct Settled {
    cells: Vec<Delta<'static>>,
    pages: BTreeSet<PageId>,
}

impl Settled {
    /// Whether nothing was.
    pub fn is_empty(&self) -> bool {
        self.cells.is_empty() && self.pages.is_empty()
    }

    /// Says so in the transaction, which has its pages already.
    pub fn write(self, tx: &mut Transaction) -> Result<(), Error> {
        self.pages.into_iter().try_for_each(|page| tx.touch_page(page))?;
        self.cells.into_iter().try_for_each(|delta| tx.write(delta))
    }
}

/// What came of joining, besides what was written into the transaction.
#[derive(Debug, Default)]
pub(crate) struct Joined {
    pub clashes: Vec<Clash>,
    /// What clashes.
    pub unsure: Unsure,
    /// What still is to be written.
    pub settled: Settled,
}

/// Writes what `other` made of the base into the transaction, which has what `mine` has.
pub(crate) fn join(
    tx: &mut Transaction,
    mine: &State,
    other: &State,
    base: &Base,
    sides: Sides<'_>,
    policy: OnConflict,
    looked: &mut dyn FnMut(),
) -> Result<Joined, Error> {
    let mut found = diff(&base.state, other, looked)?;
    let mut left = base.unsure.all();
    left.retain(|id| found.iter().all(|page| page.page != *id));
    for id in left {
        let (there, here) = (other.found_if(id)?, mine.found_if(id)?);
        let Some(page) = there.or(here) else { continue };
        let fate = if there.is_some() { Fate::Changed } else { Fate::Dropped };
        let (name, rows) = (page.def().name().into(), (page.rows(), page.rows()));
        found.push(PageDiff { page: id, name, fate, rows, ruled: false, columns: Vec::new() });
    }
    let mut join = Join { tx, mine, other, base, sides, policy, joined: Joined::default() };
    let (gone, there): (Vec<_>, Vec<_>) = found.into_iter().partition(|page| page.fate == Fate::Dropped);
    // A name is free for another page when the one that had it has gone.
    for page in gone.iter().chain(&there) {
        join.page(page)?;
        looked();
    }
    Ok(join.joined)
}

struct Join<'m> {
    tx: &'m mut Transaction,
    mine: &'m State,
    other: &'m State,
    base: &'m Base,
    sides: Sides<'m>,
    policy: OnConflict,
    joined: Joined,
}

impl Join<'_> {
    fn clash(&mut self, diff: &PageDiff, rows: Vec<u64>, what: &'static str) {
        self.joined.clashes.push(Clash { page: diff.name.clone(), id: diff.page, rows, what });
    }

    fn page(&mut self, theirs: &PageDiff) -> Result<(), Error> {
        let id = theirs.page;
        let mine = self.mine.page_if(id)?;
        if self.base.unsure.pages.contains(&id) {
            return self.settle_unsure(theirs, mine);
        }
        let base = self.base.state.page_if(id)?;
        match (theirs.fate, mine) {
            (Fate::Created | Fate::Changed, None) => {
                let named = self.tx.find(&theirs.name)?;
                let free = theirs.fate == Fate::Created && named.is_none();
                let what = if named.is_some() { NAMED } else { DROPPED };
                if self.policy == OnConflict::Raise {
                    self.joined.unsure.pages.extend(named);
                }
                self.settle(theirs, free, what, |tx, other| take(tx, other, theirs))
            }
            (Fate::Dropped, None) => Ok(()),
            (Fate::Dropped, Some(mine)) => {
                let same = base.is_some_and(|base| self.is_untouched(base, mine));
                self.settle(theirs, same, DROPPED, |tx, _| tx.drop_page(id))
            }
            (Fate::Created | Fate::Changed, Some(mine)) => {
                let other = self.other.page_if(id)?;
                if is_ruled(mine) || other.is_some_and(is_ruled) {
                    return self.rule(theirs, [base, Some(mine), other]);
                }
                self.cells(theirs, base, mine)
            }
        }
    }

    /// A page that follows from others on a side: its cells do not merge, they follow from what is merged. What it follows
    /// from is what one side changed it to, or the policy says.
    fn rule(&mut self, theirs: &PageDiff, versions: [Option<PageRef<'_>>; 3]) -> Result<(), Error> {
        let [before, mine, other] = versions.map(|page| page.map(|page| page.def().rule()));
        if mine == other || before == other {
            return Ok(());
        }
        let id = theirs.page;
        self.settle(theirs, before == mine, RULED, |tx, other| {
            tx.release(id)?;
            let info = other.info(id)?;
            tx.resize(id, info.rows)?;
            for (i, column) in info.schema.columns().iter().enumerate() {
                copy_cells(tx, other, id, i as u16, &[(0, info.rows * column.cells_per_row())])?;
            }
            copy_rule(tx, other, id)
        })
    }

    /// Does what the other side did where this one did nothing or the policy says so.
    fn settle(
        &mut self,
        theirs: &PageDiff,
        free: bool,
        what: &'static str,
        take: impl FnOnce(&mut Transaction, &State) -> Result<(), Error>,
    ) -> Result<(), Error> {
        if free {
            return take(self.tx, self.other);
        }
        match self.policy {
            OnConflict::Theirs => take(self.tx, self.other)?,
            OnConflict::Ours => {}
            OnConflict::Raise => {
                self.joined.unsure.pages.insert(theirs.page);
                self.clash(theirs, Vec::new(), what);
                return Ok(());
            }
        }
        if self.tx.has(theirs.page) {
            self.joined.settled.pages.insert(theirs.page);
        }
        Ok(())
    }

    /// A page that the common states have differently: each side has settled it since.
    fn settle_unsure(&mut self, theirs: &PageDiff, mine: Option<PageRef<'_>>) -> Result<(), Error> {
        let id = theirs.page;
        match (mine, self.other.page_if(id)?) {
            (None, None) => Ok(()),
            (Some(mine), Some(other)) if is_ruled(mine) || is_ruled(other) => {
                self.rule(theirs, [None, Some(mine), Some(other)])
            }
            (Some(mine), Some(other)) => self.settle_made(theirs, mine, other),
            (None, Some(_)) => self.settle(theirs, false, DROPPED, |tx, other| take(tx, other, theirs)),
            (Some(_), None) => self.settle(theirs, false, DROPPED, |tx, _| tx.drop_page(id)),
        }
    }

    fn differs(&self, a: PageRef<'_>, b: PageRef<'_>) -> bool {
        let schema = self.mine.core().schemas.of(a.def());
        let same = |a: PageRef<'_>, b: PageRef<'_>| (a.rows(), a.def().rule()) == (b.rows(), b.def().rule());
        a.at != b.at && (!same(a, b) || !changed_cells(a, b, schema).is_empty())
    }

    /// Whether this side has a page as the base has it.
    fn is_untouched(&self, base: PageRef<'_>, mine: PageRef<'_>) -> bool {
        !self.base.unsure.has(mine.id()) && !self.differs(base, mine)
    }

    /// What a side changed, and what has no common value.
    fn changed(
        &self,
        base: PageRef<'_>,
        page: PageRef<'_>,
        schema: &Schema,
    ) -> Result<Vec<ColumnDiff>, Error> {
        let mut columns = changed_since(base, page, schema);
        for i in 0..schema.columns().len() as u16 {
            let unsure = self.unsure(page, schema.column(i)?, i);
            if unsure.is_empty() {
                continue;
            }
            match columns.iter_mut().find(|found| found.column == i) {
                Some(found) => {
                    found.runs.extend(unsure);
                    tidy(&mut found.runs);
                }
                None => columns.push(ColumnDiff { column: i, runs: unsure }),
            }
        }
        Ok(columns)
    }

    fn unsure(&self, page: PageRef<'_>, column: &Column, i: u16) -> Runs {
        clip(&self.base.unsure.of(page.id(), i), page.rows() * column.cells_per_row())
    }

    fn cells(
        &mut self,
        theirs: &PageDiff,
        base: Option<PageRef<'_>>,
        mine: PageRef<'_>,
    ) -> Result<(), Error> {
        let (id, other) = (theirs.page, self.other.stored(theirs.page)?);
        let Some(base) = base else {
            return self.settle_made(theirs, mine, other);
        };
        if other.rows() != mine.rows() && other.rows() == base.rows() {
            return self.settle_written(theirs, base, mine.rows(), other);
        }
        if other.rows() != mine.rows() {
            let free = self.is_untouched(base, mine);
            return self.settle_resized(theirs, free, other);
        }
        let schema = self.mine.schema(id)?;
        let merges = schema.operator().is_some_and(|operator| !operator.is_assign());
        let ours = self.changed(base, mine, &schema)?;
        // What the log says is looked for when it matters.
        let (mut since, mut merging) = (None, Vec::new());
        for ColumnDiff { column: i, runs } in self.changed(base, other, &schema)? {
            let ours = ours.iter().find(|c| c.column == i).map_or(&[][..], |c| &c.runs);
            let (mut both, alone) = split(&runs, ours);
            copy_cells(self.tx, self.other, id, i, &alone)?;
            if merges && !both.is_empty() {
                let since = match &mut since {
                    Some(since) => since,
                    none => none.insert(Since::read(self.mine.core(), self.sides, id, &schema)?),
                };
                let column = schema.column(i)?;
                let mut assigned = since.assigned(i, mine.rows() * column.cells_per_row());
                assigned.extend(self.unsure(mine, column, i));
                tidy(&mut assigned);
                let merged;
                (both, merged) = split(&both, &assigned);
                merging.push(read_cells(mine, &schema, i, merged)?);
            }
            self.settle_cells(theirs, &schema, [mine, other], ColumnDiff { column: i, runs: both })?;
        }
        if let Some(mut since) = since {
            since.apply(&mut merging)?;
        }
        for cells in merging {
            write_cells(self.tx, id, &schema, cells)?;
        }
        Ok(())
    }

    /// This side resized a page of which the other wrote cells.
    fn settle_written(
        &mut self,
        theirs: &PageDiff,
        base: PageRef<'_>,
        rows: u64,
        other: PageRef<'_>,
    ) -> Result<(), Error> {
        let id = theirs.page;
        let changed = self.changed(base, other, self.mine.core().schemas.of(other.def()))?;
        self.settle(theirs, false, RESIZED, |tx, from| {
            let keep = rows.min(other.rows());
            for column in &changed {
                let width = from.schema(id)?.column(column.column)?.cells_per_row();
                copy_cells(tx, from, id, column.column, &clip(&column.runs, keep * width))?;
            }
            Ok(())
        })
    }

    /// The other side resized a page, which this one may have written.
    fn settle_resized(&mut self, theirs: &PageDiff, free: bool, other: PageRef<'_>) -> Result<(), Error> {
        let (id, rows) = (theirs.page, other.rows());
        self.settle(theirs, free, RESIZED, |tx, from| {
            tx.resize(id, rows)?;
            copy_all(tx, from, id)
        })
    }

    /// Both sides have a page that has no common state.
    fn settle_made(&mut self, theirs: &PageDiff, mine: PageRef<'_>, other: PageRef<'_>) -> Result<(), Error> {
        if !self.differs(mine, other) {
            return Ok(());
        }
        self.settle_resized(theirs, false, other)
    }

    /// Settles cells of a column that both sides changed and no operator can merge.
    fn settle_cells(
        &mut self,
        theirs: &PageDiff,
        schema: &Schema,
        [mine, other]: [PageRef<'_>; 2],
        changed: ColumnDiff,
    ) -> Result<(), Error> {
        let column = schema.column(changed.column)?;
        let merges = schema.operator().is_some_and(|operator| !operator.is_assign());
        for select in selections(&changed.runs, column) {
            let read = |page| read_select(page, schema, changed.column, &select);
            let (ours, others) = (read(mine)?, read(other)?);
            let result = match self.policy {
                // Of a page that has no operator nobody asks how its cells came to be.
                _ if ours == others && !merges => continue,
                _ if ours == others => ours,
                OnConflict::Ours => ours,
                OnConflict::Theirs => others,
                OnConflict::Raise => {
                    let cells = differing(&select, column, &ours, &others);
                    self.clash(theirs, rows_of(&cells, column), "both sides wrote it");
                    self.joined.unsure.add(theirs.page, changed.column, cells);
                    continue;
                }
            };
            let part = Part { column: changed.column, select, data: Data::Dense(result.into()) };
            self.joined.settled.cells.push(Delta::single(theirs.page, OperatorId::ASSIGN, part));
        }
        Ok(())
    }
}

const NAMED: &str = "both have a page of this name";
const DROPPED: &str = "one side dropped it, the other wrote it";
const RULED: &str = "both sides had it follow from something else";
const RESIZED: &str = "one side resized it, the other wrote it";

fn is_ruled(page: PageRef<'_>) -> bool {
    !page.def().rule().is_empty()
}

/// Takes a page that the transaction has not, instead of one of its name.
fn take(tx: &mut Transaction, other: &State, page: &PageDiff) -> Result<(), Error> {
    if let Some(named) = tx.find(&page.name)? {
        tx.drop_page(named)?;
    }
    copy_page(tx, other, page.page)
}

fn read_select(page: PageRef<'_>, schema: &Schema, i: u16, select: &Select) -> Result<Vec<u8>, Error> {
    let column = schema.column(i)?;
    let mut bytes = vec![0; (select.cells(column) * column.cell_bytes()) as usize];
    read_column(page, schema, usize::from(i), select, &mut bytes)?;
    Ok(bytes)
}

/// Cells of a column as a page has them.
fn read_cells(page: PageRef<'_>, schema: &Schema, column: u16, runs: Runs) -> Result<Cells, Error> {
    let mut bytes = Vec::new();
    for select in selections(&runs, schema.column(column)?) {
        bytes.extend(read_select(page, schema, column, &select)?);
    }
    Ok(Cells::new(column, runs, bytes))
}

/// Writes cells of a column.
fn write_cells(tx: &mut Transaction, page: PageId, schema: &Schema, cells: Cells) -> Result<(), Error> {
    let column = schema.column(cells.column)?;
    let (mut bytes, mut parts) = (cells.bytes, Vec::new());
    for select in selections(&cells.runs, column) {
        let later = bytes.split_off((select.cells(column) * column.cell_bytes()) as usize);
        parts.push(Part { column: cells.column, select, data: Data::Dense(bytes.into()) });
        bytes = later;
    }
    if parts.is_empty() { Ok(()) } else { tx.write(Delta { page, op: OperatorId::ASSIGN, parts }) }
}

/// The cells of a selection that two sides have differently.
fn differing(select: &Select, column: &Column, ours: &[u8], theirs: &[u8]) -> Runs {
    let cell = column.cell_bytes() as usize;
    let mut found = Runs::new();
    select.runs(column, |run| {
        for k in 0..run.cells {
            let at = (run.source + k) as usize * cell;
            if ours[at..at + cell] != theirs[at..at + cell] {
                found.push((run.cell + k, 1));
            }
        }
    });
    tidy(&mut found);
    found
}

/// The first rows that cells are of.
fn rows_of(cells: &[(u64, u64)], column: &Column) -> Vec<u64> {
    let width = column.cells_per_row();
    let mut rows: Vec<u64> = Vec::new();
    for &(first, n) in cells {
        let fresh = rows.last().map_or(0, |last| last + 1).max(first / width);
        rows.extend((fresh..=(first + n - 1) / width).take(NAMED_ROWS - rows.len()));
    }
    rows
}

/// Writes every cell of a page as `from` has it.
fn copy_all(tx: &mut Transaction, from: &State, id: PageId) -> Result<(), Error> {
    let info = from.info(id)?;
    for (i, column) in info.schema.columns().iter().enumerate() {
        let cells = info.rows * column.cells_per_row();
        if cells > 0 {
            copy_cells(tx, from, id, i as u16, &[(0, cells)])?;
        }
    }
    Ok(())
}
