//! The control area: the first 8 KiB of span 0, where all that share an arena find its few moving words.
//!
//! ```text
//!     0  magic u64 | layout u32 | chunk u32 | boot u128
//!    64  published u64: the seq of the newest published commit
//!   128  lock u64: the writer's slot, generation and state, 0 = free (see `lock`)
//!   192  pin changes u64: grows before a pin is given back
//!   256  the newest of the schemas in use: address u64
//!   320  what names are hashed with: 2 x u64
//!   384  tips of branches: head of the free list u64 | address of the newest block u64
//!   448  the newest of the branches there ever were: address u64
//!   512  1 + the slot of the process that reads in what opening left on disk, 0 = nothing is left: u64
//!   576  somebody sleeps until `published` changes: u64
//!   640  the journal: address of its newest block u64 | entries there ever were u64 (see `journal`)
//!   704  the log: number of the segment that is written to u64, the next number for one u64
//!   768  1 = what the lock guards is to be put right: u64
//!   832  1 + the slot of the process that sees to upkeep, 0 = none: u64, changes of checkpoints u64
//!   896  what becomes of snapshots that cost too much u64, and from how many bytes on u64
//!  1024  spans: a number that grows with them u64, at 1088 their owners 256 x u32 (see `spans`)
//! ```
//! The area is memory of this boot only: a successor whose boot differs throws it away, and recovery reads the log,
//! never these words.

use crate::base::sync::AtomicU64;
use crate::memory::shared::journal::Journal;
use crate::memory::shared::lock::Lock;
use crate::memory::shared::spans::SpanTable;
use crate::memory::shared::tips::Tips;

/// "MMSBCTRL" in little endian.
pub const MAGIC: u64 = u64::from_le_bytes(*b"MMSBCTRL");

/// The version of the layout above. Areas of another version are thrown away with their spans.
pub const LAYOUT: u32 = 5;

/// A value on a cache line of its own.
#[derive(Debug)]
#[repr(C, align(64))]
pub struct Line<T>(pub T);

/// The control area.
#[derive(Debug)]
#[repr(C, align(4096))]
pub struct Control {
    /// [`MAGIC`].
    pub magic: u64,
    /// [`LAYOUT`].
    pub layout: u32,
    /// Bytes of a chunk.
    pub chunk: u32,
    /// The boot of the machine in which the arena was made.
    pub boot: u128,
    /// The seq of the newest published commit.
    pub published: Line<AtomicU64>,
    /// The writer's lock.
    pub lock: Line<Lock>,
    /// Grows before any pin is given back, so that a scan can tell that it may have missed a hand-over.
    pub pin_changes: Line<AtomicU64>,
    /// The newest of the schemas in use, 0 = none.
    pub schemas: Line<AtomicU64>,
    /// What names are hashed with, so that nobody outside can choose names whose hashes are the same.
    pub hash: [u64; 2],
    /// The tips of branches.
    pub tips: Tips,
    /// The newest of the branches there ever were, 0 = none.
    pub branches: Line<AtomicU64>,
    /// 1 + the slot of the process that reads in what opening left on disk, 0 = nothing is left.
    pub reader_in: Line<AtomicU64>,
    /// Not 0 where somebody sleeps until `published` changes.
    pub watched: Line<std::sync::atomic::AtomicU64>,
    /// Blocks on their way to the processes whose they are.
    pub journal: Line<Journal>,
    /// The number of the segment of the log that is written to, and the next number for one.
    pub segments: Line<[AtomicU64; 2]>,
    /// Not 0 where what the lock guards is to be put right by whoever has it next.
    pub dirty: Line<AtomicU64>,
    /// 1 + the slot of the process that sees to upkeep, 0 = none; and how often checkpoints were written or removed.
    pub upkeep: Line<[AtomicU64; 2]>,
    /// What becomes of snapshots that cost too much, and from how many bytes on that is.
    pub pins: Line<[AtomicU64; 2]>,
    _reserved: [u64; 8],
    /// The spans.
    pub spans: SpanTable,
    _rest: [u64; 624],
}

#[cfg(not(mmsb_loom))]
const _: () = {
    use crate::base::limits::CONTROL_BYTES;
    use std::mem::{offset_of, size_of};
    assert!(size_of::<Control>() == CONTROL_BYTES);
    assert!(offset_of!(Control, boot) == 16 && offset_of!(Control, published) == 64);
    assert!(offset_of!(Control, lock) == 128 && offset_of!(Control, pin_changes) == 192);
    assert!(offset_of!(Control, schemas) == 256 && offset_of!(Control, hash) == 320);
    assert!(offset_of!(Control, tips) == 384);
    assert!(offset_of!(Control, branches) == 448 && offset_of!(Control, reader_in) == 512);
    assert!(offset_of!(Control, watched) == 576 && offset_of!(Control, journal) == 640);
    assert!(offset_of!(Control, segments) == 704 && offset_of!(Control, dirty) == 768);
    assert!(offset_of!(Control, upkeep) == 832 && offset_of!(Control, pins) == 896);
    assert!(offset_of!(Control, spans) == 1024);
};
