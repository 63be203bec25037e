//! Gather: the rows of a page that an index names.

use crate::base::codec::{Reader, Writer};
use crate::page::schema::Kind;
use crate::propagation::error::RuleError;
use crate::propagation::kernel::{Gives, Input, Kernel, Shape, Spec};
use crate::propagation::made::Made;
use crate::propagation::relation::ints::Ints;
use crate::propagation::relation::inverse::{Inverse, Values};
use crate::propagation::relation::rows::{ABSENT, Rows};
use crate::propagation::relation::shape::{countable, is_new, number, page, two};
use crate::propagation::runs::{Run, joined, rows, union};

/// The name of the rule in what it says is wrong.
const RULE: &str = "gather";

/// What its column of row numbers is called there.
const INDEX: &str = "the index column";

/// Rows between two that are made too: what a run costs by itself.
const NEAR: u64 = 4;

/// The rows of its first input that a column of its second names: row `i` is the source's row `index[i]`, in all columns.
/// -1 gives zeros.
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug)]
pub struct Gather {
    /// The column of the second input: integers of any type, one a row.
    pub index: u16,
}

impl Gather {
    /// Writes it.
    pub fn encode(&self, out: &mut Writer) {
        out.varint(u64::from(self.index));
    }

    /// Reads what [`Gather::encode`] wrote.
    ///
    /// # Errors
    /// [`RuleError::Unreadable`] where the bytes end, or say a column that there cannot be.
    pub fn decode(input: &mut Reader<'_>) -> Result<Self, RuleError> {
        Ok(Self { index: number(input)? })
    }
}

impl Spec for Gather {
    fn gives(&self, inputs: &[Shape<'_>]) -> Result<Gives, RuleError> {
        let [source, index] = two(RULE, inputs)?;
        Ints::of(RULE, INDEX, index, self.index)?;
        countable(RULE, "the index", index)?;
        let kind = match source.schema.kind() {
            Kind::Array { .. } => Kind::Array { scalar: false },
            kind => kind,
        };
        page(RULE, kind, source.schema.columns().to_vec(), index.rows)
    }

    fn kernel(&self, inputs: &[Shape<'_>]) -> Result<Box<dyn Kernel>, RuleError> {
        self.gives(inputs)?;
        let [_, index] = two(RULE, inputs)?;
        let index = Ints::of(RULE, INDEX, index, self.index)?;
        Ok(Box::new(Gathered { index, inverse: Inverse::default(), places: Vec::new() }))
    }
}

/// Makes a page of rows that an index names.
#[derive(Debug)]
struct Gathered {
    index: Ints,
    /// By source row, the rows that name it.
    inverse: Inverse,
    /// The source row of each row that is being made.
    places: Vec<u64>,
}

impl Gathered {
    /// Makes these rows of all columns, or of those that changed.
    fn make(
        &mut self,
        [source, index]: [&Input<'_>; 2],
        runs: &[Run],
        all: bool,
        made: &mut Made,
    ) -> Result<(), RuleError> {
        if runs.is_empty() {
            return Ok(());
        }
        let asked = rows(runs);
        let columns = (0..).zip(source.schema.columns());
        let columns: Vec<(u16, u64, Rows<'_>)> = columns
            .filter(|(i, _)| all || !source.changed(*i).is_empty())
            .map(|(i, column)| {
                (i, column.row_bytes(), Rows::new(source.column(i), column.row_bytes(), asked))
            })
            .collect();
        let cells = index.column(self.index.column);
        for run in joined(runs, NEAR) {
            self.index.read(&cells, run.start, run.stop, &mut self.places)?;
            self.check(run.start, source.rows())?;
            for &(i, width, ref rows) in &columns {
                let cells = width / source.schema.columns()[usize::from(i)].cell_bytes();
                let room = made.room_of_bytes(i, run.start * cells, (run.rows() * width) as usize);
                rows.gather(&self.places, room);
            }
        }
        Ok(())
    }

    /// Whether there is a source row for each of these rows, the first of which is given, or none is meant.
    fn check(&self, first: u64, rows: u64) -> Result<(), RuleError> {
        let signed = self.index.is_signed();
        let wrong = |place: &u64| *place >= rows && !(signed && *place == ABSENT);
        let Some(at) = self.places.iter().position(wrong) else { return Ok(()) };
        let (row, number) = (first + at as u64, self.index.number(self.places[at]));
        let wanted = match rows {
            0 => "where the source has no rows".to_owned(),
            _ => format!("which is none of 0 to {}", rows - 1),
        };
        Err(RuleError::Value { rule: RULE, what: format!("the index of row {row} is {number}, {wanted}") })
    }
}

impl Kernel for Gathered {
    fn run(&mut self, inputs: &[Input<'_>], made: &mut Made) -> Result<(), RuleError> {
        let [source, index] = two(RULE, inputs)?;
        if is_new(source) || is_new(index) {
            self.inverse.clear();
            return self.make([source, index], &[Run::new(0, index.rows())], true, made);
        }
        let named = index.changed(self.index.column);
        self.inverse.moved(named);
        self.make([source, index], named, true, made)?;
        let lists: Vec<&[Run]> =
            source.changed.iter().filter(|list| !list.is_empty()).map(Vec::as_slice).collect();
        let changed: Vec<Values> = union(&lists).iter().map(|run| (run.start, run.stop - 1)).collect();
        let cells = index.column(self.index.column);
        let runs = self.inverse.find(&changed, self.index, &cells, index.rows())?;
        self.make([source, index], &runs, false, made)
    }

    fn keep(&mut self) {
        self.inverse.keep();
    }

    fn undo(&mut self) {
        self.inverse.undo();
    }
}
