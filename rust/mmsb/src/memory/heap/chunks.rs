//! Chunks of this process's spans: handed out recycled first, then fresh; spans grow and are added as they are needed.
//!
//! A span's chunks in order: ever used `first..fresh` (in use, free in its bitmap, or free and given back to the machine),
//! then allocated to the file but never used, then not allocated. The budget counts what is allocated to files.
//!
//! What nobody needed for a while goes back, [`Chunks::find_surplus`]; not all of it, so that a burst like the last one
//! finds its memory. It is done by the background thread, and taken again when nothing else is free.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use crate::base::limits::{
    AHEAD_STEP, CHUNK, EXTENT_MAX, GIVE_BACK_LEAST, GIVE_BACK_MOST, KEEP_FREE, SPAN_FIRST, SPANS_MAX,
};
use crate::memory::addr::Addr;
use crate::memory::error::MemoryError;
use crate::memory::heap::account::{ChunkStats, SpanChunks, Taken};
use crate::memory::heap::runs::{Runs, SEARCH_WORDS};
use crate::memory::machine::place::Home;
use crate::memory::machine::span::Span;
use crate::memory::shared::spans::Numbers;

/// The chunks of those spans of an arena that are this process's.
#[derive(Debug)]
pub struct Chunks {
    pub(in crate::memory) home: Home,
    pub(in crate::memory) budget: u64,
    /// Where spans get their numbers; before that is known, one after the other.
    pub(in crate::memory) numbers: OnceLock<Numbers>,
    /// Whether a span was made although there were some to take over.
    pub(in crate::memory) wants: AtomicBool,
    state: Mutex<State>,
}

#[derive(Debug)]
pub(in crate::memory) struct State {
    pub(in crate::memory) spans: Vec<SpanChunks>,
    /// Where among them each is, by its number.
    pub(in crate::memory) places: [u16; SPANS_MAX],
    /// Bytes allocated to files, and those that are about to be.
    pub(in crate::memory) committed: u64,
    pub(in crate::memory) used: u64,
    pub(in crate::memory) recycled: u64,
    /// Bytes free for use again; what was given back is not.
    pub(in crate::memory) free: u64,
    /// The least that was free since the background thread looked.
    pub(in crate::memory) least_free: u64,
    /// Whether it will look again.
    pub(in crate::memory) watched: bool,
    /// What it found that can go back.
    pub(in crate::memory) surplus: u64,
    pub(in crate::memory) given_back: u64,
    /// Bytes of the next span of the doubling schedule.
    pub(in crate::memory) next: u64,
}

/// A piece of the work of keeping fresh chunks ready.
#[derive(Debug)]
pub struct Ahead {
    span: Arc<Span>,
    allocate: Range<usize>,
    populate: Range<usize>,
}

/// Chunks that are being given back to the machine: neither in use nor free meanwhile.
struct Going {
    span: Arc<Span>,
    chunks: Range<usize>,
}

pub(in crate::memory) const fn bytes(chunks: usize) -> u64 {
    (chunks * CHUNK) as u64
}

impl Chunks {
    /// No chunks yet.
    pub fn new(home: Home, budget: u64) -> Chunks {
        Chunks {
            home,
            budget,
            numbers: OnceLock::new(),
            wants: AtomicBool::new(false),
            state: Mutex::new(State::new()),
        }
    }

