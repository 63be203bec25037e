//! Layer 0 (memory): the arena of mapped spans, its allocator and pins, and the disk.

pub mod disk;
