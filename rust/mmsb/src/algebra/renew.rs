//! Rows of a product brought up to date term by term, where addition chooses: in the time of the terms that are new, however
//! many others their rows have.
//!
//! A sum that chooses by a total order is one of its terms, or the zero where it has none better. So a term that is not the
//! sum can go without a trace, and one that is can go for another that is chosen over it; in both cases the new term is
//! added to the sum as it is, and the result is what adding all terms would give, bit for bit. Only where the chosen term
//! gets worse, the row has to be gone over. (Ramalingam and Reps, *On the computational complexity of dynamic graph problems*, 1996, has this of paths.)

use crate::algebra::error::AlgebraError;
use crate::algebra::family::{Family, OnSemiring};
use crate::algebra::ladder::{Monoid, Semiring, Traits};
use crate::algebra::value::{Value, cells, cells_mut};
use crate::base::ahead;
use crate::page::dtype::DType;

/// Terms before their turn, the processor is told which sum they are in.
const AHEAD: usize = 16;

/// Terms of a product `sum over c of matrix[r][c] * right[c]`, of which right sides are new; all bytes are cells of one type.
#[derive(Copy, Clone, Debug)]
pub struct Terms<'a> {
    /// Where the terms of each right side begin, and where the last one's end: one more than right sides, ascending. Terms before
    /// the first are none.
    pub starts: &'a [u32],
    /// The row of each term.
    pub rows: &'a [u32],
    /// The matrix's cell of each.
    pub values: &'a [u8],
    /// The right sides as they were, rows of as many cells as the product's.
    pub old: &'a [u8],
    /// As they are.
    pub new: &'a [u8],
}

/// What came of it, behind what came before: rows in any order, each as often as it may be.
#[derive(Debug, Default)]
pub struct Renewed {
    /// Those whose cells are others now.
    pub changed: Vec<u32>,
    /// Those of which a chosen term got worse: what the product has there is nothing until they are gone over.
    pub lost: Vec<u32>,
}

/// What an addition must be for terms to be exchanged.
const CHOOSES: Traits = Traits::SELECTIVE.and(Traits::TOTAL_ORDER).and(Traits::EXACT);

/// Whether products over this semiring can be renewed: its addition chooses, by a total order, bit for bit.
///
/// # Errors
/// [`AlgebraError::Unsupported`].
pub fn renews((family, dtype): (Family, DType)) -> Result<bool, AlgebraError> {
    Ok(family.with(dtype, Ask)?.has(CHOOSES))
}

/// Brings the product, rows of `width` cells, up to date with these terms. A row may have a right side more than once.
///
/// # Errors
/// [`AlgebraError::Unsupported`]; [`AlgebraError::Lacks`] where the semiring does not choose; [`AlgebraError::Misaligned`];
/// [`AlgebraError::Length`] and [`AlgebraError::Descends`] where starts and lengths do not fit together, or a row lies
/// outside the product. What the product has then is not said.
pub fn renew(
    (family, dtype): (Family, DType),
    terms: Terms<'_>,
    (product, width): (&mut [u8], usize),
    renewed: &mut Renewed,
) -> Result<(), AlgebraError> {
    let lacks = family.with(dtype, Ask)?.lacks(CHOOSES);
    if lacks != Traits::NONE {
        return Err(AlgebraError::Lacks { name: family.name(), dtype, lacks, whom: "exchanging terms" });
    }
    family.with(dtype, Renew { terms, product, width, renewed })?
}

/// What the addition is.
struct Ask;

impl OnSemiring for Ask {
    type Out = Traits;

    fn on<T: Value, S: Semiring<T>>(self) -> Traits {
        <S::Add as Monoid<T>>::TRAITS
    }
}

/// What [`renew`] was given.
struct Renew<'a> {
    terms: Terms<'a>,
    product: &'a mut [u8],
    width: usize,
    renewed: &'a mut Renewed,
}

fn length(what: &'static str, cells: usize, wanted: usize) -> Result<(), AlgebraError> {
    if cells == wanted { Ok(()) } else { Err(AlgebraError::Length { what, cells, wanted }) }
}

impl OnSemiring for Renew<'_> {
    type Out = Result<(), AlgebraError>;

    fn on<T: Value, S: Semiring<T>>(self) -> Self::Out {
        let Self { terms: Terms { starts, rows, .. }, width, renewed, .. } = self;
        let values = cells::<T>(self.terms.values)?;
        let (old, new) = (cells::<T>(self.terms.old)?, cells::<T>(self.terms.new)?);
        let product = cells_mut::<T>(self.product)?;
        let (last, sides) = (starts.last().map_or(0, |last| *last as usize), starts.len().saturating_sub(1));
        if let Some(row) = starts.windows(2).position(|pair| pair[0] > pair[1]) {
            return Err(AlgebraError::Descends { row });
        }
        length("rows", rows.len(), last)?;
        length("values", values.len(), rows.len())?;
        length("old", old.len(), sides.saturating_mul(width))?;
        length("new", new.len(), sides.saturating_mul(width))?;
        let there = product.len() / width.max(1);
        for (side, pair) in starts.windows(2).enumerate() {
            let (old, new) = (&old[side * width..][..width], &new[side * width..][..width]);
            for term in pair[0] as usize..pair[1] as usize {
                if let Some(row) = rows.get(term + AHEAD) {
                    ahead::read(product, *row as usize * width);
                }
                let row = rows[term];
                let sums = product.get_mut(row as usize * width..(row as usize + 1) * width).ok_or(
                    AlgebraError::Length { what: "product", cells: there, wanted: row as usize + 1 },
                )?;
                match exchange::<T, S>(values[term], (old, new), sums) {
                    Came::Same => {}
                    Came::Other => renewed.changed.push(row),
                    Came::Lost => renewed.lost.push(row),
                }
            }
        }
        Ok(())
    }
}

/// What came of a row.
enum Came {
    Same,
    Other,
    Lost,
}

/// Exchanges a row's terms of a right side for those of another.
#[inline(always)]
fn exchange<T: Value, S: Semiring<T>>(value: T, (old, new): (&[T], &[T]), sums: &mut [T]) -> Came {
    let mut came = Came::Same;
    for ((&old, &new), sum) in old.iter().zip(new).zip(sums) {
        // As a sum of this alone is: no worse than the zero, and the one NaN.
        let was = S::add(S::ZERO, S::mul(value, old));
        let is = S::add(S::ZERO, S::mul(value, new));
        if was.same(*sum) && !S::add(was, is).same(is) {
            return Came::Lost;
        }
        let next = S::add(*sum, is);
        if !next.same(*sum) {
            (*sum, came) = (next, Came::Other);
        }
    }
    came
}
