//! Three-way merge of plain states, cell by cell.

use std::collections::BTreeSet;
use std::sync::Arc;

use mmsb::base::ids::PageId;
use mmsb::bus::merge::three_way::OnConflict;
use mmsb::page::delta::Delta;

use super::{Page, Pages, cells};

/// What a commit did to a page.
#[derive(Debug, Clone)]
pub struct Touched {
    pub page: PageId,
    pub how: How,
}

#[derive(Debug, Clone)]
pub enum How {
    /// Everything was changed, the rows too.
    All,
    /// These cells were changed otherwise than by its operator.
    Cells(BTreeSet<(u16, u64)>),
    /// It was changed by its operator.
    Merged(Delta<'static>),
}

impl Touched {
    pub fn by(delta: &Delta<'_>, page: &Page) -> Self {
        if page.schema.operator() == Some(delta.op) {
            return Touched { page: delta.page, how: How::Merged(delta.clone().into_owned()) };
        }
        let written = delta.parts.iter().flat_map(|part| {
            let column = page.schema.column(part.column).unwrap();
            cells(&part.select, column).into_iter().map(|cell| (part.column, cell))
        });
        Touched::cells(delta.page, written.collect())
    }

    pub fn all(page: PageId) -> Self {
        Touched { page, how: How::All }
    }

    pub fn cells(page: PageId, cells: BTreeSet<(u16, u64)>) -> Self {
        Touched { page, how: How::Cells(cells) }
    }
}

/// What was done on one side only, in order, and whether it was the other side.
pub struct Since(pub Vec<(bool, Touched)>);

impl Since {
    fn of(&self, page: PageId) -> impl Iterator<Item = (bool, &How)> {
        self.0.iter().filter(move |(_, done)| done.page == page).map(|(theirs, done)| (*theirs, &done.how))
    }

    /// Whether a cell was changed otherwise than by its page's operator.
    fn assigned(&self, page: PageId, column: u16, cell: u64) -> bool {
        self.of(page).any(|(_, how)| match how {
            How::All => true,
            How::Cells(cells) => cells.contains(&(column, cell)),
            How::Merged(_) => false,
        })
    }

    /// This side's page with what the other merged; `None` where the page was resized in between.
    fn again(&self, page: PageId, mine: &Page) -> Option<Page> {
        let mut mine = mine.clone();
        for (theirs, how) in self.of(page) {
            match how {
                How::All => return None,
                How::Merged(delta) if theirs => {
                    // What came to nothing may have been done when there were more rows.
                    mine.resize(mine.rows.max(rows(delta, &mine)));
                    mine.write(delta);
                }
                _ => {}
            }
        }
        Some(mine)
    }
}

/// How many rows a delta wants.
fn rows(delta: &Delta<'_>, page: &Page) -> u64 {
    let last = delta.parts.iter().filter_map(|part| {
        let column = page.schema.column(part.column).unwrap();
        part.select.bounds(column).map(|(_, last)| last + 1)
    });
    last.max().unwrap_or(0)
}

/// What has no common value: pages as a whole, and cells.
#[derive(Debug, Default, Clone)]
pub struct Unsure {
    pages: BTreeSet<PageId>,
    cells: BTreeSet<(PageId, u16, u64)>,
}

impl Unsure {
    pub fn extend(&mut self, more: Unsure) {
        self.pages.extend(more.pages);
        self.cells.extend(more.cells);
    }

    fn has(&self, id: PageId) -> bool {
        self.pages.contains(&id) || self.cells.iter().any(|(page, ..)| *page == id)
    }
}

/// What both sides have in common.
#[derive(Debug, Default)]
pub struct Base {
    pub pages: Pages,
    pub unsure: Unsure,
}

/// What a merge makes of `ours`.
#[derive(Debug, Default)]
pub struct Merged {
    pub pages: Pages,
    /// What was settled, and not by what one side did.
    pub settled: Vec<Touched>,
    /// Why it is refused, and what conflicts.
    pub why: Option<&'static str>,
    pub unsure: Unsure,
}

pub fn merge(base: &Base, ours: &Pages, theirs: &Pages, policy: OnConflict, since: &Since) -> Merged {
    let mut merge = Merge { base, policy, since, made: Merged { pages: ours.clone(), ..Merged::default() } };
    // What goes, goes first: its name may be taken again.
    let ids: BTreeSet<PageId> = base.pages.keys().chain(theirs.keys()).chain(ours.keys()).copied().collect();
    let (gone, there): (Vec<_>, Vec<_>) = ids.into_iter().partition(|id| !theirs.contains_key(id));
    for id in gone.into_iter().chain(there) {
        merge.page(id, ours.get(&id), theirs.get(&id));
    }
    merge.made
}

struct Merge<'m> {
    base: &'m Base,
    policy: OnConflict,
    since: &'m Since,
    made: Merged,
}

