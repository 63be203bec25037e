//! Layer 0 (memory), pins: which versions readers look at, and what may be given back meanwhile.

pub mod guard;
pub mod leases;
pub mod limbo;
pub mod pin_blocks;
pub mod pins;
