//! A rule: what a page follows from, when it is made anew, and by what. See `docs/bytes.md`, "Rules".

use crate::base::codec::{Reader, Writer};
use crate::base::ids::PageId;
use crate::graph::edge::{self, Edge, EdgeKind};
use crate::propagation::closure::spec::Closure;
use crate::propagation::error::RuleError;
use crate::propagation::expression::rule::Express;
use crate::propagation::kernel::Spec;
use crate::propagation::product::spec::Product;
use crate::propagation::reduction::spec::Reduce;
use crate::propagation::relation::filter::Filter;
use crate::propagation::relation::gather::Gather;
use crate::propagation::relation::join::Join;
use crate::propagation::relation::window::Window;

/// By what a page is made.
#[derive(Debug, Clone, PartialEq)]
pub enum What {
    /// A function of the user's, by its name: it is there while a process that declared it writes.
    Program(String),
    /// Expressions of the same rows.
    Express(Express),
    /// A reduction.
    Reduce(Reduce),
    /// The rows that an index names.
    Gather(Gather),
    /// The rows that a mask keeps.
    Filter(Filter),
    /// A reduction of the last rows before each.
    Window(Window),
    /// Rows with those of another page that have their key.
    Join(Join),
    /// A product of matrices and vectors.
    Product(Product),
    /// The best ways through a graph.
    Closure(Closure),
}

/// When a page is made anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum When {
    /// In the commit that changes what it follows from.
    #[default]
    Eager,
    /// In an epoch of its own, soon after that commit: until then it is behind, and so is what follows from it.
    Deferred,
    /// When somebody reads it: what it holds is no part of the state.
    Lazy,
}

/// The names, by number.
const WHENS: [(When, &str); 3] = [(When::Eager, "eager"), (When::Deferred, "deferred"), (When::Lazy, "lazy")];

impl When {
    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        WHENS[self as usize].1
    }

    /// The one of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        WHENS.iter().find(|(_, known)| *known == name).map(|(when, _)| *when)
    }
}

/// What a page follows from, and how.
#[derive(Debug, Clone, PartialEq)]
pub struct Rule {
    /// Its inputs, in the order in which whoever makes it takes them; edges that carry no cells are none of those.
    pub edges: Vec<Edge>,
    /// By what it is made.
    pub what: What,
    /// When.
    pub when: When,
}

const PROGRAM: u8 = 1;
const EXPRESS: u8 = 2;
const REDUCE: u8 = 3;
const GATHER: u8 = 4;
const FILTER: u8 = 5;
const WINDOW: u8 = 6;
const JOIN: u8 = 7;
const PRODUCT: u8 = 8;
const CLOSURE: u8 = 9;

/// The bits of a kind's number, above which it says when.
const WHEN: u32 = 6;

impl Rule {
    /// One that is made in every commit that asks for it.
    #[must_use]
    pub const fn new(edges: Vec<Edge>, what: What) -> Self {
        Self { edges, what, when: When::Eager }
    }

    /// A function of the user's, of these pages.
    #[must_use]
    pub fn program(name: &str, inputs: &[PageId]) -> Self {
        Self::new(inputs.iter().copied().map(Edge::data).collect(), What::Program(name.to_owned()))
    }

    /// The same, made at another time.
    #[must_use]
    pub fn when(self, when: When) -> Self {
        Self { when, ..self }
    }

