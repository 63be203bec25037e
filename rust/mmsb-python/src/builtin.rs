//! Built-in rules as Python says them.

use mmsb::algebra::family::Family;
use mmsb::bus::error::{Code, Error};
use mmsb::bus::state::PageInfo;
use mmsb::page::dtype::DType;
use mmsb::page::schema::Kind;
use mmsb::propagation::closure::spec::{Closure, Starts};
use mmsb::propagation::expression::node::{Binary, Constant, Expression, Node, Unary};
use mmsb::propagation::expression::rule::Express;
use mmsb::propagation::product::spec::{Form, Product};
use mmsb::propagation::reduction::spec::{Over, Reduce, Reduction};
use mmsb::propagation::relation::filter::Filter;
use mmsb::propagation::relation::gather::Gather;
use mmsb::propagation::relation::join::Join;
use mmsb::propagation::relation::window::Window;
use mmsb::propagation::rule::What;
use numpy::{PyUntypedArray, PyUntypedArrayMethods};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyFloat, PyInt, PyTuple};

use crate::array::bytes;
use crate::dtype;
use crate::error::{Fault, Outcome};
use crate::numpy::numpy;

/// What a page is made by, as Python says it: a word, and what goes with that.
pub fn what(said: &Bound<'_, PyTuple>, inputs: &[PageInfo]) -> Outcome<What> {
    let word: String = said.get_item(0)?.extract()?;
    match word.as_str() {
        "express" => express(&said.get_item(1)?, inputs),
        "reduce" => reduce(said, inputs),
        "gather" => Ok(What::Gather(Gather { index: named(said, 1, inputs, 1)? })),
        "filter" => Ok(What::Filter(Filter { column: named(said, 1, inputs, 0)? })),
        "window" => window(said, inputs),
        "closure" => closure(said, inputs),
        "product" => product(said, inputs),
        "join" => Ok(What::Join(Join {
            left_key: named(said, 1, inputs, 0)?,
            right_key: named(said, 2, inputs, 1)?,
        })),
        _ => Err(Fault::invalid(format!("there is no rule {word:?}"))),
    }
}

fn wrong(error: &dyn std::fmt::Display) -> Fault {
    Fault::Face(Code::Rule, error.to_string())
}

/// The number of a column of an input, by its name; without one, of a page that has one.
fn column(inputs: &[PageInfo], input: usize, name: Option<&str>) -> Outcome<u16> {
    let page = inputs.get(input).ok_or_else(|| Fault::invalid(format!("there is no input {input}")))?;
    let has = || page.schema.columns().iter().map(|column| column.name()).collect::<Vec<_>>().join(", ");
    match name {
        None if page.schema.kind() != Kind::Table => Ok(0),
        None => Err(Fault::invalid(format!("page '{}' has columns: choose one of {}", page.name, has()))),
        Some(name) => page.schema.position(name).ok_or_else(|| {
            Fault::Core(Error::NoColumn { page: page.name.clone(), column: name.into(), has: has() })
        }),
    }
}

/// The number of a column of an input that is named at a place of what is said.
fn named(said: &Bound<'_, PyTuple>, at: usize, inputs: &[PageInfo], input: usize) -> Outcome<u16> {
    let name: Option<String> = said.get_item(at)?.extract()?;
    column(inputs, input, name.as_deref())
}

/// `("window", column, how, rows)`.
fn window(said: &Bound<'_, PyTuple>, inputs: &[PageInfo]) -> Outcome<What> {
    let (_, of, how, rows): (String, Option<String>, String, u64) = said.extract()?;
    let what = Reduction::named(&how).map_err(|error| wrong(&error))?;
    Ok(What::Window(Window { column: column(inputs, 0, of.as_deref())?, what, rows }))
}

/// `("product", semiring, form)`, where that is `("dense",)`, `("matrices",)` or `("csr", index, value)`.
fn product(said: &Bound<'_, PyTuple>, inputs: &[PageInfo]) -> Outcome<What> {
    let (_, family, form): (String, String, Vec<String>) = said.extract()?;
    let matrix = match form.as_slice() {
        [_, index, value] => {
            Form::Csr { index: column(inputs, 1, Some(index))?, value: column(inputs, 1, Some(value))? }
        }
        [word] if word == "matrices" => Form::DenseDense,
        _ => Form::Dense,
    };
    Ok(What::Product(Product { family: Family::named(&family).map_err(|error| wrong(&error))?, matrix }))
}

/// `("closure", semiring, source, target, weight, vertices, starts)`.
fn closure(said: &Bound<'_, PyTuple>, inputs: &[PageInfo]) -> Outcome<What> {
    let (_, family, source, target, weight, vertices, starts): (
        String,
        String,
        String,
        String,
        String,
        u64,
        Option<Vec<u64>>,
    ) = said.extract()?;
    let of = |name: &str| column(inputs, 0, Some(name));
    Ok(What::Closure(Closure {
        family: Family::named(&family).map_err(|error| wrong(&error))?,
        source: of(&source)?,
        target: of(&target)?,
        weight: of(&weight)?,
        vertices,
        starts: starts.map_or(Starts::All, Starts::List),
    }))
}

