//! Reading frames one after the other, verified, with few large reads.

use crate::base::crc::crc32c;
use crate::memory::disk::DiskError;
use crate::page::log::frame::{FrameHead, HEADER, frame_bytes};
use crate::page::log::segment::Opened;

/// Bytes read ahead when frames are read in order.
pub(crate) const READ_AHEAD: usize = 1 << 20;

/// A stretch of a segment's frames, in memory.
#[derive(Debug)]
pub(crate) struct Window {
    bytes: Vec<u8>,
    /// Position of the first byte.
    start: u64,
    filled: usize,
    /// Bytes to read at a time.
    ahead: usize,
}

impl Window {
    /// An empty one that reads this much at a time.
    pub const fn new(ahead: usize) -> Self {
        Self { bytes: Vec::new(), start: 0, filled: 0, ahead }
    }

    /// How much to read from now on.
    pub const fn set_ahead(&mut self, ahead: usize) {
        self.ahead = ahead;
    }

    /// Whether it has the byte at a position of the segment it was filled from.
    pub const fn holds(&self, at: u64) -> bool {
        self.start <= at && at < self.start + self.filled as u64
    }

    /// Forgets what it holds: another segment follows.
    pub const fn clear(&mut self) {
        self.filled = 0;
    }

    // Inlined by force: most frames are so short that handing a header from one function to the next takes as long as
    // to read it.

    /// `count` bytes at `at`, all below the position `limit`; `None` if there are not as many.
    #[inline(always)]
    fn get(&mut self, from: &Opened, at: u64, count: usize, limit: u64) -> Result<Option<&[u8]>, DiskError> {
        if at.checked_add(count as u64).is_none_or(|end| end > limit) {
            return Ok(None);
        }
        let held = at >= self.start && at + count as u64 <= self.start + self.filled as u64;
        if !held && !self.fill(from, at, count, limit)? {
            return Ok(None);
        }
        let first = (at - self.start) as usize;
        Ok(Some(&self.bytes[first..first + count]))
    }

    /// Reads what is wanted and what follows, below the position `limit`; whether there were `count` bytes.
    #[cold]
    fn fill(&mut self, from: &Opened, at: u64, count: usize, limit: u64) -> Result<bool, DiskError> {
        let wanted = count.max(self.ahead.min((limit - at) as usize));
        if self.bytes.len() < wanted {
            self.bytes.resize(wanted, 0);
        }
        self.start = at;
        self.filled = 0;
        self.filled = from.read(&mut self.bytes[..wanted], at)?;
        Ok(self.filled >= count)
    }

    /// The header at `at`, if there is a valid one of a frame that ends at or before `limit`.
    #[inline(always)]
    pub fn head(&mut self, from: &Opened, at: u64, limit: u64) -> Result<Option<FrameHead>, DiskError> {
        let salt = from.header.salt;
        let head = self.get(from, at, HEADER, limit)?.and_then(|bytes| FrameHead::decode(bytes, salt, at));
        Ok(head.filter(|head| head.end() <= limit))
    }

    /// The frame at `at`, if there is a valid one that ends at or before `limit`.
    #[inline(always)]
    pub fn frame(
        &mut self,
        from: &Opened,
        at: u64,
        limit: u64,
    ) -> Result<Option<(FrameHead, &[u8])>, DiskError> {
        let Some(head) = self.head(from, at, limit)? else { return Ok(None) };
        let whole = (frame_bytes(head.length)) as usize;
        let Some(bytes) = self.get(from, at, whole, limit)? else { return Ok(None) };
        let body = &bytes[HEADER..];
        if crc32c(body) != head.body_crc {
            return Ok(None);
        }
        Ok(Some((head, &body[..head.length as usize])))
    }
}

/// What lies behind the last frame of a segment.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Remainder {
    /// Highest `synced` of the frame headers found, and where.
    pub synced: u64,
    pub synced_at: u64,
    /// Position behind the last byte that is not zero; 0 if all are.
    pub dirty_to: u64,
}

/// Whether all bytes are zero; in pieces, so that the compiler makes wide instructions of it.
fn all_zero(bytes: &[u8]) -> bool {
    bytes.chunks(4096).all(|piece| piece.iter().fold(0, |all, byte| all | byte) == 0)
}

/// Looks at every word of a plain segment from `at` on: what is not zero, and which frame headers are valid in place.
pub(crate) fn remainder(from: &Opened, at: u64) -> Result<Remainder, DiskError> {
    let (limit, mut found) = (from.limit()?, Remainder::default());
    let mut bytes = vec![0; READ_AHEAD + HEADER];
    let mut start = at;
    while start < limit {
        let filled = from.read(&mut bytes, start)?;
        if filled == 0 {
            break;
        }
        // A last piece shorter than a header and a word cannot hold one, but must be zero too.
        let step = if filled == bytes.len() { READ_AHEAD } else { filled };
        if !all_zero(&bytes[..filled]) {
            for offset in (0..step).step_by(8) {
                let word = &bytes[offset..filled.min(offset + 8)];
                if all_zero(word) {
                    continue;
                }
                let position = start + offset as u64;
                found.dirty_to = found.dirty_to.max(position + 8);
                let header = bytes.get(offset..filled.min(offset + HEADER)).unwrap_or_default();
                if let Some(head) = FrameHead::decode(header, from.header.salt, position)
                    && head.synced > found.synced
                {
                    (found.synced, found.synced_at) = (head.synced, position);
                }
            }
        }
        start += step as u64;
    }
    Ok(found)
}
