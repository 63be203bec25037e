//! Pages that follow from others: declaring them, and what is known of them.

use std::sync::Arc;

use mmsb::base::ids::{Epoch, PageId};
use mmsb::bus::derive::Derived;
use mmsb::bus::error::Error;
use mmsb::bus::handle::Bus as CoreBus;
use mmsb::bus::options::Note;
use mmsb::bus::past::provenance::Origins;
use mmsb::graph::edge::{Edge, EdgeKind};
use mmsb::page::schema::Schema;
use mmsb::propagation::program::Program;
use mmsb::propagation::rule::{Rule, What, When};
use mmsb::propagation::runs::Run;
use mmsb::propagation::trace::Step;
use pyo3::prelude::*;
use pyo3::types::PyTuple;

use crate::builtin;
use crate::bus::Bus;
use crate::error::{Fault, Outcome};
use crate::layout::{self, Given};
use crate::page::Page;
use crate::rule::Function;
use crate::transaction::{Fate, current};

/// What a function's page looks like: kind, columns, rows.
pub type Shape<'py> = (String, Vec<Given<'py>>, u64);

/// A step: page and cause by id, level, rows in and out, outcome, nanoseconds.
pub type Told = (u64, u64, u32, u32, u32, &'static str, u32);

/// A rule: its word, what it is named, its inputs by id with the kind of their edge, and when it is made.
type Ruled = (&'static str, String, Vec<(u64, &'static str)>, &'static str);

impl Bus {
    /// Has a page follow from others, made when it is said: a new one, or one of that name that follows from others already.
    pub fn follow<'py>(
        &self,
        py: Python<'py>,
        name: &str,
        mut derived: Derived,
        when: &str,
    ) -> Outcome<Bound<'py, Page>> {
        derived.rule.when = When::named(when).ok_or_else(|| {
            let can = "'eager', 'deferred' and 'lazy' are possible";
            Fault::invalid(format!("page '{name}': when {when:?}: {can}"))
        })?;
        let old = match self.find(py, name)? {
            Some(id) if self.is_derived(py, id)? => Some(id),
            _ => None,
        };
        let id = match current(py, &self.handle)? {
            Some(tx) => match old {
                Some(id) => tx.get().catch_up(py, 0, |tx| tx.rewire(id, derived).map(|()| id))?,
                None => {
                    let id = tx.get().catch_up(py, 0, |tx| tx.derive(name, derived))?;
                    tx.get().note(&self.kept(), id, Fate::Made);
                    id
                }
            },
            None => {
                let note = Note::default();
                self.handle.long(py, |bus| match old {
                    Some(id) => bus.rewire(id, derived, &note).map(|_| id),
                    None => bus.derive(name, derived, &note),
                })?
            }
        };
        self.page(py, id)
    }

    fn is_derived(&self, py: Python<'_>, id: PageId) -> Outcome<bool> {
        if let Some(tx) = current(py, &self.handle)? {
            return tx.get().with(|tx| tx.is_derived(id));
        }
        Ok(self.handle.bus()?.rule(id)?.is_some())
    }

    /// The pages of these keys, all of this branch, that the page of a name is to follow from.
    pub fn inputs(
        &self,
        py: Python<'_>,
        name: &str,
        keys: &[Bound<'_, PyAny>],
    ) -> Outcome<Vec<(PageId, String)>> {
        let one = |key: &Bound<'_, PyAny>| {
            let id = self.own_id_of(py, key)?;
            let info = self.info(py, id).map_err(|fault| match key.cast::<Page>() {
                Ok(gone) => fault.about(&format!("input '{}'", gone.get().sheet.name)),
                Err(_) => fault,
            })?;
            Ok((id, info.name))
        };
        let all: Outcome<Vec<_>> = keys.iter().map(one).collect();
        all.map_err(|fault| fault.about(&format!("page '{name}'")))
    }
}

