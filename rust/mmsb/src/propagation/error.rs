//! What is wrong with a rule, or went wrong while it ran.

use crate::algebra::error::AlgebraError;
use crate::base::codec::CodecError;
use crate::page::dtype::DType;
use thiserror::Error;

/// What is wrong with a rule, or went wrong while it ran; whoever tells of it names the page.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum RuleError {
    /// What the algebra says.
    #[error(transparent)]
    Algebra(#[from] AlgebraError),
    /// An input it needs is not there.
    #[error("{rule} has {got} inputs where it takes {wanted}")]
    Inputs {
        /// The rule.
        rule: &'static str,
        /// How many there are.
        got: usize,
        /// How many it takes.
        wanted: usize,
    },
    /// A column of an input, or of the page itself, is not as the rule needs it.
    #[error("{rule}: {what}")]
    Unfit {
        /// The rule.
        rule: &'static str,
        /// What is not as it must be, with its numbers.
        what: String,
    },
    /// A column of a type that the rule does not take, or does not give.
    #[error("{rule}: {whose} is {dtype}, where {wanted} is needed")]
    WrongType {
        /// The rule.
        rule: &'static str,
        /// Which column.
        whose: String,
        /// Its type.
        dtype: DType,
        /// What is needed.
        wanted: String,
    },
    /// Bytes that are no rule.
    #[error("the bytes of a rule cannot be read: {0}")]
    Unreadable(String),
    /// A value that it came upon and cannot work with.
    #[error("{rule}: {what}")]
    Value {
        /// The rule.
        rule: &'static str,
        /// Which value, and where.
        what: String,
    },
}

impl From<CodecError> for RuleError {
    fn from(error: CodecError) -> Self {
        Self::Unreadable(error.to_string())
    }
}
