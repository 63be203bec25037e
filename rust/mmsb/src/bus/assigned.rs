//! Which cells of a page changed otherwise than by merges with the page's own operator since two branches last agreed:
//! those that a merge of the branches cannot merge by it either. The log of both sides says so.

use std::collections::BTreeMap;

use crate::base::ids::{Epoch, PageId};
use crate::bus::ancestry::Known;
use crate::bus::core::Core;
use crate::bus::diff::Runs;
use crate::bus::error::Error;
use crate::page::body::{self, Record};
use crate::page::log::{FrameHead, Kind};
use crate::page::operator::OperatorId;
use crate::page::schema::Schema;

/// Runs from which on they are joined when they have doubled, so that cells assigned again and again take no memory.
const JOINED_FROM: usize = 1 << 14;

/// What leads to the two sides of a merge.
#[derive(Debug)]
pub(crate) struct Sides<'k> {
    pub ours: &'k Known,
    pub theirs: &'k Known,
}

impl Sides<'_> {
    fn of(known: &Known, head: &FrameHead) -> bool {
        known.get(&head.branch).is_some_and(|epoch| head.epoch <= *epoch)
    }

    /// Whether the frame leads to one side and not to both.
    fn has(&self, head: &FrameHead) -> bool {
        head.kind == Kind::Commit && Sides::of(self.ours, head) != Sides::of(self.theirs, head)
    }

    /// Where the first such frame is; `None` where the log does not have it any more.
    fn start(&self, core: &Core) -> Result<Option<u64>, Error> {
        let mut start = core.log.head();
        for branch in self.ours.keys().chain(self.theirs.keys()) {
            let origin = core.line_of(*branch).and_then(|line| line.origin).map_or(Epoch(0), |o| o.epoch);
            let epoch = |known: &Known| known.get(branch).copied().unwrap_or(origin);
            let (a, b) = (epoch(self.ours), epoch(self.theirs));
            if a != b {
                let Some(first) = core.log.commit_of(*branch, Epoch(a.min(b).0 + 1))? else {
                    return Ok(None);
                };
                start = start.min(first);
            }
        }
        Ok(Some(start))
    }
}

/// The cells of a page that changed otherwise than by its own operator.
#[derive(Debug, Default)]
pub(crate) struct Assigned {
    /// All of them, and the rows too.
    whole: bool,
    columns: BTreeMap<u16, Runs>,
}

impl Assigned {
    /// What the frames that lead to only one side did to a page. What came with a merge is said by the frames merged.
    pub fn since(core: &Core, sides: &Sides<'_>, page: PageId, schema: &Schema) -> Result<Self, Error> {
        let mut assigned = Assigned::default();
        let Some(start) = sides.start(core)? else { return Ok(Assigned { whole: true, ..assigned }) };
        let positions = core.log.frames_of_page(page, start, core.log.head())?;
        let mut frames = core.log.frames_at(positions);
        let mut most = JOINED_FROM;
        while let Some((head, body)) = frames.next_frame()? {
            if !sides.has(&head) {
                continue;
            }
            let records = body::records_of(body, page).collect::<Result<Vec<_>, _>>()?;
            if !records.iter().any(|record| matches!(record, Record::Merged { .. })) {
                records.iter().try_for_each(|record| assigned.add(record, page, schema))?;
            }
            if assigned.columns.values().map(Vec::len).sum::<usize>() > most {
                most = 2 * assigned.join().max(JOINED_FROM);
            }
        }
        assigned.join();
        Ok(assigned)
    }

    fn add(&mut self, record: &Record<'_>, page: PageId, schema: &Schema) -> Result<(), Error> {
        match record {
            Record::Delta(delta) if delta.op != schema.operator().unwrap_or(OperatorId::ASSIGN) => {
                for part in &delta.parts {
                    let runs = self.columns.entry(part.column).or_default();
                    part.select.runs(schema.column(part.column)?, |run| runs.push((run.cell, run.cells)));
                }
            }
            Record::Create { page: about, .. } | Record::Drop(about) | Record::Resize(about, _) => {
                self.whole |= *about == page;
            }
            _ => {}
        }
        Ok(())
    }

    /// Makes the runs ascending and apart; how many there are.
    fn join(&mut self) -> usize {
        for runs in self.columns.values_mut() {
            runs.sort_unstable();
            runs.dedup_by(|next, run| {
                let joins = next.0 <= run.0 + run.1;
                if joins {
                    run.1 = run.1.max(next.0 + next.1 - run.0);
                }
                joins
            });
        }
        self.columns.values().map(Vec::len).sum()
    }

    /// Those of a column, ascending, of which only the first `cells` matter.
    pub fn of(&self, column: u16, cells: u64) -> Runs {
        if self.whole { vec![(0, cells)] } else { self.columns.get(&column).cloned().unwrap_or_default() }
    }
}
