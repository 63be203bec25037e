//! Layer 0 (memory): the arena of mapped spans, its allocator and pins, and the disk.

pub mod addr;
pub mod alloc;
pub mod arena;
pub mod chunks;
pub mod classes;
pub mod control;
pub mod disk;
pub mod error;
pub mod guard;
pub mod host;
pub mod limbo;
pub mod magazine;
pub mod mapping;
pub mod pin_blocks;
pub mod pins;
pub mod place;
pub mod prefault;
pub mod runs;
pub mod span;
pub mod stack;
pub mod view;
pub mod words;
