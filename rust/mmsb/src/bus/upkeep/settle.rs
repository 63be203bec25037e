//! The epoch of its own in which pages are made that commits put off.

use std::collections::BTreeSet;
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
use crate::propagation::rule::{Rule, When};
use crate::propagation::run::{BEHIND, Settles};

/// What such a commit is said to come from.
pub(crate) const SOURCE: &str = "deferred";

/// Makes, in one epoch, the pages of a branch that commits put off, and those that were `left` by processes that have not their
/// functions, where that is asked for; nothing where there are none that can be made. Where the
/// rule of one fails, or of a page that follows from it, the others are made without it.
///
/// # Errors
/// What the first rule failed with that did; a writer that is busy for too long, a branch that was dropped.
pub(crate) fn settle(
    core: &Core,
    line: &Arc<Line>,
    left: bool,
    timeout: Duration,
) -> Result<Option<Committed>, Error> {
    let (mut but, mut failed, mut said) = (Vec::new(), None, Vec::new());
    let made = loop {
        match settle_but(core, line, timeout, Settles { but: &but, left }) {
            Ok(made) => break made,
            Err(refused @ Error::Rule { .. }) => {
                let mut pages = put_off_for(core, line, &refused);
                pages.retain(|page| !but.contains(page));
                let why = refused.to_string();
                said.extend(pages.iter().map(|page| (*page, why.clone())));
                failed.get_or_insert(refused);
                if pages.is_empty() {
                    break None;
                }
                but.append(&mut pages);
            }
            Err(error) => return Err(error),
        }
    };
    if made.is_some() || failed.is_some() {
        // Whoever keeps the writer busy for so long has what is put off looked at again.
        if let Ok(mut writer) = core.writer_within(timeout)
            && let Ok(root) = line.appended()
        {
            // Somebody else may have made them meanwhile.
            let root = RootRef::new(&core.arena, root);
            let behind = |at| PageRef::new(&core.arena, at).marks() & BEHIND != 0;
            said.retain(|(page, _)| root.page(*page).is_some_and(behind));
            writer.flows.set_failed(line.id, said);
        }
    }
    failed.map_or(Ok(made), Err)
}

/// The pages that commits put off and that a page whose rule failed follows from, itself if it is one.
fn put_off_for(core: &Core, line: &Line, refused: &Error) -> Vec<PageId> {
    let Error::Rule { error, .. } = refused else { return Vec::new() };
    let Some((page, _)) = error.about() else { return Vec::new() };
    let Ok((_pin, root)) = core.pin(line) else { return Vec::new() };
    let root = RootRef::new(&core.arena, root);
    let (mut found, mut seen) = (Vec::new(), BTreeSet::new());
    let mut next: Vec<PageId> = root.find(page).into_iter().collect();
    while let Some(page) = next.pop() {
        let Some(at) = root.page(page).filter(|_| seen.insert(page)) else { continue };
        let rule = PageRef::new(&core.arena, at).def().rule();
        match Rule::decode(rule) {
            Ok(rule) if rule.when == When::Deferred => found.push(page),
            Ok(rule) => next.extend(rule.edges.iter().map(|edge| edge.page)),
            // It follows from nothing.
            Err(_) => {}
        }
    }
    found
}

/// As [`settle`], of some pages; the first rule that fails undoes all.
fn settle_but(
    core: &Core,
    line: &Arc<Line>,
    timeout: Duration,
    settles: Settles<'_>,
) -> Result<Option<Committed>, Error> {
    let mut writer = core.writer_within(timeout)?;
    let root = RootRef::new(&core.arena, line.appended()?);
    if root.rules() == 0 || !writer.flows.is_due(core, line.id, root, settles)? {
        if !writer.flows.has_late(line.id) {
            writer.flows.set_failed(line.id, Vec::new());
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
        settles: Some(settles),
        declared: &[],
    };
    commit_with(core, writer, &request).map(Some)
}
