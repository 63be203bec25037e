//! Deltas, pages, versions and the log, without a bus.
#![allow(clippy::unwrap_used)]

mod delta;
mod encode;
mod figures;
mod log_basics;
mod log_common;
mod log_crash;
mod log_damage;
mod log_disk;
mod log_exchange;
mod log_figures;
mod log_group;
mod select;
#[path = "../slow_disk/mod.rs"]
mod slow_disk;
mod trie;
mod versions;
mod wide;
