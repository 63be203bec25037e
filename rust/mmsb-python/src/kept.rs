//! Page objects that a bus keeps, so that `bus["pos"]` is the same object and its array is made once.
//!
//! Whatever lets go of one does so outside the lock: that may run code of Python's, which may come here again.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use mmsb::base::ids::PageId;
use pyo3::prelude::*;

use crate::page::Page;

/// Objects that are kept. Beyond, all are let go at once and made again as they are asked for.
const KEPT: usize = 1 << 14;

/// Page objects by id.
#[derive(Default)]
pub struct Pages {
    kept: Mutex<HashMap<PageId, Py<Page>>>,
}

impl Pages {
    fn kept(&self) -> MutexGuard<'_, HashMap<PageId, Py<Page>>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The object of a page.
    pub fn get<'py>(&self, py: Python<'py>, id: PageId) -> Option<Bound<'py, Page>> {
        self.kept().get(&id).map(|page| page.bind(py).clone())
    }

    /// Keeps an object, where there is none of the page yet, and gives the one that is kept.
    pub fn keep<'py>(&self, id: PageId, page: Bound<'py, Page>) -> Bound<'py, Page> {
        let py = page.py();
        let mut kept = self.kept();
        if let Some(there) = kept.get(&id) {
            let there = there.bind(py).clone();
            drop(kept);
            return there;
        }
        let full = kept.len() >= KEPT;
        let let_go = if full { std::mem::take(&mut *kept) } else { HashMap::new() };
        kept.insert(id, page.clone().unbind());
        drop(kept);
        drop(let_go);
        page
    }

    /// Lets go of the object of a page.
    pub fn forget(&self, id: PageId) {
        let page = self.kept().remove(&id);
        drop(page);
    }

    /// Lets go of all.
    pub fn take(&self) -> HashMap<PageId, Py<Page>> {
        std::mem::take(&mut *self.kept())
    }
}
