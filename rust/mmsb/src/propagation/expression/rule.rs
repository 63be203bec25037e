//! The rule of a page whose columns are expressions, and the kernel that makes them.

use crate::base::codec::{Reader, Writer};
use crate::base::limits::MAX_COLUMNS;
use crate::page::schema::{ARRAY_COLUMN, Column, Kind};
use crate::propagation::error::RuleError;
use crate::propagation::expression::RULE;
use crate::propagation::expression::evaluate::{Machine, Source};
use crate::propagation::expression::node::Expression;
use crate::propagation::expression::program::{Program, Read, Spread};
use crate::propagation::expression::typed::{Typed, rows};
use crate::propagation::kernel::{Gives, Input, Kernel, Shape, Spec};
use crate::propagation::made::Made;
use crate::propagation::runs::Run;

/// Runs with no more cells between them are one: what a run costs by itself.
const NEAR: u64 = 16;

/// A page of columns that are expressions of the same rows of other pages.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Express {
    outputs: Vec<(String, Expression)>,
}

impl Express {
    /// A page of these columns.
    ///
    /// # Errors
    /// [`RuleError::Unfit`] for none or more than a page can have.
    pub fn new(outputs: Vec<(String, Expression)>) -> Result<Self, RuleError> {
        if outputs.is_empty() || outputs.len() > MAX_COLUMNS {
            let what = format!("{} columns, where 1 to {MAX_COLUMNS} are possible", outputs.len());
            return Err(RuleError::Unfit { rule: RULE, what });
        }
        Ok(Self { outputs })
    }

    /// An array page.
    #[must_use]
    pub fn array(expression: Expression) -> Self {
        Self { outputs: vec![(ARRAY_COLUMN.to_owned(), expression)] }
    }

    /// The columns: their names, and what they are.
    #[must_use]
    pub fn outputs(&self) -> &[(String, Expression)] {
        &self.outputs
    }

    /// Writes it.
    pub fn encode(&self, out: &mut Writer) {
        out.varint(self.outputs.len() as u64);
        for (name, expression) in &self.outputs {
            out.str(name);
            expression.encode(out);
        }
    }

    /// Reads what [`Express::encode`] wrote.
    ///
    /// # Errors
    /// [`RuleError::Unreadable`] for all else.
    pub fn decode(input: &mut Reader<'_>) -> Result<Self, RuleError> {
        let unreadable = |what: &dyn std::fmt::Display| RuleError::Unreadable(what.to_string());
        let count = input.varint().map_err(|error| unreadable(&error))?;
        if count == 0 || count > MAX_COLUMNS as u64 {
            return Err(unreadable(&format!("{count} columns, where 1 to {MAX_COLUMNS} are possible")));
        }
        let mut outputs = Vec::new();
        for _ in 0..count {
            let name = input.str().map_err(|error| unreadable(&error))?.to_owned();
            outputs.push((name, Expression::decode(input)?));
        }
        Ok(Self { outputs })
    }

