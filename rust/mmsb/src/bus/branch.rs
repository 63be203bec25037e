//! Branches: forking a line of epochs off another, and letting one go. Both are frames of the log that make no epoch.

use std::sync::Arc;

use crate::base::fail;
use crate::base::ids::{BranchId, Epoch, Seq};
use crate::bus::commit::{self, Control};
use crate::bus::core::Core;
use crate::bus::error::Error;
use crate::bus::line::{Line, Origin};
use crate::bus::lines::list;
use crate::bus::options::Manner;
use crate::bus::past::pages;
use crate::bus::upkeep::background::Background;
use crate::bus::writer::{Shown, Writer};
use crate::memory::addr::Addr;
use crate::memory::pinning::limbo::Retired;
use crate::memory::shared::tips::Tip;
use crate::page::body::Record;
use crate::page::catalog::{self, RootRef};
use crate::page::draft::Draft;
use crate::page::log::FrameHead;
use crate::page::merged::Merged;
use crate::page::schema::check_branch_name;
use crate::page::stage::Stage;

/// Forks a branch off `parent` at an epoch, by default at its head, in the time of a commit; further back its pages are
/// rebuilt.
pub(crate) fn fork(
    core: &Arc<Core>,
    parent: &Arc<Line>,
    manner: Manner,
    name: &str,
    at: Option<Epoch>,
) -> Result<Arc<Line>, Error> {
    check_branch_name(name)?;
    let mut writer = core.writer_within(manner.busy_timeout)?;
    // One that waits for the disk has its name already.
    if core.line(name).is_some() || writer.forked().any(|line| line.name == name) {
        return Err(Error::BranchExists(name.into()));
    }
    let from = parent.appended()?;
    let id = {
        let next = core.change_lines(|lines| {
            lines.last = lines.last.checked_add(1)?;
            Some(lines.last)
        });
        BranchId(next.ok_or_else(|| Error::Invalid("all 4,294,967,295 branch ids are given out".into()))?)
    };
    let head = RootRef::new(&core.arena, from).epoch();
    let epoch = at.unwrap_or(head);
    if epoch > head {
        let branch = parent.name.clone();
        return Err(Error::NoEpoch { branch, epoch, first: Epoch(0), last: head });
    }
    let seq = writer.seq + 1;
    let position = writer.log.head();
    let (stage, root) = begin(core, &mut writer, parent, id, (epoch, position))?;
    let has_rules = RootRef::new(&core.arena, root).rules() > 0;
    let record = Record::Fork { name, parent: parent.id, at: epoch };
    let control = Control { branch: id, epoch, record: &record, durability: manner.durability };
    let tip = match Tip::new(&core.arena, id.0, root, 0) {
        Ok(tip) => tip,
        Err(error) => {
            stage.abort();
            return Err(error.into());
        }
    };
    let line = Line::new(id, name.into(), Some(Origin { parent: parent.id, epoch }), tip);
    // Others find it when it is shown; one that does not come to be is dropped before anybody saw it.
    if let Err(error) = core.list_line(&line) {
        stage.abort();
        return Err(error);
    }
    fail::at("forking");
    if let Err(error) =
        commit::control(core, &mut writer, control, stage, || Shown::Forked(Arc::clone(&line)))
    {
        core.give_up_line(&line);
        return Err(error);
    }
    core.fork_functions(parent.id, id);
    // What an earlier epoch had put off may be made where it was forked from.
    let late = writer.flows.has_late(parent.id) || epoch < head && has_rules;
    commit::show(core, writer, Seq(seq))?;
    if late {
        Background::settle(core, id);
    }
    core.line(name).ok_or_else(|| Error::NoBranch(name.into()))
}

/// The root of a branch that starts from an epoch of its parent, and the stage it is on; its frame is at `position`.
fn begin<'a>(
    core: &'a Core,
    writer: &mut Writer,
    parent: &Arc<Line>,
    id: BranchId,
    (epoch, position): (Epoch, u64),
) -> Result<(Stage<'a>, Addr), Error> {
    let (head, seq) = (parent.appended()?, writer.seq + 1);
    let stage = || Stage::new(&core.arena, seq, Default::default());
    if epoch == RootRef::new(&core.arena, head).epoch() {
        let mut stage = stage();
        return match catalog::fork_root(&mut stage, head, id) {
            Ok(root) => Ok((stage, root)),
            Err(error) => {
                stage.abort();
                Err(error.into())
            }
        };
    }
    match rebuild(core, stage(), parent, id, epoch, position) {
        Err(error) if error.code().is_shortage() => {
            // What was let go of since the last commit may be enough.
            writer.reclaim(core);
            rebuild(core, stage(), parent, id, epoch, position)
        }
        made => made,
    }
}

