//! The door (bus), merging: what two branches have in common, and what becomes of what each of them did since.

pub(in crate::bus) mod ancestry;
pub(in crate::bus) mod common;
pub(in crate::bus) mod join;
pub(in crate::bus) mod runs;
pub(in crate::bus) mod since;
pub mod three_way;
