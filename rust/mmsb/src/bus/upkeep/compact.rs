//! Compaction of pages that are viewed and changed again and again, so scattered that their views cost: who asks for it,
//! and the copies until a commit takes them.

use std::collections::HashMap;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use crate::base::ids::{BranchId, Epoch, PageId};
use crate::bus::core::Core;
use crate::bus::error::Error;
use crate::bus::line::Line;
use crate::page::catalog::RootRef;
use crate::page::compact::{self, Compacted};
use crate::page::state_error::StateError;
use crate::page::version::PageRef;

/// A page of a branch.
pub(crate) type Place = (BranchId, PageId);

/// Pages after which those that were seen are forgotten.
const SEEN: usize = 1024;

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
    copies: Weak<Compacted>,
}

impl Asked {
    /// Notes a scattered view of a version of a page. True where the page is to be compacted now: it has been viewed like
    /// that before and changed since. One that nobody changes any more is better off with the view that it has.
    pub fn note(&mut self, place: Place, version: Epoch, pieces: usize) -> bool {
        if self.at_work == Some(place) || self.due.contains(&place) {
            return false;
        }
        if self.seen.len() >= SEEN {
            self.seen.retain(|_, seen| seen.copies.strong_count() > 0);
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
    pub fn done(&mut self, place: Place, copies: Option<Weak<Compacted>>) {
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
    core: &Core,
    line: &Arc<Line>,
    page: PageId,
    rest: &mut dyn FnMut(Duration) -> bool,
) -> Result<Option<Weak<Compacted>>, Error> {
    let (pin, root) = core.pin(line)?;
    let root = RootRef::new(&core.arena, root);
    let at = root.page(page).ok_or(StateError::NoPage(page))?;
    if !root.is_alone(page) {
        return Ok(None);
    }
    let version = PageRef::new(&core.arena, at);
    core.ready(version)?;
    let scattered = compact::scattered(version, core.schemas.of(version.def()));
    if scattered.is_empty() {
        return Ok(None);
    }
    // Everything else may go while the copies are made.
    pin.narrow(page.0);
    let compacted = Arc::new(Compacted::new(&core.arena, page));
    // From now on a commit that wants memory can have theirs.
    core.writer()?.offer(line, &compacted);
    for chunks in &scattered {
        let began = Instant::now();
        let copied = compacted.copy(chunks);
        if !copied.as_ref().is_ok_and(|copied| *copied) || !rest(began.elapsed()) {
            compacted.give_up();
            return copied.map(|_| None).map_err(|error| StateError::from(error).into());
        }
    }
    compacted.offer();
    Ok(Some(Arc::downgrade(&compacted)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::{self, arena::Arena};

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
        let arena =
            Arc::new(Arena::new(memory::machine::place::Place::Memory, 64 << 20).expect("a small arena"));
        let copies = Arc::new(Compacted::new(&arena, PLACE.1));
        asked.done(PLACE, Some(Arc::downgrade(&copies)));
        assert!(!asked.note(PLACE, Epoch(7), 300), "copies wait");
        drop(copies);
        assert!(asked.note(PLACE, Epoch(8), 100));
    }
}
