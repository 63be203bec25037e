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
use crate::propagation::place::Table;
use crate::propagation::program::{Call, Programs};
use crate::propagation::rule::Rule;
use crate::propagation::trace::Outcome;

/// A node that is looked at.
#[derive(Debug)]
pub(super) struct Task {
    pub slot: Slot,
    /// Why it is looked at.
    pub why: u8,
    pub page: PageId,
    /// The first input that changed, or the page itself.
    pub cause: PageId,
    /// The marks that its page has.
    pub marks: u8,
    /// Rows of its inputs that had changed.
    pub rows_in: u64,
    pub todo: Todo,
}

/// What is to be done about it.
#[derive(Debug)]
pub(super) enum Todo {
    /// Nothing: it came to this already.
    Nothing(Outcome),
    /// Its page is to be made.
    Make(How),
}

/// How a page is to be made.
#[derive(Debug)]
pub(super) struct How {
    /// Where all of it is to be made, whatever is remembered, the lists of all rows of its inputs.
    pub whole: Option<Vec<Listed>>,
    /// Whether only how many rows it has is to be known: its cells are made when somebody reads them.
    pub rows_only: bool,
}

/// A page that is to be made, and what from.
#[derive(Debug)]
struct Job<'v> {
    page: PageRef<'v>,
    schema: &'v Schema,
    inputs: &'v [Input<'v>],
    whole: bool,
    rows_only: bool,
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
    /// Rows of it that changed.
    pub rows_out: u64,
    pub outcome: Outcome,
    /// Whether what follows from it must be made whole: it is of another shape, or could not be made before.
    pub again: bool,
}

impl Came {
    /// It was not made.
    pub const fn to(outcome: Outcome) -> Self {
        Self { rows_out: 0, outcome, again: false }
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
    let lists: Vec<Listed> =
        inputs.iter().map(|(page, schema)| changes.whole(schema.columns().len(), page.rows())).collect();
    let views = inputs.iter().zip(lists);
    let views = views.map(|(&(page, schema), listed)| Input::new(page, schema, None, changes.get(listed)));
    let job = Job { page, schema, inputs: &views.collect::<Vec<_>>(), whole: true, rows_only: false };
    let name = rule.name();
    let mut node = Node::of(Some(rule));
    made.clear();
    match node.make(&job, (programs, false), made)? {
        Gave::Cells { rows } => Ok(rows),
        Gave::Nothing(_) => {
            let what = format!("this process does not know '{name}', which makes the page when it is read");
            Err(FlowError::of(page, RuleError::Unfit { rule: "a user's function", what }))
        }
    }
}

impl Task {
    /// Runs the rule of a node, where there is something to make.
    pub fn run(
        &self,
        node: &mut Node,
        table: Table<'_>,
        by: (&dyn Programs, bool),
        scratch: &mut Scratch,
    ) -> Result<Gave, FlowError> {
        let Scratch { made, views } = scratch;
        made.clear();
        let How { whole, rows_only } = match &self.todo {
            Todo::Make(how) => how,
            Todo::Nothing(outcome) => return Ok(Gave::Nothing(*outcome)),
        };
        let Some((page, schema)) = table.page(self.slot) else {
            return Ok(Gave::Nothing(Outcome::Equal));
        };
        let mut inputs = emptied(std::mem::take(views));
        table.inputs(self.slot, whole.as_deref(), &mut inputs);
        let job = Job { page, schema, inputs: &inputs, whole: whole.is_some(), rows_only: *rows_only };
        let gave = node.make(&job, by, made);
        *views = emptied(inputs);
        gave
    }

    /// Whether it can be worked on by any thread, beside others, with what is known of its node.
    pub fn goes_anywhere(&self, node: &Node) -> bool {
        matches!(&self.todo, Todo::Make(how) if !how.rows_only) && node.goes_anywhere()
    }
}

/// A vector of no inputs, in the memory of one of others.
fn emptied<'v>(mut inputs: Vec<Input<'_>>) -> Vec<Input<'v>> {
    inputs.clear();
    // The standard library collects in place where both have elements of the same layout.
    inputs.into_iter().map(|_| unreachable!("it is empty")).collect()
}

/// Memory for making one page after the other.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    pub made: Made,
    views: Vec<Input<'static>>,
}

impl Node {
    /// Makes a page.
    fn make(
        &mut self,
        job: &Job<'_>,
        (programs, lasts): (&dyn Programs, bool),
        made: &mut Made,
    ) -> Result<Gave, FlowError> {
        let Node { rule: Some(rule), kernel, program, primed, .. } = self else {
            return Ok(Gave::Nothing(Outcome::Equal));
        };
        let failed = |source| FlowError::of(job.page, source);
        let shapes = || job.inputs.iter().map(Input::shape).collect::<Vec<Shape<'_>>>();
        let mut rows = None;
        if job.rows_only {
            if let Some(spec) = rule.spec() {
                rows = Some(spec.gives(&shapes()).map_err(failed)?.rows);
            }
            return Ok(Gave::Cells { rows });
        }
        let id = job.page.id();
        if job.whole
            && let Some(spec) = rule.spec()
        {
            let shapes = shapes();
            rows = Some(spec.gives(&shapes).map_err(failed)?.rows);
            *kernel = Some(spec.kernel(&shapes).map_err(failed)?);
        } else if kernel.is_none() && program.is_none() {
            *program = programs.program(id, job.page.def().rule());
        }
        if let Some(kernel) = kernel {
            kernel.run(job.inputs, made).map_err(failed)?;
        } else {
            let Some(program) = program else { return Ok(Gave::Nothing(Outcome::Behind)) };
            let call = Call { inputs: job.inputs, page: job.page, schema: job.schema, lasts };
            programs.running(Some(id));
            let ran = program.run(&call, made);
            programs.running(None);
            ran.map_err(|source| FlowError::Raised {
                page: job.page.def().name().to_owned(),
                rule: rule.name(),
                source,
            })?;
        }
        *primed = true;
        Ok(Gave::Cells { rows: made.rows().or(rows) })
    }
}
