//! Products brought up to date term by term, against making them from nothing; which rows that goes over; and bad input.

use mmsb::algebra::error::AlgebraError;
use mmsb::algebra::family::{Family, OnSemiring};
use mmsb::algebra::ladder::Semiring;
use mmsb::algebra::linear::sparse_matrix;
use mmsb::algebra::renew::{Renewed, Terms, renew, renews};
use mmsb::algebra::value::Value;
use mmsb::page::dtype::DType;
use proptest::prelude::*;

use crate::products::{cell, peculiar};

/// Entries as row, column and number of their value, in any order and more than once; and a matrix to the right, twice.
#[derive(Debug, Clone)]
struct Given {
    rows: usize,
    width: usize,
    entries: Vec<(usize, usize, u8)>,
    old: Vec<u8>,
    /// Of each cell, whether it is another now, and which.
    new: Vec<(bool, u8)>,
}

fn given() -> impl Strategy<Value = Given> {
    (1usize..9, 1usize..9, 1usize..4).prop_flat_map(|(rows, columns, width)| {
        (
            prop::collection::vec((0..rows, 0..columns, any::<u8>()), 0..60),
            prop::collection::vec(any::<u8>(), columns * width),
            prop::collection::vec((any::<bool>(), any::<u8>()), columns * width),
        )
            .prop_map(move |(mut entries, old, new)| {
                entries.sort_unstable();
                Given { rows, width, entries, old, new }
            })
    })
}

/// The product made from nothing.
fn whole<T: Value>(given: &Given, family: Family, values: &[T], right: &[T]) -> Vec<T> {
    let of = |row: usize| given.entries.iter().take_while(|entry| entry.0 < row).count() as u64;
    let starts: Vec<u64> = (0..=given.rows).map(of).collect();
    let columns: Vec<u32> = given.entries.iter().map(|entry| entry.1 as u32).collect();
    let mut out = vec![cell::<T>(0); given.rows * given.width];
    let matrix = (starts.as_slice(), columns.as_slice(), bytemuck::cast_slice(values));
    let right = (bytemuck::cast_slice(right), given.width);
    let bytes = bytemuck::cast_slice_mut(&mut out);
    sparse_matrix((family, T::DTYPE), matrix, right, 0..given.rows, bytes).unwrap();
    out
}

/// Whether a term of a row is worse than it was: the sum of both is not the new one.
fn gets_worse<T: Value, S: Semiring<T>>(
    given: &Given,
    row: usize,
    (values, old, new): (&[T], &[T], &[T]),
) -> bool {
    let entries = given.entries.iter().zip(values).filter(|(entry, _)| entry.0 == row);
    let mut terms = entries.flat_map(|((_, column, _), value)| {
        let of = move |side: &[T], i| S::add(S::ZERO, S::mul(*value, side[column * given.width + i]));
        (0..given.width).map(move |i| (of(old, i), of(new, i)))
    });
    terms.any(|(old, new)| !S::add(old, new).same(new))
}

/// And whether some of the cells are peculiar.
struct Renewing<'a>(&'a Given, Family, bool);

