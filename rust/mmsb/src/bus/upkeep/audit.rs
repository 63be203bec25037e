//! Whether the counts in memory are true: every block has as many parents as it says. For tests.

use crate::bus::core::Core;
use crate::bus::error::Error;
use crate::page::reach::Reached;

/// Counts the parents of every block that the living branches reach, and compares them with what the blocks say.
pub(crate) fn audit(core: &Core) -> Result<(), Error> {
    let _writer = core.writer()?;
    let roots = core.living().into_iter().filter_map(|line| line.appended().ok());
    match Reached::by(&core.arena, roots).mistaken(&core.arena) {
        Some((at, says, count)) => Err(Error::Invalid(format!("{at:?} has {count} parents, not {says}"))),
        None => Ok(()),
    }
}
