//! Products over every semiring and type against three nested loops, in every form of wide instructions, and bad input.

use mmsb::algebra::error::AlgebraError;
use mmsb::algebra::family::{Family, OnSemiring};
use mmsb::algebra::ladder::{Semiring, Traits};
use mmsb::algebra::linear::{
    Matrix, matrix_matrix, matrix_matrix_with, matrix_vector, matrix_vector_with, sparse_matrix,
};
use mmsb::algebra::value::Value;
use mmsb::base::wide::Wide;
use mmsb::page::dtype::DType;
use proptest::prelude::*;

/// A small number as a cell: one that no sum of some thousand takes out of any type of four bytes, and exact in floats.
pub fn cell<T: Value>(n: u8) -> T {
    let n = n % 8;
    match T::DTYPE {
        DType::Bool => bytemuck::pod_read_unaligned(&[n % 2]),
        DType::F32 => bytemuck::pod_read_unaligned(&(f32::from(n) / 8.0).to_le_bytes()),
        DType::F64 => bytemuck::pod_read_unaligned(&(f64::from(n) / 8.0).to_le_bytes()),
        _ => bytemuck::pod_read_unaligned(&u64::from(n).to_le_bytes()[..size_of::<T>()]),
    }
}

/// Like [`cell`], but in floats one of nine or so is what loops must take care of: NaN, infinities, zeros with signs.
pub fn peculiar<T: Value>(n: u8) -> T {
    const ODD: [f64; 8] = [
        f64::NAN,
        f64::INFINITY,
        f64::NEG_INFINITY,
        -0.0,
        0.0,
        -1.0,
        -0.5,
        f64::from_bits(0xFFF8_0000_0000_0001),
    ];
    let odd = ODD[usize::from(n % 8)];
    match T::DTYPE {
        _ if n < 226 => cell(n),
        DType::F32 => bytemuck::pod_read_unaligned(&(odd as f32).to_le_bytes()),
        DType::F64 => bytemuck::pod_read_unaligned(&odd.to_le_bytes()),
        _ => cell(n),
    }
}

/// What is multiplied: rows, inner, width, and numbers for the cells.
#[derive(Debug, Clone)]
struct Given {
    rows: usize,
    inner: usize,
    width: usize,
    left: Vec<u8>,
    right: Vec<u8>,
    /// Which cells of the left matrix are there.
    there: Vec<bool>,
}

impl Given {
    /// Where rows begin, columns and values of those cells of the left matrix that are there.
    fn sparse<T: Copy>(&self, left: &[T]) -> (Vec<u64>, Vec<u32>, Vec<T>) {
        let (mut starts, mut columns, mut values) = (vec![0], Vec::new(), Vec::new());
        for (row, there) in left.chunks(self.inner).zip(self.there.chunks(self.inner)) {
            for (k, value) in row.iter().enumerate().filter(|(k, _)| there[*k]) {
                columns.push(k as u32);
                values.push(*value);
            }
            starts.push(columns.len() as u64);
        }
        (starts, columns, values)
    }
}

fn given() -> impl Strategy<Value = Given> {
    (1usize..7, prop_oneof![1usize..9, 14usize..70], 1usize..20).prop_flat_map(|(rows, inner, width)| {
        let cells = |n| prop::collection::vec(any::<u8>(), n);
        (cells(rows * inner), cells(inner * width), prop::collection::vec(any::<bool>(), rows * inner))
            .prop_map(move |(left, right, there)| Given { rows, inner, width, left, right, there })
    })
}

/// Whether both are the same: bit for bit where laws hold so, and where only the order differs up to rounding elsewhere.
fn alike<T: Value, S: Semiring<T>>(found: T, wanted: T) -> bool {
    if found.same(wanted) || S::TRAITS.has(Traits::EXACT) || S::TRAITS.has(Traits::SELECTIVE) {
        return found.same(wanted);
    }
    let (found, wanted) = (found.number(), wanted.number());
    (found - wanted).abs() <= 1e-4 * (1.0 + wanted.abs())
}