/// The edges of a rule.
pub fn edges(inputs: &[(PageId, String)], after: &[(PageId, String)]) -> Vec<Edge> {
    let data = inputs.iter().map(|(page, _)| Edge::data(*page));
    data.chain(after.iter().map(|(page, _)| Edge { page: *page, kind: EdgeKind::Control })).collect()
}

/// The columns and rows of a function's page.
pub fn schema(core: &CoreBus, name: &str, shape: Shape<'_>) -> Outcome<(Schema, u64)> {
    let (kind, columns, rows) = shape;
    let about = |fault: Fault| fault.about(&format!("page '{name}'"));
    let schema: Schema = layout::schema(core, &kind, columns, None).map_err(about)?;
    schema.page_bytes(rows).map_err(|wrong| about(wrong.into()))?;
    Ok((schema, rows))
}

/// Makes a page by a function. `shape` is kind, columns and rows.
#[pyfunction]
#[pyo3(signature = (bus, name, shape, function, called, inputs, after, takes_changed, when))]
#[allow(clippy::too_many_arguments, reason = "what one declaration says, handed over by Python's face alone")]
pub fn _derive<'py>(
    py: Python<'py>,
    bus: &Bus,
    name: &str,
    shape: Shape<'py>,
    function: Py<PyAny>,
    called: &str,
    inputs: Vec<Bound<'py, PyAny>>,
    after: Vec<Bound<'py, PyAny>>,
    takes_changed: bool,
    when: &str,
) -> Outcome<Bound<'py, Page>> {
    let core = bus.handle.bus()?;
    let (schema, rows) = schema(core, name, shape)?;
    let (inputs, after) = (bus.inputs(py, name, &inputs)?, bus.inputs(py, name, &after)?);
    let edges = edges(&inputs, &after);
    let program: Arc<dyn Program> = Arc::new(Function {
        function,
        takes_changed,
        lender: core.lender(),
        opening: bus.handle.opening(),
        inputs: inputs.into_iter().map(|(_, name)| name).collect(),
    });
    let rule = Rule::new(edges, What::Program(called.to_owned()));
    bus.follow(py, name, Derived { rule, shape: Some((schema, rows)), program: Some(program) }, when)
}

/// Makes a page by a built-in rule.
#[pyfunction]
pub fn _derive_by<'py>(
    py: Python<'py>,
    bus: &Bus,
    name: &str,
    said: &Bound<'py, PyTuple>,
    inputs: Vec<Bound<'py, PyAny>>,
    after: Vec<Bound<'py, PyAny>>,
    when: &str,
) -> Outcome<Bound<'py, Page>> {
    let (inputs, after) = (bus.inputs(py, name, &inputs)?, bus.inputs(py, name, &after)?);
    let infos = inputs.iter().map(|(id, _)| bus.info(py, *id)).collect::<Outcome<Vec<_>>>()?;
    let what = builtin::what(said, &infos).map_err(|fault| fault.about(&format!("page '{name}'")))?;
    let rule = Rule::new(edges(&inputs, &after), what);
    bus.follow(py, name, Derived { rule, shape: None, program: None }, when)
}

/// Has a page follow from nothing any more.
#[pyfunction]
pub fn _release(py: Python<'_>, bus: &Bus, page: &Bound<'_, PyAny>) -> Outcome<()> {
    let id = bus.own_id_of(py, page)?;
    match current(py, &bus.handle)? {
        Some(tx) => tx.get().catch_up(py, 0, |tx| tx.release(id)),
        None => {
            let note = Note::default();
            bus.handle.long(py, |bus| bus.release(id, &note)).map(|_| ())
        }
    }
}

/// Makes what commits put off to an epoch of its own; that epoch, or none where there was nothing to make.
#[pyfunction]
pub fn _settle(py: Python<'_>, bus: &Bus) -> Outcome<Option<u64>> {
    let made = bus.handle.long(py, |bus| bus.settle())?;
    Ok(made.map(|committed| committed.epoch.0))
}

