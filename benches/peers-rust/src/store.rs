//! What a store does, whoever's it is: rows of bytes in pages, one commit for one row or for many.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use crate::measure::Failed;

/// What a commit survives.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// Nothing.
    Memory,
    /// `kill -9` of the process.
    Process,
    /// A loss of power.
    Disk,
}

impl Level {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Level::Memory => "memory",
            Level::Process => "process",
            Level::Disk => "disk",
        }
    }
}

/// How many pages of how many rows of how many bytes.
#[derive(Clone, Copy)]
pub struct Shape {
    pub pages: u64,
    pub rows: u64,
    pub width: usize,
}

/// The rows of one commit.
pub enum Rows {
    Range(Range<u64>),
    List(Arc<Vec<u64>>),
}

impl Rows {
    /// How many.
    pub fn len(&self) -> usize {
        match self {
            Rows::Range(range) => (range.end - range.start) as usize,
            Rows::List(rows) => rows.len(),
        }
    }

    /// One after the other.
    pub fn iter(&self) -> Box<dyn Iterator<Item = u64> + '_> {
        match self {
            Rows::Range(range) => Box::new(range.clone()),
            Rows::List(rows) => Box::new(rows.iter().copied()),
        }
    }
}

/// A store, opened.
pub trait Store: Sized + Sync {
    /// Whose it is.
    const WHO: &'static str;
    /// What its commits can be made to survive.
    const LEVELS: &'static [Level];

    /// Opens it, with all rows of zeros if it is not there yet.
    fn open(folder: &Path, level: Level, shape: Shape) -> Result<Self, Failed>;
    /// Commits one row.
    fn put(&self, page: u64, row: u64, value: &[u8]) -> Result<(), Failed>;
    /// Commits rows of page 0 as one; `values` has them one after the other.
    fn put_rows(&self, rows: &Rows, values: &[u8]) -> Result<(), Failed>;
    /// Commits the first row of every page as one.
    fn put_pages(&self, value: &[u8]) -> Result<(), Failed>;
    /// Begins to read one state of it, and ends.
    fn snapshot(&self) -> Result<(), Failed>;
    /// Reads a row of page 0.
    fn get(&self, row: u64) -> Result<Vec<u8>, Failed>;
}

/// The key of a row, in the order of pages and rows.
pub fn key(page: u64, row: u64) -> u64 {
    page << 32 | row
}

/// All keys.
pub fn keys(shape: Shape) -> impl Iterator<Item = u64> {
    (0..shape.pages).flat_map(move |page| (0..shape.rows).map(move |row| key(page, row)))
}
