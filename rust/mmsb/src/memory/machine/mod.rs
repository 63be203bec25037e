//! Layer 0 (memory), the machine: what it has, files mapped into memory, where they lie and how others find them, forks.

pub mod discovery;
pub mod forked;
pub mod futex;
pub mod host;
pub mod mapping;
pub mod place;
pub mod span;
