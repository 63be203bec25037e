//! The body of the frame that is being made, and where in it the data of every write lies.

use crate::base::codec::Writer as Encoder;
use crate::base::ids::PageId;
use crate::base::limits::LOG_FROM_PAGE;
use crate::bus::commit::{Change, Request};
use crate::page::body::{self, Record};
use crate::page::delta::{Data, Delta, Part};
use crate::page::draft::Draft;
use crate::page::select::{Rows, Select};

/// Bytes of the last body above which its memory is not kept for the next: few commits are so large.
const KEPT: usize = 1 << 20;

/// Where the data of a part lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lies {
    /// In the body, from here on.
    Body(usize),
    /// In the staged page; here in the body it is left out.
    Page(usize),
}

/// The body of one frame after the other; its vectors are kept, so that a small commit allocates nothing on the heap.
#[derive(Debug, Default)]
pub(crate) struct Body {
    bytes: Encoder,
    /// Of each part of each write, in order.
    lies: Vec<Lies>,
    /// Whether nothing is left out.
    whole: bool,
    pages: Vec<PageId>,
    /// Where that ends which the commit was asked for: bytes and pages. What follows from it stands behind.
    asked: (usize, usize),
    /// Whether what follows changes which rows there are.
    resizes: bool,
}

impl Body {
    /// Writes the body of a commit, and notes which pages it speaks of.
    pub fn encode(&mut self, request: &Request<'_, '_>) {
        self.clear();
        let Body { bytes: to, lies, whole, pages, .. } = self;
        if let Some(source) = request.source {
            Record::Source(source).encode(to);
        }
        if let Some(intent) = request.intent {
            Record::Intent(intent).encode(to);
        }
        for change in request.changes {
            match change {
                Change::Write(delta) => body::encode_delta(to, delta, |part, to| {
                    if is_from_page(request.changes, delta, part) {
                        lies.push(Lies::Page(to.len()));
                        *whole = false;
                    } else {
                        lies.push(Lies::Body(to.len()));
                        to.raw(part.data.bytes());
                    }
                }),
                Change::Create { page, name, schema, rows } => {
                    body::encode_create(to, *page, name, schema, *rows)
                }
                Change::Drop(page) => Record::Drop(*page).encode(to),
                Change::Resize(page, rows) => Record::Resize(*page, *rows).encode(to),
                Change::Rule(page, rule) => body::encode_rule(to, *page, rule),
                Change::Marks(page, marks) => Record::Marks(*page, *marks).encode(to),
                Change::Remark(record) => record.encode(to),
            }
            // The log takes a page twice for once; one after the other they are many.
            pages.extend(page_of(change).filter(|page| pages.last() != Some(page)));
        }
        self.asked = (self.bytes.len(), self.pages.len());
    }

    /// Forgets what follows from what the commit was asked for.
    pub fn rewind(&mut self) {
        self.bytes.truncate(self.asked.0);
        self.pages.truncate(self.asked.1);
        self.resizes = false;
    }

    /// Adds cells of a page that follows.
    pub fn add_delta(&mut self, delta: &Delta<'_>) {
        body::encode_delta(&mut self.bytes, delta, |part, to| to.raw(part.data.bytes()));
        self.pages.push(delta.page);
    }

    /// Adds the rows from `start` up to `stop` of a column of a page that follows.
    pub fn add_rows(&mut self, page: PageId, column: u16, rows: (u64, u64), bytes: &[u8]) {
        body::encode_rows(&mut self.bytes, page, column, rows, bytes);
        self.pages.push(page);
    }

    /// Adds another number of rows of a page that follows.
    pub fn add_resize(&mut self, page: PageId, rows: u64) {
        Record::Resize(page, rows).encode(&mut self.bytes);
        self.pages.push(page);
        self.resizes = true;
    }

    /// Adds marks of a page that follows.
    pub fn add_marks(&mut self, page: PageId, marks: u8) {
        Record::Marks(page, marks).encode(&mut self.bytes);
        self.pages.push(page);
    }

    /// Whether what follows changes which rows there are.
    pub fn resizes(&self) -> bool {
        self.resizes
    }

    /// Writes a body of one record.
    pub fn encode_record(&mut self, record: &Record<'_>) {
        self.clear();
        record.encode(&mut self.bytes);
    }

    fn clear(&mut self) {
        if self.bytes.len() > KEPT {
            self.bytes = Encoder::default();
        }
        self.bytes.clear();
        self.lies.clear();
        self.whole = true;
        self.pages.clear();
        (self.asked, self.resizes) = ((0, 0), false);
    }

    /// The pages that the commit speaks of.
    pub fn pages(&self) -> &[PageId] {
        &self.pages
    }

