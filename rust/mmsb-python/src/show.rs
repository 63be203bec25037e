//! How things show themselves: a line that says what one would ask next.

use mmsb::bus::error::Code;
use mmsb::page::operator::OperatorId;
use mmsb::page::schema::Kind;
use pyo3::prelude::*;

use crate::error::{Fault, Outcome};
use crate::sheet::Sheet;

/// Bytes as people say them: `11.7 KiB`.
pub fn bytes(count: u64) -> String {
    let mut size = count as f64;
    for unit in ["B", "KiB", "MiB", "GiB"] {
        if size < 1024.0 {
            return if unit == "B" { format!("{count} B") } else { format!("{size:.1} {unit}") };
        }
        size /= 1024.0;
    }
    format!("{size:.1} TiB")
}

/// Text on one line: characters that control a terminal or turn the line round are written out, as Python does.
pub fn legible(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' => line.push_str("\\n"),
            '\r' => line.push_str("\\r"),
            '\t' => line.push_str("\\t"),
            c if c.is_control() => line.push_str(&format!("\\x{:02x}", u32::from(c))),
            '\u{061c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
                line.push_str(&format!("\\u{:04x}", u32::from(c)));
            }
            c => line.push(c),
        }
    }
    line
}

/// A number with its noun: `1 view`, `2 views`.
pub fn plural(count: u64, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}

/// An operator of which only the number is at hand.
pub fn operator(id: OperatorId) -> String {
    mmsb::algebra::operator::Builtin::from_id(id)
        .map_or_else(|| id.to_string(), |found| mmsb::page::operator::Merge::name(&found).to_owned())
}

/// What a page is made of: `float32[1000, 3]`.
pub fn makeup(sheet: &Sheet, rows: u64) -> String {
    let columns = sheet.schema.columns();
    match sheet.schema.kind() {
        Kind::Array { scalar: true } => columns[0].dtype().to_string(),
        Kind::Table => format!("{rows} rows x {}", plural(columns.len() as u64, "column")),
        Kind::Array { .. } | Kind::Raw => {
            let inner: String = columns[0].inner().iter().map(|size| format!(", {size}")).collect();
            format!("{}[{rows}{inner}]", columns[0].dtype())
        }
    }
}

/// A page in one line.
pub fn page(py: Python<'_>, sheet: &Sheet) -> String {
    legible(&match sheet.version(py) {
        Ok((version, rows)) => {
            let views = plural(sheet.holders() as u64, "view");
            let size = bytes(rows * sheet.schema.row_bytes());
            format!("<Page '{}' {} at epoch {}, {size}, {views}>", sheet.name, makeup(sheet, rows), version.0)
        }
        Err(fault) => format!("<Page '{}' ({})>", sheet.name, PyErr::from(fault).value(py)),
    })
}

/// A count handed in: an integer of any kind, not negative.
pub fn count(given: &Bound<'_, PyAny>, what: &str) -> Outcome<u64> {
    let wrong = |why: &str| Fault::Face(Code::Shape, format!("{what} {given}: {why}"));
    let number: i128 = given.extract().map_err(|_| wrong("not an integer"))?;
    if number < 0 {
        return Err(wrong("negative"));
    }
    u64::try_from(number).map_err(|_| wrong("larger than any page"))
}
