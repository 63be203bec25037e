//! What an expression is made of: a list of nodes of which each names only earlier ones, so that nothing recurses.

use std::collections::HashMap;

use crate::algebra::value::Value;
use crate::base::limits::EXPRESSION_NODES;
use crate::page::dtype::DType;
use crate::propagation::error::RuleError;
use crate::propagation::expression::RULE;

/// Operations, each with its code in files, which is its place in the list, and its name.
macro_rules! operations {
    ($(#[$about:meta])* $type:ident: $($(#[$doc:meta])* $op:ident $name:literal),+ $(,)?) => {
        $(#[$about])*
        #[derive(Copy, Clone, PartialEq, Eq, Hash, Debug)]
        #[repr(u8)]
        pub enum $type {
            $($(#[$doc])* $op),+
        }

        impl $type {
            /// All, by their code in files.
            pub const ALL: &[Self] = &[$(Self::$op),+];

            /// Its name.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$op => $name),+
                }
            }

            /// The one of this name.
            #[must_use]
            pub fn named(name: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|op| op.name() == name)
            }

            /// The number that stands for it in files.
            #[must_use]
            pub const fn code(self) -> u8 {
                self as u8
            }
        }
    };
}

operations! {
    /// What is done with one operand.
    Unary:
    /// `-a`; integers wrap.
    Neg "neg",
    /// The magnitude; that of the smallest integer is itself.
    Abs "abs",
    /// -1, 0 or 1; NaN of NaN.
    Sign "sign",
    /// All bits the other way; of `bool`, the other one.
    Not "not",
    /// The square root.
    Sqrt "sqrt",
    /// `e` to the power of it.
    Exp "exp",
    /// 2 to the power of it.
    Exp2 "exp2",
    /// `exp(a) - 1`, exact near 0.
    Expm1 "expm1",
    /// The natural logarithm.
    Log "log",
    /// The logarithm to base 2.
    Log2 "log2",
    /// The logarithm to base 10.
    Log10 "log10",
    /// `log(1 + a)`, exact near 0.
    Log1p "log1p",
    /// The sine.
    Sin "sin",
    /// The cosine.
    Cos "cos",
    /// The tangent.
    Tan "tan",
    /// The inverse sine.
    Asin "asin",
    /// The inverse cosine.
    Acos "acos",
    /// The inverse tangent.
    Atan "atan",
    /// The hyperbolic sine.
    Sinh "sinh",
    /// The hyperbolic cosine.
    Cosh "cosh",
    /// The hyperbolic tangent.
    Tanh "tanh",
    /// The next whole number below.
    Floor "floor",
    /// The next whole number above.
    Ceil "ceil",
    /// The nearest whole number, of two the even one.
    Rint "rint",
    /// The next whole number towards 0.
    Trunc "trunc",
    /// Whether it is no number.
    IsNan "isnan",
    /// Whether it is a number and not infinite.
    IsFinite "isfinite",
    /// Whether it is infinite.
    IsInf "isinf",
    /// `a * a`.
    Square "square",
    /// The inverse hyperbolic sine.
    Asinh "asinh",
    /// The inverse hyperbolic cosine.
    Acosh "acosh",
    /// The inverse hyperbolic tangent.
    Atanh "atanh",
    /// The cube root.
    Cbrt "cbrt",
    /// The magnitude, as a float.
    Fabs "fabs",
}

operations! {
    /// What is done with two operands.
    Binary:
    /// `a + b`; integers wrap, `bool` is or.
    Add "add",
    /// `a - b`; integers wrap.
    Sub "sub",
    /// `a * b`; integers wrap, `bool` is and.
    Mul "mul",
    /// `a / b`, a float.
    Div "div",
    /// `a / b` to the next whole number below; an integer divided by 0 is 0.
    FloorDiv "floordiv",
    /// What is left of `a` after that, with the sign of `b`; an integer modulo 0 is 0.
    Mod "mod",
    /// `a` to the power of `b`; integers wrap, and their `b` must not be negative.
    Pow "pow",
    /// The smaller one; NaN if either is, and -0.0 before 0.0.
    Min "min",
    /// The larger one, likewise.
    Max "max",
    /// The angle of the point (b, a).
    Atan2 "atan2",
    /// The length of the way from (0, 0) to (a, b).
    Hypot "hypot",
    /// Both, bit by bit.
    And "and",
    /// Either, bit by bit.
    Or "or",
    /// One of both, bit by bit.
    Xor "xor",
    /// The bits of `a` moved up by `b`; all gone where `b` is negative or as many as there are.
    Shl "shl",
    /// The bits of `a` moved down by `b`, of a negative number with ones from above; likewise.
    Shr "shr",
    /// Whether they are equal.
    Eq "eq",
    /// Whether they are not.
    Ne "ne",
    /// Whether `a` is smaller.
    Lt "lt",
    /// Whether `a` is smaller, or they are equal.
    Le "le",
    /// Whether `a` is larger.
    Gt "gt",
    /// Whether `a` is larger, or they are equal.
    Ge "ge",
    /// `a` with the sign of `b`.
    CopySign "copysign",
    /// What is left of `a` after division towards 0, with the sign of `a`; an integer by 0 is 0.
    Fmod "fmod",
}

/// A value that is the same for all cells.
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug)]
pub enum Constant {
    /// A cell of a type of fixed size: its little-endian bytes, as a number.
    Cell(DType, u64),
    /// A python int, which takes the type of what it meets (NEP 50).
    Int(i128),
    /// A python float, which takes the type of the float it meets: the bits of a `f64`.
    Float(u64),
}

