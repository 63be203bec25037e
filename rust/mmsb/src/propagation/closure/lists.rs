//! The edges at every vertex, side by side, with room for more.

/// An edge as one of its ends has it.
#[derive(Debug, Clone, Copy)]
pub struct Half<T> {
    /// The vertex at its other end.
    pub other: u32,
    /// Its row.
    pub row: u32,
    /// Its weight.
    pub weight: T,
}

/// Where the edges of a vertex are.
#[derive(Debug, Clone, Copy, Default)]
struct Span {
    start: u32,
    len: u32,
    room: u32,
}

/// Room for edges that are not there, beyond which they move together; and what is always allowed.
const SLACK: usize = 4;
const SOME: usize = 1024;

/// For every vertex a list of edges, in no order.
#[derive(Debug)]
pub struct Lists<T> {
    spans: Vec<Span>,
    pool: Vec<Half<T>>,
    live: usize,
}

impl<T: Copy> Lists<T> {
    /// Lists of so many edges each, to be filled by [`Lists::push`], which then moves nothing.
    pub fn of(counts: &[u32], fill: T) -> Self {
        let mut start = 0;
        let span = |&room: &u32| {
            let span = Span { start, len: 0, room };
            start += room;
            span
        };
        let spans = counts.iter().map(span).collect();
        let pool = vec![Half { other: 0, row: 0, weight: fill }; start as usize];
        Self { spans, pool, live: 0 }
    }

    /// The edges of a vertex.
    #[inline]
    pub fn at(&self, vertex: u32) -> &[Half<T>] {
        let span = self.spans[vertex as usize];
        &self.pool[span.start as usize..(span.start + span.len) as usize]
    }

    /// Puts an edge at a vertex. At which place of its list it is.
    pub fn push(&mut self, vertex: u32, half: Half<T>) -> u32 {
        let mut span = self.spans[vertex as usize];
        if span.len == span.room {
            self.grow(vertex, half);
            span = self.spans[vertex as usize];
        }
        self.pool[(span.start + span.len) as usize] = half;
        self.spans[vertex as usize].len += 1;
        self.live += 1;
        span.len
    }

    /// Takes the edge at a place of a vertex's list away. The row of the one that is there now.
    pub fn remove(&mut self, vertex: u32, place: u32) -> Option<u32> {
        let span = &mut self.spans[vertex as usize];
        span.len -= 1;
        self.live -= 1;
        let (at, last) = ((span.start + place) as usize, (span.start + span.len) as usize);
        self.pool[at] = self.pool[last];
        (at != last).then(|| self.pool[at].row)
    }

    /// How many edges there is room for.
    #[cfg(test)]
    pub fn room(&self) -> usize {
        self.pool.len()
    }

    /// Twice the room at a vertex, behind all others; all move together where there is much between them.
    fn grow(&mut self, vertex: u32, fill: Half<T>) {
        if self.pool.len() > SLACK * self.live + SOME {
            let mut pool = Vec::with_capacity(self.live * 2);
            for span in &mut self.spans {
                let edges = &self.pool[span.start as usize..(span.start + span.len) as usize];
                (span.start, span.room) = (pool.len() as u32, span.len);
                pool.extend_from_slice(edges);
            }
            self.pool = pool;
        }
        let span = &mut self.spans[vertex as usize];
        let from = span.start as usize..(span.start + span.len) as usize;
        (span.start, span.room) = (self.pool.len() as u32, (span.len * 2).max(4));
        self.pool.extend_from_within(from);
        self.pool.resize((span.start + span.room) as usize, fill);
    }
}
