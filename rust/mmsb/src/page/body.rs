//! The body of a frame: what one commit did, and what it said about itself.

use std::borrow::Cow;

use crate::base::codec::{Reader, Writer};
use crate::base::ids::{BranchId, Epoch, PageId};
use crate::page::delta::{Delta, Part};
use crate::page::encode;
use crate::page::schema::Schema;
use crate::page::state_error::StateError;

/// One thing a frame holds.
#[derive(Debug, Clone, PartialEq)]
pub enum Record<'a> {
    /// Who wrote it.
    Source(&'a str),
    /// Why: a JSON text.
    Intent(&'a str),
    /// Cells written.
    Delta(Delta<'a>),
    /// A page came to be, filled with zeros.
    Create {
        /// Its id.
        page: PageId,
        /// Its name.
        name: &'a str,
        /// Its columns.
        schema: Schema,
        /// Its rows.
        rows: u64,
    },
    /// A page went.
    Drop(PageId),
    /// A page now has this many rows.
    Resize(PageId, u64),
    /// A page now follows from others by this rule; from nothing where it is empty.
    Rule {
        /// The page.
        page: PageId,
        /// The rule, as whoever runs rules understands it.
        rule: Cow<'a, [u8]>,
    },
    /// A page that follows from others is now behind them, in ways that bits tell apart; not at all where there are none.
    Marks(PageId, u8),
    /// The frame's branch came to be.
    Fork {
        /// Its name.
        name: &'a str,
        /// The branch it comes from.
        parent: BranchId,
        /// The parent's epoch it starts from.
        at: Epoch,
    },
    /// The frame's branch went.
    DropBranch,
    /// The frame took over what a branch had at an epoch: the base of the next merge.
    Merged {
        /// The branch.
        branch: BranchId,
        /// Its epoch.
        epoch: Epoch,
    },
    /// The frame brought back the state of an epoch.
    Reverted(Epoch),
    /// A checkpoint of everything through this seq was completed.
    Checkpoint(u64),
}

const SOURCE: u8 = 1;
const INTENT: u8 = 2;
const DELTA: u8 = 3;
const CREATE: u8 = 4;
const DROP: u8 = 5;
const RESIZE: u8 = 6;
const FORK: u8 = 7;
const DROP_BRANCH: u8 = 8;
const MERGED: u8 = 9;
const REVERTED: u8 = 10;
const CHECKPOINT: u8 = 11;
const RULE: u8 = 12;
const MARKS: u8 = 13;

impl Record<'_> {
    /// Appends the record's bytes.
    pub fn encode(&self, to: &mut Writer) {
        match self {
            Record::Source(text) => {
                to.u8(SOURCE);
                to.str(text);
            }
            Record::Intent(json) => {
                to.u8(INTENT);
                to.str(json);
            }
            Record::Delta(delta) => {
                to.u8(DELTA);
                delta.encode(to);
            }
            Record::Create { page, name, schema, rows } => encode_create(to, *page, name, schema, *rows),
            Record::Drop(page) => {
                to.u8(DROP);
                to.varint(page.0);
            }
            Record::Resize(page, rows) => {
                to.u8(RESIZE);
                to.varint(page.0);
                to.varint(*rows);
            }
            Record::Rule { page, rule } => encode_rule(to, *page, rule),
            Record::Marks(page, marks) => {
                to.u8(MARKS);
                to.varint(page.0);
                to.u8(*marks);
            }
            Record::Fork { name, parent, at } => {
                to.u8(FORK);
                to.str(name);
                to.varint(u64::from(parent.0));
                to.varint(at.0);
            }
            Record::DropBranch => to.u8(DROP_BRANCH),
            Record::Merged { branch, epoch } => {
                to.u8(MERGED);
                to.varint(u64::from(branch.0));
                to.varint(epoch.0);
            }
            Record::Reverted(epoch) => {
                to.u8(REVERTED);
                to.varint(epoch.0);
            }
            Record::Checkpoint(seq) => {
                to.u8(CHECKPOINT);
                to.varint(*seq);
            }
        }
    }

    /// The page it does something to, where that is one.
    pub fn page(&self) -> Option<PageId> {
        match self {
            Record::Delta(delta) => Some(delta.page),
            Record::Create { page, .. }
            | Record::Drop(page)
            | Record::Resize(page, _)
            | Record::Marks(page, _)
            | Record::Rule { page, .. } => Some(*page),
            _ => None,
        }
    }

    /// Whether the record changes which pages or branches there are.
    pub fn is_catalog(&self) -> bool {
        matches!(
            self,
            Record::Create { .. }
                | Record::Drop(_)
                | Record::Resize(..)
                | Record::Rule { .. }
                | Record::Fork { .. }
                | Record::DropBranch
        )
    }
}

/// Appends a page's creation.
pub fn encode_create(to: &mut Writer, page: PageId, name: &str, schema: &Schema, rows: u64) {
    to.u8(CREATE);
    to.varint(page.0);
    to.str(name);
    schema.encode(to);
    to.varint(rows);
}

/// Appends what a page follows from.
pub fn encode_rule(to: &mut Writer, page: PageId, rule: &[u8]) {
    to.u8(RULE);
    to.varint(page.0);
    to.bytes(rule);
}

/// Appends a delta, and leaves each part's data to `put`.
pub fn encode_delta(to: &mut Writer, delta: &Delta<'_>, put: impl FnMut(&Part<'_>, &mut Writer)) {
    to.u8(DELTA);
    delta.encode_with(to, put);
}

