//! What the forms of a loop take that wide instructions have, each beside the others: `make bench-wide`.
//!
//! The figures and what follows from them are in `docs/decisions/0010-wide-instructions.md`.
#![allow(clippy::unwrap_used, missing_docs)]

use std::borrow::Cow;
use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use mmsb::algebra::operator::Builtin;
use mmsb::base::crc::crc32c;
use mmsb::base::wide::Wide;
use mmsb::page::compare::changed_runs_with;
use mmsb::page::delta::{Data, Part, read};
use mmsb::page::dtype::DType;
use mmsb::page::operator::Merge;
use mmsb::page::schema::Column;
use mmsb::page::select::{Rows, Select};
use mmsb_benches::{measure, place};

fn compare(c: &mut Criterion) {
    for (name, bytes) in [("4 KiB", 4096), ("1 MiB", 1 << 20)] {
        let old = vec![1u8; bytes];
        let mut new = old.clone();
        (0..bytes / 4096).for_each(|i| new[place(i as u64, bytes as u64) as usize] = 2);
        let (same, workload) = (old.clone(), format!("{name}, one byte of 4096 new"));
        for wide in Wide::all() {
            measure(c, "compare", &workload, &format!("{:?}", wide.set()), |_| {
                let mut runs = 0;
                changed_runs_with(wide, black_box(&old), black_box(&new), (4, 1), |_, _| runs += 1);
                runs
            });
        }
        measure(c, "compare", &workload, "limit: memcmp of as many equal bytes", |_| {
            black_box(&old) == black_box(&same)
        });
    }
}

fn merges(c: &mut Criterion) {
    let kinds = [
        (Builtin::Add, DType::F32),
        (Builtin::Add, DType::I64),
        (Builtin::Add, DType::U8),
        (Builtin::Min, DType::F32),
        (Builtin::Min, DType::F64),
        (Builtin::Max, DType::I64),
        (Builtin::Max, DType::I8),
        (Builtin::Mul, DType::I32),
        (Builtin::Mul, DType::I64),
        (Builtin::Xor, DType::U64),
        (Builtin::Add, DType::F16),
    ];
    for (op, dtype) in kinds {
        for bytes in [128, 4096] {
            let (mut dst, src) = (vec![1u8; bytes], vec![2u8; bytes]);
            for wide in Wide::all() {
                let workload = format!("{} of {dtype}, {bytes} B", op.name());
                measure(c, "merge", &workload, &format!("{:?}", wide.set()), |_| {
                    op.apply_with(wide, dtype, black_box(&mut dst), black_box(&src));
                });
            }
        }
    }
}

/// 1024 cells of 65,536 as they were listed: all over, ascending and dense, every second.
fn lists() -> [(&'static str, Select); 3] {
    let all_over = (0..1024).map(|i| place(i, 1 << 16)).collect();
    let rising = (0..1024).map(|i| 7 + 3 * i / 2).collect();
    let every_second = Rows::Range { start: 7, stop: 7 + 2048, step: 2 };
    [
        ("all over", Select::indices(all_over)),
        ("two of three", Select::indices(rising)),
        ("every second", Select::Rows { rows: every_second, inner: None }),
    ]
}

/// The cells of a selection, one by one.
fn cells(select: &Select) -> Vec<usize> {
    let column = Column::new("cells", DType::U8, vec![]).unwrap();
    let mut cells = vec![];
    select.runs(&column, |run| cells.extend((run.cell..run.cell + run.cells).map(|cell| cell as usize)));
    cells
}

fn listed(c: &mut Criterion) {
    for dtype in [DType::F32, DType::F64] {
        let (size, column) = (dtype.size(), Column::new("cells", dtype, vec![]).unwrap());
        let (mut memory, data) = (vec![1u8; size << 16], vec![2; 1024 * size]);
        for (name, select) in lists() {
            let (cells, workload) = (cells(&select), format!("1024 cells of {dtype}, {name}"));
            let mut out = vec![0; 1024 * size];
            measure(c, "gather", &workload, "mmsb", |_| {
                read(black_box(&select), &column, memory.as_slice(), black_box(&mut out));
            });
            measure(c, "gather", &workload, "rival: a memcpy for each", |_| {
                for (&cell, out) in black_box(&cells).iter().zip(out.chunks_exact_mut(size)) {
                    out.copy_from_slice(&memory[cell * size..][..size]);
                }
            });
            let part = Part { column: 0, select, data: Data::Dense(Cow::Borrowed(&data)) };
            measure(c, "scatter", &workload, "mmsb", |_| part.apply(&column, None, memory.as_mut_slice()));
            measure(c, "scatter", &workload, "rival: a memcpy for each", |_| {
                for (&cell, data) in black_box(&cells).iter().zip(data.chunks_exact(size)) {
                    memory[cell * size..][..size].copy_from_slice(data);
                }
            });
            let op: &dyn Merge = black_box(&Builtin::Add);
            measure(c, "scatter add", &workload, "mmsb", |_| {
                part.apply(&column, Some(op), memory.as_mut_slice());
            });
            measure(c, "scatter add", &workload, "rival: a call of the operator for each", |_| {
                for (&cell, data) in black_box(&cells).iter().zip(data.chunks_exact(size)) {
                    op.apply(dtype, &mut memory[cell * size..][..size], data);
                }
            });
        }
    }
}

fn checksums(c: &mut Criterion) {
    for bytes in [64, 256, 320, 1008, 4096, 65_536] {
        let data = vec![3u8; bytes];
        measure(c, "crc32c", &format!("{bytes} B"), "mmsb", |_| crc32c(black_box(&data)));
    }
}

criterion_group!(
    name = benches;
    config = Criterion::default().warm_up_time(Duration::from_millis(100)).measurement_time(Duration::from_millis(400));
    targets = compare, merges, listed, checksums
);
criterion_main!(benches);
