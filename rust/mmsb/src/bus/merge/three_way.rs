//! Three-way merge of a branch into another, by cells and by the pages' operators; and bringing back a past state.

use std::sync::Arc;
use std::time::Instant;

use crate::base::ids::Epoch;
use crate::bus::cells::{copy_cells, copy_page, copy_rule};
use crate::bus::commit::{self, Committed};
use crate::bus::core::Core;
use crate::bus::diff::{Fate, PageDiff, diff};
use crate::bus::error::Error;
use crate::bus::line::Line;
use crate::bus::merge::ancestry::published;
use crate::bus::merge::common::{Base, Place};
use crate::bus::merge::join::join;
use crate::bus::merge::runs::{Runs, clip};
use crate::bus::merge::since::Sides;
use crate::bus::options::{Manner, Note};
use crate::bus::past::pages::Past;
use crate::bus::state::State;
use crate::bus::transaction::{Isolation, Transaction};
use crate::page::body::Record;

/// What a merge does with a cell that both sides changed, differently, and with a page that one side dropped or resized
/// and the other wrote. Where both made a page of one name, one of the two is left out: two pages cannot have it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum OnConflict {
    /// Refuses the merge, naming pages and rows.
    #[default]
    Raise,
    /// Keeps what the branch merged into has.
    Ours,
    /// Takes what the merged branch has.
    Theirs,
}

/// How often a merge that lost a race starts over.
const ATTEMPTS: usize = 16;

/// Merges what `theirs` changed since the two last agreed into `ours`; `None` where there was nothing to take or settle.
pub(crate) fn merge(
    core: &Arc<Core>,
    [ours, theirs]: [&Arc<Line>; 2],
    manner: Manner,
    policy: OnConflict,
    note: &Note,
    looked: &mut dyn FnMut(),
) -> Result<Option<Committed>, Error> {
    if Arc::ptr_eq(ours, theirs) {
        return Ok(None);
    }
    let mut attempt = 0;
    loop {
        attempt += 1;
        let Some(tx) = merged(core, [ours, theirs], manner, policy, note, looked)? else { return Ok(None) };
        let from = tx.base_epoch();
        match tx.commit() {
            Err(Error::Conflict(_) | Error::State(_))
                if attempt < ATTEMPTS && moved(core, ours, from, manner)? => {}
            done => return done,
        }
    }
}

/// Whether somebody committed to a line between a look at it and now; if so, another look shows that.
fn moved(core: &Arc<Core>, line: &Arc<Line>, from: Epoch, manner: Manner) -> Result<bool, Error> {
    commit::show_all(core, manner.busy_timeout)?;
    Ok(State::live(core, line)?.epoch() > from)
}

/// What the published states come to; `None` where there is nothing to take or settle.
fn merged(
    core: &Arc<Core>,
    [ours, theirs]: [&Arc<Line>; 2],
    manner: Manner,
    policy: OnConflict,
    note: &Note,
    looked: &mut dyn FnMut(),
) -> Result<Option<Transaction>, Error> {
    let (pinned, our_known) = published(core, ours)?;
    let mut tx = Transaction::upon(core, ours, pinned, manner, Isolation::Snapshot, note.clone());
    let mine = tx.base_state()?;
    let ((pin, root), their_known) = published(core, theirs)?;
    let other = State::pinned(theirs, root, pin);
    let sides = Sides { ours: &our_known, theirs: &their_known };
    let base = Base::of(Place { core, line: ours, manner }, sides)?;
    let joined = join(&mut tx, &mine, &other, &base, sides, policy, looked)?;
    if !joined.clashes.is_empty() {
        return Err(Error::Conflict(joined.clashes));
    }
    if tx.is_empty() && joined.settled.is_empty() {
        return Ok(None);
    }
    let news = || {
        their_known.iter().filter(|(branch, epoch)| our_known.get(branch).is_none_or(|known| known < *epoch))
    };
    news().for_each(|(&branch, &epoch)| tx.remark(Record::Merged { branch, epoch }));
    // What was settled is not what one side did: it is told apart by coming last.
    joined.settled.write(&mut tx)?;
    Ok(Some(tx))
}

/// The state of a line at an epoch it has.
pub(crate) fn state_at(core: &Arc<Core>, line: &Arc<Line>, epoch: Epoch) -> Result<State, Error> {
    match State::live(core, line) {
        Ok(live) if live.epoch() == epoch => return Ok(live),
        Ok(_) | Err(Error::NoBranch(_)) => {}
        Err(error) => return Err(error),
    }
    let past = Past::open(core, line, epoch)?;
    Ok(State::past(line, epoch, past))
}

/// Makes the line what it was at an epoch, as a new epoch; `None` where it is that already. Where somebody commits meanwhile, it
/// begins anew, for as long as a busy writer is waited for.
pub(crate) fn revert(
    core: &Arc<Core>,
    line: &Arc<Line>,
    manner: Manner,
    to: Epoch,
    note: &Note,
    looked: &mut dyn FnMut(),
) -> Result<Option<Committed>, Error> {
    let (past, began) = (state_at(core, line, to)?, Instant::now());
    loop {
        let mut tx = Transaction::begin(core, line, manner, Isolation::Snapshot, note.clone())?;
        tx.restores();
        bring(&mut tx, &past, looked)?;
        if tx.is_empty() {
            return Ok(None);
        }
        tx.remark(Record::Reverted(to));
        match tx.commit() {
            Err(Error::Conflict(_)) if began.elapsed() < manner.busy_timeout => {}
            done => return done,
        }
    }
}

/// Makes what a transaction starts from another state.
pub(crate) fn bring(tx: &mut Transaction, to: &State, looked: &mut dyn FnMut()) -> Result<(), Error> {
    let changes = diff(&tx.base_state()?, to, looked)?;
    // Names are free only when every page that is to go has gone.
    for page in changes.iter().filter(|page| page.fate == Fate::Dropped) {
        tx.drop_page(page.page)?;
    }
    for page in &changes {
        match page.fate {
            Fate::Dropped => {}
            Fate::Created => copy_page(tx, to, page.page)?,
            Fate::Changed => bring_back(tx, to, page)?,
        }
        looked();
    }
    Ok(())
}

fn bring_back(tx: &mut Transaction, past: &State, page: &PageDiff) -> Result<(), Error> {
    let (_, then) = page.rows;
    tx.resize(page.page, then)?;
    copy_rule(tx, past, page.page)?;
    let schema = past.schema(page.page)?;
    for (i, column) in schema.columns().iter().enumerate() {
        let width = column.cells_per_row();
        let runs: Runs =
            page.columns.iter().filter(|c| usize::from(c.column) == i).flat_map(|c| c.runs.clone()).collect();
        copy_cells(tx, past, page.page, i as u16, &clip(&runs, then * width))?;
    }
    Ok(())
}
