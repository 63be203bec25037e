//! What the log says the two sides of a merge did to a page since they last agreed: which cells changed otherwise than
//! by merges with the page's own operator, and those merges, to be applied again.

use std::collections::BTreeMap;

use crate::base::ids::{Epoch, PageId};
use crate::bus::core::Core;
use crate::bus::error::Error;
use crate::bus::merge::ancestry::Known;
use crate::bus::merge::runs::{Runs, tidy};
use crate::page::body::{self, Record};
use crate::page::delta::{Data, Part};
use crate::page::log::{FrameHead, Kind};
use crate::page::operator::{Merge, OperatorId};
use crate::page::schema::{Column, Schema};

/// Runs from which on they are joined when they have doubled, so that cells assigned again and again take no memory.
const JOINED_FROM: usize = 1 << 14;

/// What leads to the two sides of a merge.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sides<'k> {
    pub ours: &'k Known,
    pub theirs: &'k Known,
}

impl Sides<'_> {
    fn of(known: &Known, head: &FrameHead) -> bool {
        known.get(&head.branch).is_some_and(|epoch| head.epoch <= *epoch)
    }

    /// Where the first frame is that leads to one side and not to both; `None` where the log does not have it any more.
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

/// What frames that lead to only one side did to a page. What came with a merge is said by the frames merged; what the
/// merge itself settled is in its frame, behind what it merged.
#[derive(Debug)]
pub(crate) struct Since<'s> {
    core: &'s Core,
    sides: Sides<'s>,
    page: PageId,
    schema: &'s Schema,
    /// The page's frames from the first one on that leads to only one side.
    positions: Vec<u64>,
    /// Everything changed otherwise than by the page's operator, the rows too.
    whole: bool,
    /// The cells that did.
    assigned: BTreeMap<u16, Runs>,
}

impl<'s> Since<'s> {
    /// Reads the log.
    pub fn read(core: &'s Core, sides: Sides<'s>, page: PageId, schema: &'s Schema) -> Result<Self, Error> {
        let mut since = Since {
            core,
            sides,
            page,
            schema,
            positions: Vec::new(),
            whole: false,
            assigned: BTreeMap::new(),
        };
        let Some(start) = sides.start(core)? else {
            since.whole = true;
            return Ok(since);
        };
        since.positions = core.log.frames_of_page(page, start, core.log.head())?;
        let mut most = JOINED_FROM;
        let positions = since.positions.clone();
        since.each(
            positions,
            |ours, theirs| ours != theirs,
            |since, record| {
                since.add(record)?;
                if since.runs() > most {
                    since.tidy();
                    most = 2 * since.runs().max(JOINED_FROM);
                }
                Ok(())
            },
        )?;
        since.tidy();
        Ok(since)
    }

    /// Calls `visit` with what the page's own frames did, of those that lead to the sides as `wanted` says.
    fn each<T>(
        &mut self,
        positions: Vec<u64>,
        wanted: impl Fn(bool, bool) -> bool,
        mut visit: impl FnMut(&mut Self, &Record<'_>) -> Result<T, Error>,
    ) -> Result<(), Error> {
        let mut frames = self.core.log.frames_at(positions);
        while let Some((head, body)) = frames.next_frame()? {
            let leads = |known| Sides::of(known, &head);
            if head.kind != Kind::Commit || !wanted(leads(self.sides.ours), leads(self.sides.theirs)) {
                continue;
            }
            let records = body::records_of(body, self.page).collect::<Result<Vec<_>, _>>()?;
            let own = records.iter().rposition(|record| matches!(record, Record::Merged { .. }));
            for record in &records[own.map_or(0, |merged| merged + 1)..] {
                visit(self, record)?;
            }
        }
        Ok(())
    }

    fn operator(&self) -> OperatorId {
        self.schema.operator().unwrap_or(OperatorId::ASSIGN)
    }

    fn add(&mut self, record: &Record<'_>) -> Result<(), Error> {
        match record {
            Record::Delta(delta) if delta.op != self.operator() => {
                for part in &delta.parts {
                    let runs = self.assigned.entry(part.column).or_default();
                    let column = self.schema.column(part.column)?;
                    part.select.runs(column, |run| runs.push((run.cell, run.cells)));
                }
            }
            Record::Create { page: about, .. }
            | Record::Drop(about)
            | Record::Resize(about, _)
            | Record::Rule { page: about, .. } => {
                self.whole |= *about == self.page;
            }
            _ => {}
        }
        Ok(())
    }

    fn runs(&self) -> usize {
        self.assigned.values().map(Vec::len).sum()
    }

    fn tidy(&mut self) {
        self.assigned.values_mut().for_each(tidy);
    }

    /// The cells of a column that changed otherwise than by the page's operator; only the first `cells` matter.
    pub fn assigned(&self, column: u16, cells: u64) -> Runs {
        if self.whole { vec![(0, cells)] } else { self.assigned.get(&column).cloned().unwrap_or_default() }
    }

    /// Applies the other side's merges that this one does not have to cells that only merges changed, one by one in the
    /// log's order.
    pub fn apply(&mut self, cells: &mut [Cells]) -> Result<(), Error> {
        let positions = std::mem::take(&mut self.positions);
        self.each(
            positions,
            |ours, theirs| theirs && !ours,
            |since, record| {
                let Record::Delta(delta) = record else { return Ok(()) };
                if delta.op != since.operator() {
                    return Ok(());
                }
                for part in &delta.parts {
                    let column = since.schema.column(part.column)?;
                    let (Some(cells), Some(operator)) = (
                        cells.iter_mut().find(|cells| cells.column == part.column),
                        since.core.operators.on(delta.op, column.dtype())?,
                    ) else {
                        continue;
                    };
                    cells.apply(part, column, operator);
                }
                Ok(())
            },
        )
    }
}

/// Some cells of a column, one run behind the other.
#[derive(Debug)]
pub(crate) struct Cells {
    pub column: u16,
    pub runs: Runs,
    pub bytes: Vec<u8>,
    /// Which of the cells each run begins with.
    starts: Vec<u64>,
}

impl Cells {
    /// The runs, and the cells' bytes.
    pub fn new(column: u16, runs: Runs, bytes: Vec<u8>) -> Self {
        let starts = runs.iter().scan(0, |at, run| Some(std::mem::replace(at, *at + run.1))).collect();
        Cells { column, runs, bytes, starts }
    }

    /// Applies that of a merge which is about them.
    fn apply(&mut self, part: &Part<'_>, column: &Column, operator: &dyn Merge) {
        let size = column.cell_bytes() as usize;
        part.select.runs(column, |run| {
            let end = run.cell + run.cells;
            let first = self.runs.partition_point(|cells| cells.0 + cells.1 <= run.cell);
            for (&(from, n), start) in
                self.runs.iter().zip(&self.starts).skip(first).take_while(|(r, _)| r.0 < end)
            {
                let (a, b) = (from.max(run.cell), end.min(from + n));
                let to = (start + a - from) as usize * size;
                let to = &mut self.bytes[to..to + (b - a) as usize * size];
                let source = (run.source + a - run.cell) as usize * size;
                match &part.data {
                    Data::Dense(data) => operator.apply(column.dtype(), to, &data[source..source + to.len()]),
                    Data::Fill(pattern) => {
                        for (i, cell) in to.chunks_exact_mut(size).enumerate() {
                            let at = (source + i * size) % pattern.len();
                            operator.apply(column.dtype(), cell, &pattern[at..at + size]);
                        }
                    }
                }
            }
        });
    }
}
