//! The one who changes state, and what it keeps from one commit to the next.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use crate::base::ids::{BranchId, PageId, Seq};
use crate::base::limits::REAP_EVERY;
use crate::bus::body::Body;
use crate::bus::core::Core;
use crate::bus::follow::Flows;
use crate::bus::line::Line;
use crate::memory::addr::Addr;
use crate::memory::arena::Arena;
use crate::memory::pinning::limbo::{Limbo, Retired};
use crate::memory::pinning::pins::Pinned;
use crate::page::compact::Compacted;
use crate::page::log::Log;
use crate::page::stage::{Scratch, recycle, recycle_all};

/// What readers see once a frame is shown.
#[derive(Debug)]
pub(crate) enum Shown {
    /// A line has a new root.
    Root(Arc<Line>, Addr),
    /// A branch came to be.
    Forked(Arc<Line>),
    /// A branch went.
    Dropped(Arc<Line>),
    /// Nothing new.
    Nothing,
}

/// A frame that is in the log and not yet shown.
#[derive(Debug)]
pub(crate) struct Pending {
    pub shown: Shown,
    pub seq: u64,
    /// Through which position the log must be synced first; 0 for none.
    pub needs: u64,
    pub retired: Vec<Retired>,
}

/// The one who changes state: whoever holds its lock.
#[derive(Debug)]
pub(crate) struct Writer {
    pub log: Log,
    pub seq: u64,
    pub limbo: Limbo,
    pub flows: Flows,
    /// Commits so far, and bytes of all frames.
    pub commits: u64,
    pub appended: u64,
    /// Chunks that compaction put where no commit has so far taken them.
    pub offered: Vec<(BranchId, Arc<Compacted>)>,
    /// Chunks that commits took.
    pub compacted: u64,
    pub body: Body,
    pub scratch: Scratch,
    pub pending: VecDeque<Pending>,
    pub spare: Vec<Vec<Retired>>,
    /// How many bytes waited for pins when these were last looked at, and when that was; those of which somebody was told.
    pub looked: (u64, u64),
    pub told: Vec<Pinned>,
    /// When it was last asked which processes died, as frames tell the time.
    pub reaped: u64,
    /// Whether this process has the lock that all share.
    pub holds: bool,
    /// Whether an append failed, so that some of its frame may be in the log.
    pub unsure: bool,
    /// Blocks of other processes that could not be noted for them yet.
    pub unsent: Vec<Retired>,
    /// Up to where this process has taken what was noted for it.
    pub noted: u64,
    /// How many spans had been left when this process last saw that there are more to take over, and the newest frame then.
    pub orphans_since: Option<(u64, u64)>,
    /// How many blocks had been noted when all was taken over last.
    pub settled: u64,
    /// When that was tried last.
    pub tried: Option<Instant>,
}

impl Writer {
    /// A writer that goes on behind `seq`.
    pub fn new(arena: &Arc<Arena>, log: Log, seq: u64, limbo: Limbo) -> Self {
        Writer {
            log,
            seq,
            limbo,
            flows: Flows::default(),
            commits: 0,
            appended: 0,
            offered: Vec::new(),
            compacted: 0,
            body: Body::default(),
            scratch: Scratch::with_magazine(arena),
            pending: VecDeque::new(),
            spare: Vec::new(),
            looked: (0, 0),
            told: Vec::new(),
            reaped: 0,
            holds: false,
            unsure: false,
            unsent: Vec::new(),
            noted: 0,
            orphans_since: None,
            settled: 0,
            tried: None,
        }
    }

    /// Takes copies of a page's chunks, made or in the making, for commits that change it there.
    pub fn offer(&mut self, line: &Line, compacted: &Arc<Compacted>) {
        self.give_up(|on, page| on == line.id && page == compacted.page());
        if line.is_dropped() {
            compacted.give_up();
        } else {
            self.offered.push((line.id, Arc::clone(compacted)));
        }
    }

    /// Gives back what was copied for a branch that goes.
    pub fn forget(&mut self, branch: BranchId) {
        self.flows.forget(branch);
        self.give_up(|on, _| on == branch);
    }

    /// Bytes of memory that are kept for the next commit.
    pub fn kept_bytes(&self) -> u64 {
        self.scratch.kept_bytes()
    }

    /// Gives back what nobody holds any more, without waiting for the next commit, and what nobody needs.
    pub fn reclaim(&mut self, core: &Core) {
        self.give_up(|_, _| true);
        core.remembered.clear();
        core.arena.reap();
        recycle_all(&mut self.limbo, &core.arena, &mut self.scratch);
    }

    /// Every now and then lets go of what processes held that died since.
    pub fn reap(&mut self, core: &Core) {
        let now = self.log.last_time();
        if now.saturating_sub(self.reaped) >= REAP_EVERY {
            self.reaped = now;
            core.arena.reap();
        }
    }

    /// Has blocks that lie in spans of other processes noted for them, before the root is shown that lets them go.
    #[inline]
    pub fn send(&mut self, core: &Core, retired: &mut Vec<Retired>) {
        if core.arena.is_among_others() {
            core.arena.note_foreign(retired, &mut self.unsent);
            self.noted = core.arena.noted();
        }
    }

    /// Notes that a frame is shown that another process had appended.
    pub fn show_again(&mut self, core: &Core, seq: Seq, mut retired: Vec<Retired>) {
        self.seq = seq.0;
        core.set_published(seq.0);
        recycle(&mut self.limbo, &core.arena, &mut self.scratch, &mut retired);
    }

    fn give_up(&mut self, which: impl Fn(BranchId, PageId) -> bool) {
        for (_, compacted) in self.offered.extract_if(.., |(on, compacted)| which(*on, compacted.page())) {
            compacted.give_up();
        }
    }

    /// Branches that are in the log and not yet shown.
    pub fn forked(&self) -> impl Iterator<Item = &Line> {
        self.pending.iter().filter_map(|pending| match &pending.shown {
            Shown::Forked(line) => Some(&**line),
            _ => None,
        })
    }
}