/// The cells that are there of the left matrix times the right one, against three loops.
fn sparse_times_dense<T: Value, S: Semiring<T>>(given: &Given, family: Family, (left, right): (&[T], &[T])) {
    let Given { rows, inner, width, .. } = *given;
    let (starts, columns, values) = given.sparse(left);
    let mut out = vec![S::ONE; rows * width];
    let matrix = (starts.as_slice(), columns.as_slice(), bytemuck::cast_slice(&values));
    let bytes = bytemuck::cast_slice_mut(&mut out);
    sparse_matrix((family, T::DTYPE), matrix, (bytemuck::cast_slice(right), width), 0..rows, bytes).unwrap();
    for r in 0..rows {
        for c in 0..width {
            let there = (0..inner).filter(|k| given.there[r * inner + k]);
            let terms = there.map(|k| S::mul(left[r * inner + k], right[k * width + c]));
            let (found, wanted) = (out[r * width + c], terms.fold(S::ZERO, S::add));
            // One column is a vector, which has lanes.
            let is = if width == 1 { alike::<T, S>(found, wanted) } else { found.same(wanted) };
            assert!(is, "{family} on {}: {found:?} and {wanted:?}", T::DTYPE);
        }
    }
}

/// And whether some of the cells are peculiar.
struct Products<'a>(&'a Given, Family, bool);

