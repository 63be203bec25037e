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

/// Pages in doubt from which on it is looked which of them there are.
const UNSURE: usize = 64;

/// Page objects by id.
#[derive(Default)]
pub struct Pages {
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    pages: HashMap<PageId, Py<Page>>,
    /// Pages that a transaction made or dropped, of which it is not known whether it came to be, and its number.
    unsure: Vec<(PageId, u64)>,
    /// How many of them were so when it was last looked.
    were_unsure: usize,
}

impl Pages {
    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The object of a page.
    pub fn get<'py>(&self, py: Python<'py>, id: PageId) -> Option<Bound<'py, Page>> {
        self.kept().pages.get(&id).map(|page| page.bind(py).clone())
    }

    /// Keeps an object, where there is none of the page yet, and gives the one that is kept.
    pub fn keep<'py>(&self, id: PageId, page: Bound<'py, Page>) -> Bound<'py, Page> {
        let py = page.py();
        let mut kept = self.kept();
        let full = kept.pages.len() >= KEPT;
        let let_go = if full { std::mem::take(&mut *kept) } else { Kept::default() };
        let page = kept.pages.entry(id).or_insert_with(|| page.unbind()).bind(py).clone();
        drop(kept);
        drop(let_go);
        page
    }

    /// Lets go of the object of a page.
    pub fn forget(&self, id: PageId) {
        let page = self.kept().pages.remove(&id);
        drop(page);
    }

    /// Lets go of all.
    pub fn take(&self) -> HashMap<PageId, Py<Page>> {
        std::mem::take(&mut *self.kept()).pages
    }

    /// Notes that a page is there, or gone, if this transaction succeeds. Where there are many such of others, lets go of
    /// those that are not `out`.
    pub fn doubt(&self, id: PageId, transaction: u64, out: impl Fn(PageId) -> bool) {
        let mut kept = self.kept();
        kept.unsure.push((id, transaction));
        if kept.unsure.len() < UNSURE + 2 * kept.were_unsure {
            return;
        }
        let mut unsure = std::mem::take(&mut kept.unsure);
        drop(kept);
        let others = unsure.extract_if(.., |(_, of)| *of != transaction);
        let gone: Vec<_> = others.filter(|(id, _)| !out(*id)).collect();
        let mut kept = self.kept();
        let let_go: Vec<_> = gone.iter().filter_map(|(id, _)| kept.pages.remove(id)).collect();
        kept.were_unsure = unsure.len();
        kept.unsure.extend(unsure);
        drop(kept);
        drop(let_go);
    }
}
