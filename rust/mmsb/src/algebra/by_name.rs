//! What semirings and monoids are, and what they do with cells, by name and type of cell: folds, masked writes, circuits.

use crate::algebra::circuit::{Circuit, Gate, Node};
use crate::algebra::error::AlgebraError;
use crate::algebra::family::{Family, OnMonoid, OnSemiring, Reducer};
use crate::algebra::fold;
use crate::algebra::ladder::{CommutativeMonoid, Semiring, Traits};
use crate::algebra::mask::{self, Mask};
use crate::algebra::value::{Value, cells, cells_mut};
use crate::page::dtype::DType;

/// A semiring on one type of cell.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Semi {
    /// The bytes of its zero.
    pub zero: Vec<u8>,
    /// The bytes of its one.
    pub one: Vec<u8>,
    /// Laws beyond.
    pub traits: Traits,
}

/// A monoid on one type of cell.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Mono {
    /// The bytes of what changes nothing.
    pub identity: Vec<u8>,
    /// Laws beyond.
    pub traits: Traits,
}

fn bytes<T: Value>(value: T) -> Vec<u8> {
    bytemuck::bytes_of(&value).to_vec()
}

/// What a semiring is on cells of `dtype`.
///
/// # Errors
/// [`AlgebraError::Unsupported`] where there is none.
pub fn semiring(family: Family, dtype: DType) -> Result<Semi, AlgebraError> {
    struct Describe;
    impl OnSemiring for Describe {
        type Out = Semi;
        fn on<T: Value, S: Semiring<T>>(self) -> Semi {
            Semi { zero: bytes(S::ZERO), one: bytes(S::ONE), traits: S::TRAITS }
        }
    }
    family.with(dtype, Describe)
}

/// What a monoid is on cells of `dtype`.
///
/// # Errors
/// [`AlgebraError::Unsupported`] where there is none.
pub fn monoid(reducer: Reducer, dtype: DType) -> Result<Mono, AlgebraError> {
    struct Describe;
    impl OnMonoid for Describe {
        type Out = Mono;
        fn on<T: Value, M: CommutativeMonoid<T>>(self) -> Mono {
            Mono { identity: bytes(M::ZERO), traits: M::TRAITS }
        }
    }
    reducer.with(dtype, Describe)
}

/// Brings the cells of each row together by the tree of [`fold::fold`]. `out` has a cell for each row.
///
/// # Errors
/// [`AlgebraError::Unsupported`], [`AlgebraError::Length`] where there are not `out` rows of `length` cells, and
/// [`AlgebraError::Misaligned`].
pub fn fold_rows(
    (reducer, dtype): (Reducer, DType),
    values: &[u8],
    length: usize,
    out: &mut [u8],
) -> Result<(), AlgebraError> {
    struct Rows<'a>(&'a [u8], usize, &'a mut [u8]);
    impl OnMonoid for Rows<'_> {
        type Out = Result<(), AlgebraError>;
        fn on<T: Value, M: CommutativeMonoid<T>>(self) -> Self::Out {
            let Rows(values, length, out) = self;
            let (values, out) = (cells::<T>(values)?, cells_mut::<T>(out)?);
            let wanted = out.len() * length;
            if values.len() != wanted {
                return Err(AlgebraError::Length { what: "values", cells: values.len(), wanted });
            }
            for (row, out) in out.iter_mut().enumerate() {
                *out = fold::fold::<T, M>(&values[row * length..][..length]);
            }
            Ok(())
        }
    }
    reducer.with(dtype, Rows(values, length, out))?
}

/// [`mask::write`] on the bytes of cells. What stands for "nothing there" is what changes nothing in the monoid.
///
/// # Errors
/// [`AlgebraError::Unsupported`], [`AlgebraError::Misaligned`], and those of [`mask::write`].
pub fn write(
    (reducer, dtype): (Reducer, DType),
    into: &mut [u8],
    result: &[u8],
    mask: Mask<'_>,
    accumulate: bool,
) -> Result<(), AlgebraError> {
    struct Masked<'a>(&'a mut [u8], &'a [u8], Mask<'a>, bool);
    impl OnMonoid for Masked<'_> {
        type Out = Result<(), AlgebraError>;
        fn on<T: Value, M: CommutativeMonoid<T>>(self) -> Self::Out {
            let Masked(into, result, mask, accumulate) = self;
            mask::write::<T, M>(cells_mut::<T>(into)?, cells::<T>(result)?, mask, accumulate)
        }
    }
    reducer.with(dtype, Masked(into, result, mask, accumulate))?
}

/// What nodes of a circuit come to in a semiring, where variable `n` has the value of cell `n`. `out` has a cell for each node.
///
/// # Errors
/// [`AlgebraError::Unsupported`], [`AlgebraError::Misaligned`], and [`AlgebraError::Length`] where a variable has no value or
/// `out` is not as long as the nodes.
pub fn evaluate(
    circuit: &Circuit,
    nodes: &[Node],
    (family, dtype): (Family, DType),
    values: &[u8],
    out: &mut [u8],
) -> Result<(), AlgebraError> {
    struct Evaluate<'a>(&'a Circuit, &'a [Node], &'a [u8], &'a mut [u8]);
    impl OnSemiring for Evaluate<'_> {
        type Out = Result<(), AlgebraError>;
        fn on<T: Value, S: Semiring<T>>(self) -> Self::Out {
            let Evaluate(circuit, nodes, values, out) = self;
            let (values, out) = (cells::<T>(values)?, cells_mut::<T>(out)?);
            let variables = circuit.gates(nodes).filter_map(|(_, gate)| match gate {
                Gate::Variable(number) => Some(number as usize + 1),
                _ => None,
            });
            let wanted = variables.max().unwrap_or(0);
            if values.len() < wanted {
                return Err(AlgebraError::Length { what: "values", cells: values.len(), wanted });
            }
            if out.len() != nodes.len() {
                return Err(AlgebraError::Length { what: "out", cells: out.len(), wanted: nodes.len() });
            }
            out.copy_from_slice(&circuit.evaluate::<T, S>(nodes, |variable| values[variable as usize]));
            Ok(())
        }
    }
    family.with(dtype, Evaluate(circuit, nodes, values, out))?
}
