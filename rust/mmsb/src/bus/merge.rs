//! Three-way merge of a branch into another, by cells and by the pages' operators; and bringing back a past state.

use std::sync::Arc;

use crate::base::ids::{Epoch, PageId};
use crate::bus::ancestry::{base, known};
use crate::bus::assigned::{Assigned, Sides};
use crate::bus::cells::{copy_cells, copy_page, selections};
use crate::bus::commit::Committed;
use crate::bus::core::Core;
use crate::bus::diff::{ColumnDiff, Fate, PageDiff, Runs, changed_cells, changed_since, diff};
use crate::bus::error::{Clash, Error};
use crate::bus::line::Line;
use crate::bus::options::{Manner, Note};
use crate::bus::past::Past;
use crate::bus::state::{State, read_column};
use crate::bus::transaction::{Isolation, Transaction};
use crate::page::body::Record;
use crate::page::delta::{Data, Delta, Part};
use crate::page::operator::OperatorId;
use crate::page::schema::Schema;
use crate::page::version::PageRef;

/// What a merge does with a cell that both sides changed, differently, and with a page that one side dropped or resized
/// and the other wrote. Where both made a page of one name, one of the two is left out: two pages cannot have it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum OnConflict {
    /// Refuses the merge, naming pages and rows.
    #[default]
    Raise,
    /// Keeps what the branch merged into has.
    Ours,
    /// Takes what the merged branch has.
    Theirs,
}

/// How often a merge that lost a race starts over.
const ATTEMPTS: usize = 16;
/// Rows that a conflict names at most.
const NAMED_ROWS: usize = 8;

/// Merges what `theirs` changed since the two last agreed into `ours`; `None` where there was nothing to take.
pub(crate) fn merge(
    core: &Arc<Core>,
    [ours, theirs]: [&Arc<Line>; 2],
    manner: Manner,
    policy: OnConflict,
    note: &Note,
) -> Result<Option<Committed>, Error> {
    let mut attempt = 0;
    loop {
        attempt += 1;
        match merge_once(core, [ours, theirs], manner, policy, note) {
            // Somebody committed to `ours` between our look at it and our commit: look again.
            Err(Error::Conflict(_)) if policy != OnConflict::Raise && attempt < ATTEMPTS => {}
            done => return done,
        }
    }
}

fn merge_once(
    core: &Arc<Core>,
    [ours, theirs]: [&Arc<Line>; 2],
    manner: Manner,
    policy: OnConflict,
    note: &Note,
) -> Result<Option<Committed>, Error> {
    if Arc::ptr_eq(ours, theirs) {
        return Ok(None);
    }
    let mut tx = Transaction::begin(core, ours, manner, Isolation::Snapshot, note.clone())?;
    // What is known first, so that it is never ahead of the states it is said of.
    // One lock at a time: the other side may be merging this one.
    let our_known = ours.merged().clone();
    let their_known = theirs.merged().clone();
    let mine = tx.base_state()?;
    let other = State::live(core, theirs)?;
    let our_known = known(core, ours, &our_known, mine.epoch());
    let their_known = known(core, theirs, &their_known, other.epoch());
    let base = base(core, ours, &our_known, &their_known)?;
    let sides = Sides { ours: &our_known, theirs: &their_known };
    let mut merge =
        Merge { tx: &mut tx, mine: &mine, other: &other, base: &base, sides, policy, clashes: Vec::new() };
    let (gone, there): (Vec<_>, Vec<_>) =
        diff(&base, &other)?.into_iter().partition(|page| page.fate == Fate::Dropped);
    // A name is free for another page when the one that had it has gone.
    for page in gone.iter().chain(&there) {
        merge.page(page)?;
    }
    if !merge.clashes.is_empty() {
        return Err(Error::Conflict(merge.clashes));
    }
    if tx.is_empty() {
        return Ok(None);
    }
    let news = || {
        their_known.iter().filter(|(branch, epoch)| our_known.get(branch).is_none_or(|known| known < *epoch))
    };
    news().for_each(|(&branch, &epoch)| tx.remark(Record::Merged { branch, epoch }));
    tx.commit()
}

