//! What a closure says: by which semiring, of which columns, and from where.

use crate::algebra::family::{Family, OnSemiring};
use crate::algebra::ladder::{Semiring, Traits};
use crate::algebra::value::Value;
use crate::base::codec::{Reader, Writer};
use crate::base::limits::{MAX_CLOSURE_CELLS, MAX_EDGES};
use crate::page::dtype::DType;
use crate::page::schema::{ARRAY_COLUMN, Column, Kind};
use crate::propagation::closure::kernel::{Closing, Edges};
use crate::propagation::error::RuleError;
use crate::propagation::kernel::{Gives, Kernel, Shape, Spec};
use crate::propagation::places::{self, Places};

/// The name of the rule in what it says is wrong.
pub(super) const RULE: &str = "closure";

/// The laws it rests on.
const LAWS: Traits =
    Traits::IDEMPOTENT.and(Traits::SELECTIVE).and(Traits::TOTAL_ORDER).and(Traits::ABSORPTIVE);

/// Where ways start.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Starts {
    /// At every vertex: row `s` of the page has the ways from vertex `s`, its shape is `(vertices, vertices)`.
    All,
    /// At these, of which there is at least one. Of one, the page has shape `(vertices,)`, of more `(starts, vertices)`.
    List(Vec<u64>),
}

/// The best way from each start to each vertex of the graph that its one input is the table of edges of.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Closure {
    /// What brings steps together, and ways.
    pub family: Family,
    /// The column of the vertices that edges leave: integers, -1 for a row that is no edge.
    pub source: u16,
    /// That of the vertices that they enter.
    pub target: u16,
    /// That of their weights. The zero of the semiring is no edge.
    pub weight: u16,
    /// How many vertices there are.
    pub vertices: u64,
    /// Where ways start.
    pub starts: Starts,
}

fn unfit(what: String) -> RuleError {
    RuleError::Unfit { rule: RULE, what }
}

/// The one input.
pub(super) fn one<T>(inputs: &[T]) -> Result<&T, RuleError> {
    match inputs {
        [one] => Ok(one),
        _ => Err(RuleError::Inputs { rule: RULE, got: inputs.len(), wanted: 1 }),
    }
}

impl Closure {
    /// Writes it.
    pub fn encode(&self, out: &mut Writer) {
        out.u8(self.family.code());
        for column in [self.source, self.target, self.weight] {
            out.varint(u64::from(column));
        }
        out.varint(self.vertices);
        let starts: &[u64] = match &self.starts {
            Starts::All => &[],
            Starts::List(starts) => starts,
        };
        out.varint(starts.len() as u64);
        starts.iter().for_each(|start| out.varint(*start));
    }

    /// Reads what [`Closure::encode`] wrote.
    ///
    /// # Errors
    /// [`RuleError::Unreadable`] where the bytes end, or say what there is not.
    pub fn decode(input: &mut Reader<'_>) -> Result<Self, RuleError> {
        let code = input.u8()?;
        let Some(family) = Family::coded(code) else {
            return Err(RuleError::Unreadable(format!("no semiring has the code {code}")));
        };
        let mut columns = [0; 3];
        for column in &mut columns {
            let number = input.varint()?;
            *column = u16::try_from(number)
                .map_err(|_| RuleError::Unreadable(format!("the number {number} is past 16 bits")))?;
        }
        let vertices = input.varint()?;
        let count = input.varint()?;
        if count > input.left() as u64 {
            return Err(RuleError::Unreadable(format!("{count} starts in {} bytes", input.left())));
        }
        let starts = match count {
            0 => Starts::All,
            _ => Starts::List((0..count).map(|_| input.varint()).collect::<Result<_, _>>()?),
        };
        let [source, target, weight] = columns;
        Ok(Self { family, source, target, weight, vertices, starts })
    }

    /// How many starts there are.
    fn count(&self) -> u64 {
        match &self.starts {
            Starts::All => self.vertices,
            Starts::List(starts) => starts.len() as u64,
        }
    }

    /// What is wrong with vertices and starts.
    fn check(&self) -> Result<(), RuleError> {
        let (count, vertices) = (self.count(), self.vertices);
        if let Starts::List(starts) = &self.starts {
            if starts.is_empty() {
                return Err(unfit("no starts, where at least one is needed".to_owned()));
            }
            if let Some(start) = starts.iter().find(|start| **start >= vertices) {
                return Err(unfit(format!("the start {start} is none of {vertices} vertices")));
            }
        }
        match count.checked_mul(vertices) {
            Some(1..=MAX_CLOSURE_CELLS) => Ok(()),
            _ => Err(unfit(format!(
                "{count} starts and {vertices} vertices, where 1 to {MAX_CLOSURE_CELLS} cells are possible"
            ))),
        }
    }

    /// The columns as they are read, and the type of the weights.
    fn edges(&self, input: &Shape<'_>) -> Result<(Edges, DType), RuleError> {
        self.check()?;
        if input.rows > MAX_EDGES {
            return Err(unfit(format!("{} edges, where {MAX_EDGES} are possible", input.rows)));
        }
        let count = self.vertices as u32;
        let source = Places::of((RULE, "source"), input, self.source, count)?;
        let target = Places::of((RULE, "target"), input, self.target, count)?;
        let dtype = places::column(RULE, input, self.weight)?.dtype();
        self.family.require(dtype, LAWS, RULE)?;
        Ok((Edges { source, target, weight: self.weight, family: self.family }, dtype))
    }
}

impl Spec for Closure {
    fn gives(&self, inputs: &[Shape<'_>]) -> Result<Gives, RuleError> {
        let (_, dtype) = self.edges(one(inputs)?)?;
        let (rows, inner) = match self.count() {
            1 if self.starts != Starts::All => (self.vertices, Vec::new()),
            count => (count, vec![self.vertices]),
        };
        let column = Column::new(ARRAY_COLUMN, dtype, inner).map_err(|wrong| unfit(wrong.to_string()))?;
        Ok(Gives { kind: Kind::Array { scalar: false }, columns: vec![column], rows })
    }

    fn kernel(&self, inputs: &[Shape<'_>]) -> Result<Box<dyn Kernel>, RuleError> {
        /// The kernel compiled for a semiring.
        struct Compiled(Edges, Vec<u32>);
        impl OnSemiring for Compiled {
            type Out = Box<dyn Kernel>;
            fn on<T: Value, S: Semiring<T>>(self) -> Self::Out {
                Box::new(Closing::<T, S>::new(self.0, self.1))
            }
        }
        let (edges, dtype) = self.edges(one(inputs)?)?;
        let starts = match &self.starts {
            Starts::All => (0..self.vertices as u32).collect(),
            Starts::List(starts) => starts.iter().map(|start| *start as u32).collect(),
        };
        Ok(self.family.with(dtype, Compiled(edges, starts))?)
    }
}
