//! Another way to the cells of a checkpoint of which a chunk file turned out to be damaged after opening: the newest older
//! checkpoint that is not damaged there too, or nothing, and the log since.

use std::sync::Weak;

use crate::base::ids::PageId;
use crate::bus::core::Core;
use crate::bus::error::Error;
use crate::bus::past::begin::kept;
use crate::bus::past::pages::{begin_of, lineage, rebuild};
use crate::bus::private::Private;
use crate::memory::addr::Addr;
use crate::memory::disk::Lock;
use crate::page::catalog::RootRef;
use crate::page::checkpoint::lazy::Rescue;
use crate::page::checkpoint::record::Record;
use crate::page::log::superblock::NAME as SUPERBLOCK;
use crate::page::schema::Schema;
use crate::page::version::PageRef;

/// The log of a bus.
#[derive(Debug)]
pub(crate) struct FromLog(pub Weak<Core>);

impl Rescue for FromLog {
    fn page(&self, record: &Record, branch: usize, page: PageId, take: &mut dyn FnMut(PageRef<'_>)) {
        // Where it cannot be done, what is said of the damage says more.
        let _ = self.rebuilt(record, branch, page, take);
    }

    fn version(&self, at: Addr, take: &mut dyn FnMut(PageRef<'_>, &Schema)) -> Result<(), String> {
        self.left(at, take).map_err(|error| error.to_string())
    }

    fn alone(&self) -> Option<Box<dyn Lock>> {
        self.0.upgrade()?.checkpoints.disk().alone(SUPERBLOCK).ok()
    }
}

impl FromLog {
    /// Makes what a branch that lives has at `at`, of a page whose cells its process did not come to read in.
    fn left(&self, at: Addr, take: &mut dyn FnMut(PageRef<'_>, &Schema)) -> Result<(), Error> {
        let Some(core) = self.0.upgrade() else { return Ok(()) };
        let page = PageRef::new(&core.arena, at).id();
        for line in core.living() {
            let Ok((_pin, root)) = core.pin(&line) else { continue };
            let root = RootRef::new(&core.arena, root);
            if root.page(page) != Some(at) {
                continue;
            }
            // It did not change since it was to be read in: whatever of it is newest is this.
            let stretches = lineage(&core, &line, root.epoch());
            let begin = begin_of(&core, &line, root.epoch(), &stretches)?;
            let mut private = Private::empty(&core, line.id, root.epoch())?;
            if let Some(made) = private.edit(|draft| rebuild(&core.log, &begin, &stretches, page, draft))? {
                let made = PageRef::new(&core.arena, made);
                take(made, core.schemas.of(made.def()));
            }
            return Ok(());
        }
        Ok(())
    }

    fn rebuilt(
        &self,
        record: &Record,
        branch: usize,
        page: PageId,
        take: &mut dyn FnMut(PageRef<'_>),
    ) -> Result<(), Error> {
        let Some(core) = self.0.upgrade() else { return Ok(()) };
        let branch = &record.branches[branch];
        let (Some(line), Some(root)) = (core.line_of(branch.id), &branch.root) else { return Ok(()) };
        let stretches = lineage(&core, &line, root.epoch);
        let mut damaged = record.head.seq;
        // Checkpoints share the images of what did not change between them: an older one is often as damaged. Each time
        // round one more is forgotten.
        loop {
            let older = kept(&core.checkpoints, &core.log).iter().any(|head| head.seq < damaged);
            if core.log.start() > 0 && !older {
                // Other pages' past still needs the checkpoint, damaged as it is.
                return Ok(());
            }
            core.checkpoints.forget(damaged);
            let begin = begin_of(&core, &line, root.epoch, &stretches)?;
            let mut private = Private::empty(&core, line.id, root.epoch)?;
            let made = private.edit(|draft| rebuild(&core.log, &begin, &stretches, page, draft));
            damaged = match (made, begin.checkpoint()) {
                (Err(Error::Checkpoint(error)), Some(seq)) if error.is_damage() => seq,
                (made, _) => {
                    if let Some(at) = made? {
                        take(PageRef::new(&core.arena, at));
                    }
                    return Ok(());
                }
            };
        }
    }
}
