//! The epoch of its own in which pages are made that commits put off.

use std::sync::Arc;
use std::time::Duration;

use crate::base::ids::PageId;
use crate::bus::commit::{Committed, Request, commit_with};
use crate::bus::core::Core;
use crate::bus::error::Error;
use crate::bus::line::Line;
use crate::page::catalog::RootRef;
use crate::page::log::Durability;
use crate::page::version::PageRef;
use crate::propagation::error::FlowError;
use crate::propagation::rule::{Rule, When};

/// What such a commit is said to come from.
pub(crate) const SOURCE: &str = "deferred";

/// Makes, in one epoch, the pages of a branch that commits put off; nothing where there are none that can be made. Where the
/// rule of one fails, the others are made without it.
///
/// # Errors
/// What the first rule failed with that did.
pub(crate) fn settle(core: &Core, line: &Arc<Line>, timeout: Duration) -> Result<Option<Committed>, Error> {
    let (mut but, mut failed) = (Vec::new(), None);
    let made = loop {
        match settle_but(core, line, timeout, &but) {
            Ok(made) => break made,
            Err(error) => {
                let page = failing(core, line, &error).filter(|page| !but.contains(page));
                failed.get_or_insert(error);
                let Some(page) = page else { break None };
                but.push(page);
            }
        }
    };
    if made.is_some() || failed.is_some() {
        core.writer_again().flows.set_failed(line.id, failed.as_ref().map(ToString::to_string));
    }
    failed.map_or(Ok(made), Err)
}

/// The page whose rule an error is about, where it is one that commits put off.
fn failing(core: &Core, line: &Line, error: &Error) -> Option<PageId> {
    let Error::Rule(error) = error else { return None };
    let (FlowError::Raised { page, .. } | FlowError::Rule { page, .. }) = &**error else { return None };
    let root = RootRef::new(&core.arena, line.appended());
    let found = root.find(&core.catalog, page)?;
    let version = PageRef::new(&core.arena, root.page(found)?);
    (Rule::when_of(version.def().rule()) == When::Deferred).then_some(found)
}

/// As [`settle`], but for some pages; the first rule that fails undoes all.
fn settle_but(
    core: &Core,
    line: &Arc<Line>,
    timeout: Duration,
    but: &[PageId],
) -> Result<Option<Committed>, Error> {
    let mut writer = core.writer_within(timeout)?;
    if line.is_dropped() {
        return Err(Error::NoBranch(line.name.clone()));
    }
    let root = RootRef::new(&core.arena, line.appended());
    if root.rules() == 0 || !writer.flows.is_due(core, line.id, root, but)? {
        if !writer.flows.has_late(line.id) {
            writer.flows.set_failed(line.id, None);
        }
        return Ok(None);
    }
    let request = Request {
        line,
        changes: &[],
        source: Some(SOURCE),
        intent: None,
        durability: Durability::Process,
        busy_timeout: timeout,
        base: None,
        restores: false,
        settles: Some(but),
        declared: &[],
    };
    commit_with(core, writer, &request).map(Some)
}
