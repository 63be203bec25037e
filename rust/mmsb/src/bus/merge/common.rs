//! The base of a merge: the state that both sides have in common.
//!
//! Where more than one newest state leads to both (a criss-cross merge), the base is what merging those makes, as in git's
//! recursive strategy; what they conflict in has no common value.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::base::ids::{Epoch, PageId};
use crate::base::limits::MERGE_BASES_DEEP;
use crate::bus::core::Core;
use crate::bus::error::Error;
use crate::bus::line::Line;
use crate::bus::merge::ancestry::{Common, joined, newest_common};
use crate::bus::merge::join::join;
use crate::bus::merge::runs::{Runs, tidy};
use crate::bus::merge::since::Sides;
use crate::bus::merge::three_way::{OnConflict, bring, state_at};
use crate::bus::options::{Manner, Note};
use crate::bus::state::State;
use crate::bus::transaction::{Isolation, Transaction};

/// What has no common value.
#[derive(Debug, Default)]
pub(crate) struct Unsure {
    /// Whether the page is there at all, with which rows and cells.
    pub pages: BTreeSet<PageId>,
    /// Cells of columns.
    pub cells: BTreeMap<(PageId, u16), Runs>,
}

impl Unsure {
    /// Cells of a column, ascending.
    pub fn of(&self, page: PageId, column: u16) -> Runs {
        self.cells.get(&(page, column)).cloned().unwrap_or_default()
    }

    /// Whether anything of a page is.
    pub fn has(&self, page: PageId) -> bool {
        self.pages.contains(&page) || self.cells.range((page, 0)..=(page, u16::MAX)).next().is_some()
    }

    /// The pages of which anything is.
    pub fn all(&self) -> BTreeSet<PageId> {
        self.pages.iter().copied().chain(self.cells.keys().map(|key| key.0)).collect()
    }

    /// Adds cells of a column.
    pub fn add(&mut self, page: PageId, column: u16, more: Runs) {
        let runs = self.cells.entry((page, column)).or_default();
        runs.extend(more);
        tidy(runs);
    }
}

/// What the two sides of a merge have in common.
#[derive(Debug)]
pub(crate) struct Base {
    pub state: State,
    pub unsure: Unsure,
    /// Has the state, where no commit made it.
    _made: Option<Transaction>,
}

/// A bus, a branch of it that is alive, and how to wait.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place<'p> {
    pub core: &'p Arc<Core>,
    pub line: &'p Arc<Line>,
    pub manner: Manner,
}

impl Base {
    /// Of two states that these lead to.
    pub fn of(place: Place<'_>, sides: Sides<'_>) -> Result<Self, Error> {
        Base::within(place, sides, 0)
    }

    fn within(place: Place<'_>, sides: Sides<'_>, deep: usize) -> Result<Self, Error> {
        let common = newest_common(place.core, sides.ours, sides.theirs)?;
        let mut rest = common.iter();
        let (newest, line, epoch) = match rest.next() {
            Some(newest) => (Some(newest), &newest.line, newest.epoch),
            None => (None, place.line, Epoch(0)),
        };
        let state = state_at(place.core, line, epoch)?;
        let mut base = Base { state, unsure: Unsure::default(), _made: None };
        let Some(newest) = newest.filter(|_| common.len() > 1 && deep < MERGE_BASES_DEEP) else {
            return Ok(base);
        };
        let mut known = newest.known(place.core)?;
        for other in rest {
            let theirs = other.known(place.core)?;
            base = base.with(place, other, Sides { ours: &known, theirs: &theirs }, deep)?;
            known = joined(known, &theirs);
        }
        Ok(base)
    }

    /// What merging another state into it makes.
    fn with(self, place: Place<'_>, other: &Common, sides: Sides<'_>, deep: usize) -> Result<Self, Error> {
        let below = Base::within(place, sides, deep + 1)?;
        let theirs = state_at(place.core, &other.line, other.epoch)?;
        // Made of the present, from which it differs in little; never committed.
        let mut tx =
            Transaction::begin(place.core, place.line, place.manner, Isolation::Snapshot, Note::default())?;
        tx.restores();
        bring(&mut tx, &self.state, &mut || {})?;
        let found = join(&mut tx, &self.state, &theirs, &below, sides, OnConflict::Raise, &mut || {})?;
        let mut unsure = self.unsure;
        unsure.pages.extend(found.unsure.pages);
        found.unsure.cells.into_iter().for_each(|((page, column), runs)| unsure.add(page, column, runs));
        Ok(Base { state: tx.own_state()?, unsure, _made: Some(tx) })
    }
}
