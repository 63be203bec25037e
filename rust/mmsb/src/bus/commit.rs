//! The hallway: how a change becomes part of the state, top to bottom. Nothing else changes state.
//!
//! change -> validate -> encode one frame -> stage unpublished versions -> append (and sync) -> publish -> tell watchers
//!
//! Whoever asks for a commit may go on writing into the array it is made from. So every byte of that is read once: into
//! the frame's body, from which it is staged, or into the staged page, from which the log takes it.

use std::sync::Arc;
use std::time::Duration;

use crate::base::fail;
use crate::base::ids::{BranchId, Epoch, PageId, Seq};
use crate::base::wait::aside;
use crate::bus::body::page_of;
use crate::bus::bound::{bound, let_go_of_all};
use crate::bus::core::Core;
use crate::bus::error::Error;
use crate::bus::follow::{check, concerns, follow, keep};
use crate::bus::functions::Declared;
use crate::bus::holders::blamed;
use crate::bus::line::Line;
use crate::bus::takeover::take_over_now;
use crate::bus::turn::Turn;
use crate::bus::validate::{self, Base};
use crate::bus::writer::{Pending, Shown, Writer};
use crate::memory::pinning::limbo::Retired;
use crate::page::body::Record;
use crate::page::catalog::RootRef;
use crate::page::delta::Delta;
use crate::page::draft::Draft;
use crate::page::log::Durability;
use crate::page::log::superblock::RULES;
use crate::page::log::{FrameNotes, Kind, LogError, NewFrame};
use crate::page::schema::Schema;
use crate::page::stage::{Stage, recycle};
use crate::page::version::PageRef;
use crate::propagation::run::Settles;

/// One change that a commit makes.
#[derive(Debug, Clone)]
pub enum Change<'a> {
    /// Cells are written.
    Write(Delta<'a>),
    /// A page comes to be.
    Create {
        /// Its id, given out by the line.
        page: PageId,
        /// Its name.
        name: String,
        /// Its columns.
        schema: Schema,
        /// Its rows.
        rows: u64,
    },
    /// A page goes.
    Drop(PageId),
    /// A page gets another number of rows.
    Resize(PageId, u64),
    /// A page from now on follows from others, or from nothing where the rule is empty.
    Rule(PageId, Vec<u8>),
    /// A page gets other marks: what it is behind of.
    Marks(PageId, u8),
    /// Something the log is to remember that changes no page.
    Remark(Record<'static>),
}

/// What is asked to be committed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Request<'r, 'd> {
    pub line: &'r Arc<Line>,
    pub changes: &'r [Change<'d>],
    pub source: Option<&'r str>,
    pub intent: Option<&'r str>,
    pub durability: Durability,
    pub busy_timeout: Duration,
    /// What the changes were made from, where somebody may have come first.
    pub base: Option<&'r Base<'r>>,
    /// Whether the changes bring back a state that was, with all that follows in it.
    pub restores: bool,
    /// Where it makes what was put off to an epoch of its own, which pages.
    pub settles: Option<Settles<'r>>,
    /// Users' functions that make pages from this commit on.
    pub declared: &'r [Declared],
}

/// A commit that was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Committed {
    /// The epoch it made.
    pub epoch: Epoch,
    /// Its frame's number.
    pub seq: Seq,
}

/// Commits the changes as one epoch of the line.
pub(crate) fn commit(core: &Core, request: Request<'_, '_>) -> Result<Committed, Error> {
    read_in(core, &request)?;
    commit_with(core, core.writer_within(request.busy_timeout)?, &request)
}

/// Reads in pages of a checkpoint that the changes are about, while others can still commit.
fn read_in(core: &Core, request: &Request<'_, '_>) -> Result<(), Error> {
    if !core.lazy.is_pending(&core.arena) {
        return Ok(());
    }
    let (_pin, root) = core.pin(request.line)?;
    for page in request.changes.iter().filter_map(page_of) {
        if let Some(at) = RootRef::new(&core.arena, root).page(page) {
            core.ready(PageRef::new(&core.arena, at))?;
        }
    }
    Ok(())
}

/// Commits with the writer already held.
pub(crate) fn commit_with(
    core: &Core,
    mut writer: Turn<'_>,
    request: &Request<'_, '_>,
) -> Result<Committed, Error> {
    if let Some(base) = request.base {
        validate::against_head(core, request.line, base, request.changes)?;
    }
    writer.body.encode(request);
    let mut staged = stage(core, &mut writer, request);
    // What was let go of since the last commit may be enough, or what processes left that are gone, or what snapshots keep.
    let more: [fn(&mut Writer, &Core); 3] = [Writer::reclaim, take_over_now, let_go_of_all];
    for make_room in more {
        if !staged.as_ref().is_err_and(|error| error.code().is_shortage()) {
            break;
        }
        make_room(&mut writer, core);
        staged = stage(core, &mut writer, request);
    }
    let (draft, committed) = staged.map_err(|error| blamed(core, &writer, error))?;
    append(core, &mut writer, draft, request, committed)?;
    show(core, writer, committed.seq)?;
    Ok(committed)
}

