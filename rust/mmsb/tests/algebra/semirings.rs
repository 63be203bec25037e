//! The laws of every semiring and reduction on every type: exhaustive where the type is small, at the edges, and at random.

use mmsb::algebra::family::{Family, OnMonoid, OnSemiring, Reducer};
use mmsb::algebra::fold::{Tree, fold};
use mmsb::algebra::ladder::{CommutativeMonoid, Group, Semiring, Traits};
use mmsb::algebra::law::{Known, Law, Operations, Pair, check};
use mmsb::algebra::mask::{Mask, write};
use mmsb::algebra::operations::{Plus, Xor};
use mmsb::algebra::semirings::{Boolean, Counting, MaxTimes, MinPlus, PlusTimes};
use mmsb::algebra::value::{Truth, Value};
use mmsb::page::dtype::DType;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;

/// Values at the edges of a type, and some ordinary ones.
fn edges<T: Value>() -> Vec<T> {
    let size = size_of::<T>();
    let float = |bits: &[u64]| -> Vec<Vec<u8>> {
        let sign = 1u64 << (size * 8 - 1);
        let both = bits.iter().flat_map(|bits| [*bits, bits | sign]);
        both.map(|bits| bits.to_le_bytes()[..size].to_vec()).collect()
    };
    let cells: Vec<Vec<u8>> = match T::DTYPE {
        DType::Bool => vec![vec![0], vec![1]],
        DType::F16 => float(&[0, 1, 0x3C00, 0x4200, 0x7BFF, 0x7C00]),
        DType::F32 => {
            let mut all: Vec<u64> =
                [0.25f32, 1.0, 3.0, 7.5, 1e-3, 1e6].iter().map(|x| u64::from(x.to_bits())).collect();
            all.extend([0, 0x7F80_0000]);
            all.push(u64::from(f32::NAN.to_bits()));
            float(&all)
        }
        DType::F64 => {
            let mut all: Vec<u64> = [0.25f64, 1.0, 3.0, 7.5, 1e-3, 1e6].iter().map(|x| x.to_bits()).collect();
            all.extend([0, 0x7FF0_0000_0000_0000, f64::NAN.to_bits()]);
            float(&all)
        }
        _ => {
            let far = 1u64 << (size * 8 - 1);
            let eighth = far / 8;
            [0, 1, 2, 9, far - 1, far, far + 1, eighth, eighth - 1, 1u64.wrapping_neg(), 7u64.wrapping_neg()]
                .iter()
                .map(|bits| bits.to_le_bytes()[..size].to_vec())
                .collect()
        }
    };
    // A NaN has one form.
    let sign_of_nan = |value: &T| !(value.number().is_nan() && value.number().is_sign_negative());
    cells.iter().map(|cell| bytemuck::pod_read_unaligned(cell)).filter(sign_of_nan).collect()
}

/// Any value of a type.
fn any_value<T: Value>() -> impl Strategy<Value = T> {
    let bits = any::<[u8; 8]>().prop_map(|mut bytes| {
        bytes[0] %= if T::DTYPE == DType::Bool { 2 } else { 255 };
        bytemuck::pod_read_unaligned::<T>(&bytes[..size_of::<T>()])
    });
    let small = (-1000i64..1000).prop_map(|n| match T::DTYPE {
        DType::F32 => bytemuck::pod_read_unaligned::<T>(&(n as f32 / 8.0).to_le_bytes()),
        DType::F64 => bytemuck::pod_read_unaligned::<T>(&(n as f64 / 8.0).to_le_bytes()),
        DType::Bool => bytemuck::pod_read_unaligned::<T>(&[n.rem_euclid(2) as u8]),
        _ => bytemuck::pod_read_unaligned::<T>(&n.to_le_bytes()[..size_of::<T>()]),
    });
    // Of three no product leaves the type: what rounds to infinity or to nothing keeps no law.
    let float = (any::<i32>(), -20i32..10).prop_map(|(n, scale)| {
        let value = f64::from(n) * f64::from(scale).exp2();
        match T::DTYPE {
            DType::F32 => bytemuck::pod_read_unaligned::<T>(&(value as f32).to_le_bytes()),
            DType::F64 => bytemuck::pod_read_unaligned::<T>(&value.to_le_bytes()),
            _ => bytemuck::pod_read_unaligned::<T>(&[0; 8][..size_of::<T>()]),
        }
    });
    let (floats, others) = if T::DTYPE.is_float() { (2, 0) } else { (0, 1) };
    prop_oneof![1 => small, floats => float, others => bits]
}

