//! Layer 0 (memory), what processes share: who lives, whose turn it is, whose spans are whose, the tips of branches, blocks on their way.

pub mod journal;
pub mod lock;
pub mod slots;
pub mod spans;
pub mod tips;
