//! Expressions as bytes: `docs/bytes.md` describes them.

use crate::base::codec::{CodecError, Reader, Writer};
use crate::base::limits::EXPRESSION_NODES;
use crate::page::dtype::DType;
use crate::propagation::error::RuleError;
use crate::propagation::expression::node::{Binary, Constant, Expression, Node, Unary};

const COLUMN: u8 = 0;
const CELL: u8 = 1;
const INT: u8 = 2;
const FLOAT: u8 = 3;
const CAST: u8 = 4;
const UNARY: u8 = 5;
const BINARY: u8 = 6;
const WHERE: u8 = 7;

fn unreadable(error: CodecError) -> RuleError {
    RuleError::Unreadable(error.to_string())
}

fn wrong<T>(what: String) -> Result<T, RuleError> {
    Err(RuleError::Unreadable(what))
}

impl Expression {
    /// Writes it.
    pub fn encode(&self, out: &mut Writer) {
        out.varint(self.nodes().len() as u64);
        for (at, node) in self.nodes().iter().enumerate() {
            match *node {
                Node::Column { input, column } => {
                    out.u8(COLUMN);
                    out.varint(input.into());
                    out.varint(column.into());
                }
                Node::Constant(Constant::Cell(dtype, bits)) => {
                    out.u8(CELL);
                    out.u8(dtype.code());
                    out.raw(&bits.to_le_bytes()[..dtype.size()]);
                }
                Node::Constant(Constant::Int(value)) => {
                    out.u8(INT);
                    out.raw(&value.to_le_bytes());
                }
                Node::Constant(Constant::Float(bits)) => {
                    out.u8(FLOAT);
                    out.u64(bits);
                }
                Node::Cast(to, _) => out.raw(&[CAST, to.code()]),
                Node::Unary(op, _) => out.raw(&[UNARY, op.code()]),
                Node::Binary(op, ..) => out.raw(&[BINARY, op.code()]),
                Node::Where(..) => out.u8(WHERE),
            }
            // How far back they are, which is short.
            node.operands().for_each(|operand| out.varint(at as u64 - u64::from(operand)));
        }
    }

    /// Reads what [`Expression::encode`] wrote.
    ///
    /// # Errors
    /// [`RuleError::Unreadable`] for all else.
    pub fn decode(input: &mut Reader<'_>) -> Result<Self, RuleError> {
        let count = input.varint().map_err(unreadable)?;
        if count == 0 || count > EXPRESSION_NODES as u64 {
            return wrong(format!("{count} nodes, where 1 to {EXPRESSION_NODES} are possible"));
        }
        if count > input.left() as u64 {
            return wrong(format!("{count} nodes in {} bytes", input.left()));
        }
        let mut nodes = Vec::with_capacity(count as usize);
        for at in 0..count as u32 {
            nodes.push(node(input, at)?);
        }
        Self::new(nodes).or_else(|error| wrong(error.to_string()))
    }
}

fn node(input: &mut Reader<'_>, at: u32) -> Result<Node, RuleError> {
    Ok(match input.u8().map_err(unreadable)? {
        COLUMN => Node::Column { input: short(input, "input")?, column: short(input, "column")? },
        CELL => {
            let dtype = fixed(input)?;
            let cell = input.raw(dtype.size()).map_err(unreadable)?;
            let mut bytes = [0; 8];
            bytes[..cell.len()].copy_from_slice(cell);
            let bits = u64::from_le_bytes(bytes);
            if dtype == DType::Bool && bits > 1 {
                return wrong(format!("a bool of {bits}"));
            }
            Node::Constant(Constant::Cell(dtype, bits))
        }
        INT => {
            let mut bytes = [0; 16];
            bytes.copy_from_slice(input.raw(16).map_err(unreadable)?);
            Node::Constant(Constant::Int(i128::from_le_bytes(bytes)))
        }
        FLOAT => Node::Constant(Constant::Float(input.u64().map_err(unreadable)?)),
        CAST => Node::Cast(fixed(input)?, back(input, at)?),
        UNARY => Node::Unary(listed(input, Unary::ALL)?, back(input, at)?),
        BINARY => Node::Binary(listed(input, Binary::ALL)?, back(input, at)?, back(input, at)?),
        WHERE => Node::Where(back(input, at)?, back(input, at)?, back(input, at)?),
        tag => return wrong(format!("node {at} is of kind {tag}, which is unknown")),
    })
}

fn short(input: &mut Reader<'_>, what: &str) -> Result<u16, RuleError> {
    let number = input.varint().map_err(unreadable)?;
    u16::try_from(number).or_else(|_| wrong(format!("{what} {number} is past 16 bits")))
}

fn fixed(input: &mut Reader<'_>) -> Result<DType, RuleError> {
    listed(input, &DType::FIXED)
}

/// The one of a list that the next byte is the place of.
fn listed<T: Copy>(input: &mut Reader<'_>, list: &[T]) -> Result<T, RuleError> {
    let code = input.u8().map_err(unreadable)?;
    list.get(usize::from(code)).copied().map_or_else(|| wrong(format!("code {code} of {}", list.len())), Ok)
}

fn back(input: &mut Reader<'_>, at: u32) -> Result<u32, RuleError> {
    let back = input.varint().map_err(unreadable)?;
    match u32::try_from(back).ok().filter(|&back| back > 0).and_then(|back| at.checked_sub(back)) {
        Some(operand) => Ok(operand),
        None => wrong(format!("node {at} names what is {back} before it")),
    }
}