fn triples<T: Copy>(all: &[T]) -> impl Iterator<Item = [T; 3]> + '_ {
    all.iter().flat_map(move |a| all.iter().flat_map(move |b| all.iter().map(move |c| [*a, *b, *c])))
}

/// Holds a semiring to its laws.
struct Laws;

impl OnSemiring for Laws {
    type Out = Result<(), String>;

    fn on<T: Value, S: Semiring<T>>(self) -> Self::Out {
        let pair = Known::<T, S>::default();
        let told = |broken: Box<mmsb::algebra::law::Broken<T>>| format!("{}: {broken}", T::DTYPE);
        if size_of::<T>() == 1 && T::DTYPE != DType::Bool {
            let all: Vec<T> = (0..=255u8).map(|byte| bytemuck::pod_read_unaligned(&[byte])).collect();
            return check(&pair, S::TRAITS, triples(&all)).map_err(told);
        }
        check(&pair, S::TRAITS, triples(&edges::<T>())).map_err(told)?;
        let mut runner = TestRunner::new(ProptestConfig { cases: 2000, ..ProptestConfig::default() });
        let any = || any_value::<T>();
        runner
            .run(&(any(), any(), any()), |(a, b, c)| {
                check(&pair, S::TRAITS, [[a, b, c]]).map_err(|broken| TestCaseError::fail(told(broken)))
            })
            .map_err(|error| error.to_string())
    }
}

#[test]
fn every_semiring_keeps_its_laws() {
    let mut held = 0;
    for family in Family::all() {
        for dtype in DType::FIXED {
            match family.with(dtype, Laws) {
                Ok(laws) => laws.unwrap_or_else(|broken| panic!("{family} on {broken}")),
                Err(unsupported) => {
                    assert_eq!(unsupported.to_string(), format!("'{family}' is not for cells of {dtype}"));
                    continue;
                }
            }
            held += 1;
        }
    }
    assert_eq!(held, 33, "semirings on types");
}

/// Holds a monoid to its laws, and its tree to what it brings together.
struct MonoidLaws;

impl OnMonoid for MonoidLaws {
    type Out = ();

