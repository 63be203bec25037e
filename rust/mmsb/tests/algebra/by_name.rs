//! Semirings and monoids by name: what they are told to be, folds, masked writes and circuits on the bytes of cells.

use std::collections::BTreeSet;

use mmsb::algebra::by_name;
use mmsb::algebra::circuit::{Circuit, Gate};
use mmsb::algebra::error::AlgebraError;
use mmsb::algebra::family::{Family, Reducer};
use mmsb::algebra::fold::fold;
use mmsb::algebra::ladder::Traits;
use mmsb::algebra::law::Law;
use mmsb::algebra::mask::Mask;
use mmsb::algebra::operations::Plus;
use mmsb::algebra::value::Truth;
use mmsb::page::dtype::DType;

fn bytes<T: bytemuck::NoUninit>(values: &[T]) -> &[u8] {
    bytemuck::cast_slice(values)
}

#[test]
fn they_are_told_as_they_are() {
    let ways = by_name::semiring(Family::MinPlus, DType::F64).unwrap();
    assert_eq!((&*ways.zero, &*ways.one), (bytes(&[f64::INFINITY]), bytes(&[0.0f64])));
    assert!(ways.traits.has(Traits::ABSORPTIVE));
    let least = by_name::monoid(Reducer::Min, DType::U8).unwrap();
    assert_eq!(least.identity, [255]);
    assert!(by_name::semiring(Family::Counting, DType::I8).is_err());
    assert!(by_name::monoid(Reducer::Xor, DType::F32).is_err());
    assert_eq!(Family::MinPlus.operations(), ("min", "plus"));
}

#[test]
fn each_law_has_a_name_and_a_formula() {
    let all: Vec<Law> = Law::of(Traits::ABSORPTIVE.and(Traits::COMMUTATIVE)).collect();
    assert_eq!(all.len(), Law::EVERY.len() + 2);
    let every = Law::EVERY.into_iter().chain(Law::BEYOND.into_iter().map(|(_, law)| law));
    let laws: Vec<Law> = every.collect();
    let names: BTreeSet<_> = laws.iter().map(|law| (law.name(), law.formula())).collect();
    assert_eq!(names.len(), laws.len() - 1, "two traits promise that one of both is chosen");
}

#[test]
fn rows_are_folded_each_alone() {
    let values: Vec<f64> = (0..60).map(|n| 1.0 / f64::from(n + 1)).collect();
    let mut out = [0.0f64; 3];
    let which = (Reducer::Sum, DType::F64);
    by_name::fold_rows(which, bytes(&values), 20, bytemuck::cast_slice_mut(&mut out)).unwrap();
    let wanted: Vec<f64> = values.chunks(20).map(fold::<f64, Plus>).collect();
    assert_eq!(out.as_slice(), wanted);
    let wrong = by_name::fold_rows(which, bytes(&values), 21, bytemuck::cast_slice_mut(&mut out));
    assert_eq!(wrong, Err(AlgebraError::Length { what: "values", cells: 60, wanted: 63 }));
    by_name::fold_rows(which, &[], 5, &mut []).unwrap();
}

#[test]
fn masks_write_on_bytes() {
    let (mut cells, mask) = ([1i32, 2, 3], [Truth::YES, Truth::NO, Truth::YES]);
    let mask = Mask { values: Some(&mask), replace: true, ..Mask::default() };
    let which = (Reducer::Max, DType::I32);
    by_name::write(which, bytemuck::cast_slice_mut(&mut cells), bytes(&[2i32, 9, 2]), mask, true).unwrap();
    assert_eq!(cells, [2, i32::MIN, 3]);
}

#[test]
fn circuits_are_worked_out_by_name() {
    let mut circuit = Circuit::default();
    let (a, b) = (circuit.variable(0), circuit.variable(1));
    let both = circuit.times(a, b);
    let node = circuit.plus(both, b);
    assert_eq!(circuit.numbered(node.number()), Some(node));
    assert_eq!(circuit.numbered(99), None);
    let gates: Vec<Gate> = circuit.gates(&[both]).map(|(_, gate)| gate).collect();
    assert_eq!(gates, [Gate::Variable(0), Gate::Variable(1), Gate::Times(a, b)]);
    let mut out = [0i64; 2];
    let which = (Family::MinPlus, DType::I64);
    let cells = bytemuck::cast_slice_mut(&mut out);
    by_name::evaluate(&circuit, &[node, both], which, bytes(&[3i64, 4]), cells).unwrap();
    assert_eq!(out, [4, 7]);
    let short =
        by_name::evaluate(&circuit, &[node], which, bytes(&[3i64]), bytemuck::cast_slice_mut(&mut out));
    assert_eq!(short, Err(AlgebraError::Length { what: "values", cells: 1, wanted: 2 }));
    let few =
        by_name::evaluate(&circuit, &[node], which, bytes(&[3i64, 4]), bytemuck::cast_slice_mut(&mut out));
    assert_eq!(few, Err(AlgebraError::Length { what: "out", cells: 2, wanted: 1 }));
}
