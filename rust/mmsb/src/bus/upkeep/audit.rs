//! Whether the counts in memory are true: every block has as many parents as it says. For tests.

use std::collections::HashMap;
use std::sync::atomic::Ordering;

use crate::bus::core::Core;
use crate::bus::error::Error;
use crate::memory::addr::Addr;
use crate::page::block;

/// Counts the parents of every block that the living branches reach, and compares them with what the blocks say.
pub(crate) fn audit(core: &Core) -> Result<(), Error> {
    let _writer = core.writer()?;
    let lines = core.lines();
    let mut stack: Vec<Addr> = lines.by_id.values().filter_map(|line| line.appended().ok()).collect();
    let mut parents: HashMap<(Addr, bool), u32> = HashMap::new();
    stack.iter().for_each(|&root| *parents.entry((root, false)).or_default() += 1);
    while let Some(at) = stack.pop() {
        block::for_children(&core.arena, at, |child, is_chunk, _| {
            let count = parents.entry((child, is_chunk)).or_default();
            *count += 1;
            if *count == 1 && !is_chunk {
                stack.push(child);
            }
        });
    }
    for (&(at, is_chunk), &count) in &parents {
        let says = if is_chunk {
            core.arena.chunk_rc(at).load(Ordering::Relaxed)
        } else {
            block::head(&core.arena, at).count()
        };
        if says != count {
            return Err(Error::Invalid(format!(
                "{at:?} (chunk: {is_chunk}) has {count} parents, not {says}"
            )));
        }
    }
    Ok(())
}
