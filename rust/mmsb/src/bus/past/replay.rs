//! Replay: the frames of the log, applied in order to an empty bus or to a checkpoint. User code never runs here.

use std::collections::HashMap;
use std::sync::Arc;

use crate::base::ids::{BranchId, Epoch};
use crate::bus::error::Error;
use crate::bus::line::{Line, Origin};
use crate::bus::lines::{Lines, list};
use crate::bus::past::begin::{self, Begin, Wanted};
use crate::bus::past::pages::{self, Stretch};
use crate::bus::past::rebuilt::BranchDigest;
use crate::memory::addr::Addr;
use crate::memory::arena::Arena;
use crate::memory::pinning::limbo::{Limbo, Retired};
use crate::memory::shared::tips::Tip;
use crate::page::body::{self, Record};
use crate::page::catalog::{self, RootRef};
use crate::page::checkpoint::CheckpointError;
use crate::page::checkpoint::load::load;
use crate::page::checkpoint::record::{Branch, Record as Checkpoint};
use crate::page::checkpoint::store::Store;
use crate::page::digest::{DigestCache, Tally};
use crate::page::draft::{Draft, Tables};
use crate::page::log::{FrameHead, Kind, LogReader};
use crate::page::merged::Merged;
use crate::page::stage::{Scratch, Stage, recycle};
use crate::page::state_error::StateError;

/// The seq of the empty bus: no frame has it, and a pin can hold it (0 is a pin's sign for "nobody").
pub(crate) const GENESIS: u64 = 1;
/// The name of the branch every bus starts with.
pub(crate) const MAIN: &str = "main";

/// A branch while the log is replayed.
#[derive(Debug)]
struct Replayed {
    name: String,
    origin: Option<Origin>,
    root: Addr,
    /// The highest page counter that any frame of it gave out.
    counter: u32,
    dropped: bool,
    /// Of one that was dropped, what had come in by merges.
    merged: Merged,
}

/// Builds the branches of a bus from its log.
pub(crate) struct Replay<'a> {
    arena: &'a Arena,
    tables: Tables<'a>,
    log: LogReader,
    /// Where past states may begin; without, they are replayed from the start of the log.
    store: Option<Arc<Store>>,
    lines: HashMap<BranchId, Replayed>,
    /// The draft that the frames of one branch in a row go to.
    open: Option<(BranchId, Draft<'a>)>,
    scratch: Scratch,
    limbo: Limbo,
    retired: Vec<Retired>,
    digests: DigestCache,
    /// The last frame seen.
    pub seq: u64,
}

impl<'a> Replay<'a> {
    /// A bus with an empty main branch.
    pub fn new(
        arena: &'a Arena,
        tables: Tables<'a>,
        log: LogReader,
        store: Option<Arc<Store>>,
    ) -> Result<Self, Error> {
        let mut stage = Stage::new(arena, GENESIS, Scratch::default());
        let root = catalog::empty_root(&mut stage, BranchId(0), Epoch(0))?;
        let mut retired = Vec::new();
        let scratch = stage.settle(&mut retired);
        let main = Replayed {
            name: MAIN.into(),
            origin: None,
            root,
            counter: 0,
            dropped: false,
            merged: Merged::new(),
        };
        let lines = HashMap::from([(BranchId(0), main)]);
        Ok(Replay {
            arena,
            tables,
            log,
            store,
            lines,
            open: None,
            scratch,
            limbo: Limbo::default(),
            retired,
            digests: DigestCache::default(),
            seq: GENESIS,
        })
    }

    /// The bus that a checkpoint holds. Cells are read in when they are needed.
    pub fn resume(
        arena: &'a Arena,
        tables: Tables<'a>,
        log: LogReader,
        store: &Arc<Store>,
        record: &Arc<Checkpoint>,
    ) -> Result<Self, CheckpointError> {
        let roots = load(arena, tables, store.disk(), record)?;
        let line = |(branch, root): (&Branch, Addr)| {
            let origin = branch.origin.map(|(parent, epoch)| Origin { parent, epoch });
            let (name, dropped, merged) = (branch.name.clone(), branch.root.is_none(), branch.came_in());
            (branch.id, Replayed { name, origin, root, counter: branch.counter, dropped, merged })
        };
        let lines = record.branches.iter().zip(roots).map(line).collect();
        Ok(Replay {
            arena,
            tables,
            log,
            store: Some(Arc::clone(store)),
            lines,
            open: None,
            scratch: Scratch::default(),
            limbo: Limbo::default(),
            retired: Vec::new(),
            digests: DigestCache::default(),
            seq: record.head.seq.0,
        })
    }

    /// Applies the frames from a position on.
    pub fn frames(&mut self, from: u64, to: u64) -> Result<(), Error> {
        let mut frames = self.log.clone().frames(from, to);
        while let Some((head, body)) = frames.next_frame()? {
            self.frame(&head, body)?;
        }
        Ok(())
    }