/// Stages unpublished versions of all that the changes touch.
fn stage<'a>(
    core: &'a Core,
    writer: &mut Writer,
    request: &Request<'_, '_>,
) -> Result<(Draft<'a>, Committed), Error> {
    let seq = writer.seq + 1;
    let base = request.line.appended()?;
    let stage = Stage::new(&core.arena, seq, std::mem::take(&mut writer.scratch));
    let epoch = Epoch(RootRef::new(&core.arena, base).epoch().0 + 1);
    let mut draft = Draft::new(stage, core.tables(), base, epoch, writer.log.head())?;
    let base = RootRef::new(&core.arena, base);
    let follows = !request.restores && (request.settles.is_some() || concerns(base, request.changes));
    writer.body.rewind();
    if let Err(error) = change(writer, request, follows, &mut draft) {
        writer.scratch = draft.abort();
        return Err(error);
    }
    // Before anybody looks at what was changed: it lies where it stays from now on.
    writer.offered.retain(|(branch, offer)| {
        if *branch == request.line.id && writer.body.pages().contains(&offer.page()) {
            writer.compacted += draft.adopt(offer);
        }
        !offer.is_over()
    });
    if follows {
        let Writer { flows, body, .. } = writer;
        if let Err(error) = follow(core, flows, body, request, &mut draft, base) {
            flows.undo();
            writer.scratch = draft.abort();
            return Err(error);
        }
    }
    Ok((draft, Committed { epoch, seq: Seq(seq) }))
}

/// Does to the draft what is asked for.
fn change(
    writer: &Writer,
    request: &Request<'_, '_>,
    follows: bool,
    draft: &mut Draft<'_>,
) -> Result<(), Error> {
    let mut parts = 0;
    for change in request.changes {
        if follows {
            check(draft, change)?;
        }
        match change {
            Change::Write(delta) => {
                let data = writer.body.data(parts, delta);
                parts += delta.parts.len();
                draft.write_data(delta, data)?;
            }
            Change::Create { page, name, schema, rows } => draft.create(*page, name, schema, *rows)?,
            Change::Drop(page) => draft.drop_page(*page)?,
            Change::Resize(page, rows) => draft.resize(*page, *rows)?,
            Change::Rule(page, rule) => draft.set_rule(*page, rule)?,
            Change::Marks(page, marks) => draft.set_marks(*page, *marks)?,
            Change::Remark(_) => {}
        }
    }
    let seq = Seq(draft.seq());
    Ok(draft.note_merged(merged(request.changes).map(|(branch, epoch)| (branch, (epoch, seq))))?)
}

/// Appends the frame; from here on the commit is made, and its stage is the state the next one starts from. Where nobody
/// waits for the disk it is shown as well, and nothing is left for [`show`] but to tell of it.
fn append(
    core: &Core,
    writer: &mut Writer,
    draft: Draft<'_>,
    request: &Request<'_, '_>,
    committed: Committed,
) -> Result<(), Error> {
    let frame = NewFrame {
        seq: committed.seq,
        epoch: committed.epoch,
        branch: request.line.id,
        durability: request.durability,
        kind: Kind::Commit,
        time: core.clock.now_ns(),
    };
    if request.changes.iter().any(|change| matches!(change, Change::Rule(..)))
        && let Err(error) = writer.log.require(RULES)
    {
        writer.flows.undo();
        writer.scratch = draft.abort();
        return Err(error.into());
    }
    let catalog =
        writer.body.resizes() || request.changes.iter().any(|change| !matches!(change, Change::Write(_)));
    let notes = FrameNotes { pages: writer.body.pages(), source: request.source, catalog };
    let appended = if writer.body.is_whole() {
        writer.log.append(frame, &[writer.body.bytes()], notes)
    } else {
        let pieces = writer.body.pieces(request.changes, &draft);
        writer.log.append(frame, &pieces, notes)
    };
    let head = match appended {
        Ok(head) => head,
        Err(error) => {
            writer.flows.undo();
            writer.scratch = draft.abort();
            return Err(unknown(writer, error));
        }
    };
    core.background.grown(head.end());
    writer.commits += 1;
    fail::at("appended");
    writer.appended += head.end() - head.position;
    let (root, stage) = draft.finish();
    let mut retired = writer.spare.pop().unwrap_or_default();
    writer.scratch = stage.settle(&mut retired);
    fail::at("settled");
    writer.send(core, &mut retired);
    core.follower.is_own(committed.seq);
    writer.seq = committed.seq.0;
    request.line.set_appended(root);
    keep(core, &mut writer.flows, request, RootRef::new(&core.arena, root));
    let needs = if request.durability == Durability::Disk { head.end() } else { 0 };
    if needs == 0 && writer.pending.is_empty() {
        // Nobody waits for the disk: nothing is put off.
        request.line.publish(root);
        fail::at("shown");
        told(core, writer, committed.seq.0, retired);
        return Ok(());
    }
    let shown = Shown::Root(Arc::clone(request.line), root);
    writer.pending.push_back(Pending { shown, seq: writer.seq, needs, retired });
    Ok(())
}

