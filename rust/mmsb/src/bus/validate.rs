//! Whether a delta fits its page, and whether what a transaction read and wrote still holds at the head of its branch.

use std::sync::Arc;

use crate::base::ids::{Epoch, PageId};
use crate::bus::commit::Change;
use crate::bus::core::Core;
use crate::bus::error::{Clash, Error};
use crate::bus::line::Line;
use crate::page::body::{self, Record};
use crate::page::catalog::RootRef;
use crate::page::delta::Delta;
use crate::page::error::PageError;
use crate::page::operator::OperatorId;
use crate::page::schema::Schema;
use crate::page::select::Select;
use crate::page::state_error::StateError;
use crate::page::version::PageRef;

/// Rows that a conflict names at most.
const NAMED_ROWS: usize = 8;

/// What a transaction read of a page.
#[derive(Debug, Clone)]
pub(crate) struct Read {
    pub page: PageId,
    /// The column and cells; the whole page where absent.
    pub cells: Option<(u16, Select)>,
}

/// What a transaction started from.
#[derive(Debug)]
pub(crate) struct Base<'b> {
    pub root: RootRef<'b>,
    /// What must not have been written since; empty unless the isolation is serializable.
    pub reads: &'b [Read],
    /// Whether the list of pages was read, and must be the same.
    pub listed: bool,
    /// Whether nothing at all may have been committed since: of what is brought back no rule is run, so what others wrote
    /// meanwhile would stay, and what follows from it would not.
    pub alone: bool,
}

/// An error of a page with its name.
pub(crate) fn named(page: PageRef<'_>, source: PageError) -> StateError {
    StateError::Page { page: page.def().name().into(), source }
}

/// Fails where a delta does not fit the page it is for.
pub(crate) fn fits(core: &Core, page: PageRef<'_>, delta: &Delta<'_>) -> Result<(), Error> {
    let schema = core.schemas.of(page.def());
    delta.check(schema, page.rows()).map_err(|source| named(page, source))?;
    for part in &delta.parts {
        let column = schema.column(part.column)?;
        core.operators.on(delta.op, column.dtype()).map_err(|source| named(page, source))?;
    }
    Ok(())
}

