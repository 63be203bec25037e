//! What a new page is made of, as Python hands it in.

use mmsb::bus::handle::Bus;
use mmsb::page::operator::OperatorId;
use mmsb::page::schema::{Column, Kind, Schema};
use pyo3::prelude::*;

use crate::dtype;
use crate::error::Outcome;

/// A column: its name, its dtype and its inner shape.
pub type Given<'py> = (String, Bound<'py, PyAny>, Vec<u64>);

/// The schema of this kind, these columns and this operator.
pub fn schema(bus: &Bus, kind: &str, columns: Vec<Given<'_>>, op: Option<&str>) -> Outcome<Schema> {
    let op: Option<OperatorId> =
        op.map(|op| bus.operators().named(op).map(|found| found.id())).transpose()?;
    let kind = match kind {
        "table" => Kind::Table,
        "raw" => Kind::Raw,
        "scalar" => Kind::Array { scalar: true },
        _ => Kind::Array { scalar: false },
    };
    let mut made = Vec::with_capacity(columns.len());
    for (column, given, mut inner) in columns {
        let (dtype, sub) = dtype::parse(&given).map_err(|fault| match kind {
            Kind::Table => fault.about(&format!("column '{column}'")),
            _ => fault,
        })?;
        inner.extend(sub);
        made.push(Column::new(column, dtype, inner)?);
    }
    // A page's operator must mean something on one of its columns; merging into another is refused when it is tried.
    if let (Some(op), Some(first)) = (op, made.first()) {
        let works = |column: &Column| bus.operators().on(op, column.dtype()).is_ok();
        if !made.iter().any(works) {
            bus.operators().on(op, first.dtype())?;
        }
    }
    Ok(Schema::new(kind, made, op)?)
}