    /// Applies a frame.
    pub fn frame(&mut self, frame: &FrameHead, body: &[u8]) -> Result<(), Error> {
        self.seq = frame.seq.0;
        if frame.kind != Kind::Commit {
            return self.control(frame, body);
        }
        let branch = frame.branch;
        if self.open.as_ref().is_none_or(|(open, _)| *open != branch) {
            self.close()?;
            let line = self.lines.get(&branch).ok_or_else(|| unknown(frame))?;
            let stage = Stage::new(self.arena, self.seq, std::mem::take(&mut self.scratch));
            let draft = Draft::new(stage, self.tables, line.root, frame.epoch, frame.position)?;
            self.open = Some((branch, draft));
        }
        let Some((_, draft)) = &mut self.open else { return Err(unknown(frame)) };
        draft.set_epoch(frame.epoch, frame.position);
        let (lines, mut merged) = (&mut self.lines, Vec::new());
        draft.play(body, |record| {
            let Some(line) = lines.get_mut(&branch) else { return };
            match record {
                Record::Merged { branch: from, epoch } => merged.push((*from, (*epoch, frame.seq))),
                Record::Create { page, .. } if page.0 >> 32 == u64::from(branch.0) => {
                    line.counter = line.counter.max(page.0 as u32);
                }
                _ => {}
            }
        })?;
        Ok(draft.note_merged(merged)?)
    }

    /// Settles the draft: its frames are the state now.
    fn close(&mut self) -> Result<(), Error> {
        let Some((branch, draft)) = self.open.take() else { return Ok(()) };
        let (root, stage) = draft.finish();
        self.scratch = stage.settle(&mut self.retired);
        if let Some(line) = self.lines.get_mut(&branch) {
            line.root = root;
        }
        self.recycle();
        Ok(())
    }

    fn recycle(&mut self) {
        recycle(&mut self.limbo, self.arena, &mut self.scratch, &mut self.retired);
    }

    fn control(&mut self, frame: &FrameHead, body: &[u8]) -> Result<(), Error> {
        self.close()?;
        for record in body::records(body) {
            match record? {
                Record::Fork { name, parent, at } => self.fork(frame, name, parent, at)?,
                Record::DropBranch => self.drop_branch(frame.branch)?,
                _ => {}
            }
        }
        Ok(())
    }

    fn fork(&mut self, frame: &FrameHead, name: &str, parent: BranchId, at: Epoch) -> Result<(), Error> {
        let line = self.lines.get(&parent).ok_or_else(|| unknown(frame))?;
        let from = line.root;
        let mut stage = Stage::new(self.arena, self.seq, std::mem::take(&mut self.scratch));
        let branch = frame.branch;
        let root = if RootRef::new(self.arena, from).epoch() == at {
            catalog::fork_root(&mut stage, from, branch)?
        } else {
            let stretches = self.lineage(parent, at);
            let root = catalog::empty_root(&mut stage, branch, Epoch(0))?;
            let mut draft = Draft::new(stage, self.tables, root, at, frame.position)?;
            let begin = match &self.store {
                Some(store) => {
                    let wanted = Wanted { branch: parent, epoch: at, stretches: stretches.clone() };
                    begin::begin(store, &self.log, &wanted)?.ok_or_else(|| unknown(frame))?
                }
                None => Begin::zero(),
            };
            pages::rebuild_all(&self.log, &begin, &stretches, &mut draft)?;
            draft.set_epoch(at, frame.position);
            let (root, finished) = draft.finish();
            stage = finished;
            root
        };
        self.scratch = stage.settle(&mut self.retired);
        self.recycle();
        let origin = Some(Origin { parent, epoch: at });
        let (name, merged) = (name.into(), Merged::new());
        self.lines.insert(branch, Replayed { name, origin, root, counter: 0, dropped: false, merged });
        Ok(())
    }

    fn lineage(&self, line: BranchId, epoch: Epoch) -> Vec<Stretch> {
        pages::stretches(line, epoch, |id| self.lines.get(&id).and_then(|line| line.origin))
    }

    fn drop_branch(&mut self, branch: BranchId) -> Result<(), Error> {
        let Some(line) = self.lines.get_mut(&branch) else { return Ok(()) };
        self.tables.lazy.ready_to_go(self.arena, line.root)?;
        let mut stage = Stage::new(self.arena, self.seq, std::mem::take(&mut self.scratch));
        stage.release(line.root);
        line.merged = RootRef::new(self.arena, line.root).merged();
        line.root = Addr::default();
        line.dropped = true;
        self.scratch = stage.settle(&mut self.retired);
        self.recycle();
        Ok(())
    }

    /// The digests of the branches that live, by name.
    pub fn digests(&mut self) -> Result<Vec<BranchDigest>, Error> {
        self.close()?;
        self.tables.lazy.all(self.arena)?;
        let mut found = Vec::new();
        for line in self.lines.values().filter(|line| !line.dropped) {
            let root = RootRef::new(self.arena, line.root);
            let digest = self.digests.state::<Error>(
                root,
                self.tables.schemas,
                &mut |_| Ok(()),
                &mut Tally::new(&mut |_| {}),
            )?;
            found.push(BranchDigest { branch: line.name.clone(), epoch: root.epoch(), digest });
        }
        found.sort_unstable();
        Ok(found)
    }

    /// The branches, as the log leaves them.
    pub fn finish(mut self, arena: &Arc<Arena>) -> Result<(Lines, u64, Limbo), Error> {
        self.close()?;
        let mut lines = Lines::default();
        for (id, replayed) in self.lines {
            let Replayed { name, origin, root, counter, merged, dropped, .. } = replayed;
            let line = if dropped {
                Line::gone(id, name, origin, counter, merged)
            } else {
                let tip = Tip::new(arena, id.0, root, counter)?;
                let line = Line::new(id, name, origin, tip);
                line.show();
                line
            };
            list(arena, &line)?;
            lines.add(&line);
        }
        Ok((lines, self.seq, self.limbo))
    }
}

fn unknown(frame: &FrameHead) -> Error {
    let why =
        format!("the frame at {} speaks of {}, which no frame before it made", frame.position, frame.branch);
    StateError::BadRecord(why).into()
}
