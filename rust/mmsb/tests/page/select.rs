//! Selections against a plain model: the list of selected cells, made one by one.

use mmsb::page::dtype::DType;
use mmsb::page::error::PageError;
use mmsb::page::schema::Column;
use mmsb::page::select::{Axis, Inner, Rows, Run, Select};
use proptest::prelude::*;
use std::sync::Arc;

fn column(inner: &[u64]) -> Column {
    Column::new("c", DType::U16, inner.to_vec()).expect("a valid column")
}

fn indices(axis: Axis) -> Vec<u64> {
    (axis.start..axis.stop).step_by(usize::try_from(axis.step).unwrap_or(usize::MAX)).collect()
}

fn rows_of(rows: &Rows) -> Vec<u64> {
    match *rows {
        Rows::Range { start, stop, step } => indices(Axis { start, stop, step }),
        Rows::Index(ref list) => list.to_vec(),
    }
}

/// Every cell selected, in order.
fn model(select: &Select, column: &Column) -> Vec<u64> {
    match select {
        Select::Cells(list) => list.to_vec(),
        Select::Rows { rows, inner } => {
            let whole = Inner(column.inner().iter().map(|&stop| Axis { start: 0, stop, step: 1 }).collect());
            let mut places = vec![0];
            for (axis, &size) in inner.as_ref().unwrap_or(&whole).0.iter().zip(column.inner()) {
                places = places
                    .iter()
                    .flat_map(|place| indices(*axis).into_iter().map(move |index| place * size + index))
                    .collect();
            }
            let row = column.cells_per_row();
            rows_of(rows)
                .iter()
                .flat_map(|index| places.iter().map(move |place| index * row + place))
                .collect()
        }
    }
}

fn axis(size: u64) -> impl Strategy<Value = Axis> {
    (0..=size, 0..=size, prop_oneof![4 => Just(1), 3 => 1..5u64, 1 => Just(u64::MAX)])
        .prop_map(|(a, b, step)| Axis { start: a.min(b), stop: a.max(b), step })
}

fn rows(count: u64) -> impl Strategy<Value = Rows> {
    prop_oneof![
        axis(count).prop_map(|Axis { start, stop, step }| Rows::Range { start, stop, step }),
        prop::collection::vec(0..count, 0..12).prop_map(|list| Rows::Index(Arc::new(list))),
        prop::collection::btree_set(0..count, 0..12)
            .prop_map(|list| Rows::Index(Arc::new(list.into_iter().collect()))),
    ]
}

fn select(count: u64, dims: Vec<u64>) -> impl Strategy<Value = Select> {
    let cells = count * dims.iter().product::<u64>();
    let inner = dims.into_iter().map(axis).collect::<Vec<_>>();
    prop_oneof![
        4 => (rows(count), prop::option::of(inner))
            .prop_map(|(rows, inner)| Select::Rows { rows, inner: inner.map(Inner) }),
        1 => prop::collection::vec(0..cells, 0..20).prop_map(|list| Select::Cells(Arc::new(list))),
    ]
}

/// Rows, inner shape, two selections.
fn two() -> impl Strategy<Value = (u64, Vec<u64>, Select, Select)> {
    (1..30u64, prop::collection::vec(1..6u64, 0..4)).prop_flat_map(|(count, dims)| {
        (Just(count), Just(dims.clone()), select(count, dims.clone()), select(count, dims))
    })
}

