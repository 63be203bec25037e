//! The laws of the built-in operators, exhaustive where the type is small, and their results against plain arithmetic.

use half::f16;
use mmsb::algebra::operator::{Builtin, builtin};
use mmsb::page::dtype::DType;
use mmsb::page::error::PageError;
use mmsb::page::operator::Merge;
use proptest::prelude::*;

/// All types of fixed size, and byte strings.
fn types() -> impl Iterator<Item = DType> {
    DType::FIXED.into_iter().chain([DType::Bytes(4)])
}

fn merged(op: Builtin, dtype: DType, left: &[u8], right: &[u8]) -> Vec<u8> {
    let mut out = left.to_vec();
    op.apply(dtype, &mut out, right);
    out
}

fn pairs() -> impl Iterator<Item = (Builtin, DType)> {
    Builtin::ALL
        .into_iter()
        .flat_map(|op| types().map(move |dtype| (op, dtype)))
        .filter(|(op, dtype)| op.supports(*dtype))
}

/// Commutative on every pair, associative on every triple where it is claimed, of these cells laid side by side.
fn laws(op: Builtin, dtype: DType, cells: &[u8]) {
    let size = dtype.size();
    let repeated = |one: &[u8]| one.repeat(cells.len() / size);
    for a in cells.chunks_exact(size).map(repeated) {
        let ab = merged(op, dtype, &a, cells);
        assert_eq!(ab, merged(op, dtype, cells, &a), "{} on {dtype} is commutative", op.name());
        if !op.exact(dtype) {
            continue;
        }
        for c in cells.chunks_exact(size).map(repeated) {
            let left = merged(op, dtype, &ab, &c);
            let right = merged(op, dtype, &a, &merged(op, dtype, cells, &c));
            assert_eq!(left, right, "{} on {dtype} is associative", op.name());
        }
    }
}

#[test]
fn all_triples_of_one_byte() {
    let every: Vec<u8> = (0..=255).collect();
    for (op, dtype) in pairs().filter(|(_, dtype)| dtype.size() == 1) {
        laws(op, dtype, &every);
    }
}

/// Zeros, infinities, NaNs with sign and payload, the smallest and largest, and some ordinary ones.
fn strange(dtype: DType) -> Vec<u8> {
    let signs = |bits: &[u64], size: usize| -> Vec<u8> {
        let sign = 1u64 << (size * 8 - 1);
        bits.iter()
            .flat_map(|bits| [*bits, bits | sign])
            .flat_map(|bits| bits.to_le_bytes()[..size].to_vec())
            .collect()
    };
    match dtype {
        DType::F16 => signs(&[0, 1, 0x3FF, 0x400, 0x3C00, 0x4200, 0x7BFF, 0x7C00, 0x7C01, 0x7E00, 0x7E55], 2),
        DType::F32 => signs(
            &[
                0,
                1,
                0x80_0000,
                0x3F80_0000,
                0x4048_F5C3,
                0x7F7F_FFFF,
                0x7F80_0000,
                0x7F80_0001,
                0x7FC0_0000,
                0x7FC1_2345,
            ],
            4,
        ),
        DType::F64 => signs(
            &[
                0,
                1,
                0x10 << 48,
                0x3FF0 << 48,
                0x4009_21FB_5444_2D18,
                0x7FEF_FFFF_FFFF_FFFF,
                0x7FF0 << 48,
                (0x7FF0 << 48) + 1,
                0x7FF8 << 48,
                (0x7FF8 << 48) + 77,
            ],
            8,
        ),
        _ => {
            let size = dtype.size();
            let top = 1u64 << (size * 8 - 1);
            [0, 1, 2, 3, top - 1, top, top + 1, u64::MAX, 0x5555_5555_5555_5555]
                .iter()
                .flat_map(|bits| bits.to_le_bytes()[..size].to_vec())
                .collect()
        }
    }
}

#[test]
fn all_triples_of_strange_values() {
    for (op, dtype) in pairs() {
        laws(op, dtype, &strange(dtype));
    }
}

#[test]
fn floats_have_one_nan_and_ordered_zeros() {
    fn f64s(op: Builtin, a: f64, b: f64) -> u64 {
        let out = merged(op, DType::F64, &a.to_le_bytes(), &b.to_le_bytes());
        u64::from_le_bytes(out.try_into().expect("eight bytes"))
    }
    let payload = f64::from_bits(0xFFF8_0000_0000_1234);
    let nan = 0x7FF8_0000_0000_0000;
    for op in [Builtin::Add, Builtin::Mul, Builtin::Min, Builtin::Max] {
        assert_eq!((f64s(op, payload, 1.0), f64s(op, 1.0, payload)), (nan, nan), "{}", op.name());
        assert_eq!(f64s(op, payload, payload), nan, "{}", op.name());
    }
    assert_eq!(f64s(Builtin::Add, f64::INFINITY, f64::NEG_INFINITY), nan);
    assert_eq!(f64s(Builtin::Mul, f64::INFINITY, 0.0), nan);
    assert_eq!(f64s(Builtin::Min, 0.0, -0.0), (-0.0f64).to_bits());
    assert_eq!(f64s(Builtin::Max, -0.0, 0.0), 0.0f64.to_bits());
    assert_eq!(f64s(Builtin::Min, f64::NEG_INFINITY, 3.0), f64::NEG_INFINITY.to_bits());
}

