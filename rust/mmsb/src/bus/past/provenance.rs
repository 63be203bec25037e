//! Which commits, and which pages, made a value what it is: read backwards from the log.
//!
//! The lineage of a row of a page is the commits whose writes of it are still in it, newest first, back to one that
//! assigned it; of a page that follows from others also the lineage of the rows of its inputs that it follows from, as they
//! were then. What two ways lead to is told once (Buneman, Khanna, Tan, "Why and Where: A Characterization of Data
//! Provenance", ICDT 2001: this is where-provenance of what was written, and why-provenance by rules).

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use crate::base::ids::{Epoch, PageId};
use crate::base::limits::{LINEAGE_BUDGET, LINEAGE_COMMITS, LINEAGE_PARTS, LINEAGE_TOLD};
use crate::bus::core::Core;
use crate::bus::error::Error;
use crate::bus::line::Line;
use crate::bus::merge::three_way::state_at;
use crate::bus::past::indexed::IndexedFrames;
pub use crate::bus::past::indexed::Origin;
use crate::bus::past::pages::{Stretch, leads, lineage};
use crate::bus::state::State;
use crate::page::delta::Delta;
use crate::page::schema::Schema;
use crate::propagation::runs::{Run, union};

/// Part of a lineage: rows of a page, and what made them.
#[derive(Debug, Clone)]
pub struct Origins {
    /// The page.
    pub page: PageId,
    /// The rows that are meant, ascending and apart.
    pub rows: Vec<Run>,
    /// The epoch at which they are meant.
    pub epoch: Epoch,
    /// The commits whose writes are in them, newest first, and which of the rows each wrote.
    pub commits: Vec<(Arc<Origin>, Vec<Run>)>,
    /// The parts of the lineage that these rows follow from, by their number.
    pub inputs: Vec<usize>,
    /// Whether there were more commits than are told, or some that are not kept.
    pub more: bool,
}

/// The lineage of some rows of a page at an epoch of a line: that part first, and each part before those it follows from
/// for the first time.
pub(crate) fn provenance(
    core: &Arc<Core>,
    line: &Arc<Line>,
    epoch: Epoch,
    page: PageId,
    rows: Run,
) -> Result<Vec<Origins>, Error> {
    let mut found = Vec::new();
    let mut known: BTreeMap<(PageId, Vec<Run>), usize> = BTreeMap::new();
    let mut waiting = VecDeque::from([(page, vec![rows])]);
    known.insert((page, vec![rows]), 0);
    let state = state_at(core, line, epoch)?;
    let stretches = lineage(core, line, epoch);
    let mut frames = IndexedFrames::new(core, LINEAGE_BUDGET);
    let (mut count, mut told) = (1, 0);
    while let Some((page, rows)) = waiting.pop_front() {
        let mut part = written(&mut frames, &state, &stretches, (page, &rows), LINEAGE_TOLD - told)?;
        told += part.commits.len();
        if let Some(rule) = state.follows(page)? {
            for (number, input) in rule.inputs().enumerate() {
                let has = state.version(input)?.1;
                let wanted = rule.spec().and_then(|spec| spec.rows_from((number, has), &rows));
                let wanted = wanted.unwrap_or_else(|| vec![Run::new(0, has)]);
                let key = (input, wanted);
                if let Some(&at) = known.get(&key) {
                    part.inputs.push(at);
                } else if count < LINEAGE_PARTS {
                    part.inputs.push(count);
                    known.insert(key.clone(), count);
                    waiting.push_back(key);
                    count += 1;
                } else {
                    part.more = true;
                }
            }
        }
        found.push(part);
    }
    Ok(found)
}

/// What wrote rows of a page, backwards until all of them are accounted for, or so many commits were met.
fn written(
    frames: &mut IndexedFrames<'_>,
    state: &State,
    stretches: &[Stretch],
    (page, rows): (PageId, &[Run]),
    most: usize,
) -> Result<Origins, Error> {
    let (core, schema) = (state.core(), state.schema(page)?);
    let mut part = Origins {
        page,
        rows: rows.to_vec(),
        epoch: state.epoch(),
        commits: Vec::new(),
        inputs: Vec::new(),
        more: false,
    };
    // Of each column, the rows that no write that was met has assigned yet.
    let mut open: Vec<Vec<Run>> = vec![rows.to_vec(); schema.columns().len()];
    for position in core.log.frames_of_page(page, core.log.start(), u64::MAX)?.into_iter().rev() {
        let Some(frame) = frames.frame(position, |head| leads(stretches, head))? else { continue };
        let mut touched = Vec::new();
        for delta in frame.deltas(page) {
            touched.extend(takes(&delta?, &schema, &mut open)?);
        }
        if !touched.is_empty() {
            if part.commits.len() == most.min(LINEAGE_COMMITS) {
                part.more = true;
                break;
            }
            let lists: Vec<&[Run]> = touched.iter().map(std::slice::from_ref).collect();
            part.commits.push((Arc::clone(&frame.origin), union(&lists)));
        }
        if frame.creates(page) || open.iter().all(Vec::is_empty) {
            return Ok(part);
        }
    }
    // The page came to be before what is kept of history.
    part.more = true;
    Ok(part)
}

/// The open rows that a delta wrote; those that it assigned whole are not open any more.
fn takes(delta: &Delta<'_>, schema: &Schema, open: &mut [Vec<Run>]) -> Result<Vec<Run>, Error> {
    let mut all = Vec::new();
    for part in delta.parts.iter().rev() {
        let column = schema.column(part.column)?;
        let open = &mut open[usize::from(part.column)];
        let width = column.cells_per_row().max(1);
        let mut wrote: Vec<Run> = Vec::new();
        part.select.runs(column, |run| {
            // Rows of which only some cells are written stay open.
            let (start, stop) = (run.cell / width, (run.cell + run.cells).div_ceil(width));
            wrote.push(Run::new(start, stop));
        });
        wrote.sort_unstable();
        let whole = delta.op.is_assign() && part.select.cells_per_row(column) == width;
        let mut rest = Vec::new();
        for &run in open.iter() {
            let mut at = run.start;
            for hit in wrote.iter().filter(|hit| hit.start < run.stop && hit.stop > run.start) {
                let (start, stop) = (hit.start.max(at), hit.stop.min(run.stop));
                if start >= stop {
                    continue;
                }
                all.push(Run::new(start, stop));
                if whole {
                    if at < start {
                        rest.push(Run::new(at, start));
                    }
                    at = stop;
                }
            }
            if at < run.stop {
                rest.push(Run::new(at, run.stop));
            }
        }
        *open = rest;
    }
    all.sort_unstable();
    Ok(all)
}
