//! From the names of a reduction and of a type of cells to the kernel compiled for them.

use half::f16;

use crate::algebra::error::AlgebraError;
use crate::algebra::value::Truth;
use crate::page::dtype::DType;
use crate::page::schema::Column;
use crate::propagation::error::RuleError;
use crate::propagation::kernel::Kernel;
use crate::propagation::places::Places;
use crate::propagation::reduction::along::{Along, Lanes, Totals};
use crate::propagation::reduction::cells::{Cell, Float, Int};
use crate::propagation::reduction::extremes::{Best, Extremes, First, Row};
use crate::propagation::reduction::folds::{
    Added, All, Any, Count, Exact, Extreme, Fold, Mean, Total, Where,
};
use crate::propagation::reduction::inner::{Axis, Inner};
use crate::propagation::reduction::keyed::Keyed;
use crate::propagation::reduction::spec::{Over, RULE, Reduce, Reduction};
use crate::propagation::reduction::sums::Sums;
use crate::propagation::reduction::tally::Tally;

/// Which cells are brought together, with all that a kernel needs to know of their column.
#[derive(Clone, Copy)]
enum Which {
    Lanes(Lanes),
    Axis(Axis),
    Keys(u16, Places),
}

impl Which {
    fn of(reduce: &Reduce, values: &Column, keys: Option<DType>) -> Self {
        let (column, cells) = (reduce.column, values.cells_per_row());
        let product = |inner: &[u64]| inner.iter().product();
        match (reduce.over, keys) {
            (Over::Key { column: keys, groups }, Some(dtype)) => Self::Keys(
                column,
                Places { rule: RULE, what: "key", column: keys, dtype, count: groups as u32 },
            ),
            (Over::Inner(axis), _) => {
                let (before, from) = values.inner().split_at(usize::from(axis));
                let (before, behind) = (product(before), product(&from[1..]));
                Self::Axis(Axis { column, before, along: from[0], behind })
            }
            (Over::Rows, _) => Self::Lanes(Lanes { column, lanes: cells as usize, steps_per_row: 1 }),
            (Over::Whole | Over::Key { .. }, _) => {
                Self::Lanes(Lanes { column, lanes: 1, steps_per_row: cells })
            }
        }
    }

    fn exact<F: Exact>(self) -> Box<dyn Kernel> {
        match self {
            Self::Lanes(lanes) => Box::new(Totals::<F>::new(lanes)),
            Self::Axis(axis) => Box::new(Inner::<F>::new(axis)),
            Self::Keys(column, keys) => Box::new(Keyed::new(column, keys, Tally::<F>::default())),
        }
    }

    fn extreme<F: Fold, O: First>(self) -> Box<dyn Kernel> {
        match self {
            Self::Lanes(lanes) => Box::new(Along::<F>::new(lanes)),
            Self::Axis(axis) => Box::new(Inner::<F>::new(axis)),
            Self::Keys(column, keys) => Box::new(Keyed::new(column, keys, Extremes::<O>::default())),
        }
    }

    fn added<T: Float, const MEAN: bool>(self) -> Box<dyn Kernel> {
        match self {
            Self::Lanes(lanes) => Box::new(Along::<Added<T, MEAN>>::new(lanes)),
            Self::Axis(axis) => Box::new(Inner::<Added<T, MEAN>>::new(axis)),
            Self::Keys(column, keys) => Box::new(Keyed::new(column, keys, Sums::<T, MEAN>::default())),
        }
    }

    fn int<T: Int>(self, what: Reduction) -> Box<dyn Kernel> {
        match what {
            Reduction::Sum => self.exact::<Total<T>>(),
            Reduction::Mean => self.exact::<Mean<T>>(),
            _ => self.cell::<T>(what),
        }
    }

    fn float<T: Float>(self, what: Reduction) -> Box<dyn Kernel> {
        match what {
            Reduction::Sum => self.added::<T, false>(),
            Reduction::Mean => self.added::<T, true>(),
            _ => self.cell::<T>(what),
        }
    }

    /// Of what is the same for all types.
    fn cell<T: Cell>(self, what: Reduction) -> Box<dyn Kernel> {
        match what {
            Reduction::Min => self.extreme::<Extreme<T, false>, Best<T, false>>(),
            Reduction::Max => self.extreme::<Extreme<T, true>, Best<T, true>>(),
            Reduction::ArgMin => self.extreme::<Where<T, false>, Row<T, false>>(),
            Reduction::ArgMax => self.extreme::<Where<T, true>, Row<T, true>>(),
            Reduction::Any => self.exact::<Any<T>>(),
            Reduction::All => self.exact::<All<T>>(),
            Reduction::Count | Reduction::Sum | Reduction::Mean => self.exact::<Count<T>>(),
        }
    }
}

/// The kernel of a reduction of this column, by keys of this type where it is by key.
pub(super) fn kernel(
    reduce: &Reduce,
    values: &Column,
    keys: Option<DType>,
) -> Result<Box<dyn Kernel>, RuleError> {
    let (what, which) = (reduce.what, Which::of(reduce, values, keys));
    Ok(match values.dtype() {
        DType::Bool => which.int::<Truth>(what),
        DType::I8 => which.int::<i8>(what),
        DType::I16 => which.int::<i16>(what),
        DType::I32 => which.int::<i32>(what),
        DType::I64 => which.int::<i64>(what),
        DType::U8 => which.int::<u8>(what),
        DType::U16 => which.int::<u16>(what),
        DType::U32 => which.int::<u32>(what),
        DType::U64 => which.int::<u64>(what),
        DType::F16 => which.float::<f16>(what),
        DType::F32 => which.float::<f32>(what),
        DType::F64 => which.float::<f64>(what),
        dtype @ DType::Bytes(_) => return Err(AlgebraError::Unsupported { name: what.name(), dtype }.into()),
    })
}
