//! Replacing whole columns: what differs from what is there is found by comparison, and only that is logged.

use std::borrow::Cow;

use crate::base::ids::PageId;
use crate::base::limits::{UPDATE_SAMPLED, UPDATE_SAMPLES};
use crate::bus::commit::{Change, Committed, commit_with};
use crate::bus::error::Error;
use crate::bus::handle::Bus;
use crate::bus::options::Note;
use crate::bus::transaction::Transaction;
use crate::page::catalog::RootRef;
use crate::page::column::ColumnRef;
use crate::page::cover::parts;
use crate::page::delta::{Data, Delta, Part};
use crate::page::diff::differing_from;
use crate::page::error::PageError;
use crate::page::operator::OperatorId;
use crate::page::schema::Column;
use crate::page::select::Select;
use crate::page::state_error::StateError;
use crate::page::version::PageRef;

impl Bus {
    /// Replaces a whole column as an epoch of its own. The log gets the cells that changed; where most did, all of them.
    ///
    /// # Errors
    /// [`PageError::DataLength`] where `bytes` is not as long as the column, and those of a write.
    pub fn update(&self, page: PageId, column: usize, bytes: &[u8], note: &Note) -> Result<Committed, Error> {
        self.writable()?;
        let core = self.core();
        // With the writer held nobody can change the page between the look at it and the commit.
        let mut writer = core.writer_within(self.manner().busy_timeout)?;
        let root = RootRef::new(&core.arena, self.line().appended()?);
        let at = root.page(page).ok_or(StateError::NoPage(page))?;
        let found = PageRef::new(&core.arena, at);
        core.ready_for(&mut writer, found)?;
        let schema = core.schemas.of(found.def());
        let described = schema.column(column as u16)?;
        let delta = difference(found.column(schema, column), described, page, column, bytes)?;
        commit_with(core, writer, &self.request(&[Change::Write(delta)], note))
    }
}

impl Transaction {
    /// Replaces a whole column. The log gets the cells that changed, all of them where most did; whoever wrote the column
    /// meanwhile was first.
    ///
    /// # Errors
    /// As [`Bus::update`].
    pub fn update(&mut self, page: PageId, column: usize, bytes: &[u8]) -> Result<(), Error> {
        let schema = self.schema(page)?;
        let found = self.column(page, column)?;
        let delta = difference(found, schema.column(column as u16)?, page, column, bytes)?.into_owned();
        self.claim(page, column);
        self.write(delta)
    }
}

/// A delta that makes the column what `bytes` are.
fn difference<'b>(
    now: ColumnRef<'_>,
    column: &Column,
    page: PageId,
    number: usize,
    bytes: &'b [u8],
) -> Result<Delta<'b>, Error> {
    let cell = column.cell_bytes();
    let (got, wanted) = (bytes.len() as u64, now.bytes);
    if got != wanted {
        let (cells, dtype) = (wanted / cell, column.dtype());
        return Err(PageError::DataLength { got, wanted, cells, dtype }.into());
    }
    let mut runs = Vec::new();
    let mut changed = 0;
    if is_mostly_new(&now, bytes, cell) {
        runs.push((0, wanted / cell));
        changed = wanted;
    } else {
        differing_from(&now, bytes, cell as usize, &mut |first, n| {
            runs.push((first, n));
            changed += n * cell;
        });
    }
    let parts = if changed == 0 {
        let (select, data) = (Select::range(0, 0), Data::Dense(Cow::Borrowed(&bytes[..0])));
        vec![Part { column: number as u16, select, data }]
    } else {
        parts(&runs, (number as u16, column), 0, bytes)
    };
    Ok(Delta { page, op: OperatorId::ASSIGN, parts })
}

/// Whether so many of some cells differ that more than half of all do: in a large column some are looked at here and there
/// before all are compared. Where no more than half do it is wrong once in a thousand million times, and then the log gets
/// cells that are as they were.
fn is_mostly_new(now: &ColumnRef<'_>, bytes: &[u8], cell: u64) -> bool {
    let cells = now.bytes / cell;
    if now.bytes < UPDATE_SAMPLED {
        return false;
    }
    let differs = |&at: &u64| {
        let (old, new) = (now.piece(at), &bytes[at as usize..]);
        let n = (cell as usize).min(old.len());
        old[..n] != new[..n]
    };
    // All over the column, at distances that no pattern in it has.
    let places = (1..=UPDATE_SAMPLES).map(|i| (i.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 16) % cells * cell);
    places.filter(differs).count() as u64 >= UPDATE_SAMPLES / 8 * 7
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bus::options::Options;
    use crate::page::dtype::DType;
    use crate::page::schema::Schema;

    /// What the log takes for the same update of a large column where every `step`th cell is new.
    fn logged(step: usize) -> u64 {
        let bus = Bus::memory(&Options { history_budget: None, ..Options::default() }).expect("a bus");
        let schema = Schema::array(DType::U8, vec![], false, None).expect("a schema");
        let page = bus.create_page("page", schema, UPDATE_SAMPLED, &Note::default()).expect("a page");
        let mut bytes = vec![0; UPDATE_SAMPLED as usize];
        bytes.iter_mut().step_by(step).for_each(|byte| *byte = 1);
        let before = bus.core().log.head();
        bus.update(page, 0, &bytes, &Note::default()).expect("an update");
        assert!(bus.state().expect("a state").view(page, 0, None).expect("a view").bytes() == bytes);
        bus.core().log.head() - before
    }

    #[test]
    fn what_is_new_is_taken_whole_and_little_that_is_new_is_not() {
        let whole = logged(1);
        assert!((UPDATE_SAMPLED..UPDATE_SAMPLED + 4096).contains(&whole), "{whole}");
        assert!(logged(64) < UPDATE_SAMPLED / 8);
        assert!(logged(100_000) < 4096);
    }
}
