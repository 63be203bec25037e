//! Pages that are made when somebody reads them. What they hold follows from the state and is no part of it: no commit
//! makes it, the log does not have it, and it is remembered only as long as what it follows from stays as it is.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::iter::successors;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use crate::base::ids::{BranchId, Epoch, PageId};
use crate::base::spread::Spread;
use crate::bus::error::Error;
use crate::bus::follow::{Known, named};
use crate::bus::private::Private;
use crate::bus::state::State;
use crate::bus::transaction::Transaction;
use crate::bus::validate;
use crate::memory::addr::Addr;
use crate::page::state_error::StateError;
use crate::page::version::PageRef;
use crate::propagation::apply::{Nobody, apply};
use crate::propagation::error::FlowError;
use crate::propagation::made::Made;
use crate::propagation::rule::{Rule, When};
use crate::propagation::run::BEHIND;
use crate::propagation::task::from_nothing;

/// Pages that a bus remembers at most.
const REMEMBERED: usize = 1024;

/// What a page held when somebody read it.
#[derive(Debug)]
pub(crate) struct Read {
    /// The newest epoch that changed what it follows from, or its rule.
    version: Epoch,
    at: Addr,
    /// Keeps what is there.
    _made: Mutex<Private>,
}

/// By branch and page, what was read.
type ByPlace = HashMap<(BranchId, PageId), Arc<Read>, Spread>;

/// By page, what was read of one state.
type ByPage = BTreeMap<PageId, Arc<Read>>;

/// What pages held when somebody read them. It keeps the bus, and so is let go of when the bus is closed.
#[derive(Debug)]
pub(crate) struct Remembered(Mutex<Option<ByPlace>>);

impl Default for Remembered {
    fn default() -> Self {
        Self(Mutex::new(Some(ByPlace::default())))
    }
}

impl Remembered {
    /// Lets go of everything, for good.
    pub fn close(&self) {
        let all = lock(&self.0).take();
        drop(all);
    }

    /// Lets go of everything: its memory is wanted.
    pub fn clear(&self) {
        let all = lock(&self.0).as_mut().map(std::mem::take);
        drop(all);
    }

    /// Lets go of what a branch had that goes.
    pub fn forget(&self, branch: BranchId) {
        let gone =
            lock(&self.0).as_mut().map(|all| all.extract_if(|(of, _), _| *of == branch).collect::<Vec<_>>());
        drop(gone);
    }
}

/// What of a state was read so far. Nothing is there before something is: most states are read without it.
#[derive(Debug, Default)]
pub(crate) struct Reads(OnceLock<Box<Mutex<ByPage>>>);

impl Reads {
    fn get(&self) -> MutexGuard<'_, ByPage> {
        lock(self.0.get_or_init(Box::default))
    }
}

/// Of pages that are made because another is read, that one.
type Wanted = BTreeMap<PageId, PageId>;

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether a page is made when somebody reads it.
pub(crate) fn is_lazy(page: PageRef<'_>) -> bool {
    Rule::when_of(page.def().rule()) == When::Lazy
}

impl State {
    /// A page that is made when somebody reads it, as the state makes it.
    pub(super) fn made(&self, id: PageId) -> Result<Arc<Read>, Error> {
        let (mut todo, mut wanted) = (vec![id], BTreeMap::new());
        while let Some(&next) = todo.last() {
            if let Some(read) = self.reads().get().get(&next)
                && next == id
            {
                return Ok(Arc::clone(read));
            }
            let (rule, missing) = self.missing(next)?;
            if self.reads().get().contains_key(&next) {
                todo.pop();
            } else if missing.is_empty() {
                let read = self.make(next, rule, &wanted)?;
                self.reads().get().insert(next, read);
            } else {
                missing.iter().for_each(|input| _ = wanted.entry(*input).or_insert(next));
                todo.extend(missing);
            }
        }
        Err(StateError::NoPage(id).into())
    }

    /// The rule of a page, and those of its inputs that are to be made first.
    fn missing(&self, id: PageId) -> Result<(Rule, Vec<PageId>), Error> {
        let rule = self.follows(id)?.ok_or(StateError::NoPage(id))?;
        let mut missing = Vec::new();
        for input in rule.inputs() {
            if is_lazy(self.stored(input)?) && !self.reads().get().contains_key(&input) {
                missing.push(input);
            }
        }
        Ok((rule, missing))
    }