    /// Whether nothing is left out of the bytes.
    pub fn is_whole(&self) -> bool {
        self.whole
    }

    /// The bytes, without what is left out.
    pub fn bytes(&self) -> &[u8] {
        self.bytes.as_slice()
    }

    /// The data of the parts of a delta, the first of which is the commit's part number `first`: as the body has it, or
    /// the caller's where the body leaves it out.
    pub fn data<'b>(&'b self, first: usize, delta: &'b Delta<'_>) -> impl Iterator<Item = &'b [u8]> {
        delta.parts.iter().zip(&self.lies[first..]).map(|(part, lies)| match *lies {
            Lies::Body(at) => &self.bytes.as_slice()[at..at + part.data.bytes().len()],
            Lies::Page(_) => part.data.bytes(),
        })
    }

    /// The whole body in pieces, with what was left out as the draft has it now.
    pub fn pieces<'b>(&'b self, changes: &[Change<'_>], draft: &Draft<'b>) -> Vec<&'b [u8]> {
        let bytes = self.bytes.as_slice();
        let deltas = changes.iter().filter_map(|change| match change {
            Change::Write(delta) => Some(delta),
            _ => None,
        });
        let parts = deltas.flat_map(|delta| delta.parts.iter().map(|part| (delta.page, part)));
        let (mut pieces, mut from) = (Vec::new(), 0);
        for ((page, part), lies) in parts.zip(&self.lies) {
            let (Lies::Page(at), Some(rows)) = (*lies, plain_range(&part.select)) else { continue };
            pieces.push(&bytes[from..at]);
            from = at;
            draft
                .rows(page, part.column, rows, |piece| pieces.push(piece))
                .expect("the draft has just written these rows");
        }
        pieces.push(&bytes[from..]);
        pieces
    }
}

pub(crate) fn page_of(change: &Change<'_>) -> Option<PageId> {
    match change {
        Change::Write(delta) => Some(delta.page),
        Change::Create { page, .. }
        | Change::Drop(page)
        | Change::Resize(page, _)
        | Change::Rule(page, _)
        | Change::Marks(page, _) => Some(*page),
        Change::Remark(_) => None,
    }
}

