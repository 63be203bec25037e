//! What follows from others, and is kept: mmsb beside libraries for that.

mod declared;
mod net;
mod ours;
mod reduced;
mod shapes;
mod ways;
mod with_datafrog;
mod with_differential;
mod with_incremental;
mod with_salsa;

use std::path::Path;
use std::thread;

use crate::limits;
use crate::measure::{Failed, Scale};

/// A stack on which calls may go thousands deep, as those of rivals do.
const STACK: usize = 1 << 30;

/// Everything once.
pub fn all(scale: &Scale, folder: &Path) -> Result<(), Failed> {
    let deep = thread::Builder::new().stack_size(STACK);
    thread::scope(|scope| {
        let run = || every(scale, folder).map_err(|error| error.to_string());
        let done = deep.spawn_scoped(scope, run)?.join();
        Ok(done.map_err(|_| "a measurement panicked")??)
    })
}

fn every(scale: &Scale, folder: &Path) -> Result<(), Failed> {
    limits::memory(scale)?;
    shapes::all(scale, folder)?;
    reduced::all(scale)?;
    ways::all(scale)?;
    declared::all(scale)
}
