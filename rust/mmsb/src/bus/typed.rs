//! Reading and writing whole columns and rows as slices of Rust's own types.

use std::borrow::Cow;

use crate::base::ids::PageId;
use crate::bus::commit::Committed;
use crate::bus::error::Error;
use crate::bus::handle::Bus;
use crate::bus::options::Note;
use crate::bus::state::State;
use crate::page::cell::Cell;
use crate::page::delta::{Data, Delta, Part};
use crate::page::error::PageError;
use crate::page::operator::OperatorId;
use crate::page::select::Select;

impl State {
    /// The cells of a column of a page, by its number.
    ///
    /// # Errors
    /// An error with the code `dtype` when the column's cells are of another type.
    pub fn cells<T: Cell>(&self, page: PageId, column: u16) -> Result<Vec<T>, Error> {
        check::<T>(self, page, column)?;
        let view = self.view(page, usize::from(column), None)?;
        Ok(view.bytes().chunks_exact(T::DTYPE.size()).map(T::get).collect())
    }
}

impl Bus {
    /// Writes cells of a column as an epoch of their own, in the order of the selection.
    ///
    /// # Errors
    /// As [`Bus::write`], and one with the code `dtype` when the column's cells are of another type.
    pub fn assign<T: Cell>(
        &self,
        page: PageId,
        column: u16,
        select: Select,
        cells: &[T],
        note: &Note,
    ) -> Result<Committed, Error> {
        check::<T>(&self.state()?, page, column)?;
        let mut bytes = Vec::with_capacity(size_of_val(cells));
        cells.iter().for_each(|cell| cell.put(&mut bytes));
        let part = Part { column, select, data: Data::Dense(Cow::Owned(bytes)) };
        self.write(Delta::single(page, OperatorId::ASSIGN, part), note)
    }
}

fn check<T: Cell>(state: &State, page: PageId, column: u16) -> Result<(), Error> {
    let found = state.schema(page)?.column(column)?.dtype();
    if found == T::DTYPE {
        return Ok(());
    }
    let name = format!("{} where the cells are {found}", T::DTYPE);
    Err(PageError::UnsupportedDtype { name }.into())
}