/// What kept a page, or one that it may wait for, from being made in an epoch of its own the last time.
#[pyfunction]
pub fn _settle_failed(py: Python<'_>, bus: &Bus, page: u64) -> Outcome<Option<String>> {
    bus.handle.long(py, |bus| bus.settle_failed(Some(PageId(page))))
}

/// What a page follows from, and how.
#[pyfunction]
pub fn _rule(py: Python<'_>, bus: &Bus, page: &Bound<'_, PyAny>) -> Outcome<Option<Ruled>> {
    let id = bus.id_of(py, page)?;
    Ok(bus.handle.bus()?.rule(id)?.map(ruled))
}

fn ruled(rule: Rule) -> Ruled {
    let inputs = rule.edges.iter().map(|edge| (edge.page.0, edge.kind.name())).collect();
    (rule.kind(), rule.name(), inputs, rule.when.name())
}

/// Of every page that follows from others, at an epoch or now: its id, whether it is behind, and what it follows from.
#[pyfunction]
#[pyo3(signature = (bus, epoch = None))]
pub fn _rules(py: Python<'_>, bus: &Bus, epoch: Option<u64>) -> Outcome<Vec<(u64, bool, Ruled)>> {
    let found = bus.handle.long(py, |bus| {
        let state = epoch.map_or_else(|| bus.state(), |epoch| bus.at(Epoch(epoch)))?;
        let mut found = Vec::new();
        for id in state.ids() {
            if let Some(rule) = state.follows(id)? {
                found.push((id.0, state.is_behind(id)?, rule));
            }
        }
        Ok::<_, Error>(found)
    })?;
    Ok(found.into_iter().map(|(id, behind, rule)| (id, behind, ruled(rule))).collect())
}

/// What ran in an epoch, in its order.
#[pyfunction]
pub fn _trace(py: Python<'_>, bus: &Bus, epoch: u64) -> Outcome<Vec<Told>> {
    let steps = bus.handle.long(py, |bus| bus.trace(Epoch(epoch)))?;
    Ok(steps.iter().map(told).collect())
}

/// The newest step of a page, and its epoch.
#[pyfunction]
pub fn _last_step(py: Python<'_>, bus: &Bus, page: u64) -> Outcome<Option<(u64, Told)>> {
    let found = bus.handle.long(py, |bus| bus.last_step(PageId(page)))?;
    Ok(found.map(|(epoch, step)| (epoch.0, told(&step))))
}

/// Part of a lineage: page, first row and behind the last of each run, its commits with the rows each wrote, the numbers of the
/// parts it follows from, and whether there was more.
type Part =
    (u64, Vec<(u64, u64)>, Vec<(u64, Option<String>, Option<String>, Vec<(u64, u64)>)>, Vec<usize>, bool);

/// Which commits and pages made rows of a page what they are.
#[pyfunction]
pub fn _provenance(
    py: Python<'_>,
    bus: &Bus,
    page: &Bound<'_, PyAny>,
    row: Option<u64>,
    epoch: Option<u64>,
) -> Outcome<Vec<Part>> {
    let id = bus.id_of(py, page)?;
    let found = bus.handle.long(py, |bus| bus.provenance(id, row, epoch.map(Epoch)))?;
    let pairs = |runs: &[Run]| runs.iter().map(|run| (run.start, run.stop)).collect::<Vec<_>>();
    let part = |part: Origins| {
        let commits = part.commits.into_iter();
        let commits = commits.map(|(commit, rows)| {
            (commit.epoch.0, commit.source.clone(), commit.intent.clone(), pairs(&rows))
        });
        (part.page.0, pairs(&part.rows), commits.collect(), part.inputs, part.more)
    };
    Ok(found.into_iter().map(part).collect())
}

/// A step, as Python has it.
pub fn told(step: &Step) -> Told {
    (step.page.0, step.cause.0, step.level(), step.rows_in, step.rows_out, step.outcome().name(), step.ns)
}