    /// Makes a page whose inputs can be read, which another is `wanted` for. No lock is held: a function of the user's may
    /// take any.
    fn make(&self, id: PageId, rule: Rule, wanted: &Wanted) -> Result<Arc<Read>, Error> {
        let version = self.made_version(id)?;
        let place = (self.branch_id(), id);
        let (core, page) = (self.core(), self.stored(id)?);
        let remembers = self.declared().is_none();
        if remembers
            && let Some(all) = &*lock(&core.remembered.0)
            && let Some(read) = all.get(&place).filter(|read| read.version == version)
        {
            return Ok(Arc::clone(read));
        }
        let schema = core.schemas.of(page.def());
        let mut inputs = Vec::new();
        for input in rule.inputs() {
            let input = self.page(input)?;
            inputs.push((input, &**core.schemas.of(input.def())));
        }
        let known = Known::new(core, self.branch_id(), self.declared().unwrap_or_default());
        let mut made = Made::default();
        let wrong = |error: FlowError| {
            let way: Vec<PageId> = successors(Some(id), |page| wanted.get(page).copied()).collect();
            named(error, &way, |page| {
                self.stored(page).map_or_else(|_| page.to_string(), |page| page.def().name().to_owned())
            })
        };
        let rows = from_nothing(rule, (page, schema), &inputs, &known, &mut made).map_err(wrong)?;
        let mut private = Private::empty(core, self.branch_id(), version)?;
        private.edit(|draft| {
            draft.create(id, page.def().name(), schema, rows.unwrap_or(page.rows()))?;
            let mut changed = vec![Vec::new(); schema.columns().len()];
            let page = draft.readable(id)?;
            apply(draft, page, schema, &made, &mut changed, &mut Nobody).map_err(wrong)
        })?;
        let at = private.root().page(id).ok_or(StateError::NoPage(id))?;
        let read = Arc::new(Read { version, at, _made: Mutex::new(private) });
        if remembers && let Some(all) = &mut *lock(&core.remembered.0) {
            // Whoever reads as many again and again makes them again and again.
            if all.len() >= REMEMBERED && !all.contains_key(&place) {
                all.clear();
            }
            all.insert(place, Arc::clone(&read));
        }
        Ok(read)
    }

    /// A page that is made when somebody reads it, ready to be read.
    pub(super) fn made_page(&self, id: PageId) -> Result<PageRef<'_>, Error> {
        Ok(PageRef::new(&self.core().arena, self.made(id)?.at))
    }

    /// The newest epoch that changed what such a page follows from, or its rule.
    pub(super) fn made_version(&self, id: PageId) -> Result<Epoch, Error> {
        let mut newest = Epoch(0);
        self.made_from(id, |page| newest = newest.max(page.version()))?;
        Ok(newest)
    }

    /// Whether something that such a page follows from is behind.
    pub(super) fn made_behind(&self, id: PageId) -> Result<bool, Error> {
        let mut behind = false;
        self.made_from(id, |page| behind |= page.marks() & BEHIND != 0)?;
        Ok(behind)
    }

    /// Calls `visit` with such a page and all that it is made from, down to what is part of the state.
    pub(super) fn made_from(&self, id: PageId, mut visit: impl FnMut(PageRef<'_>)) -> Result<(), Error> {
        let (mut todo, mut seen) = (vec![id], BTreeSet::from([id]));
        while let Some(next) = todo.pop() {
            let page = self.stored(next)?;
            visit(page);
            if is_lazy(page)
                && let Some(rule) = self.follows(next)?
            {
                todo.extend(rule.inputs().filter(|input| seen.insert(*input)));
            }
        }
        Ok(())
    }
}

impl Transaction {
    /// What it has made of the state, where a page is made when somebody reads it. That all that the page follows from was
    /// read is noted.
    pub(super) fn asked(&mut self, id: PageId) -> Result<Option<State>, Error> {
        if !self.found(id).is_ok_and(is_lazy) {
            return Ok(None);
        }
        // What it did not change yet is everybody's, and may be remembered.
        let state = if self.is_empty() { self.base_state()? } else { self.own_state()? };
        state.made_from(id, |page| self.note_read(validate::Read { page: page.id(), cells: None }))?;
        Ok(Some(state))
    }
}
