//! Layer 0 (memory): the arena of mapped spans, its allocator and pins, and the disk.

pub mod addr;
pub mod arena;
pub mod attach;
pub mod control;
pub mod disk;
pub mod error;
pub mod heap;
pub mod machine;
pub mod pinning;
pub mod shared;
pub mod view;
pub mod words;