    fn on<T: Value, M: CommutativeMonoid<T>>(self) {
        let what = std::any::type_name::<M>();
        let all = edges::<T>();
        let exact = M::TRAITS.has(Traits::EXACT);
        for [a, b, c] in triples(&all) {
            let values = format!("{what} on {}: {a:?}, {b:?}, {c:?}", T::DTYPE);
            assert!(M::op(a, b).same(M::op(b, a)), "{values}: the order matters");
            if exact {
                assert!(M::op(M::op(a, b), c).same(M::op(a, M::op(b, c))), "{values}: does not associate");
            }
            if M::TRAITS.has(Traits::IDEMPOTENT) {
                assert!(M::op(a, a).same(a), "{values}: is not idempotent");
            }
            if M::TRAITS.has(Traits::SELECTIVE) {
                assert!(M::op(a, b).same(a) || M::op(a, b).same(b), "{values}: is not selective");
            }
            if let Some(terminal) = M::TERMINAL.filter(|_| !a.number().is_nan()) {
                assert!(
                    M::op(terminal, a).same(M::op(terminal, terminal)),
                    "{values}: goes on from the terminal"
                );
            }
        }
        for a in all {
            // Of the zeros of floats a sum makes one.
            let zero = M::op(M::ZERO, a);
            assert!(zero.same(a) || zero == a, "{what} on {}: zero and {a:?} are {zero:?}", T::DTYPE);
        }
        let mut runner = TestRunner::new(ProptestConfig { cases: 60, ..ProptestConfig::default() });
        let changes = prop::collection::vec(
            prop::collection::vec((any::<prop::sample::Index>(), any_value::<T>()), 1..20),
            1..6,
        );
        runner
            .run(&(prop::collection::vec(any_value::<T>(), 1..700), changes), |(mut values, changes)| {
                let mut tree = Tree::new::<M>(&values);
                prop_assert!(tree.root::<M>(&values).same(fold::<T, M>(&values)));
                for changes in changes {
                    let mut places: Vec<usize> = Vec::new();
                    for (at, value) in changes {
                        let place = at.index(values.len());
                        values[place] = value;
                        places.push(place);
                    }
                    places.sort_unstable();
                    let looked = tree.mend::<M>(&values, places.iter().copied(), T::same);
                    prop_assert!(looked <= places.len() * 3, "{looked} nodes for {} places", places.len());
                    prop_assert!(tree.root::<M>(&values).same(fold::<T, M>(&values)));
                    prop_assert!(tree.root::<M>(&values).same(Tree::new::<M>(&values).root::<M>(&values)));
                }
                Ok(())
            })
            .unwrap();
        assert!(fold::<T, M>(&[]).same(M::ZERO));
    }
}

#[test]
fn every_reduction_keeps_its_laws_and_its_tree() {
    let mut held = 0;
    for reducer in Reducer::all() {
        held += DType::FIXED.into_iter().filter(|dtype| reducer.with(*dtype, MonoidLaws).is_ok()).count();
    }
    assert_eq!(held, 4 * 12 + 3 * 9 + 2, "reductions on types");
}

#[test]
fn a_fold_of_integers_is_what_plain_arithmetic_says() {
    let values: Vec<i64> = (0..5000i64).map(|n| (n * 7919) % 1000 - 500).collect();
    for count in [0, 1, 2, 15, 16, 17, 255, 256, 257, 4095, 4097, 5000] {
        assert_eq!(fold::<i64, Plus>(&values[..count]), values[..count].iter().sum::<i64>());
    }
}

#[test]
fn a_change_that_changes_nothing_above_looks_no_further() {
    let mut values = vec![5i64; 16 * 16 * 16];
    values[0] = 1;
    let mut tree = Tree::new::<mmsb::algebra::operations::Min>(&values);
    values[777] = 3;
    // It changes its own node, and that changes the one above; the root has a smaller one.
    assert_eq!(tree.mend::<mmsb::algebra::operations::Min>(&values, [777], i64::same), 3);
    values[778] = 4;
    assert_eq!(tree.mend::<mmsb::algebra::operations::Min>(&values, [778], i64::same), 1);
}

#[test]
fn what_a_group_adds_it_takes_back() {
    fn group<T: Value, G: Group<T>>() {
        for a in edges::<T>() {
            assert!(G::op(a, G::inverse(a)).same(G::ZERO), "{a:?}");
        }
    }
    group::<i8, Plus>();
    group::<i64, Plus>();
    group::<u32, Plus>();
    group::<u64, Xor>();
    group::<Truth, Xor>();
}

/// Any byte but 0 is true, and 1 is written.
#[test]
fn a_truth_of_any_byte_is_true() {
    let odd: Truth = bytemuck::pod_read_unaligned(&[7]);
    assert!(odd.is_true() && odd == Truth::YES);
    assert!(<Boolean as Semiring<Truth>>::add(odd, Truth::NO).same(Truth::YES));
    assert!(<Boolean as Semiring<Truth>>::mul(odd, odd).same(Truth::YES));
}

