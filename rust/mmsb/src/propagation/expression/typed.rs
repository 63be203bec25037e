//! An expression whose types were found for the inputs it is to have.

use std::collections::HashMap;

use crate::page::dtype::DType;
use crate::propagation::error::RuleError;
use crate::propagation::expression::RULE;
use crate::propagation::expression::evaluate::{Machine, Source};
use crate::propagation::expression::lower::lower;
use crate::propagation::expression::node::{Expression, Node};
use crate::propagation::expression::program::{Program, Read};
use crate::propagation::kernel::Shape;
use crate::propagation::runs::Run;

/// An expression whose types were found for the inputs it is to have.
#[derive(Clone, Debug)]
pub struct Typed {
    program: Program,
    dtype: DType,
    inner: Vec<u64>,
}

impl Expression {
    /// Finds its types. Inputs of one row are as if they had that row as often as the others have rows; a row of one cell
    /// is as if it had that cell as often as the rows it meets have.
    ///
    /// # Errors
    /// [`RuleError::Inputs`] for an input that is not there; [`RuleError::WrongType`] for a column of byte strings;
    /// [`RuleError::Unfit`] for a column that is not there, rows that do not fit together, an operation on types that it is
    /// not for, and a python int that does not fit the type of what it meets.
    pub fn typed(&self, inputs: &[Shape<'_>]) -> Result<Typed, RuleError> {
        Typed::new(self, inputs, rows(&[self], inputs)?)
    }
}

/// The rows that columns of all these expressions have together.
///
/// # Errors
/// As [`Expression::typed`], of columns and rows.
pub(super) fn rows(expressions: &[&Expression], inputs: &[Shape<'_>]) -> Result<u64, RuleError> {
    let unfit = |what| Err(RuleError::Unfit { rule: RULE, what });
    let mut found: Option<(u64, u16)> = None;
    let mut read = false;
    for node in expressions.iter().flat_map(|expression| expression.nodes()) {
        let Node::Column { input, column } = *node else { continue };
        let Some(shape) = inputs.get(usize::from(input)) else {
            let wanted = usize::from(input) + 1;
            return Err(RuleError::Inputs { rule: RULE, got: inputs.len(), wanted });
        };
        let Some(there) = shape.schema.columns().get(usize::from(column)) else {
            let columns = shape.schema.columns().len();
            return unfit(format!("input {input} has {columns} columns and no column {column}"));
        };
        if let DType::Bytes(_) = there.dtype() {
            let whose = format!("column '{}' of input {input}", there.name());
            let wanted = "a number or bool".to_owned();
            return Err(RuleError::WrongType { rule: RULE, whose, dtype: there.dtype(), wanted });
        }
        read = true;
        match found {
            _ if shape.rows == 1 => {}
            Some((rows, other)) if rows != shape.rows => {
                return unfit(format!("input {other} has {rows} rows and input {input} has {}", shape.rows));
            }
            _ => found = Some((shape.rows, input)),
        }
    }
    if !read {
        return unfit("it reads no column".to_owned());
    }
    Ok(found.map_or(1, |(rows, _)| rows))
}

/// Columns by their input and number.
struct Slices<'a>(HashMap<(u16, u16), &'a [u8]>);

impl<'a> Source<'a> for Slices<'a> {
    fn piece(&self, read: &Read, byte: u64) -> &'a [u8] {
        let column = self.0.get(&(read.input, read.column)).copied().unwrap_or_default();
        column.get(byte as usize..).unwrap_or_default()
    }
}

impl Typed {
    /// For inputs of which all columns that are read are there, and have together these rows.
    pub(super) fn new(expression: &Expression, inputs: &[Shape<'_>], rows: u64) -> Result<Self, RuleError> {
        let lowered = lower(expression, inputs)?;
        let cells = lowered.inner.iter().product();
        let program = Program::new(&lowered.flow, lowered.root, rows, cells);
        Ok(Self { program, dtype: lowered.dtype, inner: lowered.inner })
    }

    /// The type of its cells.
    #[must_use]
    pub const fn dtype(&self) -> DType {
        self.dtype
    }

    /// The shape of one of its rows.
    #[must_use]
    pub fn inner(&self) -> &[u64] {
        &self.inner
    }

    /// Its rows.
    #[must_use]
    pub const fn rows(&self) -> u64 {
        self.program.rows
    }

    /// The columns that it reads: input and column.
    #[must_use]
    pub fn reads(&self) -> Vec<(u16, u16)> {
        self.program.reads().map(|read| (read.input, read.column)).collect()
    }

    pub(super) fn into_program(self) -> Program {
        self.program
    }

    /// Some of its rows, from the cells of all columns that it reads, in the order of [`Typed::reads`].
    ///
    /// # Errors
    /// [`RuleError::Unfit`] for columns or rows that there are not; [`RuleError::Value`] for an integer to a negative power;
    /// [`crate::algebra::error::AlgebraError::Misaligned`] for cells that do not lie as they must.
    pub fn evaluate(&self, columns: &[&[u8]], rows: Run) -> Result<Vec<u8>, RuleError> {
        let unfit = |what| Err(RuleError::Unfit { rule: RULE, what });
        let reads: Vec<Read> = self.program.reads().collect();
        if reads.len() != columns.len() {
            return unfit(format!("{} columns, where it reads {}", columns.len(), reads.len()));
        }
        for (read, column) in reads.iter().zip(columns) {
            let bytes = read.rows * read.cells * read.size as u64;
            if column.len() as u64 != bytes {
                let (input, number) = (read.input, read.column);
                return unfit(format!(
                    "column {number} of input {input} of {} bytes, not {bytes}",
                    column.len()
                ));
            }
        }
        if rows.stop > self.program.rows {
            return unfit(format!("rows up to {} of {}", rows.stop, self.program.rows));
        }
        let places = reads.iter().map(|read| (read.input, read.column));
        let source = Slices(places.zip(columns.iter().copied()).collect());
        let bytes = (rows.rows() * self.program.cells) as usize * self.program.size;
        // Words, so that cells lie as they must.
        let mut words = vec![0u64; bytes.div_ceil(8)];
        let out = &mut bytemuck::cast_slice_mut(&mut words)[..bytes];
        Machine::new(&self.program).run(&self.program, &source, rows.start * self.program.cells, out)?;
        Ok(out.to_vec())
    }
}
