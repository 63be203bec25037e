//! The account of one span's chunks: which were never used, which are free.

use std::sync::Arc;

use crate::base::limits::{AHEAD_MAX, AHEAD_MIN, CHUNK, SMALL_REACH};
use crate::memory::addr::Addr;
use crate::memory::heap::chunks::bytes;
use crate::memory::heap::runs::Runs;
use crate::memory::machine::span::Span;

/// The account of one span, kept by the process it belongs to.
#[derive(Debug)]
pub(in crate::memory) struct SpanChunks {
    pub span: Arc<Span>,
    pub runs: Runs,
    /// Free chunks whose memory was given back to the machine.
    pub holes: Runs,
    /// From where on to look for a run of both.
    pub from: usize,
    /// The first chunk never used.
    pub fresh: usize,
    /// The first chunk not allocated to the file.
    pub allocated: usize,
    /// The first chunk not accounted for: the background thread may be allocating up to here.
    pub promised: usize,
    /// The first fresh chunk that was not populated.
    pub populated: usize,
}

/// Chunks that were handed out.
#[derive(Debug)]
pub struct Taken {
    /// The first of them.
    pub addr: Addr,
    /// Their span, for whoever has not seen it yet.
    pub span: Arc<Span>,
    /// Whether the background thread has work.
    pub behind: bool,
}

/// What the chunks of an arena come to, in bytes.
#[derive(Copy, Clone, PartialEq, Eq, Debug, Default)]
pub struct ChunkStats {
    /// Address space of all spans.
    pub reserved: u64,
    /// Allocated to the spans' files.
    pub committed: u64,
    /// In use, slabs of small blocks included.
    pub used: u64,
    /// Free for use again.
    pub free: u64,
    /// Handed out a second time or more often, over the arena's life.
    pub recycled: u64,
    /// Given back to the machine, over the arena's life.
    pub given_back: u64,
    /// Number of spans.
    pub spans: usize,
}

impl SpanChunks {
    /// Of a span whose chunks from `fresh` on were never used, and of which none before is free.
    pub fn new(span: Arc<Span>, fresh: usize) -> SpanChunks {
        SpanChunks {
            span,
            runs: Runs::default(),
            holes: Runs::default(),
            from: 0,
            fresh,
            allocated: fresh,
            promised: fresh,
            populated: fresh,
        }
    }

    /// Up to where fresh chunks should be ready: half as many again as are used, within bounds.
    pub fn wanted(&self) -> usize {
        let shape = self.span.shape();
        let ahead = bytes(self.fresh - shape.first) / 2;
        (self.fresh + ahead.clamp(AHEAD_MIN, AHEAD_MAX) as usize / CHUNK).min(shape.chunks().end)
    }

    /// Whether less than half of the fresh chunks that should be ready are.
    pub fn behind(&self) -> bool {
        let wanted = self.wanted();
        self.populated.max(self.fresh) < wanted - (wanted - self.fresh) / 2
    }

    pub fn fits(&self, small: bool) -> bool {
        !small || self.span.shape().capacity <= SMALL_REACH
    }

    pub fn taken(&self, index: usize, behind: bool) -> Taken {
        Taken { addr: Addr::new(self.span.number(), bytes(index)), span: Arc::clone(&self.span), behind }
    }
}