/// The state of a line at an epoch it has.
pub(crate) fn state_at(core: &Arc<Core>, line: &Arc<Line>, epoch: Epoch) -> Result<State, Error> {
    match State::live(core, line) {
        Ok(live) if live.epoch() == epoch => return Ok(live),
        Ok(_) | Err(Error::NoBranch(_)) => {}
        Err(error) => return Err(error),
    }
    let past = Past::open(core, line, epoch)?;
    Ok(State::past(core, line, epoch, past))
}

struct Merge<'m> {
    tx: &'m mut Transaction,
    mine: &'m State,
    other: &'m State,
    base: &'m State,
    sides: Sides<'m>,
    policy: OnConflict,
    clashes: Vec<Clash>,
}

impl Merge<'_> {
    fn clash(&mut self, diff: &PageDiff, rows: Vec<u64>, what: &'static str) {
        self.clashes.push(Clash { page: diff.name.clone(), id: diff.page, rows, what });
    }

    fn page(&mut self, theirs: &PageDiff) -> Result<(), Error> {
        let id = theirs.page;
        let mine = self.mine.page_if(id)?;
        let base = self.base.page_if(id)?;
        let other = self.other;
        let take = |tx: &mut Transaction| {
            if let Some(named) = tx.find(&theirs.name)? {
                tx.drop_page(named)?;
            }
            copy_page(tx, other, id)
        };
        match (theirs.fate, mine) {
            (Fate::Created, None) => {
                let free = self.tx.find(&theirs.name)?.is_none();
                self.settle(theirs, free, "both have a page of this name", take)
            }
            (Fate::Dropped, None) => Ok(()),
            (Fate::Dropped, Some(mine)) => {
                let same = base.is_some_and(|base| !self.differs(base, mine));
                self.settle(theirs, same, "one side dropped it, the other wrote it", |tx| tx.drop_page(id))
            }
            (Fate::Changed, None) => {
                self.settle(theirs, false, "one side dropped it, the other wrote it", take)
            }
            (Fate::Created | Fate::Changed, Some(mine)) => self.cells(theirs, base, mine),
        }
    }

    /// Does what the other side did where this one did nothing or the policy says so.
    fn settle(
        &mut self,
        theirs: &PageDiff,
        free: bool,
        what: &'static str,
        take: impl FnOnce(&mut Transaction) -> Result<(), Error>,
    ) -> Result<(), Error> {
        match self.policy {
            _ if free => take(self.tx),
            OnConflict::Theirs => take(self.tx),
            OnConflict::Ours => Ok(()),
            OnConflict::Raise => {
                self.clash(theirs, Vec::new(), what);
                Ok(())
            }
        }
    }

    fn differs(&self, a: PageRef<'_>, b: PageRef<'_>) -> bool {
        let schema = self.mine.core().catalog.schema(a.def());
        a.at != b.at && (a.rows() != b.rows() || !changed_cells(a, b, &schema).is_empty())
    }

    fn cells(
        &mut self,
        theirs: &PageDiff,
        base: Option<PageRef<'_>>,
        mine: PageRef<'_>,
    ) -> Result<(), Error> {
        let other = self.other.page(theirs.page)?;
        let Some(base) = base else {
            return self.settle_made(theirs, mine, other);
        };
        if other.rows() != mine.rows() && other.rows() == base.rows() {
            return self.settle_written(theirs, mine.rows(), other);
        }
        if other.rows() != mine.rows() {
            let free = !self.differs(base, mine);
            return self.settle_resized(theirs, free, other);
        }
        let schema = self.mine.schema(theirs.page)?;
        let ours = changed_since(base, mine, &schema);
        // What only merges by the page's operator changed is looked for when it matters.
        let mut assigned = None;
        for ColumnDiff { column, runs } in changed_since(base, other, &schema) {
            let ours = ours.iter().find(|c| c.column == column).map_or(&[][..], |c| &c.runs);
            let (both, alone) = split(&runs, ours);
            copy_cells(self.tx, self.other, theirs.page, column, &alone)?;
            let (mut plain, mut merged) = (both, Vec::new());
            if !plain.is_empty() && schema.operator().is_some_and(|op| !op.is_assign()) {
                if assigned.is_none() {
                    assigned = Some(Assigned::since(self.mine.core(), &self.sides, theirs.page, &schema)?);
                }
                let cells = mine.rows() * schema.column(column)?.cells_per_row();
                let assigned =
                    assigned.iter().flat_map(|assigned| assigned.of(column, cells)).collect::<Runs>();
                (plain, merged) = split(&plain, &assigned);
            }
            let pages = [base, mine, other];
            self.column(theirs, &schema, pages, ColumnDiff { column, runs: plain }, OperatorId::ASSIGN)?;
            let operator = schema.operator().unwrap_or(OperatorId::ASSIGN);
            self.column(theirs, &schema, pages, ColumnDiff { column, runs: merged }, operator)?;
        }
        Ok(())
    }

    /// This side resized a page of which the other wrote cells.
    fn settle_written(&mut self, theirs: &PageDiff, rows: u64, other: PageRef<'_>) -> Result<(), Error> {
        let (from, id) = (self.other, theirs.page);
        self.settle(theirs, false, "one side resized it, the other wrote it", |tx| {
            let keep = rows.min(other.rows());
            for column in &theirs.columns {
                let width = from.schema(id)?.column(column.column)?.cells_per_row();
                copy_cells(tx, from, id, column.column, &clip(&column.runs, keep * width))?;
            }
            Ok(())
        })
    }

    /// The other side resized a page, which this one may have written.
    fn settle_resized(&mut self, theirs: &PageDiff, free: bool, other: PageRef<'_>) -> Result<(), Error> {
        let (from, id) = (self.other, theirs.page);
        let rows = other.rows();
        self.settle(theirs, free, "one side resized it, the other wrote it", |tx| {
            tx.resize(id, rows)?;
            copy_all(tx, from, id)
        })
    }

    /// Both sides have a page that the base has not.
    fn settle_made(&mut self, theirs: &PageDiff, mine: PageRef<'_>, other: PageRef<'_>) -> Result<(), Error> {
        let same = !self.differs(mine, other);
        self.settle_resized(theirs, same, other)
    }

    /// Settles the cells of a column that both sides changed, by this operator where it can.
    fn column(
        &mut self,
        theirs: &PageDiff,
        schema: &Schema,
        [base, mine, other]: [PageRef<'_>; 3],
        changed: ColumnDiff,
        operator: OperatorId,
    ) -> Result<(), Error> {
        let column = schema.column(changed.column)?;
        let (both, added) = cut(&changed.runs, base.rows() * column.cells_per_row());
        let i = usize::from(changed.column);
        let cell = column.cell_bytes() as usize;
        for select in selections(&both, column).into_iter().chain(selections(&added, column)) {
            let length = select.cells(column) as usize * cell;
            let get = |page: PageRef<'_>| {
                let mut bytes = vec![0; length];
                read_column(page, schema, i, &select, &mut bytes).map(|()| bytes)
            };
            let (ours, theirs_bytes) = (get(mine)?, get(other)?);
            // Cells that the base does not have yet were zeros; a selection has none of those, or only those.
            let added = select.bounds(column).is_some_and(|bounds| bounds.1 >= base.rows());
            let base_bytes = if added { vec![0; length] } else { get(base)? };
            let mut result = ours.clone();
            let merged = !operator.is_assign()
                && crate::algebra::three_way::inverse_merge(
                    operator,
                    column.dtype(),
                    &mut result,
                    &theirs_bytes,
                    &base_bytes,
                )
                .is_ok();
            if !merged {
                if ours == theirs_bytes {
                    continue;
                }
                match self.policy {
                    OnConflict::Ours => continue,
                    OnConflict::Theirs => result = theirs_bytes,
                    OnConflict::Raise => {
                        let rows = clashing_rows(&select, column, &ours, &theirs_bytes);
                        self.clash(theirs, rows, "both sides wrote it");
                        continue;
                    }
                }
            }
            let part = Part { column: changed.column, select, data: Data::Dense(result.into()) };
            self.tx.write(Delta::single(theirs.page, OperatorId::ASSIGN, part))?;
        }
        Ok(())
    }
}

