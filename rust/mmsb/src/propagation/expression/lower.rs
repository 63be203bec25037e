//! From nodes to loops: types are found, and operands become those that the loop of an operation takes.

use std::collections::HashMap;

use crate::page::dtype::DType;
use crate::page::schema::Column;
use crate::propagation::error::RuleError;
use crate::propagation::expression::RULE;
use crate::propagation::expression::cast::{Cast, cast, half_of};
use crate::propagation::expression::float::Real;
use crate::propagation::expression::loops;
use crate::propagation::expression::node::{Binary, Constant, Expression, Node, Unary};
use crate::propagation::expression::program::{Call, Flow, Make, Read, Value};
use crate::propagation::expression::types::{Kind, is_comparison, is_signed, of_binary, of_unary};
use crate::propagation::kernel::Shape;

/// What a node comes to.
#[derive(Copy, Clone)]
struct Operand {
    kind: Kind,
    what: What,
    /// The column that has the shape of its rows; `None` where they are one cell each.
    shape: Option<(u16, u16)>,
    /// The column that it is.
    column: Option<(u16, u16)>,
}

#[derive(Copy, Clone)]
enum What {
    Cells(u32),
    Int(i128),
    Float(f64),
}

/// What an expression comes to.
pub(super) struct Lowered {
    pub(super) flow: Flow,
    pub(super) root: u32,
    pub(super) dtype: DType,
    pub(super) inner: Vec<u64>,
}

struct Lowering<'a, 'b> {
    inputs: &'a [Shape<'b>],
    flow: Flow,
    reads: HashMap<(u16, u16), u32>,
    constants: HashMap<(u64, usize), u32>,
    casts: HashMap<(u32, DType, DType), u32>,
}

fn unfit<T>(what: String) -> Result<T, RuleError> {
    Err(RuleError::Unfit { rule: RULE, what })
}

