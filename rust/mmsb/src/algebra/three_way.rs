//! Merging two branches' changes of the same cells by the page's operator.

use crate::algebra::kernel::{Cell, Number, each_three};
use crate::algebra::operator::Builtin;
use crate::page::dtype::DType;
use crate::page::error::PageError;
use crate::page::operator::{Merge, OperatorId};
use half::f16;

/// Merges what became of `base` on two branches by merges with this operator alone, cell by cell; `ours` holds the result. The slices are whole cells and
/// equally long.
///
/// | operator | result |
/// |---|---|
/// | add | `ours + (theirs - base)`, wrapping for integers, rounded at each step for floats; `or` for bool |
/// | xor | `ours ^ theirs ^ base` |
/// | min, max, or, and | `op(ours, theirs)` |
///
/// # Errors
/// [`PageError::NotMergeable`] for assignment and mul, which cannot be taken back; [`PageError::UnsupportedOperator`] on
/// a type that the operator does not work on; [`PageError::UnknownOperator`] for any that is not built in.
pub fn inverse_merge(
    op: OperatorId,
    dtype: DType,
    ours: &mut [u8],
    theirs: &[u8],
    base: &[u8],
) -> Result<(), PageError> {
    if op.is_assign() {
        return Err(PageError::NotMergeable { operator: "assign", dtype });
    }
    let operator = Builtin::from_id(op).ok_or(PageError::UnknownOperator(op))?;
    if !operator.supports(dtype) {
        return Err(PageError::UnsupportedOperator { operator: operator.name(), dtype });
    }
    match operator {
        Builtin::Mul => return Err(PageError::NotMergeable { operator: operator.name(), dtype }),
        Builtin::Add => add_changes(dtype, ours, theirs, base),
        Builtin::Xor => {
            operator.apply(dtype, ours, theirs);
            operator.apply(dtype, ours, base);
        }
        Builtin::Min | Builtin::Max | Builtin::Or | Builtin::And => operator.apply(dtype, ours, theirs),
    }
    Ok(())
}

fn add_changes(dtype: DType, ours: &mut [u8], theirs: &[u8], base: &[u8]) {
    fn on<const N: usize, T: Cell<N> + Number>(ours: &mut [u8], theirs: &[u8], base: &[u8]) {
        each_three::<N, T>(ours, theirs, base, T::add_change);
    }
    match dtype {
        DType::Bool => on::<1, bool>(ours, theirs, base),
        DType::I8 => on::<1, i8>(ours, theirs, base),
        DType::I16 => on::<2, i16>(ours, theirs, base),
        DType::I32 => on::<4, i32>(ours, theirs, base),
        DType::I64 => on::<8, i64>(ours, theirs, base),
        DType::U8 => on::<1, u8>(ours, theirs, base),
        DType::U16 => on::<2, u16>(ours, theirs, base),
        DType::U32 => on::<4, u32>(ours, theirs, base),
        DType::U64 => on::<8, u64>(ours, theirs, base),
        DType::F16 => on::<2, f16>(ours, theirs, base),
        DType::F32 => on::<4, f32>(ours, theirs, base),
        DType::F64 => on::<8, f64>(ours, theirs, base),
        // Refused before.
        DType::Bytes(_) => {}
    }
}