fn runs(select: &Select, column: &Column) -> Vec<Run> {
    let mut runs = Vec::new();
    select.runs(column, |run| runs.push(run));
    runs
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn runs_are_the_cells_in_order_and_as_long_as_can_be((count, dims, select, _) in two()) {
        let column = column(&dims);
        prop_assert_eq!(select.check(&column, count), Ok(()));
        let cells = model(&select, &column);
        prop_assert_eq!(select.cells(&column), cells.len() as u64);
        let runs = runs(&select, &column);
        let flat: Vec<u64> = runs.iter().flat_map(|run| run.cell..run.cell + run.cells).collect();
        prop_assert_eq!(flat, cells);
        let mut source = 0;
        for (place, run) in runs.iter().enumerate() {
            prop_assert!(run.cells > 0);
            prop_assert_eq!(run.source, source);
            source += run.cells;
            if place > 0 {
                prop_assert_ne!(runs[place - 1].cell + runs[place - 1].cells, run.cell, "two runs could be one");
            }
        }
    }

    #[test]
    fn bounds_and_rows_touched((_, dims, select, _) in two()) {
        let column = column(&dims);
        let mut rows: Vec<u64> = model(&select, &column).iter().map(|cell| cell / column.cells_per_row()).collect();
        rows.dedup();
        let touched: Vec<u64> = select.rows_touched(&column).collect();
        prop_assert_eq!(&touched, &rows);
        let bounds = rows.iter().min().copied().zip(rows.iter().max().copied());
        prop_assert_eq!(select.bounds(&column), bounds);
    }

    #[test]
    fn overlap_is_exact((_, dims, ours, theirs) in two()) {
        let column = column(&dims);
        let cells = model(&theirs, &column);
        let wanted = model(&ours, &column).iter().any(|cell| cells.contains(cell));
        prop_assert_eq!(ours.overlaps(&theirs, &column), wanted);
        prop_assert_eq!(theirs.overlaps(&ours, &column), wanted);
    }

    #[test]
    fn far_apart_progressions(starts in (0..1u64 << 20, 0..1u64 << 20), steps in (1..200u64, 1..200u64), counts in (1..90u64, 1..90u64)) {
        let range = |start, step, count| Select::Rows {
            rows: Rows::Range { start, stop: start + step * (count - 1) + 1, step },
            inner: None,
        };
        let start = starts.0.max(starts.1) - starts.0.min(starts.1) % 4000;
        let (a, b) = (range(starts.0.max(starts.1), steps.0, counts.0), range(start, steps.1, counts.1));
        let column = column(&[]);
        let cells: std::collections::HashSet<u64> = model(&a, &column).into_iter().collect();
        let wanted = model(&b, &column).iter().any(|cell| cells.contains(cell));
        prop_assert_eq!(a.overlaps(&b, &column), wanted);
    }

    #[test]
    fn one_past_the_end_is_refused((count, dims, select, _) in two(), past in 0..3u64) {
        let column = column(&dims);
        let index = count + past;
        let rows = Select::Rows { rows: Rows::Index(Arc::new(vec![0, index, index + 1])), inner: None };
        let refused = matches!(rows.check(&column, count), Err(PageError::IndexOutOfRange { index: i, .. }) if i == index);
        prop_assert!(refused);
        prop_assert!(Select::range(0, index + 1).check(&column, count).is_err());
        let cell = count * column.cells_per_row() + past;
        prop_assert!(Select::Cells(Arc::new(vec![cell])).check(&column, count).is_err());
        if let Select::Rows { rows, inner: Some(Inner(mut axes)) } = select {
            axes.push(Axis { start: 0, stop: 1, step: 1 });
            let extra = Select::Rows { rows: rows.clone(), inner: Some(Inner(axes.clone())) };
            let refused = matches!(extra.check(&column, count), Err(PageError::BadSelection { .. }));
            prop_assert!(refused);
            axes.pop();
            if let Some(axis) = axes.last_mut() {
                axis.stop = dims[dims.len() - 1] + 1;
                let wide = Select::Rows { rows, inner: Some(Inner(axes)) };
                let refused = matches!(wide.check(&column, count), Err(PageError::IndexOutOfRange { .. }));
                prop_assert!(refused);
            }
        }
    }
}

#[test]
fn no_selection_is_too_strange() {
    let column = column(&[4]);
    let range = |start, stop, step| Select::Rows { rows: Rows::Range { start, stop, step }, inner: None };
    assert!(range(0, 5, 0).check(&column, 10).is_err());
    assert!(range(5, 4, 1).check(&column, 10).is_err());
    assert_eq!(range(10, 10, 1).check(&column, 10), Ok(()));
    assert_eq!(range(0, 0, 1).check(&column, 0), Ok(()));
    assert_eq!(range(0, 0, 1).bounds(&column), None);
    assert!(!range(0, 0, 1).overlaps(&range(0, 10, 1), &column));
    let message =
        Select::indices(vec![3, 17]).check(&column, 10).expect_err("17 is past the end").to_string();
    assert_eq!(message, "index 17 is out of range for rows of size 10");
}

#[test]
fn a_whole_page_is_one_run_however_it_is_said() {
    let column = column(&[4, 3]);
    let whole = Inner(vec![Axis { start: 0, stop: 4, step: 1 }, Axis { start: 0, stop: 3, step: 1 }]);
    let one = vec![Run { cell: 0, cells: 1200, source: 0 }];
    assert_eq!(runs(&Select::range(0, 100), &column), one);
    let boxed = Select::Rows { rows: Rows::Range { start: 0, stop: 100, step: 1 }, inner: Some(whole) };
    assert_eq!(runs(&boxed, &column), one);
    assert_eq!(runs(&Select::indices((0..100).collect()), &column), one);
}