    /// Has spans take their numbers from a table from now on.
    pub fn share(&self, numbers: Numbers) {
        let _ = self.numbers.set(numbers);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The most bytes that may be allocated to files.
    pub fn budget(&self) -> u64 {
        self.budget
    }

    /// The arena's place.
    pub fn home(&self) -> &Home {
        &self.home
    }

    /// Makes span 0, if there is none.
    pub fn first_span(&self) -> Result<Arc<Span>, MemoryError> {
        let mut state = self.state();
        if state.spans.is_empty() {
            state.add_span(self, 1)?;
        }
        Ok(Arc::clone(&state.spans[0].span))
    }

    /// Whether this process would rather take over a span than make one.
    pub fn wants_span(&self) -> bool {
        self.wants.load(Ordering::Relaxed) || self.state().spans.is_empty()
    }

    /// Takes over a span whose process died, and of whose chunks before `fresh` none is free for all that is known.
    pub fn adopt_as_it_is(&self, span: Arc<Span>, fresh: usize) {
        self.wants.store(false, Ordering::Relaxed);
        let (mut state, first) = (self.state(), span.shape().first);
        state.committed += bytes(fresh);
        state.used += bytes(fresh - first);
        state.add(SpanChunks::new(span, fresh));
    }

    /// Gives the memory of a span back to the machine, of which nothing is in use.
    pub fn empty(&self, span: &Span) {
        span.give_back(span.shape().chunks());
    }

    /// Takes over a span whose process died, and of whose chunks these are in use: nobody else uses any. The others' memory
    /// goes back to the machine until they are handed out.
    pub fn adopt(&self, span: Arc<Span>, in_use: &BTreeSet<usize>) {
        self.wants.store(false, Ordering::Relaxed);
        let shape = span.shape();
        let fresh = in_use.last().map_or(shape.first, |last| last + 1);
        if let Some(numbers) = self.numbers.get() {
            numbers.set_fresh(span.number(), fresh);
        }
        let mut holes = Runs::default();
        let unused = |index: &usize| !in_use.contains(index);
        (shape.first..fresh).filter(unused).for_each(|index| holes.insert(index));
        // Where it cannot be given back it is allocated twice, which costs nothing.
        let mut from = shape.first;
        for &end in in_use.iter().chain([&shape.chunks().end]) {
            if from < end {
                span.give_back(from..end);
            }
            from = end + 1;
        }
        let mut state = self.state();
        state.committed += bytes(shape.first + in_use.len());
        state.used += bytes(in_use.len());
        state.add(SpanChunks { holes, ..SpanChunks::new(span, fresh) });
    }

    /// Takes `n` chunks in a row. With `small` they lie where small blocks may.
    pub fn take(&self, n: usize, small: bool) -> Result<Taken, MemoryError> {
        if n == 0 || n as u64 > EXTENT_MAX / CHUNK as u64 {
            let asked = (n as u64).saturating_mul(CHUNK as u64);
            return Err(MemoryError::TooLarge { asked, limit: EXTENT_MAX });
        }
        let mut state = self.state();
        if let Some(taken) = state.recycled(n, small, SEARCH_WORDS) {
            return Ok(taken);
        }
        if let Some(taken) = state.taken_again(self, n, small, SEARCH_WORDS) {
            return Ok(taken);
        }
        match state.fresh(self, n, small) {
            Ok(taken) => Ok(taken),
            // Before the answer is no, every last bit is looked at.
            Err(error) => {
                let free = state.recycled(n, small, usize::MAX / 2);
                state.spans.iter_mut().for_each(|of| of.from = 0);
                free.or_else(|| state.taken_again(self, n, small, usize::MAX)).ok_or(error)
            }
        }
    }

    /// Frees `n` chunks in a row. True where so much is free now that the background thread should look.
    pub fn give(&self, addr: Addr, n: usize) -> bool {
        let mut state = self.state();
        let first = addr.offset() as usize / CHUNK;
        let chunks = state.of(addr.span());
        assert!(
            addr.offset().is_multiple_of(CHUNK as u64)
                && first >= chunks.span.shape().first
                && first + n <= chunks.fresh,
            "{addr:?} is no chunk that was handed out"
        );
        for index in first..first + n {
            chunks.runs.insert(index);
        }
        state.used -= bytes(n);
        state.free += bytes(n);
        if state.watched || !state.has_much_free() {
            return false;
        }
        (state.watched, state.least_free) = (true, state.free);
        true
    }

    /// Whether what is free should be looked at again in a while.
    pub fn is_watched(&self) -> bool {
        self.state().watched
    }

    /// Finds what nobody needed since the last time, beyond what is kept free.
    pub fn find_surplus(&self) {
        let mut state = self.state();
        state.surplus = state.least_free.saturating_sub(state.kept_free());
        state.least_free = state.free;
        state.watched = state.has_much_free();
        state.spans.iter_mut().for_each(|of| of.runs.rewind());
    }

    /// Gives some of what was found back to the machine, without holding anyone up. False when there is nothing more.
    pub fn give_back(&self) -> bool {
        let Some(Going { span, chunks }) = self.state().going() else { return false };
        let done = span.give_back(chunks.clone());
        // What failed half-way has let some of it go.
        let kept = !done && span.allocate(&self.home, chunks.clone()).is_ok();
        let (n, mut state) = (bytes(chunks.len()), self.state());
        let of = state.of(span.number());
        chunks.for_each(|index| if kept { of.runs.insert(index) } else { of.holes.insert(index) });
        if kept {
            state.free += n;
        } else {
            state.committed -= n;
            state.given_back += n;
        }
        if !done {
            (state.surplus, state.watched) = (0, false);
        }
        done
    }

    /// What all chunks come to.
    pub fn stats(&self) -> ChunkStats {
        let state = self.state();
        ChunkStats {
            reserved: state.spans.iter().map(|s| s.span.shape().capacity).sum(),
            committed: state.committed,
            used: state.used,
            free: state.free,
            recycled: state.recycled,
            given_back: state.given_back,
            spans: state.spans.len(),
        }
    }

    /// The next piece of work for the background thread, if there is any.
    pub fn ahead(&self) -> Option<Ahead> {
        let mut state = self.state();
        let room = self.budget.saturating_sub(state.committed);
        let chunks = state.spans.last_mut()?;
        let want = chunks.wanted();
        let step = AHEAD_STEP as usize / CHUNK;
        let from = chunks.populated.max(chunks.fresh);
        if from >= want {
            return None;
        }
        let to = want.min(from + step);
        let mut allocate = chunks.promised..chunks.promised;
        if to > chunks.promised {
            allocate.end = to.min(chunks.promised + (room / CHUNK as u64) as usize);
            chunks.promised = allocate.end;
        }
        let populate = from..to.min(allocate.end.max(chunks.allocated));
        let span = Arc::clone(&chunks.span);
        state.committed += bytes(allocate.len());
        (!populate.is_empty()).then_some(Ahead { span, allocate, populate })
    }

    /// Does a piece of work, without holding anyone up. False when there is no use in going on.
    pub fn work(&self, ahead: &Ahead) -> bool {
        let number = ahead.span.number();
        if !ahead.allocate.is_empty() {
            let done = ahead.span.allocate(&self.home, ahead.allocate.clone());
            let mut state = self.state();
            let chunks = state.of(number);
            if done.is_err() {
                // The writer reports what it meets itself; only the promise is taken back, as far as it still holds.
                if chunks.promised == ahead.allocate.end {
                    chunks.promised = chunks.allocated;
                    let given_up = ahead.allocate.end - chunks.allocated;
                    state.committed -= bytes(given_up);
                }
                return false;
            }
            chunks.allocated = chunks.allocated.max(ahead.allocate.end);
        }
        let done = ahead.span.populate(ahead.populate.clone());
        let mut state = self.state();
        let chunks = state.of(number);
        chunks.populated = chunks.populated.max(ahead.populate.end);
        done
    }
}

impl State {
    fn new() -> State {
        State {
            spans: Vec::new(),
            places: [u16::MAX; SPANS_MAX],
            committed: 0,
            used: 0,
            recycled: 0,
            free: 0,
            least_free: 0,
            watched: false,
            surplus: 0,
            given_back: 0,
            next: SPAN_FIRST,
        }
    }