impl OnSemiring for Renewing<'_> {
    type Out = ();

    fn on<T: Value, S: Semiring<T>>(self) {
        let Renewing(given, family, is_peculiar) = self;
        let cell = if is_peculiar { peculiar::<T> } else { cell::<T> };
        let width = given.width;
        let values: Vec<T> = given.entries.iter().map(|entry| cell(entry.2)).collect();
        let old: Vec<T> = given.old.iter().map(|n| cell(*n)).collect();
        let new: Vec<T> = old
            .iter()
            .zip(&given.new)
            .map(|(old, (is_new, n))| if *is_new { cell(*n) } else { *old })
            .collect();
        let before = whole(given, family, &values, &old);
        let wanted = whole(given, family, &values, &new);

        let (mut starts, mut rows, mut terms) = (vec![0], Vec::new(), Vec::new());
        for column in 0..old.len() / width {
            for (entry, value) in given.entries.iter().zip(&values).filter(|(entry, _)| entry.1 == column) {
                rows.push(entry.0 as u32);
                terms.push(*value);
            }
            starts.push(rows.len() as u32);
        }
        let (mut product, mut renewed) = (before.clone(), Renewed::default());
        let right = (old, new);
        let [cells, old, new] = [&terms, &right.0, &right.1].map(|cells| bytemuck::cast_slice(cells));
        let terms = Terms { starts: &starts, rows: &rows, values: cells, old, new };
        let out = (bytemuck::cast_slice_mut(&mut product), width);
        renew((family, T::DTYPE), terms, out, &mut renewed).unwrap();
        for row in 0..given.rows {
            if renewed.lost.contains(&(row as u32)) {
                assert!(
                    gets_worse::<T, S>(given, row, (&values, &right.0, &right.1)),
                    "{family} on {}: row {row}",
                    T::DTYPE
                );
                continue;
            }
            let is_changed = renewed.changed.contains(&(row as u32));
            let of = row * width..(row + 1) * width;
            for ((found, wanted), before) in
                product[of.clone()].iter().zip(&wanted[of.clone()]).zip(&before[of])
            {
                assert!(found.same(*wanted), "{family} on {}: {found:?} and {wanted:?}", T::DTYPE);
                assert!(is_changed || found.same(*before), "{family} on {}: row {row}", T::DTYPE);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]
    #[test]
    fn terms_exchanged_come_to_what_all_terms_come_to(given in given()) {
        for is_peculiar in [false, true] {
            let mut held = 0;
            for (family, dtype) in Family::all().flat_map(|family| DType::FIXED.map(|dtype| (family, dtype))) {
                if renews((family, dtype)) == Ok(true) {
                    family.with(dtype, Renewing(&given, family, is_peculiar)).unwrap();
                    held += 1;
                }
            }
            prop_assert_eq!(held, 17);
        }
    }
}

#[test]
fn what_renews_is_what_chooses() {
    let all = |family: Family| {
        DType::FIXED.map(|dtype| renews((family, dtype))).into_iter().flatten().collect::<Vec<_>>()
    };
    assert_eq!(all(Family::Boolean), [true, false], "truths one by one choose, 64 in a word do not");
    for family in [Family::MinPlus, Family::MaxPlus, Family::MaxTimes, Family::Viterbi, Family::MaxMin] {
        assert!(all(family).iter().all(|renews| *renews), "{family}");
    }
    for family in [Family::PlusTimes, Family::Counting, Family::Log, Family::Gf2] {
        assert!(all(family).iter().all(|renews| !renews), "{family}");
    }
}

/// One column with an entry in each of two rows, the sums of which are 10 and 3; what exchanging its cell comes to.
fn exchanged(old: i64, new: i64) -> (Vec<u32>, Vec<u32>, [i64; 2]) {
    let (mut product, mut renewed) = ([10i64, 3], Renewed::default());
    let terms = Terms {
        starts: &[0, 2],
        rows: &[0, 1],
        values: bytemuck::bytes_of(&[4i64, 4]),
        old: bytemuck::bytes_of(&old),
        new: bytemuck::bytes_of(&new),
    };
    let out = (bytemuck::cast_slice_mut(&mut product), 1);
    renew((Family::MinPlus, DType::I64), terms, out, &mut renewed).unwrap();
    (renewed.changed, renewed.lost, product)
}

#[test]
fn only_a_row_whose_chosen_term_got_worse_is_gone_over() {
    // The first row's sum is this column's, the second one's another's.
    assert_eq!(exchanged(6, 7), (vec![], vec![0], [10, 3]));
    assert_eq!(exchanged(6, 5), (vec![0], vec![], [9, 3]));
    assert_eq!(exchanged(6, -2), (vec![0, 1], vec![], [2, 2]));
    assert_eq!(exchanged(8, 9), (vec![], vec![], [10, 3]));
    assert_eq!(exchanged(6, 6), (vec![], vec![], [10, 3]));
}

#[test]
fn terms_that_do_not_fit_are_refused_with_their_numbers() {
    let cells = [1i64, 2, 3];
    let bytes: &[u8] = bytemuck::cast_slice(&cells);
    let good =
        Terms { starts: &[0, 1, 3], rows: &[0, 1, 1], values: bytes, old: &bytes[..16], new: &bytes[..16] };
    let which = (Family::MinPlus, DType::I64);
    let says = |terms: Terms<'_>| {
        let mut product = [0i64; 2];
        let out = (bytemuck::cast_slice_mut(&mut product), 1);
        renew(which, terms, out, &mut Renewed::default()).map_err(|error| error.to_string())
    };
    assert_eq!(says(good), Ok(()));
    for (terms, wanted) in [
        (Terms { starts: &[0, 3, 1], ..good }, "row 1 of a sparse matrix ends before it begins"),
        (Terms { rows: &[0, 1], ..good }, "'rows' has 2 cells and needs 3"),
        (Terms { values: &bytes[..8], ..good }, "'values' has 1 cells and needs 3"),
        (Terms { old: bytes, ..good }, "'old' has 3 cells and needs 2"),
        (Terms { new: &[], ..good }, "'new' has 0 cells and needs 2"),
        (Terms { rows: &[0, 1, 2], ..good }, "'product' has 2 cells and needs 3"),
    ] {
        assert_eq!(says(terms), Err(wanted.to_owned()));
    }
    let says = |terms, width| {
        renew(which, terms, (&mut [], width), &mut Renewed::default()).unwrap_err().to_string()
    };
    let none = Terms { starts: &[0, 0, 0], rows: &[], values: &[], old: &[], new: &[] };
    assert_eq!(says(none, 1 << 63), format!("'old' has 0 cells and needs {}", u64::MAX));
    let lacks = |family| {
        renew((family, DType::U64), good, (&mut [], 1), &mut Renewed::default()).unwrap_err().to_string()
    };
    assert_eq!(
        lacks(Family::PlusTimes),
        "exchanging terms needs what the semiring plus_times on uint64 is not: selective, total order"
    );
    assert_eq!(
        lacks(Family::Boolean),
        "exchanging terms needs what the semiring boolean on uint64 is not: selective, total order"
    );
    let refused = renew((Family::Counting, DType::F64), good, (&mut [], 1), &mut Renewed::default());
    assert_eq!(refused, Err(AlgebraError::Unsupported { name: "counting", dtype: DType::F64 }));
}
