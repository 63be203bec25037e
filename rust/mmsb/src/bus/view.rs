//! A view: one column as contiguous read-only memory that never changes and outlives everything but itself.
//!
//! In place where the column lies in one piece; else its pieces are mapped side by side (rewired; Rausch et al. and
//! "RUMA has it: Rewired User-space Memory Access is Possible!", VLDB 2016), or gathered where copying is cheaper.
#![allow(unsafe_code)]

use std::sync::Arc;

use crate::base::limits::{CHUNK, VIEW_MAPPINGS_MAX};
use crate::bus::error::Error;
use crate::bus::on_read::Read;
use crate::bus::past::pages::Past;
use crate::memory::addr::Addr;
use crate::memory::arena::Arena;
use crate::memory::pinning::guard::PinGuard;
use crate::memory::view::{OwnedBuffer, ViewRange, mappings};
use crate::page::block::is_null;
use crate::page::column::{ColumnRef, Extent, Place, ZEROS};

/// What mapping a range costs whatever its pieces are, in bytes that could be copied meanwhile.
const RANGE_COST: u64 = 96 << 10;
/// What mapping a piece and reading it the first time costs, likewise: 8 us measured where 64 MiB are copied in 13 ms. A
/// little less, because a copy takes memory too.
const PIECE_COST: u64 = 32 << 10;

/// Fewest pieces of a view that compaction is asked about.
const SCATTERED: usize = 16;

/// One column as contiguous read-only memory.
#[derive(Debug)]
pub struct View {
    at: *const u8,
    bytes: usize,
    backing: Backing,
    /// How many pieces were mapped or copied to make it; 0 where an earlier view's were.
    pieces: usize,
    /// What keeps the bytes from being given back; dropped last.
    _keep: Keep,
}

