//! A draft of its own that is never published: what a transaction sees of its own writes, and rebuilt past pages.
#![allow(unsafe_code)]

use std::fmt;
use std::mem::ManuallyDrop;
use std::sync::Arc;

use crate::base::ids::{BranchId, Epoch};
use crate::bus::core::Core;
use crate::bus::error::Error;
use crate::memory::addr::Addr;
use crate::memory::arena::Arena;
use crate::page::catalog::{self, RootRef};
use crate::page::draft::{Draft, Tables};
use crate::page::stage::{Scratch, Stage};
use crate::page::version::PageRef;

/// A draft that is never published; its memory goes with it.
pub(crate) struct Private {
    /// Borrows from `_core`, which therefore must go after it.
    draft: ManuallyDrop<Draft<'static>>,
    _core: Arc<Core>,
}

impl fmt::Debug for Private {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Private").finish_non_exhaustive()
    }
}

/// Lends the parts of a bus for as long as its owner keeps the bus.
fn lend(core: &Arc<Core>) -> (&'static Arena, Tables<'static>) {
    // SAFETY: `Private` holds an Arc of the same core and drops its draft, the only holder of these borrows, first;
    // nothing it hands out lives longer than a borrow of itself.
    unsafe {
        let core: &'static Core = &*Arc::as_ptr(core);
        (&core.arena, core.tables())
    }
}

impl Private {
    /// A draft on top of a published root, which the caller keeps pinned.
    pub fn on(core: &Arc<Core>, base: Addr) -> Result<Self, Error> {
        let (arena, tables) = lend(core);
        let stage = Stage::new(arena, core.private_seq(), Scratch::default());
        let root = RootRef::new(arena, base);
        let draft = Draft::new(stage, tables, base, Epoch(root.epoch().0 + 1), root.position())?;
        Ok(Private { draft: ManuallyDrop::new(draft), _core: Arc::clone(core) })
    }

    /// A draft without pages.
    pub fn empty(core: &Arc<Core>, branch: BranchId, epoch: Epoch) -> Result<Self, Error> {
        let (arena, tables) = lend(core);
        let mut stage = Stage::new(arena, core.private_seq(), Scratch::default());
        let root = match catalog::empty_root(&mut stage, branch, epoch) {
            Ok(root) => root,
            Err(error) => {
                stage.abort();
                return Err(error.into());
            }
        };
        let draft = Draft::new(stage, tables, root, epoch, 0)?;
        Ok(Private { draft: ManuallyDrop::new(draft), _core: Arc::clone(core) })
    }

    /// Changes the draft.
    pub fn edit<T>(&mut self, change: impl FnOnce(&mut Draft<'_>) -> Result<T, Error>) -> Result<T, Error> {
        // SAFETY: shortens the lifetime of what the draft borrows for the call; the closure is generic over it, so it
        // can put nothing shorter-lived in.
        let draft: &mut Draft<'_> = unsafe { &mut *std::ptr::from_mut(&mut *self.draft).cast() };
        change(draft)
    }

    /// The state as the draft has it.
    pub fn root(&self) -> RootRef<'_> {
        self.draft.root()
    }

    /// Whether the draft changed the version of a page.
    pub fn is_own(&self, page: PageRef<'_>) -> bool {
        self.draft.is_own(page)
    }
}

impl Drop for Private {
    fn drop(&mut self) {
        // SAFETY: taken once, here; `_core` is still alive, since fields go after this.
        let draft = unsafe { ManuallyDrop::take(&mut self.draft) };
        draft.abort();
    }
}
