//! What says whether handles are open: those cloned from one another share a door, a branch's handle has one of its own
//! behind that of the handle it was opened from.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::bus::core::Core;
use crate::bus::error::Error;
use crate::bus::upkeep::background::Background;

/// A door that was opened, and may have been closed.
#[derive(Debug)]
pub(crate) struct Door {
    closed: AtomicBool,
    behind: Behind,
}

/// What a door leads out to.
#[derive(Debug)]
enum Behind {
    /// The bus: the last such door that is closed closes it.
    Bus(Arc<Core>),
    /// Another door, which is not shut before this one goes unless somebody closes it.
    Door(Arc<Door>),
    /// Nothing any more, while it goes.
    Nothing,
}

impl Door {
    /// A door to the bus; an error where the last one before was closed.
    pub fn open(core: &Arc<Core>) -> Result<Self, Error> {
        if !Background::enter(core) {
            return Err(Error::Closed(core.place()));
        }
        Ok(Door { closed: AtomicBool::new(false), behind: Behind::Bus(Arc::clone(core)) })
    }

    /// A door that is closed with this one, and can be closed by itself.
    pub fn inner(self: &Arc<Self>) -> Self {
        Door { closed: AtomicBool::new(false), behind: Behind::Door(Arc::clone(self)) }
    }

    /// Whether it was closed, or one that it is behind.
    pub fn is_closed(&self) -> bool {
        let mut door = self;
        loop {
            if door.closed.load(Ordering::Relaxed) {
                return true;
            }
            match &door.behind {
                Behind::Door(outer) => door = outer,
                Behind::Bus(_) | Behind::Nothing => return false,
            }
        }
    }

    /// Closes it, and with it those behind it.
    pub fn close(&self) {
        if !self.closed.swap(true, Ordering::AcqRel)
            && let Behind::Bus(core) = &self.behind
        {
            Background::leave(core);
        }
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        self.close();
        // One after the other: branches of branches would go as deep as they are many.
        let mut behind = std::mem::replace(&mut self.behind, Behind::Nothing);
        while let Behind::Door(outer) = behind {
            let Some(mut outer) = Arc::into_inner(outer) else { return };
            outer.close();
            behind = std::mem::replace(&mut outer.behind, Behind::Nothing);
        }
    }
}
