//! Join: each row of a page with the row of another that has its key.

use crate::base::codec::{Reader, Writer};
use crate::page::dtype::DType;
use crate::page::schema::{Column, Kind};
use crate::propagation::error::RuleError;
use crate::propagation::kernel::{Gives, Kernel, Shape, Spec};
use crate::propagation::relation::ints::Ints;
use crate::propagation::relation::lookup::Lookup;
use crate::propagation::relation::shape::{add, countable, is_signed, number, page, two, unfit};

/// The name of the rule in what it says is wrong.
pub(super) const RULE: &str = "join";

/// The last column: whether there is a right row.
const MATCHED: &str = "matched";

/// Each row of its first input, the left one, with the row of its second, the right one, that has the same key: the columns
/// of the left, those of the right but its key, and a column "matched", bool. Keys are integers, and no two right rows have
/// the same. A left row whose key no right row has gets zeros. A column whose name is taken gets `_right` behind it.
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug)]
pub struct Join {
    /// The left column of keys.
    pub left_key: u16,
    /// The right column of keys.
    pub right_key: u16,
}

impl Join {
    /// Writes it.
    pub fn encode(&self, out: &mut Writer) {
        out.varint(u64::from(self.left_key));
        out.varint(u64::from(self.right_key));
    }

    /// Reads what [`Join::encode`] wrote.
    ///
    /// # Errors
    /// [`RuleError::Unreadable`] where the bytes end, or say a column that there cannot be.
    pub fn decode(input: &mut Reader<'_>) -> Result<Self, RuleError> {
        Ok(Self { left_key: number(input)?, right_key: number(input)? })
    }

    /// The keys of both.
    fn keys(&self, [left, right]: [&Shape<'_>; 2]) -> Result<[Ints; 2], RuleError> {
        let keys = [
            Ints::of(RULE, "the left column of keys", left, self.left_key)?,
            Ints::of(RULE, "the right column of keys", right, self.right_key)?,
        ];
        let [ours, theirs] = keys.map(|key| key.dtype);
        if is_signed(ours) && theirs == DType::U64 || ours == DType::U64 && is_signed(theirs) {
            let what =
                format!("the keys are {ours} and {theirs}, of which neither has all values of the other");
            return Err(unfit(RULE, what));
        }
        countable(RULE, "the left page", left)?;
        countable(RULE, "the right page", right)?;
        Ok(keys)
    }
}

impl Spec for Join {
    fn gives(&self, inputs: &[Shape<'_>]) -> Result<Gives, RuleError> {
        let [left, right] = two(RULE, inputs)?;
        self.keys([left, right])?;
        let mut columns = left.schema.columns().to_vec();
        for (_, column) in (0..).zip(right.schema.columns()).filter(|(i, _)| *i != self.right_key) {
            add(RULE, &mut columns, column, "_right")?;
        }
        let matched = Column::new(MATCHED, DType::Bool, vec![]).map_err(|wrong| unfit(RULE, wrong))?;
        add(RULE, &mut columns, &matched, "_right")?;
        page(RULE, Kind::Table, columns, left.rows)
    }

    fn kernel(&self, inputs: &[Shape<'_>]) -> Result<Box<dyn Kernel>, RuleError> {
        self.gives(inputs)?;
        Ok(Box::new(Lookup::new(self.keys(two(RULE, inputs)?)?)))
    }
}
