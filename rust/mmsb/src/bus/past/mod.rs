//! The door (bus), the past: what the log remembers, states rebuilt from it, and replay.

pub(in crate::bus) mod begin;
pub mod history;
mod indexed;
pub(in crate::bus) mod pages;
pub mod provenance;
pub mod rebuilt;
pub(in crate::bus) mod replay;
