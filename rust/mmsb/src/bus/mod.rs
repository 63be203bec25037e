//! The door (bus): open, transaction, commit, snapshot, watch; errors joined. The only room that names every layer.

mod body;
mod branch;
mod cells;
pub mod commit;
mod core;
pub mod diff;
mod door;
pub mod error;
pub mod handle;
pub mod holders;
mod line;
pub mod merge;
mod open;
mod opened;
pub mod options;
pub mod past;
mod private;
pub mod state;
pub mod stats;
pub mod transaction;
mod typed;
mod update;
pub mod upkeep;
mod validate;
pub mod view;
mod watch;