    /// This process's span of a number.
    fn of(&mut self, number: u16) -> &mut SpanChunks {
        &mut self.spans[usize::from(self.places[usize::from(number)])]
    }

    fn recycled(&mut self, n: usize, small: bool, search: usize) -> Option<Taken> {
        for chunks in self.spans.iter_mut().rev().filter(|chunks| chunks.fits(small)) {
            if let Some(index) = chunks.runs.take_run(n, search) {
                let taken = chunks.taken(index, false);
                self.reuse(n);
                return Some(taken);
            }
        }
        None
    }

    fn reuse(&mut self, n: usize) {
        self.used += bytes(n);
        self.recycled += bytes(n);
        self.free -= bytes(n);
        self.least_free = self.least_free.min(self.free);
    }

    /// Bytes that stay free for the next burst.
    fn kept_free(&self) -> u64 {
        self.used / 4 + KEEP_FREE
    }

    fn has_much_free(&self) -> bool {
        self.free >= self.kept_free() + GIVE_BACK_LEAST
    }

    /// Some chunks in a row that go back; none where what was found is used up or scattered.
    fn going(&mut self) -> Option<Going> {
        let (least, most) = (GIVE_BACK_LEAST as usize / CHUNK, GIVE_BACK_MOST as usize / CHUNK);
        let most = most.min(self.surplus as usize / CHUNK);
        if most < least {
            self.surplus = 0;
            return None;
        }
        let found = self.spans.iter_mut().rev().find_map(|of| {
            of.runs.take_some(least, most).map(|chunks| Going { span: Arc::clone(&of.span), chunks })
        });
        let Some(going) = found else {
            // Until more is freed beside it there is no use in looking.
            (self.surplus, self.watched) = (0, false);
            return None;
        };
        let n = bytes(going.chunks.len());
        self.surplus -= n;
        self.free -= n;
        self.least_free = self.least_free.min(self.free);
        Some(going)
    }

