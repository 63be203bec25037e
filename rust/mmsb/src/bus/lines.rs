//! The branches of a bus, by name and by id: as this process made them, or as the one that writes has listed them.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use crate::base::ids::BranchId;
use crate::base::spread::Spread;
use crate::bus::core::Core;
use crate::bus::error::Error;
use crate::bus::line::{Line, Origin};
use crate::memory::addr::Addr;
use crate::memory::arena::Arena;
use crate::memory::shared::tips::Tip;
use crate::page::branches::{self, Branch};

/// The branches that live, and those that did.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    /// Those that live; where another process writes, some may have been dropped.
    by_name: HashMap<String, Arc<Line>>,
    /// Every branch there ever was, so that history can be followed through it.
    pub by_id: HashMap<BranchId, Arc<Line>, Spread>,
    /// Those that this process has listed and not added yet.
    coming: Vec<Arc<Line>>,
    /// The highest id given out.
    pub last: u32,
    /// Up to where the list of branches is known, where another process writes.
    known: Addr,
}

impl Lines {
    /// Takes in a branch.
    pub fn add(&mut self, line: &Arc<Line>) {
        self.last = self.last.max(line.id.0);
        self.forget_coming(line);
        if !line.is_dropped() {
            self.by_name.insert(line.name.clone(), Arc::clone(line));
        }
        self.by_id.insert(line.id, Arc::clone(line));
    }

    fn forget_coming(&mut self, line: &Line) {
        self.coming.retain(|coming| coming.id != line.id);
    }

    /// The branches that live, or did a moment ago.
    pub fn living(&self) -> impl Iterator<Item = &Arc<Line>> {
        self.by_name.values()
    }

    /// Takes in what another process has listed.
    fn catch_up(&mut self, arena: &Arc<Arena>) {
        let newest = branches::newest(arena);
        let new: Vec<Branch<'static>> = branches::between(arena, newest, self.known).collect();
        for Branch { id, name, origin, tip, merged } in new.into_iter().rev() {
            // This process's own, unless it was made anew when its process had died: what is posted on a branch is posted on
            // one line.
            let mut known = self.coming.iter().chain(self.by_id.get(&id));
            if let Some(line) = known.find(|line| line.id == id && line.tip_number() == tip).cloned() {
                // Whoever made it anew may have come by the same tip, after this process had found it gone.
                self.add(&line);
                continue;
            }
            let origin = origin.map(|(parent, epoch)| Origin { parent, epoch });
            let name = name.into_owned();
            let line = match (tip, self.by_id.get(&id)) {
                (Some(tip), _) => Line::new(id, name, origin, Tip::of_number(arena, tip, id.0)),
                (None, Some(line)) => {
                    line.set_last_merged(merged);
                    continue;
                }
                (None, None) => Line::gone(id, name, origin, 0, merged),
            };
            self.add(&line);
        }
        self.known = newest;
    }
}

/// Lists a branch for other processes, where any can come. For whoever writes.
pub(crate) fn list(arena: &Arena, line: &Line) -> Result<(), Error> {
    if !arena.is_shared() {
        return Ok(());
    }
    let origin = line.origin.map(|origin| (origin.parent, origin.epoch));
    let merged = line.last_merged();
    let tip = line.tip_number().filter(|_| merged.is_empty());
    let name = Cow::Borrowed(line.name.as_str());
    Ok(branches::add(arena, &Branch { id: line.id, name, origin, tip, merged })?)
}

fn read(lines: &RwLock<Lines>) -> RwLockReadGuard<'_, Lines> {
    lines.read().unwrap_or_else(PoisonError::into_inner)
}

impl Core {
    /// The branches as they are now.
    pub fn lines(&self) -> RwLockReadGuard<'_, Lines> {
        let lines = read(&self.lines);
        // Where a span cannot be mapped, what lies in it is not known yet.
        if !self.follows || branches::newest(&self.arena) == lines.known || self.arena.meet().is_err() {
            return lines;
        }
        drop(lines);
        self.change_lines(|lines| lines.catch_up(&self.arena));
        read(&self.lines)
    }

    /// Changes what is known of them.
    pub fn change_lines<T>(&self, change: impl FnOnce(&mut Lines) -> T) -> T {
        change(&mut self.lines.write().unwrap_or_else(PoisonError::into_inner))
    }

    /// The line of a name.
    pub fn line(&self, name: &str) -> Option<Arc<Line>> {
        let line = self.lines().by_name.get(name).map(Arc::clone);
        line.filter(|line| !self.follows || line.head().is_some())
    }

    /// Lists a branch for others that is coming to be. For whoever writes; it is added or given up.
    pub fn list_line(&self, line: &Arc<Line>) -> Result<(), Error> {
        self.change_lines(|lines| lines.coming.push(Arc::clone(line)));
        list(&self.arena, line).inspect_err(|_| self.give_up_line(line))
    }

    /// A branch that was listed does not come to be.
    pub fn give_up_line(&self, line: &Line) {
        self.change_lines(|lines| lines.forget_coming(line));
        line.leave();
    }

    /// Lists a new branch.
    pub fn add_line(&self, line: &Arc<Line>) {
        self.change_lines(|lines| {
            lines.add(line);
            // Whoever adds has its turn: it knew all that others had listed, and what it has listed itself since.
            lines.known = branches::newest(&self.arena);
        });
    }

    /// Frees the name of a branch that was dropped.
    pub fn forget_name(&self, line: &Line) {
        self.change_lines(|lines| lines.by_name.remove(&line.name));
    }

    /// The line of an id, living or not.
    pub fn line_of(&self, id: BranchId) -> Option<Arc<Line>> {
        self.lines().by_id.get(&id).map(Arc::clone)
    }

    /// The branches that live.
    pub fn living(&self) -> Vec<Arc<Line>> {
        let lines = self.lines();
        lines.living().filter(|line| !self.follows || line.head().is_some()).cloned().collect()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::memory::arena::Options;
    use crate::memory::machine::place::Place;

    #[test]
    fn a_branch_that_is_made_anew_with_the_tip_it_had_is_found_by_its_name() {
        let arena = Arena::with(Place::Memory, Options { budget: 1 << 30, prefault: false }).unwrap();
        let id = BranchId(6);
        let listed = |tip: &Tip| {
            let name = Cow::Borrowed("side");
            let merged = Default::default();
            branches::add(&arena, &Branch { id, name, origin: None, tip: Some(tip.number()), merged })
                .unwrap();
        };
        let mut lines = Lines::default();
        // Its process dies before it is there, and another one finds it gone.
        let tip = Tip::new(&arena, id.0, Addr(64), 0).unwrap();
        listed(&tip);
        tip.leave();
        let number = tip.number();
        drop(tip);
        lines.catch_up(&arena);
        assert!(lines.by_name.is_empty() && lines.by_id.contains_key(&id));
        let again = Tip::new(&arena, id.0, Addr(128), 0).unwrap();
        assert_eq!(again.number(), number, "the test is of this");
        listed(&again);
        again.show();
        lines.catch_up(&arena);
        assert_eq!(lines.by_name["side"].head(), Some(Addr(128)));
    }
}
