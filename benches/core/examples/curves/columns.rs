//! Columns of a table, 1 to 1,024, of 1,024 rows of float64 each.

use std::borrow::Cow;

use mmsb::bus::options::Note;
use mmsb::page::delta::{Data, Delta, Part};
use mmsb::page::dtype::DType;
use mmsb::page::operator::OperatorId;
use mmsb::page::schema::{Column, Kind, Schema};
use mmsb::page::select::Select;
use mmsb_benches::{place, quiet};

use crate::measure::{Point, Scale, resident, used};

const ROWS: u64 = 1024;

pub fn xs(scale: &Scale) -> Vec<u64> {
    scale.powers(1, 2, 256, 1024)
}

pub fn run(point: &Point) {
    let (note, bus, columns) = (Note::default(), quiet(point.dir()).unwrap(), point.x as u16);
    let names = (0..columns).map(|n| Column::new(format!("column {n}"), DType::F64, vec![]).unwrap());
    let schema = Schema::new(Kind::Table, names.collect(), None).unwrap();
    let part = |column: u16, row: u64, data: Vec<u8>| Part {
        column,
        select: Select::range(row, row + data.len() as u64 / 8),
        data: Data::Dense(Cow::Owned(data)),
    };
    let (before, empty) = (resident(), used(&bus));
    let id = bus.create_page("table", schema.clone(), ROWS, &note).unwrap();
    let write = |parts: Vec<Part<'static>>| {
        bus.write(Delta { parts, ..Delta::single(id, OperatorId::ASSIGN, part(0, 0, vec![1; 8])) }, &note)
            .unwrap();
    };
    write((0..columns).map(|column| part(column, 0, vec![1; ROWS as usize * 8])).collect());
    point.bytes("memory in use for a column", (used(&bus) - empty) / point.x as f64);
    point.bytes("memory resident for a column", (resident() - before) / point.x as f64);
    let state = bus.state().unwrap();
    point.time("view of one column", |n| {
        drop(state.view(id, place(n, point.x) as usize, None).unwrap());
    });
    drop(state);
    point.time("commit of 8 rows of one column", |n| {
        write(vec![part(place(n, point.x) as u16, place(n, 128) * 8, vec![n as u8; 64])]);
    });
    point.time("commit of one row of all columns", |n| {
        write((0..columns).map(|column| part(column, place(n, ROWS), vec![n as u8; 8])).collect());
    });
    point.time_at_most("one more such page created", 256, |n| {
        bus.create_page(&n.to_string(), schema.clone(), ROWS, &note).unwrap()
    });
}
