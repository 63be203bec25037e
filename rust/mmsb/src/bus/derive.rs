//! Pages that follow from others: making them, having them follow from something else, and looking at why they are what
//! they are.

use std::sync::Arc;

use crate::base::ids::{Epoch, PageId};
use crate::bus::commit::{Change, Committed};
use crate::bus::error::Error;
use crate::bus::follow::named;
use crate::bus::functions::Declared;
use crate::bus::handle::Bus;
use crate::bus::on_read::is_lazy;
use crate::bus::options::Note;
use crate::bus::past::provenance::{Origins, provenance};
use crate::bus::state::State;
use crate::bus::transaction::{Isolation, Transaction};
use crate::bus::upkeep::settle::settle;
use crate::graph::edge::EdgeKind;
use crate::page::delta::{Data, Delta, Part};
use crate::page::operator::OperatorId;
use crate::page::schema::{Column, Kind, Schema};
use crate::page::select::Select;
use crate::propagation::error::{FlowError, RuleError};
use crate::propagation::kernel::{Gives, Shape};
use crate::propagation::program::Program;
use crate::propagation::rule::{Rule, What, When};
use crate::propagation::run::BEHIND;
use crate::propagation::runs::Run;
use crate::propagation::trace::Step;

/// A page that is to follow from others.
#[derive(Debug, Clone)]
pub struct Derived {
    /// What from, and how.
    pub rule: Rule,
    /// Its columns and rows, where the rule does not say them; a rule that does may be told the kind of page only.
    pub shape: Option<(Schema, u64)>,
    /// The user's function, where the rule names one.
    pub program: Option<Arc<dyn Program>>,
}

impl Bus {
    /// Makes a page that follows from others: from now on every commit that changes what it follows from changes it too.
    ///
    /// # Errors
    /// Those of [`Transaction::derive`], and what the rule fails with on what there is: then there is no such page.
    pub fn derive(&self, name: &str, derived: Derived, note: &Note) -> Result<PageId, Error> {
        let mut tx = self.begin(Isolation::Snapshot, note.clone())?;
        let page = tx.derive(name, derived)?;
        tx.commit()?;
        Ok(page)
    }

    /// Has a page follow from something else, and makes it anew.
    ///
    /// # Errors
    /// Those of [`Transaction::rewire`].
    pub fn rewire(&self, page: PageId, derived: Derived, note: &Note) -> Result<Option<Committed>, Error> {
        let mut tx = self.begin(Isolation::Snapshot, note.clone())?;
        tx.rewire(page, derived)?;
        tx.commit()
    }

    /// Has a page follow from nothing any more: its cells stay, and may be written.
    ///
    /// # Errors
    /// No such page.
    pub fn release(&self, page: PageId, note: &Note) -> Result<Option<Committed>, Error> {
        let mut tx = self.begin(Isolation::Snapshot, note.clone())?;
        tx.release(page)?;
        tx.commit()
    }

    /// Makes now what commits of this branch put off to an epoch of its own, and waits for that; nothing where there was
    /// nothing to make. Pages whose functions this process does not know stay behind.
    ///
    /// # Errors
    /// What a rule fails with; a closed handle.
    pub fn settle(&self) -> Result<Option<Committed>, Error> {
        self.writable()?;
        settle(self.core(), self.line(), true, self.manner().busy_timeout)
    }

    /// What kept a page from being made in an epoch of its own the last time, in words; where nothing did, and of no page,
    /// what kept the first one that was.
    ///
    /// # Errors
    /// A closed handle.
    pub fn settle_failed(&self, page: Option<PageId>) -> Result<Option<String>, Error> {
        let writer = self.core().writer_here(self.manner().busy_timeout)?;
        Ok(writer.flows.failed(self.line().id, page).map(ToOwned::to_owned))
    }

    /// What a page follows from, and how; nothing where it follows from nothing.
    ///
    /// # Errors
    /// No such page, or a rule that cannot be read.
    pub fn rule(&self, page: PageId) -> Result<Option<Rule>, Error> {
        self.state()?.follows(page)
    }

    /// What ran in an epoch of this branch, in its order; nothing of an epoch that this process did not make, or that is
    /// forgotten.
    ///
    /// # Errors
    /// A closed handle; an epoch that is not yet.
    pub fn trace(&self, epoch: Epoch) -> Result<Vec<Step>, Error> {
        let writer = self.core().writer_here(self.manner().busy_timeout)?;
        let traces = writer.flows.traces(self.line().id);
        let steps = traces.map_or_else(Vec::new, |traces| traces.of(epoch).to_vec());
        drop(writer);
        // What ran may be told before the epoch that it ran in is published.
        if steps.is_empty() {
            self.come_to(epoch)?;
        }
        Ok(steps)
    }