impl Constant {
    /// A cell.
    #[must_use]
    pub fn cell<T: Value>(value: T) -> Self {
        let mut bytes = [0; 8];
        bytes[..size_of::<T>()].copy_from_slice(bytemuck::bytes_of(&value));
        Self::Cell(T::DTYPE, u64::from_le_bytes(bytes))
    }

    /// A python bool, which is a cell of type `bool` in all that it meets.
    #[must_use]
    pub const fn bool(is: bool) -> Self {
        Self::Cell(DType::Bool, is as u64)
    }

    /// A python float.
    #[must_use]
    pub const fn float(value: f64) -> Self {
        Self::Float(value.to_bits())
    }
}

/// One step of an expression. Operands are numbers of earlier nodes.
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug)]
pub enum Node {
    /// A column of an input.
    Column {
        /// The input.
        input: u16,
        /// Its column.
        column: u16,
    },
    /// A value.
    Constant(Constant),
    /// The operand as another type.
    Cast(DType, u32),
    /// An operation on one operand.
    Unary(Unary, u32),
    /// An operation on two.
    Binary(Binary, u32, u32),
    /// The second operand where the first is true (is not 0), else the third.
    Where(u32, u32, u32),
}

impl Node {
    /// Its operands.
    pub fn operands(&self) -> impl Iterator<Item = u32> {
        let (all, n) = match *self {
            Self::Column { .. } | Self::Constant(_) => ([0; 3], 0),
            Self::Cast(_, a) | Self::Unary(_, a) => ([a, 0, 0], 1),
            Self::Binary(_, a, b) => ([a, b, 0], 2),
            Self::Where(a, b, c) => ([a, b, c], 3),
        };
        all.into_iter().take(n)
    }

    /// The same with other operands.
    fn with(self, mut of: impl FnMut(u32) -> u32) -> Self {
        match self {
            Self::Column { .. } | Self::Constant(_) => self,
            Self::Cast(to, a) => Self::Cast(to, of(a)),
            Self::Unary(op, a) => Self::Unary(op, of(a)),
            Self::Binary(op, a, b) => Self::Binary(op, of(a), of(b)),
            Self::Where(a, b, c) => Self::Where(of(a), of(b), of(c)),
        }
    }
}

/// An expression: nodes of which the last one is what it comes to. Immutable; its types are not looked at yet.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Expression {
    nodes: Vec<Node>,
}

