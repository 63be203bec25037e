//! The atomics of the lock-free parts: the standard ones, or loom's when a test explores their interleavings.

#[cfg(mmsb_loom)]
pub use loom::sync::atomic::{AtomicPtr, AtomicU64, Ordering, fence};
#[cfg(not(mmsb_loom))]
pub use std::sync::atomic::{AtomicPtr, AtomicU64, Ordering, fence};
