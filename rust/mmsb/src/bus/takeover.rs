//! Coming to one's turn where others had theirs: going on behind what they committed, taking what is for this process, and
//! putting right what one left that died.
//!
//! Of what a dead process was at nothing is believed but what readers see. Frames in the log behind that are made again, and
//! shown; counts are counted again; its spans go to whoever finds that nobody reads in them any more.

use std::sync::atomic::Ordering;
use std::time::Instant;

use crate::base::fail;
use crate::base::ids::Seq;
use crate::base::limits::{NOTED_MOST, TAKE_OVER_EVERY};
use crate::bus::branch;
use crate::bus::core::Core;
use crate::bus::error::Error;
use crate::bus::writer::Writer;
use crate::memory::addr::Addr;
use crate::memory::pinning::pins::{PIN_ALL, Pinned};
use crate::memory::shared::tips;
use crate::page::body::{self, Record};
use crate::page::catalog::RootRef;
use crate::page::draft::Draft;
use crate::page::log::{Durability, FrameHead, Kind, LogError};
use crate::page::reach::{Reached, lists};
use crate::page::stage::Stage;
use crate::page::state_error::StateError;

/// What is to be put right: all but the segment that is written to.
const ROLLED: u64 = 2;

/// Goes on where others left off. On an error whoever is next has to, too.
#[cold]
pub(crate) fn come_to(core: &Core, writer: &mut Writer) -> Result<(), Error> {
    let control = core.arena.control();
    core.arena.meet()?;
    if control.dirty.0.load(Ordering::Acquire) != 0 {
        repair(core, writer)?;
    } else {
        writer.log.go_on_behind()?;
        writer.seq = core.published();
        core.background.grown(writer.log.head());
    }
    take_noted(core, writer);
    if control.spans.has_orphans() {
        take_over(core, writer)?;
    }
    Ok(())
}

/// Takes the blocks that others let go of in spans of this process.
fn take_noted(core: &Core, writer: &mut Writer) {
    let noted = core.arena.noted();
    if noted == writer.noted {
        return;
    }
    writer.noted = noted;
    let mut taken = Vec::new();
    core.arena.take_noted(|of| {
        let mine = core.arena.is_mine(of.addr);
        if mine {
            taken.push(*of);
        }
        mine
    });
    writer.limbo.retire(taken);
}

/// Takes over a span whose process left it or died, where this one wants one, or all where so much was noted for them that it
/// is worth the trouble. Those of which nothing is in use are left to whoever wants a span.
fn take_over(core: &Core, writer: &mut Writer) -> Result<(), Error> {
    let (arena, table) = (&core.arena, &core.arena.control().spans);
    // Asked before the frame is: what was left then had died by it.
    let left = table.left();
    let since = match writer.orphans_since {
        Some((known, since)) if known == left => since,
        _ => {
            // Whoever left them may have left more; what cannot be removed now is when the bus is opened anew.
            let _ = writer.log.remove_spares(false);
            writer.orphans_since.insert((left, core.published())).1
        }
    };
    let (wants, all) = (arena.wants_span(), arena.noted().wrapping_sub(writer.settled) > NOTED_MOST);
    if !writer.pending.is_empty() || !wants && !all {
        return Ok(());
    }
    if writer.tried.is_some_and(|tried| tried.elapsed() < TAKE_OVER_EVERY) {
        return Ok(());
    }
    writer.tried = Some(Instant::now());
    let mut orphans = table.orphans();
    if !table.has_lost() && !is_read(core, since) {
        let in_use = Reached::by(arena, tips::roots(arena)).in_use(arena)?;
        for number in orphans {
            if arena.adopt(number, &in_use)? && !all {
                break;
            }
        }
        writer.settled = arena.noted();
    } else if wants {
        // Nobody knows what of the rest they read.
        orphans.sort_by_key(|&number| arena.room_of(number));
        if let Some(number) = orphans.pop() {
            arena.adopt_as_it_is(number)?;
        }
    }
    if table.orphans().is_empty() {
        writer.orphans_since = None;
    }
    // What was noted for what is this process's now.
    writer.noted = arena.noted().wrapping_sub(1);
    take_noted(core, writer);
    Ok(())
}

/// Takes over what processes left that are gone, in the midst of a turn, because memory is short. What keeps it from that is said
/// to whoever has its turn next.
#[cold]
pub(crate) fn take_over_now(writer: &mut Writer, core: &Core) {
    let orphans = || core.arena.control().spans.orphans().len();
    let mut left = if core.takes_turns { orphans() } else { 0 };
    while left > 0 {
        writer.tried = None;
        let done = take_over(core, writer);
        if done.is_err() || orphans() >= left {
            return;
        }
        left = orphans();
    }
}

/// Whether somebody may read what was not in use any more before a frame. What was in use then, and is not now, was noted with
/// its life.
fn is_read(core: &Core, before: u64) -> bool {
    let mut pins: Vec<Pinned> = Vec::new();
    let known = core.arena.pins().scan(&mut pins);
    !known || pins.iter().any(|pin| pin.seq == PIN_ALL || pin.seq < before)
}