impl OnSemiring for Products<'_> {
    type Out = ();

    fn on<T: Value, S: Semiring<T>>(self) {
        let Products(given, family, is_peculiar) = self;
        let cell = if is_peculiar { peculiar::<T> } else { cell::<T> };
        let Given { rows, inner, width, .. } = *given;
        let which = (family, T::DTYPE);
        let left: Vec<T> = given.left.iter().map(|n| cell(*n)).collect();
        let right: Vec<T> = given.right.iter().map(|n| cell(*n)).collect();
        let sum = |terms: &mut dyn Iterator<Item = T>| terms.fold(S::ZERO, S::add);

        let mut out = vec![S::ONE; rows * width];
        let bytes = bytemuck::cast_slice_mut(&mut out);
        let (one, other) = (bytemuck::cast_slice(&left), bytemuck::cast_slice(&right));
        matrix_matrix(which, one, other, (inner, width), bytes).unwrap();
        for r in 0..rows {
            for c in 0..width {
                let wanted = sum(&mut (0..inner).map(|k| S::mul(left[r * inner + k], right[k * width + c])));
                let found = out[r * width + c];
                assert!(found.same(wanted), "{family} on {}: {found:?} and {wanted:?}", T::DTYPE);
            }
        }

        sparse_times_dense::<T, S>(given, family, (&left, &right));

        let vector = &right[..inner];
        let dense = Matrix::Dense { values: bytemuck::cast_slice(&left), columns: inner };
        let mut whole = vec![S::ONE; rows];
        let bytes = bytemuck::cast_slice_mut(&mut whole);
        matrix_vector(which, dense, bytemuck::cast_slice(vector), 0..rows, bytes).unwrap();
        let (starts, columns, values) = given.sparse(&left);
        let sparse =
            Matrix::Sparse { starts: &starts, columns: &columns, values: bytemuck::cast_slice(&values) };
        let mut some = vec![S::ONE; rows];
        let bytes = bytemuck::cast_slice_mut(&mut some);
        matrix_vector(which, sparse, bytemuck::cast_slice(vector), 0..rows, bytes).unwrap();
        for wide in Wide::all() {
            let mut again = vec![S::ONE; rows * width];
            let bytes = bytemuck::cast_slice_mut(&mut again);
            let (left, right) = (bytemuck::cast_slice(&left), bytemuck::cast_slice(&right));
            matrix_matrix_with(wide, which, left, right, (inner, width), bytes).unwrap();
            assert!(again.iter().zip(&out).all(|(a, b)| a.same(*b)), "{family} on {}: {wide:?}", T::DTYPE);
            for (matrix, wanted) in [(dense, &whole), (sparse, &some)] {
                let mut again = vec![S::ONE; rows];
                let bytes = bytemuck::cast_slice_mut(&mut again);
                matrix_vector_with(wide, which, matrix, bytemuck::cast_slice(vector), 0..rows, bytes)
                    .unwrap();
                assert!(
                    again.iter().zip(wanted).all(|(a, b)| a.same(*b)),
                    "{family} on {}: {wide:?}",
                    T::DTYPE
                );
            }
        }
        for r in 0..rows {
            let term = |k: usize| S::mul(left[r * inner + k], vector[k]);
            let all = sum(&mut (0..inner).map(term));
            let there = sum(&mut (0..inner).filter(|k| given.there[r * inner + k]).map(term));
            assert!(alike::<T, S>(whole[r], all), "{family} on {}: {:?} and {all:?}", T::DTYPE, whole[r]);
            assert!(alike::<T, S>(some[r], there), "{family} on {}: {:?} and {there:?}", T::DTYPE, some[r]);
            // A row by itself has the bits of the whole.
            for (matrix, wanted) in [(dense, whole[r]), (sparse, some[r])] {
                let mut alone = [S::ONE];
                let bytes = bytemuck::cast_slice_mut(&mut alone);
                matrix_vector(which, matrix, bytemuck::cast_slice(vector), r..r + 1, bytes).unwrap();
                assert!(alone[0].same(wanted));
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]
    #[test]
    fn products_are_what_nested_loops_say(given in given()) {
        for is_peculiar in [false, true] {
            let pairs = Family::all().flat_map(|family| DType::FIXED.map(|dtype| (family, dtype)));
            let held = pairs.filter(|(family, dtype)| family.with(*dtype, Products(&given, *family, is_peculiar)).is_ok());
            prop_assert_eq!(held.count(), 33);
        }
    }
}

#[test]
fn what_does_not_fit_together_is_refused_with_its_numbers() {
    let which = (Family::MinPlus, DType::F64);
    let (cells, mut out) = ([0.0f64; 12], [7.0f64; 3]);
    let bytes: &[u8] = bytemuck::cast_slice(&cells);
    let mut refused = |matrix: Matrix<'_>, vector: &[u8], rows| {
        let error =
            matrix_vector(which, matrix, vector, rows, bytemuck::cast_slice_mut(&mut out)).unwrap_err();
        error.to_string()
    };
    let dense = Matrix::Dense { values: bytes, columns: 4 };
    assert_eq!(
        refused(dense, &bytes[..24], 0..3),
        "a matrix of 4 columns cannot be multiplied with a vector of 3 cells"
    );
    assert_eq!(refused(dense, &bytes[..32], 1..4), "rows 1..4 of a matrix of 3 into 3 cells");
    assert_eq!(refused(dense, &bytes[..32], 0..2), "rows 0..2 of a matrix of 3 into 3 cells");
    let ragged = Matrix::Dense { values: &bytes[..40], columns: 4 };
    assert_eq!(refused(ragged, &bytes[..32], 0..1), "40 bytes are not whole rows of 32 bytes");
    let sparse = |starts: &'static [u64], columns: &'static [u32]| Matrix::Sparse {
        starts,
        columns,
        values: &bytes[..16],
    };
    assert_eq!(
        refused(sparse(&[0, 1, 1, 2], &[0, 4]), &bytes[..32], 0..3),
        "cell 1 of a sparse matrix is in column 4, and the vector has 4 cells"
    );
    assert_eq!(
        refused(sparse(&[0, 1, 0, 2], &[0, 3]), &bytes[..32], 0..3),
        "row 1 of a sparse matrix ends before it begins"
    );
    assert_eq!(
        refused(sparse(&[0, 1, 1, 3], &[0, 3]), &bytes[..32], 0..3),
        "a sparse matrix whose rows end at cell 3 has 2 columns of cells and 2 values of cells"
    );
    let wrong = matrix_matrix(which, bytes, &bytes[..24], (4, 1), &mut []).unwrap_err();
    assert_eq!(wrong.to_string(), "'right' has 3 cells and needs 4");
    let wrong = matrix_matrix(which, bytes, &bytes[..32], (4, 1), &mut []).unwrap_err();
    assert_eq!(wrong.to_string(), "'out' has 0 cells and needs 3");
    let wrong = matrix_vector(
        (Family::Counting, DType::F64),
        dense,
        &bytes[..32],
        0..3,
        bytemuck::cast_slice_mut(&mut out),
    );
    assert_eq!(wrong, Err(AlgebraError::Unsupported { name: "counting", dtype: DType::F64 }));
}
