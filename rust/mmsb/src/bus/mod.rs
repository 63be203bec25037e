//! The door (bus): open, transaction, commit, snapshot, watch; errors joined. The only room that names every layer.

mod ancestry;
mod audit;
mod background;
mod begin;
mod branch;
mod cells;
pub mod checkpoint;
pub mod commit;
mod core;
pub mod diff;
pub mod error;
pub mod handle;
pub mod history;
mod line;
pub mod merge;
mod open;
pub mod options;
mod past;
mod private;
mod replay;
pub mod retain;
pub mod state;
pub mod transaction;
mod update;
mod validate;
pub mod view;
mod watch;