/// The branches and epochs that changes say were merged.
fn merged(changes: &[Change<'_>]) -> impl Iterator<Item = (BranchId, Epoch)> {
    changes.iter().filter_map(|change| match change {
        Change::Remark(Record::Merged { branch, epoch }) => Some((*branch, *epoch)),
        _ => None,
    })
}

/// What is to be said of a failed append: where it poisoned the log, some of the frame may be on the disk, or all of it.
fn unknown(writer: &mut Writer, error: LogError) -> Error {
    writer.unsure = true;
    match error {
        LogError::Disk(cause) if writer.log.poisoned().is_some() => {
            let (position, synced) = (writer.log.head(), writer.log.synced());
            LogError::CommitUnknown { position, synced, cause }.into()
        }
        error => error.into(),
    }
}

/// A frame that makes no epoch: what it says, and what it must survive.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Control<'r> {
    pub branch: BranchId,
    pub epoch: Epoch,
    pub record: &'r Record<'r>,
    pub durability: Durability,
}

/// Appends a frame that makes no epoch, with the stage that goes with it.
pub(crate) fn control(
    core: &Core,
    writer: &mut Writer,
    control: Control<'_>,
    stage: Stage<'_>,
    shown: impl FnOnce() -> Shown,
) -> Result<(), Error> {
    let seq = writer.seq + 1;
    let frame = NewFrame {
        seq: Seq(seq),
        epoch: control.epoch,
        branch: control.branch,
        durability: control.durability,
        kind: Kind::Control,
        time: core.clock.now_ns(),
    };
    writer.body.encode_record(control.record);
    let notes = FrameNotes { pages: &[], source: None, catalog: control.record.is_catalog() };
    let head = match writer.log.append(frame, &[writer.body.bytes()], notes) {
        Ok(head) => head,
        Err(error) => {
            stage.abort();
            return Err(unknown(writer, error));
        }
    };
    let mut retired = writer.spare.pop().unwrap_or_default();
    stage.settle(&mut retired);
    fail::at("control settled");
    writer.send(core, &mut retired);
    writer.seq = seq;
    let needs = if control.durability == Durability::Disk { head.end() } else { 0 };
    writer.pending.push_back(Pending { shown: shown(), seq, needs, retired });
    Ok(())
}

/// Publishes all that is in the log by now, waiting for the disk as any commit does.
pub(crate) fn show_all(core: &Core, busy_timeout: Duration) -> Result<(), Error> {
    let writer = core.writer_within(busy_timeout)?;
    let seq = Seq(writer.seq);
    show(core, writer, seq)
}

/// Publishes what is ready, in the order of the log; first waits for the disk where this commit, or one before it, must.
pub(crate) fn show<'c>(core: &'c Core, mut writer: Turn<'c>, seq: Seq) -> Result<(), Error> {
    if writer.pending.is_empty() {
        drop(writer);
        core.watch.tell();
        return Ok(());
    }
    let needs = writer.pending.iter().map(|pending| pending.needs).max().unwrap_or(0);
    let mut synced = 0;
    if needs > 0 {
        drop(writer);
        // One shows what the sync covers for all who wait for it.
        let show_all = || show_ready(core, &mut core.writer_again(), core.syncer.synced());
        // One that failed is never shown here: others are told to see what there is of it.
        aside(|| core.syncer.sync_together(needs, show_all)).inspect_err(|_| drop(core.writer_again()))?;
        if core.published() >= seq.0 {
            core.watch.tell();
            return Ok(());
        }
        (writer, synced) = (core.writer_again(), core.syncer.synced());
    }
    show_ready(core, &mut writer, synced);
    debug_assert!(writer.pending.front().is_none_or(|pending| pending.seq > seq.0));
    drop(writer);
    core.watch.tell();
    Ok(())
}

/// Publishes what waits for nothing beyond `synced`.
fn show_ready(core: &Core, writer: &mut Writer, synced: u64) {
    while writer.pending.front().is_some_and(|pending| pending.needs <= synced) {
        if let Some(pending) = writer.pending.pop_front() {
            publish(core, writer, pending);
        }
    }
}

/// Shows a root to readers and gives back what nobody can see any more.
fn publish(core: &Core, writer: &mut Writer, pending: Pending) {
    match &pending.shown {
        Shown::Root(line, root) => line.publish(*root),
        Shown::Forked(line) => {
            line.show();
            core.add_line(line);
        }
        Shown::Dropped(line) => {
            line.leave();
            core.forget_name(line);
        }
        Shown::Nothing => {}
    }
    told(core, writer, pending.seq, pending.retired);
}

/// What follows the showing of any frame.
fn told(core: &Core, writer: &mut Writer, seq: u64, mut retired: Vec<Retired>) {
    core.set_published(seq);
    fail::at("published");
    if writer.limbo.held_bytes() > 0 || core.arena.is_among_others() {
        writer.reap(core);
    }
    recycle(&mut writer.limbo, &core.arena, &mut writer.scratch, &mut retired);
    bound(core, writer);
    fail::at("reclaimed");
    writer.spare.push(retired);
}
