//! Merging branches of the bus and of its model: what leads to what, and the base of a merge.

use std::collections::BTreeMap;

use mmsb::bus::error::Code;
use mmsb::bus::merge::three_way::OnConflict;

use super::merge::{Base, Since, merge};
use super::world::{Known, World};

/// The newest epochs of branches, by their place in the list, that lead to a state.
type Leads = BTreeMap<usize, u64>;

impl World {
    /// What leads to the head of a branch.
    fn leads(&self, branch: usize) -> Leads {
        let (epoch, known) = self.branches[branch].head();
        let mut knows = known.knows.clone();
        knows.insert(branch, epoch);
        knows
    }

    /// What frames that lead to only one side did.
    fn since(&self, ours: &Leads, theirs: &Leads) -> Since {
        let has = |leads: &Leads, branch, epoch| leads.get(branch).is_some_and(|to| epoch <= to);
        let sides = |branch, epoch| [has(ours, branch, epoch), has(theirs, branch, epoch)];
        let done = self.touched.iter().filter(|(branch, epoch, _)| {
            let [ours, theirs] = sides(branch, epoch);
            ours != theirs
        });
        Since(done.map(|(branch, epoch, done)| (sides(branch, epoch)[1], done.clone())).collect())
    }

    /// The newest states that lead to both, newest first, none of which leads to another.
    fn common(&self, ours: &Leads, theirs: &Leads) -> Vec<(Leads, &Known)> {
        let both = ours.iter().filter_map(|(&i, &epoch)| Some((i, epoch.min(*theirs.get(&i)?))));
        let mut found: Vec<(usize, u64, &Known)> =
            both.map(|(i, epoch)| (i, epoch, &self.branches[i].history[&epoch])).collect();
        found.sort_by_key(|(.., known)| std::cmp::Reverse(known.seq));
        found.dedup_by_key(|(.., known)| known.seq);
        let mut newest: Vec<(Leads, &Known)> = Vec::new();
        for (i, epoch, known) in found {
            if newest.iter().all(|(leads, _)| leads.get(&i).is_none_or(|to| *to < epoch)) {
                let mut leads = known.knows.clone();
                leads.insert(i, epoch);
                newest.push((leads, known));
            }
        }
        newest
    }

    /// What both sides have: where that are several states, what merging them makes.
    fn base(&self, ours: &Leads, theirs: &Leads) -> Base {
        let common = self.common(ours, theirs);
        let mut rest = common.into_iter();
        let (mut leads, newest) = rest.next().unwrap();
        let mut base = Base { pages: newest.pages.clone(), ..Base::default() };
        for (more, known) in rest {
            let (below, since) = (self.base(&leads, &more), self.since(&leads, &more));
            let made = merge(&below, &base.pages, &known.pages, OnConflict::Raise, &since);
            base.pages = made.pages;
            base.unsure.extend(made.unsure);
            for (i, epoch) in more {
                let to = leads.entry(i).or_default();
                *to = epoch.max(*to);
            }
        }
        base
    }

    /// Merges another branch into the present one.
    pub fn merge_with(&mut self, other: usize) {
        let policy = [OnConflict::Raise, OnConflict::Ours, OnConflict::Theirs][self.chance.below(3) as usize];
        let (epoch, theirs) = self.branches[other].head();
        let (ours, leads) = (self.leads(self.at), self.leads(other));
        let (base, since) = (self.base(&ours, &leads), self.since(&ours, &leads));
        let wanted = merge(&base, &self.pages(), &theirs.pages, policy, &since);
        let mut knows = self.knows();
        for (&i, &epoch) in theirs.knows.iter().chain([(&other, &epoch)]).filter(|(i, _)| **i != self.at) {
            let known = knows.entry(i).or_default();
            *known = epoch.max(*known);
        }
        let merged = self.bus().merge(&self.branches[other].bus, policy, &self.note());
        match (wanted.why, merged) {
            (None, Ok(Some(_))) => {
                self.touching = wanted.settled;
                return self.committed(wanted.pages, knows);
            }
            (None, Ok(None)) => assert!(wanted.pages == self.pages(), "there was something to take"),
            (Some(why), Ok(_)) => panic!("no conflict, though {why}"),
            (Some(_), Err(error)) => {
                assert!(matches!(error.code(), Code::Conflict | Code::NameTaken), "{error}")
            }
            (None, Err(error)) => panic!("{error}"),
        }
        self.unchanged();
    }
}