/// The infinity of integers does not wrap, and annihilates.
#[test]
fn no_way_stays_no_way() {
    assert_eq!(<MinPlus as Semiring<i64>>::mul(i64::MAX, 1), i64::MAX);
    assert_eq!(<MinPlus as Semiring<i64>>::mul(i64::MAX, -5), i64::MAX);
    assert_eq!(<MinPlus as Semiring<i64>>::mul(i64::MAX - 1, 5), i64::MAX);
    assert_eq!(<MinPlus as Semiring<f64>>::mul(f64::INFINITY, f64::NEG_INFINITY), f64::INFINITY);
    assert_eq!(<MaxTimes as Semiring<f64>>::mul(0.0, f64::INFINITY), 0.0);
    assert!(
        <PlusTimes as Semiring<f64>>::mul(0.0, f64::INFINITY).is_nan(),
        "which is why it carries no infinity"
    );
    assert_eq!(<Counting as Semiring<u64>>::add(u64::MAX - 1, 5), u64::MAX);
    assert_eq!(<Counting as Semiring<u64>>::mul(u64::MAX, 0), 0);
}

#[test]
fn a_law_that_does_not_hold_is_told_with_its_values() {
    /// Subtraction for addition.
    struct Minus;
    impl Operations for Minus {
        type Value = i64;
        fn add(&self, a: &i64, b: &i64) -> i64 {
            a - b
        }
        fn mul(&self, a: &i64, b: &i64) -> i64 {
            a * b
        }
        fn zero(&self) -> i64 {
            0
        }
        fn one(&self) -> i64 {
            1
        }
    }
    impl Pair for Minus {
        fn same(&self, a: &i64, b: &i64) -> bool {
            a == b
        }
        fn size(&self, a: &i64) -> f64 {
            *a as f64
        }
        fn apart(&self, a: &i64, b: &i64) -> f64 {
            (a - b) as f64
        }
        fn rounding(&self) -> f64 {
            0.0
        }
        fn carries(&self, _: &i64) -> bool {
            true
        }
        fn absorbs(&self, _: &i64) -> bool {
            true
        }
    }
    let broken = check(&Minus, Traits::NONE, [[0, 0, 0], [1, 2, 3]]).unwrap_err();
    assert_eq!((broken.law, broken.values), (Law::AddAssociates, [1, 2, 3]));
    assert_eq!(
        broken.to_string(),
        "(a + b) + c = a + (b + c) does not hold: with a = 1, b = 2, c = 3 the left side is -4 and the right side 2"
    );
}

/// The table of GraphBLAS, row by row: no mask or one, its values or structure, complemented, replacing, accumulating, against
/// the rule in plain words.
#[test]
fn masks_accumulators_and_replacement_follow_the_table() {
    let (old, result) = ([1i64, 2, 3, 4, 5, 6], [10i64, 20, 30, 40, 50, 60]);
    let truths = [true, false, true, false, false, true].map(Truth::from);
    let mut rows = 0;
    for row in 0..32u32 {
        let bit = |n: u32| row >> n & 1 == 1;
        let (masked, structure, complement, replace, accumulate) = (bit(0), bit(1), bit(2), bit(3), bit(4));
        let mask = Mask { values: masked.then_some(&truths[..]), structure, complement, replace };
        let mut cells = old;
        write::<i64, Plus>(&mut cells, &result, mask, accumulate).unwrap();
        for i in 0..6 {
            let inside = !masked || structure || truths[i].is_true();
            let wanted = match (inside ^ complement, replace) {
                (true, _) if accumulate => old[i] + result[i],
                (true, _) => result[i],
                (false, true) => 0,
                (false, false) => old[i],
            };
            assert_eq!(cells[i], wanted, "row {row}, cell {i}");
        }
        rows += 1;
    }
    assert_eq!(rows, 32);
    let short = write::<i64, Plus>(&mut [1, 2], &[1], Mask::default(), false).unwrap_err();
    assert_eq!(short.to_string(), "'result' has 1 cells and needs 2");
    let mask = Mask { values: Some(&truths), ..Mask::default() };
    let short = write::<i64, Plus>(&mut [1, 2], &[1, 2], mask, false).unwrap_err();
    assert_eq!(short.to_string(), "'mask' has 6 cells and needs 2");
}
