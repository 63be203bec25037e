//! Compaction of pages that are viewed and changed again and again, so scattered that their views cost: who asks for it,
//! and the copies until a commit takes them.

use std::collections::HashMap;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use crate::base::ids::{BranchId, Epoch, PageId};
use crate::bus::core::Core;
use crate::bus::error::Error;
use crate::bus::line::Line;
use crate::bus::state::State;
use crate::page::compact::Compacted;

/// A page of a branch.
pub(crate) type Place = (BranchId, PageId);

/// What is known of pages that had scattered views.
#[derive(Debug, Default)]
pub(crate) struct Asked {
    seen: HashMap<Place, Seen>,
    /// Those to be compacted.
    due: Vec<Place>,
    /// The one that is being compacted.
    at_work: Option<Place>,
}

#[derive(Debug)]
struct Seen {
    /// The version whose view was scattered last.
    version: Epoch,
    /// How many pieces that was.
    pieces: usize,
    /// Fewer pieces than so are not worth the trouble: compaction found nothing to do there.
    least: usize,
    /// Alive while copies wait for commits.
    copies: Weak<()>,
}

impl Asked {
    /// Notes a scattered view of a version of a page. True where the page is to be compacted now: it has been viewed like
    /// that before and changed since. One that nobody changes any more is better off with the view that it has.
    pub fn note(&mut self, place: Place, version: Epoch, pieces: usize) -> bool {
        if self.at_work == Some(place) || self.due.contains(&place) {
            return false;
        }
        let seen = self.seen.entry(place).or_insert(Seen { version, pieces, least: 0, copies: Weak::new() });
        if seen.version == version || pieces < seen.least || seen.copies.strong_count() > 0 {
            return false;
        }
        (seen.version, seen.pieces) = (version, pieces);
        self.due.push(place);
        true
    }

    /// The next page to be compacted.
    pub fn next(&mut self) -> Option<Place> {
        self.at_work = self.due.pop();
        self.at_work
    }

    /// Notes what was copied of a page, or that there was nothing to do: then it is looked at again when it is in twice as
    /// many pieces.
    pub fn done(&mut self, place: Place, copies: Option<Weak<()>>) {
        self.at_work = None;
        if let Some(seen) = self.seen.get_mut(&place) {
            seen.least = if copies.is_some() { 0 } else { 2 * seen.pieces };
            seen.copies = copies.unwrap_or_default();
        }
    }
}

/// Copies what lies scattered of a page, for the next commits to it; what lives as long as the copies wait for them, where
/// there was something to do. `rest` is told how long each step took, and says whether to go on.
pub(crate) fn prepare(
    core: &Arc<Core>,
    line: &Arc<Line>,
    page: PageId,
    rest: &mut dyn FnMut(Duration) -> bool,
) -> Result<Option<Weak<()>>, Error> {
    let mut compacted = Compacted::new(&core.arena, page);
    let state = State::live(core, line)?;
    let mut began = None;
    compacted.copy(state.page(page)?, &*state.schema(page)?, &mut || {
        let now = Instant::now();
        let go_on = began.replace(now).is_none_or(|began| rest(now - began));
        began = Some(Instant::now());
        go_on
    })?;
    let copies = (!compacted.is_empty()).then(|| compacted.alive());
    if copies.is_some() {
        core.writer()?.offer(line, compacted);
    }
    Ok(copies)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLACE: Place = (BranchId(0), PageId(7));

    #[test]
    fn a_page_is_compacted_when_it_goes_on_changing_and_not_again_for_nothing() {
        let mut asked = Asked::default();
        assert!(!asked.note(PLACE, Epoch(1), 100), "seen the first time");
        assert!(!asked.note(PLACE, Epoch(1), 100), "unchanged");
        assert!(asked.note(PLACE, Epoch(2), 110));
        assert!(!asked.note(PLACE, Epoch(3), 120), "asked for already");
        assert_eq!(asked.next(), Some(PLACE));
        assert!(!asked.note(PLACE, Epoch(4), 130), "at work");
        asked.done(PLACE, None);
        assert_eq!(asked.next(), None);
        assert!(!asked.note(PLACE, Epoch(5), 219), "nothing could be done about 110");
        assert!(asked.note(PLACE, Epoch(6), 220));
        assert_eq!(asked.next(), Some(PLACE));
        let copies = Arc::new(());
        asked.done(PLACE, Some(Arc::downgrade(&copies)));
        assert!(!asked.note(PLACE, Epoch(7), 300), "copies wait");
        drop(copies);
        assert!(asked.note(PLACE, Epoch(8), 100));
    }
}