    /// Which commits and pages made rows of a page what they are at an epoch, by default all rows, now: that part first, and
    /// the parts that it follows from by number. History that is not kept is not told.
    ///
    /// # Errors
    /// No such page, row or epoch.
    pub fn provenance(
        &self,
        page: PageId,
        row: Option<u64>,
        epoch: Option<Epoch>,
    ) -> Result<Vec<Origins>, Error> {
        let epoch = epoch.map_or_else(|| self.epoch(), Ok)?;
        let rows = self.at(epoch)?.version(page)?.1;
        let wanted = match row {
            None => Run::new(0, rows),
            Some(row) if row < rows => Run::new(row, row + 1),
            Some(row) => return Err(Error::Invalid(format!("row {row} of a page of {rows} rows"))),
        };
        provenance(self.core(), self.line(), epoch, page, wanted)
    }

    /// The newest time that a page was looked at by this process on this branch: in which epoch, and what came of it.
    ///
    /// # Errors
    /// A closed handle.
    pub fn last_step(&self, page: PageId) -> Result<Option<(Epoch, Step)>, Error> {
        let writer = self.core().writer_here(self.manner().busy_timeout)?;
        Ok(writer.flows.traces(self.line().id).and_then(|traces| traces.last_of(page)))
    }
}

impl State {
    /// Whether a page that follows from others is behind them: nobody could make it when they changed, or something
    /// changed that it does not take cells from but must be looked at for.
    ///
    /// # Errors
    /// No such page.
    pub fn is_behind(&self, page: PageId) -> Result<bool, Error> {
        let marks = self.marks(page)?;
        if self.found_if(page)?.is_some_and(is_lazy) && self.made_behind(page)? {
            return Ok(true);
        }
        Ok(marks & (BEHIND | EdgeKind::Control.mark()) != 0)
    }

    /// What a page follows from, and how; nothing where it follows from nothing.
    ///
    /// # Errors
    /// No such page, or a rule that cannot be read.
    pub fn follows(&self, page: PageId) -> Result<Option<Rule>, Error> {
        let bytes = self.rule(page)?;
        if bytes.is_empty() {
            return Ok(None);
        }
        let rule = Rule::decode(&bytes);
        rule.map(Some).map_err(|source| {
            wrong(self.info(page).map_or_else(|_| page.to_string(), |info| info.name), source)
        })
    }
}

impl Transaction {
    /// Makes a page that follows from others.
    ///
    /// # Errors
    /// A name that is taken, an input that is not there, what the rule finds wrong with its inputs, a shape other than the
    /// rule gives, a user's function that is not there.
    pub fn derive(&mut self, name: &str, derived: Derived) -> Result<PageId, Error> {
        let (schema, rows) = self.shape(name, &derived)?;
        let page = self.create_page(name, schema, rows)?;
        self.follow_rule(page, derived)?;
        Ok(page)
    }

    /// Has a page follow from something else. Its columns stay as they are.
    ///
    /// # Errors
    /// As [`Transaction::derive`]; columns that the rule does not give; a page that would follow from itself.
    pub fn rewire(&mut self, page: PageId, derived: Derived) -> Result<(), Error> {
        let info = self.info(page)?;
        if let Some((asked, rows)) = &derived.shape
            && (!same_columns(asked, info.schema.columns())
                || *rows != info.rows && derived.rule.spec().is_none())
        {
            let (has, asked) = (shown(info.schema.columns()), shown(asked.columns()));
            let what =
                format!("it has {} rows of the columns {has}, and is asked for {rows} of {asked}", info.rows);
            return Err(wrong(info.name, RuleError::Unfit { rule: "the page's shape", what }));
        }
        let shape = Some(((*info.schema).clone(), info.rows));
        self.shape(&info.name, &Derived { shape, ..derived.clone() })?;
        self.follow_rule(page, derived)
    }

    /// Whether a page follows from others.
    ///
    /// # Errors
    /// No such page.
    pub fn is_derived(&self, page: PageId) -> Result<bool, Error> {
        Ok(!self.rule(page)?.is_empty())
    }

    /// As [`State::is_behind`], with what the transaction wrote; the page is read by that.
    ///
    /// # Errors
    /// No such page; a rule that fails.
    pub fn is_behind(&mut self, page: PageId) -> Result<bool, Error> {
        self.version(page)?;
        self.own_state()?.is_behind(page)
    }

    /// Has a page follow from nothing any more: its cells stay, and may be written.
    ///
    /// # Errors
    /// No such page.
    pub fn release(&mut self, page: PageId) -> Result<(), Error> {
        if is_lazy(self.found(page)?) {
            // Its cells stay: those that whoever reads it now gets.
            let state = self.own_state()?;
            let info = state.info(page)?;
            let mut parts = Vec::new();
            for (i, column) in info.schema.columns().iter().enumerate() {
                let select = Select::range(0, info.rows);
                let mut bytes = vec![0; (info.rows * column.row_bytes()) as usize];
                state.read(page, i, &select, &mut bytes)?;
                parts.push(Part { column: i as u16, select, data: Data::Dense(bytes.into()) });
            }
            // The state is of this transaction, which may change nothing while it is there.
            drop(state);
            self.set_rule(page, Vec::new())?;
            return self.write(Delta { page, op: OperatorId::ASSIGN, parts });
        }
        self.set_rule(page, Vec::new())
    }

    /// The marks that a page has.
    pub(crate) fn marks(&self, id: PageId) -> Result<u8, Error> {
        Ok(self.found(id)?.marks())
    }