/// Whether the page, once everything is staged, has exactly the data of this part, and enough of it to be read there.
fn is_from_page(changes: &[Change<'_>], delta: &Delta<'_>, part: &Part<'_>) -> bool {
    matches!(&part.data, Data::Dense(bytes) if bytes.len() >= LOG_FROM_PAGE)
        && delta.op.is_assign()
        && plain_range(&part.select).is_some()
        && delta.parts.iter().filter(|other| other.column == part.column).nth(1).is_none()
        && changes.iter().filter(|change| page_of(change) == Some(delta.page)).nth(1).is_none()
}

/// The rows from the first up to the second, whole.
fn plain_range(select: &Select) -> Option<(u64, u64)> {
    match *select {
        Select::Rows { rows: Rows::Range { start, stop, step: 1 }, inner: None } => Some((start, stop)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use super::*;
    use crate::bus::handle::Bus;
    use crate::bus::options::{Note, Options};
    use crate::page::column::Place;
    use crate::page::dtype::DType;
    use crate::page::operator::OperatorId;
    use crate::page::schema::{Column, Kind, Schema};
    use proptest::prelude::*;

    const ROWS: u64 = 200_000;

    fn bus() -> (Bus, [PageId; 2]) {
        let options = Options { history_budget: None, budget: Some(1 << 30), ..Options::default() };
        let bus = Bus::memory(&options).expect("a bus");
        let columns = || vec![Column::new("a", DType::U8, vec![]), Column::new("b", DType::U16, vec![3])];
        let columns = || columns().into_iter().collect::<Result<_, _>>().expect("columns");
        let schema = || Schema::new(Kind::Table, columns(), None).expect("a schema");
        let page = |name| bus.create_page(name, schema(), ROWS, &Note::default()).expect("a page");
        let pages = [page("p"), page("q")];
        (bus, pages)
    }

    fn part(column: u16, from: u64, to: u64, salt: u64) -> Part<'static> {
        let width = if column == 0 { 1 } else { 6 };
        let data: Vec<u8> = (0..(to - from) * width).map(|i| (i * 31 + salt) as u8).collect();
        Part { column, select: Select::range(from, to), data: Data::Dense(Cow::Owned(data)) }
    }

    /// The body of the newest frame.
    fn newest(bus: &Bus, from: u64) -> Vec<u8> {
        let log = &bus.core().log;
        log.frame(from).expect("a frame").body
    }

    fn encoded(changes: &[Change<'_>]) -> Vec<u8> {
        let mut to = Encoder::new();
        for change in changes {
            match change {
                Change::Write(delta) => Record::Delta(delta.clone()).encode(&mut to),
                Change::Resize(page, rows) => Record::Resize(*page, *rows).encode(&mut to),
                _ => unreachable!("not made here"),
            }
        }
        to.into_vec()
    }

    /// A part of a write: column, first row, rows.
    fn any_part() -> impl Strategy<Value = (u16, u64, u64)> {
        let rows = prop_oneof![Just(1u64), 1u64..9000, 10_922u64..10_924, 65_535u64..65_538, 60_000u64..ROWS];
        (0u16..2, 0..ROWS, rows).prop_map(|(column, from, rows)| (column, from, rows.min(ROWS - from)))
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]
        #[test]
        fn the_log_gets_the_bytes_that_encoding_the_changes_gives(commits in prop::collection::vec(
            (prop::collection::vec((0usize..2, prop::collection::vec(any_part(), 1..4)), 1..4), any::<bool>()), 1..6),
        ) {
            let (bus, pages) = bus();
            for (number, (deltas, resizes)) in commits.iter().enumerate() {
                let mut changes: Vec<Change<'_>> = Vec::new();
                for (page, parts) in deltas {
                    let salt = (number * 17 + changes.len()) as u64;
                    let parts = parts.iter().map(|&(column, from, n)| part(column, from, from + n, salt));
                    let (page, op) = (pages[*page], OperatorId::ASSIGN);
                    changes.push(Change::Write(Delta { page, op, parts: parts.collect() }));
                }
                if *resizes {
                    changes.push(Change::Resize(pages[0], ROWS));
                }
                let position = bus.core().log.head();
                bus.commit(&changes, &Note::default()).expect("a commit");
                prop_assert!(newest(&bus, position) == encoded(&changes));
            }
            let digest = bus.state().expect("a state").digest().expect("a digest");
            prop_assert_eq!(bus.replay_digest(true).expect("a replay")[0].digest, digest);
        }
    }

    #[test]
    fn only_what_the_page_has_unchanged_is_left_out() {
        let (bus, [page, other]) = bus();
        let large = || part(1, 3, 100_003, 7);
        let delta = |page, parts| Change::Write(Delta { page, op: OperatorId::ASSIGN, parts });
        let left_out = |changes: &[Change<'_>]| {
            let mut body = Body::default();
            let note = Note::default();
            body.encode(&bus.request(changes, &note));
            body.lies.iter().map(|lies| matches!(lies, Lies::Page(_))).collect::<Vec<_>>()
        };
        assert_eq!(left_out(&[delta(page, vec![large()])]), [true]);
        assert_eq!(left_out(&[delta(page, vec![large(), part(0, 0, 9, 1)])]), [true, false]);
        assert_eq!(left_out(&[delta(page, vec![large(), part(1, 0, 1, 1)])]), [false, false]);
        assert_eq!(left_out(&[delta(page, vec![large()]), delta(other, vec![large()])]), [true, true]);
        assert_eq!(left_out(&[delta(page, vec![large()]), Change::Resize(page, 5)]), [false]);
        let least = LOG_FROM_PAGE as u64;
        assert_eq!(left_out(&[delta(page, vec![part(0, 0, least, 1)])]), [true]);
        assert_eq!(left_out(&[delta(page, vec![part(0, 0, least - 1, 1)])]), [false]);
        let strided = Rows::Range { start: 0, stop: 2 * least, step: 2 };
        let strided = Select::Rows { rows: strided, inner: None };
        assert_eq!(left_out(&[delta(page, vec![Part { select: strided, ..part(0, 0, least, 1) }])]), [false]);
    }

    /// Chunks that were written one by one do not lie side by side: the pieces are many, and still all of the range.
    #[test]
    fn a_range_is_read_back_in_pieces_that_join() {
        let (bus, [page, _]) = bus();
        for chunk in [20u64, 3, 7, 4, 11, 5] {
            let write =
                Delta::single(page, OperatorId::ASSIGN, part(0, chunk * 8192, chunk * 8192 + 9, chunk));
            bus.write(write, &Note::default()).expect("a commit");
        }
        let state = bus.state().expect("a state");
        let schema = state.schema(page).expect("a schema");
        let column = state.page(page).expect("a page").column(&schema, 0);
        assert!(matches!(column.place, Place::Tree(_)));
        let mut all = vec![0; ROWS as usize];
        column.copy_to(&mut all);
        for (from, to) in
            [(0, ROWS), (8191, 8193), (8192, 16_384), (24_577, 98_300), (5, 6), (7, 7), (1, ROWS - 1)]
        {
            let mut read = Vec::new();
            column.pieces(from, to, |piece| read.extend_from_slice(piece));
            assert!(read == all[from as usize..to as usize], "{from}..{to}");
        }
    }
}
