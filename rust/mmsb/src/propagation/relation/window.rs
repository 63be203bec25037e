//! Window: a reduction of the last rows before each row.

use crate::base::codec::{Reader, Writer};
use crate::page::schema::{ARRAY_COLUMN, Column, Kind};
use crate::propagation::error::RuleError;
use crate::propagation::kernel::{Gives, Kernel, Shape, Spec};
use crate::propagation::reduction::spec::Reduction;
use crate::propagation::relation::rolling;
use crate::propagation::relation::shape::{number, one, page, unfit};
use crate::propagation::runs::{Run, push};

/// The name of the rule in what it says is wrong.
pub(super) const RULE: &str = "window";

/// What windows can be brought together by; a reduction's code in bytes is its place.
const POSSIBLE: [Reduction; 5] =
    [Reduction::Sum, Reduction::Min, Reduction::Max, Reduction::Mean, Reduction::Count];

/// A reduction of the last rows of a column up to each row, which is one of them; of fewer where there are no more. Cells of
/// a row are reduced each for itself, and to what the reduction gives of a whole column.
///
/// **Floats.** Rows are counted in blocks as long as a window, from the first row on. A window that is not one block
/// begins in one and ends in the next: its rows in the first are added up from the last of the block backwards, those in the
/// next from its first on, in double precision, and both sums together; rounded once. So the bits depend on the cells of the
/// window and which rows they are, and on nothing else, and a cell costs three steps however long the window is.
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug)]
pub struct Window {
    /// The column.
    pub column: u16,
    /// How its cells are brought together: sum, min, max, mean or count.
    pub what: Reduction,
    /// How many rows, at least 1.
    pub rows: u64,
}

impl Window {
    /// Writes it.
    pub fn encode(&self, out: &mut Writer) {
        out.varint(u64::from(self.column));
        out.u8(self.what as u8);
        out.varint(self.rows);
    }

    /// Reads what [`Window::encode`] wrote.
    ///
    /// # Errors
    /// [`RuleError::Unreadable`] where the bytes end, or say what there is not.
    pub fn decode(input: &mut Reader<'_>) -> Result<Self, RuleError> {
        let column = number(input)?;
        let code = input.u8()?;
        let Some(&what) = POSSIBLE.get(usize::from(code)) else {
            return Err(RuleError::Unreadable(format!("no reduction of windows has the code {code}")));
        };
        match input.varint()? {
            0 => Err(RuleError::Unreadable("a window of no rows".to_owned())),
            rows => Ok(Self { column, what, rows }),
        }
    }

    fn values<'a>(&self, inputs: &[Shape<'a>]) -> Result<&'a Column, RuleError> {
        let input = one(RULE, inputs)?;
        input.schema.column(self.column).map_err(|wrong| unfit(RULE, wrong))
    }
}

impl Spec for Window {
    fn gives(&self, inputs: &[Shape<'_>]) -> Result<Gives, RuleError> {
        let values = self.values(inputs)?;
        if !POSSIBLE.contains(&self.what) {
            let known = POSSIBLE.map(Reduction::name).join(", ");
            return Err(unfit(RULE, format!("no window has the reduction {}, but {known}", self.what)));
        }
        if self.rows == 0 {
            return Err(unfit(RULE, "a window of 0 rows, where 1 is the least"));
        }
        let dtype = self.what.output(RULE, values)?;
        let column = Column::new(ARRAY_COLUMN, dtype, values.inner().to_vec());
        let column = column.map_err(|wrong| unfit(RULE, wrong))?;
        page(RULE, Kind::Array { scalar: false }, vec![column], one(RULE, inputs)?.rows)
    }

    fn rows_from(&self, _: (usize, u64), rows: &[Run]) -> Option<Vec<Run>> {
        let mut from = Vec::new();
        rows.iter()
            .for_each(|run| push(&mut from, Run::new((run.start + 1).saturating_sub(self.rows), run.stop)));
        Some(from)
    }

    fn kernel(&self, inputs: &[Shape<'_>]) -> Result<Box<dyn Kernel>, RuleError> {
        self.gives(inputs)?;
        rolling::kernel(self, self.values(inputs)?)
    }
}