/// As much of that as a process may do that only reads, if nobody else has the lock: it takes over spans in which nothing of a
/// state is, since it never has its turn, in which others would tell it what they let go of.
pub(crate) fn take_over_to_read(core: &Core) -> Result<(), Error> {
    let (arena, control) = (&core.arena, core.arena.control());
    if !control.spans.has_orphans() || !arena.try_lock() {
        return Ok(());
    }
    let work = || {
        let mut pins: Vec<Pinned> = Vec::new();
        let alone = arena.pins().scan(&mut pins) && pins.is_empty();
        if !alone || control.spans.has_lost() || control.dirty.0.load(Ordering::Acquire) != 0 {
            return Ok(());
        }
        arena.meet()?;
        let (lists, in_use) = (lists(arena)?, Reached::by(arena, tips::roots(arena)).in_use(arena)?);
        let of_states = |number: u16| {
            let its = in_use.range(Addr::new(number, 0)..Addr::new(number + 1, 0));
            its.into_iter().any(|(addr, _)| !lists.contains_key(addr))
        };
        let empty = control.spans.orphans().into_iter().filter(|&number| !of_states(number));
        for number in empty.collect::<Vec<u16>>() {
            arena.adopt(number, &in_use)?;
        }
        control.spans.orphans();
        Ok(())
    };
    let done = work();
    arena.unlock();
    done
}

/// Puts right what a process left that died with the lock, or whose log failed.
fn repair(core: &Core, writer: &mut Writer) -> Result<(), Error> {
    let arena = &core.arena;
    arena.reap();
    // Whatever this process began belongs to what is made again.
    writer.flows.undo();
    let roots = tips::roots(arena);
    let each = || roots.iter().map(|&root| RootRef::new(arena, root));
    let shown = each().map(|root| root.seq()).fold(core.published(), u64::max);
    let from = each().map(|root| root.position()).fold(writer.log.start_position(), u64::max);
    arena.take_noted(|of| of.died > shown);
    writer.unsent.retain(|of| of.died <= shown);
    fail::at("repairing");
    tips::repair(arena);
    fail::at("repairing");
    Reached::by(arena, roots.iter().copied()).set_counts(arena);
    fail::at("repairing");
    let dirty = &arena.control().dirty.0;
    writer.log.go_on_behind_dead(dirty.load(Ordering::Acquire) == ROLLED)?;
    // Whoever has to try again need not make another.
    dirty.store(ROLLED, Ordering::Release);
    fail::at("repairing");
    // Those that were shown with nobody being told are told of first.
    core.set_published(shown);
    writer.seq = shown;
    let mut frames = core.log.clone().frames(from, writer.log.head());
    while let Some((head, body)) = frames.next_frame()? {
        if head.seq.0 > shown {
            again(core, writer, &head, body)?;
            fail::at("repairing");
        }
    }
    dirty.store(0, Ordering::Release);
    core.watch.tell();
    Ok(())
}

/// Makes again what a frame says that is in the log, and shows it.
fn again(core: &Core, writer: &mut Writer, frame: &FrameHead, body: &[u8]) -> Result<(), Error> {
    if frame.durability == Durability::Disk {
        core.syncer.sync_through(frame.end())?;
    }
    if frame.kind != Kind::Commit {
        let mut retired = Vec::new();
        for record in body::records(body) {
            match record? {
                Record::Fork { name, parent, at } => {
                    branch::fork_again(core, writer, frame, (name, parent, at))?;
                }
                Record::DropBranch => retired.append(&mut branch::drop_again(core, writer, frame)?),
                _ => {}
            }
        }
        writer.show_again(core, frame.seq, retired);
        return Ok(());
    }
    let unknown = || LogError::OutOfOrder { seq: frame.seq.0, last: writer.seq };
    let line = core.line_of(frame.branch).ok_or_else(unknown)?;
    let counter = body::records(body).filter_map(Result::ok).filter_map(|record| match record {
        Record::Create { page, .. } if page.0 >> 32 == u64::from(frame.branch.0) => Some(page.0 as u32),
        _ => None,
    });
    line.raise_counter(counter.max().unwrap_or_default());
    let stage = Stage::new(&core.arena, frame.seq.0, std::mem::take(&mut writer.scratch));
    let mut draft = Draft::new(stage, core.tables(), line.appended()?, frame.epoch, frame.position)?;
    let played = play(&mut draft, frame.seq, body);
    if let Err(error) = played {
        writer.scratch = draft.abort();
        return Err(error.into());
    }
    let (root, stage) = draft.finish();
    let mut retired = Vec::new();
    writer.scratch = stage.settle(&mut retired);
    core.arena.note_foreign(&mut retired, &mut writer.unsent);
    line.set_appended(root);
    line.publish(root);
    writer.show_again(core, frame.seq, retired);
    Ok(())
}

/// Does to a draft what the frame of a commit says.
fn play(draft: &mut Draft<'_>, seq: Seq, body: &[u8]) -> Result<(), StateError> {
    let mut merged = Vec::new();
    draft.play(body, |record| {
        if let Record::Merged { branch, epoch } = record {
            merged.push((*branch, (*epoch, seq)));
        }
    })?;
    draft.note_merged(merged)
}