fn clashing_rows(
    select: &crate::page::select::Select,
    column: &crate::page::schema::Column,
    ours: &[u8],
    theirs: &[u8],
) -> Vec<u64> {
    let cell = column.cell_bytes() as usize;
    let mut rows = Vec::new();
    select.runs(column, |run| {
        for k in 0..run.cells {
            let at = (run.source + k) as usize * cell;
            let row = (run.cell + k) / column.cells_per_row();
            if ours[at..at + cell] != theirs[at..at + cell]
                && rows.last() != Some(&row)
                && rows.len() < NAMED_ROWS
            {
                rows.push(row);
            }
        }
    });
    rows
}

/// The part of the runs before a cell.
fn clip(runs: &[(u64, u64)], end: u64) -> Vec<(u64, u64)> {
    runs.iter().filter(|run| run.0 < end).map(|&(first, n)| (first, n.min(end - first))).collect()
}

/// The parts of the runs before a cell, and from it on.
fn cut(runs: &[(u64, u64)], at: u64) -> (Runs, Runs) {
    let behind = runs.iter().filter(|run| run.0 + run.1 > at);
    (clip(runs, at), behind.map(|&(first, n)| (first.max(at), first + n - first.max(at))).collect())
}

/// The parts of `theirs` that `ours` has too, and those it has not. Both ascending.
fn split(theirs: &[(u64, u64)], ours: &[(u64, u64)]) -> (Runs, Runs) {
    let (mut both, mut alone) = (Vec::new(), Vec::new());
    let mut k = 0;
    for &(first, n) in theirs {
        let (mut at, end) = (first, first + n);
        while at < end {
            while k < ours.len() && ours[k].0 + ours[k].1 <= at {
                k += 1;
            }
            let Some(&(from, count)) = ours.get(k).filter(|run| run.0 < end) else {
                alone.push((at, end - at));
                break;
            };
            if from > at {
                alone.push((at, from - at));
                at = from;
            }
            let until = end.min(from + count);
            both.push((at, until - at));
            at = until;
        }
    }
    (both, alone)
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

/// Makes the line what it was at an epoch, as a new epoch; `None` where it is that already.
pub(crate) fn revert(
    core: &Arc<Core>,
    line: &Arc<Line>,
    manner: Manner,
    to: Epoch,
    note: &Note,
) -> Result<Option<Committed>, Error> {
    let past = state_at(core, line, to)?;
    let mut tx = Transaction::begin(core, line, manner, Isolation::Snapshot, note.clone())?;
    let now = tx.base_state()?;
    let changes = diff(&now, &past)?;
    // Names are free only when every page that is to go has gone.
    for page in changes.iter().filter(|page| page.fate == Fate::Dropped) {
        tx.drop_page(page.page)?;
    }
    for page in &changes {
        match page.fate {
            Fate::Dropped => {}
            Fate::Created => copy_page(&mut tx, &past, page.page)?,
            Fate::Changed => bring_back(&mut tx, &past, page)?,
        }
    }
    if tx.is_empty() {
        return Ok(None);
    }
    tx.remark(Record::Reverted(to));
    tx.commit()
}

fn bring_back(tx: &mut Transaction, past: &State, page: &PageDiff) -> Result<(), Error> {
    let (_, then) = page.rows;
    tx.resize(page.page, then)?;
    let schema = past.schema(page.page)?;
    for (i, column) in schema.columns().iter().enumerate() {
        let width = column.cells_per_row();
        let runs: Runs =
            page.columns.iter().filter(|c| usize::from(c.column) == i).flat_map(|c| c.runs.clone()).collect();
        copy_cells(tx, past, page.page, i as u16, &clip(&runs, then * width))?;
    }
    Ok(())
}
