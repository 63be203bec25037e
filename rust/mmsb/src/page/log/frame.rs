//! One frame: the record of one commit. See `docs/bytes.md`, "Frame".

use crate::base::codec::Reader;
use crate::base::crc::crc32c;
use crate::base::ids::{BranchId, Epoch, PageId, Seq};

/// Bytes of a frame's header.
pub const HEADER: usize = 64;

/// What an acknowledged commit survives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Durability {
    /// Nothing.
    Memory = 0,
    /// The death of the process.
    #[default]
    Process = 1,
    /// The loss of power.
    Disk = 2,
}

impl Durability {
    /// The one of a name: `memory`, `process` or `disk`.
    pub fn from_name(name: &str) -> Option<Self> {
        [Durability::Memory, Durability::Process, Durability::Disk]
            .into_iter()
            .find(|known| known.as_str() == name)
    }

    /// Its name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Durability::Memory => "memory",
            Durability::Process => "process",
            Durability::Disk => "disk",
        }
    }
}

/// Whether a frame makes an epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum Kind {
    /// A commit: a new epoch of its branch.
    #[default]
    Commit = 0,
    /// A control record: no new epoch.
    Control = 1,
}

/// What the writer says of a new frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NewFrame {
    /// Greater than that of the frame before.
    pub seq: Seq,
    /// Epoch of its branch.
    pub epoch: Epoch,
    /// The branch.
    pub branch: BranchId,
    /// What it is to survive.
    pub durability: Durability,
    /// Commit or control.
    pub kind: Kind,
    /// Now, in UTC nanoseconds. The frame's own time is at least one later than that of the frame before.
    pub time: u64,
}

/// What the indexes need to know of a frame's body, borrowed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FrameNotes<'a> {
    /// Pages it changes, each once.
    pub pages: &'a [PageId],
    /// Who wrote it.
    pub source: Option<&'a str>,
    /// Whether it changes the catalog.
    pub catalog: bool,
}

/// What the indexes need to know of a frame's body, owned.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Notes {
    /// Pages it changes, each once.
    pub pages: Vec<PageId>,
    /// Who wrote it.
    pub source: Option<String>,
    /// Whether it changes the catalog.
    pub catalog: bool,
}

impl Notes {
    /// The same, borrowed.
    #[must_use]
    pub fn borrow(&self) -> FrameNotes<'_> {
        FrameNotes { pages: &self.pages, source: self.source.as_deref(), catalog: self.catalog }
    }
}

/// Reads a body for the indexes, when they have to be made again.
pub type Describe<'a> = &'a dyn Fn(&FrameHead, &[u8]) -> Notes;

/// A frame's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameHead {
    /// Where the frame starts, in bytes of frames since the first one ever.
    pub position: u64,
    /// Its number in the log.
    pub seq: Seq,
    /// Epoch of its branch.
    pub epoch: Epoch,
    /// The branch.
    pub branch: BranchId,
    /// What it was to survive.
    pub durability: Durability,
    /// Commit or control.
    pub kind: Kind,
    /// Position known durable when it was written.
    pub synced: u64,
    /// UTC nanoseconds, later than that of the frame before.
    pub time: u64,
    /// Bytes of the body.
    pub length: u64,
    /// Header CRC of the frame before; 0 in the first one ever.
    pub before: u32,
    /// CRC32C of the body and its padding.
    pub body_crc: u32,
    /// CRC32C of the header.
    pub crc: u32,
}

/// Bytes that a frame with a body of `length` bytes takes.
#[must_use]
pub const fn frame_bytes(length: u64) -> u64 {
    HEADER as u64 + length.next_multiple_of(8)
}

impl FrameHead {
    /// Where the next frame starts.
    #[must_use]
    pub const fn end(&self) -> u64 {
        self.position + frame_bytes(self.length)
    }

    /// The header's bytes in a segment with this salt; sets the CRC.
    #[inline]
    pub(crate) fn encode(&mut self, salt: u64) -> [u8; HEADER] {
        let mut bytes = [0; HEADER];
        let word = self.length | (self.durability as u64) << 48 | (self.kind as u64) << 56;
        let words = [salt ^ self.position, word, self.seq.0, self.epoch.0, self.synced, self.time];
        for (place, word) in bytes.chunks_exact_mut(8).zip(words) {
            place.copy_from_slice(&word.to_le_bytes());
        }
        bytes[48..52].copy_from_slice(&self.branch.0.to_le_bytes());
        bytes[52..56].copy_from_slice(&self.before.to_le_bytes());
        bytes[56..60].copy_from_slice(&self.body_crc.to_le_bytes());
        self.crc = crc32c(&bytes[..60]);
        bytes[60..].copy_from_slice(&self.crc.to_le_bytes());
        bytes
    }

    /// The header at `position` of a segment with this salt; `None` if these bytes are none.
    #[inline]
    pub(crate) fn decode(bytes: &[u8], salt: u64, position: u64) -> Option<Self> {
        let header = bytes.first_chunk::<HEADER>()?;
        let mut input = Reader::new(header);
        if input.u64().ok()? != salt ^ position {
            return None;
        }
        let word = input.u64().ok()?;
        let head = Self {
            position,
            length: word & ((1 << 48) - 1),
            durability: match word >> 48 & 0xff {
                0 => Durability::Memory,
                1 => Durability::Process,
                2 => Durability::Disk,
                _ => return None,
            },
            kind: match word >> 56 {
                0 => Kind::Commit,
                1 => Kind::Control,
                _ => return None,
            },
            seq: Seq(input.u64().ok()?),
            epoch: Epoch(input.u64().ok()?),
            synced: input.u64().ok()?,
            time: input.u64().ok()?,
            branch: BranchId(input.u32().ok()?),
            before: input.u32().ok()?,
            body_crc: input.u32().ok()?,
            crc: input.u32().ok()?,
        };
        (head.crc == crc32c(&header[..60])).then_some(head)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_header_comes_back_and_only_in_its_own_place(
            position in 0u64..1 << 60, salt: u64, length in 0u64..1 << 48, seq: u64, epoch: u64, time: u64,
            branch: u32, before: u32, bit in 0usize..512,
        ) {
            let mut head = FrameHead {
                position, seq: Seq(seq), epoch: Epoch(epoch), branch: BranchId(branch), durability: Durability::Disk,
                kind: Kind::Control, synced: position / 2, time, length, before, body_crc: 7, crc: 0,
            };
            let mut bytes = head.encode(salt);
            prop_assert_eq!(FrameHead::decode(&bytes, salt, position), Some(head));
            prop_assert_eq!(FrameHead::decode(&bytes, salt, position + 8), None);
            prop_assert_eq!(FrameHead::decode(&bytes, salt ^ 1, position), None);
            prop_assert_eq!(FrameHead::decode(&bytes[..63], salt, position), None);
            bytes[bit / 8] ^= 1 << (bit % 8);
            prop_assert_eq!(FrameHead::decode(&bytes, salt, position), None);
        }
    }

    #[test]
    fn frames_are_padded_to_eight() {
        assert_eq!([0, 1, 8, 9].map(frame_bytes), [64, 72, 72, 80]);
    }
}