impl Expression {
    /// These nodes.
    ///
    /// # Errors
    /// [`RuleError::Unfit`] for none, for more than [`EXPRESSION_NODES`], for an operand that is not before its node, and for
    /// a constant or cast to a type without a fixed size.
    pub fn new(nodes: Vec<Node>) -> Result<Self, RuleError> {
        let wrong = |what| Err(RuleError::Unfit { rule: RULE, what });
        if nodes.is_empty() || nodes.len() > EXPRESSION_NODES {
            return wrong(format!("{} nodes, where 1 to {EXPRESSION_NODES} are possible", nodes.len()));
        }
        for (at, node) in nodes.iter().enumerate() {
            if let Some(operand) = node.operands().find(|&operand| operand as usize >= at) {
                return wrong(format!("node {at} names node {operand}, which is not before it"));
            }
            if let Node::Cast(dtype @ DType::Bytes(_), _)
            | Node::Constant(Constant::Cell(dtype @ DType::Bytes(_), _)) = node
            {
                return wrong(format!("node {at} is of {dtype}, which is no number"));
            }
        }
        Ok(Self { nodes })
    }

    /// Its nodes.
    #[must_use]
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }
}

/// A node of a [`Builder`].
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug)]
pub struct Id(u32);

/// Makes expressions; what is said twice is one node.
#[derive(Clone, Default, Debug)]
pub struct Builder {
    nodes: Vec<Node>,
    known: HashMap<Node, u32>,
}

impl Builder {
    fn node(&mut self, node: Node) -> Id {
        let Self { nodes, known } = self;
        Id(*known.entry(node).or_insert_with(|| {
            nodes.push(node);
            nodes.len() as u32 - 1
        }))
    }

    /// A column of an input.
    pub fn column(&mut self, input: u16, column: u16) -> Id {
        self.node(Node::Column { input, column })
    }

    /// A value.
    pub fn constant(&mut self, constant: Constant) -> Id {
        self.node(Node::Constant(constant))
    }

    /// The operand as another type: floats are cut towards 0 and end at the ends of an integer type, NaN is 0; integers wrap.
    pub fn cast(&mut self, to: DType, a: Id) -> Id {
        self.node(Node::Cast(to, a.0))
    }

    /// An operation on one operand.
    pub fn unary(&mut self, op: Unary, a: Id) -> Id {
        self.node(Node::Unary(op, a.0))
    }

    /// An operation on two.
    pub fn binary(&mut self, op: Binary, a: Id, b: Id) -> Id {
        self.node(Node::Binary(op, a.0, b.0))
    }

    /// `a` where `condition` is true, else `b`.
    pub fn select(&mut self, condition: Id, a: Id, b: Id) -> Id {
        self.node(Node::Where(condition.0, a.0, b.0))
    }

    /// The expression that comes to this node, with what it needs of all that was built.
    ///
    /// # Errors
    /// As [`Expression::new`]; [`RuleError::Unfit`] for a node of another builder that this one has not.
    pub fn finish(&self, root: Id) -> Result<Expression, RuleError> {
        let Some(there) = self.nodes.get(..=root.0 as usize) else {
            let what = format!("there is no node {} among {}", root.0, self.nodes.len());
            return Err(RuleError::Unfit { rule: RULE, what });
        };
        let mut place = vec![u32::MAX; there.len()];
        place[root.0 as usize] = 0;
        for (at, node) in there.iter().enumerate().rev() {
            if place[at] == 0 {
                node.operands().filter(|&operand| (operand as usize) < at).for_each(|operand| {
                    place[operand as usize] = 0;
                });
            }
        }
        let mut nodes = Vec::new();
        for (at, node) in there.iter().enumerate() {
            if place[at] == 0 {
                place[at] = nodes.len() as u32;
                nodes.push(node.with(|operand| place.get(operand as usize).copied().unwrap_or(u32::MAX)));
            }
        }
        Expression::new(nodes)
    }
}
