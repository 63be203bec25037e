//! The reductions as what a cell is worth, how two of those are brought together, and what comes of all.

use std::fmt::Debug;
use std::marker::PhantomData;

use crate::algebra::kernel::Number;
use crate::algebra::value::{Truth, Value};
use crate::propagation::reduction::cells::{Cell, Float, Int};

/// A reduction on one type of cell. `op` is associative and commutative but for rounding.
pub trait Fold: Debug + Send + 'static {
    /// What is reduced.
    type Cell: Cell;
    /// What cells are worth.
    type Sum: Copy + Send + Debug + 'static;
    /// What comes of all.
    type Out: Value;

    /// What no cell is worth.
    const ZERO: Self::Sum;

    /// What a cell is worth that lies at this place.
    fn lift(cell: Self::Cell, place: u64) -> Self::Sum;
    /// Both together.
    fn op(a: Self::Sum, b: Self::Sum) -> Self::Sum;
    /// Whether both are the same bit for bit.
    fn same(a: Self::Sum, b: Self::Sum) -> bool;
    /// What `cells` cells come to that are worth so much.
    fn finish(sum: Self::Sum, cells: u64) -> Self::Out;
}

/// One in which a cell can be taken back, and nothing of it stays.
pub trait Exact: Fold {
    /// `a` without `b`.
    fn less(a: Self::Sum, b: Self::Sum) -> Self::Sum;
}

/// Reductions to a number of 64 bits that wraps.
macro_rules! counts {
    ($(#[$doc:meta] $name:ident<$law:ident> -> $out:ty: $lift:expr, $finish:expr;)+) => {$(
        #[$doc]
        #[derive(Debug)]
        pub struct $name<T>(PhantomData<T>);

        impl<T: $law> Fold for $name<T> {
            type Cell = T;
            type Sum = u64;
            type Out = $out;
            const ZERO: u64 = 0;

            #[inline(always)]
            fn lift(cell: T, _: u64) -> u64 {
                let lift: fn(T) -> u64 = $lift;
                lift(cell)
            }
            #[inline(always)]
            fn op(a: u64, b: u64) -> u64 {
                a.wrapping_add(b)
            }
            #[inline(always)]
            fn same(a: u64, b: u64) -> bool {
                a == b
            }
            #[inline(always)]
            fn finish(sum: u64, cells: u64) -> $out {
                let finish: fn(u64, u64) -> $out = $finish;
                finish(sum, cells)
            }
        }

        impl<T: $law> Exact for $name<T> {
            #[inline(always)]
            fn less(a: u64, b: u64) -> u64 {
                a.wrapping_sub(b)
            }
        }
    )+};
}

counts!(
    /// The sum, which wraps.
    Total<Int> -> T::Sum: T::wrapped, |sum, _| T::sum(sum);
    /// How many cells are values.
    Count<Cell> -> i64: |cell| u64::from(cell.is_value()), |sum, _| sum as i64;
    /// Whether any cell is true.
    Any<Cell> -> Truth: |cell| u64::from(cell.truth()), |sum, _| Truth::from(sum > 0);
    /// Whether all cells are true.
    All<Cell> -> Truth: |cell| u64::from(cell.truth()), |sum, cells| Truth::from(sum == cells);
);

/// The mean of whole numbers: the exact sum as a `f64`, divided.
#[derive(Debug)]
pub struct Mean<T>(PhantomData<T>);

impl<T: Int> Fold for Mean<T> {
    type Cell = T;
    type Sum = i128;
    type Out = f64;
    const ZERO: i128 = 0;

    #[inline(always)]
    fn lift(cell: T, _: u64) -> i128 {
        cell.exact()
    }
    #[inline(always)]
    fn op(a: i128, b: i128) -> i128 {
        a.wrapping_add(b)
    }
    #[inline(always)]
    fn same(a: i128, b: i128) -> bool {
        a == b
    }
    #[inline(always)]
    fn finish(sum: i128, cells: u64) -> f64 {
        divided(sum as f64, cells)
    }
}