#[test]
fn half_precision_rounds_once() {
    for bits in (0..=u16::MAX).step_by(7) {
        let other = bits.rotate_left(5);
        let (a, b) = (f16::from_bits(bits), f16::from_bits(other));
        for (op, exact) in [(Builtin::Add, a.to_f64() + b.to_f64()), (Builtin::Mul, a.to_f64() * b.to_f64())]
        {
            // Sums and products of two halves are exact in double precision.
            let wanted = if exact.is_nan() { 0x7E00 } else { f16::from_f64(exact).to_bits() };
            let got = merged(op, DType::F16, &bits.to_le_bytes(), &other.to_le_bytes());
            assert_eq!(got, wanted.to_le_bytes(), "{} of {a} and {b}", op.name());
        }
    }
}

#[test]
fn what_works_on_what() {
    for (op, dtype) in Builtin::ALL.into_iter().flat_map(|op| types().map(move |dtype| (op, dtype))) {
        let bitwise = matches!(op, Builtin::Or | Builtin::And | Builtin::Xor);
        let wanted = !(matches!(dtype, DType::Bytes(_)) || bitwise && dtype.is_float());
        let table = builtin();
        match table.on(op.id(), dtype) {
            Ok(found) => assert!(wanted && found.map(Merge::name) == Some(op.name())),
            Err(refused) => {
                assert!(!wanted);
                assert_eq!(refused, PageError::UnsupportedOperator { operator: op.name(), dtype });
            }
        }
        assert!(wanted || !op.exact(dtype));
    }
    assert!(
        !Builtin::Add.exact(DType::F32) && Builtin::Add.exact(DType::I32) && Builtin::Max.exact(DType::F32)
    );
    let ids: Vec<u16> = builtin().iter().map(|operator| operator.id().0).collect();
    assert_eq!(ids, [1, 2, 3, 4, 5, 6, 7]);
    assert!(Builtin::ALL.into_iter().all(|op| Builtin::from_id(op.id()) == Some(op)));
    assert!(Builtin::ALL.into_iter().all(|op| builtin().named(op.name()).is_ok()));
}

#[test]
fn bool_is_what_numpy_makes_of_it() {
    for (op, table) in [
        (Builtin::Add, [0, 1, 1, 1]),
        (Builtin::Max, [0, 1, 1, 1]),
        (Builtin::Or, [0, 1, 1, 1]),
        (Builtin::Mul, [0, 0, 0, 1]),
        (Builtin::Min, [0, 0, 0, 1]),
        (Builtin::And, [0, 0, 0, 1]),
        (Builtin::Xor, [0, 1, 1, 0]),
    ] {
        assert_eq!(merged(op, DType::Bool, &[0, 0, 1, 1], &[0, 1, 0, 1]), table, "{}", op.name());
    }
    assert_eq!(merged(Builtin::Xor, DType::Bool, &[2], &[1]), [0], "any byte but 0 is true");
}

proptest! {
    #[test]
    fn integers_wrap_wherever_they_lie(cells: Vec<(i32, i32, i64, i64)>) {
        // Vectors of cells at an odd address.
        let lay = |values: Vec<Vec<u8>>| [vec![0], values.concat()].concat();
        let a = lay(cells.iter().map(|cell| cell.0.to_le_bytes().to_vec()).collect());
        let b = lay(cells.iter().map(|cell| cell.1.to_le_bytes().to_vec()).collect());
        for (op, plain) in [
            (Builtin::Add, i32::wrapping_add as fn(i32, i32) -> i32),
            (Builtin::Mul, i32::wrapping_mul),
            (Builtin::Min, |a, b| if a < b { a } else { b }),
            (Builtin::Max, |a, b| if a > b { a } else { b }),
            (Builtin::Or, |a, b| a | b),
            (Builtin::And, |a, b| a & b),
            (Builtin::Xor, |a, b| a ^ b),
        ] {
            let wanted: Vec<u8> = cells.iter().flat_map(|cell| plain(cell.0, cell.1).to_le_bytes()).collect();
            prop_assert_eq!(merged(op, DType::I32, &a[1..], &b[1..]), wanted);
        }
        let wide = |pick: fn(&(i32, i32, i64, i64)) -> i64| -> Vec<u8> { cells.iter().flat_map(|cell| pick(cell).to_le_bytes()).collect() };
        let wanted: Vec<u8> = cells.iter().flat_map(|cell| (cell.2 as u64).max(cell.3 as u64).to_le_bytes()).collect();
        prop_assert_eq!(merged(Builtin::Max, DType::U64, &wide(|cell| cell.2), &wide(|cell| cell.3)), wanted);
    }

    #[test]
    fn floats_add_and_multiply_as_the_processor_does(a: f32, b: f32, c: f64, d: f64) {
        prop_assert_eq!(merged(Builtin::Add, DType::F32, &a.to_le_bytes(), &b.to_le_bytes()), (a + b).to_le_bytes());
        prop_assert_eq!(merged(Builtin::Mul, DType::F64, &c.to_le_bytes(), &d.to_le_bytes()), (c * d).to_le_bytes());
        // Which of two zeros the standard library calls the smaller is not said.
        if c != d {
            let min = merged(Builtin::Min, DType::F64, &c.to_le_bytes(), &d.to_le_bytes());
            prop_assert_eq!(min, c.min(d).to_le_bytes());
        }
    }
}
