//! The epoch of its own in which pages are made that commits put off.

use std::sync::Arc;
use std::time::Duration;

use crate::bus::commit::{Committed, Request, commit_with};
use crate::bus::core::Core;
use crate::bus::error::Error;
use crate::bus::line::Line;
use crate::page::catalog::RootRef;
use crate::page::log::Durability;

/// What such a commit is said to come from.
pub(crate) const SOURCE: &str = "deferred";

/// Makes, in one epoch, the pages of a branch that commits put off; nothing where there are none that can be made.
pub(crate) fn settle(core: &Core, line: &Arc<Line>, timeout: Duration) -> Result<Option<Committed>, Error> {
    let mut writer = core.writer_within(timeout)?;
    if line.is_dropped() {
        return Err(Error::NoBranch(line.name.clone()));
    }
    let root = RootRef::new(&core.arena, line.appended());
    if root.rules() == 0 || !writer.flows.is_due(core, line.id, root)? {
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
        settles: true,
        declared: &[],
    };
    let done = commit_with(core, writer, &request);
    let failed = done.as_ref().err().map(ToString::to_string);
    core.writer_again().flows.set_failed(line.id, failed);
    done.map(Some)
}
