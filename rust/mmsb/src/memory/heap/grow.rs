//! Growing: fresh chunks of a span, more memory for it, and more spans where there is no room left.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::base::fail;
use crate::base::limits::{CHUNK, GROW_STEP, SPAN_MAX, SPANS_MAX};
use crate::memory::error::MemoryError;
use crate::memory::heap::account::{SpanChunks, Taken};
use crate::memory::heap::chunks::{Chunks, State, bytes};
use crate::memory::machine::span::{Shape, Span};

impl State {
    pub(in crate::memory) fn fresh(
        &mut self,
        of: &Chunks,
        n: usize,
        small: bool,
    ) -> Result<Taken, MemoryError> {
        let room = |s: &SpanChunks| s.fits(small) && s.span.shape().chunks().end - s.fresh >= n;
        let ready = |s: &SpanChunks| room(s) && s.fresh + n <= s.allocated;
        let at = match self.spans.iter().rposition(ready).or_else(|| self.spans.iter().rposition(room)) {
            Some(at) => at,
            None => self.add_span(of, n)?,
        };
        if self.spans[at].fresh + n > self.spans[at].allocated {
            self.grow(of, at, n)?;
        }
        let last = at + 1 == self.spans.len();
        let chunks = &mut self.spans[at];
        let index = chunks.fresh;
        chunks.fresh += n;
        if let Some(numbers) = of.numbers.get() {
            // Before anybody can reach what lies there.
            numbers.set_fresh(chunks.span.number(), chunks.fresh);
        }
        self.used += bytes(n);
        Ok(chunks.taken(index, last && chunks.behind()))
    }

    /// Allocates memory to span `at` for `n` more fresh chunks: a whole step, or what is asked where that is too much.
    fn grow(&mut self, of: &Chunks, at: usize, n: usize) -> Result<(), MemoryError> {
        let chunks = &self.spans[at];
        let need = chunks.fresh + n;
        let step = (chunks.allocated + GROW_STEP as usize / CHUNK).min(chunks.span.shape().chunks().end);
        let (promised, allocated) = (chunks.promised, chunks.allocated);
        let mut result = Ok(());
        for end in [need.max(step), need] {
            let more = bytes(end.saturating_sub(promised));
            if self.committed + more > of.budget {
                result =
                    Err(MemoryError::Budget { asked: bytes(n), used: self.committed, budget: of.budget });
                continue;
            }
            result = self.spans[at].span.allocate(&of.home, allocated..end);
            if result.is_ok() {
                self.spans[at].allocated = end;
                self.spans[at].promised = end.max(promised);
                self.committed += more;
                break;
            }
        }
        result
    }

    /// Adds a span of the doubling schedule, or one made to measure when `n` chunks do not fit in that.
    pub(in crate::memory) fn add_span(&mut self, of: &Chunks, n: usize) -> Result<usize, MemoryError> {
        let first = self.spans.is_empty() && of.numbers.get().is_none();
        let mut shape = Shape::new(first, self.next);
        let ordinary = shape.chunks().len() >= n;
        if !ordinary {
            shape = Shape::for_chunks(first, n);
        }
        let head = bytes(shape.first);
        // Asked before a span is made that could not be used.
        if self.committed + head + bytes(n) > of.budget {
            of.wants.store(true, Ordering::Relaxed);
            let asked = head + bytes(n);
            return Err(MemoryError::Budget { asked, used: self.committed, budget: of.budget });
        }
        let span = Arc::new(self.make_span(of, shape)?);
        if ordinary {
            self.next = (self.next * 2).min(SPAN_MAX);
        }
        self.committed += head;
        self.add(SpanChunks::new(span, shape.first));
        Ok(self.spans.len() - 1)
    }

    pub(in crate::memory) fn add(&mut self, chunks: SpanChunks) {
        self.places[usize::from(chunks.span.number())] = self.spans.len() as u16;
        self.spans.push(chunks);
    }

    /// Makes a span, which others may map from now on.
    fn make_span(&self, of: &Chunks, shape: Shape) -> Result<Span, MemoryError> {
        let limit = MemoryError::TooManySpans { limit: SPANS_MAX };
        let Some(numbers) = of.numbers.get() else {
            let number = self.spans.len();
            return if number < SPANS_MAX { Span::new(&of.home, number as u16, shape) } else { Err(limit) };
        };
        let mut from = 0;
        while let Some(number) = numbers.take_empty(from) {
            match Span::open(&of.home, number) {
                Ok(span) if span.shape().chunks().len() >= shape.chunks().len() => return Ok(span),
                _ => numbers.offer(number),
            }
            from = number + 1;
        }
        if numbers.has_orphans() {
            of.wants.store(true, Ordering::Relaxed);
        }
        let number = numbers.reserve().ok_or(limit)?;
        fail::at("making a span");
        match Span::new(&of.home, number, shape) {
            Ok(span) => {
                // Of a nameless one, which a process makes that has left the others, they learn nothing.
                if of.home.path().is_some() {
                    numbers.add(number);
                }
                Ok(span)
            }
            Err(error) => {
                numbers.give_up(number);
                Err(error)
            }
        }
    }
}