#[derive(Debug)]
enum Backing {
    /// The bus's own memory.
    InPlace,
    /// Pieces of it mapped side by side, and the tree they are of.
    Rewired(ViewRange, Addr),
    /// A copy.
    Gathered(#[allow(dead_code, reason = "keeps the memory the view points into")] OwnedBuffer),
}

#[derive(Debug)]
enum Keep {
    Nothing,
    Pin(#[allow(dead_code, reason = "held for its drop")] PinGuard),
    Past(#[allow(dead_code, reason = "held for its drop")] Arc<Past>),
    Read(#[allow(dead_code, reason = "held for its drop")] Arc<Read>),
}

// SAFETY: the memory is immutable for as long as the view lives, and what keeps it may be dropped on any thread.
unsafe impl Send for View {}
// SAFETY: as above; a shared view only reads.
unsafe impl Sync for View {}

impl View {
    /// The bytes.
    pub fn bytes(&self) -> &[u8] {
        // SAFETY: `at` points to `bytes` readable bytes that nobody writes while `_keep` and `backing` are held.
        unsafe { std::slice::from_raw_parts(self.at, self.bytes) }
    }

    /// How the view came about: `in place`, `rewired` or `gathered`.
    pub fn kind(&self) -> &'static str {
        match self.backing {
            Backing::InPlace => "in place",
            Backing::Rewired(..) => "rewired",
            Backing::Gathered(_) => "gathered",
        }
    }

    /// How many pieces its version lies in, where they made it at least half as dear as a copy, or where it has a good
    /// share of mappings that get scarce.
    pub(crate) fn scattered(&self) -> Option<usize> {
        let mapped = match &self.backing {
            Backing::Rewired(range, _) if mappings() > VIEW_MAPPINGS_MAX / 2 => range.pieces(),
            _ => 0,
        };
        let costly = self.pieces >= SCATTERED && 2 * PIECE_COST * self.pieces as u64 > self.bytes as u64;
        (costly || mapped > VIEW_MAPPINGS_MAX / 16).then_some(self.pieces.max(mapped))
    }

    /// A view of a published column that the pin keeps.
    pub(crate) fn live(
        arena: &Arena,
        column: ColumnRef<'_>,
        pin: PinGuard,
        reuse: Option<View>,
    ) -> Result<Self, Error> {
        if let Some(View { backing: Backing::Rewired(range, old), bytes, _keep: kept, .. }) = reuse
            && bytes as u64 == column.bytes
        {
            let before = ColumnRef { place: Place::Tree(old), ..column };
            // Where the process has too many mappings, a new view finds what can be done.
            if let Ok(Some(range)) = remap(arena, range, before, column) {
                drop(kept);
                return Ok(Self::rewired(range, column, 0, Keep::Pin(pin)));
            }
        }
        Self::new(arena, column, Keep::Pin(pin))
    }

    /// A view of a column of a rebuilt state.
    pub(crate) fn past(column: ColumnRef<'_>, past: Arc<Past>) -> Result<Self, Error> {
        Self::new(column.arena, column, Keep::Past(past))
    }

    /// A view of a column of a page that was made when somebody read it.
    pub(crate) fn on_read(column: ColumnRef<'_>, read: Arc<Read>) -> Result<Self, Error> {
        Self::new(column.arena, column, Keep::Read(read))
    }

    /// A copy of a column.
    pub(crate) fn copied(column: ColumnRef<'_>) -> Result<Self, Error> {
        Self::gathered(column, 1)
    }

    fn gathered(column: ColumnRef<'_>, pieces: usize) -> Result<Self, Error> {
        let buffer = OwnedBuffer::build(column.bytes as usize, |to| column.copy_to(to))?;
        let at = buffer.as_ptr();
        Ok(View {
            at,
            bytes: column.bytes as usize,
            backing: Backing::Gathered(buffer),
            pieces,
            _keep: Keep::Nothing,
        })
    }

    fn new(arena: &Arena, column: ColumnRef<'_>, keep: Keep) -> Result<Self, Error> {
        let bytes = column.bytes as usize;
        let in_place =
            |at: *const u8, keep| Ok(View { at, bytes, backing: Backing::InPlace, pieces: 1, _keep: keep });
        match column.place {
            Place::Block(at, _) if is_null(at) => return in_place(ZEROS.as_ptr(), Keep::Nothing),
            Place::Block(at, offset) => return in_place(arena.read_ptr(Addr(at.0 + offset as u64)), keep),
            Place::Tree(_) => {}
        }
        // A pin is on what is published.
        if matches!(keep, Keep::Pin(_))
            && let Some(first) = column.contiguous()
        {
            return in_place(arena.read_ptr(first), keep);
        }
        let (mut pieces, mut written, mut first) = (0u64, 0, Addr::default());
        column.extents(|extent| {
            pieces += 1;
            if !is_null(extent.at) {
                first = extent.at;
                written += extent.bytes;
            }
        });
        if pieces == 1 && !is_null(first) {
            return in_place(arena.read_ptr(first), keep);
        }
        let gather = column.bytes < RANGE_COST + pieces * PIECE_COST;
        if gather && column.bytes < 4 * (written + RANGE_COST) {
            return Self::gathered(column, pieces as usize);
        }
        match map_all(arena, column) {
            Ok(range) => Ok(Self::rewired(range, column, pieces as usize, keep)),
            // Too many mappings, or none to be had: a copy does as well.
            Err(_) => Self::gathered(column, pieces as usize),
        }
    }

    fn rewired(range: ViewRange, column: ColumnRef<'_>, pieces: usize, keep: Keep) -> Self {
        let root = match column.place {
            Place::Tree(root) => root,
            Place::Block(..) => Addr::default(),
        };
        let at = range.as_ptr();
        let bytes = column.bytes as usize;
        View { at, bytes, backing: Backing::Rewired(range, root), pieces, _keep: keep }
    }
}

fn map_all(arena: &Arena, column: ColumnRef<'_>) -> Result<ViewRange, Error> {
    let length = column.bytes.next_multiple_of(CHUNK as u64) as usize;
    let mut range = ViewRange::new(length)?;
    let mut failed = None;
    column.extents(|extent| {
        if failed.is_none() {
            failed = map(arena, &mut range, extent).err();
        }
    });
    failed.map_or(Ok(range), Err)
}

fn map(arena: &Arena, range: &mut ViewRange, extent: Extent) -> Result<(), Error> {
    let length = extent.bytes.next_multiple_of(CHUNK as u64) as usize;
    let offset = extent.start as usize;
    if is_null(extent.at) {
        range.map_zero(offset, length)?;
    } else {
        range.map_piece(offset, arena, extent.at, length)?;
    }
    Ok(())
}

/// The range with the pieces that changed mapped anew; `None` where making a new one is cheaper.
fn remap(
    arena: &Arena,
    mut range: ViewRange,
    before: ColumnRef<'_>,
    now: ColumnRef<'_>,
) -> Result<Option<ViewRange>, Error> {
    if !matches!(now.place, Place::Tree(root) if !is_null(root)) {
        return Ok(None);
    }
    let mut changed: Vec<(u64, u64)> = Vec::new();
    before.differing(&now, &mut |from, to| match changed.last_mut() {
        Some(last) if last.1 == from => last.1 = to,
        _ => changed.push((from, to)),
    });
    let pieces: u64 = changed.iter().map(|(from, to)| (to - from).div_ceil(CHUNK as u64)).sum();
    if pieces * PIECE_COST > now.bytes {
        return Ok(None);
    }
    for (from, to) in changed {
        let mut at = from;
        while at < to {
            let start = at;
            let chunk = now.chunk(at);
            at += CHUNK as u64;
            while at < to && !is_null(chunk) && now.chunk(at).0 == chunk.0 + (at - start) {
                at += CHUNK as u64;
            }
            map(arena, &mut range, Extent { start, bytes: at.min(to) - start, at: chunk })?;
        }
    }
    Ok(Some(range))
}