    /// Gives a page marks.
    pub(crate) fn set_marks(&mut self, id: PageId, marks: u8) -> Result<(), Error> {
        self.push(Change::Marks(id, marks))
    }

    /// What a page follows from, and how; empty where from nothing.
    pub(crate) fn rule(&self, id: PageId) -> Result<Vec<u8>, Error> {
        Ok(self.found(id)?.def().rule().to_vec())
    }

    /// Says what a page follows from, and how; from nothing where the rule is empty.
    pub(crate) fn set_rule(&mut self, id: PageId, rule: Vec<u8>) -> Result<(), Error> {
        self.found(id)?;
        self.push(Change::Rule(id, rule))
    }

    fn follow_rule(&mut self, page: PageId, derived: Derived) -> Result<(), Error> {
        if derived.rule.when == When::Lazy {
            if let What::Filter(_) = derived.rule.what {
                let what = "how many rows a filter keeps is known once it is made".to_owned();
                return Err(wrong(self.info(page)?.name, RuleError::Unfit { rule: "a lazy page", what }));
            }
        } else {
            self.wake(derived.rule.edges.iter().map(|edge| edge.page).collect())?;
        }
        let rule = derived.rule.encode();
        self.set_rule(page, rule.clone())?;
        if let Some(program) = derived.program {
            self.declare(Declared { page, rule, program });
        }
        Ok(())
    }

    /// Has pages that are made when somebody reads them made in every commit from now on, and what they follow from.
    fn wake(&mut self, mut pages: Vec<PageId>) -> Result<(), Error> {
        while let Some(page) = pages.pop() {
            let old = self.rule(page)?;
            if Rule::when_of(&old) != When::Lazy {
                continue;
            }
            let name = || page.to_string();
            let rule = Rule::decode(&old).map_err(|source| wrong(name(), source))?.when(When::Eager);
            let own = self.declared.iter().rfind(|own| own.page == page && own.rule == old);
            let known = own.map(|own| Arc::clone(&own.program));
            let known = known.or_else(|| self.core.function(self.line.id, page, &old));
            pages.extend(rule.edges.iter().map(|edge| edge.page));
            let rule = rule.encode();
            self.set_rule(page, rule.clone())?;
            if let Some(program) = known {
                self.declare(Declared { page, rule, program });
            }
        }
        Ok(())
    }

    /// The columns and rows that a page has by its rule.
    fn shape(&mut self, name: &str, derived: &Derived) -> Result<(Schema, u64), Error> {
        if derived.rule.inputs().next().is_none() {
            let what = "it follows from no page: a rule has inputs".to_owned();
            return Err(wrong(name.into(), RuleError::Unfit { rule: "the rule", what }));
        }
        let Some(spec) = derived.rule.spec() else {
            if derived.program.is_none() {
                let what = format!("the function '{}' is not given", derived.rule.name());
                return Err(wrong(name.into(), RuleError::Unfit { rule: "a user's function", what }));
            }
            for input in derived.rule.inputs() {
                self.info(input)?;
            }
            return derived.shape.clone().ok_or_else(|| {
                let what = format!("the shape that the function '{}' gives is not said", derived.rule.name());
                wrong(name.into(), RuleError::Unfit { rule: "a user's function", what })
            });
        };
        let infos = derived.rule.inputs().map(|input| self.info(input)).collect::<Result<Vec<_>, _>>()?;
        let shapes: Vec<Shape<'_>> =
            infos.iter().map(|info| Shape { schema: &info.schema, rows: info.rows }).collect();
        let gives = spec.gives(&shapes).map_err(|source| wrong(name.into(), source))?;
        fit(gives, derived.shape.as_ref())
            .map_err(|what| wrong(name.into(), RuleError::Unfit { rule: "the page's shape", what }))
    }
}

/// The schema of what a rule gives, of the kind that was asked for.
fn fit(gives: Gives, asked: Option<&(Schema, u64)>) -> Result<(Schema, u64), String> {
    let Gives { kind, columns, rows } = gives;
    let Some((schema, _)) = asked else {
        let schema = Schema::new(kind, columns, None).map_err(|error| error.to_string())?;
        return Ok((schema, rows));
    };
    if same_columns(schema, &columns) {
        return Ok((schema.clone(), rows));
    }
    Err(format!("it has the columns {}, where the rule gives {}", shown(schema.columns()), shown(&columns)))
}

/// Whether both have the same columns, by name where they are tables.
fn same_columns(schema: &Schema, columns: &[Column]) -> bool {
    schema.columns().len() == columns.len()
        && schema.columns().iter().zip(columns).all(|(asked, given)| {
            (asked.dtype(), asked.inner()) == (given.dtype(), given.inner())
                && (schema.kind() != Kind::Table || asked.name() == given.name())
        })
}

fn shown(columns: &[Column]) -> String {
    let one = |column: &Column| format!("{} {}{:?}", column.name(), column.dtype(), column.inner());
    columns.iter().map(one).collect::<Vec<_>>().join(", ")
}

fn wrong(page: String, source: RuleError) -> Error {
    named(FlowError::Rule { page, source }, &[], |page| page.to_string())
}