    /// The pages that it takes cells from, in their order.
    pub fn inputs(&self) -> impl Iterator<Item = PageId> + '_ {
        self.edges.iter().filter(|edge| edge.kind == EdgeKind::Data).map(|edge| edge.page)
    }

    /// What says what its page looks like; nothing of a user's function.
    #[must_use]
    pub fn spec(&self) -> Option<&dyn Spec> {
        match &self.what {
            What::Program(_) => None,
            What::Express(express) => Some(express),
            What::Reduce(reduce) => Some(reduce),
            What::Gather(gather) => Some(gather),
            What::Filter(filter) => Some(filter),
            What::Window(window) => Some(window),
            What::Join(join) => Some(join),
            What::Product(product) => Some(product),
            What::Closure(closure) => Some(closure),
        }
    }

    /// A word for the kind of rule.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match &self.what {
            What::Program(_) => "function",
            What::Express(_) => "expression",
            What::Reduce(_) => "reduction",
            What::Gather(_) => "gather",
            What::Filter(_) => "filter",
            What::Window(_) => "window",
            What::Join(_) => "join",
            What::Product(_) => "product",
            What::Closure(_) => "closure",
        }
    }

    /// What it does, in short.
    #[must_use]
    pub fn name(&self) -> String {
        match &self.what {
            What::Program(name) => name.clone(),
            What::Express(express) => {
                express.outputs().iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(", ")
            }
            What::Reduce(reduce) => reduce.what.name().to_owned(),
            What::Window(window) => format!("{} of {} rows", window.what, window.rows),
            What::Gather(_) | What::Filter(_) | What::Join(_) => self.kind().to_owned(),
            What::Product(product) => product.family.name().to_owned(),
            What::Closure(closure) => closure.family.name().to_owned(),
        }
    }

    /// When a page is made whose rule has these bytes, without reading all of them; eager where there is no rule.
    #[must_use]
    pub fn when_of(bytes: &[u8]) -> When {
        let code = |bytes| {
            let mut from = Reader::new(bytes);
            for _ in 0..from.varint().ok()? {
                from.varint().ok()?;
                from.u8().ok()?;
            }
            from.u8().ok()
        };
        let code = if bytes.is_empty() { None } else { code(bytes) };
        let when = code.and_then(|code: u8| WHENS.get(usize::from(code >> WHEN)));
        when.map_or(When::Eager, |(when, _)| *when)
    }

    /// Its bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut to = Writer::new();
        edge::encode(&self.edges, &mut to);
        to.u8(self.code() | (self.when as u8) << WHEN);
        match &self.what {
            What::Program(name) => to.str(name),
            What::Express(express) => express.encode(&mut to),
            What::Reduce(reduce) => reduce.encode(&mut to),
            What::Gather(gather) => gather.encode(&mut to),
            What::Filter(filter) => filter.encode(&mut to),
            What::Window(window) => window.encode(&mut to),
            What::Join(join) => join.encode(&mut to),
            What::Product(product) => product.encode(&mut to),
            What::Closure(closure) => closure.encode(&mut to),
        }
        to.into_vec()
    }

    /// The number of its kind.
    const fn code(&self) -> u8 {
        match &self.what {
            What::Program(_) => PROGRAM,
            What::Express(_) => EXPRESS,
            What::Reduce(_) => REDUCE,
            What::Gather(_) => GATHER,
            What::Filter(_) => FILTER,
            What::Window(_) => WINDOW,
            What::Join(_) => JOIN,
            What::Product(_) => PRODUCT,
            What::Closure(_) => CLOSURE,
        }
    }

    /// The rule of these bytes.
    ///
    /// # Errors
    /// [`RuleError::Unreadable`].
    pub fn decode(bytes: &[u8]) -> Result<Self, RuleError> {
        let mut from = Reader::new(bytes);
        let edges = edge::decode(&mut from).map_err(|error| RuleError::Unreadable(error.to_string()))?;
        let code = from.u8()?;
        let when = WHENS.get(usize::from(code >> WHEN)).map(|(when, _)| *when);
        let when = when.ok_or_else(|| RuleError::Unreadable("it is made at an unknown time".into()))?;
        let what = match code & ((1 << WHEN) - 1) {
            PROGRAM => What::Program(from.str()?.to_owned()),
            EXPRESS => What::Express(Express::decode(&mut from)?),
            REDUCE => What::Reduce(Reduce::decode(&mut from)?),
            GATHER => What::Gather(Gather::decode(&mut from)?),
            FILTER => What::Filter(Filter::decode(&mut from)?),
            WINDOW => What::Window(Window::decode(&mut from)?),
            JOIN => What::Join(Join::decode(&mut from)?),
            PRODUCT => What::Product(Product::decode(&mut from)?),
            CLOSURE => What::Closure(Closure::decode(&mut from)?),
            tag => return Err(RuleError::Unreadable(format!("it is of an unknown kind, {tag}"))),
        };
        if from.is_empty() {
            Ok(Self { edges, what, when })
        } else {
            Err(RuleError::Unreadable("it goes on behind its end".into()))
        }
    }
}
