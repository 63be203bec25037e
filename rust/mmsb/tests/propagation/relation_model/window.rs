//! What windows come to, cell by cell.

use super::{Table, VALUE};
use half::f16;
use mmsb::page::dtype::DType;
use mmsb::page::schema::{Column, Schema};
use mmsb::propagation::reduction::spec::Reduction;
use mmsb::propagation::relation::window::Window;

/// The windows of a column.
pub fn made(source: &Table, window: &Window) -> Table {
    let column: &Column = &source.schema.columns()[usize::from(window.column)];
    let dtype = window.what.gives(column.dtype()).unwrap();
    let mut made =
        Table::new(Schema::array(dtype, column.inner().to_vec(), false, None).unwrap(), source.rows);
    let (size, lanes) = (column.dtype().size(), column.cells_per_row() as usize);
    let cells = |row: u64, lane: usize| &source.row(usize::from(window.column), row)[lane * size..][..size];
    for row in 0..source.rows {
        let first = (row + 1).saturating_sub(window.rows);
        let block = row - row % window.rows;
        let mut out = Vec::new();
        for lane in 0..lanes {
            let list: Vec<Cell> = (first..=row).map(|at| Cell::of(column.dtype(), cells(at, lane))).collect();
            let split = block.saturating_sub(first) as usize;
            out.extend_from_slice(&reduced(window.what, column.dtype(), &list, split)[..dtype.size()]);
        }
        made.set(0, row, &out);
    }
    assert!(window.column >= VALUE);
    made
}

#[derive(Debug, Clone, Copy)]
enum Cell {
    Int(i128),
    Float(f64),
}

impl Cell {
    fn of(dtype: DType, bytes: &[u8]) -> Self {
        macro_rules! int {
            ($type:ty) => {
                Self::Int(<$type>::from_le_bytes(bytes.try_into().unwrap()).into())
            };
        }
        match dtype {
            DType::Bool => Self::Int((bytes[0] != 0).into()),
            DType::I8 => int!(i8),
            DType::I32 => int!(i32),
            DType::I64 => int!(i64),
            DType::U16 => int!(u16),
            DType::U64 => int!(u64),
            DType::F16 => Self::Float(f16::from_le_bytes(bytes.try_into().unwrap()).into()),
            DType::F32 => Self::Float(f32::from_le_bytes(bytes.try_into().unwrap()).into()),
            DType::F64 => Self::Float(f64::from_le_bytes(bytes.try_into().unwrap())),
            other => unreachable!("{other} is not made here"),
        }
    }

    fn float(self) -> f64 {
        match self {
            Self::Int(int) => int as f64,
            Self::Float(float) => float,
        }
    }
}

/// The last block of the window from its end backwards, the one it ends in forwards, then both.
fn added(list: &[Cell], split: usize) -> f64 {
    let (behind, front) = list.split_at(split);
    let front = front.iter().fold(0.0, |sum, cell| sum + cell.float());
    match behind.split_last() {
        None => front,
        Some((last, rest)) => rest.iter().rev().fold(last.float(), |sum, cell| cell.float() + sum) + front,
    }
}

fn reduced(what: Reduction, dtype: DType, list: &[Cell], split: usize) -> Vec<u8> {
    let ints = || {
        list.iter().map(|cell| match cell {
            Cell::Int(int) => *int,
            Cell::Float(_) => unreachable!("floats are added elsewhere"),
        })
    };
    let float = |value: f64| {
        let value = if value.is_nan() { f64::NAN } else { value };
        match dtype {
            DType::F16 if value.is_nan() => f16::NAN.to_le_bytes().to_vec(),
            DType::F16 => f16::from_f32(value as f32).to_le_bytes().to_vec(),
            DType::F32 if value.is_nan() => f32::NAN.to_le_bytes().to_vec(),
            DType::F32 => (value as f32).to_le_bytes().to_vec(),
            _ => value.to_le_bytes().to_vec(),
        }
    };
    let most = what == Reduction::Max;
    match what {
        Reduction::Count => {
            let count = list.iter().filter(|cell| !cell.float().is_nan()).count();
            (count as i64).to_le_bytes().to_vec()
        }
        Reduction::Sum if dtype.is_float() => float(added(list, split) + 0.0),
        Reduction::Mean if dtype.is_float() => float((added(list, split) + 0.0) / list.len() as f64),
        Reduction::Sum => (ints().sum::<i128>() as u64).to_le_bytes().to_vec(),
        Reduction::Mean => (ints().sum::<i128>() as f64 / list.len() as f64).to_le_bytes().to_vec(),
        _ if dtype.is_float() => {
            let floats: Vec<f64> = list.iter().map(|cell| cell.float()).collect();
            if floats.iter().any(|float| float.is_nan()) {
                return float(f64::NAN);
            }
            let best =
                floats.into_iter().reduce(|a, b| if (a.total_cmp(&b).is_lt()) == most { b } else { a });
            float(best.unwrap())
        }
        _ => {
            let best = if most { ints().max() } else { ints().min() };
            (best.unwrap() as u64).to_le_bytes().to_vec()
        }
    }
}
