//! Whether the counts in memory are true: every block has as many parents as it says. For tests.

use crate::base::limits::CHUNK;
use crate::bus::core::Core;
use crate::bus::error::Error;
use crate::memory::heap::classes::{class_of, size_of_class};
use crate::memory::shared::tips;
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

/// Bytes of small blocks that are in use by this process's account and that nothing reaches.
pub(crate) fn leaked(core: &Core) -> Result<i64, Error> {
    let mut writer = core.writer()?;
    writer.reclaim(core);
    let in_use = Reached::by(&core.arena, tips::roots(&core.arena)).in_use(&core.arena)?;
    let mine = in_use.iter().filter(|(at, _)| core.arena.is_mine(**at));
    let small =
        mine.map(|(_, &bytes)| size_of_class(class_of(bytes.min(CHUNK)))).filter(|&bytes| bytes < CHUNK);
    let kept = writer.limbo.held_bytes() + writer.kept_bytes();
    Ok(core.arena.stats().used_small as i64 - kept as i64 - small.sum::<usize>() as i64)
}
