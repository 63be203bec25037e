//! What is wrong with a rule, or went wrong while it ran.

use crate::algebra::error::AlgebraError;
use crate::base::codec::CodecError;
use crate::graph::error::GraphError;
use crate::page::dtype::DType;
use crate::page::error::PageError;
use crate::page::state_error::StateError;
use crate::page::version::PageRef;
use crate::propagation::program::Raised;
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

impl RuleError {
    /// What found something wrong: a built-in rule, most often.
    #[must_use]
    pub fn rule(&self) -> &str {
        match self {
            Self::Inputs { rule, .. }
            | Self::Unfit { rule, .. }
            | Self::WrongType { rule, .. }
            | Self::Value { rule, .. } => rule,
            Self::Algebra(AlgebraError::Lacks { whom, .. }) => whom,
            Self::Algebra(_) => "the algebra",
            Self::Unreadable(_) => "",
        }
    }
}

impl From<CodecError> for RuleError {
    fn from(error: CodecError) -> Self {
        Self::Unreadable(error.to_string())
    }
}

/// Why propagation failed; the commit that asked for it is undone.
#[derive(Debug, Error)]
pub enum FlowError {
    /// A rule cannot work with what there is.
    #[error("page '{page}': {source}")]
    Rule {
        /// The page's name.
        page: String,
        /// What is wrong.
        source: RuleError,
    },
    /// A user's function failed.
    #[error("page '{page}', rule '{rule}': {source}")]
    Raised {
        /// The page's name.
        page: String,
        /// The function's name.
        rule: String,
        /// What it failed with.
        source: Raised,
    },
    /// The graph refuses it.
    #[error(transparent)]
    Graph(#[from] GraphError),
    /// A page cannot be read or written.
    #[error(transparent)]
    State(#[from] StateError),
}

impl FlowError {
    /// The page that could not be made, and what its rule is called; none where it is not about one.
    #[must_use]
    pub fn about(&self) -> Option<(&str, &str)> {
        match self {
            Self::Rule { page, source } => Some((page, source.rule())),
            Self::Raised { page, rule, .. } => Some((page, rule)),
            Self::Graph(_) | Self::State(_) => None,
        }
    }

    /// What is wrong with the rule of a page.
    pub(super) fn of(page: PageRef<'_>, source: RuleError) -> Self {
        Self::Rule { page: page.def().name().to_owned(), source }
    }
}

impl From<PageError> for FlowError {
    fn from(error: PageError) -> Self {
        Self::State(error.into())
    }
}