/// Builds a past state as the root of a branch.
fn rebuild<'a>(
    core: &'a Core,
    mut stage: Stage<'a>,
    parent: &Arc<Line>,
    id: BranchId,
    epoch: Epoch,
    position: u64,
) -> Result<(Stage<'a>, Addr), Error> {
    let root = match catalog::empty_root(&mut stage, id, Epoch(0)) {
        Ok(root) => root,
        Err(error) => {
            stage.abort();
            return Err(error.into());
        }
    };
    let mut draft = Draft::new(stage, core.tables(), root, epoch, position)?;
    let stretches = pages::lineage(core, parent, epoch);
    let rebuilt = pages::begin_of(core, parent, epoch, &stretches)
        .and_then(|begin| pages::rebuild_all(&core.log, &begin, &stretches, &mut draft));
    if let Err(error) = rebuilt {
        draft.abort();
        return Err(error);
    }
    draft.set_epoch(epoch, position);
    let (root, stage) = draft.finish();
    Ok((stage, root))
}

/// Lets a branch go: its name is free, its memory is given back, and its history stays in the log.
pub(crate) fn drop_branch(core: &Arc<Core>, line: &Arc<Line>, manner: Manner) -> Result<(), Error> {
    if line.origin.is_none() {
        return Err(Error::Invalid(format!(
            "branch '{}' is the bus's first and cannot be dropped",
            line.name
        )));
    }
    let mut writer = core.writer_within(manner.busy_timeout)?;
    let (seq, root) = (writer.seq + 1, line.appended()?);
    core.lazy.ready_to_go(&core.arena, root)?;
    let (epoch, merged) = (RootRef::new(&core.arena, root).epoch(), RootRef::new(&core.arena, root).merged());
    tell_merged(core, line, merged)?;
    let mut stage = Stage::new(&core.arena, seq, Default::default());
    stage.release(root);
    let record = Record::DropBranch;
    let control = Control { branch: line.id, epoch, record: &record, durability: manner.durability };
    commit::control(core, &mut writer, control, stage, || Shown::Dropped(Arc::clone(line)))?;
    line.go();
    fail::at("dropping");
    writer.forget(line.id);
    let shown = commit::show(core, writer, Seq(seq));
    drop(core.functions(|functions| functions.forget(line.id)));
    core.remembered.forget(line.id);
    line.posts.forget();
    shown
}

/// Notes, for all processes, what had come in by merges to a branch that is about to be dropped.
fn tell_merged(core: &Core, line: &Line, merged: Merged) -> Result<(), Error> {
    if merged.is_empty() {
        return Ok(());
    }
    line.set_last_merged(merged);
    list(&core.arena, line)
}

/// Forks a branch as a frame says that is in the log and was never shown.
pub(crate) fn fork_again(
    core: &Core,
    writer: &mut Writer,
    frame: &FrameHead,
    (name, parent, at): (&str, BranchId, Epoch),
) -> Result<(), Error> {
    let parent = core.line_of(parent).ok_or_else(|| Error::NoBranch(parent.to_string()))?;
    let (stage, root) = begin(core, writer, &parent, frame.branch, (at, frame.position))?;
    let tip = match Tip::new(&core.arena, frame.branch.0, root, 0) {
        Ok(tip) => tip,
        Err(error) => {
            stage.abort();
            return Err(error.into());
        }
    };
    let origin = Some(Origin { parent: parent.id, epoch: at });
    let line = Line::new(frame.branch, name.into(), origin, tip);
    if let Err(error) = core.list_line(&line) {
        stage.abort();
        return Err(error);
    }
    stage.settle(&mut Vec::new());
    line.show();
    core.add_line(&line);
    core.fork_functions(parent.id, line.id);
    Ok(())
}

/// Drops a branch as a frame says that is in the log and was never shown; what goes with it.
pub(crate) fn drop_again(core: &Core, writer: &mut Writer, frame: &FrameHead) -> Result<Vec<Retired>, Error> {
    let line = core.line_of(frame.branch).ok_or_else(|| Error::NoBranch(frame.branch.to_string()))?;
    let Ok(root) = line.appended() else { return Ok(Vec::new()) };
    core.lazy.ready_to_go(&core.arena, root)?;
    tell_merged(core, &line, RootRef::new(&core.arena, root).merged())?;
    let (mut stage, mut retired) = (Stage::new(&core.arena, frame.seq.0, Default::default()), Vec::new());
    stage.release(root);
    stage.settle(&mut retired);
    core.arena.note_foreign(&mut retired, &mut writer.unsent);
    line.go();
    line.leave();
    writer.forget(line.id);
    core.forget_name(&line);
    Ok(retired)
}
