//! Layer 0 (memory), the heap: spans cut into chunks, chunks into small blocks, and all of it given back.

pub(in crate::memory) mod account;
pub mod alloc;
pub mod chunks;
pub mod classes;
pub(in crate::memory) mod grow;
pub mod magazine;
pub mod prefault;
pub mod runs;
pub mod stack;