/// Checks the types of an expression, of which the columns were found to be there.
pub(super) fn lower(expression: &Expression, inputs: &[Shape<'_>]) -> Result<Lowered, RuleError> {
    let mut lowering = Lowering {
        inputs,
        flow: Flow::default(),
        reads: HashMap::new(),
        constants: HashMap::new(),
        casts: HashMap::new(),
    };
    let mut known: Vec<Operand> = Vec::with_capacity(expression.nodes().len());
    for node in expression.nodes() {
        let of = |operand: u32| known[operand as usize];
        let found = match *node {
            Node::Column { input, column } => lowering.column(input, column),
            Node::Constant(constant) => lowering.constant(constant),
            Node::Cast(to, a) => lowering.cast(to, of(a))?,
            Node::Unary(op, a) => lowering.unary(op, of(a))?,
            Node::Binary(op, a, b) if is_comparison(op) => lowering.compare(op, of(a), of(b))?,
            Node::Binary(op, a, b) => lowering.binary(op, of(a), of(b))?,
            Node::Where(condition, a, b) => lowering.choose(of(condition), of(a), of(b))?,
        };
        known.push(found);
    }
    let last = known[known.len() - 1];
    let dtype = last.kind.alone();
    let root = lowering.cells("a constant", last, dtype, None)?;
    let inner = last.shape.map_or(&[][..], |(input, column)| lowering.inner(input, column)).to_vec();
    Ok(Lowered { flow: lowering.flow, root, dtype, inner })
}

impl Lowering<'_, '_> {
    fn schema_of(&self, input: u16, column: u16) -> &Column {
        &self.inputs[usize::from(input)].schema.columns()[usize::from(column)]
    }

    fn inner(&self, input: u16, column: u16) -> &[u64] {
        self.schema_of(input, column).inner()
    }

    fn column(&mut self, input: u16, column: u16) -> Operand {
        let (dtype, cells) = {
            let column = self.schema_of(input, column);
            (column.dtype(), column.cells_per_row())
        };
        let rows = self.inputs[usize::from(input)].rows;
        let Self { flow, reads, .. } = self;
        let value = *reads.entry((input, column)).or_insert_with(|| {
            flow.reads.push(Read { input, column, rows, cells, dtype, size: dtype.size() });
            flow.value(Make::Read(flow.reads.len() as u32 - 1), [0; 3], dtype.size())
        });
        let at = Some((input, column));
        let shape = at.filter(|_| !self.inner(input, column).is_empty());
        Operand { kind: Kind::Strong(dtype), what: What::Cells(value), shape, column: at }
    }

    fn constant(&mut self, constant: Constant) -> Operand {
        let (kind, what) = match constant {
            Constant::Cell(dtype, bits) => (Kind::Strong(dtype), What::Cells(self.fixed(bits, dtype.size()))),
            Constant::Int(value) => (Kind::WeakInt, What::Int(value)),
            Constant::Float(bits) => (Kind::WeakFloat, What::Float(f64::from_bits(bits))),
        };
        Operand { kind, what, shape: None, column: None }
    }

    fn fixed(&mut self, bits: u64, size: usize) -> u32 {
        let Self { flow, constants, .. } = self;
        *constants.entry((bits, size)).or_insert_with(|| flow.value(Make::Constant(bits), [0; 3], size))
    }

    /// Cells of one type as those of another.
    fn converted(&mut self, value: u32, from: DType, to: DType) -> u32 {
        if let Some(&known) = self.casts.get(&(value, from, to)) {
            return known;
        }
        let found = match cast(from, to) {
            Cast::Same => value,
            Cast::Loop(through) => self.step(Call::One(through), [value, 0, 0], to),
            // No type is further away than two loops.
            Cast::By(between) => match (cast(from, between), cast(between, to)) {
                (Cast::Loop(first), Cast::Loop(second)) => {
                    let middle = self.step(Call::One(first), [value, 0, 0], between);
                    self.step(Call::One(second), [middle, 0, 0], to)
                }
                (Cast::Loop(only), _) | (_, Cast::Loop(only)) => {
                    self.step(Call::One(only), [value, 0, 0], to)
                }
                _ => value,
            },
        };
        self.casts.insert((value, from, to), found);
        found
    }

    fn step(&mut self, call: Call, of: [u32; 3], dtype: DType) -> u32 {
        self.flow.value(Make::Step(call), of, dtype.size())
    }

    /// An operand as cells of a type, beside another operand.
    fn cells(
        &mut self,
        op: &str,
        operand: Operand,
        dtype: DType,
        beside: Option<Operand>,
    ) -> Result<u32, RuleError> {
        match (operand.what, operand.kind) {
            (What::Cells(value), kind) => Ok(self.converted(value, kind.alone(), dtype)),
            (What::Int(value), _) => match int_bits(value, dtype) {
                Some(bits) => Ok(self.fixed(bits, dtype.size())),
                None => {
                    let beside = beside.map(|other| format!(" beside {}", self.name(other)));
                    unfit(format!("{op}: {value} does not fit {dtype}{}", beside.unwrap_or_default()))
                }
            },
            (What::Float(value), _) => Ok(self.fixed(float_bits(value, dtype), dtype.size())),
        }
    }

    fn name(&self, operand: Operand) -> String {
        match (operand.column, operand.what) {
            (Some((input, column)), _) => {
                let column = self.schema_of(input, column);
                format!("column '{}' of input {input} ({})", column.name(), column.dtype())
            }
            (None, What::Cells(_)) => operand.kind.alone().to_string(),
            (None, What::Int(value)) => format!("a python int of {value}"),
            (None, What::Float(value)) => format!("a python float of {value}"),
        }
    }

    /// The shape that rows of both have.
    fn shape(&self, op: &str, a: Operand, b: Operand) -> Result<Option<(u16, u16)>, RuleError> {
        let (Some(ours), Some(theirs)) = (a.shape, b.shape) else { return Ok(a.shape.or(b.shape)) };
        let (one, two) = (self.inner(ours.0, ours.1), self.inner(theirs.0, theirs.1));
        if one == two {
            return Ok(a.shape);
        }
        let (a, b) = (self.name(a), self.name(b));
        unfit(format!("{op}: a row of {a} has shape {one:?}, one of {b} has {two:?}"))
    }

    fn cast(&mut self, to: DType, a: Operand) -> Result<Operand, RuleError> {
        let value = self.cells("cast", a, to, None)?;
        Ok(Operand { kind: Kind::Strong(to), what: What::Cells(value), shape: a.shape, column: None })
    }

    fn unary(&mut self, op: Unary, a: Operand) -> Result<Operand, RuleError> {
        let Some(dtype) = of_unary(op, a.kind.alone()) else {
            return unfit(format!("{} is not for {}", op.name(), self.name(a)));
        };
        let test = matches!(op, Unary::IsNan | Unary::IsFinite | Unary::IsInf);
        let result = if test { DType::Bool } else { dtype };
        let value = self.cells(op.name(), a, dtype, None)?;
        let value = match loops::unary(op, dtype) {
            Some(through) => self.step(Call::One(through), [value, 0, 0], result),
            None if op == Unary::Square => self.two(Binary::Mul, value, value, dtype),
            None if test => self.fixed(u64::from(op == Unary::IsFinite), 1),
            None => value,
        };
        Ok(Operand { kind: Kind::Strong(result), what: What::Cells(value), shape: a.shape, column: None })
    }

    /// An operation on two values of a type that it is for.
    fn two(&mut self, op: Binary, a: u32, b: u32, dtype: DType) -> u32 {
        let (op, a, b) = match op {
            Binary::Gt => (Binary::Lt, b, a),
            Binary::Ge => (Binary::Le, b, a),
            _ => (op, a, b),
        };
        let result = if is_comparison(op) { DType::Bool } else { dtype };
        match loops::binary(op, dtype) {
            Some(through) if op == Binary::Pow && is_signed(dtype) => {
                self.step(Call::Power(through, dtype), [a, b, 0], result)
            }
            Some(through) => self.step(Call::Two(through), [a, b, 0], result),
            None => a,
        }
    }

    fn binary(&mut self, op: Binary, a: Operand, b: Operand) -> Result<Operand, RuleError> {
        let Some(dtype) = of_binary(op, a.kind, b.kind) else {
            return unfit(format!("{} is not for {} and {}", op.name(), self.name(a), self.name(b)));
        };
        let shape = self.shape(op.name(), a, b)?;
        let x = self.cells(op.name(), a, dtype, Some(b))?;
        let y = self.cells(op.name(), b, dtype, Some(a))?;
        let squared = match b.what {
            What::Int(power) => power == 2,
            What::Float(power) => power == 2.0,
            What::Cells(_) => false,
        };
        let value = match op {
            Binary::Pow if squared && dtype.is_float() => self.two(Binary::Mul, x, x, dtype),
            _ => self.two(op, x, y, dtype),
        };
        Ok(Operand { kind: Kind::Strong(dtype), what: What::Cells(value), shape, column: None })
    }

    fn compare(&mut self, op: Binary, a: Operand, b: Operand) -> Result<Operand, RuleError> {
        let shape = self.shape(op.name(), a, b)?;
        let (x, y) = (a.kind.beside(b.kind), b.kind.beside(a.kind));
        let common = of_binary(op, a.kind, b.kind).unwrap_or(x);
        let value = match (a.what, b.what) {
            // No number of the type is as large, or as small: numpy's answer, where arithmetic is an error.
            (What::Int(value), What::Cells(_)) if int_bits(value, common).is_none() => {
                self.fixed(outside(op, value > 0).into(), 1)
            }
            (What::Cells(_), What::Int(value)) if int_bits(value, common).is_none() => {
                self.fixed(outside(op, value < 0).into(), 1)
            }
            (What::Cells(ours), What::Cells(theirs)) if is_signed(x) && y == DType::U64 => {
                self.exactly(op, (ours, x), theirs)
            }
            (What::Cells(ours), What::Cells(theirs)) if x == DType::U64 && is_signed(y) => {
                self.exactly(turned(op), (theirs, y), ours)
            }
            _ => {
                let x = self.cells(op.name(), a, common, Some(b))?;
                let y = self.cells(op.name(), b, common, Some(a))?;
                self.two(op, x, y, common)
            }
        };
        Ok(Operand { kind: Kind::Strong(DType::Bool), what: What::Cells(value), shape, column: None })
    }

    /// What has a sign compared with `uint64`, for which there is no type that both fit.
    fn exactly(&mut self, op: Binary, (value, signed): (u32, DType), other: u32) -> u32 {
        let value = self.converted(value, signed, DType::I64);
        let zero = self.fixed(0, 8);
        let found = self.two(op, value, other, DType::U64);
        // A negative number is not equal, and less.
        if matches!(op, Binary::Ne | Binary::Lt | Binary::Le) {
            let negative = self.two(Binary::Lt, value, zero, DType::I64);
            self.two(Binary::Or, found, negative, DType::Bool)
        } else {
            let positive = self.two(Binary::Le, zero, value, DType::I64);
            self.two(Binary::And, found, positive, DType::Bool)
        }
    }

    fn choose(&mut self, condition: Operand, a: Operand, b: Operand) -> Result<Operand, RuleError> {
        const OP: &str = "where";
        let of_both = self.shape(OP, a, b)?;
        let chosen = Operand { shape: of_both, column: None, ..a };
        let shape = self.shape(OP, condition, chosen)?;
        let dtype = of_binary(Binary::Max, a.kind, b.kind).unwrap_or(a.kind.alone());
        let test = self.cells(OP, condition, DType::Bool, None)?;
        let x = self.cells(OP, a, dtype, Some(b))?;
        let y = self.cells(OP, b, dtype, Some(a))?;
        let value = self.step(Call::Three(loops::choose(dtype.size())), [test, x, y], dtype);
        Ok(Operand { kind: Kind::Strong(dtype), what: What::Cells(value), shape, column: None })
    }
}

/// The comparison with its operands the other way round.
fn turned(op: Binary) -> Binary {
    match op {
        Binary::Lt => Binary::Gt,
        Binary::Le => Binary::Ge,
        Binary::Gt => Binary::Lt,
        Binary::Ge => Binary::Le,
        _ => op,
    }
}

/// What a comparison comes to where the left side is larger than all on the right, or smaller.
fn outside(op: Binary, larger: bool) -> bool {
    match op {
        Binary::Lt | Binary::Le => !larger,
        Binary::Gt | Binary::Ge => larger,
        _ => op == Binary::Ne,
    }
}

/// A python int as a cell.
fn int_bits(value: i128, dtype: DType) -> Option<u64> {
    if dtype == DType::Bool {
        return Some((value != 0).into());
    }
    if dtype.is_float() {
        return Some(match dtype {
            DType::F32 => (value as f32).to_bits().into(),
            _ => float_bits(value as f64, dtype),
        });
    }
    let bits = 8 * dtype.size() as u32;
    let (least, most) = match is_signed(dtype) {
        true => (-(1i128 << (bits - 1)), (1i128 << (bits - 1)) - 1),
        false => (0, (1i128 << bits) - 1),
    };
    let mask = u64::MAX >> (64 - bits);
    (least..=most).contains(&value).then_some(value as u64 & mask)
}

/// A python float as a cell.
fn float_bits(value: f64, dtype: DType) -> u64 {
    match dtype {
        DType::F64 => value.tidy().to_bits(),
        DType::F32 => (value as f32).tidy().to_bits().into(),
        DType::F16 => half_of(value).to_bits().into(),
        DType::Bool => (value != 0.0).into(),
        DType::I8 => (value as i8 as u8).into(),
        DType::I16 => (value as i16 as u16).into(),
        DType::I32 => (value as i32 as u32).into(),
        DType::I64 => value as i64 as u64,
        DType::U8 => (value as u8).into(),
        DType::U16 => (value as u16).into(),
        DType::U32 => (value as u32).into(),
        _ => value as u64,
    }
}

impl Flow {
    fn value(&mut self, make: Make, of: [u32; 3], size: usize) -> u32 {
        self.values.push(Value { make, of, size: size as u8 });
        self.values.len() as u32 - 1
    }
}
