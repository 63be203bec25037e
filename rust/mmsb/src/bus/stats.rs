//! What a bus counts.

use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::base::ids::Seq;
use crate::bus::core::Core;
use crate::bus::error::Error;
use crate::bus::past::begin::kept;
use crate::memory::arena::ArenaStats;

/// What a bus holds and has done.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Stats {
    /// Its memory.
    pub arena: ArenaStats,
    /// Bytes that are out of use and wait for whoever still holds them.
    pub held: u64,
    /// Snapshots let go of since the bus was opened, because they cost more than they may.
    pub let_go: u64,
    /// Branches that live.
    pub branches: u64,
    /// Pages of all of them; one that several have counts for each.
    pub pages: u64,
    /// The newest frame.
    pub seq: Seq,
    /// Commits since the bus was opened.
    pub commits: u64,
    /// Chunks that compaction put side by side since then.
    pub compacted: u64,
    /// Chunks, pages and nodes hashed for digests since then: what changed between them, and the paths to it.
    pub hashed: u64,
    /// Bytes of frames appended since then.
    pub appended: u64,
    /// Bytes of frames kept.
    pub log: u64,
    /// Of them, bytes known to survive a loss of power.
    pub synced: u64,
    /// Segments of the log.
    pub segments: u64,
    /// Bytes of their files.
    pub segment_bytes: u64,
    /// Syncs of the log since the bus was opened: fewer than commits where these share them.
    pub syncs: u64,
    /// Checkpoints kept.
    pub checkpoints: u64,
    /// Bytes of their chunk files.
    pub checkpoint_bytes: u64,
    /// Bytes of frames behind the newest checkpoint: what opening replays.
    pub tail: u64,
    /// Pages of the checkpoint it was opened from whose cells nobody has needed yet: they are on disk still.
    pub unread: u64,
}

/// Counts.
pub(crate) fn stats(core: &Core) -> Result<Stats, Error> {
    let (held, seq, commits, compacted, appended, arena) = {
        let writer = core.writer_here(Duration::MAX)?;
        let mut arena = core.arena.stats();
        arena.used_small -= writer.kept_bytes();
        (writer.limbo.held_bytes(), writer.seq, writer.commits, writer.compacted, writer.appended, arena)
    };
    let seq = if core.follows { core.published() } else { seq };
    // Before the log's end, so that none lies behind that.
    let heads = kept(&core.checkpoints, &core.log);
    let (start, head) = (core.log.start(), core.log.head());
    let segments = core.log.segments()?;
    let (mut branches, mut pages) = (0, 0);
    for line in core.living() {
        let (_pin, root) = core.pin(&line)?;
        branches += 1;
        pages += crate::page::catalog::RootRef::new(&core.arena, root).len();
    }
    Ok(Stats {
        arena,
        held,
        let_go: core.let_go.load(Ordering::Relaxed),
        branches,
        pages,
        seq: Seq(seq),
        commits,
        compacted,
        hashed: core.digests.missed(),
        appended,
        log: head - start,
        synced: core.log.synced().saturating_sub(start),
        segments: segments.len() as u64,
        segment_bytes: segments.iter().map(|segment| segment.file_bytes).sum(),
        syncs: core.syncer.fsyncs(),
        checkpoints: heads.len() as u64,
        checkpoint_bytes: core.checkpoints.chunk_bytes()?,
        unread: core.lazy.left() as u64,
        tail: head - heads.last().map_or(start, |newest| newest.position),
    })
}
