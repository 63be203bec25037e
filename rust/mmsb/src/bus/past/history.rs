//! What the log remembers: commits, by page, source, epoch and time.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::base::ids::{Epoch, PageId, Seq};
use crate::bus::core::Core;
use crate::bus::error::Error;
use crate::bus::line::Line;
use crate::bus::past::begin::{first_epoch, kept};
use crate::bus::past::pages::{Stretch, leads, lineage};
use crate::page::body::{self, Record};
use crate::page::log::Durability;
use crate::page::log::{Frame, FrameHead, LogError, LogReader};
use crate::page::operator::OperatorId;
use crate::page::schema::Schema;

/// Which commits are wanted. Every condition must hold.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Those that touched this page.
    pub page: Option<PageId>,
    /// Those from this source.
    pub source: Option<String>,
    /// Those from this epoch on.
    pub since: Option<Epoch>,
    /// Those up to and with this epoch.
    pub until: Option<Epoch>,
}

/// What one commit wrote into a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Touch {
    /// The page.
    pub page: PageId,
    /// What was done: `assign`, an operator's id, or a change of the catalog.
    pub what: TouchKind,
    /// The columns written.
    pub columns: Vec<u16>,
    /// How many cells were written.
    pub bytes: u64,
}

/// What was done to a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TouchKind {
    /// Cells were assigned or merged.
    Wrote(OperatorId),
    /// It came to be.
    Created,
    /// It went.
    Dropped,
    /// It got another number of rows.
    Resized(u64),
    /// It follows from other pages than before, or otherwise.
    Ruled,
}

/// A commit as the log remembers it.
#[derive(Debug, Clone)]
pub struct Commit {
    /// Its frame's number.
    pub seq: Seq,
    /// The epoch it made.
    pub epoch: Epoch,
    /// The branch's name.
    pub branch: String,
    /// UTC nanoseconds since 1970.
    pub time: u64,
    /// What it was made to survive.
    pub durability: Durability,
    /// Who wrote it.
    pub source: Option<String>,
    /// Why: a JSON text.
    pub intent: Option<String>,
    /// What it did, in order.
    pub touches: Vec<Touch>,
    /// Where in the log it starts.
    pub position: u64,
    /// How many bytes it takes there.
    pub bytes: u64,
}

/// The commits that lead to an epoch of the line and pass the filter, oldest first.
pub(crate) fn commits<'a>(
    core: &'a Arc<Core>,
    line: &Arc<Line>,
    epoch: Epoch,
    filter: &'a Filter,
) -> Box<dyn Iterator<Item = Result<Commit, Error>> + Send + 'a> {
    let stretches = lineage(core, line, filter.until.map_or(epoch, |until| until.min(epoch)));
    let (start, end) = match bounds(&core.log, &stretches, filter.since) {
        Ok(bounds) => bounds,
        Err(error) => return Box::new(std::iter::once(Err(error.into()))),
    };
    let wanted = move |head: &FrameHead| {
        leads(&stretches, head) && filter.since.is_none_or(|since| head.epoch >= since)
    };
    let log = &core.log;
    let frames: Frames<'a> = match (filter.page, &filter.source) {
        (Some(page), _) => at_positions(log, log.frames_of_page(page, start, end)),
        (None, Some(source)) => at_positions(log, log.frames_of_source(source, start, end)),
        (None, None) => {
            let mut frames = log.frames(start, end);
            Box::new(std::iter::from_fn(move || owned(frames.next_frame())))
        }
    };
    Box::new(frames.filter_map(move |frame| {
        let frame = match frame {
            Ok(frame) if wanted(&frame.head) => frame,
            Ok(_) => return None,
            Err(error) => return Some(Err(error.into())),
        };
        let commit = read(core, &frame);
        match (&filter.source, &commit) {
            (Some(source), Ok(commit)) if commit.source.as_ref() != Some(source) => None,
            _ => Some(commit),
        }
    }))
}

/// Between which positions of the log the frames of these stretches lie that made an epoch from `since` on.
fn bounds(log: &LogReader, stretches: &[Stretch], since: Option<Epoch>) -> Result<(u64, u64), LogError> {
    let Some(newest) = stretches.first() else { return Ok((log.start(), log.start())) };
    let end = log.commit_of(newest.branch, newest.to)?.map_or(u64::MAX, |position| position + 1);
    let first = since.filter(|&since| newest.from < since && since <= newest.to);
    let start = match first {
        Some(first) => log.commit_of(newest.branch, first)?,
        None => None,
    };
    Ok((start.unwrap_or_else(|| log.start()), end))
}

type Frames<'a> = Box<dyn Iterator<Item = Result<Frame, LogError>> + Send + 'a>;

/// A frame that was lent, copied.
fn owned(next: Result<Option<(FrameHead, &[u8])>, LogError>) -> Option<Result<Frame, LogError>> {
    let copied = next.map(|next| next.map(|(head, body)| Frame { head, body: body.to_vec() }));
    copied.transpose()
}

