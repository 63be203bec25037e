//! The control area: the first 64 KiB of span 0, where all that share an arena find its few moving words.
//!
//! ```text
//!     0  magic u64 | layout u32 | chunk u32 | boot u128
//!    64  published u64: the seq of the newest published commit
//!   128  lock u64: the writer's slot and generation, 0 = free
//!   192  pin changes u64: grows before a pin is given back
//!  1024  48 size classes of 64 bytes: head of the free list u64 | blocks in use u64
//!  4096  the first block of pins (60 KiB, see `pins`)
//! ```
//! The area is memory of this boot only: a successor whose boot differs throws it away, and recovery reads the log,
//! never these words.

use crate::base::limits::CLASSES_MAX;
use crate::base::sync::AtomicU64;
use crate::memory::pins::PinBlock;
use crate::memory::stack::FreeStack;

/// "MMSBCTRL" in little endian.
pub const MAGIC: u64 = u64::from_le_bytes(*b"MMSBCTRL");

/// The version of the layout above. Areas of another version are thrown away with their spans.
pub const LAYOUT: u32 = 1;

/// A value on a cache line of its own.
#[derive(Debug)]
#[repr(C, align(64))]
pub struct Line<T>(pub T);

/// The free list of one size class, and how many of its blocks are in use.
#[derive(Debug)]
#[repr(C, align(64))]
pub struct ClassHead {
    /// Free blocks of the class.
    pub free: FreeStack,
    /// Blocks handed out and not given back.
    pub used: AtomicU64,
}

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
    /// The writer's lock: slot << 32 | generation, 0 = free.
    pub lock: Line<AtomicU64>,
    /// Grows before any pin is given back, so that a scan can tell that it may have missed a hand-over.
    pub pin_changes: Line<AtomicU64>,
    _reserved: [u64; 96],
    /// One for each size class of small blocks.
    pub classes: [ClassHead; CLASSES_MAX],
    /// The first entries for pins.
    pub pins: PinBlock,
}

#[cfg(not(mmsb_loom))]
const _: () = {
    use crate::base::limits::CONTROL_BYTES;
    use std::mem::{offset_of, size_of};
    assert!(size_of::<Control>() == CONTROL_BYTES && size_of::<ClassHead>() == 64);
    assert!(offset_of!(Control, boot) == 16 && offset_of!(Control, published) == 64);
    assert!(offset_of!(Control, lock) == 128 && offset_of!(Control, pin_changes) == 192);
    assert!(offset_of!(Control, classes) == 1024 && offset_of!(Control, pins) == 4096);
};
