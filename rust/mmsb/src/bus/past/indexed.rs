//! Frames of the log that are asked about for one page after the other: as long as there is room, each is read, checked and gone
//! over once.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;

use crate::base::codec::Reader;
use crate::base::ids::{Epoch, PageId};
use crate::bus::core::Core;
use crate::bus::error::Error;
use crate::page::body::{self, Record};
use crate::page::delta::Delta;
use crate::page::log::{Frame, FrameHead};
use crate::page::state_error::StateError;

/// What a place of a delta takes, about.
const PLACE: usize = 64;

/// Which commit it was, by whom and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// The epoch it made.
    pub epoch: Epoch,
    /// Who wrote it.
    pub source: Option<String>,
    /// Why: a JSON text.
    pub intent: Option<String>,
}

/// A frame, with the places of its deltas by page.
pub(super) struct Indexed {
    pub origin: Arc<Origin>,
    body: Vec<u8>,
    deltas: HashMap<PageId, Vec<usize>>,
    created: HashSet<PageId>,
    /// What it takes, about.
    bytes: usize,
}

impl Indexed {
    fn new(frame: Frame, known: Option<Arc<Origin>>) -> Result<Self, Error> {
        let (mut deltas, mut created) = (HashMap::<_, Vec<_>>::new(), HashSet::new());
        let mut bytes = frame.body.len();
        for place in body::places(&frame.body) {
            bytes += PLACE;
            match place? {
                (page, Some(at)) => deltas.entry(page).or_default().push(at),
                (page, None) => {
                    created.insert(page);
                }
            }
        }
        let origin = known.map_or_else(|| origin(&frame).map(Arc::new), Ok)?;
        Ok(Indexed { origin, body: frame.body, deltas, created, bytes })
    }

    /// Its deltas of a page, newest first.
    pub fn deltas(&self, page: PageId) -> impl Iterator<Item = Result<Delta<'_>, StateError>> {
        let places = self.deltas.get(&page).map_or(&[][..], Vec::as_slice);
        places.iter().rev().map(|&at| Ok(Delta::decode(&mut Reader::new(&self.body[at..]))?))
    }

    /// Whether a page comes to be in it.
    pub fn creates(&self, page: PageId) -> bool {
        self.created.contains(&page)
    }
}

/// Source and intent are the first records of a frame that has them.
fn origin(frame: &Frame) -> Result<Origin, StateError> {
    let mut found = Origin { epoch: frame.head.epoch, source: None, intent: None };
    for record in body::records(&frame.body) {
        match record? {
            Record::Source(source) => found.source = Some(source.into()),
            Record::Intent(intent) => found.intent = Some(intent.into()),
            _ => break,
        }
    }
    Ok(found)
}

/// The frames that were read, as many as there is room for.
pub(super) struct IndexedFrames<'c> {
    core: &'c Core,
    budget: usize,
    kept: HashMap<u64, Arc<Indexed>>,
    /// Where those are, in the order in which they were read.
    order: VecDeque<u64>,
    /// What those take, and the largest ever.
    bytes: usize,
    largest: usize,
    /// Who wrote each, of all that were read.
    origins: HashMap<u64, Arc<Origin>>,
}

impl<'c> IndexedFrames<'c> {
    /// None yet; so many bytes are kept, or twice the largest frame.
    pub fn new(core: &'c Core, budget: usize) -> Self {
        let (kept, order, origins) = Default::default();
        IndexedFrames { core, budget, kept, order, bytes: 0, largest: 0, origins }
    }

    /// The frame at a position of the log, if its head is wanted.
    pub fn frame(
        &mut self,
        position: u64,
        wanted: impl Fn(&FrameHead) -> bool,
    ) -> Result<Option<Arc<Indexed>>, Error> {
        if let Some(known) = self.kept.get(&position) {
            return Ok(Some(Arc::clone(known)));
        }
        if !wanted(&self.core.log.frame_head(position)?) {
            return Ok(None);
        }
        let known = self.origins.get(&position).map(Arc::clone);
        let read = Arc::new(Indexed::new(self.core.log.frame(position)?, known)?);
        self.origins.insert(position, Arc::clone(&read.origin));
        self.largest = self.largest.max(read.bytes);
        let room = self.budget.max(2 * self.largest);
        while self.bytes + read.bytes > room
            && let Some(oldest) = self.order.pop_front()
        {
            self.bytes -= self.kept.remove(&oldest).map_or(0, |gone| gone.bytes);
        }
        self.bytes += read.bytes;
        self.order.push_back(position);
        self.kept.insert(position, Arc::clone(&read));
        Ok(Some(read))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::bus::handle::Bus;
    use crate::bus::options::{Note, Options};
    use crate::page::dtype::DType;
    use crate::page::schema::Schema;
    use crate::page::select::Select;

    #[test]
    fn what_there_is_no_room_for_is_read_again() {
        let bus = Bus::memory(&Options::default()).unwrap();
        let schema = Schema::array(DType::I64, vec![], false, None).unwrap();
        let page = bus.create_page("page", schema, 1000, &Note::default()).unwrap();
        for step in 0..20i64 {
            let note = Note { source: Some(format!("by {step}")), ..Note::default() };
            bus.assign(page, 0, Select::range(0, 1000), &vec![step; 1000], &note).unwrap();
        }
        let log = &bus.core().log;
        let positions = log.frames_of_page(page, 0, u64::MAX).unwrap();
        for (budget, wanted) in [(0, 2..=2), (40_000, 4..=4), (1 << 20, 21..=21)] {
            let mut frames = IndexedFrames::new(bus.core(), budget);
            let mut origins = Vec::new();
            for _ in 0..2 {
                for (number, position) in positions.iter().enumerate() {
                    let frame = frames.frame(*position, |_| true).unwrap().unwrap();
                    assert_eq!(frame.creates(page), number == 0);
                    assert_eq!(frame.deltas(page).count(), usize::from(number > 0));
                    let wanted = (number > 0).then(|| format!("by {}", number - 1));
                    assert_eq!(frame.origin.source, wanted);
                    origins.push(Arc::clone(&frame.origin));
                    let held: usize = frames.kept.values().map(|kept| kept.bytes).sum();
                    assert_eq!((held, frames.order.len()), (frames.bytes, frames.kept.len()));
                }
            }
            assert!(wanted.contains(&frames.kept.len()), "{} of budget {budget}", frames.kept.len());
            // Who wrote it is told by the same for ever.
            assert!((0..positions.len()).all(|i| Arc::ptr_eq(&origins[i], &origins[i + positions.len()])));
        }
        assert!(IndexedFrames::new(bus.core(), 0).frame(positions[0], |_| false).unwrap().is_none());
    }
}