impl<T: Int> Exact for Mean<T> {
    #[inline(always)]
    fn less(a: i128, b: i128) -> i128 {
        a.wrapping_sub(b)
    }
}

/// A sum by a number of cells; the one quiet NaN where there are none.
#[inline]
pub fn divided(sum: f64, cells: u64) -> f64 {
    if cells == 0 { f64::NAN } else { f64::nearest(sum / cells as f64) }
}

/// The sum of floats, or their mean: added up in double precision and rounded once.
#[derive(Debug)]
pub struct Added<T, const MEAN: bool>(PhantomData<T>);

impl<T: Float, const MEAN: bool> Fold for Added<T, MEAN> {
    type Cell = T;
    type Sum = f64;
    type Out = T;
    const ZERO: f64 = 0.0;

    #[inline(always)]
    fn lift(cell: T, _: u64) -> f64 {
        cell.wide()
    }
    #[inline(always)]
    fn op(a: f64, b: f64) -> f64 {
        Number::add(a, b)
    }
    #[inline(always)]
    fn same(a: f64, b: f64) -> bool {
        a.to_bits() == b.to_bits()
    }
    #[inline(always)]
    fn finish(sum: f64, cells: u64) -> T {
        // The sum of nothing but negative zeros would be one where no zero has been added.
        let sum = sum + 0.0;
        T::nearest(if MEAN { divided(sum, cells) } else { sum })
    }
}

/// The smallest cell, or the largest.
#[derive(Debug)]
pub struct Extreme<T, const MOST: bool>(PhantomData<T>);

impl<T: Cell, const MOST: bool> Fold for Extreme<T, MOST> {
    type Cell = T;
    type Sum = T;
    type Out = T;
    const ZERO: T = if MOST { T::LOWEST } else { T::HIGHEST };

    #[inline(always)]
    fn lift(cell: T, _: u64) -> T {
        cell
    }
    #[inline(always)]
    fn op(a: T, b: T) -> T {
        if MOST { a.most(b) } else { a.least(b) }
    }
    #[inline(always)]
    fn same(a: T, b: T) -> bool {
        a.same(b)
    }
    #[inline(always)]
    fn finish(sum: T, _: u64) -> T {
        sum
    }
}

/// Where in the order of what wins a cell stands, 0 first: what is not a number, then from the smallest or largest on.
#[inline(always)]
pub fn order<const MOST: bool>(rank: Option<u64>) -> u64 {
    rank.map_or(0, |rank| if MOST { !rank } else { rank })
}

/// Where the first of the smallest or largest cells lies: how it stands, and its place.
#[derive(Debug)]
pub struct Where<T, const MOST: bool>(PhantomData<T>);

/// What [`Where`] makes of no cells at all.
const NOWHERE: (u64, u64) = (u64::MAX, u64::MAX);

impl<T: Cell, const MOST: bool> Fold for Where<T, MOST> {
    type Cell = T;
    type Sum = (u64, u64);
    type Out = i64;
    const ZERO: (u64, u64) = NOWHERE;

    #[inline(always)]
    fn lift(cell: T, place: u64) -> (u64, u64) {
        (order::<MOST>(cell.rank_of_equals()), place)
    }
    #[inline(always)]
    fn op(a: (u64, u64), b: (u64, u64)) -> (u64, u64) {
        // Without a branch, so that a loop of it can be wide.
        let less = (b.0 < a.0) | ((b.0 == a.0) & (b.1 < a.1));
        (if less { b.0 } else { a.0 }, if less { b.1 } else { a.1 })
    }
    #[inline(always)]
    fn same(a: (u64, u64), b: (u64, u64)) -> bool {
        a == b
    }
    #[inline(always)]
    fn finish((_, place): (u64, u64), _: u64) -> i64 {
        // Of no place, all bits are set.
        place as i64
    }
}