/// Fails where a commit behind the base wrote cells that the changes assign, or that were read.
pub(crate) fn against_head(
    core: &Core,
    line: &Arc<Line>,
    base: &Base<'_>,
    changes: &[Change<'_>],
) -> Result<(), Error> {
    let head = RootRef::new(&core.arena, line.appended()?);
    if head.at == base.root.at {
        return Ok(());
    }
    if base.alone {
        let what = "others commit while a past state is brought back";
        return Err(Error::Conflict(vec![Clash { page: "*".into(), id: PageId(0), rows: Vec::new(), what }]));
    }
    let suspects = suspects(base, head, changes);
    if suspects.is_empty() && !base.listed {
        return Ok(());
    }
    let mut clashes = Vec::new();
    // By page version first; only where a page moved are the frames since looked at cell by cell.
    // The frame of the base itself may have been pruned.
    let next = core.log.commit_of(line.id, Epoch(base.root.epoch().0 + 1))?;
    let mut frames = core.log.frames(next.unwrap_or_else(|| base.root.position()), u64::MAX);
    while let Some((head, body)) = frames.next_frame()? {
        // By epoch: a replayed root has the seq of the first of the frames that were replayed in one go.
        if head.branch != line.id || head.epoch <= base.root.epoch() {
            continue;
        }
        for record in body::records(body) {
            let record = record?;
            if base.listed && record.is_catalog() {
                clashes.push(Clash {
                    page: "*".into(),
                    id: PageId(0),
                    rows: Vec::new(),
                    what: "the list of pages changed",
                });
            }
            check(core, base, changes, &suspects, &record, &mut clashes);
        }
    }
    if clashes.is_empty() { Ok(()) } else { Err(Error::Conflict(merged(clashes))) }
}

/// The pages of the changes and reads that are not as they were.
fn suspects(base: &Base<'_>, head: RootRef<'_>, changes: &[Change<'_>]) -> Vec<PageId> {
    let written = changes.iter().filter_map(|change| match change {
        Change::Write(delta) => Some(delta.page),
        Change::Drop(page) | Change::Resize(page, _) | Change::Rule(page, _) => Some(*page),
        // What a page is behind of is not decided by who writes it.
        Change::Create { .. } | Change::Marks(..) | Change::Remark(_) => None,
    });
    let mut pages: Vec<PageId> = written.chain(base.reads.iter().map(|read| read.page)).collect();
    pages.sort_unstable();
    pages.dedup();
    pages.retain(|&page| base.root.page(page).is_some() && base.root.page(page) != head.page(page));
    pages
}

fn check(
    core: &Core,
    base: &Base<'_>,
    changes: &[Change<'_>],
    suspects: &[PageId],
    theirs: &Record<'_>,
    clashes: &mut Vec<Clash>,
) {
    let page = match theirs {
        Record::Delta(delta) => delta.page,
        Record::Drop(page) | Record::Resize(page, _) | Record::Rule { page, .. } => *page,
        _ => return,
    };
    if suspects.binary_search(&page).is_err() {
        return;
    }
    let Some(at) = base.root.page(page) else { return };
    let version = PageRef::new(&core.arena, at);
    let schema = core.schemas.of(version.def());
    let mut clash = |rows: Vec<u64>, what| {
        clashes.push(Clash { page: version.def().name().into(), id: page, rows, what });
    };
    // What a page holds that follows from others is nobody's decision, and so none that somebody came before with.
    let follows = !version.def().rule().is_empty();
    if follows && matches!(theirs, Record::Resize(..)) && base.reads.iter().all(|read| read.page != page) {
        return;
    }
    let Record::Delta(theirs) = theirs else {
        return clash(Vec::new(), "it was dropped, resized or got another rule meanwhile");
    };
    for change in changes {
        match change {
            Change::Write(ours) if ours.page == page => {
                if let Some(rows) = overlap(ours, theirs, schema) {
                    clash(rows, "both wrote it");
                }
            }
            Change::Drop(ours) | Change::Resize(ours, _) | Change::Rule(ours, _)
                if *ours == page && !follows =>
            {
                clash(Vec::new(), "it was written meanwhile");
            }
            _ => {}
        }
    }
    for read in base.reads.iter().filter(|read| read.page == page) {
        match &read.cells {
            None => clash(first_rows(theirs, schema), "it was read, and written meanwhile"),
            Some((column, select)) => {
                for part in theirs.parts.iter().filter(|part| part.column == *column) {
                    if let Ok(column) = schema.column(part.column)
                        && part.select.overlaps(select, column)
                    {
                        clash(
                            common_rows(select, &part.select, column),
                            "it was read, and written meanwhile",
                        );
                    }
                }
            }
        }
    }
}

/// The rows that two deltas both write, unless both merge by the page's own operator.
fn overlap(ours: &Delta<'_>, theirs: &Delta<'_>, schema: &Schema) -> Option<Vec<u64>> {
    let own = schema.operator().unwrap_or(OperatorId::ASSIGN);
    if !own.is_assign() && ours.op == own && theirs.op == own {
        return None;
    }
    for a in &ours.parts {
        for b in theirs.parts.iter().filter(|b| b.column == a.column) {
            let column = schema.column(a.column).ok()?;
            if a.select.overlaps(&b.select, column) {
                return Some(common_rows(&a.select, &b.select, column));
            }
        }
    }
    None
}

fn common_rows(a: &Select, b: &Select, column: &crate::page::schema::Column) -> Vec<u64> {
    let theirs: std::collections::BTreeSet<u64> = b.rows_touched(column).collect();
    a.rows_touched(column).filter(|row| theirs.contains(row)).take(NAMED_ROWS).collect()
}

fn first_rows(delta: &Delta<'_>, schema: &Schema) -> Vec<u64> {
    let Some(part) = delta.parts.first() else { return Vec::new() };
    schema
        .column(part.column)
        .map(|column| part.select.rows_touched(column).take(NAMED_ROWS).collect())
        .unwrap_or_default()
}

/// One clash for each page and reason.
fn merged(mut clashes: Vec<Clash>) -> Vec<Clash> {
    clashes.sort_by(|a, b| (a.id, a.what).cmp(&(b.id, b.what)));
    clashes.dedup_by(|next, first| {
        let same = (next.id, next.what) == (first.id, first.what);
        if same {
            first.rows.append(&mut next.rows);
            first.rows.sort_unstable();
            first.rows.dedup();
            first.rows.truncate(NAMED_ROWS);
        }
        same
    });
    clashes
}