    /// Chunks of which some were given back to the machine, and are taken from it again with some that follow. `None`
    /// where there are none, or no memory for them.
    #[cold]
    fn taken_again(&mut self, of: &Chunks, n: usize, small: bool, search: usize) -> Option<Taken> {
        for at in (0..self.spans.len()).rev() {
            let chunks = &mut self.spans[at];
            if chunks.holes.free() == 0 || !chunks.fits(small) {
                continue;
            }
            let (runs, holes) = (&chunks.runs, &chunks.holes);
            let Some(first) = runs.run_with(holes, n, &mut chunks.from, search) else { continue };
            let mut end = first + n;
            while end - first < GIVE_BACK_MOST as usize / CHUNK && chunks.holes.has(end) {
                end += 1;
            }
            self.fill_holes(of, at, first..end)
                .or_else(|_| self.fill_holes(of, at, first..first + n))
                .ok()?;
            let chunks = &mut self.spans[at];
            chunks.runs.take_at(first, n);
            let taken = chunks.taken(first, false);
            self.reuse(n);
            return Some(taken);
        }
        None
    }

    /// Allocates memory to those of the chunks of span `at` that have none: they are free then.
    fn fill_holes(&mut self, of: &Chunks, at: usize, chunks: Range<usize>) -> Result<(), MemoryError> {
        let mut from = chunks.start;
        while from < chunks.end {
            let span = &mut self.spans[at];
            let is_hole = span.holes.has(from);
            let end = (from..chunks.end).find(|&i| span.holes.has(i) != is_hole).unwrap_or(chunks.end);
            if is_hole {
                let n = bytes(end - from);
                if self.committed + n > of.budget {
                    return Err(MemoryError::Budget { asked: n, used: self.committed, budget: of.budget });
                }
                span.span.allocate(&of.home, from..end)?;
                span.holes.take_at(from, end - from);
                (from..end).for_each(|index| span.runs.insert(index));
                self.committed += n;
                self.free += n;
            }
            from = end;
        }
        Ok(())
    }
}
