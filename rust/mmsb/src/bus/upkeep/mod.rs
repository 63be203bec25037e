//! The door (bus), upkeep: what keeps a bus small, fast and whole, in the background or when asked.

pub(in crate::bus) mod audit;
pub(in crate::bus) mod background;
pub mod checkpoint;
pub(in crate::bus) mod compact;
pub mod doctor;
pub(in crate::bus) mod export;
pub(in crate::bus) mod follower;
pub(in crate::bus) mod rescue;
pub mod retain;
pub(in crate::bus) mod settle;
pub mod verify;