/// `("reduce", column, how, over)`, where that is `("whole",)`, `("rows",)`, `("inner", axis)` or `("key", column, groups)`.
fn reduce(said: &Bound<'_, PyTuple>, inputs: &[PageInfo]) -> Outcome<What> {
    let (_, of, how, over): (String, Option<String>, String, Bound<'_, PyTuple>) = said.extract()?;
    let over = match over.get_item(0)?.extract::<String>()?.as_str() {
        "whole" => Over::Whole,
        "rows" => Over::Rows,
        "inner" => Over::Inner(over.get_item(1)?.extract()?),
        _ => {
            let (_, key, groups): (String, Option<String>, u64) = over.extract()?;
            Over::Key { column: column(inputs, 0, key.as_deref())?, groups }
        }
    };
    let what = Reduction::named(&how).map_err(|error| wrong(&error))?;
    Ok(What::Reduce(Reduce { column: column(inputs, 0, of.as_deref())?, what, over }))
}

/// Columns, each with its name and nodes: see [`node`].
fn express(said: &Bound<'_, PyAny>, inputs: &[PageInfo]) -> Outcome<What> {
    let columns: Vec<(String, Vec<Bound<'_, PyTuple>>)> = said.extract()?;
    let outputs = columns.iter().map(|(name, nodes)| {
        let nodes = nodes.iter().map(|said| node(said, inputs)).collect::<Outcome<Vec<_>>>()?;
        Ok((name.clone(), Expression::new(nodes).map_err(|error| wrong(&error))?))
    });
    let outputs = outputs.collect::<Outcome<Vec<_>>>()?;
    Ok(What::Express(Express::new(outputs).map_err(|error| wrong(&error))?))
}

/// A node: `("column", input, name)`, `("value", value)`, `("cast", dtype, a)`, `("where", a, b, c)`, or an operation's name
/// and its operands, which are numbers of earlier nodes.
fn node(said: &Bound<'_, PyTuple>, inputs: &[PageInfo]) -> Outcome<Node> {
    let word: String = said.get_item(0)?.extract()?;
    let operand = |i: usize| -> Outcome<u32> { Ok(said.get_item(i)?.extract()?) };
    match word.as_str() {
        "column" => {
            let (_, input, name): (String, u16, Option<String>) = said.extract()?;
            Ok(Node::Column { input, column: column(inputs, input.into(), name.as_deref())? })
        }
        "value" => Ok(Node::Constant(value(&said.get_item(1)?)?)),
        "cast" => Ok(Node::Cast(dtype::parse(&said.get_item(1)?)?.0, operand(2)?)),
        "where" => Ok(Node::Where(operand(1)?, operand(2)?, operand(3)?)),
        name => match (Unary::named(name), Binary::named(name)) {
            (Some(op), _) => Ok(Node::Unary(op, operand(1)?)),
            (_, Some(op)) => Ok(Node::Binary(op, operand(1)?, operand(2)?)),
            _ => Err(Fault::invalid(format!("there is no operation {name:?} on cells"))),
        },
    }
}

/// A number of Python's, or of numpy's.
fn value(given: &Bound<'_, PyAny>) -> Outcome<Constant> {
    if let Ok(is) = given.cast::<PyBool>() {
        return Ok(Constant::bool(is.is_true()));
    }
    if given.is_exact_instance_of::<PyInt>() {
        return given
            .extract()
            .map(Constant::Int)
            .map_err(|_| Fault::Face(Code::ValueRange, format!("{given} does not fit 128 bits")));
    }
    if given.is_exact_instance_of::<PyFloat>() {
        return Ok(Constant::float(given.extract()?));
    }
    let array = numpy(given.py()).asarray(given)?;
    let shown = || given.repr().map_or_else(|_| "?".into(), |shown| shown.to_string());
    let (dtype, inner) = dtype::parse(array.dtype().as_any())?;
    if array.ndim() != 0 || !inner.is_empty() || matches!(dtype, DType::Bytes(_)) {
        return Err(Fault::dtype(format!(
            "{} is no number: an expression takes pages, columns and numbers",
            shown()
        )));
    }
    let mut word = [0; 8];
    let cell = cell_of(&array);
    word[..cell.len()].copy_from_slice(&cell);
    Ok(Constant::Cell(dtype, u64::from_le_bytes(word)))
}

fn cell_of(array: &Bound<'_, PyUntypedArray>) -> Vec<u8> {
    bytes(array).unwrap_or_default().to_vec()
}
