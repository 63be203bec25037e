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
//!   512  1 + the slot of the process that writes, 0 = nobody does any more: u64
//!   576  somebody sleeps until `published` changes: u64
//!  1024  spans: a number that grows with them u64, at 1088 their owners 256 x u32 (see `spans`)
//! ```
//! The area is memory of this boot only: a successor whose boot differs throws it away, and recovery reads the log,
//! never these words.

use crate::base::sync::AtomicU64;
use crate::memory::lock::Lock;
use crate::memory::spans::SpanTable;
use crate::memory::tips::Tips;

/// "MMSBCTRL" in little endian.
pub const MAGIC: u64 = u64::from_le_bytes(*b"MMSBCTRL");

/// The version of the layout above. Areas of another version are thrown away with their spans.
pub const LAYOUT: u32 = 3;

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
    /// 1 + the slot of the process that writes, 0 = nobody does any more.
    pub writer: Line<AtomicU64>,
    /// Not 0 where somebody sleeps until `published` changes.
    pub watched: Line<std::sync::atomic::AtomicU64>,
    _reserved: [u64; 48],
    /// The spans.
    pub spans: SpanTable,
    _rest: [u64; 760],
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
    assert!(offset_of!(Control, branches) == 448 && offset_of!(Control, writer) == 512);
    assert!(offset_of!(Control, watched) == 576 && offset_of!(Control, spans) == 1024);
};
