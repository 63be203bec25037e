//! The buses that this process has open, by their directories: a second open of one shares the first.
#![allow(unsafe_code)]

use std::collections::HashMap;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use crate::bus::core::Core;

/// The bus in a directory, if it is open. Held by whoever opens it.
pub(crate) type Slot = Arc<Mutex<Weak<Core>>>;

/// The buses of one process, by device and inode.
struct Opened {
    process: u32,
    slots: Mutex<HashMap<(u64, u64), Slot>>,
}

/// Those of the newest process that asked. A child that was forked finds its parent's, perhaps locked by a thread that it
/// has not, and makes its own. None that was shown is ever freed.
static NEWEST: AtomicPtr<Opened> = AtomicPtr::new(ptr::null_mut());

/// Those of this process.
fn opened() -> &'static Opened {
    let process = std::process::id();
    let mut found = NEWEST.load(Ordering::Acquire);
    loop {
        // SAFETY: null, or what was let go of below and is never freed, which nobody writes to.
        if let Some(opened) = unsafe { found.as_ref() }
            && opened.process == process
        {
            return opened;
        }
        let fresh = Box::into_raw(Box::new(Opened { process, slots: Mutex::default() }));
        match NEWEST.compare_exchange(found, fresh, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => found = fresh,
            Err(other) => {
                // SAFETY: made just now and shown to nobody: another thread came first.
                drop(unsafe { Box::from_raw(fresh) });
                found = other;
            }
        }
    }
}

/// The slot of a directory; `None` where there is nothing.
pub(crate) fn slot(path: &Path) -> Option<Slot> {
    let meta = path.metadata().ok()?;
    let mut slots = opened().slots.lock().unwrap_or_else(PoisonError::into_inner);
    let is_open = |slot: &Slot| slot.lock().unwrap_or_else(PoisonError::into_inner).strong_count() > 0;
    // One that somebody else has, who may be opening, is not asked.
    slots.retain(|_, slot| Arc::strong_count(slot) > 1 || is_open(slot));
    Some(Arc::clone(slots.entry((meta.dev(), meta.ino())).or_default()))
}
