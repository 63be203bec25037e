//! Filter: the rows of a page for which a column says so.

use crate::base::codec::{Reader, Writer};
use crate::page::dtype::DType;
use crate::page::schema::{Column, Kind};
use crate::propagation::error::RuleError;
use crate::propagation::kernel::{Gives, Input, Kernel, Shape, Spec};
use crate::propagation::made::Made;
use crate::propagation::relation::kept::{Kept, list, outside};
use crate::propagation::relation::rows::Rows;
use crate::propagation::relation::shape::{add, is_new, number, one, page, plain, unfit, wrong_type};
use crate::propagation::runs::{Run, joined};

/// The name of the rule in what it says is wrong.
const RULE: &str = "filter";

/// The first column: which row of the source each row is.
const ROW: &str = "row";

/// Rows between two that changed which are looked at too: finding where a row comes to lie costs as much.
const NEAR: u64 = 16;

/// The rows of its input whose cell in one column is true, in order and with all columns; before those a column "row" says
/// which rows they are. A column of the source that has that name gets `_source` behind it. The page has as many rows as
/// there are, from commit to commit.
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug)]
pub struct Filter {
    /// The column: bool, one a row.
    pub column: u16,
}

impl Filter {
    /// Writes it.
    pub fn encode(&self, out: &mut Writer) {
        out.varint(u64::from(self.column));
    }

    /// Reads what [`Filter::encode`] wrote.
    ///
    /// # Errors
    /// [`RuleError::Unreadable`] where the bytes end, or say a column that there cannot be.
    pub fn decode(input: &mut Reader<'_>) -> Result<Self, RuleError> {
        Ok(Self { column: number(input)? })
    }
}

impl Spec for Filter {
    fn gives(&self, inputs: &[Shape<'_>]) -> Result<Gives, RuleError> {
        let input = one(RULE, inputs)?;
        let mask = plain(RULE, "the column", input, self.column)?;
        if mask.dtype() != DType::Bool {
            return Err(wrong_type(RULE, "the column", mask, "bool"));
        }
        let row = Column::new(ROW, DType::I64, vec![]).map_err(|wrong| unfit(RULE, wrong))?;
        let mut columns = vec![row];
        for column in input.schema.columns() {
            add(RULE, &mut columns, column, "_source")?;
        }
        page(RULE, Kind::Table, columns, 0)
    }

    fn kernel(&self, inputs: &[Shape<'_>]) -> Result<Box<dyn Kernel>, RuleError> {
        self.gives(inputs)?;
        let (kept, rows) = (Kept::default(), Vec::new());
        Ok(Box::new(Filtered { column: self.column, kept, known: None, fresh: false, rows }))
    }
}

/// Makes a page of the rows that a mask keeps.
#[derive(Debug)]
struct Filtered {
    column: u16,
    kept: Kept,
    /// How many rows were counted; `None` where nothing is known.
    known: Option<u64>,
    /// Whether all was counted since it was last kept.
    fresh: bool,
    /// The rows that are being made.
    rows: Vec<u64>,
}

impl Filtered {
    /// Makes what is kept of these rows, in all columns or in one.
    fn make(
        &mut self,
        input: &Input<'_>,
        run: Run,
        place: u64,
        only: Option<u16>,
        made: &mut Made,
    ) -> Result<(), RuleError> {
        list(&input.column(self.column), run, &mut self.rows)?;
        let count = self.rows.len();
        if count == 0 {
            return Ok(());
        }
        if only.is_none() {
            let room = made.room::<i64>(0, place, count);
            room.iter_mut().zip(&self.rows).for_each(|(cell, row)| *cell = *row as i64);
        }
        for (i, column) in (0..).zip(input.schema.columns()) {
            if only.is_none_or(|only| only == i) {
                let width = column.row_bytes();
                let rows = Rows::new(input.column(i), width, count as u64);
                let first = place * column.cells_per_row();
                rows.gather(&self.rows, made.room_of_bytes(i + 1, first, count * width as usize));
            }
        }
        Ok(())
    }

    /// Makes what follows from what changed.
    fn mend(&mut self, input: &Input<'_>, was: Input<'_>, made: &mut Made) -> Result<(), RuleError> {
        let mask = input.column(self.column);
        let moved =
            self.kept.mend([&was.column(self.column), &mask], input.changed(self.column), input.rows())?;
        let mut done = Run::new(0, 0);
        if let Some(moved) = moved {
            if moved.resized {
                made.resize(self.kept.total());
            }
            done = moved.rows;
            let place = self.kept.places(mask).of(done.start)?;
            self.make(input, done, place, None, made)?;
        }
        for i in (0..).take(input.schema.columns().len()) {
            let left = outside(input.changed(i), done);
            let runs: Vec<Run> = joined(&left, NEAR).collect();
            let mut places = Vec::with_capacity(runs.len());
            let mut at = self.kept.places(mask);
            for run in &runs {
                places.push(at.of(run.start)?);
            }
            for (run, place) in runs.into_iter().zip(places) {
                self.make(input, run, place, Some(i), made)?;
            }
        }
        Ok(())
    }
}

impl Kernel for Filtered {
    fn run(&mut self, inputs: &[Input<'_>], made: &mut Made) -> Result<(), RuleError> {
        let input = one(RULE, inputs)?;
        match input.before {
            Some(before) if !is_new(input) && self.known == Some(input.rows()) => {
                self.mend(input, Input::new(before, input.schema, None, &[]), made)
            }
            _ => {
                (self.known, self.fresh) = (None, true);
                self.kept.build(&input.column(self.column), input.rows())?;
                self.known = Some(input.rows());
                made.resize(self.kept.total());
                self.make(input, Run::new(0, input.rows()), 0, None, made)
            }
        }
    }

    fn keep(&mut self) {
        self.fresh = false;
        self.kept.keep();
    }

    fn undo(&mut self) {
        if self.fresh {
            (self.known, self.fresh) = (None, false);
        } else {
            self.kept.undo();
        }
    }
}