/// Writes the delta that assigns the rows from `start` up to `stop` of one column.
#[inline]
pub fn encode_rows(to: &mut Writer, page: PageId, column: u16, rows: (u64, u64), bytes: &[u8]) {
    to.u8(DELTA);
    encode::encode_rows(page, column, rows, bytes, to);
}

/// The records of a body, in order. Stops after the first error.
pub fn records(body: &[u8]) -> impl Iterator<Item = Result<Record<'_>, StateError>> {
    walk(body, |tag, from| match tag {
        DELTA => Ok(Some(Record::Delta(Delta::decode(from)?))),
        tag => rest(tag, from).map(Some),
    })
}

/// As [`records`], without the deltas of pages other than this one.
pub fn records_of(body: &[u8], page: PageId) -> impl Iterator<Item = Result<Record<'_>, StateError>> {
    walk(body, move |tag, from| match tag {
        DELTA => Ok(Delta::decode_of(from, page)?.map(Record::Delta)),
        tag => rest(tag, from).map(Some),
    })
}

/// The next record of a body that is not at its end; `None` where it is a delta, which is left to be read.
pub fn next_but_delta<'a>(from: &mut Reader<'a>) -> Result<Option<Record<'a>>, StateError> {
    match from.u8()? {
        DELTA => Ok(None),
        tag => rest(tag, from).map(Some),
    }
}

/// A record of which only that is read which tells whether it matters.
#[derive(Debug)]
pub enum Glance<'a> {
    /// Cells of this page are written.
    Delta(PageId),
    /// Anything else.
    Other(Record<'a>),
}

/// As [`records`], without reading what deltas do.
pub fn glances(body: &[u8]) -> impl Iterator<Item = Result<Glance<'_>, StateError>> {
    walk(body, |tag, from| match tag {
        DELTA => Ok(Some(Glance::Delta(Delta::skip(from)?))),
        tag => rest(tag, from).map(|record| Some(Glance::Other(record))),
    })
}

/// Where the deltas of a body begin, behind their tags, and which pages come to be in it (those have no place), in order.
pub fn places(body: &[u8]) -> impl Iterator<Item = Result<(PageId, Option<usize>), StateError>> {
    walk(body, |tag, from| match tag {
        DELTA => {
            let at = body.len() - from.left();
            Ok(Some((Delta::skip(from)?, Some(at))))
        }
        tag => Ok(match rest(tag, from)? {
            Record::Create { page, .. } => Some((page, None)),
            _ => None,
        }),
    })
}

/// What `read` makes of the records of a body, given their tags, in order; stops after the first error.
fn walk<'a, T>(
    body: &'a [u8],
    read: impl Fn(u8, &mut Reader<'a>) -> Result<Option<T>, StateError>,
) -> impl Iterator<Item = Result<T, StateError>> {
    let (mut reader, mut failed) = (Reader::new(body), false);
    std::iter::from_fn(move || {
        while !failed && !reader.is_empty() {
            let record = reader.u8().map_err(StateError::from).and_then(|tag| read(tag, &mut reader));
            failed = record.is_err();
            if let Some(record) = record.transpose() {
                return Some(record);
            }
        }
        None
    })
}

/// A record other than a delta.
fn rest<'a>(tag: u8, from: &mut Reader<'a>) -> Result<Record<'a>, StateError> {
    Ok(match tag {
        SOURCE => Record::Source(from.str()?),
        INTENT => Record::Intent(from.str()?),
        CREATE => Record::Create {
            page: PageId(from.varint()?),
            name: from.str()?,
            schema: Schema::decode(from)?,
            rows: from.varint()?,
        },
        DROP => Record::Drop(PageId(from.varint()?)),
        RESIZE => Record::Resize(PageId(from.varint()?), from.varint()?),
        FORK => Record::Fork { name: from.str()?, parent: branch(from)?, at: Epoch(from.varint()?) },
        DROP_BRANCH => Record::DropBranch,
        MERGED => Record::Merged { branch: branch(from)?, epoch: Epoch(from.varint()?) },
        REVERTED => Record::Reverted(Epoch(from.varint()?)),
        CHECKPOINT => Record::Checkpoint(from.varint()?),
        MARKS => Record::Marks(PageId(from.varint()?), from.u8()?),
        RULE => Record::Rule { page: PageId(from.varint()?), rule: Cow::Borrowed(from.bytes()?) },
        tag => return Err(StateError::BadRecord(format!("unknown record {tag} in a frame"))),
    })
}

fn branch(from: &mut Reader<'_>) -> Result<BranchId, StateError> {
    let id = from.varint()?;
    let id = u32::try_from(id).map_err(|_| StateError::BadRecord(format!("branch {id} is out of range")))?;
    Ok(BranchId(id))
}
