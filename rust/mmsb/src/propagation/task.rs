//! Looking at one node: what it is given, and what its rule makes of that. Nothing here changes anything but the node, so
//! nodes of one level may be worked on at the same time.

use crate::base::ids::PageId;
use crate::graph::network::Slot;
use crate::page::schema::Schema;
use crate::page::version::PageRef;
use crate::propagation::changes::{Changes, Listed};
use crate::propagation::error::{FlowError, RuleError};
use crate::propagation::flow::Node;
use crate::propagation::kernel::{Input, Shape};
use crate::propagation::made::Made;
use crate::propagation::program::{Call, Programs};
use crate::propagation::rule::Rule;
use crate::propagation::runs;
use crate::propagation::trace::Outcome;

/// A node that is looked at, taken out of its flow for as long.
#[derive(Debug)]
pub(super) struct Task<'a> {
    pub slot: Slot,
    /// Why it is looked at.
    pub why: u8,
    pub page: PageId,
    /// The first input that changed, or the page itself.
    pub cause: PageId,
    /// The marks that its page has.
    pub marks: u8,
    pub node: Node,
    pub todo: Todo<'a>,
}

/// What is to be done about it.
#[derive(Debug)]
pub(super) enum Todo<'a> {
    /// Nothing: it came to this already.
    Nothing(Outcome),
    Make(Job<'a>),
}

/// What a page is to be made from.
#[derive(Debug)]
pub(super) struct Job<'a> {
    /// The page as it is.
    pub page: PageRef<'a>,
    pub schema: &'a Schema,
    /// Whether all of it is to be made, whatever is remembered.
    pub whole: bool,
    /// Whether only how many rows it has is to be known: its cells are made when somebody reads them.
    pub rows_only: bool,
    pub inputs: Vec<Given<'a>>,
}

/// An input, and where it is written what changed of it.
#[derive(Debug)]
pub(super) struct Given<'a> {
    pub page: PageRef<'a>,
    pub schema: &'a Schema,
    pub before: Option<PageRef<'a>>,
    pub changed: Listed,
}

/// What came of running a rule.
#[derive(Debug)]
pub(super) struct Ran {
    /// Rows of its inputs that had changed.
    pub rows_in: u64,
    pub gave: Gave,
}

/// What a rule gave.
#[derive(Debug)]
pub(super) enum Gave {
    /// It was not run.
    Nothing(Outcome),
    /// Cells, and how many rows the page is to have where that is new.
    Cells { rows: Option<u64> },
}

/// What looking at a page came to.
#[derive(Debug)]
pub(super) struct Came {
    /// Rows of it that changed, and where they are written down.
    pub rows_out: u64,
    pub listed: Option<Listed>,
    pub outcome: Outcome,
    /// Whether what follows from it must be made whole: it is of another shape, or could not be made before.
    pub again: bool,
}

impl Came {
    /// It was not made.
    pub const fn to(outcome: Outcome) -> Self {
        Self { rows_out: 0, listed: None, outcome, again: false }
    }
}

/// Makes a page from nothing, on its own. How many rows it has, where its rule says that.
///
/// # Errors
/// What the rule fails with; a user's function that this process does not know.
pub(crate) fn from_nothing(
    rule: Rule,
    (page, schema): (PageRef<'_>, &Schema),
    inputs: &[(PageRef<'_>, &Schema)],
    programs: &dyn Programs,
    made: &mut Made,
) -> Result<Option<u64>, FlowError> {
    let mut changes = Changes::default();
    let mut given =
        |(page, schema): (PageRef<'_>, &Schema)| changes.whole(schema.columns().len(), page.rows());
    let inputs = inputs.iter().map(|&(page, schema)| {
        let changed = given((page, schema));
        Given { page, schema, before: None, changed }
    });
    let job = Job { page, schema, whole: true, rows_only: false, inputs: inputs.collect() };
    let name = rule.name();
    let node = Node { rule: Some(rule), ..Node::default() };
    let id = page.id();
    let mut task = Task { slot: 0, why: 0, page: id, cause: id, marks: 0, node, todo: Todo::Make(job) };
    match task.run(&changes, (programs, false), made)?.gave {
        Gave::Cells { rows } => Ok(rows),
        Gave::Nothing(_) => {
            let what = format!("this process does not know '{name}', which makes the page when it is read");
            Err(FlowError::of(page, RuleError::Unfit { rule: "a user's function", what }))
        }
    }
}

impl Task<'_> {
    /// Runs the rule, where there is something to make.
    pub fn run(
        &mut self,
        changes: &Changes,
        (programs, lasts): (&dyn Programs, bool),
        made: &mut Made,
    ) -> Result<Ran, FlowError> {
        made.clear();
        let job = match &self.todo {
            Todo::Make(job) => job,
            Todo::Nothing(outcome) => return Ok(Ran { rows_in: 0, gave: Gave::Nothing(*outcome) }),
        };
        let views: Vec<Input<'_>> = job
            .inputs
            .iter()
            .map(|given| Input {
                page: given.page,
                schema: given.schema,
                before: given.before,
                changed: changes.get(given.changed),
            })
            .collect();
        let rows_in = views.iter().flat_map(|input| input.changed).map(|list| runs::rows(list)).sum();
        let Node { rule: Some(rule), kernel, program, primed, .. } = &mut self.node else {
            return Ok(Ran { rows_in, gave: Gave::Nothing(Outcome::Equal) });
        };
        let failed = |source| FlowError::of(job.page, source);
        let mut rows = None;
        if job.rows_only {
            if let Some(spec) = rule.spec() {
                let shapes: Vec<Shape<'_>> = views.iter().map(Input::shape).collect();
                rows = Some(spec.gives(&shapes).map_err(failed)?.rows);
            }
            return Ok(Ran { rows_in, gave: Gave::Cells { rows } });
        }
        if let Some(spec) = rule.spec() {
            if job.whole {
                let shapes: Vec<Shape<'_>> = views.iter().map(Input::shape).collect();
                rows = Some(spec.gives(&shapes).map_err(failed)?.rows);
                *kernel = Some(spec.kernel(&shapes).map_err(failed)?);
            }
            if let Some(kernel) = kernel {
                kernel.run(&views, made).map_err(failed)?;
            }
        } else {
            if program.is_none() {
                *program = programs.program(self.page, job.page.def().rule());
            }
            let Some(program) = program else {
                return Ok(Ran { rows_in, gave: Gave::Nothing(Outcome::Behind) });
            };
            let call = Call { inputs: &views, page: job.page, schema: job.schema, lasts };
            programs.running(Some(self.page));
            let ran = program.run(&call, made);
            programs.running(None);
            ran.map_err(|source| FlowError::Raised {
                page: job.page.def().name().to_owned(),
                rule: rule.name(),
                source,
            })?;
        }
        *primed = true;
        Ok(Ran { rows_in, gave: Gave::Cells { rows: made.rows().or(rows) } })
    }

    /// Whether it can be worked on by any thread, beside others.
    pub fn goes_anywhere(&self) -> bool {
        let makes = matches!(&self.todo, Todo::Make(job) if !job.rows_only);
        makes && self.node.goes_anywhere()
    }
}