    fn typed(&self, inputs: &[Shape<'_>]) -> Result<(Vec<Typed>, u64), RuleError> {
        let expressions: Vec<&Expression> = self.outputs.iter().map(|(_, expression)| expression).collect();
        let rows = rows(&expressions, inputs)?;
        let typed = expressions.iter().map(|expression| Typed::new(expression, inputs, rows));
        Ok((typed.collect::<Result<_, _>>()?, rows))
    }
}

impl Spec for Express {
    fn gives(&self, inputs: &[Shape<'_>]) -> Result<Gives, RuleError> {
        let (typed, rows) = self.typed(inputs)?;
        let columns = self.outputs.iter().zip(typed).map(|((name, _), typed)| {
            let column = Column::new(name.as_str(), typed.dtype(), typed.inner().to_vec());
            column.map_err(|error| RuleError::Unfit { rule: RULE, what: error.to_string() })
        });
        let array = matches!(self.outputs.as_slice(), [(name, _)] if name == ARRAY_COLUMN);
        let scalar = inputs.iter().all(|input| input.schema.kind() == Kind::Array { scalar: true });
        let kind = if array { Kind::Array { scalar } } else { Kind::Table };
        Ok(Gives { kind, columns: columns.collect::<Result<_, _>>()?, rows })
    }

    fn rows_from(&self, (_, has): (usize, u64), rows: &[Run]) -> Option<Vec<Run>> {
        Some(if has == 1 { vec![Run::new(0, 1)] } else { rows.to_vec() })
    }

    fn kernel(&self, inputs: &[Shape<'_>]) -> Result<Box<dyn Kernel>, RuleError> {
        let (typed, _) = self.typed(inputs)?;
        let programs = typed.into_iter().map(Typed::into_program);
        let outputs = programs.map(|program| (Machine::new(&program), program)).collect();
        Ok(Box::new(Expressed { outputs, runs: Vec::new() }))
    }
}

/// Makes a page of expressions. It remembers nothing.
#[derive(Debug)]
struct Expressed {
    outputs: Vec<(Machine, Program)>,
    /// The rows that an output is made for; only its memory stays.
    runs: Vec<Run>,
}

struct Inputs<'a, 'b>(&'b [Input<'a>]);

impl<'a> Source<'a> for Inputs<'a, '_> {
    #[inline]
    fn piece(&self, read: &Read, byte: u64) -> &'a [u8] {
        self.0[usize::from(read.input)].column(read.column).piece(byte)
    }
}

impl Kernel for Expressed {
    fn run(&mut self, inputs: &[Input<'_>], made: &mut Made) -> Result<(), RuleError> {
        for (column, (machine, program)) in (0..).zip(&mut self.outputs) {
            asked(program, inputs, &mut self.runs)?;
            for run in &self.runs {
                let first = run.start * program.cells;
                let bytes = (run.rows() * program.cells) as usize * program.size;
                let room = made.room_of_bytes(column, first, bytes);
                machine.run(program, &Inputs(inputs), first, room)?;
            }
        }
        Ok(())
    }
}

/// Finds the rows that may be new.
fn asked(program: &Program, inputs: &[Input<'_>], runs: &mut Vec<Run>) -> Result<(), RuleError> {
    runs.clear();
    // What reads nothing, since it comes to the same for all cells, is made where all is new.
    let mut all = program.reads().next().is_none() && inputs.iter().any(|input| input.before.is_none());
    let mut lists = 0;
    let once = program.views.iter().map(|read| (read, false));
    let spread = program.spread.iter().map(|(read, spread)| (read, *spread != Spread::Repeat));
    for (read, everywhere) in once.chain(spread) {
        let input = inputs.get(usize::from(read.input)).filter(|input| input.rows() == read.rows);
        let Some(input) = input else {
            let what = format!("input {} has no longer the {} rows it had", read.input, read.rows);
            return Err(RuleError::Unfit { rule: RULE, what });
        };
        let changed = input.changed(read.column);
        all |= input.before.is_none() || everywhere && !changed.is_empty();
        if !everywhere && !changed.is_empty() {
            runs.extend_from_slice(changed);
            lists += 1;
        }
    }
    // What is small is made at once.
    if all || !runs.is_empty() && program.rows.saturating_mul(program.cells) <= NEAR {
        runs.clear();
        runs.push(Run::new(0, program.rows));
    } else if runs.len() > 1 {
        if lists > 1 {
            runs.sort_unstable();
        }
        join(runs, NEAR / program.cells);
    }
    Ok(())
}

/// Makes runs one that have no more than `gap` rows between them. They come ascending by where they start.
fn join(runs: &mut Vec<Run>, gap: u64) {
    runs.dedup_by(|next, last| {
        let near = next.start <= last.stop.saturating_add(gap);
        if near {
            last.stop = last.stop.max(next.stop);
        }
        near
    });
}