impl Merge<'_> {
    /// Whether a conflict about a page goes the other side's way.
    fn settled(&mut self, id: PageId, why: &'static str) -> bool {
        match self.policy {
            OnConflict::Raise => {
                self.made.why = Some(why);
                self.made.unsure.pages.insert(id);
                false
            }
            OnConflict::Ours | OnConflict::Theirs => {
                self.made.settled.push(Touched::all(id));
                self.policy == OnConflict::Theirs
            }
        }
    }

    fn page(&mut self, id: PageId, mine: Option<&Arc<Page>>, other: Option<&Arc<Page>>) {
        let before = self.base.pages.get(&id);
        let unsure = self.base.unsure.has(id);
        if self.base.unsure.pages.contains(&id) {
            if mine != other && self.settled(id, "settled otherwise") {
                self.put(id, other);
            } else if mine.is_none()
                && let Some(other) = other
            {
                self.named(other);
            }
            return;
        }
        if before == other && !unsure {
            return;
        }
        match (before, mine, other) {
            (_, None, None) => {}
            (None, Some(_), None) => {}
            (Some(before), Some(mine), None) => {
                if !unsure && mine == before || self.settled(id, "dropped against written") {
                    self.put(id, None);
                }
            }
            (_, None, Some(other)) => {
                let clear = before.is_none() && !self.named(other);
                if clear || self.settled(id, "written against dropped") {
                    self.put(id, Some(other));
                }
            }
            (None, Some(mine), Some(other)) => {
                if mine != other && self.settled(id, "made on both sides") {
                    self.put(id, Some(other));
                }
            }
            (Some(before), Some(mine), Some(other)) => {
                let page = self.cells(id, before, mine, other);
                self.put(id, Some(&Arc::new(page)));
            }
        }
    }

    /// Whether there is another page of the name, which then conflicts too.
    fn named(&mut self, page: &Page) -> bool {
        let Some((&named, _)) = self.made.pages.iter().find(|(_, there)| there.name == page.name) else {
            return false;
        };
        if self.policy == OnConflict::Raise {
            self.made.unsure.pages.insert(named);
        }
        true
    }

    fn put(&mut self, id: PageId, page: Option<&Arc<Page>>) {
        self.made.pages.remove(&id);
        let Some(page) = page else { return };
        self.made.pages.retain(|_, there| there.name != page.name);
        self.made.pages.insert(id, Arc::clone(page));
    }

    fn cells(&mut self, id: PageId, base: &Page, mine: &Page, other: &Page) -> Page {
        if mine.rows != other.rows && base.rows != other.rows {
            let free = mine == base && !self.base.unsure.has(id);
            let theirs = free || self.settled(id, "resized against written");
            return if theirs { other.clone() } else { mine.clone() };
        }
        let resized = mine.rows != other.rows;
        if resized && !self.settled(id, "written against resized") {
            return mine.clone();
        }
        let mut result = mine.clone();
        let merges = mine.schema.operator().is_some_and(|op| !op.is_assign());
        let again = if merges { self.since.again(id, mine) } else { None };
        for (i, column) in (0u16..).zip(mine.schema.columns()) {
            let (size, k) = (column.cell_bytes() as usize, usize::from(i));
            let n = mine.columns[k].len().min(other.columns[k].len());
            for (cell, at) in (0u64..).zip((0..n).step_by(size)) {
                let zeros = vec![0; size];
                let b = base.columns[k].get(at..at + size).unwrap_or(&zeros);
                let (m, o) = (&mine.columns[k][at..at + size], &other.columns[k][at..at + size]);
                let unsure = self.base.unsure.cells.contains(&(id, i, cell));
                let assigned = || unsure || self.since.assigned(id, i, cell);
                let new = if o == b && !unsure {
                    m.to_vec()
                } else if resized || m == b && !unsure {
                    o.to_vec()
                } else if let Some(again) = again.as_ref().filter(|_| !assigned()) {
                    again.columns[k][at..at + size].to_vec()
                } else {
                    self.cell((id, i, cell), m, o)
                };
                result.columns[k][at..at + size].copy_from_slice(&new);
            }
        }
        result
    }

    /// Settles a cell that both sides changed.
    fn cell(&mut self, (id, i, cell): (PageId, u16, u64), mine: &[u8], other: &[u8]) -> Vec<u8> {
        if mine != other && self.policy == OnConflict::Raise {
            self.made.why = Some("written on both sides");
            self.made.unsure.cells.insert((id, i, cell));
        } else {
            self.made.settled.push(Touched::cells(id, BTreeSet::from([(i, cell)])));
        }
        if self.policy == OnConflict::Theirs { other.to_vec() } else { mine.to_vec() }
    }
}
