//! Checkpoints of a bus: taken under the writer in microseconds, written without it.

use crate::base::ids::{BranchId, Epoch, Seq};
use crate::bus::commit::{self, Control};
use crate::bus::core::Core;
use crate::bus::error::Error;
use crate::bus::line::Line;
use crate::bus::writer::{Shown, Writer};
use crate::memory::pinning::guard::PinGuard;
use crate::page::body::Record;
use crate::page::catalog::RootRef;
use crate::page::checkpoint::write::{BranchState, Cut};
use crate::page::log::Durability;
use crate::page::stage::{Scratch, Stage};

/// A checkpoint that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckpointInfo {
    /// It holds the state after this frame.
    pub seq: Seq,
    /// Its root record, in the directory of the bus.
    pub path: String,
    /// Bytes written.
    pub bytes: u64,
    /// Bytes of the state that earlier checkpoints had written already.
    pub reused: u64,
}

fn branch_state(core: &Core, line: &Line) -> BranchState {
    let root = line.appended().ok();
    let merged = match root {
        Some(root) => RootRef::new(&core.arena, root).merged(),
        None => line.last_merged(),
    };
    BranchState {
        id: line.id,
        name: line.name.clone(),
        origin: line.origin.map(|origin| (origin.parent, origin.epoch)),
        counter: line.counter(),
        merged: merged.into_iter().map(|(branch, (epoch, seq))| (branch, epoch, seq)).collect(),
        root,
    }
}

/// Everything at the newest frame, pinned. What waits to be shown is in it: it is in the log.
pub(crate) fn cut<'c>(core: &'c Core, writer: &Writer) -> Result<(Cut, PinGuard<&'c Core>), Error> {
    let seq = writer.seq;
    let mut branches: Vec<BranchState> = {
        let lines = core.lines();
        lines.by_id.values().map(|line| branch_state(core, line)).collect()
    };
    branches.extend(writer.forked().map(|line| branch_state(core, line)));
    branches.sort_by_key(|branch| branch.id);
    branches.dedup_by_key(|branch| branch.id);
    let pin = PinGuard::new(core, || seq)?;
    let (position, before) = (writer.log.head(), writer.log.last_crc());
    Ok((Cut { seq: Seq(seq), position, before, branches }, pin))
}

/// Makes a checkpoint of the present state.
pub(crate) fn make(core: &Core, progress: &mut dyn FnMut(u64)) -> Result<CheckpointInfo, Error> {
    core.checkpoints.outside()?;
    core.ready_whole()?;
    let (cut, pin) = cut(core, &*core.writer()?)?;
    core.syncer.sync_through(cut.position)?;
    let written = core.checkpoints.write(&core.arena, core.tables(), &cut, progress)?;
    drop(pin);
    core.syncer.checkpointed(&written.name, written.seq.0)?;
    let mut writer = core.writer()?;
    let stage = Stage::new(&core.arena, writer.seq + 1, Scratch::default());
    let record = Record::Checkpoint(written.seq.0);
    let main = BranchId::MAIN;
    let head = core.line_of(main).and_then(|line| line.appended().ok());
    let epoch = head.map_or(Epoch(0), |root| RootRef::new(&core.arena, root).epoch());
    // Nothing is lost with it: the checkpoint is found by its own files.
    let control = Control { branch: main, epoch, record: &record, durability: Durability::default() };
    commit::control(core, &mut writer, control, stage, || Shown::Nothing)?;
    let seq = Seq(writer.seq);
    commit::show(core, writer, seq)?;
    core.background.checkpointed(cut.position, written.bytes);
    Ok(CheckpointInfo { seq: written.seq, path: written.name, bytes: written.bytes, reused: written.reused })
}
