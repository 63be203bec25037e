//! Buses: commits, branches, checkpoints, recovery, threads and processes.
#![allow(clippy::unwrap_used)]

mod background;
mod basics;
mod bound;
mod callback;
mod checkpoint;
mod checkpoint_crash;
mod checkpoint_failed;
mod checkpoint_figures;
mod checkpoint_lazy;
mod checkpoint_lazy_damage;
mod checkpoint_verify;
mod churn;
mod close;
mod commit_buffers;
mod common;
mod compact;
mod compose;
mod crash;
mod crossed;
mod digest;
mod errors;
mod fixtures;
mod flip;
mod found;
mod group;
mod kept;
mod kill;
mod merge;
mod merge_pending;
mod model;
mod random;
mod refused;
mod replay;
#[path = "../slow_disk/mod.rs"]
mod slow_disk;
mod threads;
#[cfg(target_os = "linux")]
mod writers;