/// The frames at positions that an index gave.
fn at_positions(log: &LogReader, positions: Result<Vec<u64>, LogError>) -> Frames<'_> {
    match positions {
        Ok(positions) => {
            let mut frames = log.frames_at(positions);
            Box::new(std::iter::from_fn(move || owned(frames.next_frame())))
        }
        Err(error) => Box::new(std::iter::once(Err(error))),
    }
}

/// What a frame says.
pub(crate) fn read(core: &Core, frame: &Frame) -> Result<Commit, Error> {
    let head = &frame.head;
    let mut commit = Commit {
        seq: head.seq,
        epoch: head.epoch,
        branch: core.line_of(head.branch).map_or_else(|| head.branch.to_string(), |line| line.name.clone()),
        time: head.time,
        durability: head.durability,
        source: None,
        intent: None,
        touches: Vec::new(),
        position: head.position,
        bytes: head.end() - head.position,
    };
    for record in body::records(&frame.body) {
        let touch = match record? {
            Record::Source(source) => {
                commit.source = Some(source.into());
                continue;
            }
            Record::Intent(intent) => {
                commit.intent = Some(intent.into());
                continue;
            }
            Record::Delta(delta) => Touch {
                page: delta.page,
                what: TouchKind::Wrote(delta.op),
                columns: delta
                    .parts
                    .iter()
                    .map(|part| part.column)
                    .collect::<BTreeSet<_>>()
                    .into_iter()
                    .collect(),
                bytes: delta.parts.iter().map(|part| part.data.bytes().len() as u64).sum(),
            },
            Record::Create { page, .. } => bare(page, TouchKind::Created),
            Record::Drop(page) => bare(page, TouchKind::Dropped),
            Record::Resize(page, rows) => bare(page, TouchKind::Resized(rows)),
            Record::Rule { page, .. } => bare(page, TouchKind::Ruled),
            _ => continue,
        };
        commit.touches.push(touch);
    }
    Ok(commit)
}

/// A page's name and columns: those it has, or had when it came to be; of one that came and went before what is kept of
/// history, nothing.
pub(crate) fn described(core: &Core, page: PageId) -> Result<Option<(String, Arc<Schema>)>, Error> {
    let positions = core.log.frames_of_page(page, core.log.start(), u64::MAX)?;
    if let Some(&first) = positions.first() {
        for record in body::records_of(&core.log.frame(first)?.body, page) {
            match record? {
                Record::Create { page: id, name, schema, .. } if id == page => {
                    return Ok(Some((name.into(), Arc::new(schema))));
                }
                _ => {}
            }
        }
    }
    for head in kept(&core.checkpoints, &core.log) {
        let record = match core.checkpoints.record(head.seq) {
            Err(error) if error.is_damage() => continue,
            record => record?,
        };
        if let Some(def) = record.defs.iter().find(|def| def.page == page) {
            return Ok(Some((def.name.clone(), Arc::new(record.schemas[def.schema as usize].clone()))));
        }
    }
    Ok(None)
}

fn bare(page: PageId, what: TouchKind) -> Touch {
    Touch { page, what, columns: Vec::new(), bytes: 0 }
}

/// The epoch that the line had at a time: of the last commit that is not later, 0 before the first. Where no such commit
/// is kept, that is the one before the first that is, if anything kept is not later; else an error.
pub(crate) fn epoch_at(core: &Arc<Core>, line: &Arc<Line>, epoch: Epoch, time: u64) -> Result<Epoch, Error> {
    let stretches: Vec<Stretch> = lineage(core, line, epoch);
    // Times go up along the log, so the epoch wanted is the newest one of the lineage before the first later frame.
    let end = core.log.first_at(time.saturating_add(1))?.unwrap_or(u64::MAX);
    for stretch in &stretches {
        let positions = core.log.frames_of_branch(stretch.branch, core.log.start(), end)?;
        for &position in positions.iter().rev() {
            let head = core.log.frame_head(position)?;
            if leads(&stretches, &head) {
                return Ok(head.epoch);
            }
        }
    }
    let start = core.log.start();
    if start == 0 {
        return Ok(Epoch(0));
    }
    // Where no frame is kept, no time is known but the present.
    let unknown = core.log.head() == start && time < core.clock.now_ns();
    if end <= start || unknown {
        let first = first_epoch(&core.checkpoints, &core.log, line.id, |id| {
            core.line_of(id).and_then(|line| line.origin).map(|origin| origin.parent)
        });
        return Err(Error::PrunedTime { branch: line.name.clone(), first });
    }
    for stretch in stretches.iter().rev() {
        for position in core.log.frames_of_branch(stretch.branch, end, u64::MAX)? {
            let head = core.log.frame_head(position)?;
            if leads(&stretches, &head) {
                return Ok(Epoch(head.epoch.0 - 1));
            }
        }
    }
    Ok(epoch)
}
